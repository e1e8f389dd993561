"""A check box whose state is readable without colour."""

from textual.widgets import Checkbox


class Tick(Checkbox):
    """Shows `[X]` or `[ ]`."""

    BUTTON_LEFT, BUTTON_RIGHT = "[", "]"

    def watch_value(self) -> None:
        """Draws the mark."""
        self.BUTTON_INNER = "X" if self.value else " "
        super().watch_value()

    def on_mount(self) -> None:
        self.BUTTON_INNER = "X" if self.value else " "
