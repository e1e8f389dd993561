"""Finds the path on the host of a file that a container sees through another mount of the same file system."""

import os
from collections.abc import Iterable, Iterator

from containerlab_probes.kernel.local import KERNEL_TREES, SERVED_HERE, CachedState, state_of
from containerlab_probes.kernel.mounts import below
from containerlab_probes.kernel.rootfs import place_beneath
from containerlab_probes.memory_records import Mount


class HostMounts:
    """The mounts of the host, which is where this process is."""

    def __init__(self, mounts: Iterable[Mount]) -> None:
        self._at: dict[str, Mount] = {}
        """The mount that is seen at each mount point: a later one covers an earlier one."""
        self._on: dict[str, list[Mount]] = {}
        for mount in mounts:
            self._at[mount.point] = mount
            self._on.setdefault(mount.device, []).append(mount)

    def points_of(self, device: str) -> list[str]:
        """Returns where a file system is mounted; that with the most of it first."""
        return [mount.point for mount in self._mounts_on(device)]

    def may_open(self, path: str) -> bool:
        """Returns whether this kernel alone serves each file system on the way to a path, so that none can block."""
        return path.startswith("/") and all(one.filesystem in SERVED_HERE | KERNEL_TREES for one in self._along(path))

    def path_of(self, device: str, inside: str, shown: CachedState | None) -> str | None:
        """Returns the path of a file by the path from the root of its file system; None if no mount here has it.

        `shown` is the state that the container sees. It is compared, unless another than this kernel serves the file
        system: looking at the file could block, so the mount table alone tells the path.
        """
        for mount in self._mounts_on(device):
            rest = below(inside, mount.root)
            if rest is None:
                continue
            path = mount.point.rstrip("/") + rest or "/"
            if next(self._along(path), None) is not mount:
                continue
            if mount.filesystem not in SERVED_HERE or (self.may_open(path) and _shows(mount.point, rest, shown)):
                return path
        return None

    def _mounts_on(self, device: str) -> list[Mount]:
        return sorted(self._on.get(device, ()), key=lambda mount: len(mount.root))

    def _along(self, path: str) -> Iterator[Mount]:
        """Yields the mounts on the way to a path, the innermost first."""
        while True:
            if path in self._at:
                yield self._at[path]
            if path in ("/", ""):
                return
            path = os.path.dirname(path)


def _shows(point: str, rest: str, shown: CachedState | None) -> bool:
    """Returns whether a mount has the same file below its mount point."""
    if shown is None:
        return False
    try:
        root = os.open(point, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        place = place_beneath(root, rest.lstrip("/")) if rest else os.dup(root)
    finally:
        os.close(root)
    if place < 0:
        return False
    try:
        found = state_of(place)
        return found is not None and found.is_same_file(shown)
    finally:
        os.close(place)
