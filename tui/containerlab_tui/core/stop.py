"""Events of a stop -> its two phases, a lane a process, and a verdict. Pure: no clock, no engine.

The order that Docker gives (moby daemon/stop.go): the stop signal to PID 1, the grace period, SIGKILL.
Engine events may come out of order (`stop` before `die`), so the fold accepts any order.
"""

from dataclasses import dataclass
from enum import StrEnum

from containerlab_probes.records import Forecast, Process, ProcessId

SIGKILL = 9


class Verdict(StrEnum):
    GRACEFUL = "graceful"
    """PID 1 ended in phase 1, before any SIGKILL."""
    KILLED = "killed"
    ALREADY_STOPPED = "already-stopped"
    RESTARTED = "restarted"
    FAILED = "failed"


class Source(StrEnum):
    ENGINE = "engine"
    KERNEL = "kernel"


class Kind(StrEnum):
    """What happened."""

    REQUESTED = "requested"
    SIGNAL = "signal"
    """A signal was sent: by the engine to PID 1, or as the kernel reported it."""
    ENDED = "ended"
    """A process ended; `ended_by` says how where the kernel told."""
    DIED = "died"
    """The engine says that the container has ended; `ended_by` is its exit code."""
    STOPPED = "stopped"
    """The engine says that the stop is done."""
    STARTED = "started"
    REMOVED = "removed"
    OUT_OF_MEMORY = "out-of-memory"
    NOTE = "note"
    FAILED = "failed"
    SETTLED = "settled"
    """The watcher is sure that nothing more will come."""


@dataclass(frozen=True, slots=True)
class StopPlan:
    """What is known before the first signal is sent."""

    container: str
    """Full id."""
    name: str
    signal: int
    signal_source: str
    """`request`, `container` or `default`."""
    timeout_s: float
    """Grace period in seconds; negative: for ever."""
    timeout_source: str
    processes: tuple[Process, ...]
    """Empty where the processes can't be seen (not root, remote engine)."""
    forecasts: tuple[Forecast, ...]
    """One a process, for `signal`."""
    blind_reason: str = ""
    """Why processes can't be seen; empty: they can."""
    begun_elsewhere: bool = False

    @property
    def init(self) -> Process | None:
        return next((process for process in self.processes if process.container_pid == 1), None)

    @property
    def unreached(self) -> tuple[Process, ...]:
        """Processes that Docker sends nothing to: all but PID 1."""
        return tuple(process for process in self.processes if process.container_pid != 1)


@dataclass(frozen=True, slots=True)
class StopEvent:
    at: float
    """Epoch seconds."""
    kind: Kind
    source: Source
    id: ProcessId | None = None
    container_pid: int | None = None
    signal: int | None = None
    ended_by: int | str | None = None
    """An exit code, or the name of the signal."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Phase:
    started: float
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """One process through the stop."""

    id: ProcessId
    container_pid: int
    command: str
    got_signal: bool | None
    """Whether it was sent a signal other than the SIGKILL of the end; None: not observed."""
    signal: int | None = None
    """The last one it is known to have been sent."""
    ended_at: float | None = None
    ended_by: int | str | None = None


@dataclass(frozen=True, slots=True)
class StopState:
    plan: StopPlan
    began: float
    """Epoch seconds: the request, or the first engine event of a stop begun elsewhere."""
    events: tuple[StopEvent, ...] = ()
    lanes: tuple[Lane, ...] = ()
    phase_1: Phase | None = None
    phase_2: Phase | None = None
    died_at: float | None = None
    exit_code: int | None = None
    verdict: Verdict | None = None
    """None while the stop is under way."""
    settled: bool = False
    out_of_memory: bool = False

    @property
    def ended_at(self) -> float | None:
        """When PID 1 ended, as near as it is known: the kernel's word before the engine's."""
        init = next((lane for lane in self.lanes if lane.container_pid == 1), None)
        return init.ended_at if init and init.ended_at is not None else self.died_at

    @property
    def duration_s(self) -> float | None:
        ended = self.ended_at
        return None if ended is None else max(0.0, ended - self.began)


def begin(plan: StopPlan, at: float) -> StopState:
    """The state before the first event."""
    lanes = tuple(
        Lane(process.id, process.container_pid, process.command, got_signal=None) for process in plan.processes
    )
    return StopState(plan, at, lanes=lanes)


def fold(state: StopState, event: StopEvent) -> StopState:
    """The state after one more event."""
    raise NotImplementedError


def explain(state: StopState) -> tuple[str, ...]:
    """The verdict in words, the main sentence first; empty while the stop is under way."""
    raise NotImplementedError
