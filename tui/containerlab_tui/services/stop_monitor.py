"""Watches one stop in progress and updates its state.

Four threads feed one queue: the engine's events, the pidfds of the container's processes (opened before the
signal is sent), the kernel trace if available, and the request itself. The caller's
thread folds the queue; nothing polls the engine.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from containerlab_probes.errors import ContainerlabError
from containerlab_probes.records import Process, ProcessId
from containerlab_probes.signals.exits import Exit, ExitWatch
from containerlab_probes.signals.names import name_of
from containerlab_probes.trace_records import LostEvents, TraceRecord
from containerlab_tui.engine.api import Engine, EventSource
from containerlab_tui.model.diagnosis import Diagnosis
from containerlab_tui.model.grace import grace_period
from containerlab_tui.model.inventory import EngineEvent
from containerlab_tui.model.kernel_trace import as_stop_event
from containerlab_tui.model.stop import Kind, Source, StopEvent, StopPlan, StopState, begin, fold
from containerlab_tui.services.kernel_trace import START_S, KernelTrace, Record, Recording, start_within

STRAGGLERS_S = 0.5
"""Time to wait for the other exits after PID 1's: the kernel kills all processes with it."""
GATHER_S = 0.03
"""Sources report the same moment with some skew; items within this time are sorted by time."""
ANSWERED_S = 5.0
"""After the engine's answer, time to wait for its event of the exit. A stop that came too late has none."""
CLOCK_STEP_S = 2.0
"""The clock was set back if it lost this much: then times are put into the clock of the stop's beginning."""
RESTART_S = 1.0
"""After a stop started elsewhere, time to wait for the `start` event of `docker restart`."""
SURVIVED_S = 14.0
"""After the grace period of a stop started elsewhere, time to wait for SIGKILL or the exit. Without either it was not a
stop but a single signal, such as `docker kill --signal TERM`, that the container survived."""
EVENT_LOST_S = 60.0
"""After the exit of PID 1 in a stop started elsewhere, time to wait for the engine's event: an engine that was
restarted meanwhile has forgotten it."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A batch of the kernel trace."""

    records: tuple[TraceRecord, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """The request has returned or failed."""

    error: str = ""


Item = StopEvent | Answered | Recorded


class Exits(Protocol):
    """The part of `ExitWatch` that the monitor uses."""

    def wait(self, timeout_s: float | None = None) -> tuple[Exit, ...]: ...

    def close(self) -> None: ...


WatchExits = Callable[[Iterable[ProcessId]], Exits]


class Inbox:
    """The queue of items from the monitor's threads. `clock` is like time.monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._queue: queue.SimpleQueue[Item] = queue.SimpleQueue()

    def put(self, item: Item) -> None:
        """Adds an item, from any thread."""
        self._queue.put(item)

    def gather(self, deadline: float | None) -> list[Item]:
        """Returns the next item and all within `GATHER_S` of it. Raises queue.Empty at the deadline."""
        left = None if deadline is None else max(0.0, deadline - self.clock())
        items = [self._queue.get(timeout=left)]
        time.sleep(GATHER_S)
        return items + self.rest()

    def rest(self) -> list[Item]:
        """Returns the waiting items."""
        items = []
        with contextlib.suppress(queue.Empty):
            while True:
                items.append(self._queue.get_nowait())
        return items


class StopMonitor:
    """Monitors one stop."""

    def __init__(
        self,
        engine: Engine,
        plan: StopPlan,
        began: float,
        on_change: Callable[[StopState], None],
        *,
        survived_s: float = SURVIVED_S,
        events: EventSource | None = None,
        inbox: Inbox | None = None,
        watch_exits: WatchExits = ExitWatch,
        record: Record = KernelTrace,
        trace_start_s: float = START_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`events` is a shared source; without it this stop opens its own stream.

        Returns after at most `trace_start_s`, with or without a trace.
        """
        self._engine, self._clock = engine, clock
        self._survived_s = survived_s
        self._on_change = on_change
        self._queue = inbox or Inbox()
        self._steady = clock() - self._queue.clock()
        self._ended = threading.Event()
        self._asked = False
        self._own: Engine | None = None
        if events is None:
            events = self._own = engine.clone()
        # One second earlier: the event may be older than the start of this monitor.
        self._events = events.events(since=began - 1.0)
        ids = tuple(process.id for process in plan.processes)
        self._exits = watch_exits(ids)
        self._ends: dict[ProcessId, int | str | None] = {}
        """Reported exits, each with its status if known."""
        self._known = {process.pid: process for process in plan.processes}
        self._recording = self._start_recording(ids, record, trace_start_s)
        recorded = self._recording is not None and not self._recording.no_trace_reason
        # Signals before the trace of a stop started elsewhere are unknown, so no process counts as not signalled.
        self._state = begin(replace(plan, traced=recorded and not plan.started_elsewhere), began)

    def _start_recording(self, ids: tuple[ProcessId, ...], record: Record, limit_s: float) -> Recording | None:
        """Starts the kernel trace of these processes; None if there are none."""
        if not ids:
            return None
        return start_within(limit_s, record, ids, lambda records: self._queue.put(Recorded(records)))

    def request(self, ask: Callable[[Engine], None]) -> None:
        """Starts the stop with `ask`, which blocks until the engine has answered."""
        self._asked = True

        def work() -> None:
            engine = self._engine.clone()
            try:
                ask(engine)
                self._queue.put(Answered())
            except ContainerlabError as error:
                self._queue.put(Answered(str(error)))
            except Exception as error:  # noqa: BLE001  a defect here must not leave the stop waiting forever
                self._queue.put(Answered(f"unexpected {type(error).__name__}: {error}"))
            finally:
                engine.close()

        plan = self._state.plan
        if not self._engine.local:
            with contextlib.suppress(ContainerlabError):
                # Leaves an open connection for the request: making one over ssh would count as a part of the stop.
                self._engine.inspect(plan.container)
        self._state = replace(self._state, began=self._clock())  # all watchers are running now
        grace = grace_period(plan.timeout_s)
        self._put(Kind.REQUESTED, detail=f"stop with {name_of(plan.signal)}, grace period {grace}")
        threading.Thread(target=work, name="stop-request", daemon=True).start()

    def set_prediction(self, prediction: Diagnosis | None) -> None:
        """Sets the doctor's prediction. Call it before `run`."""
        self._state = replace(self._state, plan=replace(self._state.plan, prediction=prediction))

    def note(self, text: str) -> None:
        self._put(Kind.NOTE, detail=text)

    def wait_for_end(self, timeout_s: float) -> bool:
        """Waits for the exit of PID 1. Returns whether it exited in time; a negative time is no limit."""
        return self._ended.wait(None if timeout_s < 0 else timeout_s)

    def run(self) -> StopState:
        """Updates the state until the stop is finished. Returns the final state."""
        for work in (self._read_events, self._read_exits):
            threading.Thread(target=work, name="stop-watch", daemon=True).start()
        if self._recording is not None and self._recording.no_trace_reason:
            why = f"no kernel trace of this stop: {self._recording.no_trace_reason}"
            self._queue.put(StopEvent(self._clock(), Kind.NOTE, Source.KERNEL, detail=why))
        try:
            self._on_change(self._state)
            answered = not self._asked
            deadline = lost = None
            survived = self._survival()
            while True:
                try:
                    items = self._queue.gather(deadline or lost or (None if self._is_ending() else survived))
                except queue.Empty:
                    self._give_up()
                    break
                answered = self._take_all(items) or answered
                if self._is_over(answered):
                    break
                deadline = min((one for one in (deadline, self._deadline(answered)) if one is not None), default=None)
                lost = lost or self._event_lost()
        finally:
            self._events.close()
            if self._own is not None:
                self._own.close()
            self._exits.close()
            self._end_recording()
        self._take(StopEvent(self._clock() + self._set_back(), Kind.SETTLED, Source.ENGINE))
        return self._state

    def _is_over(self, answered: bool) -> bool:
        """Returns whether everything was seen, so that no deadline is needed."""
        state = self._state
        if answered and any(event.kind is Kind.FAILED for event in state.events) and self._asked:
            return True
        everyone = all(lane.ended_at is not None for lane in state.lanes)
        return self._asked and answered and state.died_at is not None and everyone

    def _survival(self) -> float | None:
        """Returns the time after which a stop started elsewhere counts as survived; None if there is no limit."""
        plan = self._state.plan
        if self._asked or plan.timeout_s < 0:
            return None
        return self._queue.clock() + max(0.0, self._state.began + plan.timeout_s + self._survived_s - self._clock())

    def _is_ending(self) -> bool:
        """Returns whether PID 1 exited or SIGKILL was sent, so that the engine's event will follow."""
        state = self._state
        return state.ended_at is not None or state.phase_2 is not None

    def _deadline(self, answered: bool) -> float | None:
        """Returns the time to stop waiting after the exit of PID 1."""
        if not answered:
            return None
        if self._state.died_at is None:
            return self._queue.clock() + ANSWERED_S if self._asked else None
        return self._queue.clock() + (STRAGGLERS_S if self._asked else RESTART_S)

    def _event_lost(self) -> float | None:
        """Returns the time after which the engine's event of a seen exit counts as lost."""
        return None if self._asked or self._state.ended_at is None else self._queue.clock() + EVENT_LOST_S

    def _take(self, event: StopEvent) -> None:
        self._state = fold(self._state, event)
        if self._state.ended_at is not None:
            self._ended.set()
        self._on_change(self._state)

    def _take_all(self, items: Iterable[Item]) -> bool:
        """Takes items sorted by time. Returns whether the answer to the request is among them."""
        events: list[StopEvent] = []
        answered = False
        for item in items:
            match item:
                case Answered():
                    answered = True
                    if item.error:
                        events.append(StopEvent(self._clock(), Kind.FAILED, Source.ENGINE, detail=item.error))
                case Recorded():
                    events += self._recorded(item.records)
                case _:
                    events.append(item)
        if set_back_s := self._set_back():
            events = [replace(event, at=event.at + set_back_s) for event in events]
        for event in self._each_end_once(sorted(events, key=lambda event: event.at)):
            self._take(event)
        return answered

    def _give_up(self) -> None:
        """Says so if a requested stop has shown no exit: the container had exited before it was asked to stop."""
        if self._asked and self._state.ended_at is None:
            what = "The engine reported it as done, but no exit was seen; it may have exited just before."
            self._take(StopEvent(self._clock() + self._set_back(), Kind.FAILED, Source.ENGINE, detail=what))

    def _set_back(self) -> float:
        """Returns by how many seconds the clock was set back since this stop began; 0 if it wasn't."""
        lost_s = self._steady - (self._clock() - self._queue.clock())
        return lost_s if lost_s > CLOCK_STEP_S else 0.0

    def _each_end_once(self, events: Sequence[StopEvent]) -> Iterator[StopEvent]:
        """Yields each exit once: trace and pidfd both report it. The first with a status counts."""
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
            if isinstance(record, LostEvents):
                self._state = replace(self._state, plan=replace(self._state.plan, traced=False))
                lost = "1 event of" if record.count == 1 else f"{record.count or 'some'} events of"
                yield StopEvent(record.at, Kind.NOTE, Source.KERNEL, detail=f"lost {lost} the kernel trace")
            elif event := as_stop_event(record, self._known):
                yield event

    def _end_recording(self) -> None:
        """Closes the trace and takes its last records."""
        if self._recording is not None:
            self._recording.close()
        self._take_all(self._queue.rest())

    def _put(self, kind: Kind, detail: str = "") -> None:
        self._queue.put(StopEvent(self._clock(), kind, Source.ENGINE, detail=detail))

    def _read_events(self) -> None:
        """Reads the events of the run that is being stopped: after its exit, the next start ends them."""
        has_died = False
        try:
            for event in self._events:
                is_new = event.time + self._set_back() >= self._state.began - 0.001
                if is_new and event.container == self._state.plan.container:
                    translated = _translated(event, self._state.plan.init)
                    if translated:
                        self._queue.put(translated)
                    has_died = has_died or event.action == "die"
                    if has_died and event.action == "start":
                        return
        except ContainerlabError as error:
            self._queue.put(Answered(str(error)))

    def _read_exits(self) -> None:
        container_pid = {process.id: process.container_pid for process in self._state.plan.processes}
        while container_pid:
            exits = self._exits.wait(None)
            if not exits:
                return
            for ended in exits:
                # These times are those of the wake-up: slightly late, more so on a busy machine.
                self._queue.put(
                    StopEvent(
                        ended.at, Kind.ENDED, Source.KERNEL, ended.id, container_pid.pop(ended.id), None, ended.ended_by
                    )
                )


_KINDS = {
    "kill": Kind.SIGNAL,
    "die": Kind.DIED,
    "stop": Kind.STOPPED,
    "start": Kind.STARTED,
    "destroy": Kind.REMOVED,
    "oom": Kind.OUT_OF_MEMORY,
}


def _translated(event: EngineEvent, init: Process | None) -> StopEvent | None:
    """Translates an engine event; None if it is not about a stop. `init` is the target of signals."""
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
