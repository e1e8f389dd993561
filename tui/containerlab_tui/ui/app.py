"""The application: mounts the screens and passes the session's changes to them."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

from textual.actions import ActionParseResult
from textual.app import App
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.screen import Screen

from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.session.actions import Scope
from containerlab_tui.session.changes import (
    Change,
    ContainersChanged,
    Notice,
    StopChanged,
    StopFinished,
    StopLogged,
)
from containerlab_tui.session.session import Session
from containerlab_tui.ui.bindings import bindings
from containerlab_tui.ui.messages import InventoryChanged, SessionChanged, ShowStops
from containerlab_tui.ui.palette import ActionCommands
from containerlab_tui.ui.screens.main import MainScreen
from containerlab_tui.ui.widgets.content import toast

if TYPE_CHECKING:
    from textual.driver import Driver

    from containerlab_tui.ui.screens.stops import StopsScreen


OPENING_S = 5.0
"""A key waits this long for the screen that it is meant for."""


class ContainerlabApp(App[int]):
    """The screens of one engine."""

    CSS_PATH: ClassVar[list[str]] = ["styles/app.tcss", "styles/main.tcss"]  # type: ignore[assignment]
    TITLE = "containerlab-tui"
    COMMANDS = App.COMMANDS | {ActionCommands}
    COMMAND_PALETTE_BINDING = "ctrl+p"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Scope.APP),
        Binding("ctrl+c", "quit", "quit", show=False, system=True),
    ]

    def __init__(self, session: Session, driver: "type[Driver] | None" = None) -> None:
        super().__init__(driver_class=driver)
        self.session = session
        self.main = MainScreen(session)
        self._stops: StopsScreen | None = None

    def get_default_screen(self) -> Screen[None]:
        return self.main

    def on_mount(self) -> None:
        self.animation_level = "none"
        settings = self.session.settings
        if settings.theme:
            self.theme = settings.theme
        if problems := self.session.problems:
            count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
            words = f"{count} in the settings: run `containerlab-tui config` to see all."
            toast(self, safe_line(words), "warning", timeout=10)
        if settings.keys:
            self.set_keymap(dict(settings.keys))

    def on_main_screen_drawn(self) -> None:
        """Starts everything else, now that the first frame is drawn."""
        import gc

        gc.freeze()
        gc.enable()
        self.session.begin(self._deliver, self.set_timer, self._changed)
        self.main.read_visible()

    def _deliver(self, callback: Callable[[], object]) -> None:
        from containerlab_tui.ui.background import deliver

        deliver(self, callback)

    def _changed(self, change: Change) -> None:
        match change:
            case ContainersChanged(ids):
                for screen in {self.main, *self.screen_stack}:
                    screen.post_message(InventoryChanged(ids))
            case StopChanged(state):
                self._stop_screen().show(state)
            case StopLogged(container, lines):
                self._stop_screen().add_log(lines, container)
            case StopFinished(state):
                pressed_here = not state.plan.started_elsewhere or state.plan.part_of == "restart"
                if self._stops not in self.screen_stack and pressed_here:
                    from containerlab_tui.present.stop_text import explain

                    for sentence in explain(state)[:1]:
                        words = f"{safe_line(state.plan.name, 60)}: {safe_line(sentence, 300)}"
                        toast(self, safe_line(words))
            case Notice(sentence, is_error):
                toast(self, safe_line(sentence), "error" if is_error else "warning")
            case _:
                self.main.post_message(SessionChanged(change))

    def _stop_screen(self) -> "StopsScreen":
        if self._stops is None:
            from containerlab_tui.ui.screens.stops import StopsScreen

            self._stops = StopsScreen(self.session.clock)
            self.install_screen(self._stops, "stops")
        return self._stops

    def on_show_stops(self, event: ShowStops) -> None:
        """Opens the screen of stops, and selects this container's stop if one is named."""
        screen = self._stop_screen()
        if event.container is not None:
            screen.choose(event.container)
        if screen not in self.screen_stack:
            self.push_screen(screen)

    async def run_action(
        self,
        action: "str | ActionParseResult",
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Runs an action once the screen in front is there.

        A key that arrives while a dialog is opening has the dialog's bindings already: Escape then removed it before
        its first handler ran, which found no widgets and ended the program.
        """
        deadline = time.monotonic() + OPENING_S
        while not self.screen.is_mounted and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        return await super().run_action(action, default_namespace, namespaces)

    def action_help(self) -> None:
        """Shows all keys."""
        from containerlab_tui.ui.screens.help import HelpScreen

        self.push_screen(HelpScreen(self.screen, self.session.settings.keys))

    async def action_quit(self) -> None:
        self.exit(0)

    def action_suspend_process(self) -> None:
        """Suspends the whole process group, as the terminal does: sudo or make may stand before this program."""
        os.kill(0, signal.SIGTSTP)


def run(session: Session) -> int:
    """Runs the UI. Returns the exit status."""
    from containerlab_tui.ui.driver import TerminalDriver

    app = ContainerlabApp(session, TerminalDriver)
    try:
        return app.run() or app.return_code or 0
    finally:
        session.close()
