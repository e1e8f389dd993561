"""The worst words of the old prose stay out of the product, its documentation and its tests."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Makefile",
    "README.md",
    "docs",
    "images",
    "probes",
    "pyproject.toml",
    "scripts",
    "tests",
    "tui",
)
"""All of the product, its documentation and its tests."""
NOT_WORDS = (
    "a word to the reader", "anew", "begun", "by hand", "came of it", "can't be had", "crew", "cure", "customs", "deed",
    "deeds", "dropped: PID", "errand", "errands", "for ever", "for want of", "foresee", "foretell", "foretells",
    "foretold", "hands on", "hand on", "heir", "heirs", "is gone", "it lives", "its end", "its like",
    "let go", "looked at", "lone", "mend", "mended", "mends", "never told", "not told", "of its own", "outlive",
    "outlives", "patience", "put off", "remembered", "shall", "speaks of", "stands in front", "tell of", "tells of",
    "the least of", "themselves", "those there are", "thrown away", "throws away", "told", "to be had", "under way",
    "went on", "whence", "whereof", "whom", "work in hand", "workshop",
)  # fmt: skip
ACCEPTED = {
    ("tests/ui/test_dialogs.py", "for ever"),  # tests the next one
    ("tui/containerlab_tui/model/grace.py", "for ever"),  # a user may enter it
}
SKIPPED = {Path(__file__).resolve()}
"""This file, which holds the list."""
SUFFIXES = {".ambr", ".md", ".py", ".sh", ".tcss", ".toml", ""}
_WORD = re.compile(
    r"\b(?:" + "|".join(r"\s+".join(map(re.escape, one.split())) for one in NOT_WORDS) + r")\b", re.IGNORECASE
)


def found_in(text: str) -> list[str]:
    """Returns the words on the list that a text contains; an underscore separates words, too."""
    return [" ".join(one.split()).lower() for one in _WORD.findall(re.sub(r"(?<=[a-z])_(?=[a-z])", " ", text))]


def files() -> list[Path]:
    """Returns all text files of the rooms."""
    every = (
        path for room in ROOMS for path in ([ROOT / room] if (ROOT / room).is_file() else (ROOT / room).rglob("*"))
    )
    return sorted(path for path in every if path.is_file() and path.suffix in SUFFIXES and path not in SKIPPED)


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_has_a_word_on_the_list(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    lines = path.read_text(encoding="utf-8").splitlines()
    found = ((number, word) for number, line in enumerate(lines, 1) for word in found_in(line))
    assert [f"line {number}: {word}" for number, word in found if (name, word) not in ACCEPTED] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It was thrown away.", ["thrown away"]),
        ("def test_what_was_foretold() -> None:", ["foretold"]),
        ("For ever and Anew", ["for ever", "anew"]),
        ("forever, amended, renewed", []),
    ],
)
def test_the_list_is_matched_as_whole_words(text: str, words: list[str]) -> None:
    assert found_in(text) == words


def test_the_rooms_exist() -> None:
    assert all((ROOT / room).exists() for room in ROOMS)
    assert len(files()) > 300
