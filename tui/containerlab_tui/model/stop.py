"""Folds the events of a stop into its two phases, one lane per process, and a verdict.

Docker's order (moby daemon/stop.go): the stop signal to PID 1, the grace period, SIGKILL. Engine events may arrive out
of order (`stop` before `die`), so the fold accepts any order.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from containerlab_probes.records import Effect, Forecast, Process, ProcessId
from containerlab_probes.signals.names import SIGKILL
from containerlab_tui.model.diagnosis import Diagnosis
from containerlab_tui.model.ending_records import NEAR_S
from containerlab_tui.model.product import DOCKER, Product, sends_for_engine


class Verdict(StrEnum):
    """The result of a stop."""

    GRACEFUL = "graceful"
    """PID 1 exited in phase 1, before any SIGKILL."""
    KILLED = "killed"
    ALREADY_STOPPED = "already-stopped"
    RESTARTED = "restarted"
    FAILED = "failed"


class Source(StrEnum):
    """The source of an event."""

    ENGINE = "engine"
    KERNEL = "kernel"


class Kind(StrEnum):
    """The kind of an event."""

    REQUESTED = "requested"
    SIGNAL = "signal"
    """A signal was sent: by the engine to PID 1, or as the kernel reported it."""
    DELIVERED = "delivered"
    """A process took a signal out of its queue, as the kernel reported it."""
    ENDED = "ended"
    """A process exited; `ended_by` says how, if the kernel reported it."""
    DIED = "died"
    """The engine reports that the container stopped; `ended_by` is its exit code."""
    STOPPED = "stopped"
    """The engine reports that the stop is finished."""
    STARTED = "started"
    REMOVED = "removed"
    OUT_OF_MEMORY = "out-of-memory"
    NOTE = "note"
    FAILED = "failed"
    SETTLED = "settled"
    """No more events will follow."""


@dataclass(frozen=True, slots=True)
class StopPlan:
    """The facts known before the first signal is sent."""

    container: str
    """Full id."""
    name: str
    signal: int
    signal_source: str
    """`request`, `container` or `default`."""
    timeout_s: float
    """Grace period in seconds; negative: no limit."""
    timeout_source: str
    processes: tuple[Process, ...]
    """Empty if the processes can't be seen (not root, remote engine)."""
    forecasts: tuple[Forecast, ...]
    """One for each process, for `signal`."""
    pid: int = 0
    """Host PID of the process that the engine signals; it is not PID 1 in a shared PID namespace."""
    unseen_reason: str = ""
    """Why none or not all of the processes are listed; empty: all are."""
    started_elsewhere: bool = False
    """It is followed by the engine's events: this program has not requested it as a stop."""
    part_of: str = ""
    """What this program is doing that includes this stop: `restart`, `remove` or `signal`; empty: nothing."""
    asked_at: float = 0.0
    """When the user asked for it, or of the engine's first event, epoch seconds; 0: not known."""
    image: str = ""
    prediction: Diagnosis | None = None
    """The doctor's prediction from before the stop (just after, for a stop started outside this program)."""
    traced: bool = False
    """All signals in the container are traced, so a signal that was not seen was not sent."""
    product: Product = DOCKER
    """If it doesn't report signals, the phases come from the kernel trace, or from the time and the exit code."""
    own_signal: int = 0
    """The container's own stop signal."""

    @property
    def is_from_outside(self) -> bool:
        """Whether nothing that the user did in this program includes it."""
        return self.started_elsewhere and not self.part_of

    @property
    def has_chosen_signal(self) -> bool:
        """Whether another signal than the container's own was asked for: some engines get it by a kill."""
        return self.signal_source == "request" and self.signal != self.own_signal

    @property
    def init(self) -> Process | None:
        """The process that the engine signals, if it can be seen."""
        return next((process for process in self.processes if process.pid == self.pid), None)

    @property
    def unreached(self) -> tuple[Process, ...]:
        """Processes that Docker does not signal: all except PID 1."""
        return tuple(process for process in self.processes if process.pid != self.pid)


@dataclass(frozen=True, slots=True)
class StopEvent:
    """One event of a stop."""

    at: float
    """Epoch seconds."""
    kind: Kind
    source: Source
    id: ProcessId | None = None
    container_pid: int | None = None
    signal: int | None = None
    ended_by: int | str | None = None
    """An exit code, or a signal's name."""
    detail: str = ""
    sender: str = field(default="", compare=False)
    """The sender of a signal, if the kernel reported it: a program with its host PID. `detail` includes it."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One of the two parts of a stop."""

    started: float
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """One process during the stop."""

    id: ProcessId
    container_pid: int
    command: str
    got_signal: bool | None
    """Whether it received a signal other than the final SIGKILL; None: not observed."""
    signal: int | None = None
    """The last signal known to have been sent to it."""
    ended_at: float | None = None
    ended_by: int | str | None = None


@dataclass(frozen=True, slots=True)
class StopState:
    """Everything known about one stop."""

    plan: StopPlan
    began: float
    """Epoch seconds: the request, or the first engine event of a stop started outside this program."""
    events: tuple[StopEvent, ...] = ()
    lanes: tuple[Lane, ...] = ()
    phase_1: Phase | None = None
    phase_2: Phase | None = None
    died_at: float | None = None
    exit_code: int | None = None
    verdict: Verdict | None = None
    """None while the stop is in progress, and after a single signal that did not stop the container."""
    settled: bool = False
    out_of_memory: bool = False

    @property
    def identity(self) -> float:
        """What distinguishes the stops of one container; `began` moves on while a stop is being prepared."""
        return self.plan.asked_at or self.began

    @property
    def is_preparing(self) -> bool:
        """Whether the engine has not been asked yet, so that no grace period runs."""
        reached = (Kind.REQUESTED, Kind.SIGNAL, Kind.FAILED)
        if self.settled or self.verdict is not None or self.plan.started_elsewhere:
            return False
        return not any(event.kind in reached for event in self.events)

    @property
    def init_lane(self) -> Lane | None:
        """The lane of the process that the engine signals."""
        return next((lane for lane in self.lanes if lane.id.pid == self.plan.pid), None)

    @property
    def ended_at(self) -> float | None:
        """When PID 1 exited; the kernel's time takes precedence over the engine's."""
        init = self.init_lane
        return init.ended_at if init and init.ended_at is not None else self.died_at

    @property
    def duration_s(self) -> float | None:
        """Seconds from the request to the exit of PID 1; None: it has not exited, or when it was asked is unknown."""
        ended = self.ended_at
        return None if ended is None or self.is_known_by_exit else max(0.0, ended - self.began)

    @property
    def is_known_by_exit(self) -> bool:
        """Whether only the exit is known of a stop that was started elsewhere: the engine reports nothing before."""
        return self.plan.started_elsewhere and not self.plan.product.reports_signals and self.phase_1 is None


def begin(plan: StopPlan, at: float) -> StopState:
    """Returns the state before the first event."""
    lanes = tuple(
        Lane(process.id, process.container_pid, process.command, got_signal=None) for process in plan.processes
    )
    return StopState(plan, at, lanes=lanes)


def fold(state: StopState, event: StopEvent) -> StopState:
    """Returns the state after one more event; events may arrive in any order."""
    events = tuple(sorted((*state.events, event), key=lambda seen: seen.at))
    state = replace(state, events=events)
    match event.kind:
        case Kind.SIGNAL:
            state = _signalled(state, event)
        case Kind.ENDED:
            state = _lane(state, event, lambda lane: replace(lane, ended_at=event.at, ended_by=event.ended_by))
        case Kind.DIED:
            code = event.ended_by if isinstance(event.ended_by, int) else state.exit_code
            state = replace(state, died_at=event.at, exit_code=code)
        case Kind.OUT_OF_MEMORY:
            state = replace(state, out_of_memory=True)
        case Kind.SETTLED:
            state = replace(state, settled=True, lanes=tuple(_with_unsent_signal(state, lane) for lane in state.lanes))
        case Kind.DELIVERED | Kind.REQUESTED | Kind.STOPPED | Kind.STARTED | Kind.REMOVED | Kind.NOTE | Kind.FAILED:
            pass
    state = _with_phases(state)
    return replace(state, verdict=_judge(state))


def _signalled(state: StopState, event: StopEvent) -> StopState:
    """Records a signal in its process's lane; the engine's final SIGKILL, or a signal without a name, doesn't count."""
    if event.source is Source.ENGINE and event.signal in (SIGKILL, None):
        return state
    counts = event.signal != SIGKILL
    return _lane(state, event, lambda lane: replace(lane, got_signal=lane.got_signal or counts, signal=event.signal))


def _lane(state: StopState, event: StopEvent, change: Callable[[Lane], Lane]) -> StopState:
    def is_meant(lane: Lane) -> bool:
        return lane.id == event.id if event.id else lane.container_pid == event.container_pid

    return replace(state, lanes=tuple(change(lane) if is_meant(lane) else lane for lane in state.lanes))


def _with_unsent_signal(state: StopState, lane: Lane) -> Lane:
    """Marks a lane as not signalled, if every signal was traced or a signal would have terminated the process."""
    if lane.got_signal is not None or lane.id.pid == state.plan.pid:
        return lane
    forecast = next((one for one in state.plan.forecasts if one.id == lane.id), None)
    would_have_ended = forecast is not None and forecast.effect in (Effect.TERMINATES, Effect.DUMPS_CORE)
    if state.plan.traced or (would_have_ended and lane.ended_by == "SIGKILL"):
        return replace(lane, got_signal=False)
    return lane


def _with_phases(state: StopState) -> StopState:
    """Sets the phases: phase 1 starts with the first signal to PID 1, phase 2 with SIGKILL; PID 1's exit ends both."""
    asked = _first_signal(state, lambda signal: signal != SIGKILL)
    killed = _first_signal(state, lambda signal: signal == SIGKILL)
    ended = state.ended_at
    if not state.plan.product.reports_signals and not state.plan.traced:
        asked, killed = _unreported(state, asked, killed)
    if asked is None:
        asked = killed
    if asked is None:
        return state
    first_end = killed if killed is not None else ended
    phase_1 = Phase(asked, None if first_end is None else max(asked, first_end))
    phase_2 = None if killed is None else Phase(killed, None if ended is None else max(killed, ended))
    return replace(state, phase_1=phase_1, phase_2=phase_2)


def _first_signal(state: StopState, is_meant: Callable[[int], bool]) -> float | None:
    """Returns when the engine first sent such a signal. Events are in order of time."""
    times = (event.at for event in state.events if event.signal is not None and is_meant(event.signal)
             and is_from_engine(event, state.plan))  # fmt: skip
    return next(times, None)


def is_from_engine(event: StopEvent, plan: StopPlan) -> bool:
    """Returns whether an event is a signal that the engine sent to PID 1.

    If the engine doesn't report its signals, they are those that the kernel saw its OCI runtime send.
    """
    if event.kind is not Kind.SIGNAL or event.signal is None:
        return False
    if event.source is Source.ENGINE:
        return True
    to_init = event.id is not None and event.id.pid == plan.pid
    return not plan.product.reports_signals and to_init and sends_for_engine(event.sender)


def _unreported(state: StopState, asked: float | None, killed: float | None) -> tuple[float | None, float | None]:
    """Returns when the phases of a stop began if neither the engine nor a complete kernel trace reported its signals.

    Phase 1 begins with the request. Phase 2 follows the grace period, if SIGKILL or exit code 137 ended PID 1 then.
    """
    requested = any(event.kind is Kind.REQUESTED for event in state.events)
    if asked is None and requested and state.plan.timeout_s != 0:  # without a grace period it sends SIGKILL alone
        asked = state.began
    if killed is None and state.ended_at is not None and _was_killed(state) and not state.out_of_memory:
        start = state.began if asked is None and requested else asked
        grace_s = 0 if state.plan.signal == SIGKILL else state.plan.timeout_s
        if start is not None and 0 <= grace_s <= state.ended_at - start + NEAR_S:
            killed = min(start + grace_s, state.ended_at)
    return asked, killed


def _judge(state: StopState) -> Verdict | None:
    kinds = [event.kind for event in state.events]
    if state.ended_at is None:
        return Verdict.FAILED if Kind.FAILED in kinds else None
    if Kind.STARTED in kinds and max(e.at for e in state.events if e.kind is Kind.STARTED) >= state.ended_at:
        return Verdict.RESTARTED
    return Verdict.KILLED if _was_killed(state) else Verdict.GRACEFUL


def _was_killed(state: StopState) -> bool:
    init = state.init_lane
    if init is not None and init.ended_by is not None:  # the kernel distinguishes exit code 137 from SIGKILL
        return init.ended_by == "SIGKILL"
    return state.exit_code == 128 + SIGKILL


def already_stopped(plan: StopPlan, at: float, exit_code: int | None) -> StopState:
    """Returns the state of a stop of a container that was not running."""
    return replace(begin(plan, at), verdict=Verdict.ALREADY_STOPPED, settled=True, exit_code=exit_code)


def known_by_exit(plan: StopPlan, at: float, exit_code: int) -> StopState:
    """Returns the state of a finished stop of which the engine has reported the exit alone."""
    plan = replace(plan, started_elsewhere=True, asked_at=at)
    state = fold(begin(plan, at), StopEvent(at, Kind.DIED, Source.ENGINE, ended_by=exit_code))
    return fold(state, StopEvent(at, Kind.SETTLED, Source.ENGINE))


def failed_to_begin(plan: StopPlan, at: float, why: str) -> StopState:
    """Returns the state of a stop that could not be requested; `why` is a sentence."""
    state = fold(begin(plan, at), StopEvent(at, Kind.FAILED, Source.ENGINE, detail=why))
    return fold(state, StopEvent(at, Kind.SETTLED, Source.ENGINE))
