"""The Logs tab: limit, filter, and safe text."""

from collections.abc import Iterator

from textual.app import App, ComposeResult

from containerlab_probes.errors import Unreachable
from containerlab_tui.engine.api import LogStream
from containerlab_tui.model.inventory import Container
from containerlab_tui.session.store import ShownContainer
from containerlab_tui.ui.tabs.logs import LogLines, LogView
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
    def __init__(self, chunks: list[bytes], limit: int = 5000, fails: bool = False) -> None:
        super().__init__()
        self._limit, self._fails = limit, fails
        self.streams: list[Stream] = []
        self._chunks = chunks

    def open(self, container: str, tail: int) -> LogStream:
        if self._fails:
            raise Unreachable("Lost the engine.")
        self.streams.append(Stream(iter(self._chunks)))
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
