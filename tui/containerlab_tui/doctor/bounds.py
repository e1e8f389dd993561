"""Size limits for text from a container, applied before any pattern is matched.

A hostile text could make the doctor hang: `re` holds the interpreter's lock, so the UI would hang with it. Text over
a limit counts as unread; it is never truncated and analysed.
"""

import re
from functools import lru_cache

SHELL_LIMIT = 32 * 1024
"""Characters of a shell script, including the files that it sources."""
PROGRAM_LIMIT = 64 * 1024
"""Characters of one file of another interpreter's program."""
PROGRAMS_LIMIT = 128 * 1024
"""Characters of all files of such a program."""
CONFIGURATION_LIMIT = 256 * 1024
"""Characters of a program's configuration, including the files that it includes."""
COMMAND_LIMIT = 8 * 1024
"""Characters of a command line that patterns are matched against."""
WORDS_LIMIT = 2000
"""Characters of a command line that is searched for in a script."""
LONGEST_S = 1e9
"""Upper bound of every duration: about thirty years."""

_BLANKS = re.compile(r"[^\S\n]{17,}")
_BLANK_LINES = re.compile(r"\s{17,}")


@lru_cache(maxsize=16)
def tidy(text: str) -> str:
    r"""Shortens long runs of blanks and empty lines, so that `\s*` in a pattern stays cheap."""
    return _BLANK_LINES.sub(lambda found: "\n" if "\n" in found[0] else " ", text)


def tidy_lines(text: str) -> str:
    """Shortens long runs of blanks within each line."""
    return _BLANKS.sub(" ", text)


def bounded(text: str, limit: int) -> str | None:
    """Returns the tidied text, or None if it is longer than the limit."""
    text = tidy(text)
    return text if len(text) <= limit else None


def seconds(text: str) -> float:
    """Parses a decimal number; returns 0 for anything else. The result is finite and at most LONGEST_S."""
    whole, _, part = text.strip().partition(".")
    whole = whole.lstrip("0")
    if not (whole + part).isdecimal():
        return 0.0
    return LONGEST_S if len(whole) > 9 else float(f"{whole or '0'}.{part[:9] or '0'}")
