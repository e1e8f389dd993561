"""Watches one stop under way and folds what comes into its state.

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
from typing import Protocol

from containerlab_probes.errors import ContainerlabError
from containerlab_probes.records import Lost, Process, ProcessId, TraceRecord
from containerlab_probes.signals.exits import Exit, ExitWatch
from containerlab_probes.signals.names import name_of
from containerlab_tui.engine.api import Engine, EventSource
from containerlab_tui.model.diagnosis import Diagnosis
from containerlab_tui.model.inventory import EngineEvent
from containerlab_tui.model.kernel_trace import as_stop_event
from containerlab_tui.model.stop import Kind, Source, StopEvent, StopPlan, StopState, begin, fold
from containerlab_tui.present.states import grace_period
from containerlab_tui.services.kernel_trace import KernelTrace, Record

STRAGGLERS_S = 0.5
"""How long after PID 1's end the other processes' ends are waited for: the kernel kills them with it."""
GATHER_S = 0.03
"""The engine, pidfds and the trace tell of one moment a little apart: what comes so close together is put in order."""
RESTART_S = 1.0
"""How long after the end of a stop begun elsewhere a `start` event is waited for, as `docker restart` gives."""
SURVIVED_S = 14.0
"""How long after the grace period of a stop begun elsewhere its SIGKILL or the container's end is waited for. Where
neither comes it was no stop but a lone signal, such as `docker kill --signal TERM`, that the container outlived."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A batch of the kernel's record."""

    records: tuple[TraceRecord, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """The request has returned, or ended with an error."""

    error: str = ""


Item = StopEvent | Answered | Recorded


class Exits(Protocol):
    """What the monitor needs of `ExitWatch`."""

    def wait(self, timeout_s: float | None = None) -> tuple[Exit, ...]: ...

    def close(self) -> None: ...


WatchExits = Callable[[Iterable[ProcessId]], Exits]


class Inbox:
    """What the threads of a monitor have found, in the order it came. `clock` counts as time.monotonic does."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._queue: queue.SimpleQueue[Item] = queue.SimpleQueue()

    def put(self, item: Item) -> None:
        """Adds an item, from any thread."""
        self._queue.put(item)

    def gather(self, deadline: float | None) -> list[Item]:
        """Returns the next item and all that come within `GATHER_S` of it. Raises queue.Empty at the deadline."""
        left = None if deadline is None else max(0.0, deadline - self.clock())
        items = [self._queue.get(timeout=left)]
        time.sleep(GATHER_S)
        return items + self.rest()

    def rest(self) -> list[Item]:
        """Returns what is there now."""
        items = []
        with contextlib.suppress(queue.Empty):
            while True:
                items.append(self._queue.get_nowait())
        return items


class StopMonitor:
    """One stop under way."""

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
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`events` is a source that is shared; without it this stop opens a stream of its own."""
        self._engine, self._clock = engine, clock
        self._survived_s = survived_s
        self._on_change = on_change
        self._queue = inbox or Inbox()
        self._ended = threading.Event()
        self._asked = False
        # A second back: the engine's clock and ours are one, but the event may be older than our wish.
        self._own: Engine | None = None
        if events is None:
            events = self._own = engine.clone()
        self._events = events.events(since=began - 1.0)
        ids = tuple(process.id for process in plan.processes)
        self._exits = watch_exits(ids)
        self._ends: dict[ProcessId, int | str | None] = {}
        """Ends that have been told, each with its status where that was known."""
        self._known = {process.pid: process for process in plan.processes}
        self._recording = record(ids, lambda records: self._queue.put(Recorded(records))) if ids else None
        recorded = self._recording is not None and not self._recording.blind
        # What came before the recording of a stop begun elsewhere is not known, so nothing is called unsent.
        self._state = begin(replace(plan, traced=recorded and not plan.started_elsewhere), began)

    def request(self, ask: Callable[[Engine], None]) -> None:
        """Begin the stop with `ask`, which blocks until the engine has answered."""
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

        self._state = replace(self._state, began=self._clock())  # all watchers are in place by now
        plan = self._state.plan
        grace = grace_period(plan.timeout_s)
        self._put(Kind.REQUESTED, detail=f"stop with {name_of(plan.signal)}, grace period {grace}")
        threading.Thread(target=work, name="stop-request", daemon=True).start()

    def set_prediction(self, prediction: Diagnosis | None) -> None:
        """Take over what the doctor says while the stop is under way. To be called before `run`."""
        self._state = replace(self._state, plan=replace(self._state.plan, prediction=prediction))

    def note(self, text: str) -> None:
        self._put(Kind.NOTE, detail=text)

    def wait_for_end(self, timeout_s: float) -> bool:
        """Whether PID 1 has ended within the time; without limit where it is negative."""
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
                    items = self._queue.gather(deadline or (None if self._is_ending() else survived))
                except queue.Empty:
                    break
                answered = self._take_all(items) or answered
                if self._is_over(answered):
                    break
                deadline = deadline or self._deadline(answered)
        finally:
            self._events.close()
            if self._own is not None:
                self._own.close()
            self._exits.close()
            self._end_recording()
        self._take(StopEvent(self._clock(), Kind.SETTLED, Source.ENGINE))
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
        return self._queue.clock() + max(0.0, self._state.began + plan.timeout_s + self._survived_s - self._clock())

    def _is_ending(self) -> bool:
        """PID 1 has ended, or SIGKILL was sent: the engine's word that the container has ended will come."""
        state = self._state
        return state.ended_at is not None or state.phase_2 is not None

    def _deadline(self, answered: bool) -> float | None:
        """When to stop waiting for more, once PID 1 has ended."""
        if self._state.died_at is None or not answered:
            return None
        return self._queue.clock() + (STRAGGLERS_S if self._asked else RESTART_S)

    def _take(self, event: StopEvent) -> None:
        self._state = fold(self._state, event)
        if self._state.ended_at is not None:
            self._ended.set()
        self._on_change(self._state)

    def _take_all(self, items: Iterable[Item]) -> bool:
        """Fold them in the order of time; whether the request has been answered among them."""
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
        self._take_all(self._queue.rest())

    def _put(self, kind: Kind, detail: str = "") -> None:
        self._queue.put(StopEvent(self._clock(), kind, Source.ENGINE, detail=detail))

    def _read_events(self) -> None:
        try:
            for event in self._events:
                if event.container == self._state.plan.container and event.time >= self._state.began - 0.001:
                    translated = _translated(event, self._state.plan.init)
                    if translated:
                        self._queue.put(translated)
        except ContainerlabError as error:
            self._queue.put(Answered(str(error)))

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


_KINDS = {
    "kill": Kind.SIGNAL,
    "die": Kind.DIED,
    "stop": Kind.STOPPED,
    "start": Kind.STARTED,
    "destroy": Kind.REMOVED,
    "oom": Kind.OUT_OF_MEMORY,
}


def _translated(event: EngineEvent, init: Process | None) -> StopEvent | None:
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
