"""A yes/no question; the safe answer is selected at first."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button

from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.session.actions import Scope
from containerlab_tui.ui.bindings import bindings
from containerlab_tui.ui.widgets.content import Content, Static

LONGEST_LIST = 100_000
"""Characters of a list of names."""


class Confirm(ModalScreen[bool]):
    """Asks to confirm something that can't be undone. True only if the user confirms."""

    CSS_PATH = "../styles/dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.CONFIRM)

    def __init__(
        self, title: str, sentence: str, yes: str = "Yes", no: str = "No", *, about: Sequence[str] = ()
    ) -> None:
        """Title, sentence and `about` may contain text from a container: they are made safe here.

        `yes` names the operation. `about` are lines about the containers or objects, if there are several.
        """
        super().__init__(classes="dialog-screen")
        self._title = Content(safe_line(title))
        self._sentence = Content(safe_line(sentence))
        self._yes, self._no = yes, no
        self._about = Content("\n").join([Content(safe_line(line, LONGEST_LIST)) for line in about])

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog danger") as box:
            if self._about:
                with VerticalScroll(classes="about", can_focus=False):
                    yield Static(self._about, classes="line")
            yield Static(self._sentence, classes="line")
            with Horizontal(classes="buttons"):
                yield Button(Content(self._no), id="no", compact=True)
                yield Button(Content(self._yes), id="yes", variant="error", compact=True)
        box.border_title = self._title
        box.border_subtitle = Content("y yes · n or esc no")

    def on_mount(self) -> None:
        self.query_one("#no", Button).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.dismiss(event.button.id == "yes")

    def action_answer(self, answer: bool) -> None:
        self.dismiss(answer)

    def action_scroll(self, by: int) -> None:
        """Scrolls the names, if there are more than fit."""
        for names in self.query(VerticalScroll):
            names.scroll_relative(y=by, animate=False)

    def action_other(self) -> None:
        self.focus_next(Button)
