"""The width of text in terminal cells, for tables of commands. Screens use Rich, which takes longer to import."""

from unicodedata import category, east_asian_width


def width(text: str) -> int:
    """Returns the cells that safe text takes: 2 for a wide character, 0 for a combining one."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def _cells(char: str) -> int:
    # Vowels and final consonants of Hangul are drawn in the cell of the first consonant.
    if category(char).startswith("M") or "\u1160" <= char <= "\u11ff" or "\ud7b0" <= char <= "\ud7ff":
        return 0
    return 2 if east_asian_width(char) in "WF" else 1
