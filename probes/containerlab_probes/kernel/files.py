"""Reads files, directories and lines with a bound. The only module of this program that reads without asking how much.

A container chooses how long nearly every text about it is: its environment, its mappings, the names in its directories.
So each function here has a limit, and `tests/unit/test_bounded_reads.py` finds every read outside this module.
"""

import os
from collections.abc import Iterator
from itertools import islice

from containerlab_probes.errors import ContainerlabError
from containerlab_probes.kernel.os_errors import failure

LIMIT = 256 * 1024
"""Default limit of bytes that are read from one file; command lines may be longer."""
STATUS_LIMIT = 1024 * 1024
"""Bytes of /proc/PID/status: up to 65,536 groups of 10 digits (NGROUPS_MAX) stand before its last lines."""
LIST_LIMIT = 4 * 1024 * 1024
"""Bytes of a list of PIDs: half a million of them."""
LINE_LIMIT = 64 * 1024
"""Bytes of one line; a path has at most 4,096, and the kernel escapes each as up to four."""
_CHUNK = 64 * 1024


def read_bytes(path: str, limit: int = LIMIT, at_once: bool = False) -> bytes:
    """Returns the first `limit` bytes of a file, or all of a shorter one; `at_once` and errors as in `read_text`."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return read_descriptor(fd, limit, at_once)
        finally:
            os.close(fd)
    except OSError as error:
        raise unreadable(error, path) from error


def read_descriptor(fd: int, limit: int = LIMIT, at_once: bool = False) -> bytes:
    """Returns at most `limit` bytes from an open file; `at_once` as in `read_text`. Raises OSError."""
    chunk = os.read(fd, min(limit, 16384))
    if at_once and len(chunk) < 16384:
        return chunk
    chunks, left = [chunk], limit - len(chunk)
    while chunk and left > 0:
        chunk = os.read(fd, min(left, _CHUNK))
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)


def read_text(path: str, limit: int = LIMIT, at_once: bool = False) -> str:
    """Returns the text of a file below /proc/PID or of a cgroup; bytes that are not UTF-8 as surrogate escapes.

    Text over the limit is cut. `at_once`: one read suffices, as for stat, status, syscall and cmdline, of which the
    kernel returns all that the buffer holds (fs/seq_file.c, single_open; fs/proc/base.c, get_mm_cmdline).

    Raises `Gone` where the process or cgroup no longer exists, `Denied`, and `Unsupported` where reading fails.
    """
    return read_bytes(path, limit, at_once).decode("utf-8", "surrogateescape")


def read_status(task: str) -> str:
    """Returns the status of the process or thread with the folder `task` in /proc. Raises as `read_text`."""
    return read_text(f"{task}/status", STATUS_LIMIT, at_once=True)


def read_list(path: str) -> str:
    """Returns words between blanks, as of cgroup.procs, without a last word that is cut. Raises as `read_text`.

    Half a PID is the PID of another process.
    """
    text = read_text(path, LIST_LIMIT)
    if len(text) < LIST_LIMIT:
        return text
    return text[: max(text.rfind(" "), text.rfind("\n")) + 1]


def lines_of(path: str, limit: int) -> Iterator[str]:
    """Yields the lines of a file without their ends, holding one chunk at a time; stops after `limit` bytes.

    Leaves out a line that is cut by the limit or longer than LINE_LIMIT. Raises as `read_text`.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise unreadable(error, path) from error
    rest, left, too_long = b"", limit, False
    try:
        while left > 0:
            try:
                chunk = os.read(fd, min(left, _CHUNK))
            except OSError as error:
                raise unreadable(error, path) from error
            if not chunk:
                break
            left -= len(chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            if too_long and lines:
                del lines[0]
                too_long = False
            if len(rest) > LINE_LIMIT:
                rest, too_long = b"", True
            for line in lines:
                yield line.decode("utf-8", "surrogateescape")
        else:
            return
        if rest and not too_long:
            yield rest.decode("utf-8", "surrogateescape")
    finally:
        os.close(fd)


def read_link(path: str) -> str:
    """Returns the target of a link of /proc. Raises as `read_text`."""
    try:
        return os.readlink(path)
    except OSError as error:
        raise unreadable(error, path) from error


def names_in(place: str | int, limit: int) -> list[str]:
    """Returns the names in a directory (a path or a descriptor), at most `limit` of them. Raises as `read_text`."""
    try:
        with os.scandir(place) as entries:
            return [entry.name for entry in islice(entries, limit)]
    except OSError as error:
        raise unreadable(error, str(place)) from error


def count_names(place: str | int, limit: int) -> int:
    """Returns how many names a directory has, at most `limit`; keeps none of them. Raises as `read_text`."""
    try:
        with os.scandir(place) as entries:
            return sum(1 for _ in islice(entries, limit))
    except OSError as error:
        raise unreadable(error, str(place)) from error


def answer_bytes(text: str) -> int:
    """Returns how many bytes a text takes at most in an agent's answer: JSON escapes most characters with six.

    A container chooses its names, so a limit of characters would let an answer become six times as long.
    """
    if text.isascii() and text.isprintable():
        return len(text) + text.count('"') + text.count("\\")
    return (12 if max(text) > "\uffff" else 6) * len(text)  # two escapes for a character beyond U+FFFF


def unreadable(error: OSError, path: str) -> ContainerlabError:
    """Returns the error for a file of a process or cgroup that can't be read."""
    return failure(
        error,
        f"read {path}",
        missing="the process has exited",
        denied="it needs root (CAP_SYS_PTRACE); run this with sudo",
    )
