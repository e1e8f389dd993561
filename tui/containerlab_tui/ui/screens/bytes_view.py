"""Shows the bytes of an object or file as hexadecimal and text, one window at a time, and marks changes."""

import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import Screen

from containerlab_probes.errors import ContainerlabError
from containerlab_probes.memory_records import WINDOW_LIMIT, Window
from containerlab_tui.model.survival import Survival
from containerlab_tui.present import hexdump, signs, wording
from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.session.actions import Scope
from containerlab_tui.ui.background import ask
from containerlab_tui.ui.bindings import bindings
from containerlab_tui.ui.widgets import survival_marks
from containerlab_tui.ui.widgets.content import Content, Input, Static
from containerlab_tui.ui.widgets.hex_view import HexView
from containerlab_tui.ui.widgets.status_bar import KeyBar

Reader = Callable[[int, int], Window]
"""Reads a window at (offset, length). May block: called off the UI thread. Raises ContainerlabError."""


class BytesScreen(Screen[None]):
    """Reads only as much as fits on the screen, so the object's size does not matter."""

    CSS_PATH = "../styles/bytes.tcss"
    SIGNS = signs.BYTES
    SCOPE = Scope.BYTES
    BINDINGS: ClassVar[list[BindingType]] = bindings(SCOPE)
    AUTO_FOCUS = ""

    def __init__(
        self,
        title: str,
        reader: Reader,
        survival: Survival | None = None,
        facts: Sequence[str] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`title` and `facts` (one line each) describe the object; they are made safe here."""
        super().__init__()
        self._title = safe_line(title, 200)
        self._facts = tuple(safe_line(fact, 300) for fact in facts)
        self._survival = survival
        self._reader, self._clock = reader, clock
        self._window: Window | None = None
        self._offset = 0
        """The requested offset of the window."""

    def compose(self) -> ComposeResult:
        yield Static(id="head")
        yield Static(id="place")
        with Horizontal(id="middle"):
            yield HexView(id="hex")
            with VerticalScroll(id="facts", can_focus=False):
                yield Static(id="fact-lines")
        yield Static(id="trouble")
        yield Input(placeholder="offset: 4096, 0x1000, +512, -512 or 50%", compact=True, id="offset")
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one("#head", Static).update(Content.styled(self._title, "bold"))
        self.query_one("#fact-lines", Static).update(self._explanation())
        self._place("reading …")

    def on_resize(self) -> None:
        self.set_class(self.size.width >= 120, "wide")

    def on_hex_view_resized(self) -> None:
        self._read(self._offset, False)

    def _explanation(self) -> Content:
        lines = [Content(fact) for fact in self._facts]
        if self._survival is not None:
            lines.append(Content(safe_line(survival_marks.sentence(self._survival), 600)))
        return Content("\n").join(lines)

    # reading

    @property
    def _hex(self) -> HexView:
        return self.query_one(HexView)

    def _read(self, offset: int, again: bool) -> None:
        """Reads the window at an offset. `again`: mark what differs from the current window."""
        self._offset = offset
        length = min(max(self._hex.page_bytes, 1), WINDOW_LIMIT)
        before = self._window if again else None

        def question() -> Window:
            return self._reader(offset, length)

        ask(self, question, lambda window: self._answered(window, before), self._failed, group="bytes")

    def _answered(self, window: Window, before: Window | None) -> None:
        if not self.query_one("#offset").has_class("shown"):  # a complaint about an offset stays until it is corrected
            self.query_one("#trouble").remove_class("shown")
        self._window = window
        view = self._hex
        if not window.data and window.offset and window.total and window.offset >= window.total:
            self._read(self._last_page(window.total), False)
            return
        view.window = window
        view.changed = hexdump.changes(before, window)
        shrunk = before is not None and before.total != window.total
        if before is None:
            self._place("")
        else:
            count = len(view.changed)
            result = "no changes here" if not count else f"{count} byte{'s' if count != 1 else ''} changed, marked *"
            size = f", size was {wording.exact(before.total)}" if shrunk else ""
            self._place(f"re-read at {wording.clock_time(self._clock())}: {result}{size}")

    def _failed(self, error: ContainerlabError) -> None:
        """Keeps the last window and shows the error above the keys."""
        trouble = self.query_one("#trouble", Static)
        trouble.update(Content(f"! {safe_line(str(error), 300)}  Press r to retry."))
        trouble.add_class("shown")
        if self._window is None:
            self._place("nothing read")

    def _place(self, note: str) -> None:
        """Shows which bytes of how many are visible, and a note."""
        window = self._window
        if window is None:
            text = note
        elif not window.data:
            text = f"empty, {wording.exact(window.total)}"
        else:
            last = window.offset + len(window.data) - 1
            text = f"bytes {window.offset:,} to {last:,} of {wording.exact(window.total)}"
            text += f" · {note}" if note else ""
        self.query_one("#place", Static).update(Content(text))

    def _last_page(self, total: int) -> int:
        """Returns the offset of the last window, which ends with the object's last line."""
        width = self._hex.row_bytes
        end = -(-total // width) * width
        return max(end - self._hex.page_bytes, 0)

    def _move(self, offset: int) -> None:
        if self._window is not None:
            self._read(min(max(offset, 0), self._last_page(self._window.total)), False)

    # keys

    def action_again(self) -> None:
        self._read(self._offset, True)

    def action_page(self, by: int) -> None:
        self._move(self._offset + by * self._hex.page_bytes)

    def action_row(self, by: int) -> None:
        self._move(self._offset + by * self._hex.row_bytes)

    def action_edge(self, end: bool) -> None:
        if self._window is not None:
            self._move(self._window.total if end else 0)

    def action_jump(self) -> None:
        self._ask_offset(True)

    def action_leave(self) -> None:
        if self.query_one("#offset").has_class("shown"):
            self._ask_offset(False)
        else:
            self.dismiss(None)

    def _ask_offset(self, wanted: bool) -> None:
        field = self.query_one("#offset", Input)
        field.set_class(wanted, "shown")
        field.value = ""
        self.query_one("#trouble").remove_class("shown")
        if wanted:
            field.focus()
        else:
            self.set_focus(None)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        window = self._window
        try:
            offset = read_offset(event.value, self._offset, window.total if window else 0)
        except ValueError as error:
            trouble = self.query_one("#trouble", Static)
            trouble.update(Content(f"! {error}"))
            trouble.add_class("shown")
            return
        self._ask_offset(False)
        self._move(offset - offset % self._hex.row_bytes)


def read_offset(text: str, here: int, total: int) -> int:
    """Parses an offset below `total`: `4096`, `0x1000`, `+512`, `-512`, `50%`. Raises ValueError with a sentence."""
    text = text.strip().replace("_", "").replace(",", "").lower()
    try:
        if text.endswith("%"):
            offset = total * int(text[:-1]) // 100
        elif text[:1] in ("+", "-"):
            offset = here + int(text, 0)
        else:
            offset = int(text, 0)
    except ValueError as error:
        raise ValueError("Enter an offset: 4096, 0x1000, +512, -512 or 50%.") from error
    if not 0 <= offset < max(total, 1):
        raise ValueError(f"The last byte is at {max(total - 1, 0):,} (0x{max(total - 1, 0):x}).")
    return offset
