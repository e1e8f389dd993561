"""Bytes as hexadecimal and text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containerlab_probes.memory_records import Window
from containerlab_tui.present.hexdump import (
    HexRow,
    bytes_per_row,
    cells_needed,
    changes,
    lines,
    offset_digits,
    rows,
    text_of,
)
from containerlab_tui.ui.widgets.hex_view import line


def window(data: bytes, offset: int = 0, total: int | None = None) -> Window:
    return Window(offset, data, len(data) + offset if total is None else total)


def test_line() -> None:
    shown = line(HexRow(16, b"abcdefgh\x00\x1b\xff"), 16, 32).plain
    assert shown == " 00000010  61 62 63 64 65 66 67 68  00 1b ff                 abcdefgh···     "


def test_lines_of_plain_text() -> None:
    assert lines(window(b"abcdefghijklmnop\x00\xff", 16)) == [
        "00000010  61 62 63 64 65 66 67 68  69 6a 6b 6c 6d 6e 6f 70  abcdefghijklmnop",
        "00000020  00 ff                                             ··",
    ]


def test_a_changed_byte_is_marked_by_glyphs_and_underlined() -> None:
    shown = line(HexRow(0, b"abcd", frozenset({2})), 8, 4)
    assert shown.plain.startswith("▌00000000  61 62*63 64")
    marked = [shown.plain[span.start : span.end] for span in shown.spans if "underline" in str(span.style)]
    assert marked == ["*", "63", "c"]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, window(b"abc"), set()),
        (window(b"abc"), window(b"abc"), set()),
        (window(b"abc"), window(b"aXc"), {1}),
        (window(b"abcd", 100), window(b"XbcX", 100), {100, 103}),
        (window(b"abcd", 0), window(b"cX", 2), {3}),
        (window(b"abc", 0), window(b"abc", 3), set()),
        (window(b"abc"), window(b""), set()),
    ],
)
def test_changes(before: Window | None, after: Window, expected: set[int]) -> None:
    assert changes(before, after) == expected


@pytest.mark.parametrize(
    ("cells", "total", "expected"),
    [(76, 100, 8), (77, 100, 16), (79, 1 << 40, 16), (78, 1 << 40, 8), (143, 100, 32), (142, 100, 16), (10, 100, 4)],
)
def test_bytes_per_row(cells: int, total: int, expected: int) -> None:
    assert bytes_per_row(cells, total) == expected


@pytest.mark.parametrize(("total", "digits"), [(0, 8), (1, 8), (1 << 32, 8), ((1 << 32) + 1, 9), (1 << 40, 10)])
def test_offset_digits(total: int, digits: int) -> None:
    assert offset_digits(total) == digits


@given(st.binary(max_size=300), st.integers(0, 1 << 40), st.sampled_from([4, 8, 16, 32]))
def test_rows_contain_exactly_the_window(data: bytes, offset: int, width: int) -> None:
    found = list(rows(window(data, offset), width))
    assert b"".join(row.data for row in found) == data
    assert [row.offset for row in found] == [offset + width * index for index in range(len(found))]


@given(st.binary(min_size=1, max_size=32), st.sampled_from([8, 16, 32]), st.integers(0, 1 << 40))
def test_lines_are_printable_and_have_the_computed_width(data: bytes, width: int, total: int) -> None:
    shown = line(HexRow(0, data[:width]), width, total).plain
    assert shown.isprintable()
    assert len(shown) == cells_needed(width, total)


def test_only_ascii_is_shown_as_text() -> None:
    assert {text_of(byte) for byte in range(256) if not 0x20 <= byte < 0x7F} == {"·"}
    assert "".join(text_of(byte) for byte in b"az~ ") == "az~ "


def test_only_changed_bytes_are_marked() -> None:
    before, after = window(bytes(64), 32), window(bytes(20) + b"x" + bytes(43), 32)
    marked = [row for row in rows(after, 16, changes(before, after)) if row.changed]
    assert [(row.offset, row.changed) for row in marked] == [(48, frozenset({4}))]
