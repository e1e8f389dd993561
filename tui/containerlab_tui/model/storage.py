"""Adds to the storage that the kernel shows what only the engine knows: which mounts are volumes."""

from collections.abc import Iterable
from dataclasses import replace

from containerlab_probes.memory_records import Backing, Storage
from containerlab_tui.model.inventory import MountPoint

_BY_KIND = {"volume": Backing.VOLUME, "bind": Backing.BIND}
_MOUNTED = (Backing.BIND, Backing.ENGINE, Backing.TMPFS, None)


def as_the_engine_names_it(storage: Storage, path: str, mounts: Iterable[MountPoint]) -> Storage:
    """Returns the storage of the file with that path in the container, with the engine's kind of its mount.

    The engine's mount is the one at the same mount point. If its target contained a symbolic link, the mount point
    differs; then it is the one whose source is the mounted directory. The host path stays the kernel's.
    """
    if storage.backing not in _MOUNTED or storage.point in ("", "/"):
        return storage
    for mount in mounts:
        if _is_at(mount, storage, path) and mount.kind in _BY_KIND:
            return replace(storage, backing=_BY_KIND[mount.kind])
    return storage


def _is_at(mount: MountPoint, storage: Storage, path: str) -> bool:
    if (mount.target.rstrip("/") or "/") == storage.point:
        return True
    return bool(mount.source) and storage.host_path == mount.source.rstrip("/") + path.removeprefix(storage.point)
