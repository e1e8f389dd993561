"""Columns of commands count cells, not characters."""

import unicodedata

import pytest
from rich.cells import cell_len

from containerlab_tui.commands.common import table
from containerlab_tui.present.cells import width
from containerlab_tui.present.safe_text import safe


@pytest.mark.parametrize(
    ("text", "cells"),
    [("", 0), ("abc", 3), ("猫", 2), ("e\u0301", 1), ("한", 2), ("\u1112\u1161\u11ab", 2), ("ｱ｡", 2), ("…·—", 3)],
)
def test_a_wide_character_takes_two_cells_and_a_combining_one_none(text: str, cells: int) -> None:
    assert width(text) == cells


SCRIPTS = {
    "Latin to Cyrillic, with combining marks": range(0x20, 0x52F),
    "Kana and symbols": range(0x3041, 0x3400),
    "Chinese characters": range(0x4E00, 0x9FFF),
    "Hangul": range(0xAC00, 0xD7A3),
    "halfwidth and fullwidth forms": range(0xFF01, 0xFFDC),
    "emoji": range(0x1F300, 0x1F3FA),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_commands_and_screens_agree(name: str) -> None:
    shown = [safe(chr(code)) for code in SCRIPTS[name] if unicodedata.category(chr(code)) != "Cn"]
    assert [char for char in shown if width(char) != cell_len(char)] == []


def test_columns_stay_aligned() -> None:
    rows = [("猫猫", "1", "end"), ("e\u0301", "22", "end"), ("\x1b]2;x", "333", "end"), ("plain", "4444", "end")]
    lines = table(("NAME", "NUMBER", "LAST"), rows, right=(1,)).split("\n")
    ends = {width(line[: line.index("end" if "end" in line else "LAST")]) for line in lines}
    assert ends == {width("\\x1b]2;x  NUMBER  ")}
    assert lines[2].startswith("e\u0301        ")
