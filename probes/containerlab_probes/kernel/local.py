"""Tells files that this kernel serves from files that may never be answered: FUSE, a dead NFS server, autofs.

A process that waits for a FUSE server can't even be killed (fs/fuse/dev.c, request_wait_answer). So what reads a file
that is not local does it in a process that can be left behind: a probe agent.

A file is local if its mount shows a file system that is also mounted here, in this program's mount namespace, with a
type that the kernel serves alone. A container can't mount anything here, so it can't make a file look local.
"""

import ctypes
import math
import os
import stat
import time
from dataclasses import dataclass

from containerlab_probes.errors import Unsupported
from containerlab_probes.kernel.libc import libc
from containerlab_probes.kernel.mounts import read_mounts

SERVED_HERE = frozenset({
    "overlay", "ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "aufs", "tmpfs", "ramfs",
    "rootfs", "squashfs", "erofs", "iso9660", "vfat",
})  # fmt: skip
_ANSWERED_AT_OPENING = frozenset({"fuse", "fuseblk"})
"""Types that may block, but not where a link of /proc is opened with O_PATH: they have no d_weak_revalidate."""
KERNEL_TREES = frozenset({
    "proc", "sysfs", "cgroup", "cgroup2", "devpts", "devtmpfs", "mqueue", "securityfs", "debugfs",
    "tracefs", "bpf", "pstore", "efivarfs", "configfs", "fusectl", "binfmt_misc", "hugetlbfs", "nsfs",
})  # fmt: skip
REREAD_S = 0.2
"""Between two readings of this program's own mounts."""
_AT_EMPTY_PATH, _AT_STATX_DONT_SYNC, _AT_FDCWD = 0x1000, 0x4000, -100
_BIRTH, _MOUNT_ID = 0x0800, 0x1000
_WANTED = 0x07FF | _BIRTH | _MOUNT_ID
"""STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID (include/uapi/linux/stat.h; the mount's id since Linux 5.8)."""


class NotLocal(Unsupported):
    """The file is on a file system that may not answer, or may be."""


class _Statx(ctypes.Structure):
    """The beginning of struct statx, up to the id of the mount (man 2 statx)."""

    _fields_ = (
        ("mask", ctypes.c_uint32), ("blksize", ctypes.c_uint32), ("attributes", ctypes.c_uint64),
        ("nlink", ctypes.c_uint32), ("uid", ctypes.c_uint32), ("gid", ctypes.c_uint32), ("mode", ctypes.c_uint16),
        ("spare", ctypes.c_uint16), ("ino", ctypes.c_uint64), ("size", ctypes.c_uint64), ("blocks", ctypes.c_uint64),
        ("attributes_mask", ctypes.c_uint64), ("times", ctypes.c_uint64 * 8), ("rdev_major", ctypes.c_uint32),
        ("rdev_minor", ctypes.c_uint32), ("dev_major", ctypes.c_uint32), ("dev_minor", ctypes.c_uint32),
        ("mnt_id", ctypes.c_uint64), ("rest", ctypes.c_uint64 * 13),
    )  # fmt: skip


def _statx(directory: int, path: bytes, flags: int) -> _Statx | None:
    found = _Statx()
    how = (flags | _AT_STATX_DONT_SYNC, _WANTED, ctypes.byref(found))
    return found if libc.statx(directory, path, *how) == 0 else None


@dataclass(frozen=True, slots=True)
class CachedState:
    """What the kernel knows about a file without asking a server."""

    mode: int
    size: int
    device: int
    """The device that a device file stands for."""
    links: int = 1
    inode: int = 0
    on_device: int = 0
    """The device of its file system."""
    mount: int = 0
    """The id of the mount through which it was reached; 0: unknown (before Linux 5.8)."""
    modified: tuple[int, int] = (0, 0)
    """Seconds and nanoseconds."""
    born: tuple[int, int] | None = None
    """When it was created; None: unknown."""

    def is_same_file(self, other: "CachedState") -> bool:
        """Returns whether two states are of one inode."""
        return (self.on_device, self.inode) == (other.on_device, other.inode)

    def is_copy_of(self, real: "CachedState") -> bool:
        """Returns whether an overlay that shows this state can have it from that file.

        An overlay has another device than its layers, and keeps the number of an inode when it copies the file up
        (Documentation/filesystems/overlayfs.rst). It passes on the times, and nothing changes the time of birth.
        """
        if self.born and real.born:
            return (stat.S_IFMT(self.mode), self.born) == (stat.S_IFMT(real.mode), real.born)
        return (self.mode, self.size, self.modified) == (real.mode, real.size, real.modified)


def state_behind(link: str) -> CachedState | None:
    """Returns the state of the file behind a link of /proc; None if it can't be read. It asks no FUSE server."""
    return _state(_statx(_AT_FDCWD, os.fsencode(link), 0))


def state_of(fd: int) -> CachedState | None:
    """Returns the state of an open file (O_PATH will do); None if it can't be read. It asks no FUSE server."""
    return _state(_statx(fd, b"", _AT_EMPTY_PATH))


def _state(found: _Statx | None) -> CachedState | None:
    if found is None:
        return None
    times = found.times
    return CachedState(
        mode=found.mode,
        size=found.size,
        device=os.makedev(found.rdev_major, found.rdev_minor),
        links=found.nlink,
        inode=found.ino,
        on_device=os.makedev(found.dev_major, found.dev_minor),
        mount=found.mnt_id if found.mask & _MOUNT_ID else 0,
        modified=(times[6], times[7] & 0xFFFFFFFF),
        born=(times[2], times[3] & 0xFFFFFFFF) if found.mask & _BIRTH else None,
    )


class LocalMounts:
    """The mounts of one process that are local."""

    def __init__(self, pid: int) -> None:
        """Raises `NotLocal` if even opening the root of the process may block, `Gone` and `Denied`."""
        mounts = read_mounts(pid)
        here = _here.devices({mount.device for mount in mounts if mount.point == "/"})
        self._ids = set()
        for mount in mounts:
            if mount.filesystem in SERVED_HERE and mount.device in here:
                self._ids.add(mount.id)
            elif mount.filesystem.partition(".")[0] not in SERVED_HERE | KERNEL_TREES | _ANSWERED_AT_OPENING:
                raise NotLocal(f"Process {pid} has a {mount.filesystem} file system, which may block.")

    def has(self, fd: int) -> bool:
        """Returns whether an open file (O_PATH will do) is on one of them."""
        found = _statx(fd, b"", _AT_EMPTY_PATH)
        return found is not None and bool(found.mask & _MOUNT_ID) and found.mnt_id in self._ids


class _DevicesHere:
    """The devices of this program's own mounts whose files the kernel serves. A machine can have thousands."""

    def __init__(self) -> None:
        self._devices: frozenset[str] = frozenset()
        self._read_at = -math.inf

    def devices(self, wanted: set[str]) -> frozenset[str]:
        """Returns the devices, read again if one of `wanted` is missing, at most every REREAD_S."""
        if not wanted <= self._devices and time.monotonic() - self._read_at > REREAD_S:
            self._devices = frozenset(mount.device for mount in read_mounts() if mount.filesystem in SERVED_HERE)
            self._read_at = time.monotonic()
        return self._devices


_here = _DevicesHere()
