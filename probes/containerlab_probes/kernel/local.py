"""Tells files that this kernel serves from files that may never be answered: FUSE, a dead NFS server, autofs.

A process that waits for a FUSE server can't even be killed (fs/fuse/dev.c, request_wait_answer). So what reads a file
that is not local does it in a process that can be left behind: a probe agent.

A file is local if its mount shows a file system that is also mounted here, in this program's mount namespace, with a
type that the kernel serves alone. A container can't mount anything here, so it can't make a file look local.
"""

import ctypes
import math
import os
import re
import time
from dataclasses import dataclass

from containerlab_probes.errors import Unsupported
from containerlab_probes.kernel.files import read_bytes
from containerlab_probes.kernel.libc import libc

_SERVED_HERE = frozenset(
    b"overlay ext2 ext3 ext4 xfs btrfs zfs f2fs bcachefs aufs tmpfs ramfs rootfs squashfs erofs iso9660 vfat".split()
)
_ANSWERED_AT_OPENING = frozenset(b"fuse fuseblk".split())
"""Types that may block, but not where a link of /proc is opened with O_PATH: they have no d_weak_revalidate."""
_KERNEL_TREES = frozenset(
    b"proc sysfs cgroup cgroup2 devpts devtmpfs mqueue securityfs debugfs tracefs bpf pstore efivarfs configfs fusectl "
    b"binfmt_misc hugetlbfs nsfs".split()
)
_MOUNT = re.compile(rb"^(\d+) \d+ (\d+:\d+) [^ \n]+ ([^ \n]+) [^\n]* - ([^ \n]+) ", re.MULTILINE)
"""Id, device, mount point and type of a line of mountinfo. The kernel escapes blanks in paths and sources, but no other
white space."""
MOUNTS_BYTES = 16 * 1024 * 1024
"""Bytes that are read from one mountinfo; a namespace may have 100,000 mounts (fs.mount-max)."""
REREAD_S = 0.2
"""Between two readings of this program's own mounts."""
_AT_EMPTY_PATH, _AT_STATX_DONT_SYNC, _AT_FDCWD = 0x1000, 0x4000, -100
_STATX_BASIC_AND_MOUNT = 0x17FF
"""STATX_BASIC_STATS | STATX_MNT_ID (include/uapi/linux/stat.h; the mount's id since Linux 5.8)."""


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
    how = (flags | _AT_STATX_DONT_SYNC, _STATX_BASIC_AND_MOUNT, ctypes.byref(found))
    return found if libc.statx(directory, path, *how) == 0 else None


@dataclass(frozen=True, slots=True)
class CachedState:
    """What the kernel knows about a file without asking a server."""

    mode: int
    size: int
    device: int
    """The device that a device file stands for."""


def state_behind(link: str) -> CachedState | None:
    """Returns the state of the file behind a link of /proc; None if it can't be read. It asks no FUSE server."""
    found = _statx(_AT_FDCWD, os.fsencode(link), 0)
    if found is None:
        return None
    return CachedState(found.mode, found.size, os.makedev(found.rdev_major, found.rdev_minor))


class LocalMounts:
    """The mounts of one process that are local."""

    def __init__(self, pid: int) -> None:
        """Raises `NotLocal` if even opening the root of the process may block, `Gone` and `Denied`."""
        mounts = _MOUNT.findall(read_bytes(f"/proc/{pid}/mountinfo", MOUNTS_BYTES))
        here = _here.devices({device for _, device, point, _ in mounts if point == b"/"})
        self._ids = set()
        for number, device, _, kind in mounts:
            if kind in _SERVED_HERE and device in here:
                self._ids.add(int(number))
            elif kind.partition(b".")[0] not in _SERVED_HERE | _KERNEL_TREES | _ANSWERED_AT_OPENING:
                raise NotLocal(f"Process {pid} has a {kind.decode('ascii', 'replace')} file system, which may block.")

    def has(self, fd: int) -> bool:
        """Returns whether an open file (O_PATH will do) is on one of them."""
        found = _statx(fd, b"", _AT_EMPTY_PATH)
        return found is not None and bool(found.mask & 0x1000) and found.mnt_id in self._ids


class _DevicesHere:
    """The devices of this program's own mounts whose files the kernel serves. A machine can have thousands."""

    def __init__(self) -> None:
        self._devices: frozenset[bytes] = frozenset()
        self._read_at = -math.inf

    def devices(self, wanted: set[bytes]) -> frozenset[bytes]:
        """Returns the devices, read again if one of `wanted` is missing, at most every REREAD_S."""
        if not wanted <= self._devices and time.monotonic() - self._read_at > REREAD_S:
            text = read_bytes("/proc/self/mountinfo", MOUNTS_BYTES)
            self._devices = frozenset(device for _, device, _, kind in _MOUNT.findall(text) if kind in _SERVED_HERE)
            self._read_at = time.monotonic()
        return self._devices


_here = _DevicesHere()
