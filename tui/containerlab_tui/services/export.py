"""Writes documents to a file of the person's, an object a line."""

import json
import os
from collections.abc import Iterable
from typing import Any

from containerlab_probes.errors import BadRequest, ContainerlabError, Denied


def save_lines(path: str, documents: Iterable[dict[str, Any]], overwrite: bool = False) -> int:
    """Write JSON lines; answers how many. Raises `BadRequest` (it exists already, no such directory), `Denied`."""
    if overwrite and os.path.exists(path) and not os.path.isfile(path):
        raise BadRequest(f"{path} is no regular file.")
    count = 0
    try:
        with open(path, "w" if overwrite else "x", encoding="utf-8") as file:
            for document in documents:
                file.write(json.dumps(document) + "\n")
                count += 1
    except OSError as error:
        raise _refused(path, error) from error
    return count


def _refused(path: str, error: OSError) -> ContainerlabError:
    if isinstance(error, FileExistsError):
        return BadRequest(f"{path} exists already.")
    if isinstance(error, PermissionError):
        return Denied(f"{path} may not be written by you.")
    directory = os.path.dirname(path) or "."
    if not os.path.isdir(directory):
        return BadRequest(f"There is no directory {directory}.")
    return BadRequest(f"{path} can't be written: {error.strerror}.")
