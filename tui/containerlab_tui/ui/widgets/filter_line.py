"""The input line that filters a list.

Its keys are priority bindings, which run before the application processes the next key. So a key that follows at once
reaches the right widget.
"""

from typing import ClassVar

from textual.binding import BindingType
from textual.message import Message

from containerlab_tui.session.actions import Scope
from containerlab_tui.ui.bindings import bindings
from containerlab_tui.ui.widgets.content import Input


class FilterLine(Input):
    """Posts `Input.Changed` on every change; Enter leaves the line."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.FILTER)

    class Left(Message):
        """The line has processed all keys and lost the focus."""

    def __init__(
        self, text: str, placeholder: str = "name, image, command or status", back_to: str = "#containers"
    ) -> None:
        """`back_to` selects the widget that gets the focus afterwards; empty: none."""
        super().__init__(text, placeholder=placeholder, id="filter", compact=True)
        self.cursor_blink = False
        self._back_to = back_to

    def action_leave(self) -> None:
        """Gives the focus back; earlier keys may still be in the line's queue."""
        self.screen.set_focus(self.screen.query_one(self._back_to) if self._back_to else None)
        self.call_later(self.post_message, self.Left())
