"""Bounds for text that comes out of a container, before patterns meet it. Pure.

Its author may want the doctor to hang: `re` keeps the interpreter's lock, so the screens would hang with it. What is
longer than these bounds is not judged by its beginning: it counts as not read.
"""

import re
from functools import lru_cache

SHELL_LIMIT = 32 * 1024
"""Characters of a shell's script, with the files that it reads put in."""
PROGRAM_LIMIT = 64 * 1024
"""Characters of one file of another interpreter's program."""
PROGRAMS_LIMIT = 128 * 1024
"""Characters of all files of such a program."""
CONFIGURATION_LIMIT = 256 * 1024
"""Characters of a program's configuration, the files that it includes put in."""
COMMAND_LIMIT = 8 * 1024
"""Characters of a command line that patterns look at."""
WORDS_LIMIT = 2000
"""Characters of a command line that is looked for in a script."""
LONGEST_S = 1e9
"""What a longer time counts as: some thirty years."""

_BLANKS = re.compile(r"[^\S\n]{17,}")
_BLANK_LINES = re.compile(r"\s{17,}")


@lru_cache(maxsize=16)
def tidy(text: str) -> str:
    r"""Text without long runs of blanks and of empty lines, so that `\s*` in a pattern stays short."""
    return _BLANK_LINES.sub(lambda found: "\n" if "\n" in found[0] else " ", text)


def tidy_lines(text: str) -> str:
    """Text without long runs of blanks within a line; lines stay."""
    return _BLANKS.sub(" ", text)


def bounded(text: str, limit: int) -> str | None:
    """A tidy text; None where it is longer than that."""
    text = tidy(text)
    return text if len(text) <= limit else None


def seconds(text: str) -> float:
    """A number in decimal digits, perhaps with a point; 0 for anything else. At most LONGEST_S, and always finite."""
    whole, _, part = text.strip().partition(".")
    whole = whole.lstrip("0")
    if not (whole + part).isdecimal():
        return 0.0
    return LONGEST_S if len(whole) > 9 else float(f"{whole or '0'}.{part[:9] or '0'}")
