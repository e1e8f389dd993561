"""Writes documents to a file, one JSON object on each line."""

import json
import os
from collections.abc import Iterable
from typing import Any

from containerlab_probes.errors import BadRequest
from containerlab_probes.kernel.os_errors import failure


def save_lines(path: str, documents: Iterable[dict[str, Any]], overwrite: bool = False) -> int:
    """Writes JSON lines and returns how many. Raises `BadRequest` (it already exists, no such directory), `Denied`."""
    if overwrite and os.path.exists(path) and not os.path.isfile(path):
        raise BadRequest(f"{path} is not a regular file.")
    count = 0
    try:
        with open(path, "w" if overwrite else "x", encoding="utf-8") as file:
            for document in documents:
                file.write(json.dumps(document) + "\n")
                count += 1
    except FileExistsError as error:
        raise BadRequest(f"{path} already exists.") from error
    except OSError as error:
        directory = os.path.dirname(path) or "."
        if not os.path.isdir(directory):
            raise BadRequest(f"No such directory: {directory}.") from error
        raise failure(
            error, f"write {path}", missing="no such file can be made", denied="no permission to write it"
        ) from error
    return count
