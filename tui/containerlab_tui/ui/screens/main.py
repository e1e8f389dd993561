"""The main screen: the table of containers, and tabs for the one under the cursor."""

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.css.query import NoMatches
from textual.events import Resize
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer

from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.services.policy import Operation
from containerlab_tui.session.actions import BY_ID, Needs, Scope
from containerlab_tui.session.changes import (
    ContainersLearned,
    EngineDescribed,
    EngineFound,
    EngineLost,
    EngineReported,
    LoadsRead,
    SignalsSent,
)
from containerlab_tui.session.selection import Selection, reason
from containerlab_tui.session.store import ShownContainer
from containerlab_tui.ui.background import ask
from containerlab_tui.ui.bindings import bindings, is_refused
from containerlab_tui.ui.messages import InventoryChanged, SessionChanged, ShowStops
from containerlab_tui.ui.tabs.detail import Detail
from containerlab_tui.ui.widgets.container_table import ContainerTable
from containerlab_tui.ui.widgets.content import Content, Input, Static, toast
from containerlab_tui.ui.widgets.filter_line import FilterLine
from containerlab_tui.ui.widgets.grid import Grid
from containerlab_tui.ui.widgets.status_bar import KeyBar, TopLine

if TYPE_CHECKING:
    from containerlab_tui.model.inventory import Container, Details
    from containerlab_tui.session.session import Session

REST_S = 0.1
"""How long the cursor must stay on a row before its tab is filled."""
AGES_S = 5.0
"""How often the ages in the table are updated: an age is wrong for at most this long."""


class MainScreen(Screen[None]):
    """Shows the state of the session. Asks the engine only when a key requires it."""

    AUTO_FOCUS = "#containers"
    SCOPE = Scope.MAIN
    BINDINGS: ClassVar[list[BindingType]] = bindings(SCOPE)

    class Drawn(Message):
        """The first frame and the tabs are drawn."""

    def __init__(self, session: "Session") -> None:
        super().__init__()
        self.session = session
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
    def table(self) -> ContainerTable:
        return self.query_one(ContainerTable)

    @property
    def detail(self) -> Detail:
        return self.query_one(Detail)

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

    # actions on containers: each is one file of dialogs or screens

    def applies(self, action_id: str) -> bool:
        """Returns whether an action applies to the selected container; the footer and the palette offer no other."""
        needs = BY_ID[action_id].needs if action_id in BY_ID else Needs.NOTHING
        if needs is Needs.NOTHING:
            return True
        if needs is Needs.STOPS:
            return self.session.any_stop_seen
        selected = self.table.selected() if self.is_mounted else None
        return selected is not None and not reason(needs, Selection((selected,)))

    def _fit(self, needs: Needs, selection: Selection | None = None) -> Selection:
        """Returns the targets that an action applies to; says why if there are none."""
        chosen = self.table.targets() if selection is None else selection
        removed = self.table.held.name if self.table.held is not None else ""
        why = reason(needs, chosen, removed)
        if why:
            toast(self, safe_line(why, 200), "warning")
        return chosen.fit_for(needs)

    def _selected_for(self, needs: Needs) -> "Container | None":
        """Returns the container under the cursor if an action applies to it, whatever is marked; says why if not."""
        selected = self.table.selected()
        fit = self._fit(needs, Selection((selected,) if selected is not None else ())).containers
        return fit[0] if fit else None

    def _with_details(self, group: str, needs: Needs, then: "Callable[[Details], None]") -> None:
        """Inspects the selected container and calls `then` with the result."""
        selected = self._selected_for(needs)
        if selected is not None:
            container = selected.id
            ask(self, lambda: self.session.engine().inspect(container), then, group=group)

    def action_start(self) -> None:
        """Starts the marked containers, or the selected one."""
        from containerlab_tui.ui.dialogs import lifecycle

        lifecycle.start(self, self.session, self._fit(Needs.STOPPED))

    def action_restart(self) -> None:
        """Stops and starts the marked containers, or the selected one."""
        from containerlab_tui.ui.dialogs import lifecycle

        lifecycle.restart(self, self.session, self._fit(Needs.CONTAINER))

    def action_pause(self) -> None:
        """Pauses or resumes the marked containers, or the selected one."""
        from containerlab_tui.ui.dialogs import lifecycle

        lifecycle.pause_or_resume(self, self.session, self._fit(Needs.RUNNING))

    def action_remove(self) -> None:
        """Removes the marked containers, or the selected one."""
        from containerlab_tui.ui.dialogs import lifecycle

        lifecycle.remove(self, self.session, self._fit(Needs.CONTAINER))

    def action_signal(self) -> None:
        """Sends a signal to the selected process, or to PID 1 of the marked containers."""
        from containerlab_tui.ui.dialogs.signal import send_signal

        targets, panel = self._fit(Needs.RUNNING), self.detail.panel
        in_tab = panel is not None and self.focused is not None and panel in self.focused.ancestors
        chosen = panel.chosen_process if panel is not None and in_tab and len(targets.containers) == 1 else None
        send_signal(self, self.session, targets, chosen)

    def action_stop(self) -> None:
        """Stops the marked containers, or the selected one."""
        from containerlab_tui.ui.dialogs.stop import stop_containers

        stop_containers(self, self.session, self._fit(Needs.RUNNING))

    def action_watch(self) -> None:
        """Shows all signals in the container live."""
        from containerlab_tui.ui.screens.signal_watch import watch_signals

        panel = self.detail.panel
        self._with_details("watch", Needs.RUNNING, lambda details: watch_signals(self, self.session, details, panel))

    def action_stops(self) -> None:
        """Shows stops in progress and finished; selects the selected container's stop if there was one."""
        if not self.session.any_stop_seen:
            toast(self, safe_line("No stop has been seen yet. Press x to stop a container."))
            return
        selected = self.table.selected()
        seen = selected is not None and self.session.stops.has_seen(selected.id)
        self.post_message(ShowStops(selected.id if selected is not None and seen else None))

    def action_doctor(self) -> None:
        """Predicts a stop of the selected container, or of the marked ones side by side."""
        targets = self._fit(Needs.RUNNING).containers
        if len(targets) == 1:
            from containerlab_tui.ui.screens.doctor import open_page

            open_page(self, self.session, targets[0])
        elif targets:
            from containerlab_tui.ui.screens.doctor_table import open_table

            open_table(self, self.session, targets)

    def action_doctor_all(self) -> None:
        """Predicts stops for all running containers, worst first."""
        from containerlab_tui.ui.screens.doctor_table import open_table

        open_table(self, self.session)

    def action_enter(self) -> None:
        """Enters the container, the way that was chosen for it before."""
        self._enter(again=False)

    def action_enter_otherwise(self) -> None:
        """Asks again how to enter the container."""
        self._enter(again=True)

    def _enter(self, again: bool) -> None:
        from containerlab_tui.ui.dialogs.enter import enter

        selected = self._selected_for(Needs.RUNNING)
        if selected is not None:
            enter(self, self.session, selected, again)

    def action_attach(self) -> None:
        """Attaches to the container's standard streams."""
        from containerlab_tui.ui.terminal import attach

        if not is_refused(self.app, self.session, Operation.ATTACH):
            self._with_details("attach", Needs.RUNNING, lambda details: attach(self.app, self.session, details))

    def action_copy(self) -> None:
        """Copies a local file into the container."""
        from containerlab_tui.ui.dialogs.copy import copy_into

        if not is_refused(self.app, self.session, Operation.COPY):
            self._with_details("copy", Needs.CONTAINER, lambda details: copy_into(self, self.session, details))

    def action_run(self) -> None:
        """Runs a new container from an image."""
        from containerlab_tui.ui.dialogs.run import run_new

        run_new(self, self.session, self.table.selected())

    def action_rename(self) -> None:
        """Renames the container."""
        from containerlab_tui.ui.dialogs.rename import rename

        selected = self._selected_for(Needs.CONTAINER)
        if selected is not None:
            rename(self, self.session, selected)
