"""The keys of the main screen that act on containers. Each action is one file of dialogs or screens."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.screen import Screen

from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.services.policy import Operation
from containerlab_tui.session.actions import BY_ID, Needs
from containerlab_tui.session.selection import Selection, reason
from containerlab_tui.ui.bindings import is_refused
from containerlab_tui.ui.messages import ShowStops
from containerlab_tui.ui.tabs.detail import Detail
from containerlab_tui.ui.widgets.container_table import ContainerTable
from containerlab_tui.ui.widgets.content import toast

if TYPE_CHECKING:
    from containerlab_tui.model.inventory import Container, Details
    from containerlab_tui.session.session import Session


class ContainerActions(Screen[None]):
    """The actions on the marked containers or the one under the cursor of the table."""

    def __init__(self, session: "Session") -> None:
        super().__init__()
        self.session = session

    @property
    def table(self) -> ContainerTable:
        return self.query_one(ContainerTable)

    @property
    def detail(self) -> Detail:
        return self.query_one(Detail)

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

    def _with_details(self, needs: Needs, then: "Callable[[Details], None]") -> None:
        """Inspects the selected container and calls `then` with the result."""
        from containerlab_tui.ui.dialogs.opening import open_when_read

        selected = self._selected_for(needs)
        if selected is not None:
            container, reading = selected.id, safe_line(f"Reading {selected.name} …", 80)
            open_when_read(self.app, reading, lambda: self.session.engine().inspect(container), then)

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
        self._with_details(Needs.RUNNING, lambda details: watch_signals(self, self.session, details, panel))

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
            self._with_details(Needs.RUNNING, lambda details: attach(self.app, self.session, details))

    def action_copy(self) -> None:
        """Copies a local file into the container."""
        from containerlab_tui.ui.dialogs.copy import copy_into

        if not is_refused(self.app, self.session, Operation.COPY):
            self._with_details(Needs.CONTAINER, lambda details: copy_into(self, self.session, details))

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
