"""The application: owns what is known, starts the feeds after the first frame, and hands their news to screens."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import Screen

from containerlab_tui.model.inventory import Changed, Connected, Event, Lost, Snapshot
from containerlab_tui.session.store import RUNNING, Store
from containerlab_tui.session.threads import Engines
from containerlab_tui.ui.background import do, tell
from containerlab_tui.ui.messages import EngineFound, EngineLost, InventoryChanged
from containerlab_tui.ui.palette import ActionCommands
from containerlab_tui.ui.screens.main import MainScreen
from containerlab_tui.ui.stops import Stops

if TYPE_CHECKING:
    from containerlab_probes.records import Forecast, Process, ProcessId
    from containerlab_tui.config import Settings
    from containerlab_tui.engine.api import Engine
    from containerlab_tui.model.inventory import Container, Details, EngineEvent, FeedRecord
    from containerlab_tui.model.stop import StopPlan
    from containerlab_tui.model.views import Sent
    from containerlab_tui.services.signal_watch import SignalWatch
    from containerlab_tui.session.refreshers import Filler, Found, Loads, Look
    from containerlab_tui.ui.dialogs.stop import StopChoice
    from containerlab_tui.ui.panels import Inspectors
    from containerlab_tui.ui.tabs.base import Panel, Subject

SENT_KEPT = 500
SETTLING_S = (1.0, 3.0, 10.0, 30.0)
"""How long after a container's start its forecast is read again."""


class Sources(NamedTuple):
    """Where the application gets its facts from. Everything in here may block."""

    endpoint: str
    engine: "Callable[[], Engine]"
    """An engine of the calling thread's own. Never called on the UI thread."""
    first: "Callable[[], Sequence[Container]]"
    """The list at the start: the only one that is waited for, before the first frame."""
    follow: "Callable[[Callable[[FeedRecord], object]], object]"
    """Starts following the engine: the given function gets every record, in threads of the feed."""


class ContainerlabApp(App[int]):
    """Screens on one engine."""

    CSS_PATH: ClassVar[Any] = ["styles/app.tcss", "styles/main.tcss"]
    TITLE = "containerlab-tui"
    ENABLE_COMMAND_PALETTE = True
    COMMANDS = App.COMMANDS | {ActionCommands}
    COMMAND_PALETTE_BINDING = "ctrl+p"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "quit", show=False, priority=True, id="app.quit-anywhere",
                tooltip="Leave; nothing in the engine changes"),
        Binding("ctrl+c", "quit", "quit", show=False, priority=False, system=True),
    ]  # fmt: skip

    def __init__(self, sources: Sources, settings: "Settings", clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self.sources, self.settings, self.clock = sources, settings, clock
        self.knowledge = Store()
        self.knowledge.take(Snapshot(tuple(sources.first()), clock()))
        self.engines = Engines(sources.engine)
        self.engine_words = sources.endpoint
        self.local = sources.endpoint.startswith("unix:")
        self.sent: deque[Sent] = deque(maxlen=SENT_KEPT)
        self.stops = Stops(self)
        self.listeners: list[Callable[[EngineEvent], None]] = []
        self.watching: set[SignalWatch] = set()
        """Recordings that have begun and not ended."""
        """Called on the UI thread with each event of the engine."""
        self._inspectors: Inspectors | None = None
        self.main = MainScreen()
        self._filler: Filler | None = None
        self._loads: Loads | None = None
        self._records: list[FeedRecord] = []
        self._records_lock = threading.Lock()
        self._lost = False

    def get_default_screen(self) -> Screen[Any]:
        return self.main

    def get_system_commands(self, screen: Screen[Any]) -> Any:  # noqa: ANN401  what the framework's type says
        yield from super().get_system_commands(screen)

    def on_mount(self) -> None:
        self.animation_level = "none"
        if self.settings.theme:
            if self.settings.theme in self.available_themes:
                self.theme = self.settings.theme
            else:
                self.notify(f"There is no theme {self.settings.theme!r}.", severity="warning", markup=False)
        if self.settings.keys:
            self.set_keymap(dict(self.settings.keys))

    # feeds

    def begin(self) -> None:
        """Start the feeds: called by the main screen after the first frame."""
        import gc

        from containerlab_tui.services.cleanup import sweep
        from containerlab_tui.session.refreshers import Filler, Loads, Overviews, UsageReaders

        gc.freeze()
        gc.enable()
        self._filler = Filler(self.engines.here, forecast_of_init, lambda found: tell(self, lambda: self._learn(found)))
        self._loads = Loads(
            UsageReaders().usage_of, Overviews().overviews_of, lambda look: tell(self, lambda: self._see(look))
        )
        self._filler.start()
        self._loads.start()
        self.filler_wants(self.main.table.visible_keys())
        self.filler_wants([one.id for one in self.knowledge.order(ended=False)], urgent=False)
        self.sources.follow(self.post_record)
        do(self, sweep)

    def filler_wants(self, ids: Sequence[str], urgent: bool = True) -> None:
        """Look at these containers, as far as nothing is known of them."""
        if self._filler is not None:
            self._filler.want({one: None for one in ids if one not in self.knowledge.details}, urgent)

    def watch_rows(self, ids: Sequence[str]) -> None:
        """These rows can be seen: read their CPU, memory and IPC."""
        if self.local and self._loads is not None:
            known = (self.knowledge.details.get(one) for one in ids)
            self._loads.watch([one for one in known if one is not None and one.pid])

    def post_record(self, record: "FeedRecord") -> None:
        """A record of the engine's feed, from its thread. Those that come together are folded together."""
        with self._records_lock:
            self._records.append(record)
            waking = len(self._records) == 1
        if waking:
            tell(self, self._fold)

    def _fold(self) -> None:
        changed: set[str] = set()
        events: list[EngineEvent] = []
        with self._records_lock:
            records, self._records = self._records, []
        for record in records:
            changed |= self.knowledge.take(record)
            if isinstance(record, Event):
                events.append(record.event)
            elif isinstance(record, Changed) and record.details is not None and self._filler is not None:
                self._filler.want({record.id: record.details})
            elif isinstance(record, Connected):
                self.connected(record)
            elif isinstance(record, Snapshot):
                self._found()
            elif isinstance(record, Lost):
                self._lose(record.sentence)
        if changed:
            self._changed(frozenset(changed))
        for event in events:
            self._happened(event)

    def _happened(self, event: "EngineEvent") -> None:
        """Something happened to a container, which its line need not say."""
        self.stops.happened(event)
        for listener in tuple(self.listeners):
            listener(event)
        subject, panel = self.main.subject(), self.main.panel()
        shown = subject is not None and subject.container.id == event.container and self.screen is self.main
        if shown and panel is not None:
            panel.look_again()

    def stop_moved(self, container: str, where: str) -> None:
        """A stop has come to another phase; empty: it is over."""
        if self.knowledge.stopping.get(container, "") != where:
            if where:
                self.knowledge.stopping[container] = where
            else:
                self.knowledge.stopping.pop(container, None)
            self._changed(frozenset((container,)))

    def _changed(self, ids: frozenset[str]) -> None:
        """Tell the main screen, and what lies over it."""
        for screen in {self.main, *self.screen_stack}:
            screen.post_message(InventoryChanged(ids))

    def _lose(self, reason: str) -> None:
        self._lost = True
        if self._loads is not None:
            self._loads.paused = True
        self.main.post_message(EngineLost(reason))

    def _found(self) -> None:
        self.filler_wants([one.id for one in self.knowledge.order(ended=False)])
        if self._loads is not None:
            self._loads.paused = False
        if self._lost:
            self._lost = False
            self.main.post_message(EngineFound())

    def connected(self, record: "Connected") -> None:
        """The engine has answered: what it is, and whether its containers run on this kernel."""
        self.local = record.local
        place = "local" if record.local else "remote"
        self.engine_words = f"Docker {record.version.version} · {place} · {record.endpoint}"
        self.main.fill()

    def _learn(self, found: "Sequence[Found]") -> None:
        self.knowledge.learn(one.details for one in found if one.details is not None)
        for one in found:
            if one.forecast is not None and one.container in self.knowledge.details:
                self.knowledge.forecasts[one.container] = one.forecast
            if one.blind:
                self.knowledge.blind[one.container] = one.blind
        if self.main.is_ending:
            return
        self.main.learned({one.container for one in found})
        self.main.watch_visible()
        for one in found:
            if one.details is not None and one.forecast is not None:
                self._look_again_later(one.details)

    def _look_again_later(self, details: "Details") -> None:
        """A program that has just begun may not have come to its handlers yet."""
        age = self.clock() - (details.started_at or 0.0)
        later = next((moment for moment in SETTLING_S if moment > age), None)
        if later is not None:
            self.set_timer(later - age, lambda: self._look_again(details))

    def _look_again(self, details: "Details") -> None:
        now = self.knowledge.details.get(details.id)
        if self._filler is not None and now is not None and now.pid == details.pid:
            self._filler.want({details.id: now})

    def _see(self, look: "Look") -> None:
        self.knowledge.loads |= look.loads
        self.knowledge.overviews |= look.overviews
        if not self.main.is_ending:
            self.main.table.renew(look.loads.keys() | look.overviews.keys())

    # what the screens share

    def selected_container(self) -> "Container | None":
        """The container under the cursor of the main screen."""
        return self.main.selected()

    def chosen_process(self) -> "ProcessId | None":
        """The process under the cursor of the Processes tab, where that has the focus."""
        from containerlab_tui.ui.tabs.processes import ProcessTree

        panel = self.main.panel()
        focused = self.main.focused
        if isinstance(panel, ProcessTree) and focused is not None and panel in focused.ancestors:
            return panel.selected
        return None

    def processes_of(self, subject: "Subject") -> "tuple[tuple[Process, ...], str]":
        """The processes of a container, and why there are none to be seen. Off the UI thread."""
        from containerlab_tui.services.processes import see_processes

        assert subject.details is not None  # noqa: S101  the panel waits for it
        return see_processes(self.engines.here(), subject.details)

    def make_panel(self, name: str) -> "Panel":
        """The contents of a tab."""
        from containerlab_tui.ui.panels import make

        return make(self, name)

    @property
    def inspectors(self) -> "Inspectors":
        """Agents that look into the container that is shown."""
        if self._inspectors is None:
            from containerlab_tui.ui.panels import Inspectors

            self._inspectors = Inspectors(lambda: self.local)
        return self._inspectors

    def begin_stops(self, plans: "Sequence[StopPlan]", choice: "StopChoice | None") -> None:
        self.stops.begin(plans, choice)

    def show_stops(self) -> None:
        """Open the stop screen, on the selected container's stop if that was seen."""
        selected = self.selected_container()
        self.stops.show(selected.id if selected is not None and self.stops.saw(selected.id) else None)

    @property
    def stops_seen(self) -> bool:
        return self.stops.seen

    def tell_sent(self, sent: "Sequence[Sent]") -> None:
        """Signals were sent, and are being watched. From any thread."""
        tell(self, lambda: self.add_sent(sent))

    def add_sent(self, sent: "Sequence[Sent]") -> None:
        """Remember signals for the Signals tab; those known already are replaced by what came of them."""
        fresh = {(one.id, one.at): one for one in sent}
        kept = [fresh.pop((one.id, one.at), one) for one in self.sent]
        self.sent.clear()
        self.sent.extend([*kept, *fresh.values()])
        panel = self.main.panel()
        if panel is not None and self.main.tab == "signals":
            panel.look_again()

    def action_help(self) -> None:
        """Show all keys."""
        from containerlab_tui.ui.screens.help import HelpScreen

        self.push_screen(HelpScreen(self.screen))

    async def action_quit(self) -> None:
        self.exit(0)

    # what puts the screens aside, and forms

    def enter(self, details: "Details") -> None:
        """Run a shell in the container's namespaces."""
        from containerlab_tui.ui import errands

        errands.enter(self, details)

    def watch_signals(self, details: "Details") -> None:
        """Show all signals in the container."""
        from containerlab_tui.ui import errands

        errands.watch(self, details)

    def attach(self, details: "Details") -> None:
        """Attach to the container's standard streams."""
        from containerlab_tui.ui import errands

        errands.attach(self, details)

    def copy_into(self, details: "Details") -> None:
        """Ask which local file to copy into the container."""
        from containerlab_tui.ui import errands

        errands.copy_into(self, details)

    def run_new(self) -> None:
        """Ask what to run."""
        from containerlab_tui.ui import errands

        errands.run_new(self)

    def rename(self, container: "Container") -> None:
        """Ask for another name."""
        from containerlab_tui.ui import errands

        errands.rename(self, container)


def forecast_of_init(engine: "Engine", details: "Details") -> "tuple[Forecast | None, str]":
    """What the stop signal would do to PID 1, or why that can't be said."""
    from containerlab_probes.signals.forecast import forecast
    from containerlab_probes.signals.names import number_of
    from containerlab_tui.services.processes import children_of, see_processes

    if details.state not in RUNNING:
        return None, ""
    seen, reason = see_processes(engine, details)
    init = next((one for one in seen if one.pid == details.pid), None)
    if init is None:
        return None, reason
    return forecast(init, number_of(details.stop_signal), children_of(init, seen)), ""


def run(sources: Sources, settings: "Settings") -> int:
    """Open the screens; answers the exit status. Raises what `sources.first` raises, before the first frame."""
    app = ContainerlabApp(sources, settings)
    try:
        return app.run() or app.return_code or 0
    finally:
        for one in tuple(app.watching):
            one.close()  # the thread that would have done it may be cut off by the end
