"""User and group ids as the processes of a container see them (man 7 user_namespaces).

Rootless engines, and engines with userns-remap, give a container a user namespace: its root is another user outside.
"""

from dataclasses import dataclass
from enum import StrEnum

from containerlab_probes.errors import ContainerlabError
from containerlab_probes.kernel.files import read_text

OVERFLOW = 65534
"""What the kernel shows for an id that a user namespace doesn't have (/proc/sys/kernel/overflowuid)."""


class IdKind(StrEnum):
    """The file in /proc/PID with the ids of its user namespace."""

    USER = "uid_map"
    GROUP = "gid_map"


@dataclass(frozen=True, slots=True)
class IdMap:
    """Converts ids of this program's user namespace to those of another one."""

    ranges: tuple[tuple[int, int, int], ...] | None
    """The first id there, the first id here, and how many; None: both are the same namespace."""

    def inside(self, here: int) -> int:
        """Returns an id as that namespace sees it; OVERFLOW: it has no such id."""
        if self.ranges is None:
            return here
        for first, first_here, count in self.ranges:
            if first_here <= here < first_here + count:
                return first + here - first_here
        return OVERFLOW


SAME = IdMap(None)


def parse_id_map(text: str) -> IdMap:
    """Parses /proc/PID/uid_map or gid_map of a process in another user namespace."""
    rows = (tuple(map(int, line.split())) for line in text.splitlines())
    return IdMap(tuple((inside, here, count) for inside, here, count in rows))


def id_map(pid: int, kind: IdKind) -> IdMap:
    """Returns how ids look in the user namespace of a process.

    The kernel shows a process its own namespace's ids in terms of the parent's: the same text as its own means the same
    namespace, or one that looks the same. What can't be read counts as the same, too.
    """
    try:
        text = read_text(f"/proc/{pid}/{kind}")
        return SAME if text == read_text(f"/proc/self/{kind}") else parse_id_map(text)
    except (ContainerlabError, ValueError):
        return SAME
