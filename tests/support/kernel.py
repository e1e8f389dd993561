"""Replaces the kernel in tests of services: a trace that the test plays, and real processes as targets."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil

from containerlab_probes.errors import Gone
from containerlab_probes.processes.identity import identify, open_pidfd
from containerlab_probes.processes.tree import list_processes, read_process
from containerlab_probes.records import ContainerRun, Process, ProcessId
from containerlab_probes.trace_records import TraceRecord
from tests.support.docker import eventually

NO_CONTAINER = "f" * 64
"""The id of a container that no cgroup is named after."""


@dataclass
class PlayedTrace:
    """A kernel trace: `play` calls back as the tracer's thread would. Give `record` to a service."""

    no_trace_reason: str = ""
    started: int = 0
    closed: int = 0
    ids: list[ProcessId] = field(default_factory=list)
    """Every process to watch."""
    _on_records: Callable[[tuple[TraceRecord, ...]], None] = lambda records: None

    def record(self, ids: Iterable[ProcessId], on_records: Callable[[tuple[TraceRecord, ...]], None]) -> "PlayedTrace":
        """Starts the trace, in place of `KernelTrace`."""
        self.started += 1
        self.ids.extend(ids)
        self._on_records = on_records
        return self

    def play(self, *records: TraceRecord) -> None:
        """Reports these records, as the kernel would."""
        self._on_records(records)

    def watch(self, ids: Iterable[ProcessId]) -> None:
        self.ids.extend(ids)

    @property
    def watched(self) -> frozenset[int]:
        return frozenset(one.pid for one in self.ids)

    def close(self) -> None:
        self.closed += 1


def container_processes(run: ContainerRun) -> tuple[Process, ...]:
    """Returns all processes of a container that has few."""
    found = list_processes(run)
    assert not found.unread
    return found.processes


@contextmanager
def running(code: str = "", *arguments: str) -> Iterator[Process]:
    """Yields a Python process of this user that has run `code` and then waits; killed afterwards."""
    program = f"import signal, sys, time\n{code}\nprint(flush=True)\nwhile True: signal.pause()"
    command = (sys.executable, "-S", "-c", program, *arguments)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"\n"
            yield read_process(child.pid)
        finally:
            child.kill()


def send(id: ProcessId, number: int) -> None:
    """Sends a signal to exactly this process, in any container or none: what a program outside of ours does.

    Raises Gone, also if the process exits between the two calls.
    """
    fd = open_pidfd(id)
    try:
        signal.pidfd_send_signal(fd, number)
    except ProcessLookupError as error:
        raise Gone(f"Process {id.pid} has exited.") from error
    finally:
        os.close(fd)


@contextmanager
def namespaced(script: str, processes: int = 1, options: tuple[str, ...] = ()) -> Iterator[ContainerRun]:
    """Yields a container without cgroups: a shell as PID 1 of a new PID namespace, with that many processes.

    `options` are those of unshare for further namespaces.
    """
    command = ("unshare", *options, "--pid", "--fork", "--kill-child", "sh", "-c", script)
    with subprocess.Popen(command) as outer:
        try:
            found = eventually(lambda: _init_below(outer.pid, processes), f"the namespace has {processes} processes")
            yield ContainerRun(NO_CONTAINER, identify(found))
        finally:
            outer.kill()


def _init_below(outer: int, processes: int) -> int:
    below = psutil.Process(outer).children(recursive=True)
    return below[0].pid if len(below) == processes else 0
