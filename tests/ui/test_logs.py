"""The Logs tab: limit, filter, and safe text."""

import itertools
import os
import time
from collections.abc import Iterator

from textual.app import App, ComposeResult

from containerlab_probes.errors import Unreachable
from containerlab_tui.engine.api import LogStream
from containerlab_tui.engine.streams import output
from containerlab_tui.model.inventory import Container
from containerlab_tui.session.store import ShownContainer
from containerlab_tui.ui.tabs.logs import LONGEST_LINE, LogLines, LogView
from tests.ui.samples import HOSTILE, settled, text_of

SUBJECT = ShownContainer(Container("c" * 64, "web", "web", "running", "Up", "web", 0.0), None)


class Stream:
    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        self.closed = True


class LogHost(App[None]):
    def __init__(
        self, recorded: list[bytes], limit: int = 5000, fails: bool = False, chunks: Iterator[bytes] | None = None
    ) -> None:
        super().__init__()
        self._limit, self._fails = limit, fails
        self.streams: list[Stream] = []
        self._chunks = iter(recorded) if chunks is None else chunks

    def open(self, container: str, tail: int) -> LogStream:
        if self._fails:
            raise Unreachable("Lost the engine.")
        self.streams.append(Stream(self._chunks))
        return self.streams[-1]

    def compose(self) -> ComposeResult:
        yield LogView(self.open, self._limit)

    def on_mount(self) -> None:
        self.query_one(LogView).show(SUBJECT)


async def test_chunks_are_joined_into_lines() -> None:
    app = LogHost([b"one\ntw", b"o\nthr", b"ee"])
    async with app.run_test(size=(60, 10)) as pilot:
        await settled(pilot, lambda: "three" in text_of(app), "the last line")
        assert [line.strip() for line in text_of(app).splitlines()[:3]] == ["one", "two", "three"]


async def test_a_flood_keeps_the_newest_lines() -> None:
    app = LogHost([b"".join(b"line %d\n" % (n * 1000 + m) for m in range(1000)) for n in range(100)], limit=2000)
    async with app.run_test(size=(60, 10)) as pilot:
        await settled(pilot, lambda: "line 99999" in text_of(app), "the last line")
        lines = app.query_one(LogLines)
        assert lines.counts == (2000, 2000)
        assert lines.dropped == 98000
        assert "98000 older lines dropped" in text_of(app)


LINE = b"2026-01-01 00:00:00 INFO request served, nothing to see here, please move on, and so on\n"
FLOOD_BYTES = 100_000_000
"""Two seconds of 50 MB/s."""
ROOM_BYTES = 60_000_000
"""Two lists of the longest lines, and the strings of one batch."""


async def test_a_flood_of_50_mb_a_second_takes_bounded_memory_and_is_counted() -> None:
    """In frames, as the engine sends them: one for each short line. Keys are still answered."""
    chunk = 600 * (b"\x01\0\0\0" + len(LINE).to_bytes(4, "big") + LINE)
    count = FLOOD_BYTES // (600 * len(LINE))
    app = LogHost([], chunks=output(itertools.repeat(chunk, count), tty=False))
    async with app.run_test(size=(100, 10)) as pilot:
        before, began = resident_bytes(), time.monotonic()
        highest, answered = before, 0
        app.query_one(LogLines).focus()
        while not app.query_one(LogView)._end:
            await pilot.press("k")
            answered += 1
            highest = max(highest, resident_bytes())
            await pilot.pause(0.05)  # as fast as a key repeats
        took_s = time.monotonic() - began
        lines = app.query_one(LogLines)
        print(
            f"{FLOOD_BYTES / took_s / 1e6:.0f} MB/s, {(highest - before) / 1e6:+.0f} MB, {answered} keys, "
            f"{lines.dropped} lines dropped"
        )
        assert lines.dropped + lines.counts[1] == 600 * count
        assert f"{lines.dropped} older lines dropped" in text_of(app)
        assert highest - before < ROOM_BYTES
        assert answered >= 1


def resident_bytes() -> int:
    """Returns the memory of this process in RAM (man 5 proc_pid_statm)."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_a_line_without_end_is_cut_once_and_counted() -> None:
    """And the line after it is whole."""
    long = [b"x" * 30_000] * 40
    app = LogHost([b"first\n", *long, b" end\nnext\n", b"y" * (LONGEST_LINE + 1) + b"\nlast"])
    async with app.run_test(size=(60, 10)) as pilot:
        await settled(pilot, lambda: "end of output" in text_of(app), "the end")
        lines = app.query_one(LogLines)
        assert [line[:5] for line in lines._raw] == [b"first", b"xxxxx", b"next", b"yyyyy", b"last"]
        assert max(map(len, lines._raw)) == LONGEST_LINE
        assert "5 lines, 2 long lines cut" in text_of(app)


async def test_filter_shows_only_what_matches() -> None:
    app = LogHost([b"alpha\nbeta\nALPHABET\n"])
    async with app.run_test(size=(60, 12)) as pilot:
        await settled(pilot, lambda: "beta" in text_of(app), "the lines")
        app.query_one(LogLines).focus()
        await pilot.press("slash", *"alpha", "enter")
        await settled(pilot, lambda: "2 of 3 lines" in text_of(app), "the count")
        assert "beta" not in text_of(app)
        await pilot.press("escape")
        await settled(pilot, lambda: "3 lines" in text_of(app), "all lines")


async def test_nothing_but_colours_reaches_the_terminal() -> None:
    app = LogHost([f"\x1b[32mgreen\x1b[0m {HOSTILE}\x1bPq\x1b\\\x1b[2J end\n".encode()])
    async with app.run_test(size=(80, 10)) as pilot:
        await settled(pilot, lambda: "green" in text_of(app), "the line")
        assert not any(character in text_of(app) for character in "\x1b\x07\x9b\u202e")
        strip = app.query_one(LogLines).render_line(0)
        assert any(segment.text == "green" and segment.style and segment.style.color for segment in strip)


async def test_an_error_is_shown() -> None:
    app = LogHost([], fails=True)
    async with app.run_test(size=(60, 10)) as pilot:
        await settled(pilot, lambda: "Lost the engine." in text_of(app), "the reason")


async def test_another_container_ends_the_stream() -> None:
    app = LogHost([b"one\n"])
    async with app.run_test(size=(60, 10)) as pilot:
        await settled(pilot, lambda: bool(app.streams), "the stream")
        app.query_one(LogView).show(None)
        await settled(pilot, lambda: app.streams[0].closed, "the end of the stream")
        assert "Select a container." in text_of(app)
