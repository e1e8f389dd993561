"""Events of all threads of the machine, in the order of time -> records of the watched processes. Pure.

Forks of a watched process are watched too. The kernel speaks of threads; records speak of processes, so for
each thread that is watched or that was born since the beginning its process is remembered.
"""

from collections.abc import Callable, Iterable, KeysView
from dataclasses import dataclass

from containerlab_probes.records import (
    SignalResult,
    Taken,
    TracedDelivery,
    TracedExec,
    TracedExit,
    TracedFork,
    TracedSignal,
    TraceRecord,
)
from containerlab_probes.signals.exits import ended_by
from containerlab_probes.trace.ring_buffer import Delivered, Ended, Event, Execed, Generated, NewTask

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
class Newcomer:
    """A process that came into a watched PID namespace from outside."""

    pid: int
    threads: frozenset[int]
    root: int
    """The watched process by which it is followed."""


@dataclass(slots=True)
class _Followed:
    threads: set[int]
    root: int
    killed: bool = False


class Following:
    """The watched processes and their threads, and who sent them signals."""

    def __init__(
        self, look: Callable[[int], tuple[int, str] | None], newcomer: Callable[[int], Newcomer | None]
    ) -> None:
        """`look` answers process and name of a thread that was there before; `newcomer` whether an unknown one
        is in a watched namespace.
        """
        self._look = look
        self._newcomer = newcomer
        self._process_of: dict[int, int] = {}
        self._followed: dict[int, _Followed] = {}
        self._strangers: dict[int, int] = {}
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
        """The processes that are watched now; changes with them."""
        return self._followed.keys()

    def root_of(self, pid: int) -> int:
        """On whose account a watched process is watched. Raises `KeyError` where it isn't."""
        return self._followed[pid].root

    def add(self, pid: int, threads: Iterable[int], root: int, name: str = "") -> None:
        """Watch these threads of a process from now on, on account of `root`."""
        if name:
            self._names[pid] = name
        followed = self._followed.setdefault(pid, _Followed(set(), root))
        for thread in threads:
            followed.threads.add(thread)
            self._process_of[thread] = pid

    def leave_out(self, pid: int, threads: Iterable[int]) -> None:
        """These threads of a process ended, perhaps before they were added; it lives on if it has others."""
        followed = self._followed.get(pid)
        if followed and followed.threads - (ended := set(threads)):
            followed.threads -= ended
            for thread in ended:
                self._process_of.pop(thread, None)

    def forget_strangers(self) -> None:
        """Forget what was remembered of others: after a loss it may be wrong, and it can be looked up again."""
        self._strangers.clear()
        self._names = {pid: self._names[pid] for pid in self._followed if pid in self._names}

    def gone(self, pid: int, at: float) -> tuple[TraceRecord, ...]:
        """A watched process whose end was not told, as events were lost, is no longer there."""
        if pid not in self._followed:
            return ()
        self._forget(pid)
        return (TracedExit(at, pid, None),)

    def fold(self, events: Iterable[Event], offset_ns: int) -> list[TraceRecord]:
        """Records for events in the order of time; `offset_ns` makes epoch nanoseconds of the events' clock."""
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
            followed = self._followed[pid]
            if followed.killed:
                return ()
            followed.killed = True
        return (TracedDelivery(at, pid, event.signal, _TAKEN.get(event.handler, Taken.HANDLER)),)

    def _new_task(self, event: NewTask, at: float) -> Iterable[TraceRecord]:
        parent, thread = self._process_of.get(event.parent), event.thread
        self._strangers.pop(thread, None)
        self._names.pop(thread, None)
        if parent is not None:
            pid, name = (parent, "") if event.is_thread else (thread, event.name)
            self.add(pid, (thread,), self._followed[parent].root, name)
            return () if event.is_thread else (TracedFork(at, parent, pid),)
        if not event.is_thread:
            self._strangers[thread] = thread
            self._names[thread] = event.name
        elif event.parent in self._strangers:
            self._strangers[thread] = self._strangers[event.parent]
        return ()

    def _execed(self, event: Execed, at: float) -> Iterable[TraceRecord]:
        pid, before = event.thread, event.before
        if before != pid:
            self._leader_changed(pid, before)
        self._names[pid] = _comm(event.path)
        entered: tuple[TraceRecord, ...] = ()
        if pid not in self._followed:
            self._strangers[pid] = pid
            found, entered = self._enter(pid, at)
            if found is None:
                return ()
        return (*entered, TracedExec(at, pid, event.path))

    def _leader_changed(self, pid: int, before: int) -> None:
        """Another thread than the leader called execve: it takes over the leader's number."""
        self._strangers.pop(before, None)
        if self._process_of.pop(before, None) == pid:
            self._followed[pid].threads.discard(before)
            self.add(pid, (pid,), self._followed[pid].root)

    def _ended(self, event: Ended, at: float) -> Iterable[TraceRecord]:
        thread = event.thread
        self._strangers.pop(thread, None)
        self._names.pop(thread, None)
        pid = self._process_of.pop(thread, None)
        if pid is None:
            return ()
        followed = self._followed[pid]
        followed.threads.discard(thread)
        if followed.threads:
            return ()
        del self._followed[pid]
        return (TracedExit(at, pid, None if event.status is None else ended_by(event.status)),)

    def _enter(self, thread: int, at: float) -> tuple[int | None, tuple[TraceRecord, ...]]:
        """The process of a thread that turns out to be in a watched namespace, and the record of its coming in."""
        newcomer = self._newcomer(thread)
        if newcomer is None:
            return None, ()
        known = newcomer.pid in self._followed
        self.add(newcomer.pid, newcomer.threads | {thread}, newcomer.root)
        return newcomer.pid, () if known else (TracedFork(at, 0, newcomer.pid),)

    def _sender(self, thread: int) -> tuple[int, str]:
        if thread == 0:
            return 0, ""
        pid = self._process_of.get(thread) or self._strangers.get(thread)
        if pid is None or pid not in self._names:
            found = self._look(thread)
            if found is None:
                return pid or thread, ""
            pid, self._names[found[0]] = found
            if thread not in self._process_of:
                self._strangers[thread] = pid
        return pid, self._names[pid]

    def _forget(self, pid: int) -> None:
        for thread in self._followed.pop(pid).threads:
            self._process_of.pop(thread, None)


def _comm(path: str) -> str:
    """The name that execve gives a process: the last part of the path, at most 15 bytes of it."""
    name = path.rpartition("/")[2].encode("utf-8", "surrogateescape")[:_NAME_BYTES]
    return name.decode("utf-8", "surrogateescape")
