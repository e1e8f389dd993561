"""Shows all signals and exits in one container from the kernel trace; the list can be filtered, paused and saved.

Records are added a few times a second and only visible rows are drawn, so thousands of signals a second cost little
more than reading them. The trace ends when the screen is left.
"""

import os
import re
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, ClassVar, Protocol

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from textual.style import Style

from containerlab_tui.model.inventory import RUNNING
from containerlab_tui.model.signal_filter import ALL, parse
from containerlab_tui.model.signal_log import LogRecord, Row, SignalLog
from containerlab_tui.present import signs
from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.present.signal_text import as_document, lost_words
from containerlab_tui.services.export import save_lines
from containerlab_tui.session.actions import Scope
from containerlab_tui.ui.background import do
from containerlab_tui.ui.bindings import bindings
from containerlab_tui.ui.dialogs.save import SaveForm, SaveRequest
from containerlab_tui.ui.widgets.content import Content, Input, Static, toast
from containerlab_tui.ui.widgets.filter_line import FilterLine
from containerlab_tui.ui.widgets.signal_list import SignalList
from containerlab_tui.ui.widgets.status_bar import KeyBar

if TYPE_CHECKING:
    from containerlab_tui.model.inventory import Details
    from containerlab_tui.session.session import Session
    from containerlab_tui.ui.tabs.base import Panel

TICK_S = 0.2
"""Time between two repaints while records arrive."""
RATE_S = 1.0
"""The rate is an average over this time."""
SaveLines = Callable[[str, Iterable[dict[str, object]], bool], int]
"""Writes documents to a file, perhaps over an existing one; returns how many."""
INSTEAD = "Showing the engine's signals, and exits where visible."


class Watch(Protocol):
    """The source of the records. No method blocks."""

    @property
    def opened(self) -> bool: ...
    @property
    def no_trace_reason(self) -> str: ...
    def begin(self) -> None: ...
    def take(self) -> list[LogRecord]: ...
    def close(self) -> None: ...


class SignalWatchScreen(Screen[None]):
    """Starts the watch when it is shown and closes it when it is left."""

    CSS_PATH = "../styles/watch.tcss"
    SIGNS = signs.WATCH
    SCOPE = Scope.SIGNAL_WATCH
    BINDINGS: ClassVar[list[BindingType]] = bindings(SCOPE)
    AUTO_FOCUS = "SignalList"

    def __init__(
        self, name: str, watch: Watch, clock: Callable[[], float] = time.time, save: SaveLines = save_lines
    ) -> None:
        """`name` is the container's; `clock` gives epoch seconds."""
        super().__init__()
        self._save_lines = save
        self._container, self._watch, self._clock = name, watch, clock
        self._log = SignalLog()
        self._filter, self._needle = ALL, ""
        self._paused_new: int | None = None
        """Rows that arrived while the list is paused; None: not paused."""
        self._counts: list[tuple[float, int]] = []
        self._drawn: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        yield Static(id="head")
        yield Static(id="note")
        yield Static(id="no-trace")
        yield SignalList()
        yield KeyBar()

    def on_mount(self) -> None:
        self._watch.begin()
        self._draw_head()
        self.set_interval(TICK_S, self._tick)

    def on_unmount(self) -> None:
        self._watch.close()

    @property
    def _list(self) -> SignalList:
        return self.query_one(SignalList)

    # records

    def _tick(self) -> None:
        records = self._watch.take()
        if records:
            new = self._filter.select(self._log.add(records))
            if self._paused_new is None:
                self._list.add(new)
            else:
                self._paused_new += len(new)
        self._draw_head()

    @property
    def _rate(self) -> float:
        """Signals per second, over the last second."""
        now, count = self._clock(), self._log.signals
        self._counts.append((now, count))
        while len(self._counts) > 2 and now - self._counts[1][0] >= RATE_S:
            del self._counts[0]
        since, before = self._counts[0]
        return (count - before) / (now - since) if now > since else 0.0

    def _draw_head(self) -> None:
        """Draws the lines above the list if they have changed."""
        facts = (self._watch.opened, self._watch.no_trace_reason, round(self._rate), self._log.signals, self._log.exits,
                 self._log.lost, self._log.lost_uncounted, self._log.dropped, self._paused_new, self._needle,
                 self._list.count, self._list.following)  # fmt: skip
        if facts == self._drawn:
            return
        self._drawn = facts
        self.query_one("#head", Static).update(self._head(), layout=False)
        self.query_one("#note", Static).update(self._note(), layout=False)
        line = self.query_one("#no-trace", Static)
        if self._watch.no_trace_reason and not line.has_class("shown"):
            line.add_class("shown")
            reason = safe_line(self._watch.no_trace_reason, 300)
            line.update(Content(f"! kernel trace {signs.STOPPED} not available: {reason} {INSTEAD}"))
        self._list.empty_text = self._nothing()

    def _head(self) -> Content:
        log = self._log
        if not self._watch.opened:
            mark = (f"kernel trace {signs.STARTING} starting …", "$text-muted")
        elif self._watch.no_trace_reason:
            mark = (f"kernel trace {signs.STOPPED}", "$text-warning")
        else:
            mark = (f"kernel trace {signs.RUNNING}", "$text-success")
        rate = self._drawn[2]
        parts: list[str | tuple[str, str | Style]] = [
            ("Signals in ", "$text-muted"), (safe_line(self._container, 40), "bold"), "  ", mark, "  ",
        ]  # fmt: skip
        if lost := lost_words(log):
            parts += [(lost, "bold $text-error"), "  "]
        parts.append(f"{_many(log.signals, 'signal')} · {_many(log.exits, 'exit')} · {rate:,}/s")
        return Content.assemble(*parts)

    def _note(self) -> Content:
        parts = []
        if self._paused_new is not None:
            parts.append(f"paused, {self._paused_new:,} new")
        elif self._list.following:
            parts.append("following")
        else:
            parts.append("scrolled: press G to follow")
        if self._needle:
            parts.append(f"filter “{safe_line(self._needle, 40)}”: {_many(self._list.count, 'row')}")
        else:
            parts.append(_many(self._list.count, "row"))
        if self._log.dropped:
            parts.append(f"{self._log.dropped:,} older rows dropped")
        return Content(" · ".join(parts))

    def _nothing(self) -> str:
        if self._needle:
            return f"Nothing matches “{safe_line(self._needle, 40)}”. Press Esc to clear the filter."
        return "No signals yet. SIGCHLD of exited children and SIGURG of Go's scheduler are not recorded."

    # keys

    def action_move(self, by: int) -> None:
        self._list.move(by)
        self._draw_head()

    def action_page(self, by: int) -> None:
        self._list.page(by)
        self._draw_head()

    def action_edge(self, end: bool) -> None:
        self._list.edge(end)
        self._draw_head()

    def action_pause(self) -> None:
        if self._paused_new is None:
            self._paused_new = 0
        else:
            self._paused_new = None
            self._list.show(self._filter.select(self._log.rows))
        self._draw_head()

    def action_clear(self) -> None:
        self._log.clear()
        self._counts.clear()
        self._paused_new = None if self._paused_new is None else 0
        self._list.show([])
        self._draw_head()

    async def action_filter(self) -> None:
        found = self.query(FilterLine)
        if not found:
            line = FilterLine(
                self._needle, "TERM  15  exit  pid:7  nginx  -CHLD  (fork, exec: show these too)", "SignalList"
            )
            await self.mount(line, before="SignalList")
            self.set_focus(line)
        else:
            self.set_focus(found.first())

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "filter":
            self._use(event.value.strip())

    def on_filter_line_left(self) -> None:
        for line in self.query(FilterLine):
            if not line.value.strip():
                line.remove()

    def _use(self, needle: str) -> None:
        self._needle, self._filter = needle, parse(needle)
        if self._paused_new is not None:
            self._paused_new = 0
        self._list.show(self._filter.select(self._log.rows))
        self._draw_head()

    def action_leave(self) -> None:
        """Closes the filter, else the screen."""
        lines = self.query(FilterLine)
        if lines:
            lines.remove()
            self.set_focus(self._list)
            self._use("")
        else:
            self.dismiss(None)

    def action_save(self) -> None:
        """Asks for a file and writes the listed rows to it."""
        rows = self._list.rows

        def chosen(request: SaveRequest | None) -> None:
            if request is not None:
                self._save(rows, request)

        name = re.sub(r"[^A-Za-z0-9_.-]", "_", self._container)
        when = time.strftime("%Y%m%d-%H%M%S", time.localtime(self._clock()))
        self.app.push_screen(SaveForm(f"Save {_many(len(rows), 'row')} to", f"signals-{name}-{when}.jsonl"), chosen)

    def _save(self, rows: list[Row], request: SaveRequest) -> None:
        path, app = os.path.abspath(request.path), self.app
        do(
            app,  # the screen may be left before everything is written
            lambda: self._save_lines(path, map(as_document, rows), request.overwrite),
            lambda count: toast(app, safe_line(f"{_many(count, 'row')} saved to {safe_line(path, 200)}")),
        )


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def watch_signals(screen: Screen[None], session: "Session", details: "Details", panel: "Panel | None" = None) -> None:
    """Opens the watch of a container's signals; meanwhile `panel` pauses its trace."""
    if details.state not in RUNNING:
        words = f"{safe_line(details.name, 60)} is not running. Press S to start it."
        toast(screen, safe_line(words), "warning")
        return
    if panel is not None:
        panel.pause_trace(True)
    watch = SignalWatchScreen(details.name, session.kernel.watch(session, details), session.clock)
    screen.app.push_screen(watch, lambda _left: panel.pause_trace(False) if panel is not None else None)
