"""What every command shares: the engine it was asked for, its answer as JSON or as text, refusals."""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from containerlab_probes.errors import BadRequest
from containerlab_tui.present.safe_text import safe

if TYPE_CHECKING:
    from containerlab_tui.config import Loaded
    from containerlab_tui.present.documents import Document
    from containerlab_tui.services.guarded_engine import GuardedEngine
    from containerlab_tui.services.policy import Operation, Policy


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

    A file that can't be read may hold `read_only = true`, so nothing is changed before it is repaired.
    """
    from containerlab_tui.config import UNREAD

    loaded = settings(arguments)
    if loaded.source("read_only") == UNREAD:
        raise BadRequest(f"{loaded.unread} It may set read_only, so repair or remove it first.")
    for problem in loaded.problems:
        if "read_only" in problem or "READ_ONLY" in problem:
            tell(problem)
    return policy_of(loaded)


def policy_of(loaded: "Loaded") -> "Policy":
    """Returns the policy that these settings ask for."""
    from containerlab_tui.services.policy import Policy

    return Policy(loaded.settings.read_only, loaded.source("read_only"), loaded.settings.confirm)


def engine(arguments: argparse.Namespace) -> "GuardedEngine":
    """Returns the engine that the options name, or the one that `docker` would use, for questions only.

    Raises Unreachable.
    """
    from containerlab_tui.services.policy import Policy

    return _guarded(arguments, Policy(read_only=True, source="a command that only reads"))


def changing_engine(arguments: argparse.Namespace, what: str, operation: "Operation") -> "GuardedEngine":
    """Returns the same for a command that changes something, which is refused before the engine is asked anything.

    `what` is a verb phrase for the sentence. Raises ReadOnly, BadRequest (the settings file can't be read) and
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
    """One JSON document on standard output. Bytes out of a container that were no UTF-8, wherever they stand (a user's
    name, what a process now runs), become U+FFFD: half a surrogate pair is no JSON string to a strict reader."""
    from containerlab_tui.present.safe_text import plain

    json.dump(json.loads(plain(json.dumps(document, ensure_ascii=False))), sys.stdout, ensure_ascii=True)
    print()


def tell(text: str) -> None:
    """Progress and remarks, on standard error."""
    print(text, file=sys.stderr, flush=True)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Aligned columns, two spaces apart; `right` are the columns of numbers. Every cell is made safe."""
    cells = [list(headings), *([safe(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    lines = (
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    )
    return "\n".join(line.rstrip() for line in lines)
