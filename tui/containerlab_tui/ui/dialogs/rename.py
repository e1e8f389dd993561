"""Renames a container."""

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen, Screen

from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.services.policy import Operation
from containerlab_tui.session.actions import Scope
from containerlab_tui.ui.background import do
from containerlab_tui.ui.bindings import bindings, is_refused
from containerlab_tui.ui.widgets.content import Content, Input

if TYPE_CHECKING:
    from containerlab_tui.model.inventory import Container
    from containerlab_tui.session.session import Session


class Rename(ModalScreen[str | None]):
    """Enter renames, Esc cancels."""

    CSS_PATH = "../styles/dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.RENAME_DIALOG)

    def __init__(self, name: str) -> None:
        super().__init__(classes="dialog-screen")
        self._old = name

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            field = Input(self._old, placeholder="letters, digits, _ . -", compact=True)
            field.cursor_blink = False
            yield field
        box.border_title = Content(f"Rename {safe_line(self._old, 60)}")
        box.border_subtitle = Content("enter rename · esc cancel")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        name = event.value.strip()
        self.dismiss(name if name and name != self._old else None)

    def action_leave(self) -> None:
        self.dismiss(None)


def rename(screen: Screen[None], session: "Session", container: "Container") -> None:
    """Asks for a new name and renames the container."""
    if is_refused(screen.app, session, Operation.RENAME):
        return

    def chosen(name: str | None) -> None:
        if name:
            do(screen, lambda: session.engine().rename(container.id, name))

    screen.app.push_screen(Rename(container.name), chosen)
