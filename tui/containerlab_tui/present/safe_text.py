"""Safe text for screens and commands: `safe`, the colours of a log line, and text for JSON.

`containerlab_probes.safe_text` says what is escaped. `log_line` keeps the colours of a log line and removes all other
terminal sequences.
"""

import re
from dataclasses import dataclass, replace
from itertools import groupby

from containerlab_probes.safe_text import (
    ELLIPSIS,
    LINE_LIMIT,
    LINES_LIMIT,
    SafeText,
    safe,
    safe_block,
    safe_line,
    safe_lines,
)

__all__ = (
    "ELLIPSIS", "LINES_LIMIT", "LINE_LIMIT", "LOG_LIMIT", "SafeText", "log_line", "plain", "plain_value", "safe",
    "safe_block", "safe_line", "safe_lines",
)  # fmt: skip

LOG_LIMIT = 4000


@dataclass(frozen=True, slots=True)
class _Style:
    """The style set by SGR sequences (ECMA-48 8.3.117). Blinking and concealed text are left out on purpose."""

    flags: tuple[str, ...] = ()
    foreground: str = ""
    background: str = ""

    @property
    def words(self) -> str:
        on = f"on {self.background}" if self.background else ""
        return " ".join(part for part in (*self.flags, self.foreground, on) if part)


_PLAIN = _Style()
_COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_FLAGS = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "reverse", 9: "strike"}
_FLAGS_OFF = {22: ("bold", "dim"), 23: ("italic",), 24: ("underline",), 27: ("reverse",), 29: ("strike",)}

_PIECE = re.compile(
    r"(?:\x1b\[|\x9b)(?P<parameters>[0-?]*)(?P<between>[ -/]*)(?P<final>[@-~])"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*"  # an incomplete control sequence
    # OSC, DCS, SOS, PM, APC up to their end, the next escape or the end of the line
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\n\x07\x18\x1a\x1b\x9c]*(?:\x07|\x1b\\|\x9c|[\x18\x1a])?"
    r"|\x1b[ -/]*[0-~]?"  # every other escape sequence
    r"|(?P<control>[\r\b\t])"
    r"|[\u200d\ufe0e\ufe0f]"  # emoji joiners and presentation selectors: terminals disagree on their width
    r"|(?P<text>[^\x1b\x90\x98\x9b\x9d-\x9f\r\b\t\u200d\ufe0e\ufe0f]+)"
)
_ORDINARY = re.compile(rb"[ -~]*")


def log_line(line: bytes, limit: int = LOG_LIMIT) -> tuple[tuple[SafeText, str], ...]:
    """Converts one line of a log to (text, style) spans, at most `limit` characters in total.

    A style is text for Rich's `Text.assemble`: flags (bold, dim, italic, underline, reverse, strike), a colour, `on`
    and a colour; colours are `red`, `bright_red`, `color(123)` or `#rrggbb`; empty: no style. After a carriage return
    only the following text is kept, as on a terminal with a progress bar. A backspace removes a character, a tab
    moves to the next multiple of eight columns. Bytes 0x80 to 0x9f that are not UTF-8 are shown as escapes, because a
    UTF-8 terminal ignores them too.
    """
    line = line.rstrip(b"\r\n")
    if len(line) <= limit and _ORDINARY.fullmatch(line):
        return ((safe(line, limit), ""),) if line else ()
    spans = _Spans(limit)
    bound = 16 * limit
    if len(line) > bound:
        line = line[line.rfind(b"\r") + 1 :]
    cut = len(line) > bound
    style = _PLAIN
    for piece in _PIECE.finditer(line[:bound].decode(errors="surrogateescape")):
        if text := piece["text"]:
            spans.add(safe(text, 10 * len(text)), style.words)
        elif control := piece["control"]:
            spans.control(control, style.words)
        elif piece["final"] == "m" and not piece["between"]:
            style = _after_sgr(style, piece["parameters"])
    return spans.done(cut)


class _Spans:
    """Collects the spans of a line, at most one character beyond the limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[tuple[str, str]] = []
        self._width = 0

    def add(self, text: str, style: str) -> None:
        text = text[: self._limit + 1 - self._width]
        if text:
            self._parts.append((text, style))
            self._width += len(text)

    def control(self, char: str, style: str) -> None:
        if char == "\r":
            self._parts.clear()
            self._width = 0
        elif char == "\t":
            self.add(" " * (8 - self._width % 8), style)
        elif self._parts:
            text, last_style = self._parts.pop()
            self._width -= 1
            if len(text) > 1:
                self._parts.append((text[:-1], last_style))

    def done(self, cut: bool) -> tuple[tuple[SafeText, str], ...]:
        """Returns the spans, adjacent ones with the same style joined; `cut`: the line had more text."""
        cut = cut or self._width > self._limit
        room = self._limit - 1 if cut else self._limit
        kept = list[tuple[SafeText, str]]()
        for style, parts in groupby(self._parts, key=lambda part: part[1]):
            if text := "".join(part[0] for part in parts)[: max(0, room)]:
                kept.append((safe(text, len(text)), style))
                room -= len(text)
        return (*kept, (safe(ELLIPSIS), "")) if cut and self._limit > 0 else tuple(kept)


def _after_sgr(style: _Style, parameters: str) -> _Style:
    """Returns the style after one SGR sequence; unknown codes are ignored."""
    if not re.fullmatch(r"[0-9;:]*", parameters) or len(parameters) > 200:
        return style
    groups = [group.split(":") for group in parameters.split(";")]
    index = 0
    while index < len(groups):
        code, *more = (int(part[:4]) if part else 0 for part in groups[index])
        index += 1
        if code in (38, 48, 58):
            if not more:
                values = [int(group[0][:4]) if group[0] else 0 for group in groups[index : index + 4]]
                more = values if values[:1] == [2] else values[:2]
                index += len(more)
            colour = _extended(more)
            if code != 58 and colour:
                style = _coloured(style, code == 38, colour)
            continue
        style = _after_code(style, code, more)
    return style


def _after_code(style: _Style, code: int, more: list[int]) -> _Style:
    if code == 0:
        return _PLAIN
    if code in _FLAGS and more[:1] != [0]:
        return replace(style, flags=(*(flag for flag in style.flags if flag != _FLAGS[code]), _FLAGS[code]))
    off = _FLAGS_OFF.get(24 if code == 4 else code)
    if off:
        return replace(style, flags=tuple(flag for flag in style.flags if flag not in off))
    tens, ones = divmod(code, 10)
    if tens in (3, 4) and ones == 9:
        return _coloured(style, tens == 3, "")
    if tens in (3, 4, 9, 10) and ones < 8:
        return _coloured(style, tens in (3, 9), ("bright_" if tens in (9, 10) else "") + _COLOURS[ones])
    return style


def _coloured(style: _Style, foreground: bool, colour: str) -> _Style:
    return replace(style, foreground=colour) if foreground else replace(style, background=colour)


def _extended(values: list[int]) -> str:
    """Parses `5;n` or `2;r;g;b`, also with a colour space before the three (ITU-T T.416); empty if invalid."""
    if len(values) == 2 and values[0] == 5 and values[1] < 256:
        number = values[1]
        if number < 16:
            return ("bright_" if number > 7 else "") + _COLOURS[number % 8]
        return f"color({number})"
    if len(values) in (4, 5) and values[0] == 2 and all(value < 256 for value in values[-3:]):
        return "#{:02x}{:02x}{:02x}".format(*values[-3:])
    return ""


def plain(text: str) -> str:
    """Returns text from bytes in a form that JSON can hold: bytes that are not UTF-8 become U+FFFD."""
    return text.encode(errors="surrogateescape").decode(errors="replace")


def plain_value(value: object) -> object:
    """Returns a value for JSON with every text in it in such a form, names too."""
    match value:
        case str():
            return plain(value)
        case dict():
            return {plain_value(name): plain_value(item) for name, item in value.items()}
        case list() | tuple():
            return [plain_value(item) for item in value]
        case _:
            return value
