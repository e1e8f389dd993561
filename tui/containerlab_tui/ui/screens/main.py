"""The main screen: the table of containers, and tabs for the one under the cursor."""

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.css.query import NoMatches
from textual.events import Resize
from textual.message import Message
from textual.timer import Timer

from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.session.actions import Needs, Scope
from containerlab_tui.session.changes import (
    ContainersLearned,
    EngineDescribed,
    EngineFound,
    EngineLost,
    EngineReported,
    LoadsRead,
    SignalsSent,
)
from containerlab_tui.session.store import ShownContainer
from containerlab_tui.ui.bindings import bindings
from containerlab_tui.ui.messages import InventoryChanged, SessionChanged
from containerlab_tui.ui.screens.container_actions import ContainerActions
from containerlab_tui.ui.tabs.detail import Detail
from containerlab_tui.ui.widgets.container_table import AGES_S, ContainerTable
from containerlab_tui.ui.widgets.content import Content, Input, Static
from containerlab_tui.ui.widgets.filter_line import FilterLine
from containerlab_tui.ui.widgets.grid import Grid
from containerlab_tui.ui.widgets.status_bar import KeyBar, TopLine

if TYPE_CHECKING:
    from containerlab_tui.session.session import Session

REST_S = 0.1
"""How long the cursor must stay on a row before its tab is filled."""


class MainScreen(ContainerActions):
    """Shows the state of the session. Asks the engine only when a key requires it."""

    AUTO_FOCUS = "#containers"
    SCOPE = Scope.MAIN
    BINDINGS: ClassVar[list[BindingType]] = bindings(SCOPE)

    class Drawn(Message):
        """The first frame and the tabs are drawn."""

    def __init__(self, session: "Session") -> None:
        super().__init__(session)
        self._offered_for: tuple[tuple[str, str] | None, bool] | None = None
        self._resting: Timer | None = None

    # composition: the table first, the tabs after the first frame

    def compose(self) -> ComposeResult:
        yield TopLine(self.session.engine_label)
        yield Static(id="banner")
        table = ContainerTable(self.session.store, self.session.clock)
        table.shows_ended = self.session.settings.show_stopped
        yield table
        yield Detail(self.session)
        yield KeyBar()

    def on_resize(self, event: Resize) -> None:
        self.set_class(event.size.height >= 40, "-tall")

    def on_mount(self) -> None:
        self.fill()
        self.call_after_refresh(self._after_first_frame)

    async def _after_first_frame(self) -> None:
        await self.detail.open()
        self.set_interval(AGES_S, self._redraw_ages)
        self.post_message(self.Drawn())

    # the table

    @property
    def is_ending(self) -> bool:
        """Whether the application is exiting: its widgets are removed one by one while answers may still arrive."""
        try:
            return not self.table.is_attached
        except NoMatches:
            return True

    def fill(self, hold: bool = True) -> None:
        """Shows the containers that match the filter, and the one under the cursor wherever it was.

        `hold` is false if the user asked for another list.
        """
        known, table = self.session.store, self.table
        table.fill(hold)
        running, ended = known.counts()
        note = f"{running} running, {ended} stopped"
        if known.stopping:
            note = f"{len(known.stopping)} stopping (press W) · {note}"
        if table.marked:
            note = f"{len(table.marked)} marked · {note}"
        if table.needle:
            note = f"filter “{table.needle}” · {note}"
        if self.session.policy.read_only:
            note = f"read-only · {note}"
        self.query_one(TopLine).set_text(self.session.engine_label, note)

    def watch_visible(self) -> None:
        """Reads the loads of the visible rows."""
        self.session.watch_loads(self.table.visible_keys())

    def read_visible(self) -> None:
        """Reads details and loads of the visible rows first."""
        known = self.session.store.containers
        self.session.want_details([one for one in self.table.visible_keys() if one in known])
        self.watch_visible()

    def _redraw_ages(self) -> None:
        self.table.redraw_rows(self.table.visible_keys())

    def on_inventory_changed(self, event: InventoryChanged) -> None:
        if self.is_ending:
            return
        self.fill()
        self.watch_visible()
        selected = self.table.selected()
        if selected is not None and selected.id in event.ids:
            self.fill_tab_soon()
        row = None if selected is None else (selected.id, selected.state)
        offered = (row, self.session.any_stop_seen)
        if offered != self._offered_for:
            self._offered_for = offered
            self.refresh_bindings()  # draws all keys, so only if another one may apply now

    def on_session_changed(self, message: SessionChanged) -> None:
        """Redraws the parts that a change affects."""
        if self.is_ending:
            return
        match message.change:
            case ContainersLearned(ids):
                self._learned(ids)
            case LoadsRead(ids):
                self.table.redraw_rows(ids)
                self.query_one(TopLine).show_host(self.session.store.host)
            case EngineDescribed():
                self.fill()
            case EngineLost(reason):
                banner = self.query_one("#banner", Static)
                words = f"! Lost the engine: {safe_line(reason, 300)} Showing the last known state; reconnecting."
                banner.update(Content(words))
                self.add_class("-lost")
            case EngineFound():
                self.remove_class("-lost")
                self.fill()
                self.detail.reset()
                self._show_tab()
            case EngineReported(event):
                selected = self.table.selected()
                if selected is not None and selected.id == event.container and self.is_current:
                    self.detail.reread()
            case SignalsSent():
                if self.detail.tab == "signals":
                    self.detail.reread()

    def _learned(self, ids: frozenset[str]) -> None:
        self.table.redraw_rows(ids)
        selected = self.table.selected()
        if selected is not None and selected.id in ids:
            self._show_tab()
            if self.detail.tab == "processes":  # the list and the tab must not contradict each other
                self.detail.reread()
        self.watch_visible()

    # the tabs

    def on_grid_moved(self, event: Grid.Moved) -> None:
        if event.grid is self.table:
            if self.table.has_left_a_changed_row():
                self.fill()
            self.fill_tab_soon()

    def on_grid_opened(self, event: Grid.Opened) -> None:
        if event.grid is self.table:
            self.add_class("-zoomed")
            self.detail.focus_panel()

    def fill_tab_soon(self) -> None:
        """Fills the tab after the cursor has stayed on a row for a moment."""
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(REST_S, self._rested)

    def _rested(self) -> None:
        self.read_visible()
        self._show_tab()
        self.refresh_bindings()

    def subject(self) -> ShownContainer | None:
        """Returns the container that the tabs show."""
        selected, held = self.table.selected(), self.table.held
        if selected is None and held is not None:
            return ShownContainer(held, None, f"{held.name} was removed.")
        return None if selected is None else self.session.store.subject(selected, self.session.local)

    def _show_tab(self) -> None:
        self.detail.show(self.subject())

    def on_detail_tab_changed(self) -> None:
        self._show_tab()
        self.refresh_bindings()

    def action_tab(self, name: str) -> None:
        """Opens a tab."""
        self.detail.switch(name)
        if self.focused is not self.table:
            self.call_after_refresh(self.detail.focus_panel)

    def action_reread(self) -> None:
        """Reads the tab again."""
        self.detail.reread()

    # the filter, the marks

    async def action_filter(self) -> None:
        """Opens the filter line and focuses it at once, so that keys typed next go there."""
        field = self.query("#filter")
        if not field:
            line = FilterLine(self.table.needle)
            await self.mount(line, after="#banner")
            self.set_focus(line)
        else:
            self.set_focus(field.first())

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "filter":
            self.table.needle = event.value.strip()
            self.fill(hold=False)

    def on_filter_line_left(self) -> None:
        """Removes the line of an empty filter."""
        for line in self.query(FilterLine):
            if not line.value.strip():
                line.remove()

    def action_back(self) -> None:
        """Leaves the tab, else closes the filter, else clears the marks."""
        if self.has_class("-zoomed") or (self.focused is not None and self.focused.id not in ("containers", "filter")):
            self.remove_class("-zoomed")
            self.table.focus()
        elif self.query("#filter"):
            self.query("#filter").remove()
            self.table.needle = ""
            self.table.focus()
            self.fill(hold=False)
        elif self.table.marked:
            self.table.unmark()
            self.fill()

    def action_mark(self) -> None:
        """Marks or unmarks the container under the cursor."""
        if self._selected_for(Needs.CONTAINER) is not None:
            self.table.toggle_mark()
            self.fill()

    def action_ended(self) -> None:
        """Shows or hides stopped containers."""
        self.table.shows_ended = not self.table.shows_ended
        self.fill(hold=False)
        self.read_visible()
