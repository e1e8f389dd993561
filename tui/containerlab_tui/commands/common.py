"""What every command shares: the engine it was asked for, its answer as JSON or as text, refusals."""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from containerlab_probes.errors import Denied
from containerlab_tui.present.safe_text import safe

if TYPE_CHECKING:
    from containerlab_tui.engine.docker_engine import DockerEngine
    from containerlab_tui.present.documents import Document


def engine(arguments: argparse.Namespace) -> "DockerEngine":
    """The engine that the options name, or the one that `docker` would use. Raises Unreachable."""
    from containerlab_tui.engine.docker_engine import connect

    if arguments.lab:
        from containerlab_tui.lab.lab import Lab

        return connect(Lab().endpoint)
    return connect(arguments.host, arguments.context)


def refuse_if_read_only(arguments: argparse.Namespace, what: str) -> None:
    """Raises Denied where --read-only was given."""
    if arguments.read_only:
        raise Denied(f"--read-only refuses to {what}: nothing was done.")


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
