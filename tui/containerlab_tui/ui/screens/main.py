"""The main screen: the table of containers, and tabs for the one under the cursor."""

from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.css.query import NoMatches
from textual.events import Resize
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, Static

from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.session.store import RUNNING
from containerlab_tui.ui.messages import EngineFound, EngineLost, InventoryChanged
from containerlab_tui.ui.screens.main_actions import MainActions
from containerlab_tui.ui.tabs.base import Panel, Subject
from containerlab_tui.ui.widgets.container_table import ContainerTable
from containerlab_tui.ui.widgets.filter_line import FilterLine
from containerlab_tui.ui.widgets.grid import Grid
from containerlab_tui.ui.widgets.status_bar import KeyBar, TopLine

if TYPE_CHECKING:
    from containerlab_tui.model.inventory import Container
    from containerlab_tui.ui.app import ContainerlabApp

REST_S = 0.1
"""How long the cursor must rest on a row before its tabs are filled."""
AGES_S = 20.0

TABS = (
    ("processes", "Processes"),
    ("signals", "Signals"),
    ("ipc", "IPC"),
    ("files", "Files"),
    ("logs", "Logs"),
    ("inspect", "Inspect"),
)


class MainScreen(MainActions, Screen[None]):
    """Follows the application's knowledge; asks nothing of the engine by itself."""

    AUTO_FOCUS = "#containers"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "signal", "signal", id="container.signal", tooltip="Send a signal to the selected process"),
        Binding("x", "stop", "stop", id="container.stop", tooltip="Stop, and watch the two phases"),
        Binding("d", "doctor", "doctor", id="container.doctor", tooltip="How a stop would go, why, and how to mend it"),
        Binding("S", "start", "start", id="container.start", tooltip="Start the container"),
        Binding("e", "enter", "enter", id="container.enter", tooltip="Run a shell inside the container"),
        Binding("t", "attach", "attach", id="container.attach", tooltip="Attach to its standard streams"),
        Binding("slash", "filter", "filter", id="main.filter", tooltip="Filter by name, image, command or status"),
        Binding("space", "mark", "mark", id="main.mark", tooltip="Mark the container, to act on several"),
        Binding("question_mark", "app.help", "help", id="app.help", tooltip="All keys, and what the signs mean"),
        Binding("R", "restart", "restart", id="container.restart", tooltip="Restart the container"),
        Binding("z", "pause", "pause/resume", id="container.pause", tooltip="Pause the container, or resume it"),
        Binding("delete", "remove", "remove", id="container.remove", tooltip="Remove the container"),
        Binding("n", "run", "new", id="container.run", tooltip="Run a new container from an image"),
        Binding("N", "rename", "rename", show=False, id="container.rename", tooltip="Rename the container"),
        Binding("c", "copy", "copy into", id="container.copy", tooltip="Copy a local file into the container"),
        Binding("w", "watch", "watch signals", id="container.watch",
                tooltip="Watch all signals in the container, as the kernel records them"),
        Binding("W", "stops", "stops", id="main.stops", tooltip="Watch the stops under way, and those that are over"),
        Binding("D", "doctor_all", "doctor all", id="main.doctor-all",
                tooltip="How stops of all running containers would go, the worst first"),
        Binding("a", "ended", "ended", id="main.ended", tooltip="Show or hide ended containers"),
        Binding("p", "tab('processes')", "processes", show=False, id="tab.processes", tooltip="The Processes tab"),
        Binding("g", "tab('signals')", "signals", show=False, id="tab.signals", tooltip="The Signals tab"),
        Binding("i", "tab('ipc')", "IPC", show=False, id="tab.ipc", tooltip="The IPC tab"),
        Binding("f", "tab('files')", "files", show=False, id="tab.files", tooltip="The Files tab"),
        Binding("l", "tab('logs')", "logs", show=False, id="tab.logs", tooltip="The Logs tab"),
        Binding("y", "tab('inspect')", "inspect", show=False, id="tab.inspect", tooltip="The Inspect tab"),
        Binding("escape", "back", "back", show=False, id="main.back",
                tooltip="Leave the filter, the tab or the marks"),
        Binding("f5", "look_again", "look again", show=False, id="main.again", tooltip="Read the tab again"),
        Binding("q", "app.quit", "quit", id="app.quit", tooltip="Leave; nothing in the engine changes"),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._show_ended = False
        self._needle = ""
        self._shown_for: dict[str, Subject | None] = {}
        self._resting: Timer | None = None
        self.tab = "processes"

    @property
    def lab(self) -> "ContainerlabApp":
        """The application."""
        return cast("ContainerlabApp", self.app)

    # composition: the table first, the tabs after the first frame

    def compose(self) -> ComposeResult:
        yield TopLine(self.lab.engine_words)
        yield Static("", id="banner", markup=False)
        yield ContainerTable(self.lab.knowledge, self.lab.clock)
        yield Vertical(id="detail")
        yield KeyBar()

    def on_resize(self, event: Resize) -> None:
        self.set_class(event.size.height >= 40, "-tall")

    def on_mount(self) -> None:
        self.fill()
        self.call_after_refresh(self._after_first_frame)

    async def _after_first_frame(self) -> None:
        from textual.widgets import TabbedContent, TabPane

        tabs = TabbedContent(initial=f"tab-{self.tab}")
        for name, title in TABS:
            tabs.compose_add_child(TabPane(title, id=f"tab-{name}"))
        await self.query_one("#detail").mount(tabs)
        self.set_interval(AGES_S, self._renew_ages)
        self.lab.begin()
        self.watch_visible()

    # the table

    @property
    def table(self) -> ContainerTable:
        return self.query_one(ContainerTable)

    @property
    def is_ending(self) -> bool:
        """The application is being left: its widgets go one after the other, and answers may still come."""
        return not self.query(ContainerTable)

    def selected(self) -> "Container | None":
        """The container under the cursor."""
        key = self.table.row_key
        return self.lab.knowledge.containers.get(key) if key else None

    def targets(self) -> "list[Container]":
        """The marked containers, or the one under the cursor."""
        marked = [one for one in self.lab.knowledge.order(ended=True) if one.id in self.table.marked]
        selected = self.selected()
        return marked or ([selected] if selected else [])

    def fill(self) -> None:
        """Show the containers that are wanted now."""
        known = self.lab.knowledge
        running, ended = known.counts()
        table = self.table
        table.marked &= known.containers.keys()
        table.empty_text = self._nothing(running, ended)
        table.show(known.order(self._show_ended, self._needle))
        note = f"{running} running, {ended} ended"
        if known.stopping:
            note = f"{len(known.stopping)} stopping: W shows it · {note}"
        if table.marked:
            note = f"{len(table.marked)} marked · {note}"
        if self._needle:
            note = f"filter “{self._needle}” · {note}"
        self.query_one(TopLine).say(self.lab.engine_words, note)

    def _nothing(self, running: int, ended: int) -> str:
        if self._needle:
            return f"No container matches “{safe_line(self._needle, 40)}”. Escape shows all."
        if not running and ended:
            return f"None is running. a shows the {ended} ended ones; n runs a new one."
        return "There is no container. n runs one from an image."

    def watch_visible(self) -> None:
        """Tell the feeds which rows can be seen."""
        self.lab.watch_rows(self.table.visible_keys())

    def _renew_ages(self) -> None:
        self.table.renew(self.table.visible_keys())

    def on_inventory_changed(self, event: InventoryChanged) -> None:
        self.fill()
        self.watch_visible()
        selected = self.selected()
        if selected is not None and selected.id in event.ids:
            self.rest()
        self.refresh_bindings()

    def learned(self, ids: set[str]) -> None:
        """Details, forecasts or loads of these became known."""
        self.table.renew(ids)
        selected = self.selected()
        if selected is not None and selected.id in ids:
            self._show_tab()

    def on_engine_lost(self, event: EngineLost) -> None:
        banner = self.query_one("#banner", Static)
        reason = safe_line(event.reason, 300)
        banner.update(Content(f"! Engine lost: {reason} What is shown is what was known. Trying again."))
        self.add_class("-lost")

    def on_engine_found(self, event: EngineFound) -> None:
        self.remove_class("-lost")
        self.fill()
        self._shown_for.clear()
        self._show_tab()

    # the tabs

    def on_grid_moved(self, event: Grid.Moved) -> None:
        if event.grid is self.table:
            self.rest()

    def on_grid_opened(self, event: Grid.Opened) -> None:
        if event.grid is self.table:
            self.add_class("-zoomed")
            self._focus_tab()

    def rest(self) -> None:
        """Fill the tab once the cursor has come to rest."""
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(REST_S, self._rested)

    def _rested(self) -> None:
        self.watch_visible()
        selected = self.selected()
        if selected is not None and selected.id not in self.lab.knowledge.details:
            self.lab.filler_wants([selected.id])
        self._show_tab()
        self.refresh_bindings()

    def subject(self) -> Subject | None:
        """What the tabs are to show."""
        selected = self.selected()
        if selected is None:
            return None
        blind = ""
        if selected.state not in RUNNING:
            blind = "It is not running, so it has neither processes nor memory. S starts it."
        elif not self.lab.local:
            blind = "It runs on another machine: its processes and memory can't be looked at from here."
        return Subject(selected, self.lab.knowledge.details.get(selected.id), blind)

    def panel(self) -> Panel | None:
        """The contents of the tab that is shown; made when it is first shown, and None until that is done."""
        try:
            pane = self.query_one(f"#tab-{self.tab}")
        except NoMatches:
            return None
        return next((one for one in pane.query(Panel) if one.is_mounted), None)

    def _show_tab(self) -> None:
        panel, subject = self.panel(), self.subject()
        if panel is not None and (self.tab not in self._shown_for or self._shown_for[self.tab] != subject):
            self._shown_for[self.tab] = subject
            panel.show(subject)

    async def on_tabbed_content_tab_activated(self, event: Any) -> None:  # noqa: ANN401  imported after the first frame
        self.tab = str(event.pane.id).removeprefix("tab-")
        if self.panel() is None:
            await event.pane.mount(self.lab.make_panel(self.tab))
        self._show_tab()
        self.refresh_bindings()

    def action_tab(self, name: str) -> None:
        """Show a tab."""
        tabs = self._tabs()
        if tabs is not None:
            tabs.active = f"tab-{name}"
            if self.focused is not self.table:
                self.call_after_refresh(self._focus_tab)

    def _tabs(self) -> Any:  # noqa: ANN401  imported after the first frame
        found = self.query("TabbedContent")
        return found.first() if found else None

    def _focus_tab(self) -> None:
        panel = self.panel()
        inner: list[Widget] = [] if panel is None else [one for one in panel.query("*") if one.focusable]
        first = next((one for one in inner if not isinstance(one, Input)), None)
        if first is not None:
            first.focus()
        elif panel is not None and panel.focusable:
            panel.focus()

    def action_look_again(self) -> None:
        """Read the tab again."""
        panel = self.panel()
        if panel is not None:
            panel.look_again()

    # the filter, the marks

    async def action_filter(self) -> None:
        """Open the filter's line; what is typed next, however soon, goes there and is no command."""
        field = self.query("#filter")
        if not field:
            line = FilterLine(self._needle)
            await self.mount(line, after="#banner")
            self.set_focus(line)
        else:
            self.set_focus(field.first())

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "filter":
            self._needle = event.value.strip()
            self.fill()

    def on_filter_line_left(self) -> None:
        """An empty filter needs no line."""
        for line in self.query(FilterLine):
            if not line.value.strip():
                line.remove()

    def action_back(self) -> None:
        """Leave what was opened last: the tab, the filter, the marks."""
        if self.has_class("-zoomed") or (self.focused is not None and self.focused.id not in ("containers", "filter")):
            self.remove_class("-zoomed")
            self.table.focus()
        elif self.query("#filter"):
            self.query("#filter").remove()
            self._needle = ""
            self.table.focus()
            self.fill()
        elif self.table.marked:
            self.table.unmark()
            self.fill()

    def action_mark(self) -> None:
        """Mark the container under the cursor, or unmark it."""
        self.table.toggle_mark()
        self.fill()

    def action_ended(self) -> None:
        """Show or hide ended containers."""
        self._show_ended = not self._show_ended
        self.fill()
        self.lab.filler_wants(self.table.visible_keys())
