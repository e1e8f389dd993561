"""The view of bytes: windows, jumps, changes, errors."""

import pytest
from syrupy.assertion import SnapshotAssertion

from containerlab_probes.errors import Gone
from containerlab_probes.memory_records import WINDOW_LIMIT, Window
from containerlab_tui.ui.screens.bytes_view import BytesScreen, read_offset
from tests.ui.samples import BEGAN, HOSTILE, IN_MEMORY, SIZES, Host, settled, text_of

ALPHABET = b"abcdefghijklmnopqrstuvwxyz\0"


class Memory:
    """A reader of changeable bytes that records the requests."""

    def __init__(self, data: bytes | bytearray, total: int | None = None) -> None:
        self.data = bytearray(data)
        self.total = len(data) if total is None else total
        self.asked: list[tuple[int, int]] = []
        self.trouble = ""

    def __call__(self, offset: int, length: int) -> Window:
        self.asked.append((offset, length))
        if self.trouble:
            raise Gone(self.trouble)
        if self.total != len(self.data):  # a huge object: every byte is the low byte of its line number
            end = min(offset + length, self.total)
            return Window(offset, bytes((at // 16) & 0xFF for at in range(offset, end)), self.total)
        return Window(offset, bytes(self.data[offset : offset + length]), len(self.data))


def screen(memory: Memory) -> BytesScreen:
    return BytesScreen(
        "systemv-shm: segment 0, key 5678", memory, IN_MEMORY, ("mode 0666, uid 0",), clock=lambda: BEGAN
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("what", ["small", "long", "empty", "trouble", "jump"])
async def test_snapshot(what: str, size: tuple[int, int], snapshot: SnapshotAssertion) -> None:
    memory = Memory({"small": ALPHABET, "empty": b""}.get(what, ALPHABET + bytes(range(256)) * 16))
    if what == "trouble":
        memory.trouble = "Segment 0 no longer exists."
    app = Host(screen(memory))
    async with app.run_test(size=size) as pilot:
        await settled(pilot, lambda: "reading …" not in text_of(app), "the first reading")
        if what == "jump":
            await pilot.press("o", *"0x40")
        await pilot.pause()
        assert text_of(app) == snapshot


async def test_changes_are_marked_until_the_next_reading() -> None:
    memory = Memory(ALPHABET)
    app = Host(screen(memory))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "abcdefghijklmnop" in text_of(app), "the bytes")
        assert "*" not in text_of(app)
        memory.data[3] = 0x58
        await pilot.press("r")
        await settled(pilot, lambda: "re-read at 16:00:00: 1 byte changed, marked *" in text_of(app), "the change")
        assert "▌00000000  61 62 63*58 65" in text_of(app)
        await pilot.press("r")
        await settled(pilot, lambda: "no changes here" in text_of(app), "no change")
        assert "*58" not in text_of(app)


async def test_only_the_visible_window_is_read() -> None:
    memory = Memory(b"", total=2 << 30)
    app = Host(screen(memory))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "of 2,147,483,648 bytes (2G)" in text_of(app), "the place")
        await pilot.press("pagedown")
        await settled(pilot, lambda: "bytes 0 " not in text_of(app), "the next page")
        await pilot.press("end")
        await settled(pilot, lambda: "to 2,147,483,647 of" in text_of(app), "the end")
        assert "7ffffff0" in text_of(app)
        await pilot.press("pagedown")
        await pilot.press("home")
        await settled(pilot, lambda: "bytes 0 to" in text_of(app), "the start")
        await pilot.press("o", *"50%", "enter")
        await settled(pilot, lambda: "\n 40000000" in text_of(app), "the middle")
        await pilot.press("down")
        await settled(pilot, lambda: "\n 40000010" in text_of(app), "a line on")
        await pilot.press("k", "k")
        await settled(pilot, lambda: "\n 3ffffff0" in text_of(app), "two lines back")
        assert all(0 < length <= min(24 * 16, WINDOW_LIMIT) for _, length in memory.asked)


async def test_a_bad_offset_gets_a_sentence() -> None:
    app = Host(screen(Memory(bytes(4096))))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "of 4,096 bytes" in text_of(app), "the place")
        await pilot.press("colon", *"5000", "enter")
        await settled(pilot, lambda: "! The last byte is at 4,095 (0xfff)." in text_of(app), "the sentence")
        await pilot.press("escape", "escape")
        await pilot.pause()
        assert app.answers == [None]


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("4096", 4096),
        ("0x1000", 4096),
        (" 1_000 ", 1000),
        ("+512", 612),
        ("-100", 0),
        ("50%", 5000),
        ("0%", 0),
        ("0", 0),
    ],
)
def test_offsets(text: str, offset: int) -> None:
    assert read_offset(text, 100, 10_000) == offset


@pytest.mark.parametrize("text", ["", "x", "10000", "-101", "101%", "1.5"])
def test_bad_offsets(text: str) -> None:
    with pytest.raises(ValueError, match=r"Enter an offset|last byte is at"):
        read_offset(text, 100, 10_000)


async def test_a_failed_reading_keeps_the_last_window() -> None:
    memory = Memory(ALPHABET)
    app = Host(screen(memory))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "abcdefghijklmnop" in text_of(app), "the bytes")
        memory.trouble = "Segment 0 no longer exists."
        await pilot.press("r")
        await settled(pilot, lambda: "! Segment 0 no longer exists.  Press r to retry." in text_of(app), "the trouble")
        assert "abcdefghijklmnop" in text_of(app)
        memory.trouble = ""
        await pilot.press("r")
        await settled(pilot, lambda: "no longer exists" not in text_of(app), "trouble gone")


async def test_a_shrunken_object_is_reported() -> None:
    memory = Memory(bytes(8192))
    app = Host(screen(memory))
    async with app.run_test(size=(140, 45)) as pilot:
        await settled(pilot, lambda: "of 8,192 bytes" in text_of(app), "the place")
        await pilot.press("end")
        await settled(pilot, lambda: "to 8,191 of" in text_of(app), "the end")
        del memory.data[100:]
        memory.total = 100
        await pilot.press("r")
        await settled(pilot, lambda: "bytes 0 to 99 of 100 bytes" in text_of(app), "what is left")


async def test_an_unexpected_error_of_the_reader_is_shown() -> None:
    def broken(_offset: int, _length: int) -> Window:
        raise RuntimeError("a defect")

    app = Host(BytesScreen("x", broken))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "! unexpected RuntimeError: a defect" in text_of(app), "the trouble")


async def test_hostile_bytes_are_only_text() -> None:
    memory = Memory(HOSTILE.encode() + b"\x1b]52;c;aGk=\x07\x90\x9d[bold]")
    app = Host(BytesScreen(HOSTILE, memory, None, (HOSTILE,)))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "[bold]" in text_of(app), "the bytes")
        text = text_of(app)
        assert "\x1b" not in text
        assert "\x9b" not in text
        assert "\u202e" not in text
