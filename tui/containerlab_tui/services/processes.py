"""Reads the processes of a container."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence

from containerlab_probes.errors import ContainerlabError, Denied, Gone
from containerlab_probes.processes.container_files import READ_LIMIT
from containerlab_probes.processes.identity import identify
from containerlab_probes.processes.tree import list_processes
from containerlab_probes.records import ContainerRun, Forecast, Process, ProcessId, ProcessList
from containerlab_probes.signals.forecast import forecast
from containerlab_tui.doctor.gather_files import file_client
from containerlab_tui.engine.api import Engine
from containerlab_tui.model.inventory import Details

NOT_LOCAL = "its processes run on another machine; only the engine's events are visible"
NOT_RUNNING = "it is not running"
CPU_OVER_S = 0.25
"""Time between a command's two readings of CPU times, which have a resolution of 10 ms."""


SeeProcesses = Callable[[Engine, Details], tuple[tuple[Process, ...], str]]
"""Returns the container's processes, and why none or not all are listed; `see_processes`, or what a test hands in."""


def run_of(details: Details) -> ContainerRun:
    """Returns the current run of a container. Raises Gone if its PID 1 has exited, Denied."""
    return ContainerRun(details.id, identify(details.pid))


def see_processes(engine: Engine, details: Details) -> tuple[tuple[Process, ...], str]:
    """Returns the container's processes, and why none or not all are listed (empty if all are)."""
    if not details.pid:
        return (), NOT_RUNNING
    if not engine.local:
        return (), NOT_LOCAL
    try:
        found = list_processes(run_of(details), passwd_through_agent)
    except Gone:
        return (), NOT_RUNNING
    except ContainerlabError as error:
        return (), str(error)
    return found.processes, found.unread


def passwd_through_agent(init: ProcessId) -> bytes:
    """Returns the container's /etc/passwd, where reading it may block. Raises ContainerlabError."""
    client = file_client(init)
    try:
        return client.read(init, "/etc/passwd", READ_LIMIT)
    finally:
        client.close()


def measure(seen: tuple[Process, ...], wait: Callable[[float], object] = time.sleep) -> tuple[Process, ...]:
    """Returns the processes with their loads. Reads them twice, because CPU is a rate. Raises Unsupported."""
    from containerlab_probes.processes.load import ProcessLoadReader

    reader = ProcessLoadReader()
    reader.read(seen)
    wait(CPU_OVER_S)
    return reader.read(seen)


def visible_processes(engine: Engine, details: Details) -> ProcessList:
    """Returns the processes of a container. Raises Gone if it isn't running, Denied if they are unreadable."""
    seen, reason = see_processes(engine, details)
    if reason == NOT_RUNNING:
        raise Gone(f"{details.name} is not running and has no processes. Start it first.")
    if reason and not seen:
        raise Denied(f"The processes of {details.name} can't be read: {reason.removesuffix('.')}.")
    return ProcessList(seen, reason)


def forecasts(seen: Sequence[Process], signal: int) -> tuple[Forecast, ...]:
    """Returns the effect of a signal on each process."""
    children: defaultdict[int, list[Process]] = defaultdict(list)
    for one in seen:
        children[one.parent_pid].append(one)
    return tuple(forecast(one, signal, tuple(children.get(one.pid, ()))) for one in seen)


def children_of(process: Process, seen: tuple[Process, ...]) -> tuple[Process, ...]:
    """Returns the processes in `seen` whose parent is this process."""
    return tuple(child for child in seen if child.parent_pid == process.pid)
