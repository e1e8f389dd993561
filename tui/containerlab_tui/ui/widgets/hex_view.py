"""Bytes as hexadecimal and text, with what changed between two readings. Pure, and one widget that shows it.

A changed byte is marked with a `*` in front of it and underlined, and its line with `▌`: it reads without colour.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from textual.app import RenderResult
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from containerlab_probes.records import Window

CHANGED = "bold underline $text-warning"


@dataclass(frozen=True, slots=True)
class Row:
    """One line: where it begins, its bytes, and which of them (by index in the line) changed."""

    offset: int
    data: bytes
    changed: frozenset[int] = frozenset()


def changes(before: Window | None, after: Window) -> frozenset[int]:
    """Offsets (in the object) of bytes that both readings cover and that differ."""
    if before is None:
        return frozenset()
    begin = max(before.offset, after.offset)
    end = min(before.offset + len(before.data), after.offset + len(after.data))
    return frozenset(
        offset
        for offset in range(begin, end)
        if before.data[offset - before.offset] != after.data[offset - after.offset]
    )


def rows(window: Window, width: int, changed: frozenset[int] = frozenset()) -> Iterator[Row]:
    """The window in lines of `width` bytes, beginning at its offset."""
    for start in range(0, len(window.data), width):
        data = window.data[start : start + width]
        at = window.offset + start
        yield Row(at, data, frozenset(index for index in range(len(data)) if at + index in changed))


def bytes_per_row(cells: int, total: int) -> int:
    """32, 16, 8 or 4: the most that fits in so many cells."""
    return next((width for width in (32, 16, 8) if cells_needed(width, total) <= cells), 4)


def offset_digits(total: int) -> int:
    """Hexadecimal digits of every offset: eight, or more where the object is larger than 4 GiB."""
    return max(8, len(f"{max(total - 1, 0):x}"))


def cells_needed(width: int, total: int) -> int:
    """The cells of one line: mark, offset, the bytes in groups of eight, the text."""
    return 1 + offset_digits(total) + 1 + 3 * width + max(width // 8 - 1, 0) + 2 + width


def text_of(byte: int) -> str:
    """A byte as one printable cell: ASCII or a dot."""
    return chr(byte) if 0x20 <= byte < 0x7F else "·"


def line(row: Row, width: int, total: int) -> Content:
    """One line of hexadecimal and text."""
    parts: list[tuple[str, str]] = [
        ("▌" if row.changed else " ", "$text-warning"),
        (f"{row.offset:0{offset_digits(total)}x} ", "dim"),
    ]
    for index in range(width):
        gap = " " if index and index % 8 == 0 else ""
        if index >= len(row.data):
            parts.append((gap + "   ", ""))
            continue
        changed = index in row.changed
        byte = row.data[index]
        parts.append((gap, ""))
        parts.append(("*", CHANGED) if changed else (" ", ""))
        parts.append((f"{byte:02x}", CHANGED if changed else "dim" if byte == 0 else ""))
    parts.append(("  ", ""))
    parts += [(text_of(byte), CHANGED if at in row.changed else "") for at, byte in enumerate(row.data)]
    parts.append((" " * (width - len(row.data)), ""))
    return Content.assemble(*[part for part in parts if part[0]])


class HexView(Widget):
    """Shows one window of bytes. What is outside of it is the screen's affair."""

    DEFAULT_CSS = "HexView { height: 1fr; }"

    window: reactive[Window | None] = reactive(None)
    changed: reactive[frozenset[int]] = reactive(frozenset())

    class Resized(Message):
        """Another number of bytes fits now."""

    _room = 0

    def on_resize(self) -> None:
        if self.page_bytes != self._room:
            self._room = self.page_bytes
            self.post_message(self.Resized())

    @property
    def row_bytes(self) -> int:
        """Bytes on a line at the present width."""
        return bytes_per_row(self.size.width or 80, self.window.total if self.window else 0)

    @property
    def page_bytes(self) -> int:
        """Bytes that fit at the present size."""
        return max(self.size.height, 1) * self.row_bytes

    def render(self) -> RenderResult:
        if self.window is None:
            return Content("")
        width, total = self.row_bytes, self.window.total
        return Content("\n").join([line(row, width, total) for row in rows(self.window, width, self.changed)])
