"""Text from a container can't control the terminal."""

import json
import re
import time
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from containerlab_tui.present.safe_text import ELLIPSIS, log_line, plain, plain_value, safe, safe_lines

#: Built from the Unicode database here, from ranges there.
BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def harmless(text: str) -> bool:
    """Returns whether a text has no control, bidi control, surrogate, or line or paragraph separator."""
    return not any(
        ord(char) < 0x20
        or 0x7F <= ord(char) <= 0x9F
        or char in BIDI
        or unicodedata.category(char) in ("Cs", "Zl", "Zp")
        for char in text
    )


PIECES = [
    *b"\x1b \x07 \x08 \x9b \x9d \r \n \t \x7f \x00 \xff m K a ; ? : 0 5 2 31 38 52;c;".split(b" "),
    *b"\x1b[ \x1b] \x1bP \x1b^ \x1b_ \x1bX \x1b\\".split(b" "),
    *"\x9b \x9d \x90 \x9c é 漢 \u202e \u200d".encode().split(b" "),
    b" ",
]
HOSTILE = st.one_of(st.binary(max_size=60), st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join))


@given(st.one_of(st.text(), HOSTILE), st.integers(0, 80))
@example("\ud800", 10)
@example("\U000e0041", 10)
def test_safe_is_harmless_bounded_and_idempotent(text: str | bytes, limit: int) -> None:
    shown = safe(text, limit)
    assert harmless(shown)
    assert len(shown) <= limit
    assert safe(shown, limit) == shown
    shown.encode("utf-8")


@given(st.one_of(st.text(), HOSTILE))
def test_lines_keep_only_newline_and_tab(text: str | bytes) -> None:
    shown = safe_lines(text)
    assert harmless(shown.replace("\n", "").replace("\t", ""))
    assert safe_lines(shown) == shown


@given(HOSTILE, st.integers(0, 60))
def test_log_lines_are_harmless_bounded_and_stable(line: bytes, limit: int) -> None:
    spans = log_line(line, limit)
    text = "".join(text for text, _ in spans)
    assert harmless(text)
    assert len(text) <= limit
    assert "".join(again for again, _ in log_line(text.encode(), limit)) == text
    for _, style in spans:
        assert re.fullmatch(r"[a-z_ ]*(#[0-9a-f]{6}|color\(\d+\))?[a-z_ ]*(#[0-9a-f]{6}|color\(\d+\))?", style)


@pytest.mark.parametrize(
    "char", [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) == "Cf"][::5]
)
def test_format_characters_are_visible(char: str) -> None:
    """Those that are invisible; the Arabic signs that enclose numbers are not."""
    if not any(
        word in unicodedata.name(char, "")
        for word in ("SIGN", "MARK ABOVE", "END OF AYAH", "FOOTNOTE", "HIERO", "KAITHI")
    ):
        assert safe(char).startswith("\\")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü 漢 \ue0b0", "plain ü 漢 \ue0b0"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\nb\tc\rd", r"a\nb\tc\rd"),
        (b"caf\xe9", r"caf\xe9"),
        ("caf\udce9", r"caf\xe9"),
        ("\x7f\x9b", r"\x7f\x9b"),
        (b"\x80\xff", r"\x80\xff"),
        ("\udc80\udcff\udd00\udc7f", r"\x80\xff\udd00\udc7f"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("a\u200bb\u2028c\ufeff", r"a\u200bb\u2028c\ufeff"),
        ("\U000e0061", r"\U000e0061"),
        ("[bold]close[/]", "[bold]close[/]"),
    ],
)
def test_escaped_text(text: str | bytes, shown: str) -> None:
    assert safe(text) == shown


def test_longer_text_ends_in_an_ellipsis() -> None:
    assert safe("abcdef", 6) == "abcdef"
    assert safe("abcdefg", 6) == "abcde" + ELLIPSIS
    assert safe("é".encode() * 9, 3) == "éé" + ELLIPSIS
    assert safe("\x1b" * 5, 4) == r"\x1" + ELLIPSIS
    assert safe("𝄞𝄞𝄞".encode(), 3) == "𝄞𝄞𝄞"
    assert (safe("abc", 1), safe("abc", 0)) == (ELLIPSIS, "")


def test_bytes_that_are_not_utf_8_become_replacement_characters() -> None:
    assert plain("caf\udce9 é 漢") == "caf\ufffd é 漢"


BYTES_AS_TEXT = st.binary(max_size=9).map(lambda raw: raw.decode(errors="surrogateescape"))
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), BYTES_AS_TEXT)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(BYTES_AS_TEXT, inner, max_size=3)
)


@given(VALUES)
@example(("tuple", ["\udcff", {"\udcff": "\udce2\udc82"}, True, 1.5, None]))
def test_every_text_of_a_value_becomes_one_that_json_can_hold(value: object) -> None:
    """As if the bytes of the whole document were replaced."""
    assert json.dumps(plain_value(value)) == json.dumps(json.loads(plain(json.dumps(value, ensure_ascii=False))))


@pytest.mark.parametrize(
    ("line", "spans"),
    [
        (b"", ()),
        (b"plain\r\n", (("plain", ""),)),
        (b"\x1b[31mred\x1b[0m!", (("red", "red"), ("!", ""))),
        (b"\x1b[1;32;44mx\x1b[22my\x1b[39mz", (("x", "bold green on blue"), ("y", "green on blue"), ("z", "on blue"))),
        (b"\x1b[38;5;208;1mx", (("x", "bold color(208)"),)),
        (b"\x1b[38;5;9mx", (("x", "bright_red"),)),
        (b"\x1b[38;2;1;2;255mx\x1b[38:2::1:2:3my", (("x", "#0102ff"), ("y", "#010203"))),
        (b"\x1b[97;101mx", (("x", "bright_white on bright_red"),)),
        (b"\x1b[98;108;99;109mx", (("x", ""),)),
        (b"\x1b[1;3;1mx", (("x", "italic bold"),)),
        (b"\x1b[31mx\x1b[my", (("x", "red"), ("y", ""))),
        (b"\x1b[48;5;1mx\x1b[48;5;7my\x1b[48;5;8mz", (("x", "on red"), ("y", "on white"), ("z", "on bright_black"))),
        (b"\x1b[38;5;16mx\x1b[m\x1b[38;5;256my", (("x", "color(16)"), ("y", ""))),
        (b"\x1b[38;5;mx", (("x", "black"),)),
        (b"\x1b[38;2;1;2;3;1mx", (("x", "bold #010203"),)),
        (b"\x1b[38;2;0;0;256mx\x1b[38;2;256;0;0my\x1b[38:5:1:2mz", (("xyz", ""),)),
        (b"\x1b[38:2:300:1:2:3mx", (("x", "#010203"),)),
        (b"\x1b[4m\x1b[4:0:1mx", (("x", ""),)),
        (b"\x1b[" + b"0;" * 99 + b"31mx", (("x", "red"),)),  # 200 characters: the longest sequence that counts
        (b"\x1b[" + b"0;" * 99 + b"031mx", (("x", ""),)),
        (b"aX\r\n", (("aX", ""),)),
        (b"a \r\n", (("a ", ""),)),
        (b"\x1b[44mx\x1b[49my", (("x", "on blue"), ("y", ""))),
        (b"abc\bd", (("abd", ""),)),
        (b"ab\bc", (("ac", ""),)),
        (b"x\x1b[31ma\b\by", (("y", "red"),)),
        (b"abc\b\tz", (("ab      z", ""),)),
        (b"abc\r\tz", (("        z", ""),)),
        (b"12345678\tz", (("12345678        z", ""),)),
        (b"\x1b[4:3mx\x1b[4:0my", (("x", "underline"), ("y", ""))),
        (b"\x1b[58;5;1mx\x1b[38;5mx\x1b[8;5mx", (("xxx", ""),)),
        (b"\x1b[>4;1mx\x1b[?25lx\x1b[ qx", (("xxx", ""),)),
        (b"10%\r50%\r\x1b[K100%\r", (("100%", ""),)),
        (b"\x1b[31m10%\r100%", (("100%", "red"),)),
        (b"ab\bc_\bd\x08\x08\x08\x08\x08e", (("e", ""),)),
        (b"a\tb", (("a       b", ""),)),
        (b"a\x07\x00b", ((r"a\x07\x00b", ""),)),
        (b"\xff\x9b31m", ((r"\xff\x9b31m", ""),)),
        ("⚠\ufe0f ok".encode(), (("⚠ ok", ""),)),
        ("\u202eabc".encode(), ((r"\u202eabc", ""),)),
    ],
)
def test_log_lines(line: bytes, spans: tuple[tuple[str, str], ...]) -> None:
    assert log_line(line) == spans


@pytest.mark.parametrize(
    "introducer",
    [b"\x1b]", b"\x1bP", b"\x1bX", b"\x1b^", b"\x1b_", *(f"{char}".encode() for char in "\x90\x98\x9d\x9e\x9f")],
)
@pytest.mark.parametrize("end", [b"\x07", b"\x1b\\", "\x9c".encode()])
@pytest.mark.parametrize("content", [b"0;title", b"52;c;ZXZpbA==", b"8;;http://x", b"q#0;2", b"tmux;\xc3\xa9"])
def test_control_strings_are_removed_with_their_content(introducer: bytes, end: bytes, content: bytes) -> None:
    assert log_line(b"a" + introducer + content + end + b"b") == (("ab", ""),)


@pytest.mark.parametrize("introducer", [b"\x1b]0;", b"\x1bPq", b"\x1b_", "\x9d".encode()])
def test_an_unterminated_control_string_ends_with_its_line(introducer: bytes) -> None:
    assert log_line(b"a" + introducer + b"title") == (("a", ""),)
    assert log_line(b"a" + introducer + b"title\x1b[31mred") == (("a", ""), ("red", "red"))


@pytest.mark.parametrize(
    "sequence",
    [
        b"\x1b[2J",
        b"\x1b[1;1H",
        b"\x1b[6n",
        b"\x1b[?1049h",
        "\x9b2J".encode(),
        b"\x1bc",
        b"\x1b(0",
        b"\x1b#8",
        b"\x1b=",
        b"\x1b[!p",
    ],
)
def test_other_sequences_are_removed(sequence: bytes) -> None:
    assert log_line(b"a" + sequence + b"b") == (("ab", ""),)


@pytest.mark.parametrize("tail", [b"\x1b", b"\x1b[", b"\x1b[3", b"\x1b[38;5", b"\x1b]", b"\x1b(", "\x9b1".encode()])
def test_incomplete_sequences_are_removed(tail: bytes) -> None:
    assert log_line(b"a" + tail) == (("a", ""),)


def test_a_log_line_is_bounded() -> None:
    assert log_line(b"x" * 5000, 10) == (("x" * 9, ""), (ELLIPSIS, ""))
    assert log_line(b"old" * 100_000 + b"\rnew", 10) == (("new", ""),)
    assert log_line(b"a\r" + b"old" * 100 + b"\rnew", 10) == (("new", ""),)


@pytest.mark.parametrize(
    ("line", "limit", "spans"),
    [
        (b"\x1b[31mabcd", 4, (("abcd", "red"),)),
        (b"\x1b[31mabcde", 4, (("abc", "red"), (ELLIPSIS, ""))),
        (b"\x1b[31mabc\x1b[32mdef", 4, (("abc", "red"), (ELLIPSIS, ""))),
        (b"\x1b[31mab\x1b[32mcdef", 4, (("ab", "red"), ("c", "green"), (ELLIPSIS, ""))),
        (b"\x1b[31mab", 1, ((ELLIPSIS, ""),)),
        (b"\x1b[31mab", 0, ()),
        # Reading is bounded too: 16 bytes for each character of the limit.
        (b"\x1b[31m" * 12 + b"abcd", 4, (("abcd", "red"),)),
        (b"ab" + b"\x1b[m" * 100, 4, (("ab", ""), (ELLIPSIS, ""))),
        (b"\x1b[31m" * 24 + b"\rabcdefg", 8, (("abcdefg", "red"),)),
    ],
)
def test_coloured_lines_are_bounded(line: bytes, limit: int, spans: tuple[tuple[str, str], ...]) -> None:
    assert log_line(line, limit) == spans


@pytest.mark.parametrize(
    "piece",
    [
        b"\x1b]",
        b"\t",
        b"\x1b[1m\t\x1b[m\t",
        b"a\b",
        b"\x1b[" + b"1;" * 50 + b"m",
        b"\x1bP\x1b",
        "\x9d".encode(),
        b"\r",
        b"\x1b[0",
    ],
)
def test_no_line_takes_long(piece: bytes) -> None:
    began = time.thread_time()
    log_line(piece * (1_000_000 // len(piece)))
    assert time.thread_time() - began < 0.5
