"""Another name for a container."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input

from containerlab_tui.present.safe_text import safe_line


class Rename(ModalScreen[str | None]):
    """Enter gives the name, escape leaves it."""

    CSS_PATH = "../styles/dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Leave", id="rename.leave")]

    def __init__(self, name: str) -> None:
        super().__init__(classes="dialog-screen")
        self._old = name

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            field = Input(self._old, placeholder="letters, digits, _ . -", compact=True)
            field.cursor_blink = False
            yield field
        box.border_title = Content(f"Rename {safe_line(self._old, 60)}")
        box.border_subtitle = Content("enter rename · esc leave")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        name = event.value.strip()
        self.dismiss(name if name and name != self._old else None)

    def action_leave(self) -> None:
        self.dismiss(None)
