"""Shows bytes as hexadecimal and text, with the changes between two readings marked.

A changed byte is underlined with a `*` before it, and its line starts with `▌`, so the marks need no colour.
"""

from textual.app import RenderResult
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from containerlab_probes.memory_records import Window
from containerlab_tui.present.hexdump import HexRow, Role, bytes_per_row, parts, rows
from containerlab_tui.ui.widgets.content import Content

CHANGED = "bold underline $text-warning"


STYLES: dict[Role, str] = {"plain": "", "mark": "$text-warning", "offset": "dim", "zero": "dim", "changed": CHANGED}


def line(row: HexRow, width: int, total: int) -> Content:
    """Returns one line of hexadecimal and text."""
    return Content.assemble(*[(text, STYLES[role]) for text, role in parts(row, width, total)])


class HexView(Widget):
    """Shows one window of bytes."""

    DEFAULT_CSS = "HexView { height: 1fr; }"

    window: reactive[Window | None] = reactive(None)
    changed: reactive[frozenset[int]] = reactive(frozenset())

    class Resized(Message):
        """The number of bytes that fit has changed."""

    _room = 0

    def on_resize(self) -> None:
        if self.page_bytes != self._room:
            self._room = self.page_bytes
            self.post_message(self.Resized())

    @property
    def row_bytes(self) -> int:
        """Bytes on a line at the current width."""
        return bytes_per_row(self.size.width or 80, self.window.total if self.window else 0)

    @property
    def page_bytes(self) -> int:
        """Bytes that fit at the current size."""
        return max(self.size.height, 1) * self.row_bytes

    def render(self) -> RenderResult:
        if self.window is None:
            return Content("")
        width, total = self.row_bytes, self.window.total
        return Content("\n").join([line(row, width, total) for row in rows(self.window, width, self.changed)])
