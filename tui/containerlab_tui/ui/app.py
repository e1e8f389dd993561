"""The application: owns what is known, starts the feeds after the first frame, and hands their news to screens."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import Screen

from containerlab_probes.records import Forecast, Process, ProcessId
from containerlab_tui.config import Settings
from containerlab_tui.core.inventory import Container, Details, EngineEvent
from containerlab_tui.engine.api import Engine
from containerlab_tui.ui import errands
from containerlab_tui.ui.commands import Actions
from containerlab_tui.ui.feeds import Engines, tell
from containerlab_tui.ui.followers import Filler, Found, Loads, Look, Overviews, UsageReaders
from containerlab_tui.ui.knowledge import RUNNING, Knowledge
from containerlab_tui.ui.messages import EngineFound, EngineLost, InventoryChanged
from containerlab_tui.ui.screens.main import MainScreen
from containerlab_tui.ui.stops import Stops
from containerlab_tui.ui.widgets.panel import Panel, Subject

if TYPE_CHECKING:
    from containerlab_tui.ui.panels import Inspectors

SENT_KEPT = 500


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the application gets its facts. Everything in here may block, and is called off the UI thread."""

    endpoint: str
    engine: Callable[[], Engine]
    """An engine of the calling thread's own."""
    first: Callable[[], Sequence[Container]]
    """The list at the start; the only one that is asked on the UI thread, before the first frame."""
    follow: "Callable[[Listener], None]"
    """Follows the engine's list for ever."""


class Listener:
    """What a feed of the engine's list tells, from its own thread."""

    def __init__(self, app: "ContainerlabApp") -> None:
        self._app = app

    def containers(self, containers: Sequence[Container]) -> None:
        """The whole list as it is now."""
        tell(self._app, lambda: self._app.take_containers(containers))

    def happened(self, event: EngineEvent) -> None:
        """An event, whether it changed a line of the list or not."""
        tell(self._app, lambda: self._app.happened(event))

    def lost(self, reason: str) -> None:
        tell(self._app, lambda: self._app.lose(reason))

    def found(self) -> None:
        tell(self._app, self._app.find)

    def connected(self, words: str, local: bool) -> None:
        """The engine has answered: what it is, and whether its containers run on this kernel."""
        tell(self._app, lambda: self._app.connected(words, local))


class ContainerlabApp(App[int]):
    """Screens on one engine."""

    CSS_PATH: ClassVar[Any] = ["styles/app.tcss", "styles/main.tcss"]
    TITLE = "containerlab-tui"
    ENABLE_COMMAND_PALETTE = True
    COMMANDS = App.COMMANDS | {Actions}
    COMMAND_PALETTE_BINDING = "ctrl+p"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "quit", show=False, priority=True, id="app.quit-anywhere",
                tooltip="Leave; nothing in the engine changes"),
        Binding("ctrl+c", "quit", "quit", show=False, priority=False, system=True),
    ]  # fmt: skip

    def __init__(self, sources: Sources, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self.sources, self.settings, self.clock = sources, settings, clock
        self.knowledge = Knowledge()
        self.knowledge.replace_containers(sources.first(), clock())
        self.engines = Engines(sources.engine)
        self.engine_words = sources.endpoint
        self.local = sources.endpoint.startswith("unix:")
        self.lost_because = ""
        self.sent: deque[Any] = deque(maxlen=SENT_KEPT)
        self.stops = Stops(self)
        self._inspectors: Inspectors | None = None
        self._main = MainScreen()
        self._begun = False
        self._filler = Filler(self.engines.here, forecast_of_init, lambda found: tell(self, lambda: self._learn(found)))
        self._loads = Loads(
            UsageReaders().usage_of, Overviews().overviews_of, lambda look: tell(self, lambda: self._see(look))
        )

    def get_default_screen(self) -> Screen[Any]:
        return self._main

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
        if self._begun:
            return
        self._begun = True
        import gc
        import threading

        gc.freeze()
        gc.enable()

        threading.Thread(target=self.sources.follow, args=(Listener(self),), name="engine", daemon=True).start()
        self._filler.start()
        self._loads.start()
        self.filler_wants(self._main.table.visible_keys())
        self.filler_wants(one.id for one in self.knowledge.order(ended=False))

    def filler_wants(self, ids: Any) -> None:  # noqa: ANN401
        """Look at these containers first, as far as nothing is known of them."""
        self._filler.want([one for one in ids if one not in self.knowledge.details], urgent=True)

    def watch_rows(self, ids: Sequence[str]) -> None:
        """These rows can be seen: read their CPU, memory and IPC."""
        if self.local:
            known = (self.knowledge.details.get(one) for one in ids)
            self._loads.watch([one for one in known if one is not None and one.pid])

    def take_containers(self, containers: Sequence[Container]) -> None:
        """The list as it is now."""
        changed = self.knowledge.replace_containers(containers, self.clock())
        if changed:
            self._filler.want([one for one in changed if one in self.knowledge.containers])
            self._main.post_message(InventoryChanged(changed))

    def happened(self, event: EngineEvent) -> None:
        """Something happened to a container, which its line need not say."""
        self.stops.happened(event)
        subject, panel = self._main.subject(), self._main.panel()
        shown = subject is not None and subject.container.id == event.container and self.screen is self._main
        if shown and panel is not None:
            panel.look_again()

    def lose(self, reason: str) -> None:
        if self.lost_because != reason:
            self.lost_because = reason
            self._loads.paused = True
            self._main.post_message(EngineLost(reason))

    def find(self) -> None:
        if self.lost_because:
            self.lost_because = ""
            self._loads.paused = False
            self.filler_wants(self.knowledge.containers)
            self._main.post_message(EngineFound())

    def connected(self, words: str, local: bool) -> None:
        self.engine_words, self.local = words, local
        self._main.fill()

    def _learn(self, found: Sequence[Found]) -> None:
        for one in found:
            if one.details is not None and one.container in self.knowledge.containers:
                self.knowledge.learn(one.details)
                if one.forecast is not None:
                    self.knowledge.forecasts[one.container] = one.forecast
            if one.blind:
                self.knowledge.blind[one.container] = one.blind
        self._main.learned({one.container for one in found})
        self._main.watch_visible()

    def _see(self, look: Look) -> None:
        self.knowledge.loads |= look.loads
        self.knowledge.overviews |= look.overviews
        self._main.table.renew(look.loads.keys() | look.overviews.keys())

    # what the screens share

    def selected_container(self) -> Container | None:
        """The container under the cursor of the main screen."""
        return self._main.selected()

    def chosen_process(self) -> ProcessId | None:
        """The process under the cursor of the Processes tab, where that has the focus."""
        from containerlab_tui.ui.widgets.process_tree import ProcessTree

        panel = self._main.panel()
        focused = self._main.focused
        if isinstance(panel, ProcessTree) and focused is not None and panel in focused.ancestors:
            return panel.selected
        return None

    def processes_of(self, subject: Subject) -> tuple[tuple[Process, ...], str]:
        """The processes of a container, and why there are none to be seen. Off the UI thread."""
        from containerlab_tui.services.stops import see_processes

        assert subject.details is not None  # noqa: S101  the panel waits for it
        return see_processes(self.engines.here(), subject.details)

    def make_panel(self, name: str) -> Panel:
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

    def begin_stops(self, plans: Sequence[Any], choice: Any) -> None:  # noqa: ANN401
        self.stops.begin(plans, choice)

    def show_stops(self) -> None:
        self.stops.show()

    @property
    def stops_seen(self) -> bool:
        return self.stops.seen

    def tell_sent(self, sent: Sequence[Any]) -> None:
        """Signals were sent, and are being watched. From any thread."""
        tell(self, lambda: self.add_sent(sent))

    def add_sent(self, sent: Sequence[Any]) -> None:
        """Remember signals for the Signals tab; those known already are replaced by what came of them."""
        fresh = {(one.id, one.at): one for one in sent}
        kept = [fresh.pop((one.id, one.at), one) for one in self.sent]
        self.sent.clear()
        self.sent.extend([*kept, *fresh.values()])
        panel = self._main.panel()
        if panel is not None and self._main.tab == "signals":
            panel.look_again()

    def action_help(self) -> None:
        """Show all keys."""
        from containerlab_tui.ui.screens.help import HelpScreen

        self.push_screen(HelpScreen(self.screen))

    async def action_quit(self) -> None:
        self.exit(0)

    # what puts the screens aside, and forms

    def enter(self, details: Details) -> None:
        """Run a shell in the container's namespaces."""
        errands.enter(self, details)

    def attach(self, details: Details) -> None:
        """Attach to the container's standard streams."""
        errands.attach(self, details)

    def copy_into(self, details: Details) -> None:
        """Ask which local file to copy into the container."""
        errands.copy_into(self, details)

    def run_new(self) -> None:
        """Ask what to run."""
        errands.run_new(self)

    def rename(self, container: Container) -> None:
        """Ask for another name."""
        errands.rename(self, container)


def forecast_of_init(engine: Engine, details: Details) -> tuple[Forecast | None, str]:
    """What the stop signal would do to PID 1, or why that can't be said."""
    from containerlab_probes.forecast import forecast
    from containerlab_probes.signals import number_of
    from containerlab_tui.services.stops import children_of, see_processes

    if details.state not in RUNNING:
        return None, ""
    seen, reason = see_processes(engine, details)
    init = next((one for one in seen if one.container_pid == 1), None)
    if init is None:
        return None, reason
    return forecast(init, number_of(details.stop_signal), True, children_of(init, seen)), ""


def run(sources: Sources, settings: Settings) -> int:
    """Open the screens; answers the exit status. Raises what `sources.first` raises, before the first frame."""
    import gc

    gc.disable()  # until the first frame: importing and composing makes many objects and hardly any garbage
    app = ContainerlabApp(sources, settings)
    return app.run() or app.return_code or 0
