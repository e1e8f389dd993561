"""The running program without its screens: its state, refreshers and active operations.

Results from other threads are delivered to the UI thread, added to the store there, and reported as one of
`session.changes`.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from containerlab_probes.errors import ContainerlabError
from containerlab_tui.model.inventory import Changed, Connected, Disconnected, Event, Snapshot
from containerlab_tui.model.product import DOCKER
from containerlab_tui.services.policy import Policy
from containerlab_tui.session.changes import (
    Change,
    ContainersChanged,
    ContainersLearned,
    EngineDescribed,
    EngineFound,
    EngineLost,
    EngineReported,
    LoadsRead,
    Notice,
    SignalsSent,
)
from containerlab_tui.session.kernel import Kernel
from containerlab_tui.session.record_queue import RecordQueue
from containerlab_tui.session.store import Inspected, Store
from containerlab_tui.session.threads import Engines, attempt, in_own_thread, pool

if TYPE_CHECKING:
    from containerlab_probes.records import Process
    from containerlab_tui.config import Settings
    from containerlab_tui.engine.api import Engine, EventSource
    from containerlab_tui.model.entry import Entry
    from containerlab_tui.model.inventory import Container, Details, EngineEvent, EngineRecord
    from containerlab_tui.model.views import Sent
    from containerlab_tui.services.own_changes import OwnChanges
    from containerlab_tui.services.signal_watch import SignalWatch
    from containerlab_tui.session.active_stops import ActiveStops
    from containerlab_tui.session.inspectors import Inspectors
    from containerlab_tui.session.refreshers import DetailsReader, LoadReader, Loads
    from containerlab_tui.session.stop_effects import StopEffects

T = TypeVar("T")

DRAW_EVERY_S = 0.1
"""Changes of containers are reported at most this often; the first of several at once."""
SENT_KEPT = 500

Deliver = Callable[[Callable[[], object]], object]
"""Calls a function on the UI thread, from any thread."""
Later = Callable[[float, Callable[[], object]], object]
"""Calls a function on the UI thread after so many seconds."""


class Sources(NamedTuple):
    """The sources of the session's facts. All of them may block."""

    endpoint: str
    engine: "Callable[[], Engine]"
    """Returns an engine for the calling thread. Never called on the UI thread."""
    first: "Callable[[], Sequence[Container]]"
    """Returns the initial list, the only request before the first frame."""
    follow: "Callable[[Callable[[EngineRecord], object]], object]"
    """Starts following the engine; calls the given function with every record, in the reader's threads."""
    events: "EventSource | None" = None
    """The events that `follow` reads, shared by the stops; None: each stop opens its own stream."""
    changes: "OwnChanges | None" = None
    """The changes that the engine of `engine` notes; None: none are noted."""


class Session:
    """The state of the UI on one engine. Methods are called on the UI thread unless they say otherwise."""

    def __init__(
        self,
        sources: Sources,
        settings: "Settings",
        clock: Callable[[], float] = time.time,
        kernel: Kernel | None = None,
        *,
        policy: Policy | None = None,
        problems: Sequence[str] = (),
        draw_every_s: float = DRAW_EVERY_S,
    ) -> None:
        """`clock` gives epoch seconds. Raises like `sources.first`."""
        self.settings, self.clock, self.kernel = settings, clock, kernel or Kernel()
        self.policy = policy or Policy(settings.read_only, confirm=settings.confirm)
        self.problems = tuple(problems)
        """A sentence for each problem of the settings."""
        self.store = Store()
        self.store.take(Snapshot(tuple(sources.first()), clock()))
        self.engines = Engines(sources.engine)
        self.engine_label, self.product = sources.endpoint, DOCKER
        self.local = sources.endpoint.startswith("unix:")
        self.sent: deque[Sent] = deque(maxlen=SENT_KEPT)
        self.event_listeners: list[Callable[[EngineEvent], None]] = []
        """Called with each event of the engine."""
        self.entries: dict[str, Entry] = {}
        """How the user enters each container, by id."""
        self.open_watches: set[SignalWatch] = set()
        self._sources = sources
        self._records = RecordQueue(self, self._fold, draw_every_s)
        self._is_lost = False
        self._loads_explained = False
        """Whether the reason for missing figures was reported: once, because each round of reading finds the same."""
        self._defects: set[str] = set()
        """Sentences about defects that were reported."""
        self._deliver: Deliver = lambda callback: callback()
        self._later: Later = lambda delay_s, callback: None
        self._on_change: Callable[[Change], object] = lambda change: None
        self._details_reader: DetailsReader | None = None
        self._load_reader: LoadReader | None = None
        self._stops: ActiveStops | None = None
        if sources.changes is not None:
            sources.changes.listeners.append(lambda *change: self.deliver(lambda: self.stops.take_change(*change)))

    def begin(self, deliver: Deliver, later: Later, on_change: Callable[[Change], object]) -> None:
        """Starts following the engine and reading visible rows; reports every change on the UI thread."""
        from containerlab_tui.session.refreshers import DetailsReader

        self._deliver, self._later, self._on_change = deliver, later, on_change
        self.kernel.on_unread = lambda sentence: self._report_defect(ContainerlabError(sentence))
        self._details_reader = DetailsReader(
            self.engines.here,
            self.effects.read,
            lambda found: self.deliver(lambda: self._learn(found)),
            self._report_defect,
        )
        self._load_reader = self.kernel.load_reader(lambda loads: self.deliver(lambda: self._take_loads(loads)))
        self._details_reader.start()
        self._load_reader.start()
        self.want_details([one.id for one in self.store.order(ended=False)], urgent=False)
        self._sources.follow(self._records.post)
        self.run(self.kernel.clean_up)

    def close(self) -> None:
        """Ends the watches now, because their threads may be killed at exit before they clean up."""
        for watch in tuple(self.open_watches):
            watch.close()

    # threads

    def engine(self) -> "Engine":
        """Returns the calling thread's engine. Never on the UI thread."""
        return self.engines.here()

    def deliver(self, callback: Callable[[], object]) -> None:
        """Calls a function on the UI thread, from any thread."""
        self._deliver(callback)

    def later(self, delay_s: float, callback: Callable[[], object]) -> None:
        """Calls a function on the UI thread after some seconds."""
        self._later(delay_s, callback)

    def report(self, change: Change) -> None:
        """Reports a change."""
        self._on_change(change)

    def run(self, work: Callable[[], object]) -> None:
        """Runs work in the background; an error becomes a notice."""
        pool.submit(lambda: attempt(work, lambda _: None, self._report_error))

    def wait_for(
        self,
        work: Callable[[], T],
        done: Callable[[T], object],
        failed: Callable[[ContainerlabError], object],
    ) -> None:
        """Runs work that mostly waits in its own thread; `done` or `failed` is called on the UI thread."""
        in_own_thread(
            lambda: attempt(
                work,
                lambda result: self.deliver(lambda: done(result)),
                lambda error: self.deliver(lambda: failed(error)),
            )
        )

    def _report_error(self, error: ContainerlabError) -> None:
        self.deliver(lambda: self.report(Notice(str(error), is_error=True)))

    def _report_defect(self, error: ContainerlabError) -> None:
        """Reports a defect once, because it may appear for each container."""
        if str(error) not in self._defects:
            self._defects.add(str(error))
            self._report_error(error)

    # the engine's records

    def _fold(self, records: "Sequence[EngineRecord]") -> bool:
        """Adds records to the store and reports what changed; returns whether containers did."""
        changed: set[str] = set()
        events: list[EngineEvent] = []
        for record in records:
            changed |= self.store.take(record)
            match record:
                case Event():
                    events.append(record.event)
                case Changed() if record.details is not None and self._details_reader is not None:
                    self._details_reader.want({record.id: record.details})
                case Connected():
                    self._describe(record)
                case Snapshot():
                    self._find()
                case Disconnected():
                    self._lose(record.sentence)
        if changed:
            self.report(ContainersChanged(frozenset(changed)))
        for record in records:
            if isinstance(record, Changed) and record.details is not None:
                self.stops.take_exit(record.event, record.details)
        for event in events:
            if event.action == "kill":
                self.effects.reread(event.container)
            self.stops.take_event(event)
            for listener in tuple(self.event_listeners):
                listener(event)
            self.report(EngineReported(event))
        return bool(changed)

    def _describe(self, record: Connected) -> None:
        self.local = record.local
        place = "local" if record.local else "remote"
        self.product = record.version.product
        self.engine_label = f"{self.product.name} {record.version.version} · {place} · {record.endpoint}"
        self.report(EngineDescribed())

    def _lose(self, reason: str) -> None:
        self._is_lost = True
        if self._load_reader is not None:
            self._load_reader.paused = True
        self.report(EngineLost(reason))

    def _find(self) -> None:
        self.want_details([one.id for one in self.store.order(ended=False)])
        if self._load_reader is not None:
            self._load_reader.paused = False
        if self._is_lost:
            self._is_lost = False
            self.report(EngineFound())

    # details and effects

    def want_details(self, ids: Sequence[str], urgent: bool = True) -> None:
        """Inspects those of these containers that have not been inspected."""
        if self._details_reader is not None:
            self._details_reader.want({one: None for one in ids if one not in self.store.details}, urgent)

    def details_of(self, container: str) -> "Details | None":
        """Returns the details of a container; None if not inspected yet."""
        return self.store.details.get(container)

    def read_processes(self, engine: "Engine", details: "Details") -> "tuple[tuple[Process, ...], str]":
        """Returns the processes of a container, and why none are readable. Off the UI thread; use `effects.see`."""
        return self.kernel.processes(engine, details)

    def read_again(self, container: str, details: "Details | None") -> None:
        """Reads the stop signal's effect on a container again; inspects it first if its details are unknown."""
        if self._details_reader is not None:
            self._details_reader.want({container: details})

    @cached_property
    def effects(self) -> "StopEffects":
        """The readings of PID 1, shared by all screens."""
        from containerlab_tui.session.stop_effects import StopEffects

        return StopEffects(self)

    def _learn(self, found: "Sequence[Inspected]") -> None:
        self.store.add_inspected(found)
        self.report(ContainersLearned(frozenset(one.container for one in found)))
        self.effects.plan(found)

    def take_inspected(self, found: "Sequence[Inspected]") -> None:
        """Adds readings that others made to the store, and reports what is new; plans the next one after a failure."""
        changed = self.store.add_inspected(found)
        if changed:
            self.report(ContainersLearned(changed))
        self.effects.plan(found)

    # loads

    def watch_loads(self, ids: Sequence[str]) -> None:
        """Sets the visible rows, whose CPU, memory and IPC figures are read."""
        if self.local and self._load_reader is not None:
            known = (self.store.details.get(one) for one in ids)
            self._load_reader.watch([one for one in known if one is not None and one.pid])

    def _take_loads(self, loads: "Loads") -> None:
        known = self.store.containers.keys()  # without those that were removed during the reading
        self.store.loads |= {one: load for one, load in loads.loads.items() if one in known}
        self.store.overviews |= {one: overview for one, overview in loads.overviews.items() if one in known}
        self.store.host = loads.host if self.local else None
        self.report(LoadsRead(frozenset(loads.loads.keys() | loads.overviews.keys())))
        if loads.problem and not self._loads_explained:
            self._loads_explained = True
            self.report(Notice(f"CPU, memory or IPC figures are missing: {loads.problem}"))

    # active operations

    @property
    def any_stop_seen(self) -> bool:
        """Whether any stop was seen; loads nothing that the first frame doesn't need."""
        return self._stops is not None and self._stops.any_seen

    @property
    def stops(self) -> "ActiveStops":
        """The stops seen by this program."""
        if self._stops is None:
            from containerlab_tui.session.active_stops import ActiveStops

            arguments = self.settings.history_arguments
            self._stops = ActiveStops(self, self.effects.see, self._sources.events, self._sources.changes, arguments)
        return self._stops

    def set_stop_phase(self, container: str, phase: str) -> None:
        """Sets the phase of a stop, in words; empty: finished."""
        if self.store.stopping.get(container, "") != phase:
            if phase:
                self.store.stopping[container] = phase
            else:
                self.store.stopping.pop(container, None)
            self.report(ContainersChanged(frozenset((container,))))

    @cached_property
    def inspectors(self) -> "Inspectors":
        """The keeper of the selected container's inspector."""
        return self.kernel.inspectors(lambda: self.local, self.policy)

    def add_sent(self, sent: "Sequence[Sent]") -> None:
        """Keeps signals for the Signals tab; a new result replaces an earlier one of the same signal."""
        fresh = {(one.id, one.at): one for one in sent}
        kept = [fresh.pop((one.id, one.at), one) for one in self.sent]
        self.sent.clear()
        self.sent.extend([*kept, *fresh.values()])
        self.report(SignalsSent())
