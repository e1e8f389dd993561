"""What a kernel trace and an engine tell of one container -> rows, each signal with what became of it. Pure.

Made for 10,000 signals a second: a row keeps the record itself, and nothing is put into words before it is shown
(`signal_words`).
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from containerlab_probes.records import (
    Lost,
    SignalResult,
    Taken,
    TracedDelivery,
    TracedExec,
    TracedExit,
    TracedFork,
    TracedSignal,
    TraceRecord,
)
from containerlab_probes.signals.names import number_of

KEPT = 20_000
_UNDELIVERED = 4096
"""Signals of one kind to one process that are remembered until they are delivered."""
_SIGNALS = 128
_SIGKILL = 9
_NAME_BYTES = 15


@dataclass(frozen=True, slots=True)
class Who:
    """A process of the container."""

    container_pid: int
    """As the container sees it; 0: it ended before that could be read."""
    name: str
    """comm: the program's file name, at most 15 bytes of it."""


@dataclass(frozen=True, slots=True)
class Known:
    """The process that has this PID on the host; not a row."""

    pid: int
    who: Who


@dataclass(frozen=True, slots=True)
class Asked:
    """The engine said that it sent a signal. Told only where the kernel's record can't be had."""

    at: float
    pid: int
    """On the host, of PID 1; 0: not known."""
    signal: int


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence between the rows: the container has ended, or was started again."""

    at: float
    text: str


Told = TraceRecord | Known | Asked | Note


@dataclass(slots=True, eq=False)
class Row:
    """One line of the list. Changes once, when a signal is delivered."""

    record: TracedSignal | TracedDelivery | TracedExit | TracedFork | TracedExec | Lost | Asked | Note
    who: Who | None
    """The target, or whose end, fork or exec it is; None: not known."""
    sender: Who | None
    """None: not a process of the container."""
    taken: TracedDelivery | None = None


class SignalLog:
    """The last rows, and counts of all. Not shared between threads."""

    def __init__(self, limit: int = KEPT) -> None:
        self._limit = limit
        self._who: dict[int, Who] = {}
        self._undelivered: dict[int, deque[Row]] = {}
        self._ending: dict[int, float] = {}
        """When a process took a SIGKILL that nobody sent."""
        self.rows: list[Row] = []
        """In the order in which they came."""
        self.forgotten = 0
        """Rows that came and are no longer kept."""
        self.signals = self.exits = self.lost = 0
        """How many were told of; `lost`: events, of all processes of the machine, that the kernel threw away."""
        self.lost_uncounted = False
        """Some were lost of which the kernel didn't say how many."""

    def take(self, told: Iterable[Told]) -> list[Row]:
        """Fold in what was told, in the order of time; answers the new rows, those not kept included."""
        new: list[Row] = []
        add, who, undelivered = new.append, self._who, self._undelivered
        for record in told:
            if isinstance(record, TracedSignal):
                pid = record.pid
                row = Row(record, who.get(pid), who.get(record.sender_pid))
                add(row)
                self.signals += 1
                if record.result is SignalResult.QUEUED:
                    key = pid * _SIGNALS + record.signal
                    waiting = undelivered.get(key)
                    if waiting is None:
                        waiting = undelivered[key] = deque(maxlen=_UNDELIVERED)
                    waiting.append(row)
            elif isinstance(record, TracedDelivery):
                waiting = undelivered.get(record.pid * _SIGNALS + record.signal)
                if waiting:
                    waiting.popleft().taken = record
                elif record.signal == _SIGKILL:
                    self._ending[record.pid] = record.at
                else:
                    add(Row(record, who.get(record.pid), None))
            elif (other := self._other(record)) is not None:
                add(other)
        self._keep(new)
        return new

    def clear(self) -> None:
        """Forget all rows and counts; what is known of the processes stays."""
        self.rows.clear()
        self.forgotten = self.signals = self.exits = self.lost = 0
        self.lost_uncounted = False

    def _keep(self, new: list[Row]) -> None:
        self.rows += new
        over = len(self.rows) - self._limit
        if over > 0:
            del self.rows[:over]
            self.forgotten += over

    def _other(self, record: Told) -> Row | None:
        """What comes seldom; None: no row."""
        match record:
            case Known():
                self._who[record.pid] = record.who
                return None
            case TracedExit():
                self.exits += 1
                self._complete_the_deadly(record)
                row = Row(record, self._who.pop(record.pid, None), None)
                for key in range(record.pid * _SIGNALS, (record.pid + 1) * _SIGNALS):
                    self._undelivered.pop(key, None)
                return row
            case TracedFork():
                parent = self._who.get(record.parent_pid)
                who = self._who.setdefault(record.pid, Who(0, parent.name if parent else ""))
                return Row(record, who, parent)
            case TracedExec():
                before = self._who.get(record.pid)
                who = self._who[record.pid] = Who(before.container_pid if before else 0, _comm(record.path))
                return Row(record, who, None)
            case Lost():
                self.lost += record.count or 0
                self.lost_uncounted = self.lost_uncounted or record.count is None
                self._undelivered.clear()
                return Row(record, None, None)
            case Asked():
                self.signals += 1
                return Row(record, self._who.get(record.pid), None)
            case Note():
                return Row(record, None, None)
            case _:
                raise AssertionError(record)

    def _complete_the_deadly(self, end: TracedExit) -> None:
        """A signal that ends a process at its default action is not delivered itself: in its place each thread gets
        a SIGKILL that nobody sent, and its number becomes the exit status (complete_signal in kernel/signal.c). The
        same SIGKILL ends the other threads at exit and execve: by itself it says nothing.
        """
        at = self._ending.pop(end.pid, end.at)
        if isinstance(end.ended_by, str):
            signal = number_of(end.ended_by)
            waiting = self._undelivered.get(end.pid * _SIGNALS + signal)
            if waiting:
                waiting.popleft().taken = TracedDelivery(at, end.pid, signal, Taken.DEFAULT)


def _comm(path: str) -> str:
    """The name that execve gives a process: the last part of the path (man 5 proc, comm)."""
    return path.rpartition("/")[2].encode("utf-8", "surrogateescape")[:_NAME_BYTES].decode("utf-8", "surrogateescape")
