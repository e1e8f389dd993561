"""All signals in one container as the kernel records them, and the ends of its processes; filtered, paused, saved.

What comes is folded a few times a second and only what can be seen is drawn, so thousands of signals a second cost
little more than their reading. Recording ends when the screen is left.
"""

import os
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Protocol

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.screen import Screen
from textual.style import Style
from textual.widgets import Input, Static

from containerlab_tui.model.inventory import RUNNING
from containerlab_tui.model.signal_filter import ALL, parse
from containerlab_tui.model.signal_log import LogRecord, Row, SignalLog
from containerlab_tui.present import signs
from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.present.signal_text import as_document, lost_words
from containerlab_tui.session.actions import Scope
from containerlab_tui.ui.background import do
from containerlab_tui.ui.bindings import bindings
from containerlab_tui.ui.dialogs.save import SaveForm, SaveRequest
from containerlab_tui.ui.widgets.filter_line import FilterLine
from containerlab_tui.ui.widgets.signal_list import SignalList
from containerlab_tui.ui.widgets.status_bar import KeyBar

if TYPE_CHECKING:
    from containerlab_tui.model.inventory import Details
    from containerlab_tui.session.session import Session
    from containerlab_tui.ui.tabs.base import Panel

TICK_S = 0.2
"""Between two repaints while something comes."""
RATE_S = 1.0
"""Over how long the rate is taken."""
INSTEAD = "Shown instead: what the engine sends, and ends of processes where they can be seen."


class Feed(Protocol):
    """Where the screen gets what it shows from. Nothing in it waits."""

    @property
    def opened(self) -> bool: ...
    @property
    def blind(self) -> str: ...
    def begin(self) -> None: ...
    def take(self) -> list[LogRecord]: ...
    def close(self) -> None: ...


class WatchScreen(Screen[None]):
    """Begins the feed when it is shown and closes it when it is left."""

    CSS_PATH = "../styles/watch.tcss"
    SIGNS = signs.WATCH
    SCOPE = Scope.SIGNAL_WATCH
    BINDINGS: ClassVar[list[BindingType]] = bindings(SCOPE)
    AUTO_FOCUS = "SignalList"

    def __init__(self, name: str, feed: Feed, clock: Callable[[], float] = time.time) -> None:
        """`name` is the container's; `clock` gives epoch seconds."""
        super().__init__()
        self._container, self._feed, self._clock = name, feed, clock
        self._log = SignalLog()
        self._filter, self._needle = ALL, ""
        self._paused_new: int | None = None
        """Rows that came while the list is held still; None: it is not."""
        self._counts: list[tuple[float, int]] = []
        self._said: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        yield Static(id="head", markup=False)
        yield Static(id="note", markup=False)
        yield Static(id="blind", markup=False)
        yield SignalList()
        yield KeyBar()

    def on_mount(self) -> None:
        self._feed.begin()
        self._say()
        self.set_interval(TICK_S, self._tick)

    def on_unmount(self) -> None:
        self._feed.close()

    @property
    def _list(self) -> SignalList:
        return self.query_one(SignalList)

    # what comes

    def _tick(self) -> None:
        told = self._feed.take()
        if told:
            new = self._filter.select(self._log.add(told))
            if self._paused_new is None:
                self._list.add(new)
            else:
                self._paused_new += len(new)
        self._say()

    @property
    def _rate(self) -> float:
        """Signals a second, over the last second."""
        now, count = self._clock(), self._log.signals
        self._counts.append((now, count))
        while len(self._counts) > 2 and now - self._counts[1][0] >= RATE_S:
            del self._counts[0]
        since, before = self._counts[0]
        return (count - before) / (now - since) if now > since else 0.0

    def _say(self) -> None:
        """What stands above the list; drawn where it has changed."""
        facts = (self._feed.opened, self._feed.blind, round(self._rate), self._log.signals, self._log.exits,
                 self._log.lost, self._log.lost_uncounted, self._log.dropped, self._paused_new, self._needle,
                 self._list.count, self._list.following)  # fmt: skip
        if facts == self._said:
            return
        self._said = facts
        self.query_one("#head", Static).update(self._head(), layout=False)
        self.query_one("#note", Static).update(self._note(), layout=False)
        blind = self.query_one("#blind", Static)
        if self._feed.blind and not blind.has_class("shown"):
            blind.add_class("shown")
            reason = safe_line(self._feed.blind, 300)
            blind.update(Content(f"! kernel trace ○ not available: {reason} {INSTEAD}"))
        self._list.empty_text = self._nothing()

    def _head(self) -> Content:
        log = self._log
        if not self._feed.opened:
            mark = ("kernel trace ◌ beginning …", "$text-muted")
        elif self._feed.blind:
            mark = ("kernel trace ○", "$text-warning")
        else:
            mark = ("kernel trace ●", "$text-success")
        rate = self._said[2]
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
            parts.append("scrolled: G follows again")
        if self._needle:
            parts.append(f"filter “{safe_line(self._needle, 40)}”: {_many(self._list.count, 'row')}")
        else:
            parts.append(_many(self._list.count, "row"))
        if self._log.dropped:
            parts.append(f"{self._log.dropped:,} older ones let go")
        return Content(" · ".join(parts))

    def _nothing(self) -> str:
        if self._needle:
            return f"Nothing that came passes “{safe_line(self._needle, 40)}”. Escape shows all."
        return "No signal yet. SIGCHLD of ended children and SIGURG of Go's scheduler are not recorded."

    # keys

    def action_move(self, by: int) -> None:
        self._list.move(by)
        self._say()

    def action_page(self, by: int) -> None:
        self._list.page(by)
        self._say()

    def action_edge(self, end: bool) -> None:
        self._list.edge(end)
        self._say()

    def action_pause(self) -> None:
        if self._paused_new is None:
            self._paused_new = 0
        else:
            self._paused_new = None
            self._list.show(self._filter.select(self._log.rows))
        self._say()

    def action_clear(self) -> None:
        self._log.clear()
        self._counts.clear()
        self._paused_new = None if self._paused_new is None else 0
        self._list.show([])
        self._say()

    async def action_filter(self) -> None:
        found = self.query(FilterLine)
        if not found:
            line = FilterLine(
                self._needle, "TERM  15  exit  pid:7  nginx  -CHLD  (fork and exec show those)", "SignalList"
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
        self._say()

    def action_leave(self) -> None:
        """Leave the filter, then the screen."""
        lines = self.query(FilterLine)
        if lines:
            lines.remove()
            self.set_focus(self._list)
            self._use("")
        else:
            self.dismiss(None)

    def action_save(self) -> None:
        """Ask where to, then write what is listed now."""
        rows = self._list.rows

        def chosen(request: SaveRequest | None) -> None:
            if request is not None:
                self._save(rows, request)

        name = re.sub(r"[^A-Za-z0-9_.-]", "_", self._container)
        when = time.strftime("%Y%m%d-%H%M%S", time.localtime(self._clock()))
        self.app.push_screen(SaveForm(f"Save {_many(len(rows), 'row')} to", f"signals-{name}-{when}.jsonl"), chosen)

    def _save(self, rows: list[Row], request: SaveRequest) -> None:
        from containerlab_tui.services.export import save_lines

        path, app = os.path.abspath(request.path), self.app
        do(
            app,  # the screen may be left before all is written
            lambda: save_lines(path, map(as_document, rows), request.overwrite),
            lambda count: app.notify(f"{_many(count, 'row')} saved to {safe_line(path, 200)}", markup=False),
        )


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def watch_signals(screen: Screen[None], session: "Session", details: "Details", panel: "Panel | None" = None) -> None:
    """Shows all signals in the container; `panel` traces nothing meanwhile: once is enough."""
    if details.state not in RUNNING:
        words = f"{safe_line(details.name, 60)} is not running. Press S to start it."
        screen.notify(words, severity="warning", markup=False)
        return
    if panel is not None:
        panel.hold(True)
    watch = WatchScreen(details.name, session.kernel.watch(session, details), session.clock)
    screen.app.push_screen(watch, lambda _left: panel.hold(False) if panel is not None else None)
