"""Reads the mounts that a process sees, from /proc/PID/mountinfo (man 5 proc_pid_mountinfo)."""

import re

from containerlab_probes.kernel.files import read_text
from containerlab_probes.records import Mount

MOUNTS_BYTES = 16 * 1024 * 1024
"""Bytes that are read from one mountinfo; a namespace may have 100,000 mounts (fs.mount-max)."""
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
            options = tail[2] if kind == "cgroup" else ""
            mounts.append(Mount(fields[2], _unescape(fields[3]), _unescape(fields[4]), kind, source, options))
    return mounts


def _unescape(text: str) -> str:
    """Undoes the kernel's octal escapes (fs/seq_file.c, mangle_path): space, tab, newline, backslash."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
