"""Finds out which of some paths are programs in a container, without running any of them.

This is a separate program (`python -I -S FILE PID PATH …`), because a file system of a container may never answer: the
caller can end it. It prints a JSON array of the paths that are executable regular files, or an object with an error.
"""

import json
import os
import stat
import sys
from collections.abc import Iterable
from os.path import dirname

if not __package__:
    sys.path.insert(0, dirname(dirname(dirname(__file__))))

from containerlab_probes.errors import BadRequest, ContainerlabError, Gone
from containerlab_probes.kernel.rootfs import open_in_root, open_root


def programs_among(pid: int, paths: Iterable[str]) -> tuple[str, ...]:
    """Returns those of these absolute paths that are executable regular files below the root directory of a process.

    `pid` is the host's number. Raises `Gone`, `Denied`, `Unsupported`.
    """
    root = open_root(pid)
    try:
        return tuple(path for path in dict.fromkeys(paths) if path.startswith("/") and _is_program(root, path))
    finally:
        os.close(root)


def _is_program(root: int, path: str) -> bool:
    try:
        fd = open_in_root(root, path)
    except (Gone, BadRequest):
        return False
    try:
        mode = os.fstat(fd).st_mode
        return stat.S_ISREG(mode) and bool(mode & 0o111)
    finally:
        os.close(fd)


if __name__ == "__main__":
    try:
        print(json.dumps(programs_among(int(sys.argv[1]), sys.argv[2:])))
    except ContainerlabError as failed:
        print(json.dumps({"error": str(failed), "kind": failed.kind}))
