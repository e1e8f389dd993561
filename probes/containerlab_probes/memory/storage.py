"""Finds where the bytes of a mapped file are stored: the backing and the path on the host, from the kernel alone.

The link in /proc/PID/map_files leads to the mounted file, and statx(2) names its mount. The container's mountinfo tells
what that mount shows: an overlay with its layers, or a directory of a file system that is mounted on the host as well.
No path of a container is resolved on the host: each lookup starts at a directory of a layer or at a mount of the host,
stays strictly below it, and its result is compared with what is mapped. The engine is not asked, except for the layers
of a FUSE overlay, which the kernel doesn't know.
"""

import math
import re
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from containerlab_probes.errors import ContainerlabError, Unsupported
from containerlab_probes.kernel.files import read_link
from containerlab_probes.kernel.host_mounts import HostMounts
from containerlab_probes.kernel.local import KERNEL_TREES, SERVED_HERE, CachedState
from containerlab_probes.kernel.mounts import below, overlay_options, read_mounts
from containerlab_probes.kernel.namespaces import namespace_inode
from containerlab_probes.kernel.overlay import NO_LAYERS, LayerNames, Layers, layer_names
from containerlab_probes.memory_records import Backing, Mount, Storage

NAMESPACES_LIMIT = 32
"""Mount namespaces of one container whose tables are read."""
_KERNEL_FILE = re.compile(r"/dev/zero|/memfd:.*|/anon_hugepage|/secretmem", re.DOTALL)
"""Names of shared memory without a file (mm/shmem.c, mm/memfd.c, fs/hugetlbfs/inode.c, mm/secretmem.c)."""
_SYSV = re.compile(r"/SYSV[0-9a-f]{8}")
_IN_MEMORY = frozenset({"tmpfs", "ramfs", "hugetlbfs"})
_SHM = "/dev/shm"  # noqa: S108  # nosec B108 # a container's path, compared only


@dataclass(frozen=True, slots=True)
class MappedFile:
    """A file as /proc/PID/maps and /proc/PID/map_files show it."""

    path: str
    deleted: bool
    device: str
    """major:minor in hexadecimal."""
    state: CachedState | None
    """None: it could not be read."""


class MountTable:
    """The mounts that the processes of one mount namespace see."""

    def __init__(self, mounts: Iterable[Mount], root: str = "/") -> None:
        """`root`: the root directory of the process that sees them.

        mountinfo shows mount points below it, while maps shows paths below the root of the mount namespace.
        """
        self._all = tuple(_moved(mount, root) for mount in mounts)
        self._by_id = {mount.id: mount for mount in self._all}
        self.root = next((mount for mount in reversed(self._all) if mount.point == root), None)
        self._devices = frozenset(mount.device for mount in self._all)

    def has(self, file: MappedFile) -> bool:
        """Returns whether a file is on one of the mounts; shared memory without a file is on none."""
        is_there = file.state is not None and bool(file.state.mount) and file.state.mount in self._by_id
        return is_there or _decimal(file.device) in self._devices

    def mount_of(self, file: MappedFile) -> Mount | None:
        """Returns the mount through which a file was mapped; None if it isn't in the table."""
        if file.state is not None and file.state.mount:
            return self._by_id.get(file.state.mount)
        return self._by_path(file.path, _decimal(file.device))

    def _by_path(self, path: str, device: str) -> Mount | None:
        """Returns the mount that contains a path, for kernels before Linux 5.8.

        A later mount at the same point covers an earlier one. For a file on an overlay, older kernels show the device
        of the file system below it, so an overlay matches any device.
        """
        around = [mount for mount in self._all if below(path, mount.point) is not None]
        for fits in ([mount for mount in around if mount.device == device], around):
            best = max(enumerate(fits), key=lambda item: (len(item[1].point), item[0]), default=None)
            if best and (best[1].device == device or best[1].filesystem == "overlay"):
                return best[1]
        return None

    def is_own(self, mount: Mount) -> bool:
        """Returns whether a mount shows the container's root file system, or a part of it."""
        root = self.root
        return root is not None and (
            mount is root or (mount.device == root.device and below(mount.root, root.root) is not None)
        )


class MountTables:
    """The mount tables of a container's processes; most containers have one."""

    def __init__(self) -> None:
        self._tables: dict[int, MountTable] = {}

    def of(self, pid: int) -> MountTable:
        """Returns the mounts that a process sees. Raises `Gone`, `Denied`, and `Unsupported` over the limit."""
        namespace = namespace_inode(pid, "mnt")
        if namespace not in self._tables:
            if len(self._tables) >= NAMESPACES_LIMIT:
                raise Unsupported(f"The container has more than {NAMESPACES_LIMIT} mount namespaces.")
            self._tables[namespace] = MountTable(read_mounts(pid), read_link(f"/proc/{pid}/root"))
        return self._tables[namespace]


class StorageFinder:
    """Finds where mapped files of one container are stored. `close` closes the directories of its layers."""

    def __init__(
        self, container: str, host: HostMounts, named: LayerNames = NO_LAYERS, until: float = math.inf
    ) -> None:
        """`container`: its full id; `named`: its layers as the engine names them.

        Files after `until` (of time.monotonic) stay unknown.
        """
        self._id, self._host, self._named, self._until = container, host, named, until
        self._layers: dict[str, Layers] = {}

    def close(self) -> None:
        for layers in self._layers.values():
            layers.close()

    def of(self, file: MappedFile, table: MountTable) -> Storage:
        """Returns where a file is stored, or the reason why that is unknown."""
        if time.monotonic() > self._until:
            return Storage(reason="Reading took too long.")
        try:
            return _without_file(file, table) or self._of_file(file, table)
        except ContainerlabError as error:
            return Storage(reason=str(error))

    def _of_file(self, file: MappedFile, table: MountTable) -> Storage:
        mount, state = table.mount_of(file), file.state
        if mount is None:
            return Storage(reason="Its mount is not among those of the container.")
        kind, rest = mount.filesystem, below(file.path, mount.point)
        if state is not None and not stat.S_ISREG(state.mode):
            return Storage(None, None, kind, mount.point, "It is a device, which stores no bytes in a file.")
        if kind in KERNEL_TREES - _IN_MEMORY:
            return Storage(None, None, kind, mount.point, f"It is a file of {kind}: the kernel makes its bytes.")
        if rest is None:
            return Storage(None, None, kind, mount.point, "The process has another root directory.")
        inside = mount.root.rstrip("/") + rest or "/"
        if file.deleted:
            return self._of_other_name(file, mount, inside, table)
        if not table.is_own(mount):
            return self._mounted(mount, inside, state)
        if kind == "overlay":
            return self._in_layers(mount, inside, state)
        if kind.startswith("fuse"):
            return self._in_fuse_layers(mount, inside)
        return self._on_host(Backing.WRITABLE_LAYER, mount, inside, state)

    def _on_host(self, backing: Backing, mount: Mount, inside: str, state: CachedState | None) -> Storage:
        path = self._host.path_of(mount.device, inside, state)
        reason = "" if path else f"Its file system ({mount.filesystem}) is not mounted where this program runs."
        if not path and self._host.points_of(mount.device):
            reason = "No mount of the host shows this file."
        return Storage(backing, path, mount.filesystem, mount.point, reason)

    def _mounted(self, mount: Mount, inside: str, state: CachedState | None) -> Storage:
        """Returns the storage of a file on another mount than the root."""
        found = self._on_host(Backing.BIND, mount, inside, state)
        if mount.filesystem in _IN_MEMORY and (mount.point == _SHM or not self._host.points_of(mount.device)):
            reason = "" if found.host_path else "It is mounted only in the container."
            return Storage(Backing.TMPFS, found.host_path, mount.filesystem, mount.point, reason)
        if found.host_path is None:
            return replace(found, backing=None)
        if self._id in found.host_path.split("/"):
            return Storage(Backing.ENGINE, found.host_path, mount.filesystem, mount.point)
        return found

    def _in_layers(self, root: Mount, inside: str, state: CachedState | None) -> Storage:
        """Returns the storage of a file in the container's overlay."""
        layers, merged = self._opened(root), self._host.path_of(root.device, inside, state)
        if layers.missing:
            reason = f"The directory {layers.missing} of its layers cannot be opened on the host."
            return Storage(None, merged, "overlay", root.point, reason)
        found = layers.find(inside, state)
        if found is None:
            return Storage(None, merged, "overlay", root.point, "None of the layers, as the host sees them, has it.")
        if found.is_upper:
            return Storage(Backing.WRITABLE_LAYER, found.host_path, "overlay", root.point)
        return Storage(Backing.IMAGE, merged or found.host_path, "overlay", root.point)

    def _in_fuse_layers(self, root: Mount, inside: str) -> Storage:
        """Returns the storage of a file in an overlay that a FUSE server makes: the engine names its layers."""
        kind, merged = root.filesystem, self._host.path_of(root.device, inside, None)
        if self._named == NO_LAYERS or self._opened(root).missing:
            reason = f"{kind} doesn't tell the kernel its layers, and the engine names none that can be opened."
            return Storage(None, merged, kind, root.point, reason)
        found = self._opened(root).find(inside, None)
        if found is None:
            return Storage(None, merged, kind, root.point, "None of the layers that the engine names has it.")
        if found.is_upper:
            return Storage(Backing.WRITABLE_LAYER, found.host_path, kind, root.point)
        return Storage(Backing.IMAGE, merged or found.host_path, kind, root.point)

    def _opened(self, root: Mount) -> Layers:
        """Returns the layers of a root, opened once."""
        if root.device not in self._layers:
            is_kernels = root.filesystem == "overlay"
            names = layer_names(overlay_options(root)) if is_kernels else self._named
            near = (names.upper, *self._host.points_of(root.device), self._named.upper)
            bases = dict.fromkeys(str(one) for path in near if path[:1] == "/" for one in PurePosixPath(path).parents)
            self._layers[root.device] = Layers(names, bases, self._host.may_open)
        return self._layers[root.device]

    def _of_other_name(self, file: MappedFile, mount: Mount, inside: str, table: MountTable) -> Storage:
        """Returns the storage of a file whose name is deleted: it may have another one (a hard link).

        An overlay counts the links of the file in its layer. An image's file that the container deleted has links
        there, but no name in the container. What is known of a file on FUSE or NFS without asking may be old.
        """
        is_current = mount.filesystem in SERVED_HERE | _IN_MEMORY
        deleted = Storage(Backing.DELETED, None, mount.filesystem, mount.point)
        if file.state is None or not file.state.links or not is_current:
            return deleted
        backing: Backing | None = Backing.BIND
        if table.is_own(mount):
            backing = Backing.WRITABLE_LAYER
            if mount.filesystem == "overlay":
                layers = self._opened(mount)
                if layers.missing or layers.image_has(inside, file.state):
                    return deleted
        elif mount.filesystem in _IN_MEMORY and (mount.point == _SHM or not self._host.points_of(mount.device)):
            backing = Backing.TMPFS
        return Storage(backing, None, mount.filesystem, mount.point, "Its name is deleted; it has another one.")


def _without_file(file: MappedFile, table: MountTable) -> Storage | None:
    """Returns the storage of memory without a file, and of files on no mount; None for others.

    The kernel's names of such memory are not enough: a container can give them to its files.
    """
    if file.path.startswith("[anon_shmem"):
        return Storage(Backing.ANONYMOUS_SHARED)
    if not file.path.startswith("/"):
        return Storage(reason="It is an object of the kernel, not a file.")
    if not file.deleted or table.has(file):
        return None
    if _SYSV.fullmatch(file.path):
        return Storage(Backing.SYSV)
    return Storage(Backing.ANONYMOUS_SHARED if _KERNEL_FILE.fullmatch(file.path) else Backing.DELETED)


def _moved(mount: Mount, root: str) -> Mount:
    return mount if root == "/" else replace(mount, point=(root + mount.point).rstrip("/"))


def _decimal(device: str) -> str:
    """Converts a device of maps (`00:3a`) to the form of mountinfo (`0:58`)."""
    return ":".join(str(int(part, 16)) for part in device.split(":"))
