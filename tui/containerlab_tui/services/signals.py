"""Sends signals to processes and observes the results.

A signal that is meant to end the container (SIGKILL, or its stop signal, to PID 1) goes through the engine, which
treats the exit as intentional and does not restart the container. All others go through a pidfd: `docker kill` would
mark the container as manually stopped (moby daemon/kill.go).
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from enum import StrEnum
from functools import partial

from containerlab_probes.errors import ContainerlabError, Denied, Gone, Unsupported
from containerlab_probes.processes.tree import read_process
from containerlab_probes.records import ContainerRun, Forecast, Process, ProcessId
from containerlab_probes.signals.exits import ExitWatch
from containerlab_probes.signals.names import SIGKILL, name_of, number_of
from containerlab_probes.signals.send import send as send_signal
from containerlab_probes.trace_records import TraceRecord
from containerlab_tui.engine.api import Engine
from containerlab_tui.model.inventory import Details
from containerlab_tui.model.kernel_trace import kernel_result
from containerlab_tui.model.views import Sent
from containerlab_tui.services.kernel_trace import KernelTrace, Record
from containerlab_tui.services.policy import Operation, Policy
from containerlab_tui.services.processes import NOT_RUNNING, SeeProcesses, forecasts, run_of, see_processes

__all__ = ["OBSERVE_S", "Sent", "Target", "refresh", "select", "send", "send_by_engine"]

Deliver = Callable[[ContainerRun, ProcessId, int], None]
"""Sends a signal to one process of a container, and to no other process."""
OBSERVE_S = 0.4
"""Time to wait for an exit before the process is read again."""


class Target(StrEnum):
    """The targets of a signal, relative to one process."""

    PROCESS = "process"
    CHILDREN = "children"
    """All its descendants, without itself."""
    TREE = "tree"
    """Itself and all its descendants."""


def select(processes: Sequence[Process], root: Process, target: Target) -> tuple[Process, ...]:
    """Returns the processes of a target, the root first, then in the order of the list."""
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
    deliver: Deliver = send_signal,
    record: Record = KernelTrace,
    observe_s: float = OBSERVE_S,
) -> tuple[Sent, ...]:
    """Sends a signal to each target and observes them for `observe_s`. Returns one result for each target.

    `on_change` gets the list after sending, before the observation. A target that can't be signalled has a sentence in
    `error`; the others are still signalled. The last target is signalled first, so that children exit before the
    parent whose exit would kill them. Raises ReadOnly.
    """
    policy.require(Operation.SIGNAL, f"send {name_of(signal)} to {details.name}")
    ids = tuple(target.id for target in targets)
    with_exits = ExitWatch(ids)
    records: list[TraceRecord] = []
    recording = record(ids, records.extend)
    try:
        send_one = partial(_send_one, engine, details, signal=signal, deliver=deliver)
        expected = forecasts(targets, signal)
        sent = tuple(map(send_one, reversed(targets), reversed(expected)))[::-1]
        on_change(sent)
        ended = _wait_for_exits(with_exits, {one.id for one in sent if not one.error}, observe_s)
    finally:
        with_exits.close()
        recording.close()
    before = {target.id: target for target in targets}
    return tuple(
        one if one.error else replace(one, observed=_observe(before[one.id], one, ended, records)) for one in sent
    )


def send_by_engine(engine: Engine, details: Details, signal: int) -> Sent:
    """Sends a signal to PID 1 through the engine, for unreadable processes (not root, remote engine)."""
    at = time.time()
    unseen = Sent(
        details.id, details.name, ProcessId(details.pid, 0), 1, " ".join(details.argv), signal, at, "engine", None
    )
    try:
        engine.kill(details.id, name_of(signal))
    except ContainerlabError as error:
        return replace(unseen, error=str(error), error_status=error.exit_status)
    return unseen


def refresh(
    engine: Engine, details: Details, chosen: Process, see: SeeProcesses = see_processes
) -> tuple[Process, ...]:
    """Returns the current processes, which include the chosen one.

    Raises Gone if it has exited: another process may have its number now. Raises Unsupported if it is not among the
    processes that are listed.
    """
    seen, reason = see(engine, details)
    if reason and reason != NOT_RUNNING and not seen:
        raise Denied(f"The processes of {details.name} can't be read: {reason.removesuffix('.')}.")
    if all(process.id != chosen.id for process in seen):
        if seen and reason:
            raise Unsupported(f"Process {chosen.container_pid} of {details.name} was not found. {reason} Nothing sent.")
        raise Gone(f"Process {chosen.container_pid} of {details.name} has exited. Nothing sent.")
    return seen


def _send_one(
    engine: Engine,
    details: Details,
    target: Process,
    expected: Forecast,
    *,
    signal: int,
    deliver: Deliver,
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
        expected,
    )
    try:
        if route == "engine":
            # The engine knows no runs: after a restart it would signal another PID 1 than the shown one.
            with suppress(Denied):  # it is there, but only the engine may signal it
                deliver(run_of(details), target.id, 0)
            engine.kill(details.id, name_of(signal))
        else:
            one = _through_pidfd(engine, details, one, deliver)
    except ContainerlabError as error:
        return replace(one, error=str(error), error_status=error.exit_status)
    return one


def _through_pidfd(engine: Engine, details: Details, one: Sent, deliver: Deliver) -> Sent:
    """Signals through a pidfd; if this user may not signal PID 1, through the engine, which marks a manual stop."""
    try:
        deliver(run_of(details), one.id, one.signal)
    except Denied:
        if one.id.pid != details.pid:
            raise
        engine.kill(details.id, name_of(one.signal))
        return replace(one, route="engine")
    return one


def _wait_for_exits(watch: ExitWatch, waiting: set[ProcessId], observe_s: float) -> dict[ProcessId, int | str | None]:
    ended: dict[ProcessId, int | str | None] = {}
    deadline = time.monotonic() + observe_s
    while waiting - ended.keys() and (left := deadline - time.monotonic()) > 0:
        for one in watch.wait(left):
            ended[one.id] = one.ended_by
    return ended


def _observe(
    before: Process, sent: Sent, ended: dict[ProcessId, int | str | None], records: Sequence[TraceRecord]
) -> str:
    """Returns what the kernel did with the signal, if recorded, and the state of the process."""
    taken = kernel_result(records, before.pid, sent.signal)
    state = _state_after(before, sent, ended)
    return f"{taken}; {state}" if taken else state


def _state_after(before: Process, sent: Sent, ended: dict[ProcessId, int | str | None]) -> str:
    if before.id in ended:
        how = ended[before.id]
        if how is None:
            return "exited"
        return f"terminated by {how}" if isinstance(how, str) else f"exited with code {how}"
    try:
        now = read_process(before.pid)
    except ContainerlabError:
        return "exited"
    return _difference(before, now, sent.signal) if now.id == before.id else "exited"


def _difference(before: Process, now: Process, signal: int) -> str:
    """Returns what a signal changed in a running process, a clause."""
    name = name_of(signal)
    if signal in now.dispositions.pending:
        return f"still running, {name} pending"
    if signal in before.dispositions.caught and signal not in now.dispositions.caught:
        return f"still running, no longer handles {name}"
    if now.state in "Tt" and before.state not in "Tt":
        return "suspended (state T)"
    if before.state in "Tt" and now.state not in "Tt":
        return "resumed"
    if now.argv != before.argv:
        return f"still running, now {now.command[:80]}"
    return "still running"
