"""Reads CPU, memory, descriptors and I/O of processes and of the whole machine, with psutil.

A load belongs to a process only if its raw start ticks are the same after the reading. psutil rounds them to a time of
day, so this module compares them. psutil is imported at the first reading, because that takes about 40 ms.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from containerlab_probes.errors import ContainerlabError, Denied, Gone, Unsupported
from containerlab_probes.processes.identity import identify
from containerlab_probes.records import HostLoad, Process, ProcessId, ProcessLoad

if TYPE_CHECKING:
    import psutil

T = TypeVar("T")

SHORTEST_RATE_S = 0.2
"""CPU time is counted in ticks of 10 ms, so a rate over a shorter time would jump."""
TIME_LIMIT_S = 1.0
"""Time limit for one reading of many processes (about 0.25 ms each); the rest stay unread."""
DESCRIPTORS_LIMIT = 65_536
"""Maximum number of names in /proc/PID/fd to count where the kernel does not report it (before Linux 6.2)."""


@contextmanager
def psutil_errors(pid: int) -> Iterator[None]:
    """Translates psutil's errors to `Gone`, `Denied`, or `Unsupported` (psutil is not installed)."""
    try:
        import psutil
    except ImportError as error:
        raise Unsupported("The Python package psutil is missing; install it (`pip install psutil`).") from error
    try:
        yield
    except (psutil.AccessDenied, psutil.ZombieProcess) as error:
        raise Denied(f"The load of process {pid} can't be read without root; run this with sudo.") from error
    except psutil.NoSuchProcess as error:
        raise Gone(f"Process {pid} has exited.") from error


@dataclass(frozen=True, slots=True)
class _Reading:
    """CPU seconds of a process at one instant, and the rate computed then."""

    at: float
    cpu_s: float
    percent: float | None = None


class ProcessLoadReader:
    """Reads the loads of processes. Remembers the CPU times of the last reading, because CPU is a rate."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[ProcessId, _Reading] = {}
        self._lock = threading.Lock()

    def read(self, processes: Sequence[Process]) -> tuple[Process, ...]:
        """Returns the processes with their loads, None for a process that has exited. Raises `Unsupported`."""
        with self._lock:
            until = self._clock() + TIME_LIMIT_S
            readings: dict[ProcessId, _Reading] = {}
            loads: dict[ProcessId, ProcessLoad] = {}
            for one in processes:
                if self._clock() > until:
                    break
                try:
                    loads[one.id] = self._load(one.id, readings)
                except (Gone, Denied):
                    continue
            self._last = readings
        return tuple(replace(one, load=loads.get(one.id)) for one in processes)

    def _load(self, id: ProcessId, readings: dict[ProcessId, _Reading]) -> ProcessLoad:
        with psutil_errors(id.pid):
            import psutil

            process = psutil.Process(id.pid)
            with process.oneshot():
                times = process.cpu_times()
                at = self._clock()
                load = _without_cpu(id.pid, process)
        if identify(id.pid) != id:
            raise Gone(f"Process {id.pid} has exited.")
        reading = readings[id] = self._rate(self._last.get(id), at, times.user + times.system)
        return replace(load, cpu_percent=reading.percent)

    @staticmethod
    def _rate(before: _Reading | None, at: float, cpu_s: float) -> _Reading:
        if before is None:
            return _Reading(at, cpu_s)
        if at - before.at < SHORTEST_RATE_S:
            return before
        return _Reading(at, cpu_s, 100 * max(0.0, cpu_s - before.cpu_s) / (at - before.at))


def _without_cpu(pid: int, process: "psutil.Process") -> ProcessLoad:
    memory = _permitted(pid, process.memory_info)
    io = _permitted(pid, process.io_counters) if hasattr(process, "io_counters") else None  # a kernel without them
    return ProcessLoad(
        memory_bytes=None if memory is None else memory.rss,
        descriptors=_descriptors(pid),
        read_bytes=None if io is None else io.read_bytes,
        written_bytes=None if io is None else io.write_bytes,
    )


def _permitted(pid: int, read: Callable[[], T]) -> T | None:
    """Returns the value, or None if it may not be read. Raises `Gone`."""
    try:
        with psutil_errors(pid):
            return read()
    except Denied:
        return None


def _descriptors(pid: int) -> int | None:
    """Returns how many descriptors are open. psutil.num_fds lists them all, and a container can open a million."""
    directory = f"/proc/{pid}/fd"
    try:
        return os.stat(directory).st_size or _counted(directory)
    except OSError:
        return None


def _counted(directory: str) -> int | None:
    """Returns how many names a directory has, None for more than `DESCRIPTORS_LIMIT`."""
    with os.scandir(directory) as names:
        count = sum(1 for _ in islice(names, DESCRIPTORS_LIMIT + 1))
    return count if count <= DESCRIPTORS_LIMIT else None


class HostLoadReader:
    """Reads the load of the machine. Use it from one thread: psutil keeps the previous CPU times for each thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at: float | None = None
        self._percent: float | None = None

    def read(self) -> HostLoad | None:
        """Returns the load; None if psutil is missing or can't read it."""
        try:
            with psutil_errors(0):
                import psutil

                memory = psutil.virtual_memory()
                self._measure_cpu()
        except (ContainerlabError, OSError):
            return None
        return HostLoad(self._percent, memory.total - memory.available, memory.total)

    def _measure_cpu(self) -> None:
        import psutil

        now = self._clock()
        if self._at is None or now - self._at >= SHORTEST_RATE_S:
            percent = psutil.cpu_percent()
            self._percent = None if self._at is None else percent
            self._at = now
