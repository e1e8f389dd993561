"""Finds comments, brackets, functions and conditions in a program's source by patterns, in linear time."""

import re
from collections.abc import Sequence

from containerlab_tui.doctor.bounds import tidy

ARGUMENTS_LIMIT = 10_000
"""Characters of a handler's code that are analysed."""
NAME_LIMIT = 80
"""Longest name that is searched for."""
_CHANGED = 30
"""Names changed by a handler that are searched for."""
_OPENING, _CLOSING = "([{", ")]}"
_MARK = re.compile(r"""["'`()\[\]{}]|\\.""", re.DOTALL)


def without_comments(family: str, text: str) -> str:
    """Removes the comments of a program and shortens its runs of blanks."""
    if family in ("node", "php"):
        text = _without_blocks(text)
        return tidy(re.sub(r"(?m)(^|[\s;{}(])//[^\n]*", r"\1", text))
    return tidy(re.sub(r"(?m)(^|\s)#(?![!{])[^\n]*", r"\1", text))


def _without_blocks(text: str) -> str:
    """Removes `/* … */`."""
    kept, place = list[str](), 0
    while (opening := text.find("/*", place)) >= 0 and (closing := text.find("*/", opening + 2)) >= 0:
        kept.append(text[place:opening])
        place = closing + 2
    return "".join(kept) + text[place:]


def argument_list(text: str, opening: int) -> str:
    """Returns the text between a bracket and its closing one, at most ARGUMENTS_LIMIT characters."""
    depth, quote, end = 1, "", min(len(text), opening + ARGUMENTS_LIMIT)
    for found in _MARK.finditer(text, opening + 1, end):
        mark = found[0]
        if quote:
            quote = "" if mark == quote else quote
        elif mark in "'\"`":
            quote = mark
        elif mark in _OPENING:
            depth += 1
        elif mark in _CLOSING:
            depth -= 1
        elif mark[1] in "'\"`":
            quote = mark[1]
        if not depth:
            return text[opening + 1 : found.start()]
    return text[opening + 1 : end - 1]


def function_body(text: str, name: str, patterns: Sequence[str]) -> str:
    """Returns the body of a named function, in braces."""
    for pattern in patterns if name in text else ():
        found = re.search(pattern.replace("NAME", re.escape(name)), text)
        if found:
            opening = text.find("{", found.end() - 1)
            if opening >= 0:
                return argument_list(text, opening)
    return ""


def is_tested(changed: set[str], text: str, conditions: str, name: str) -> bool:
    """Returns whether a condition contains one of these names; `name` is a pattern with NAME in it."""
    if not changed:
        return False
    tested = "\n".join(re.findall(conditions, text))
    words = [one for one in sorted(changed) if len(one) < NAME_LIMIT and one in tested][:_CHANGED]
    return any(re.search(name.replace("NAME", re.escape(one)), tested) for one in words)
