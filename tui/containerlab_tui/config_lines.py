"""The lines of a TOML file on which its keys stand, which tomllib does not report. No I/O."""

import tomllib
from collections.abc import Iterator, Mapping

KeyPath = tuple[str, ...]
"""A key below its tables: ("keys", "container.stop")."""

_CLOSING = ("]", '"""', "'''")
"""Only a line with one of these can be the last one of a statement that has several lines."""


def key_lines(text: str) -> dict[KeyPath, int]:
    """Returns the line on which the statement of each key begins, for a text that tomllib can parse.

    A statement may have several lines (an array, a long string), so lines are collected until they parse.
    """
    lines = dict[KeyPath, int]()
    table: KeyPath = ()
    statement = list[str]()
    begins = 1
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if not statement:
            begins = number
        statement.append(line)
        if len(statement) > 1 and not any(mark in line for mark in _CLOSING):
            continue
        try:
            parsed = tomllib.loads("\n".join(statement))
        except tomllib.TOMLDecodeError:
            continue
        is_header = statement[0].lstrip().startswith("[")
        statement = []
        above = () if is_header else table
        for path in _paths(parsed):
            table = path if is_header else table
            for length in range(1, len(path) + 1):
                lines.setdefault(above + path[:length], begins)
    return lines


def _paths(parsed: Mapping[str, object], above: KeyPath = ()) -> Iterator[KeyPath]:
    for key, value in parsed.items():
        path = (*above, key)
        if isinstance(value, list) and value == [{}]:
            yield path  # the header of an array of tables
        elif isinstance(value, dict) and value:
            yield from _paths(value, path)
        else:
            yield path
