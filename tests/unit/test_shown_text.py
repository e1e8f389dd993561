"""Text reaches a terminal through few doors, which take safe text: nothing else writes, and mypy checks the callers."""

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = {
    str(path.relative_to(ROOT)): path for room in ("probes", "tui") for path in sorted((ROOT / room).rglob("*.py"))
}
CONTENT = "tui/containerlab_tui/ui/widgets/content.py"
TEXT = "probes/containerlab_probes/safe_text.py"

DOORS = {
    r"\bSafeText\(": {TEXT},
    r"(?<![\w.])print\(": {
        "tui/containerlab_tui/cli.py",
        "tui/containerlab_tui/commands/common.py",
    },
    r"\.notify\(": {CONTENT},
    r"sys\.(stdout|stderr)\.(buffer\.)?write|os\.write\(sys": {
        "probes/containerlab_probes/agent.py",  # to its client, as JSON
        "tui/containerlab_tui/commands/common.py",  # JSON, item by item
        "tui/containerlab_tui/commands/lab.py",
        "tui/containerlab_tui/commands/output.py",  # our own sentence
        "tui/containerlab_tui/services/terminal.py",
    },
    r"\b(rich\.text|textual\.content)\b|from textual\.widgets import .*\b(Input|Label|Static)\b": {CONTENT},
    r"\bSegment\(|\bStrip\(": {
        "tui/containerlab_tui/ui/tabs/logs.py",
        "tui/containerlab_tui/ui/widgets/grid.py",
        "tui/containerlab_tui/ui/widgets/signal_list.py",
        "tui/containerlab_tui/ui/widgets/lanes.py",  # a class of that module, whose text becomes Content
    },
}
"""Patterns of what writes or shows text -> the modules that may."""
_NOT_THE_UI = {"_change.notify(": "wakes a thread"}


def code(path: Path) -> str:
    """Returns a module without docstrings and comments."""
    return ast.unparse(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("pattern", DOORS)
def test_only_the_doors_write_or_show_text(pattern: str) -> None:
    found = {name for name, path in SOURCES.items() for line in code(path).splitlines()
             if re.search(pattern, line) and not any(one in line for one in _NOT_THE_UI)}  # fmt: skip
    assert found == DOORS[pattern]


@pytest.mark.parametrize("place", ["border_title", "border_subtitle"])
def test_titles_are_content(place: str) -> None:
    """Textual takes text for them, too, and parses it as markup."""
    titles = [line.strip() for path in SOURCES.values() for line in code(path).splitlines() if f".{place} = " in line]
    assert len(titles) >= 5
    assert [line for line in titles if not re.search(r" = (Content\(|self\._title\b)", line)] == []


if TYPE_CHECKING:
    # Never run: mypy refuses an ignore comment without an error (warn_unused_ignores), so each door is checked.
    from containerlab_probes.errors import Gone
    from containerlab_tui.cli import _fail
    from containerlab_tui.commands import common
    from containerlab_tui.present.safe_text import safe, safe_block
    from containerlab_tui.ui.widgets.content import Content, Label, Static, rich_text, toast
    from containerlab_tui.ui.widgets.grid import GridRow, cell

    def wrong(name: str) -> None:
        common.tell(name)  # type: ignore[arg-type]
        common.say(f"{safe(name)}")  # type: ignore[arg-type]
        _fail(name, 1)  # type: ignore[arg-type]
        toast(Static(), name)  # type: ignore[arg-type]
        Static(name)  # type: ignore[arg-type]
        Label(name)  # type: ignore[arg-type]
        Static().update(name)  # type: ignore[arg-type]
        rich_text(name)  # type: ignore[arg-type]
        GridRow(name, (("name", ((name, "plain"),)),))  # type: ignore[arg-type]

    def right(name: str) -> None:
        common.tell(safe(name))
        common.say(safe_block([name, name]))
        _fail(Gone(name).sentence, 1)
        toast(Static(), safe(name))
        Static(Content(name)).update(Content.assemble(name, (name, "bold")))
        rich_text(safe(name))
        GridRow(name, (("name", cell(name) + cell(name)),))
