"""A table of one-line rows with fixed columns and a row cursor, drawn line by line.

DataTable redraws every visible row when one cell changes; this table redraws only changed lines, so an idle program
uses no CPU. Cells contain safe text; nothing is parsed as markup.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from containerlab_tui.present.safe_text import SafeText, safe_line
from containerlab_tui.present.states import TONES
from containerlab_tui.session.actions import Scope
from containerlab_tui.ui.bindings import bindings

Part = tuple[SafeText, str]
"""A text and its tone."""
Cell = tuple[Part, ...]

GAP = 2
"""Blank cells between columns."""


def cell(text: str, tone: str = "plain") -> Cell:
    """Returns a cell with one text, which is made safe."""
    return ((safe_line(text), tone),)


@dataclass(frozen=True, slots=True)
class Column:
    """A column, drawn if `fit_columns` finds room for it."""

    key: str
    label: str
    least: int
    most: int
    right: bool = False
    rank: int = 0
    """Columns of a higher rank are dropped first if there is no room."""
    share: int = 1
    """Weight for the distribution of spare room."""
    keep_end: bool = False
    """Cut at the start, because the end distinguishes the values."""


@dataclass(frozen=True, slots=True)
class GridRow:
    key: str
    cells: tuple[tuple[str, Cell], ...]
    """(column key, cell)"""
    dim: bool = False


def fit_columns(columns: Sequence[Column], width: int) -> list[tuple[Column, int]]:
    """Returns the columns that fit in `width`, in order, each with its width."""
    chosen = list(columns)
    while len(chosen) > 1 and sum(column.least for column in chosen) + GAP * (len(chosen) - 1) > width:
        chosen.remove(max(reversed(chosen), key=lambda column: column.rank))
    widths = {column.key: column.least for column in chosen}
    spare = width - sum(widths.values()) - GAP * (len(chosen) - 1)
    while spare > 0:
        growing = [column for column in chosen if widths[column.key] < column.most]
        if not growing:
            break
        total = sum(column.share for column in growing)
        given = 0
        for column in growing:
            more = min(max(1, spare * column.share // total), column.most - widths[column.key], spare - given)
            widths[column.key] += more
            given += more
        spare -= given
    return [(column, widths[column.key]) for column in chosen]


def cut(parts: Cell, width: int, right: bool = False, keep_end: bool = False) -> Cell:
    """Returns exactly `width` cells; an ellipsis marks a cut."""
    used = sum(cell_len(text) for text, _ in parts)
    if used <= width:
        pad = cell(" " * (width - used))
        return pad + parts if right else parts + pad
    if keep_end:
        text, tone = "".join(text for text, _ in parts), parts[-1][1]
        while cell_len(text) > width - 1:
            text = text[1:]
        return cut(cell("…" + text, tone), width)
    kept, room = list[Part](), width - 1
    for text, tone in parts:
        length = cell_len(text)
        if length > room:
            return (*kept, *cell(set_cell_size(text, room) + "…", tone))
        kept.append((text, tone))
        room -= length
    return tuple(kept)


ROWS_SHOWN = 5000
"""Rows of a table that a container fills; drawing 32,000 takes seconds."""


def rows_left_out(count: int, command: str) -> list[str]:
    """Returns a sentence if a table shows only ROWS_SHOWN of its rows; `command` lists more."""
    if count <= ROWS_SHOWN:
        return []
    return [f"The first {ROWS_SHOWN:,} of {count:,} rows are shown; the command `{command}` lists more."]


class Grid(ScrollView, can_focus=True):
    """Rows with a cursor. Subclasses define `COLUMNS`; `set_rows` sets the contents."""

    COLUMNS: ClassVar[tuple[Column, ...]] = ()

    COMPONENT_CLASSES: ClassVar[set[str]] = {"grid--header", "grid--cursor", "grid--mark", "grid--dim"} | {
        f"grid--{tone}" for tone in TONES
    }
    DEFAULT_CSS = """
    Grid {
        overflow-x: hidden; overflow-y: auto; height: 1fr; background: transparent; scrollbar-size-vertical: 1;
        &> .grid--header { color: $text-muted; text-style: none; }
        &> .grid--cursor { background: $foreground 8%; }
        &:focus > .grid--cursor { background: $primary 35%; }
        &> .grid--mark { color: $accent; }
        &> .grid--good { color: $text-success; }
        &> .grid--warn { color: $text-warning; }
        &> .grid--bad { color: $text-error; }
        &> .grid--muted { color: $text-muted; }
        &> .grid--accent { color: $text-accent; }
        &> .grid--plain { color: $foreground; }
        &> .grid--dim { color: $foreground 55%; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.GRID)

    cursor: reactive[int] = reactive(0, init=False, repaint=False)

    class Moved(Message):
        """The cursor is on another row; `key` is None if there are no rows."""

        def __init__(self, grid: "Grid", key: str | None) -> None:
            super().__init__()
            self.grid, self.key = grid, key

        @property
        def control(self) -> "Grid":
            return self.grid

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, Grid.Moved) and message.grid is self.grid

    class Opened(Message):
        """Enter or a double click on a row."""

        def __init__(self, grid: "Grid", key: str) -> None:
            super().__init__()
            self.grid, self.key = grid, key

        @property
        def control(self) -> "Grid":
            return self.grid

    def __init__(self, *, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._rows: list[GridRow] = []
        self._index: dict[str, int] = {}
        self._columns: list[tuple[Column, int]] = []
        self._tones: dict[str, Style] = {}
        self._lines: dict[int, Strip] = {}
        self.empty_text = ""
        """Shown if there are no rows."""

    # contents

    @property
    def rows(self) -> Sequence[GridRow]:
        return self._rows

    @property
    def row_key(self) -> str | None:
        """The key of the row under the cursor."""
        return self._rows[self.cursor].key if 0 <= self.cursor < len(self._rows) else None

    def columns(self) -> Sequence[Column]:
        """The columns that may be drawn."""
        return self.COLUMNS

    def set_rows(self, rows: Iterable[GridRow]) -> None:
        """Shows these rows. The cursor stays on its row; unchanged lines are not redrawn."""
        old, new = self._rows, list(rows)
        key, before = self.row_key, self.cursor
        self._rows, self._index = new, {row.key: number for number, row in enumerate(new)}
        if len(old) != len(new):
            self._fit_height()
        now = self._index.get(key, before) if key is not None else 0
        now = max(0, min(now, len(new) - 1))
        if now != before:
            self.set_reactive(Grid.cursor, now)
        changed = [n for n in range(max(len(old), len(new))) if old[n : n + 1] != new[n : n + 1]]
        if now != before:
            changed += [before, now]
            self.call_after_refresh(self.scroll_to_cursor)
        self._redraw(changed)
        if not old:
            self.refresh()  # the text of an empty table is on the line of the second row
        if self.row_key != key:
            self.post_message(self.Moved(self, self.row_key))

    def replace_row(self, row: GridRow) -> None:
        """Redraws one row if it has changed."""
        number = self._index.get(row.key)
        if number is not None and self._rows[number] != row:
            self._rows[number] = row
            self._redraw([number])

    def select(self, key: str) -> bool:
        """Moves the cursor to a row. Returns False if there is no such row."""
        number = self._index.get(key)
        if number is None:
            return False
        self.cursor = number
        return True

    def visible_keys(self) -> list[str]:
        """Returns the keys of the visible rows."""
        top = self.scroll_offset.y
        return [row.key for row in self._rows[top : top + max(0, self.size.height - 1)]]

    def refit(self) -> None:
        """Recomputes the column widths."""
        width = self.scrollable_content_region.width - 2
        self._columns = fit_columns(self.columns(), width)
        self._lines.clear()
        self.refresh()

    # drawing

    def _redraw(self, numbers: Iterable[int]) -> None:
        top, height = self.scroll_offset.y, self.size.height
        regions = []
        for number in set(numbers):
            self._lines.pop(number, None)
            if top <= number < top + height - 1:
                regions.append(Region(0, number - top + 1, self.size.width, 1))
        if not self._rows:
            self.refresh()
        elif regions:
            self.refresh(*regions)

    def _fit_height(self) -> None:
        """Tells Textual the number of rows. Only if the scrollbar comes or goes is the screen laid out and redrawn."""
        before, now, room = self.virtual_size.height, Size(0, len(self._rows) + 1), self.size.height
        if max(before, now.height) <= room:
            return
        if min(before, now.height) <= room or not self.show_vertical_scrollbar:
            self.virtual_size = now
            return
        self.set_reactive(Grid.virtual_size, now)
        self.vertical_scrollbar.window_virtual_size = now.height
        self.scroll_y = min(self.scroll_y, self.max_scroll_y)

    def on_resize(self) -> None:
        self.virtual_size = Size(0, len(self._rows) + 1)
        self.refit()
        self.scroll_to_cursor()  # a table that got smaller shows the row that a key would act on

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._tones.clear()
        self._lines.clear()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self.refresh()

    @property
    def _plain(self) -> Style:
        """The widget's own style; Textual computes it from all ancestors each time."""
        style = self._tones.get("")
        if style is None:
            style = self._tones[""] = self.rich_style
        return style

    def _tone(self, name: str) -> Style:
        style = self._tones.get(name)
        if style is None:
            whole = self.get_component_rich_style(f"grid--{name}")
            ground = whole.bgcolor if name == "cursor" else None
            style = self._tones[name] = Style(color=whole.color, bgcolor=ground, bold=whole.bold)
        return style

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if not self._columns:
            self._columns = fit_columns(self.columns(), self.scrollable_content_region.width - 2)
        if y == 0:
            return self._header(width)
        if not self._rows:
            text = self.empty_text if y == 2 else ""
            line = cut(cell("  ") + cell(text, "muted"), width)
            return Strip([Segment(part, self._plain + self._tone(tone)) for part, tone in line], width)
        number = y - 1 + self.scroll_offset.y
        if number >= len(self._rows):
            return Strip.blank(width, self._plain)
        line_ = self._lines.get(number)
        if line_ is None or line_.cell_length != width:
            line_ = self._lines[number] = self._line(self._rows[number], number == self.cursor, width)
        return line_

    def _header(self, width: int) -> Strip:
        style = self._plain + self._tone("header")
        segments = [Segment(" ", style)]
        for position, (column, room) in enumerate(self._columns):
            if position:
                segments.append(Segment(" " * GAP, style))
            segments += [Segment(text, style) for text, _ in cut(cell(column.label), room, column.right) if text]
        return Strip(segments).adjust_cell_length(width, style)

    def _line(self, row: GridRow, at_cursor: bool, width: int) -> Strip:
        base = self._plain + self._tone("dim") if row.dim else self._plain
        if at_cursor:
            base += self._tone("cursor")
        segments = [Segment("▌", base + self._tone("accent")) if at_cursor else Segment(" ", base)]
        cells = dict(row.cells)
        for position, (column, room) in enumerate(self._columns):
            if position:
                segments.append(Segment(" " * GAP, base))
            for text, tone in cut(cells.get(column.key, ()), room, column.right, column.keep_end):
                segments.append(Segment(text, base if row.dim or tone == "plain" else base + self._tone(tone)))
        return Strip(segments).adjust_cell_length(width, base)

    # cursor

    def validate_cursor(self, cursor: int) -> int:
        return max(0, min(cursor, len(self._rows) - 1))

    def watch_cursor(self, before: int, now: int) -> None:
        self._redraw((before, now))
        self.scroll_to_cursor()
        self.post_message(self.Moved(self, self.row_key))

    def scroll_to_cursor(self) -> None:
        """Scrolls as little as needed to show the cursor's row."""
        top, room = self.scroll_offset.y, max(1, self.size.height - 1)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, force=True, immediate=True)
        elif self.cursor >= top + room:
            self.scroll_to(y=self.cursor - room + 1, animate=False, force=True, immediate=True)

    def action_move(self, step: int) -> None:
        self.cursor += step

    def action_page(self, step: int) -> None:
        self.cursor += step * max(1, self.size.height - 2)

    def action_edge(self, step: int) -> None:
        self.cursor = 0 if step < 0 else len(self._rows) - 1

    def action_open(self) -> None:
        if self.row_key is not None:
            self.post_message(self.Opened(self, self.row_key))

    def on_click(self, event: events.Click) -> None:
        number = event.y - 1 + self.scroll_offset.y
        if event.y >= 1 and number < len(self._rows):
            self.cursor = number
            if event.chain == 2:
                self.action_open()
