"""The line that narrows what a screen lists.

Entering and leaving it are priority bindings: those run before the application hands on the next key. A key that
follows at once, as from a fast hand or a script, then reaches the widget that it is meant for.
"""

from typing import ClassVar

from textual.binding import BindingType
from textual.message import Message
from textual.widgets import Input

from containerlab_tui.session.actions import Scope
from containerlab_tui.ui.bindings import bindings


class FilterLine(Input):
    """Posts `Input.Changed` as it is typed in; enter leaves it."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.FILTER)

    class Left(Message):
        """All that was typed is in the line, and the focus is elsewhere."""

    def __init__(
        self, text: str, placeholder: str = "name, image, command or status", back_to: str = "#containers"
    ) -> None:
        """`back_to` selects what has the focus afterwards; empty: nothing has."""
        super().__init__(text, placeholder=placeholder, id="filter", compact=True)
        self.cursor_blink = False
        self._back_to = back_to

    def action_leave(self) -> None:
        """Give the focus back; keys that came before may still wait in the line's own queue."""
        self.screen.set_focus(self.screen.query_one(self._back_to) if self._back_to else None)
        self.call_later(self.post_message, self.Left())
