"""Bytes as hexadecimal and text: the one layout that the byte view and the command line print. No I/O."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from containerlab_probes.memory_records import Window

Role = Literal["plain", "mark", "offset", "zero", "changed"]
"""The role of a part of a line, from which the caller chooses a colour."""


@dataclass(frozen=True, slots=True)
class HexRow:
    """One line: its offset, its bytes, and which of them (by index in the line) changed."""

    offset: int
    data: bytes
    changed: frozenset[int] = frozenset()


def changes(before: Window | None, after: Window) -> frozenset[int]:
    """Returns the offsets (in the object) of bytes that both readings cover and that differ."""
    if before is None:
        return frozenset()
    begin = max(before.offset, after.offset)
    end = min(before.offset + len(before.data), after.offset + len(after.data))
    return frozenset(
        offset
        for offset in range(begin, end)
        if before.data[offset - before.offset] != after.data[offset - after.offset]
    )


def rows(window: Window, width: int, changed: frozenset[int] = frozenset()) -> Iterator[HexRow]:
    """Yields the window in lines of `width` bytes, from its offset on."""
    for start in range(0, len(window.data), width):
        data = window.data[start : start + width]
        at = window.offset + start
        yield HexRow(at, data, frozenset(index for index in range(len(data)) if at + index in changed))


def bytes_per_row(cells: int, total: int) -> int:
    """Returns 32, 16, 8 or 4: the most that fits in so many cells."""
    return next((width for width in (32, 16, 8) if cells_needed(width, total) <= cells), 4)


def offset_digits(total: int) -> int:
    """Returns the hexadecimal digits of every offset: eight, or more where the object is larger than 4 GiB."""
    return max(8, len(f"{max(total - 1, 0):x}"))


def cells_needed(width: int, total: int) -> int:
    """Returns the cells of one line: mark, offset, the bytes in groups of eight, the text."""
    return 1 + offset_digits(total) + 1 + 3 * width + max(width // 8 - 1, 0) + 2 + width


def text_of(byte: int) -> str:
    """Returns a byte as one printable cell: ASCII or a dot."""
    return chr(byte) if 0x20 <= byte < 0x7F else "·"


def parts(row: HexRow, width: int, total: int) -> list[tuple[str, Role]]:
    """Returns one line of hexadecimal and text in parts. A changed byte has a `*` before it, its line a `▌`."""
    line: list[tuple[str, Role]] = [
        ("▌" if row.changed else " ", "mark"),
        (f"{row.offset:0{offset_digits(total)}x} ", "offset"),
    ]
    for index in range(width):
        gap = " " if index and index % 8 == 0 else ""
        if index >= len(row.data):
            line.append((gap + "   ", "plain"))
            continue
        byte, changed = row.data[index], index in row.changed
        line.append((gap, "plain"))
        line.append(("*", "changed") if changed else (" ", "plain"))
        line.append((f"{byte:02x}", "changed" if changed else "zero" if byte == 0 else "plain"))
    line.append(("  ", "plain"))
    line += [(text_of(byte), "changed" if at in row.changed else "plain") for at, byte in enumerate(row.data)]
    line.append((" " * (width - len(row.data)), "plain"))
    return [part for part in line if part[0]]


def lines(window: Window, width: int = 16) -> list[str]:
    """Returns the window as lines of plain text."""
    return [
        "".join(text for text, role in parts(row, width, window.total) if role != "mark").rstrip()
        for row in rows(window, width)
    ]
