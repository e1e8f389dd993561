"""Reads the mounts that a process sees, from /proc/PID/mountinfo (man 5 proc_pid_mountinfo)."""

import os
import re
import select
import threading

from containerlab_probes.kernel.files import read_text, unreadable
from containerlab_probes.memory_records import Mount

MOUNTS_BYTES = 16 * 1024 * 1024
"""Bytes that are read from one mountinfo; a namespace may have 100,000 mounts (fs.mount-max)."""
_WITH_OPTIONS = frozenset({"cgroup", "overlay"})
_OCTAL = re.compile(r"\\([0-7]{3})")


def read_mounts(pid: int | str = "self") -> list[Mount]:
    """Returns the mounts of a process, in the order in which they were mounted. Raises `Gone` and `Denied`."""
    return parse_mounts(read_text(f"/proc/{pid}/mountinfo", MOUNTS_BYTES))


def parse_mounts(text: str) -> list[Mount]:
    """Parses the lines of mountinfo; leaves out lines of another form."""
    mounts = []
    for line in text.split("\n"):
        before, separator, after = line.partition(" - ")
        fields, tail = before.split(" "), after.split(" ")
        if separator and len(fields) >= 6 and len(tail) >= 3:
            kind, source = _unescape(tail[0]), _unescape(tail[1])
            options = tail[2] if kind in _WITH_OPTIONS else ""
            number = int(fields[0]) if fields[0].isdecimal() else 0
            mounts.append(Mount(fields[2], _unescape(fields[3]), _unescape(fields[4]), kind, source, options, number))
    return mounts


class OwnMounts:
    """The mounts of some file systems that this process sees, read again only after a change.

    The kernel reports a change of the mounts to a process that polls an open mountinfo (man 5 proc_pid_mounts).
    """

    def __init__(self, *filesystems: str) -> None:
        self._filesystems = filesystems
        self._lock = threading.Lock()
        self._changes: select.poll | None = None
        self._is_stale = True
        self._known: tuple[Mount, ...] = ()

    def now(self) -> tuple[Mount, ...]:
        """Returns the current mounts. Raises `Gone` and `Denied`."""
        with self._lock:
            if self._changes is None:
                self._changes = _poll_for_changes()
            if self._is_stale or self._changes.poll(0):
                self._is_stale = True  # also if reading fails
                self._known = tuple(mount for mount in read_mounts() if mount.filesystem in self._filesystems)
                self._is_stale = False
            return self._known


def _poll_for_changes() -> select.poll:
    """Returns what reports changes of this process's mounts from now on, each one once."""
    path = "/proc/self/mountinfo"
    try:
        opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # stays open until this process exits
    except OSError as error:
        raise unreadable(error, path) from error
    changes = select.poll()
    changes.register(opened, select.POLLPRI)
    return changes


def overlay_options(mount: Mount) -> list[tuple[str, str]]:
    """Returns the names and values of the options of an overlay; a flag has an empty value.

    A comma in a value is escaped (fs/seq_file.c, seq_show_option), so a plain one separates two options.
    """
    pairs = (option.partition("=") for option in mount.options.split(","))
    return [(_unescape(name), _unescape(value)) for name, _, value in pairs]


def below(path: str, point: str) -> str | None:
    """Returns the rest of a path below a directory, with its slash; empty: the directory; None: not below it."""
    point = point.rstrip("/")
    if path == point or (path == "/" and not point):
        return ""
    return path[len(point) :] if path.startswith(point + "/") else None


def _unescape(text: str) -> str:
    """Undoes the kernel's octal escapes (fs/seq_file.c, mangle_path): space, tab, newline, backslash and others."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
