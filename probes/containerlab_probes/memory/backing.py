"""Where the bytes of a mapping are stored, from its path, the mounts and the engine's volumes. No I/O.

Paths are compared and shown, never opened.
"""

import re
from collections.abc import Iterable
from collections.abc import Mapping as Dict

from containerlab_probes.records import Backing, Mapping, Mount

_KERNEL_FILE = re.compile(r"/dev/zero|/memfd:.*|/anon_hugepage|/secretmem", re.DOTALL)
"""Names of shared memory without a file (mm/shmem.c, mm/memfd.c, fs/hugetlbfs/inode.c, mm/secretmem.c)."""
_SYSV = re.compile(r"/SYSV[0-9a-f]{8}")

Volumes = Dict[str, tuple[str, str]]
"""Target in the container -> (`volume`, `bind` or `tmpfs`, source on the host), from the engine's inspect."""


def mount_of(mapping: Mapping, mounts: Iterable[Mount]) -> Mount | None:
    """Returns the mount that contains a mapping's path, None if there is none.

    A later mount at the same point covers an earlier one. For a file on an overlay, older kernels show the device of
    the file system below it, so an overlay matches any device.
    """
    device = _decimal(mapping.device)
    around = [mount for mount in mounts if _path_below(mapping.path, mount.point) is not None]
    for fits in ([mount for mount in around if mount.device == device], around):
        best = max(enumerate(fits), key=lambda item: (len(item[1].point), item[0]), default=None)
        if best and (best[1].device == device or best[1].filesystem == "overlay"):
            return best[1]
    return None


def backing_of(mapping: Mapping, mounts: Iterable[Mount], volumes: Volumes, in_upper: bool | None) -> Backing | None:
    """Returns where the bytes of a mapping are stored; None: unknown.

    `in_upper` is whether the overlay's upper directory has a file with this path; None: unknown.
    """
    mounts = tuple(mounts)
    if mapping.deleted:
        if any(mount.device == _decimal(mapping.device) for mount in mounts):
            return Backing.DELETED
        if _SYSV.fullmatch(mapping.path):
            return Backing.SYSV
        return Backing.ANONYMOUS_SHARED if _KERNEL_FILE.fullmatch(mapping.path) else Backing.DELETED
    if mapping.path.startswith("[anon_shmem"):
        return Backing.ANONYMOUS_SHARED
    mount = mount_of(mapping, mounts)
    if mount is None:
        return None
    volume = _volume_at(mount, volumes)
    if volume is not None:
        return {"volume": Backing.VOLUME, "bind": Backing.BIND, "tmpfs": Backing.TMPFS}.get(volume[0])
    if mount.filesystem == "overlay" and in_upper is not None:
        return Backing.WRITABLE_LAYER if in_upper else Backing.IMAGE
    return Backing.TMPFS if mount.filesystem == "tmpfs" else None


def host_path_of(
    mapping: Mapping,
    backing: Backing | None,
    mounts: Iterable[Mount],
    volumes: Volumes,
    *,
    merged_dir: str,
    upper_dir: str,
) -> str | None:
    """Returns the path of the bytes on the host, only to be shown and never opened. None if there is no such path."""
    if backing is Backing.WRITABLE_LAYER:
        return upper_dir + mapping.path if upper_dir else None
    if backing is Backing.IMAGE:
        return merged_dir + mapping.path if merged_dir else None
    if backing in (Backing.VOLUME, Backing.BIND):
        mount = mount_of(mapping, mounts)
        volume = mount and _volume_at(mount, volumes)
        if mount and volume and volume[1]:
            return volume[1].rstrip("/") + (_path_below(mapping.path, mount.point) or "")
    return None


def _volume_at(mount: Mount, volumes: Volumes) -> tuple[str, str] | None:
    """Returns the volume or bind mount of a mount.

    If the target contained a symbolic link, the mount point differs from the target. Then the source decides: it ends
    in the mount's root within its file system. If the host's root is a folder of a file system (a subvolume of btrfs),
    the mount's root ends in the source instead.
    """
    for target, volume in volumes.items():
        if (target.rstrip("/") or "/") == mount.point:
            return volume
    if len(mount.root) > 1:
        for volume in volumes.values():
            source = volume[1].rstrip("/")
            if source and (source.endswith(mount.root) or mount.root.endswith(source)):
                return volume
    return None


def _path_below(path: str, point: str) -> str | None:
    """Returns the rest of a path below a mount point, with its slash; empty: the mount point; None: not below it."""
    point = point.rstrip("/")
    if path == point:
        return ""
    return path[len(point) :] if path.startswith(point + "/") else None


def _decimal(device: str) -> str:
    """Converts a device of maps (`00:3a`) to the form of mountinfo (`0:58`)."""
    return ":".join(str(int(part, 16)) for part in device.split(":"))
