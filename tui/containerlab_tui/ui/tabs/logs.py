"""The Logs tab: follows a container's output and keeps a limited number of lines, with their colours."""

import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import ClassVar

from rich.segment import Segment
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from containerlab_probes.errors import ContainerlabError
from containerlab_tui.engine.api import LogStream
from containerlab_tui.model.inventory import RUNNING
from containerlab_tui.present.safe_text import log_line, safe_line
from containerlab_tui.session.actions import Scope
from containerlab_tui.session.store import ShownContainer
from containerlab_tui.ui.background import deliver
from containerlab_tui.ui.bindings import bindings
from containerlab_tui.ui.tabs.base import Panel
from containerlab_tui.ui.widgets.content import Content, Input, Static, rich_text

TAIL = 1000
"""Lines requested at first."""
LONGEST_LINE = 4000
"""Bytes kept of one line."""
BATCH_S = 0.1
"""Lines that arrive within this time are shown together."""


class LogLines(ScrollView, can_focus=True):
    """The lines. Draws only the visible ones."""

    DEFAULT_CSS = """
    LogLines { height: 1fr; background: transparent; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.LOG_LINES)

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit
        self._raw: deque[bytes] = deque(maxlen=limit)
        self._shown: deque[bytes] = deque(maxlen=limit)
        self._needle = ""
        self._widest = 0
        self.dropped = 0
        """Lines received and no longer kept."""
        self.cut = 0
        """Lines of which only the first LONGEST_LINE bytes are kept."""

    @property
    def counts(self) -> tuple[int, int]:
        """Lines shown, lines kept."""
        return len(self._shown), len(self._raw)

    @property
    def following(self) -> bool:
        """Whether the last line is visible, so that new lines scroll the view."""
        return self.scroll_offset.y >= self.max_scroll_y

    def add(self, lines: list[bytes]) -> None:
        follow = self.following
        over = len(self._raw) + len(lines) - self._limit
        self.dropped += max(0, over)
        self._raw.extend(lines)
        wanted = [line for line in lines if self._matches(line)]
        before = len(self._shown) + len(wanted)
        self._shown.extend(wanted)
        gone = before - len(self._shown)
        self._widest = max(self._widest, max((len(line) for line in wanted[-500:]), default=0))
        self._resized()
        if follow:
            self._to_end()
        elif gone:
            self.scroll_to(y=max(0, self.scroll_offset.y - gone), animate=False, force=True, immediate=True)
        self.refresh()

    def clear(self) -> None:
        self._raw.clear()
        self._shown.clear()
        self._widest = self.dropped = self.cut = 0
        self._resized()
        self.refresh()

    def filter(self, needle: str) -> None:
        """Shows only lines that contain this text, ignoring case."""
        self._needle = needle.casefold()
        self._shown = deque((line for line in self._raw if self._matches(line)), maxlen=self._limit)
        self._resized()
        self._to_end()
        self.refresh()

    def _to_end(self) -> None:
        """Scrolls with `force`: before the next layout the view does not know that it can scroll."""
        self.scroll_to(y=self.max_scroll_y, animate=False, force=True, immediate=True)

    def _matches(self, line: bytes) -> bool:
        return not self._needle or self._needle in line.decode("utf-8", "replace").casefold()

    def _resized(self) -> None:
        self.virtual_size = Size(min(self._widest, LONGEST_LINE), len(self._shown))

    def render_line(self, y: int) -> Strip:
        width, (left, top) = self.size.width, self.scroll_offset
        if top + y >= len(self._shown):
            return Strip.blank(width, self.rich_style)
        text = rich_text(*log_line(self._shown[top + y]))
        segments = list(text.render(self.app.console))
        strip = Strip(Segment.apply_style(segments, self.rich_style))
        return strip.crop_extend(left, left + width, self.rich_style)


class LogView(Panel):
    """Follows the log from when the tab is shown until another container is selected."""

    DEFAULT_CSS = """
    LogView { layout: vertical; height: 1fr; }
    LogView > Static { height: 1; padding: 0 1; color: $text-muted; }
    LogView > Input { display: none; border: none; height: 1; padding: 0 1; background: $boost; }
    LogView > Input.shown { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.LOGS)

    def __init__(self, open_logs: Callable[[str, int], LogStream], limit: int = 5000) -> None:
        """`open_logs` takes an id and a number of lines; runs in another thread. Raises ContainerlabError."""
        super().__init__(id="logs")
        self._open = open_logs
        self._limit = limit
        self._following: _Follower | None = None
        self._run: tuple[str, str, float | None] | None = None
        self._end = ""

    def compose(self) -> ComposeResult:
        field = Input(placeholder="filter: lines that contain …", compact=True)
        field.cursor_blink = False
        yield field
        yield LogLines(self._limit)
        yield Static()

    def show(self, subject: ShownContainer | None) -> None:
        run = None
        if subject is not None:
            started = subject.details.started_at if subject.details else None
            run = (subject.container.id, "running" if subject.container.state in RUNNING else "ended", started)
        if run is not None and self._run is not None and run[0] == self._run[0] and not self._end:
            return
        if run == self._run:
            return
        self._run = run
        self._stop()
        self._lines.clear()
        self._end = ""
        if run is not None:
            self._following = _Follower(self, self._open, run[0], min(TAIL, self._limit))
        self._show_status()

    def on_unmount(self) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._following is not None:
            self._following.stop()
            self._following = None

    @property
    def _lines(self) -> LogLines:
        return self.query_one(LogLines)

    def add_lines(self, follower: "_Follower", lines: list[bytes], dropped: int, cut: int) -> None:
        """Adds lines from the follower's thread."""
        if follower is self._following:
            self._lines.dropped += dropped
            self._lines.cut += cut
            self._lines.add(lines)
            self._show_status()

    def ended(self, follower: "_Follower", why: str) -> None:
        """Shows why the stream ended."""
        if follower is self._following:
            self._end = why
            self._show_status()

    def _show_status(self) -> None:
        shown, kept = self._lines.counts
        if self._run is None:
            text = "Select a container."
        else:
            text = f"{kept} line{'' if kept == 1 else 's'}" if shown == kept else f"{shown} of {kept} lines"
            if self._lines.dropped:
                text += f", {self._lines.dropped} older lines dropped"
            if self._lines.cut:
                text += f", {self._lines.cut} long line{'' if self._lines.cut == 1 else 's'} cut"
            text += f" · {self._end or 'following'} · press / to filter"
        self.query_one(Static).update(Content(safe_line(text, 300)))

    def action_filter(self) -> None:
        field = self.query_one(Input)
        field.add_class("shown")
        field.focus()

    def action_unfilter(self) -> None:
        field = self.query_one(Input)
        if not field.has_class("shown"):
            self.call_later(self.screen.run_action, "back")
            return
        field.remove_class("shown")
        field.value = ""
        self._lines.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._lines.filter(event.value)
        self._show_status()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._lines.focus()


class _Lines:
    """Splits output into lines and keeps the first LONGEST_LINE bytes of each: a line may be without end."""

    def __init__(self) -> None:
        self._rest = b""
        self._is_cut = False
        """The beginning of this line was returned; the rest of it is dropped."""
        self._cut = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Returns the lines that ended, and the beginning of one that is too long."""
        *ended, rest = chunk.split(b"\n")
        if ended:
            ended[0] = self._rest + ended[0]
            if self._is_cut:
                del ended[0]
            self._rest, self._is_cut = b"", False
        if not self._is_cut:
            self._rest += rest
            if len(self._rest) > LONGEST_LINE:
                ended.append(self._rest)
                self._rest, self._is_cut = b"", True
        self._cut += sum(len(line) > LONGEST_LINE for line in ended)
        return [line[:LONGEST_LINE] for line in ended]

    def end(self) -> list[bytes]:
        """Returns the last line, if it has no end."""
        return [self._rest] if self._rest else []

    def take_cut(self) -> int:
        """Returns how many lines were cut since the last call."""
        cut, self._cut = self._cut, 0
        return cut


class _Follower:
    """Reads one stream in a thread and delivers a batch once the screen has taken the previous one."""

    def __init__(self, view: LogView, open_logs: Callable[[str, int], LogStream], container: str, tail: int) -> None:
        self._view, self._open, self._container, self._tail = view, open_logs, container, tail
        self._stream: LogStream | None = None
        self._stopped = False
        self._lock = threading.Lock()
        self._waiting: deque[bytes] = deque(maxlen=view._limit)
        self._dropped = self._cut = 0
        self._arrived = threading.Event()
        threading.Thread(target=self._read, name="logs", daemon=True).start()
        threading.Thread(target=self._deliver, name="logs-out", daemon=True).start()

    def stop(self) -> None:
        """Stops reading, from any thread, without waiting."""
        self._stopped = True
        self._arrived.set()
        stream = self._stream
        if stream is not None:
            threading.Thread(target=stream.close, daemon=True).start()

    def _read(self) -> None:
        why = "end of output"
        lines = _Lines()
        try:
            self._stream = stream = self._open(self._container, self._tail)
            if self._stopped:
                stream.close()
            for chunk in stream:
                if self._stopped:
                    return
                self._keep(lines.feed(chunk), lines.take_cut())
        except ContainerlabError as error:
            why = str(error)
        except Exception as error:  # noqa: BLE001  a defect of ours must not end the thread
            why = f"unexpected {type(error).__name__}: {error}"
        self._keep(lines.end(), lines.take_cut())
        self._why = why
        self._done = True
        self._arrived.set()

    _done = False
    _why = ""

    def _keep(self, lines: list[bytes], cut: int) -> None:
        with self._lock:
            self._dropped += max(0, len(self._waiting) + len(lines) - self._view._limit)
            self._cut += cut
            self._waiting.extend(lines)
        self._arrived.set()

    def _deliver(self) -> None:
        taken = threading.Event()
        while not self._stopped:
            self._arrived.wait()
            self._arrived.clear()
            done = self._done
            with self._lock:
                lines, self._waiting = list(self._waiting), deque(maxlen=self._view._limit)
                batch, self._dropped, self._cut = (lines, self._dropped, self._cut), 0, 0
            if lines and not self._stopped:
                taken.clear()
                if not deliver(self._view, partial(self._pass_on, *batch, taken)):
                    return
                taken.wait(5)
            if done:
                deliver(self._view, lambda: self._view.ended(self, self._why))
                return
            time.sleep(BATCH_S)

    def _pass_on(self, lines: list[bytes], dropped: int, cut: int, taken: threading.Event) -> None:
        self._view.add_lines(self, lines, dropped, cut)
        taken.set()
