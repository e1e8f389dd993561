"""Reads files of /proc and of cgroups."""

import os
from itertools import islice

from containerlab_probes.errors import ContainerlabError
from containerlab_probes.kernel.os_errors import failure

LIMIT = 256 * 1024
"""Default limit of bytes that are read from one file; command lines and lists of PIDs may be longer."""


def read_text(path: str, limit: int = LIMIT, at_once: bool = False) -> str:
    """Returns the text of a file below /proc/PID or of a cgroup; bytes that are not UTF-8 as surrogate escapes.

    `at_once`: one read suffices, as for stat, status and syscall, of which the kernel returns all that the buffer holds
    (fs/seq_file.c, single_open).

    Raises `Gone` where the process or cgroup no longer exists, `Denied`, and `Unsupported` where reading fails.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            chunk = os.read(fd, 16384)
            chunks, size = [chunk], len(chunk)
            while chunk and size < limit and not (at_once and size < 16384):
                chunk = os.read(fd, 65536)
                chunks.append(chunk)
                size += len(chunk)
        finally:
            os.close(fd)
    except OSError as error:
        raise unreadable(error, path) from error
    return b"".join(chunks).decode("utf-8", "surrogateescape")


def read_link(path: str) -> str:
    """Returns the target of a link of /proc. Raises as `read_text`."""
    try:
        return os.readlink(path)
    except OSError as error:
        raise unreadable(error, path) from error


def names_in(path: str, limit: int | None = None) -> list[str]:
    """Returns the names in a directory, at most `limit` of them. Raises as `read_text`."""
    try:
        with os.scandir(path) as entries:
            return [entry.name for entry in islice(entries, limit)]
    except OSError as error:
        raise unreadable(error, path) from error


def unreadable(error: OSError, path: str) -> ContainerlabError:
    """Returns the error for a file of a process or cgroup that can't be read."""
    return failure(
        error,
        f"read {path}",
        missing="the process has exited",
        denied="it needs root (CAP_SYS_PTRACE); run this with sudo",
    )
