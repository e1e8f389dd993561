"""One of a few choices on a line, readable without colour."""

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.message import Message

from containerlab_tui.session.actions import Scope
from containerlab_tui.ui.bindings import bindings
from containerlab_tui.ui.widgets.content import Content, Static


class Choice(Static, can_focus=True):
    """Shows all choices and marks the chosen one; Left, Right and Space choose another."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.CHOICE)

    class Changed(Message):
        """Another choice was made."""

    def __init__(self, choices: Sequence[str], chosen: int = 0, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._choices = tuple(choices)
        self.chosen = chosen
        """Index of the chosen one."""

    def on_mount(self) -> None:
        self._draw()

    def _draw(self) -> None:
        marks = ("(•)" if index == self.chosen else "( )" for index in range(len(self._choices)))
        self.update(Content("   ".join(f"{mark} {words}" for mark, words in zip(marks, self._choices, strict=True))))

    def action_choose(self, step: int) -> None:
        """Chooses the next or the previous one."""
        self.chosen = (self.chosen + step) % len(self._choices)
        self._draw()
        self.post_message(self.Changed())
