"""Turns trace and engine records of one container into rows, each signal with its result.

Made for 10,000 signals a second: a row keeps the record itself and is only put into words when it is shown
(`present.signal_text`).
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from containerlab_probes.signals.names import number_of
from containerlab_probes.trace_records import (
    LostEvents,
    SignalResult,
    Taken,
    TracedDelivery,
    TracedExec,
    TracedExit,
    TracedFork,
    TracedSignal,
    TraceRecord,
)

KEPT = 20_000
_UNDELIVERED = 4096
"""Signals of one kind to one process that are kept until they are delivered."""
_SIGNALS = 128
_SIGKILL = 9
_NAME_BYTES = 15


@dataclass(frozen=True, slots=True)
class Who:
    """A process of the container."""

    container_pid: int
    """Its PID in the container; 0: it exited before that could be read."""
    name: str
    """comm: the program's file name, at most 15 bytes."""


@dataclass(frozen=True, slots=True)
class Known:
    """The process with this host PID; not a row."""

    pid: int
    who: Who


@dataclass(frozen=True, slots=True)
class Asked:
    """The engine sent a signal. Only used without a kernel trace."""

    at: float
    pid: int
    """Host PID of PID 1; 0: unknown."""
    signal: int


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence between the rows, such as a restart of the container."""

    at: float
    text: str


LogRecord = TraceRecord | Known | Asked | Note


@dataclass(slots=True, eq=False)
class Row:
    """One row of the list. Changes once, when a signal is delivered."""

    record: TracedSignal | TracedDelivery | TracedExit | TracedFork | TracedExec | LostEvents | Asked | Note
    who: Who | None
    """The target, or the process that exits, forks or execs; None: unknown."""
    sender: Who | None
    """The sender; None: not a process of the container."""
    taken: TracedDelivery | None = None


class SignalLog:
    """The last rows and counts of all events. Not thread-safe."""

    def __init__(self, limit: int = KEPT) -> None:
        self._limit = limit
        self._who: dict[int, Who] = {}
        self._undelivered: dict[int, deque[Row]] = {}
        self._ending: dict[int, float] = {}
        """When a process took a SIGKILL without a sender."""
        self.rows: list[Row] = []
        """In order of arrival."""
        self.dropped = 0
        """Older rows that are no longer kept."""
        self.signals = self.exits = self.lost = 0
        """Counts; `lost`: events of all processes of the machine that the kernel discarded."""
        self.lost_uncounted = False
        """The kernel lost some events without a count."""

    def add(self, records: Iterable[LogRecord]) -> list[Row]:
        """Adds records in order of time; returns the new rows, including those not kept."""
        new: list[Row] = []
        append, who, undelivered = new.append, self._who, self._undelivered
        for record in records:
            if isinstance(record, TracedSignal):
                pid = record.pid
                row = Row(record, who.get(pid), who.get(record.sender_pid))
                append(row)
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
                    append(Row(record, who.get(record.pid), None))
            elif (other := self._other(record)) is not None:
                append(other)
        self._keep(new)
        return new

    def clear(self) -> None:
        """Clears all rows and counts; process names are kept."""
        self.rows.clear()
        self.dropped = self.signals = self.exits = self.lost = 0
        self.lost_uncounted = False

    def _keep(self, new: list[Row]) -> None:
        self.rows += new
        over = len(self.rows) - self._limit
        if over > 0:
            del self.rows[:over]
            self.dropped += over

    def _other(self, record: LogRecord) -> Row | None:
        """Handles less frequent records; None: no row."""
        match record:
            case Known():
                self._who[record.pid] = record.who
                return None
            case TracedExit():
                self.exits += 1
                self._complete_fatal_signal(record)
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
            case LostEvents():
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

    def _complete_fatal_signal(self, end: TracedExit) -> None:
        """Completes the row of a signal that terminated a process by its default action.

        The kernel doesn't deliver such a signal: each thread gets a SIGKILL without a sender, and the signal becomes
        the exit status (complete_signal in kernel/signal.c). The same SIGKILL stops other threads at exit and execve,
        so alone it proves nothing.
        """
        at = self._ending.pop(end.pid, end.at)
        if isinstance(end.ended_by, str):
            signal = number_of(end.ended_by)
            waiting = self._undelivered.get(end.pid * _SIGNALS + signal)
            if waiting:
                waiting.popleft().taken = TracedDelivery(at, end.pid, signal, Taken.DEFAULT)


def _comm(path: str) -> str:
    """Returns the name that execve gives a process: the last part of the path (man 5 proc, comm)."""
    return path.rpartition("/")[2].encode("utf-8", "surrogateescape")[:_NAME_BYTES].decode("utf-8", "surrogateescape")
