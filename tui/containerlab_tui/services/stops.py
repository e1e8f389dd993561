"""Runs or follows one stop of one container and reports its state at every change.

Four threads feed one queue: the engine's events, the pidfds of the container's processes (opened before the
signal is sent), the kernel's record of signals where it can be had, and the request itself. The caller's
thread folds the queue; nothing polls the engine.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from containerlab_probes.errors import BadRequest, ContainerlabError, Unsupported
from containerlab_probes.forecast import forecast
from containerlab_probes.records import Lost, Process, ProcessId, TraceRecord
from containerlab_probes.signals import ExitWatch, name_of, number_of
from containerlab_tui.core.doctor_compare import read_late
from containerlab_tui.core.doctor_facts import Diagnosis
from containerlab_tui.core.inventory import Details, EngineEvent
from containerlab_tui.core.kernel_record import as_stop_event
from containerlab_tui.core.stop import (
    SIGKILL,
    Kind,
    Source,
    StopEvent,
    StopPlan,
    StopState,
    already_stopped,
    begin,
    fold,
)
from containerlab_tui.engine.api import Engine
from containerlab_tui.services.diagnosis import foretell
from containerlab_tui.services.history import History
from containerlab_tui.services.processes import children_of, see_processes
from containerlab_tui.services.recording import Recording

STRAGGLERS_S = 0.5
"""How long after PID 1's end the other processes' ends are waited for: the kernel kills them with it."""
GATHER_S = 0.03
"""The engine, pidfds and the trace tell of one moment a little apart: what comes so close together is put in order."""
FORETELL_S = 2.0
"""How long the doctor may take before a stop goes on without its forecast; it takes some hundredths of a second."""
RESTART_S = 1.0
"""How long after the end of a stop begun elsewhere a `start` event is waited for, as `docker restart` gives."""

SURVIVED_S = 14.0
"""How long after the grace period of a stop begun elsewhere its SIGKILL or the container's end is waited for. Where
neither comes it was no stop but a lone signal, such as `docker kill --signal TERM`, that the container outlived."""


def plan_stop(engine: Engine, container: str, signal: int | None = None, timeout_s: int | None = None) -> StopPlan:
    """What a stop of this container would do, before anything is sent.

    Raises Gone (no such container), Unreachable, BadRequest (no such signal).
    """
    details = engine.inspect(container)
    seen, reason = see_processes(engine, details)
    number = number_of(details.stop_signal) if signal is None else signal
    if number == 0:
        raise BadRequest("Signal 0 stops nothing: name a signal such as SIGTERM.")
    return StopPlan(
        container=details.id,
        name=details.name,
        signal=number,
        signal_source=details.stop_signal_source if signal is None else "request",
        timeout_s=details.stop_timeout_s if timeout_s is None else timeout_s,
        timeout_source=details.stop_timeout_source if timeout_s is None else "request",
        processes=seen,
        forecasts=tuple(forecast(process, number, children_of(process, seen)) for process in seen),
        pid=details.pid,
        blind_reason=reason,
        image=details.image,
    )


def run_stop(
    engine: Engine,
    plan: StopPlan,
    on_change: Callable[[StopState], None] = lambda state: None,
    history: History | None = None,
) -> StopState:
    """Stop the container as planned; answers when all is over. `on_change` gets every state on the way.

    `history` is where the stop is remembered.
    """
    details = engine.inspect(plan.container)
    if details.state not in ("running", "paused", "restarting"):
        state = already_stopped(plan, time.time(), details.exit_code)
        on_change(state)
        return state
    plan = replace(plan, foretold=_foretold(engine, plan))
    watch = _Watch(engine, plan, began=time.time(), on_change=on_change)
    watch.request(lambda clone: _ask_engine(clone, plan, details, watch))
    return _remembered(watch.run(), history, on_change)


def _remembered(state: StopState, history: History | None, on_change: Callable[[StopState], None]) -> StopState:
    """The stop is kept; where that fails, the timeline says so."""
    remark = history.remember(state, state.plan.image) if history is not None else ""
    if remark:
        state = fold(state, StopEvent(time.time(), Kind.NOTE, Source.ENGINE, detail=remark))
        on_change(state)
    return state


def _foretold(engine: Engine, plan: StopPlan) -> Diagnosis | None:
    """What the doctor says; a stop doesn't wait for it for long."""
    answers: queue.SimpleQueue[Diagnosis | None] = queue.SimpleQueue()

    def work() -> None:
        clone = engine.clone()
        try:
            answers.put(foretell(clone, plan))
        finally:
            clone.close()

    threading.Thread(target=work, name="stop-forecast", daemon=True).start()
    try:
        return answers.get(timeout=FORETELL_S)
    except queue.Empty:
        return None


def follow_stop(
    engine: Engine,
    plan: StopPlan,
    since: float,
    on_change: Callable[[StopState], None] = lambda state: None,
    history: History | None = None,
    *,
    survived_s: float = SURVIVED_S,
) -> StopState:
    """Follow a stop that something else began at `since` (epoch seconds); sends nothing.

    Settles without a verdict where neither the end nor SIGKILL has come `survived_s` after the grace period;
    follows without limit where the container waits for ever.
    """
    watch = _Watch(engine, plan, began=since, on_change=on_change, survived_s=survived_s)
    watch.foretell()  # the watchers are in place, so what happens meanwhile isn't missed
    return _remembered(watch.run(), history, on_change)


def begins_stop(event: EngineEvent, details: Details) -> bool:
    """Whether an engine event is the first sign of a stop: the stop signal to PID 1, or SIGKILL outright."""
    if event.action != "kill":
        return False
    return event.attributes.get("signal") in (str(number_of(details.stop_signal)), str(SIGKILL))


def _ask_engine(engine: Engine, plan: StopPlan, details: Details, watch: "_Watch") -> None:
    """The request itself, in a thread of its own; returns when the engine says that the stop is done."""
    timeout_s = None if plan.timeout_source != "request" else int(plan.timeout_s)
    if plan.signal_source != "request" or plan.signal == number_of(details.stop_signal):
        engine.stop(plan.container, timeout_s)
        return
    try:
        engine.stop(plan.container, int(plan.timeout_s), name_of(plan.signal))
    except Unsupported as why:
        watch.note(f"{why} The two phases are run from here: docker kill, the grace period, then stop with 0 s.")
        engine.kill(plan.container, name_of(plan.signal))
        if not watch.wait_for_end(plan.timeout_s):
            engine.stop(plan.container, 0)


@dataclass(frozen=True, slots=True)
class _Recorded:
    """A batch of the kernel's record."""

    records: tuple[TraceRecord, ...]


@dataclass(frozen=True, slots=True)
class _Answered:
    """The request has returned, or ended with an error."""

    error: str = ""


_Item = StopEvent | _Answered | _Recorded


class _Watch:
    """One stop under way."""

    def __init__(
        self,
        engine: Engine,
        plan: StopPlan,
        began: float,
        on_change: Callable[[StopState], None],
        survived_s: float = SURVIVED_S,
    ) -> None:
        self._engine = engine
        self._survived_s = survived_s
        self._on_change = on_change
        self._queue: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._asked = False
        # A second back: the engine's clock and ours are one, but the event may be older than our wish.
        self._events = engine.clone().events(since=began - 1.0)
        ids = tuple(process.id for process in plan.processes)
        self._exits = ExitWatch(ids)
        self._ends: dict[ProcessId, int | str | None] = {}
        """Ends that have been told, each with its status where that was known."""
        self._known = {process.pid: process for process in plan.processes}
        self._recording = Recording(ids, lambda records: self._queue.put(_Recorded(records))) if ids else None
        recorded = self._recording is not None and not self._recording.blind
        # What came before the recording of a stop begun elsewhere is not known, so nothing is called unsent.
        self._state = begin(replace(plan, traced=recorded and not plan.begun_elsewhere), began)

    def request(self, ask: Callable[[Engine], None]) -> None:
        """Begin the stop with `ask`, which blocks until the engine has answered."""
        self._asked = True

        def work() -> None:
            engine = self._engine.clone()
            try:
                ask(engine)
                self._queue.put(_Answered())
            except ContainerlabError as error:
                self._queue.put(_Answered(str(error)))
            finally:
                engine.close()

        self._state = replace(self._state, began=time.time())  # all watchers are in place by now
        plan = self._state.plan
        self._put(Kind.REQUESTED, detail=f"stop with {name_of(plan.signal)}, grace period {plan.timeout_s:g} s")
        threading.Thread(target=work, name="stop-request", daemon=True).start()

    def foretell(self) -> None:
        """Ask the doctor while the stop is under way."""
        plan = self._state.plan
        foretold = _foretold(self._engine, plan)
        self._state = replace(self._state, plan=replace(plan, foretold=foretold and read_late(foretold)))

    def note(self, text: str) -> None:
        self._put(Kind.NOTE, detail=text)

    def wait_for_end(self, timeout_s: float) -> bool:
        """Whether PID 1 has ended within the time; for ever where it is negative."""
        return self._ended.wait(None if timeout_s < 0 else timeout_s)

    def run(self) -> StopState:
        """Fold what comes until nothing more can come."""
        for work in (self._read_events, self._read_exits):
            threading.Thread(target=work, name="stop-watch", daemon=True).start()
        try:
            self._on_change(self._state)
            answered = not self._asked
            deadline: float | None = None
            survived = self._survival()
            while True:
                try:
                    items = self._gather(deadline or (None if self._is_ending() else survived))
                except queue.Empty:
                    break
                answered = self._take_all(items) or answered
                if self._is_over(answered):
                    break
                deadline = deadline or self._deadline(answered)
        finally:
            self._events.close()
            self._exits.close()
            self._end_recording()
        self._take(StopEvent(time.time(), Kind.SETTLED, Source.ENGINE))
        return self._state

    def _is_over(self, answered: bool) -> bool:
        """Everything has been seen: no need to wait for a deadline."""
        state = self._state
        if answered and any(event.kind is Kind.FAILED for event in state.events) and self._asked:
            return True
        everyone = all(lane.ended_at is not None for lane in state.lanes)
        return self._asked and answered and state.died_at is not None and everyone

    def _survival(self) -> float | None:
        """When a stop begun elsewhere is over because nothing came of it; None where that can't be said."""
        plan = self._state.plan
        if self._asked or plan.timeout_s < 0:
            return None
        return time.monotonic() + max(0.0, self._state.began + plan.timeout_s + self._survived_s - time.time())

    def _is_ending(self) -> bool:
        """PID 1 has ended, or SIGKILL was sent: the engine's word that the container has ended will come."""
        state = self._state
        return state.ended_at is not None or state.phase_2 is not None

    def _deadline(self, answered: bool) -> float | None:
        """When to stop waiting for more, once PID 1 has ended."""
        if self._state.died_at is None or not answered:
            return None
        return time.monotonic() + (STRAGGLERS_S if self._asked else RESTART_S)

    def _take(self, event: StopEvent) -> None:
        self._state = fold(self._state, event)
        if self._state.ended_at is not None:
            self._ended.set()
        self._on_change(self._state)

    def _gather(self, deadline: float | None) -> list[_Item]:
        """What comes next, with all that comes within `GATHER_S` of it. Raises queue.Empty at the deadline."""
        items = [self._queue.get(timeout=_left(deadline))]
        time.sleep(GATHER_S)
        return items + self._waiting()

    def _waiting(self) -> list[_Item]:
        items = []
        with contextlib.suppress(queue.Empty):
            while True:
                items.append(self._queue.get_nowait())
        return items

    def _take_all(self, items: Iterable[_Item]) -> bool:
        """Fold them in the order of time; whether the request has been answered among them."""
        events: list[StopEvent] = []
        answered = False
        for item in items:
            match item:
                case _Answered():
                    answered = True
                    if item.error:
                        events.append(StopEvent(time.time(), Kind.FAILED, Source.ENGINE, detail=item.error))
                case _Recorded():
                    events += self._recorded(item.records)
                case _:
                    events.append(item)
        for event in self._each_end_once(sorted(events, key=lambda event: event.at)):
            self._take(event)
        return answered

    def _each_end_once(self, events: Sequence[StopEvent]) -> Iterator[StopEvent]:
        """The trace and a pidfd tell of the same end: the first one counts, unless only the other says how."""
        ends: dict[ProcessId, StopEvent] = {}
        for event in events:
            if event.kind is Kind.ENDED and event.id is not None:
                first = ends.setdefault(event.id, event)
                if first.ended_by is None and event.ended_by is not None:
                    ends[event.id] = event
        for event in events:
            if event.kind is not Kind.ENDED or event.id is None:
                yield event
            elif event is ends[event.id] and self._ends.get(event.id) is None:
                self._ends[event.id] = event.ended_by
                yield event

    def _recorded(self, records: tuple[TraceRecord, ...]) -> Iterator[StopEvent]:
        for record in records:
            if isinstance(record, Lost):
                self._state = replace(self._state, plan=replace(self._state.plan, traced=False))
                lost = f"{record.count or 'some'} events of the kernel's record were lost"
                yield StopEvent(record.at, Kind.NOTE, Source.KERNEL, detail=lost)
            elif event := as_stop_event(record, self._known):
                yield event

    def _end_recording(self) -> None:
        """Close it and take what it still had."""
        if self._recording is not None:
            self._recording.close()
        self._take_all(self._waiting())

    def _put(self, kind: Kind, detail: str = "") -> None:
        self._queue.put(StopEvent(time.time(), kind, Source.ENGINE, detail=detail))

    def _read_events(self) -> None:
        try:
            for event in self._events:
                if event.container == self._state.plan.container and event.time >= self._state.began - 0.001:
                    translated = translate(event, self._state.plan.init)
                    if translated:
                        self._queue.put(translated)
        except ContainerlabError as error:
            self._queue.put(_Answered(str(error)))

    def _read_exits(self) -> None:
        container_pid = {process.id: process.container_pid for process in self._state.plan.processes}
        while container_pid:
            exits = self._exits.wait(None)
            if not exits:
                return
            for ended in exits:
                # Their times are those of the waking-up: a little late, and later on a busy machine.
                self._queue.put(
                    StopEvent(
                        ended.at, Kind.ENDED, Source.KERNEL, ended.id, container_pid.pop(ended.id), None, ended.ended_by
                    )
                )


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())


_KINDS = {
    "kill": Kind.SIGNAL,
    "die": Kind.DIED,
    "stop": Kind.STOPPED,
    "start": Kind.STARTED,
    "destroy": Kind.REMOVED,
    "oom": Kind.OUT_OF_MEMORY,
}


def translate(event: EngineEvent, init: Process | None) -> StopEvent | None:
    """An engine event as a stop sees it; None where it says nothing about a stop. `init` is whom signals are for."""
    kind = _KINDS.get(event.action)
    if kind is None:
        return None
    signal = event.attributes.get("signal", "")
    code = event.attributes.get("exitCode", "")
    return StopEvent(
        at=event.time,
        kind=kind,
        source=Source.ENGINE,
        id=init.id if init and kind is Kind.SIGNAL else None,
        container_pid=(init.container_pid if init else 1) if kind is Kind.SIGNAL else None,
        signal=int(signal) if kind is Kind.SIGNAL and signal.isdigit() else None,
        ended_by=int(code) if code.lstrip("-").isdigit() else None,
    )
