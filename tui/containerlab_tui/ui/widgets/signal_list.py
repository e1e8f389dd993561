"""A list of signal records; only visible rows are formatted and drawn."""

import time
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from containerlab_probes.trace_records import LostEvents, TracedDelivery, TracedSignal
from containerlab_tui.model.signal_log import KEPT, Note, Row
from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.present.signal_text import brief, line_of, sentence
from containerlab_tui.present.states import TONES
from containerlab_tui.session.actions import Scope
from containerlab_tui.ui.bindings import bindings
from containerlab_tui.ui.widgets.grid import GAP, Cell, Column, cell, cut, fit_columns

COLUMNS = (
    Column("time", "TIME", 12, 12, rank=2),
    Column("from", "FROM", 10, 40, rank=1),
    Column("to", "→ TO", 10, 40),
    Column("what", "SIGNAL", 6, 8),
    Column("result", "EFFECT", 19, 60),
)


class SignalList(ScrollView, can_focus=True, inherit_bindings=False):
    """Shows the newest row last and follows the end until scrolled up. Its keys belong to the screen."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.SIGNAL_LIST)

    COMPONENT_CLASSES: ClassVar[set[str]] = {"signals--header"} | {f"signals--{tone}" for tone in TONES}
    DEFAULT_CSS = """
    SignalList {
        overflow-x: hidden; overflow-y: auto; height: 1fr; background: transparent; scrollbar-size-vertical: 1;
        &> .signals--header { color: $text-muted; text-style: none; }
        &> .signals--good { color: $text-success; }
        &> .signals--warn { color: $text-warning; }
        &> .signals--bad { color: $text-error; }
        &> .signals--muted { color: $text-muted; }
        &> .signals--accent { color: $text-accent; }
        &> .signals--plain { color: $foreground; }
    }
    """

    def __init__(self, limit: int = KEPT) -> None:
        super().__init__()
        self._limit = limit
        self._rows: list[Row] = []
        self._columns: list[tuple[Column, int]] = []
        self._tones: dict[str, Style] = {}
        self.following = True
        """Whether the list scrolls to new rows."""
        self.empty_text = ""

    @property
    def rows(self) -> list[Row]:
        """A copy of the listed rows."""
        return list(self._rows)

    @property
    def count(self) -> int:
        return len(self._rows)

    def show(self, rows: list[Row]) -> None:
        """Replaces the rows and scrolls to the end."""
        self._rows = rows[-self._limit :]
        self.following = True
        self._changed(0)

    def add(self, rows: list[Row]) -> None:
        """Adds rows at the end, drops the oldest if there are too many, and redraws changed rows."""
        self._rows += rows
        over = max(0, len(self._rows) - self._limit)
        if over:
            del self._rows[:over]
        self._changed(over)

    def _changed(self, gone: int) -> None:
        self.virtual_size = Size(0, len(self._rows) + 1)
        if self.following:
            self._scroll(self._last)
        elif gone:
            self._scroll(max(0, self.scroll_offset.y - gone))
        self.refresh()

    @property
    def _last(self) -> int:
        """The scroll offset with the last row at the bottom; computed, because the layout may not know it yet."""
        return max(0, len(self._rows) + 1 - self.size.height)

    def _scroll(self, y: int) -> None:
        self.scroll_to(y=y, animate=False, force=True, immediate=True)

    def move(self, by: int) -> None:
        """Scrolls by rows; follows again at the end."""
        y = min(max(self.scroll_offset.y + by, 0), self._last)
        self._scroll(y)
        self.following = y >= self._last

    def page(self, by: int) -> None:
        """Scrolls by pages."""
        self.move(by * max(1, self.size.height - 2))

    def edge(self, end: bool) -> None:
        """Scrolls to the first row, or to the last and follows."""
        self.move(len(self._rows) * (1 if end else -1))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self.following = new_value >= self._last
        self.refresh()

    def on_resize(self) -> None:
        self._columns = fit_columns(COLUMNS, self.scrollable_content_region.width - 2)
        if self.following:
            self._scroll(self._last)
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._tones.clear()

    def _tone(self, name: str) -> Style:
        style = self._tones.get(name)
        if style is None:
            whole = self.get_component_rich_style(f"signals--{name}")
            style = self._tones[name] = Style(color=whole.color, bold=whole.bold)
        return style

    # drawing

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if not self._columns:
            self._columns = fit_columns(COLUMNS, self.scrollable_content_region.width - 2)
        if y == 0:
            return self._strip({column.key: cell(column.label, "header") for column in COLUMNS}, width)
        number = y - 1 + self.scroll_offset.y
        if number < len(self._rows):
            return self._line(self._rows[number], width)
        text = self.empty_text if y == 2 and not self._rows else ""
        return self._across(cell(text, "muted"), width)

    def _line(self, row: Row, width: int) -> Strip:
        record = row.record
        when = cell(clock_ms(record.at), "muted")
        if isinstance(record, LostEvents | Note):
            tone = "bad" if isinstance(record, LostEvents) else "accent"
            return self._across(when + cell("  ") + cell(safe_line(sentence(record), 200), tone), width)
        line = line_of(row)
        result = safe_line(line.result, 200)
        if isinstance(record, TracedSignal | TracedDelivery) and cell_len(result) > self._columns[-1][1]:
            result = safe_line(brief(result))
        return self._strip(
            {
                "time": when,
                "from": cell(safe_line(line.sender, 80)),
                "to": cell(safe_line(line.target, 80)),
                "what": cell(line.what, "accent" if line.what.isupper() else "muted"),
                "result": cell(result, line.tone),
            },
            width,
        )

    def _across(self, parts: Cell, width: int) -> Strip:
        base = self.rich_style
        cells = cut(cell(" ") + parts, width)
        return Strip([Segment(text, base + self._tone(tone)) for text, tone in cells if text], width)

    def _strip(self, cells: dict[str, Cell], width: int) -> Strip:
        base = self.rich_style
        segments = [Segment(" ", base)]
        for position, (column, room) in enumerate(self._columns):
            if position:
                segments.append(Segment(" " * GAP, base))
            segments += [Segment(text, base + self._tone(tone)) for text, tone in cut(cells[column.key], room) if text]
        return Strip(segments).adjust_cell_length(width, base)


def clock_ms(epoch_s: float) -> str:
    """Formats a time as `17:03:09.123`, local time."""
    milliseconds = round(epoch_s * 1000)
    return f"{time.strftime('%H:%M:%S', time.localtime(milliseconds // 1000))}.{milliseconds % 1000:03}"
