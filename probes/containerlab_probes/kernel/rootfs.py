"""Opens files of a container by the path that the container itself uses.

openat2(2) resolves a path with RESOLVE_IN_ROOT below the root directory of one of the container's processes: `..` and
absolute symbolic links stay inside it, and magic links (those of /proc) are never followed.
"""

import ctypes
import errno
import os
import stat

from containerlab_probes.errors import BadRequest, ContainerlabError
from containerlab_probes.kernel.libc import libc
from containerlab_probes.kernel.local import LocalMounts, NotLocal
from containerlab_probes.kernel.os_errors import failure
from containerlab_probes.memory_records import WINDOW_LIMIT

_OPENAT2 = 437
"""The syscall's number, the same on every architecture (include/uapi/asm-generic/unistd.h)."""
_RESOLVE_NO_XDEV = 0x01
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_BENEATH = 0x08
_RESOLVE_IN_ROOT = 0x10
_RESOLVE_CACHED = 0x20
"""Fails with EAGAIN where the lookup would ask the file system (since Linux 5.12)."""
_ALWAYS = os.O_CLOEXEC | os.O_NOCTTY
_O_PATH_KEEPS = os.O_PATH | os.O_CLOEXEC | os.O_DIRECTORY | os.O_NOFOLLOW
"""The flags that openat2 accepts together with O_PATH."""
_NOTHING_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV, errno.ENAMETOOLONG})
_TRIES = 16
"""A rename at the wrong moment makes openat2 return EAGAIN: try again."""


class _OpenHow(ctypes.Structure):
    """struct open_how (man 2 openat2)."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_root(pid: int) -> int:
    """Opens the root directory of a process (O_PATH), for `open_in_root`. The caller closes the descriptor.

    `pid` is the host's number; a caller that needs one exact process compares the start time after this call. Raises
    `Gone` if there is no such process, and `Denied` if it may not be inspected (man 2 ptrace).
    """
    try:
        return os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise failure(
            error,
            f"open the files of process {pid}",
            missing="it has exited",
            denied="it needs root (CAP_SYS_PTRACE); run this with sudo",
        ) from error


def open_in_root(root_fd: int, path: str, flags: int = os.O_PATH) -> int:
    """Opens `path` below a directory that `open_root` returned; the caller closes the descriptor.

    `path` is as the container sees it, absolute or not. Without O_PATH, opening a device or FIFO can have side effects:
    use `open_file` for a file of unknown kind. Raises `Gone` (no such
    file), `Denied`, `BadRequest` (a magic link, a loop, not a directory, a name too long) or `Unsupported`.
    """
    fd, error = _openat2(root_fd, path, flags, _RESOLVE_IN_ROOT, _TRIES)
    if fd < 0:
        raise _unreadable(error, path)
    return fd


def place_beneath(directory: int, path: str) -> int:
    """Opens a relative `path` below a directory with O_PATH; the caller closes the descriptor.

    For a path that the kernel gave: it has neither symbolic links nor `..`, and stays on one mount. Returns -1 where a
    part is missing, is not a directory, a symbolic link or a mount point. A link at the end is opened itself. Raises
    `Denied`, `BadRequest` and `Unsupported`.
    """
    resolve = _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS | _RESOLVE_NO_XDEV
    fd, error = _openat2(directory, path, os.O_PATH | os.O_NOFOLLOW, resolve, _TRIES)
    if fd < 0 and error not in _NOTHING_THERE:
        raise _unreadable(error, path)
    return fd


def _openat2(root_fd: int, path: str, flags: int, resolve: int, tries: int) -> tuple[int, int]:
    """Returns a descriptor, or -1 and the errno. Raises `BadRequest` for what can't be a path."""
    flags |= _ALWAYS
    if flags & os.O_PATH:
        flags &= _O_PATH_KEEPS
    how = _OpenHow(flags, 0, _RESOLVE_NO_MAGICLINKS | resolve)
    name = os.fsencode(path)
    if b"\0" in name or not name:
        raise BadRequest(f"{path!r} is not the path of a file.")
    for _ in range(tries):
        fd = int(libc.syscall(_OPENAT2, root_fd, name, ctypes.byref(how), ctypes.sizeof(how)))
        if fd >= 0:
            return fd, 0
        if ctypes.get_errno() not in (errno.EAGAIN, errno.EINTR):
            break
    return -1, ctypes.get_errno()


def place_in_root(root_fd: int, path: str, local: LocalMounts | None = None) -> int:
    """Opens `path` as `open_in_root` does with O_PATH. With `local`, asks no file system that may not answer.

    Raises `NotLocal` where it would have to.
    """
    if local is None:
        return open_in_root(root_fd, path)
    fd, error = _openat2(root_fd, path, os.O_PATH, _RESOLVE_IN_ROOT | _RESOLVE_CACHED, 1)
    if error in (errno.EAGAIN, errno.EINVAL):
        if not local.has(root_fd):
            raise NotLocal(f"Could not read {path!r} in the container: its file system may not answer.")
        fd, error = _openat2(root_fd, path, os.O_PATH, _RESOLVE_IN_ROOT | _RESOLVE_NO_XDEV, _TRIES)
    if error == errno.EXDEV:
        raise NotLocal(f"Could not read {path!r} in the container: it is on another file system.")
    if error:
        raise _unreadable(error, path)
    if local.has(fd):
        return fd
    os.close(fd)
    raise NotLocal(f"Could not read {path!r} in the container: its file system may not answer.")


def open_file(root_fd: int, path: str, local: LocalMounts | None = None) -> int:
    """Opens a regular file below `root_fd` for reading; the caller closes the descriptor.

    The kind is checked before the file is opened, so a FIFO can't block the call and no driver is activated. Raises as
    `open_in_root`, and `BadRequest` for other kinds of files.
    """
    place = place_in_root(root_fd, path, local)
    try:
        if not stat.S_ISREG(os.fstat(place).st_mode):
            raise BadRequest(f"{path!r} in the container is not a regular file.")
        try:
            return os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_NONBLOCK | _ALWAYS)
        except OSError as error:
            raise _unreadable(error, path) from error
    finally:
        os.close(place)


def read_file(
    root_fd: int, path: str, limit: int = WINDOW_LIMIT, offset: int = 0, local: LocalMounts | None = None
) -> bytes:
    """Returns at most `limit` bytes of a regular file below `root_fd`. Raises as `open_file`."""
    fd = open_file(root_fd, path, local)
    try:
        return os.pread(fd, limit, offset)
    except OSError as error:
        raise _unreadable(error, path) from error
    finally:
        os.close(fd)


def _unreadable(error: OSError | int, path: str) -> ContainerlabError:
    return failure(
        error,
        f"read {path!r} in the container",
        missing="no such file",
        denied="not permitted; run this with sudo",
        unsupported="this kernel has no openat2 (it came with Linux 5.6)",
    )
