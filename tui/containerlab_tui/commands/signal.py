"""`signal`: sends one signal and shows the result."""

import argparse

from containerlab_probes.errors import Denied, Gone, Unsupported
from containerlab_probes.records import Process, ProcessList
from containerlab_probes.signals.names import name_of, number_of
from containerlab_tui.commands import common
from containerlab_tui.model.inventory import Details
from containerlab_tui.present import documents
from containerlab_tui.present.safe_text import safe
from containerlab_tui.services.policy import Operation
from containerlab_tui.services.processes import visible_processes
from containerlab_tui.services.signals import Sent, send, send_by_engine

_NAMED = 50
"""Processes that an error names."""


def run(arguments: argparse.Namespace) -> int:
    """Returns 0 if every target was signalled, 3 or 4 if one of them was not, or is not listed."""
    signal = number_of(arguments.signal)
    what = f"send {name_of(signal)} to {safe(arguments.name)}"
    engine = common.changing_engine(arguments, what, Operation.SIGNAL)
    details = engine.inspect(arguments.name)
    to_init = arguments.pid in (None, 1) and not arguments.children and not arguments.all
    unread = ""
    try:
        listed = visible_processes(engine, details)
    except Denied as why:
        if not to_init:
            raise
        common.tell(safe(f"{why} The engine sends the signal to PID 1; its effect can't be observed."))
        sent: tuple[Sent, ...] = (send_by_engine(engine, details, signal),)
    else:
        unread = listed.unread if arguments.children or arguments.all else ""
        sent = send(engine, details, _targets(arguments, listed, details), signal, policy=engine.policy)
    if arguments.json:
        common.answer(documents.signal(details.name, sent, unread))
    else:
        common.say(common.table(("PID", "IN", "SIGNAL", "FORECAST", "OBSERVED"), [_row(one) for one in sent], (0, 1)))
    failed = [one for one in sent if one.error]
    for one in failed:
        common.tell(safe(one.error))
    if unread:
        common.tell(safe(f"{unread} The others were not signalled."))
    if failed:
        return failed[0].error_status
    return Unsupported.exit_status if unread else 0


def _targets(arguments: argparse.Namespace, listed: ProcessList, details: Details) -> tuple[Process, ...]:
    """Selects from the processes with a number in the container: in its cgroup there may be one of the host's."""
    inside = tuple(one for one in listed.processes if one.container_pid)
    if arguments.all:
        return inside
    if arguments.children:
        below = tuple(one for one in inside if one.pid != details.pid)
        if not below:
            raise Gone(f"PID 1 of {details.name} has no children. Nothing sent.")
        return below
    if arguments.pid is None:
        return tuple(one for one in inside if one.pid == details.pid)
    found = tuple(one for one in inside if one.container_pid == arguments.pid)
    if not found:
        there = ", ".join(str(one.container_pid) for one in inside[:_NAMED])
        more = f" and {len(inside) - _NAMED:,} more" if len(inside) > _NAMED else ""
        sentence = f"{details.name} has no process {arguments.pid} (processes: {there}{more})."
        raise Gone(f"{sentence} {listed.unread} Nothing sent." if listed.unread else f"{sentence} Nothing sent.")
    return found


def _row(one: Sent) -> tuple[str, ...]:
    expected = f"{one.forecast.delivery}: {one.forecast.effect}" if one.forecast else "unknown"
    return (str(one.id.pid), str(one.container_pid), name_of(one.signal), expected,
            one.error or one.observed or "sent; effect unknown")  # fmt: skip
