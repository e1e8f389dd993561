"""Events of a stop -> its two phases, a lane a process, and a verdict. Pure: no clock, no engine.

The order that Docker gives (moby daemon/stop.go): the stop signal to PID 1, the grace period, SIGKILL.
Engine events may come out of order (`stop` before `die`), so the fold accepts any order.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from containerlab_probes.records import Delivery, Effect, Forecast, Process, ProcessId
from containerlab_probes.signals.names import SIGKILL, name_of
from containerlab_tui.model.diagnosis import Diagnosis


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
    DELIVERED = "delivered"
    """A process takes a signal out of its queue, as the kernel reported it."""
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
    """Grace period in seconds; negative: no limit."""
    timeout_source: str
    processes: tuple[Process, ...]
    """Empty where the processes can't be seen (not root, remote engine)."""
    forecasts: tuple[Forecast, ...]
    """One a process, for `signal`."""
    pid: int = 0
    """Host PID of the process that the engine tells to stop; it is not PID 1 where the namespace is another's."""
    blind_reason: str = ""
    """Why processes can't be seen; empty: they can."""
    begun_elsewhere: bool = False
    image: str = ""
    foretold: Diagnosis | None = None
    """What the doctor said of this very stop before it began (of one begun elsewhere: just after)."""
    traced: bool = False
    """Every signal in the container is being recorded, so one that was not seen was not sent."""

    @property
    def init(self) -> Process | None:
        return next((process for process in self.processes if process.pid == self.pid), None)

    @property
    def unreached(self) -> tuple[Process, ...]:
        """Processes that Docker sends nothing to: all but PID 1."""
        return tuple(process for process in self.processes if process.pid != self.pid)


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
    sender: str = field(default="", compare=False)
    """Who sent a signal, where the kernel told: a program with its host PID. `detail` says it too."""


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
    """None while the stop is under way, and still where it settled without an end: it was a lone signal."""
    settled: bool = False
    out_of_memory: bool = False

    @property
    def init_lane(self) -> Lane | None:
        return next((lane for lane in self.lanes if lane.id.pid == self.plan.pid), None)

    @property
    def ended_at(self) -> float | None:
        """When PID 1 ended, as near as it is known: the kernel's word before the engine's."""
        init = self.init_lane
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
    """The state after one more event, whatever order they come in."""
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
            state = replace(state, settled=True, lanes=tuple(_told(state, lane) for lane in state.lanes))
        case Kind.DELIVERED | Kind.REQUESTED | Kind.STOPPED | Kind.STARTED | Kind.REMOVED | Kind.NOTE | Kind.FAILED:
            pass
    state = _with_phases(state)
    return replace(state, verdict=_judge(state))


def _signalled(state: StopState, event: StopEvent) -> StopState:
    """Note a signal on its process's lane; the engine's SIGKILL is the end, not something a process is told."""
    if event.signal == SIGKILL and event.source is Source.ENGINE:
        return state
    told = event.signal != SIGKILL
    return _lane(state, event, lambda lane: replace(lane, got_signal=lane.got_signal or told, signal=event.signal))


def _lane(state: StopState, event: StopEvent, change: Callable[[Lane], Lane]) -> StopState:
    def is_meant(lane: Lane) -> bool:
        return lane.id == event.id if event.id else lane.container_pid == event.container_pid

    return replace(state, lanes=tuple(change(lane) if is_meant(lane) else lane for lane in state.lanes))


def _told(state: StopState, lane: Lane) -> Lane:
    """At the end: a signal that was not seen was not sent, if all were recorded or it would have ended the process."""
    if lane.got_signal is not None or lane.id.pid == state.plan.pid:
        return lane
    forecast = next((one for one in state.plan.forecasts if one.id == lane.id), None)
    would_have_ended = forecast is not None and forecast.effect in (Effect.TERMINATES, Effect.DUMPS_CORE)
    if state.plan.traced or (would_have_ended and lane.ended_by == "SIGKILL"):
        return replace(lane, got_signal=False)
    return lane


def _with_phases(state: StopState) -> StopState:
    """Phase 1 begins with the engine's first signal to PID 1, phase 2 with its SIGKILL; PID 1's end ends both."""
    asked = _first_signal(state, lambda signal: signal != SIGKILL)
    killed = _first_signal(state, lambda signal: signal == SIGKILL)
    ended = state.ended_at
    if asked is None:
        asked = killed
    if asked is None:
        return replace(state, phase_1=None, phase_2=None)
    first_end = killed if killed is not None else ended
    phase_1 = Phase(asked, None if first_end is None else max(asked, first_end))
    phase_2 = None if killed is None else Phase(killed, None if ended is None else max(killed, ended))
    return replace(state, phase_1=phase_1, phase_2=phase_2)


def _first_signal(state: StopState, is_meant: Callable[[int | None], bool]) -> float | None:
    """When the engine first sent such a signal. Events are in the order of time."""
    times = (
        event.at
        for event in state.events
        if event.kind is Kind.SIGNAL and event.source is Source.ENGINE and is_meant(event.signal)
    )
    return next(times, None)


def _judge(state: StopState) -> Verdict | None:
    kinds = [event.kind for event in state.events]
    if state.ended_at is None:
        return Verdict.FAILED if Kind.FAILED in kinds else None
    if Kind.STARTED in kinds and max(e.at for e in state.events if e.kind is Kind.STARTED) >= state.ended_at:
        return Verdict.RESTARTED
    init = state.init_lane
    if init is not None and init.ended_by is not None:  # the kernel tells an exit with 137 from SIGKILL
        return Verdict.KILLED if init.ended_by == "SIGKILL" else Verdict.GRACEFUL
    return Verdict.KILLED if state.exit_code == 128 + SIGKILL else Verdict.GRACEFUL


def already_stopped(plan: StopPlan, at: float, exit_code: int | None) -> StopState:
    """The end of a stop that had nothing to stop."""
    return replace(begin(plan, at), verdict=Verdict.ALREADY_STOPPED, settled=True, exit_code=exit_code)


def failed_to_begin(plan: StopPlan, at: float, why: str) -> StopState:
    """The end of a stop that could not be asked for; `why` is a sentence."""
    state = fold(begin(plan, at), StopEvent(at, Kind.FAILED, Source.ENGINE, detail=why))
    return fold(state, StopEvent(at, Kind.SETTLED, Source.ENGINE))


_WHY_IT_STAYED = {
    Delivery.DROPPED: "PID 1 has no handler for {signal}, and the kernel drops such a signal to PID 1.",
    Delivery.IGNORED: "PID 1 ignores {signal}.",
    Delivery.PENDING: "PID 1 blocks {signal} and nothing in it awaits it.",
    Delivery.DEFERRED: "PID 1 is a shell whose trap for {signal} waits until its foreground child ends.",
    Delivery.HANDLER: "PID 1 has a handler for {signal}, but the handler did not end it in time.",
    Delivery.SIGWAIT: "PID 1 waits for {signal} itself, but did not end in time.",
    Delivery.SIGNALFD: "PID 1 reads {signal} from a signalfd, but did not end in time.",
}


def explain(state: StopState) -> tuple[str, ...]:
    """The verdict in words, the main sentence first; empty while the stop is under way."""
    match state.verdict:
        case None if state.settled and state.phase_2 is None:
            signal = name_of(state.plan.signal)
            return (
                f"It was a lone signal, not a stop: the engine sent no SIGKILL after {signal}; the container runs on.",
            )
        case None:
            return ()
        case Verdict.ALREADY_STOPPED:
            return ("It was not running: nothing was sent.",)
        case Verdict.FAILED:
            failures = [event.detail for event in state.events if event.kind is Kind.FAILED]
            return (f"The stop failed: {failures[-1]}",)
        case Verdict.KILLED:
            main = _killed(state)
        case Verdict.GRACEFUL:
            main = (f"Ended by itself after {_seconds(state.duration_s)} {_how(state)}.",)
        case Verdict.RESTARTED:
            main = (f"Ended after {_seconds(state.duration_s)} {_how(state)}, and was started again.",)
    return (*main, *_fate_of_children(state))


def _killed(state: StopState) -> tuple[str, ...]:
    signal = name_of(state.plan.signal)
    after = f"killed after {_seconds(state.duration_s)} (SIGKILL, exit code 137)"
    if state.out_of_memory and state.phase_2 is None:  # with a SIGKILL of the engine's it was a child that was killed
        return (f"Out of memory: {after} by the kernel.",)
    if state.phase_2 is None:
        return (f"{after[0].upper()}{after[1:]}, but not by this stop: the engine sent no SIGKILL.",)
    first_phase = state.phase_1
    if state.plan.signal == SIGKILL:
        return (f"{after[0].upper()}{after[1:]}: its stop signal is SIGKILL.",)
    if first_phase is None or not any(_is_stop_signal(event) for event in state.events):
        return (f"{after[0].upper()}{after[1:]}: SIGKILL was the first signal, as with docker kill or docker rm -f.",)
    forecast = next((one for one in state.plan.forecasts if one.id.pid == state.plan.pid), None)
    why = _WHY_IT_STAYED.get(forecast.delivery, "") if forecast else ""
    return (f"Did not end on {signal}: {after}.", *([why.format(signal=signal)] if why else []))


def _is_stop_signal(event: StopEvent) -> bool:
    return event.kind is Kind.SIGNAL and event.source is Source.ENGINE and event.signal != SIGKILL


def _how(state: StopState) -> str:
    init = state.init_lane
    ended_by = init.ended_by if init and init.ended_by is not None else state.exit_code
    if isinstance(ended_by, str):
        code = f" (exit code {state.exit_code})" if state.exit_code is not None else ""
        return f"by {ended_by}{code}"
    return f"with status {ended_by}" if ended_by is not None else "with a status that was not seen"


def _fate_of_children(state: StopState) -> tuple[str, ...]:
    """One sentence a child that was killed with PID 1, at most three; the rest are counted."""
    signal, ended = name_of(state.plan.signal), state.ended_at
    killed = [
        lane for lane in state.lanes
        if lane.id.pid != state.plan.pid and lane.ended_by == "SIGKILL" and ended is not None
        and lane.ended_at is not None and lane.ended_at >= ended - 0.05
    ]  # fmt: skip
    fate = {
        True: f"got {signal}, had not ended and was killed with PID 1",
        False: f"never got {signal} and was killed with PID 1",
        None: "was killed with PID 1; Docker itself sent it nothing before",
    }
    sentences = [f"Process {lane.container_pid} {fate[lane.got_signal]}." for lane in killed[:3]]
    if len(killed) > 3:
        sentences.append(f"So were {len(killed) - 3} more.")
    return tuple(sentences)


_HAPPENED = {
    Kind.REQUESTED: "requested",
    Kind.STOPPED: "the stop is done",
    Kind.STARTED: "the container was started",
    Kind.REMOVED: "the container was removed",
    Kind.OUT_OF_MEMORY: "out of memory",
    Kind.FAILED: "failed",
    Kind.SETTLED: "nothing more to come",
    Kind.NOTE: "",
}


def describe(event: StopEvent) -> str:
    """One event in words, without its time and source."""
    signal = name_of(event.signal) if event.signal else ""
    who = "a process" if event.container_pid is None else f"PID {event.container_pid}"
    match event.kind:
        case Kind.SIGNAL:
            said = f"{signal} to {who}"
        case Kind.DELIVERED:
            said = f"{who} takes {signal}"
        case Kind.ENDED:
            said = f"{who} ended{_ended_how(event.ended_by)}"
        case Kind.DIED:
            said = f"the container has ended{_ended_how(event.ended_by)}"
        case _:
            said = _HAPPENED[event.kind]
    return f"{said}: {event.detail}" if said and event.detail else said or event.detail or event.kind.value


def _ended_how(ended_by: int | str | None) -> str:
    if ended_by is None:
        return ""
    return f" with status {ended_by}" if isinstance(ended_by, int) else f" by {ended_by}"


def _seconds(duration_s: float | None) -> str:
    if duration_s is None:
        return "an unknown time"
    return f"{duration_s:.2f} s" if duration_s < 1 else f"{duration_s:.1f} s"
