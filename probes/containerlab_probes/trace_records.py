"""What the kernel trace reports, as frozen records: signals, their delivery, new processes, programs and exits."""

from dataclasses import dataclass
from enum import StrEnum


class SignalResult(StrEnum):
    """What the kernel did with a signal at the moment it was generated (include/trace/events/signal.h)."""

    QUEUED = "queued"
    """It is pending for the target. A handler or the default action gives a `TracedDelivery`; a signal taken by sigwait
    or a signalfd, or left blocked, gives none."""
    IGNORED = "ignored"
    """Discarded: ignored by the target, or without a handler in PID 1 of a PID namespace."""
    ALREADY_PENDING = "already-pending"
    """The same signal is already pending for the target; this one is merged with it."""
    OVERFLOW = "overflow"
    """A real-time signal that was discarded because the queue is full."""


class Taken(StrEnum):
    """How a process took a pending signal."""

    HANDLER = "handler"
    DEFAULT = "default"
    """The default action; PID 1 of a PID namespace has none, except for SIGKILL and SIGSTOP from outside."""
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class TracedSignal:
    """A signal that the kernel generated for a watched process.

    PIDs are those of processes (not threads) on the host.
    """

    at: float
    """Epoch seconds, as in every record of the trace."""
    sender_pid: int
    """The process in whose context it was generated; 0: an interrupt (for example a timer)."""
    sender_name: str
    """comm of that process; empty if it exited before it could be read."""
    pid: int
    signal: int
    result: SignalResult
    code: int
    """si_code (man 2 sigaction): 0 kill, -1 sigqueue, -6 tgkill, above 0 the kernel itself."""
    group: bool
    """Whether it was sent to the whole process; false: to one of its threads."""

    @property
    def by_kernel(self) -> bool:
        """Whether no program sent it with kill(2) or a similar call: a fault, a timer, a terminal, PID 1's exit, no
        memory.
        """
        return self.code > 0 or self.sender_pid == 0


@dataclass(frozen=True, slots=True)
class TracedDelivery:
    """A watched process takes a signal. The SIGKILL of a process is reported once, not for each of its threads."""

    at: float
    pid: int
    signal: int
    taken: Taken


@dataclass(frozen=True, slots=True)
class TracedExit:
    """The last thread of a watched process has exited."""

    at: float
    pid: int
    ended_by: int | str | None
    """Exit code, or the name of the signal; None if the kernel did not report it."""


@dataclass(frozen=True, slots=True)
class TracedFork:
    """A new process; it is watched from now on."""

    at: float
    parent_pid: int
    """The process that forked; 0: it entered from outside, as a process of `docker exec` does."""
    pid: int


@dataclass(frozen=True, slots=True)
class TracedExec:
    """A watched process runs another program."""

    at: float
    pid: int
    path: str
    """The argument of execve(2): inside the container, perhaps relative."""


@dataclass(frozen=True, slots=True)
class LostEvents:
    """The kernel discarded events before they were read, so the records before this one may be incomplete."""

    at: float
    count: int | None
    """Events of all processes of the machine; None: unknown."""


TraceRecord = TracedSignal | TracedDelivery | TracedExit | TracedFork | TracedExec | LostEvents
