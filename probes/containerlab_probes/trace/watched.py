"""Folds the events of all threads of the machine, in the order of time, into records of the watched processes. No I/O.

Forks of a watched process are watched too. The kernel's events are about threads, the records about processes. So this
module remembers the process of each thread that is watched or was created since the start.
"""

from collections.abc import Callable, Iterable, KeysView
from dataclasses import dataclass

from containerlab_probes.signals.exits import ended_by
from containerlab_probes.trace.ring_buffer import Delivered, Ended, Event, Execed, Generated, NewTask
from containerlab_probes.trace_records import (
    SignalResult,
    Taken,
    TracedDelivery,
    TracedExec,
    TracedExit,
    TracedFork,
    TracedSignal,
    TraceRecord,
)

_RESULTS = {
    0: SignalResult.QUEUED,
    1: SignalResult.IGNORED,
    2: SignalResult.ALREADY_PENDING,
    3: SignalResult.OVERFLOW,
    4: SignalResult.QUEUED,  # only its siginfo was lost
}
_TAKEN = {0: Taken.DEFAULT, 1: Taken.IGNORED}
_SIGKILL = 9
_NAME_BYTES = 15


@dataclass(frozen=True, slots=True)
class EnteredProcess:
    """A process that entered a watched PID namespace from outside."""

    pid: int
    threads: frozenset[int]
    root: int
    """The watched process on whose account it is watched."""


@dataclass(slots=True)
class _Watched:
    threads: set[int]
    root: int
    killed: bool = False


class WatchedProcesses:
    """The watched processes and their threads, and who sent them signals."""

    def __init__(
        self, identify: Callable[[int], tuple[int, str] | None], entered_process: Callable[[int], EnteredProcess | None]
    ) -> None:
        """`identify` returns process and name of an older thread; `entered_process` looks an unknown thread up in the
        watched namespaces.
        """
        self._identify = identify
        self._entered = entered_process
        self._process_of: dict[int, int] = {}
        self._watched: dict[int, _Watched] = {}
        self._unwatched: dict[int, int] = {}
        self._names: dict[int, str] = {}
        self._folds: dict[type, Callable[..., Iterable[TraceRecord]]] = {
            Generated: self._generated,
            Delivered: self._delivered,
            NewTask: self._new_task,
            Execed: self._execed,
            Ended: self._ended,
        }

    @property
    def pids(self) -> KeysView[int]:
        """A live view of the processes that are watched now."""
        return self._watched.keys()

    def root_of(self, pid: int) -> int:
        """Returns the process on whose account a process is watched. Raises `KeyError`."""
        return self._watched[pid].root

    def add(self, pid: int, threads: Iterable[int], root: int, name: str = "") -> None:
        """Watches these threads of a process from now on, on account of `root`."""
        if name:
            self._names[pid] = name
        watched = self._watched.setdefault(pid, _Watched(set(), root))
        for thread in threads:
            watched.threads.add(thread)
            self._process_of[thread] = pid

    def remove_threads(self, pid: int, threads: Iterable[int]) -> None:
        """Removes threads that exited, perhaps before they were added, unless the process has no others."""
        watched = self._watched.get(pid)
        if watched and watched.threads - (ended := set(threads)):
            watched.threads -= ended
            for thread in ended:
                self._process_of.pop(thread, None)

    def forget_unwatched(self) -> None:
        """Forgets the unwatched processes: after lost events they may be wrong, and they can be looked up again."""
        self._unwatched.clear()
        self._names = {pid: self._names[pid] for pid in self._watched if pid in self._names}

    def vanished(self, pid: int, at: float) -> tuple[TraceRecord, ...]:
        """Removes a watched process whose exit was not reported because events were lost; returns its record."""
        if pid not in self._watched:
            return ()
        self._forget(pid)
        return (TracedExit(at, pid, None),)

    def fold(self, events: Iterable[Event], offset_ns: int) -> list[TraceRecord]:
        """Returns the records for events in the order of time; `offset_ns` converts their clock to epoch time."""
        records: list[TraceRecord] = []
        for event in events:
            records += self._folds[type(event)](event, (event.time + offset_ns) / 1e9)
        return records

    def _generated(self, event: Generated, at: float) -> Iterable[TraceRecord]:
        pid = self._process_of.get(event.target)
        entered: tuple[TraceRecord, ...] = ()
        if pid is None and event.sender in self._process_of:
            pid, entered = self._enter(event.target, at)
        if pid is None:
            return ()
        sender, name = self._sender(event.sender)
        result = _RESULTS.get(event.result, SignalResult.OVERFLOW)
        return (*entered, TracedSignal(at, sender, name, pid, event.signal, result, event.code, event.group))

    def _delivered(self, event: Delivered, at: float) -> Iterable[TraceRecord]:
        pid = self._process_of.get(event.thread)
        if pid is None:
            return ()
        if event.signal == _SIGKILL:
            watched = self._watched[pid]
            if watched.killed:
                return ()
            watched.killed = True
        return (TracedDelivery(at, pid, event.signal, _TAKEN.get(event.handler, Taken.HANDLER)),)

    def _new_task(self, event: NewTask, at: float) -> Iterable[TraceRecord]:
        parent, thread = self._process_of.get(event.parent), event.thread
        self._unwatched.pop(thread, None)
        self._names.pop(thread, None)
        if parent is not None:
            pid, name = (parent, "") if event.is_thread else (thread, event.name)
            self.add(pid, (thread,), self._watched[parent].root, name)
            return () if event.is_thread else (TracedFork(at, parent, pid),)
        if not event.is_thread:
            self._unwatched[thread] = thread
            self._names[thread] = event.name
        elif event.parent in self._unwatched:
            self._unwatched[thread] = self._unwatched[event.parent]
        return ()

    def _execed(self, event: Execed, at: float) -> Iterable[TraceRecord]:
        pid, before = event.thread, event.before
        if before != pid:
            self._leader_changed(pid, before)
        self._names[pid] = _comm(event.path)
        entered: tuple[TraceRecord, ...] = ()
        if pid not in self._watched:
            self._unwatched[pid] = pid
            found, entered = self._enter(pid, at)
            if found is None:
                return ()
        return (*entered, TracedExec(at, pid, event.path))

    def _leader_changed(self, pid: int, before: int) -> None:
        """Handles an execve by a thread other than the leader: it takes over the leader's number."""
        self._unwatched.pop(before, None)
        if self._process_of.pop(before, None) == pid:
            self._watched[pid].threads.discard(before)
            self.add(pid, (pid,), self._watched[pid].root)

    def _ended(self, event: Ended, at: float) -> Iterable[TraceRecord]:
        thread = event.thread
        self._unwatched.pop(thread, None)
        self._names.pop(thread, None)
        pid = self._process_of.pop(thread, None)
        if pid is None:
            return ()
        watched = self._watched[pid]
        watched.threads.discard(thread)
        if watched.threads:
            return ()
        del self._watched[pid]
        return (TracedExit(at, pid, None if event.status is None else ended_by(event.status)),)

    def _enter(self, thread: int, at: float) -> tuple[int | None, tuple[TraceRecord, ...]]:
        """Returns the process of a thread in a watched namespace, and the record of its entry."""
        entered_process = self._entered(thread)
        if entered_process is None:
            return None, ()
        known = entered_process.pid in self._watched
        self.add(entered_process.pid, entered_process.threads | {thread}, entered_process.root)
        return entered_process.pid, () if known else (TracedFork(at, 0, entered_process.pid),)

    def _sender(self, thread: int) -> tuple[int, str]:
        if thread == 0:
            return 0, ""
        pid = self._process_of.get(thread) or self._unwatched.get(thread)
        if pid is None or pid not in self._names:
            found = self._identify(thread)
            if found is None:
                return pid or thread, ""
            pid, self._names[found[0]] = found
            if thread not in self._process_of:
                self._unwatched[thread] = pid
        return pid, self._names[pid]

    def _forget(self, pid: int) -> None:
        for thread in self._watched.pop(pid).threads:
            self._process_of.pop(thread, None)


def _comm(path: str) -> str:
    """Returns the name that execve gives a process: at most 15 bytes of the path's last part."""
    name = path.rpartition("/")[2].encode("utf-8", "surrogateescape")[:_NAME_BYTES]
    return name.decode("utf-8", "surrogateescape")
