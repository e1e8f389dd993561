"""Shared by all commands: the engine, the settings, the policy, and output as JSON or text."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from containerlab_probes.errors import BadRequest, ContainerlabError
from containerlab_tui.present.cells import width
from containerlab_tui.present.safe_text import SafeText, plain_value, safe, safe_block

if TYPE_CHECKING:
    from containerlab_tui.config import Loaded
    from containerlab_tui.present.documents import Document
    from containerlab_tui.services.guarded_engine import GuardedEngine
    from containerlab_tui.services.policy import Operation, Policy


class Declined(ContainerlabError):
    """The user answered no."""


def settings(arguments: argparse.Namespace, *needed: str) -> "Loaded":
    """Returns the settings in force for this command line.

    Raises BadRequest where one of `needed` could not be used; the other problems are left to `config`.
    """
    from containerlab_tui import config

    loaded = config.load(flags={"read_only": arguments.read_only or None})
    for setting in needed:
        if setting in loaded.broken:
            raise BadRequest(loaded.broken[setting])
    return loaded


def policy(arguments: argparse.Namespace) -> "Policy":
    """Returns what this command may change. Raises BadRequest where the settings file can't be read.

    A file that can't be read may hold `read_only = true`, so changes are refused until it is fixed.
    """
    from containerlab_tui.config import UNREAD

    loaded = settings(arguments)
    if loaded.source("read_only") == UNREAD:
        raise BadRequest(f"{loaded.unread} It may set read_only, so fix or remove it first.")
    for problem in loaded.problems:
        if "read_only" in problem or "READ_ONLY" in problem:
            tell(safe(problem))
    return policy_of(loaded)


def policy_of(loaded: "Loaded") -> "Policy":
    """Returns the policy of these settings."""
    from containerlab_tui.services.policy import Policy

    return Policy(loaded.settings.read_only, loaded.source("read_only"), loaded.settings.confirm)


def engine(arguments: argparse.Namespace) -> "GuardedEngine":
    """Returns the engine of the options, or the one that `docker` would use. It refuses all changes.

    Raises Unreachable.
    """
    from containerlab_tui.services.policy import Policy

    return _guarded(arguments, Policy(read_only=True, source="a read-only command"))


def changing_engine(arguments: argparse.Namespace, what: str, operation: "Operation") -> "GuardedEngine":
    """Returns the engine for a command that changes something. A refusal comes before any request to the engine.

    `what` is a verb phrase for the refusal. Raises ReadOnly, BadRequest (the settings file can't be read) and
    Unreachable.
    """
    allowed = policy(arguments)
    allowed.require(operation, what)
    return _guarded(arguments, allowed)


def _guarded(arguments: argparse.Namespace, allowed: "Policy") -> "GuardedEngine":
    from containerlab_tui.services.guarded_engine import GuardedEngine

    url, context = arguments.host, arguments.context
    if arguments.lab:
        from containerlab_tui.lab.lab import Lab

        url, context = Lab().endpoint, None
    return GuardedEngine(arguments.connect(url, context), allowed)


def answer(document: "Document") -> None:
    """Prints one JSON document on standard output, in printable ASCII: names are exact once they are parsed.

    Bytes of a container that are not UTF-8 (in a user's name, a command line) become U+FFFD: strict readers reject half
    a surrogate pair. A list is written item by item, because 32,000 mappings may have long paths.
    """
    before = "{"
    for name, value in document.items():
        sys.stdout.write(f"{before}{json.dumps(name)}: ")
        if isinstance(value, list):
            sys.stdout.write("[")
            for index, item in enumerate(value):
                sys.stdout.write(", " * bool(index) + json.dumps(plain_value(item)))
            sys.stdout.write("]")
        else:
            sys.stdout.write(json.dumps(plain_value(value)))
        before = ", "
    say(safe("}"))


def say(text: SafeText) -> None:
    """Prints an answer on standard output."""
    print(text, flush=True)  # noqa: T201  the one place


def tell(text: SafeText) -> None:
    """Prints progress and remarks on standard error."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201  the one place


def tell_partial(*unread: str) -> None:
    """Prints on standard error what is missing in the answer; nothing for an empty sentence."""
    for sentence in unread:
        if sentence:
            tell(safe(f"partial: {sentence}"))


def confirm(question: SafeText) -> None:
    """Asks on standard error and returns if the user answers yes.

    Raises BadRequest without a terminal to ask on, and Declined for any other answer.
    """
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        raise BadRequest(f"{question} There is no terminal to ask on: add --yes. Nothing done.")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201  a question has no end of line
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Declined("Nothing done.")


def tell_once() -> Callable[[str], None]:
    """Returns a function that prints each sentence on standard error once, made safe."""
    said = set[str]()

    def once(sentence: str) -> None:
        if sentence not in said:
            said.add(sentence)
            tell(safe(sentence))

    return once


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> SafeText:
    """Returns aligned columns, two spaces apart; `right` are the columns of numbers. Every cell is made safe."""
    cells = [[safe(cell) for cell in row] for row in (headings, *rows)]
    widths = [max(width(row[column]) for row in cells) for column in range(len(headings))]
    lines = []
    for row in cells:
        pads = [" " * (room - width(cell)) for cell, room in zip(row, widths, strict=True)]
        columns = enumerate(zip(row, pads, strict=True))
        lines.append("  ".join(pad + cell if column in right else cell + pad for column, (cell, pad) in columns))
    return safe_block(line.rstrip() for line in lines)
