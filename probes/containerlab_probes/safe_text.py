r"""Makes untrusted text and bytes safe to show on a terminal. The only module that makes a `SafeText`.

Characters that control a terminal or are invisible become Python backslash escapes: `\x1b`, `\n`, `\u202e`. The result
is plain ASCII, one cell per character, and doesn't change when it is escaped again. Bytes that are not UTF-8 become
`\xNN`. Escaped are C0, DEL and C1 controls, line and paragraph separators, surrogates, and Unicode's
Default_Ignorable_Code_Point (zero-width and bidi controls, tags, fillers, variation selectors). Private use characters
are kept, because fonts put symbols there.

Whatever writes to a terminal or shows text takes a `SafeText`, so mypy finds each text that was not made safe. Records
keep the exact text, because requests and JSON need it: JSON escapes everything but printable ASCII.
"""

import re
import sys
from collections.abc import Iterable
from functools import cache
from typing import NewType

SafeText = NewType("SafeText", str)
"""Text without control or invisible characters but newlines between lines; `safe_lines` keeps tabs, too."""

ELLIPSIS = "…"
"""Marks the end of text that was cut."""

LINE_LIMIT = 1000
LINES_LIMIT = 1_000_000

IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_BUT_LAYOUT = f"\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff{IGNORABLE}"
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


@cache
def _unsafe(layout: bool) -> re.Pattern[str]:
    """Returns the pattern for unsafe characters; compiled when first needed, because that takes a millisecond."""
    return re.compile(f"[{_BUT_LAYOUT}]" if layout else f"[\t\n{_BUT_LAYOUT}]")


def safe(text: str | bytes, limit: int = LINE_LIMIT) -> SafeText:
    """Returns the text on one line, at most `limit` characters; longer text ends in an ellipsis."""
    return _safe(text, limit, layout=False)


safe_line = safe


def safe_lines(text: str | bytes, limit: int = LINES_LIMIT) -> SafeText:
    """Works as `safe`, but keeps newlines and tabs."""
    return _safe(text, limit, layout=True)


def safe_block(lines: Iterable[str]) -> SafeText:
    """Returns lines of any length, each on one line, joined with newlines: what a line contains can't begin another."""
    return SafeText("\n".join(safe(line, sys.maxsize) for line in lines))


def _safe(text: str | bytes, limit: int, layout: bool) -> SafeText:
    if isinstance(text, bytes):
        text = text[: 4 * (limit + 1)].decode(errors="surrogateescape")
    text = text[: limit + 1]
    if not (text.isascii() and text.isprintable()):
        text = _unsafe(layout).sub(_escaped, text)
    return SafeText(text if len(text) <= limit else text[: max(0, limit - 1)] + ELLIPSIS[: max(0, limit)])


def _escaped(match: re.Match[str]) -> str:
    char = match[0]
    code = ord(char)
    if short := _SHORT.get(char):
        return short
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
