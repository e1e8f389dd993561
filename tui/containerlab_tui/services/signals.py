"""Sends chosen signals to chosen processes and says what came of them. Used by the screens and the commands.

A signal that is meant to end the container (SIGKILL, or its own stop signal, to PID 1) goes through the
engine, which then knows that the end was wished and leaves a restart policy alone. Every other one goes
through a pidfd: `docker kill` would mark the container as stopped by hand (moby daemon/kill.go).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum
from functools import partial

from containerlab_probes.errors import ContainerlabError, Denied, Gone
from containerlab_probes.processes.tree import read_process
from containerlab_probes.records import Process, ProcessId, TraceRecord
from containerlab_probes.signals.exits import ExitWatch
from containerlab_probes.signals.forecast import forecast
from containerlab_probes.signals.names import SIGKILL, name_of, number_of
from containerlab_probes.signals.send import send as send_signal
from containerlab_tui.engine.api import Engine
from containerlab_tui.model.inventory import Details
from containerlab_tui.model.kernel_trace import kernel_result
from containerlab_tui.model.views import Sent
from containerlab_tui.services.kernel_trace import KernelTrace, Record
from containerlab_tui.services.policy import Operation, Policy
from containerlab_tui.services.processes import NOT_RUNNING, children_of, see_processes

__all__ = ["OBSERVE_S", "Sent", "Target", "refresh", "select", "send", "send_by_engine"]

OBSERVE_S = 0.4
"""How long the end of a process is waited for before its dispositions are read again."""


class Target(StrEnum):
    """Whom a signal is for, seen from one chosen process."""

    PROCESS = "process"
    CHILDREN = "children"
    """All that descend from it, not itself."""
    TREE = "tree"
    """Itself and all that descend from it."""


def select(processes: Sequence[Process], root: Process, target: Target) -> tuple[Process, ...]:
    """The processes that a target means, the root first, then in the order of the list."""
    if target is Target.PROCESS:
        return (root,)
    family = {root.pid}
    for process in processes:
        if process.parent_pid in family:
            family.add(process.pid)
    below = tuple(process for process in processes if process.pid in family and process.id != root.id)
    return below if target is Target.CHILDREN else (root, *below)


def send(
    engine: Engine,
    details: Details,
    targets: Sequence[Process],
    signal: int,
    on_change: Callable[[tuple[Sent, ...]], None] = lambda sent: None,
    *,
    policy: Policy,
    deliver: Callable[[ProcessId, int], None] = send_signal,
    record: Record = KernelTrace,
    observe_s: float = OBSERVE_S,
) -> tuple[Sent, ...]:
    """Send one signal to each target, watch for `observe_s`, and say what came of each.

    `on_change` gets the list once all are sent, before the watching. A target that can't be signalled has a
    sentence in `error`; the others are signalled all the same. The last of the list gets it first: a process
    ends before the parent that would take it along. Raises ReadOnly.
    """
    policy.require(Operation.SIGNAL, f"send {name_of(signal)} to {details.name}")
    ids = tuple(target.id for target in targets)
    with_exits = ExitWatch(ids)
    records: list[TraceRecord] = []
    recording = record(ids, records.extend)
    try:
        send_one = partial(_send_one, engine, details, seen=targets, signal=signal, deliver=deliver)
        sent = tuple(send_one(target) for target in reversed(targets))[::-1]
        on_change(sent)
        ended = _wait_for_ends(with_exits, {one.id for one in sent if not one.error}, observe_s)
    finally:
        with_exits.close()
        recording.close()
    before = {target.id: target for target in targets}
    return tuple(
        one if one.error else replace(one, observed=_observe(before[one.id], one, ended, records)) for one in sent
    )


def send_by_engine(engine: Engine, details: Details, signal: int) -> Sent:
    """Send a signal to PID 1 where the processes can't be seen or reached from here (not root, remote engine)."""
    at = time.time()
    unseen = Sent(
        details.id, details.name, ProcessId(details.pid, 0), 1, " ".join(details.argv), signal, at, "engine", None
    )
    try:
        engine.kill(details.id, name_of(signal))
    except ContainerlabError as error:
        return replace(unseen, error=str(error), error_status=error.exit_status)
    return unseen


def refresh(engine: Engine, details: Details, chosen: Process) -> tuple[Process, ...]:
    """The processes as they are now, with the chosen one still among them.

    Raises Gone where it has ended: another process may have its number by now.
    """
    seen, reason = see_processes(engine, details)
    if reason and reason != NOT_RUNNING:
        raise Denied(f"The processes of {details.name} can't be seen: {reason}.")
    if all(process.id != chosen.id for process in seen):
        raise Gone(f"Process {chosen.container_pid} of {details.name} has ended meanwhile: nothing was sent.")
    return seen


def _send_one(
    engine: Engine,
    details: Details,
    target: Process,
    *,
    seen: Sequence[Process],
    signal: int,
    deliver: Callable[[ProcessId, int], None],
) -> Sent:
    ends_container = signal in (SIGKILL, number_of(details.stop_signal))
    route = "engine" if target.pid == details.pid and ends_container else "pidfd"
    one = Sent(
        details.id,
        details.name,
        target.id,
        target.container_pid,
        target.command,
        signal,
        time.time(),
        route,
        forecast(target, signal, children_of(target, tuple(seen))),
    )
    try:
        if route == "engine":
            engine.kill(details.id, name_of(signal))
        else:
            one = _through_pidfd(engine, details, one, deliver)
    except ContainerlabError as error:
        return replace(one, error=str(error), error_status=error.exit_status)
    return one


def _through_pidfd(engine: Engine, details: Details, one: Sent, deliver: Callable[[ProcessId, int], None]) -> Sent:
    """Where this user may not signal PID 1, the engine may: better its mark "stopped by hand" than no signal."""
    try:
        deliver(one.id, one.signal)
    except Denied:
        if one.id.pid != details.pid:
            raise
        engine.kill(details.id, name_of(one.signal))
        return replace(one, route="engine")
    return one


def _wait_for_ends(watch: ExitWatch, waiting: set[ProcessId], observe_s: float) -> dict[ProcessId, int | str | None]:
    ended: dict[ProcessId, int | str | None] = {}
    deadline = time.monotonic() + observe_s
    while waiting - ended.keys() and (left := deadline - time.monotonic()) > 0:
        for one in watch.wait(left):
            ended[one.id] = one.ended_by
    return ended


def _observe(
    before: Process, sent: Sent, ended: dict[ProcessId, int | str | None], records: Sequence[TraceRecord]
) -> str:
    """What the kernel did with it, where that was recorded, and what became of the process."""
    taken = kernel_result(records, before.pid, sent.signal)
    became = _what_became(before, sent, ended)
    return f"{taken}; {became}" if taken else became


def _what_became(before: Process, sent: Sent, ended: dict[ProcessId, int | str | None]) -> str:
    if before.id in ended:
        how = ended[before.id]
        if how is None:
            return "ended"
        return f"ended by {how}" if isinstance(how, str) else f"ended with status {how}"
    try:
        now = read_process(before.pid)
    except ContainerlabError:
        return "ended"
    return _difference(before, now, sent.signal) if now.id == before.id else "ended"


def _difference(before: Process, now: Process, signal: int) -> str:
    """What a signal changed in a process that is still there, one clause."""
    name = name_of(signal)
    if signal in now.dispositions.pending:
        return f"still there, {name} pending"
    if signal in before.dispositions.caught and signal not in now.dispositions.caught:
        return f"still there, no longer catches {name}"
    if now.state in "Tt" and before.state not in "Tt":
        return "stopped (state T)"
    if before.state in "Tt" and now.state not in "Tt":
        return "continued"
    if now.argv != before.argv:
        return f"still there, now runs {now.command[:80]}"
    return "still there"
