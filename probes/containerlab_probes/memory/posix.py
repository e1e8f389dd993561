"""Reads and removes a container's POSIX shared memory, semaphores and message queues in /dev/shm and /dev/mqueue.

Both directories are opened below the root of one of its processes, never by a path of the host. Symbolic links in them
are not followed; devices and FIFOs are not opened (man 7 shm_overview, sem_overview, mq_overview).
"""

import ctypes
import itertools
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from containerlab_probes.errors import BadRequest, ContainerlabError, Gone, Unsupported
from containerlab_probes.kernel.files import answer_bytes, count_names, names_in, read_text
from containerlab_probes.kernel.libc import libc
from containerlab_probes.kernel.os_errors import failure
from containerlab_probes.kernel.rootfs import open_in_root, open_root
from containerlab_probes.memory.windows import read_window
from containerlab_probes.memory_records import IpcKind, IpcObject, Semaphore, Window
from containerlab_probes.processes.identity import identify
from containerlab_probes.records import ProcessId

SHM = "/dev/shm"  # noqa: S108  # nosec B108 # a path of the container, opened below its root only
MQUEUE = "/dev/mqueue"
OBJECTS_LIMIT = 32_000
"""Files of one directory that are read."""
NAMES_BYTES = 3 * 1024 * 1024
"""Bytes of all names in one directory in an answer, which has each twice; one has up to 255 characters."""
NAMES_COUNTED = 1_000_000
"""Files of one directory that are counted."""

_DIRECTORIES = {IpcKind.POSIX_SHM: SHM, IpcKind.POSIX_SEM: SHM, IpcKind.POSIX_MQ: MQUEUE}
_SEM_PREFIX = "sem."
_SEM_BYTES = 32
"""sizeof(sem_t) of a 64-bit program (glibc, nptl/semaphoreP.h)."""
_TMPFS_MAGIC, _MQUEUE_MAGIC = 0x01021994, 0x19800202
_QSIZE = re.compile(r"QSIZE:(\d+)")


@dataclass(slots=True)
class PosixObject:
    """A POSIX object, and the device and inode by which its users are found."""

    object: IpcObject
    file: tuple[int, int]


@contextmanager
def _root(id: ProcessId) -> Iterator[int]:
    """Opens the root of exactly this process."""
    root = open_root(id.pid)
    try:
        if identify(id.pid) != id:
            raise Gone(f"Process {id.pid} has exited.")
        yield root
    finally:
        os.close(root)


@contextmanager
def _directory(root: int, path: str) -> Iterator[int]:
    fd = open_in_root(root, path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def _file_system(fd: int) -> int:
    """Returns the magic number of the file system (man 2 fstatfs: f_type comes first)."""
    buffer = (ctypes.c_long * 64)()
    return int(buffer[0]) if libc.fstatfs(fd, buffer) == 0 else 0


def objects(id: ProcessId) -> tuple[list[PosixObject], dict[str, int], list[str]]:
    """Returns a container's POSIX objects, their limits, and sentences about what could not be read.

    The caller fills in `attached` and `users`. Raises `Gone` and `Denied`.
    """
    found: list[PosixObject] = []
    limits = _queue_limits()
    unread: list[str] = []
    with _root(id) as root:
        try:
            with _directory(root, SHM) as fd:
                if _file_system(fd) == _TMPFS_MAGIC:
                    room = os.fstatvfs(fd)
                    limits["dev_shm_bytes"] = room.f_blocks * room.f_frsize
                    limits["dev_shm_free"] = room.f_bavail * room.f_frsize
                found += _listed(fd, SHM, _shared_memory, unread)
        except ContainerlabError as error:
            unread.append(f"POSIX shared memory and semaphores can't be listed. {error}")
        try:
            with _directory(root, MQUEUE) as fd:
                if _file_system(fd) != _MQUEUE_MAGIC:
                    raise Unsupported("The container has no mqueue mounted on /dev/mqueue.")
                found += _listed(fd, MQUEUE, _queue, unread)
        except ContainerlabError as error:
            unread.append(f"POSIX message queues can't be listed. {error}")
    return found, limits, unread


def totals(pid: int) -> tuple[int, int]:
    """Returns the number of POSIX objects of a process's container, and their bytes.

    Unreadable objects don't count. Raises `Gone` and `Denied`.
    """
    count = size = 0
    root = open_root(pid)
    try:
        for path in (SHM, MQUEUE):
            try:
                with _directory(root, path) as fd:
                    if path == SHM or _file_system(fd) == _MQUEUE_MAGIC:
                        sizes = list(_sizes(fd, path == MQUEUE))
                        count, size = count + len(sizes), size + sum(sizes)
            except ContainerlabError:
                continue
    finally:
        os.close(root)
    return count, size


def _sizes(fd: int, queues: bool) -> Iterator[int]:
    for name in names_in(fd, OBJECTS_LIMIT):
        try:
            state = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except OSError:
            continue
        if stat.S_ISREG(state.st_mode):
            yield (parse_queue(_bytes(fd, name)) or 0) if queues else state.st_size


def _listed(
    fd: int, path: str, make: Callable[[int, str, os.stat_result], IpcObject], unread: list[str]
) -> list[PosixObject]:
    names = names_in(fd, OBJECTS_LIMIT + 1)
    listed = _within_bytes(names[:OBJECTS_LIMIT])
    if len(listed) < len(names):
        total = count_names(fd, NAMES_COUNTED)
        more = "at least " if total == NAMES_COUNTED else ""
        unread.append(f"{path}: the first {len(listed):,} of {more}{total:,} files are listed.")
    found = []
    for name in sorted(listed):
        try:
            state = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except OSError:
            continue
        if stat.S_ISREG(state.st_mode):
            found.append(PosixObject(make(fd, name, state), (state.st_dev, state.st_ino)))
    return found


def _within_bytes(names: list[str]) -> list[str]:
    """Returns the first names that fit into NAMES_BYTES."""
    sums = itertools.accumulate(map(answer_bytes, names))
    return [name for name, size in zip(names, sums, strict=True) if size <= NAMES_BYTES]


def _shared_memory(fd: int, name: str, state: os.stat_result) -> IpcObject:
    if name.startswith(_SEM_PREFIX) and len(name) > len(_SEM_PREFIX):
        semaphore = parse_semaphore(_bytes(fd, name)) if state.st_size == _SEM_BYTES else None
        short = name.removeprefix(_SEM_PREFIX)
        return _object(IpcKind.POSIX_SEM, short, state, state.st_size, (semaphore,) if semaphore else ())
    return _object(IpcKind.POSIX_SHM, name, state, state.st_size)


def _queue(fd: int, name: str, state: os.stat_result) -> IpcObject:
    return _object(IpcKind.POSIX_MQ, name, state, parse_queue(_bytes(fd, name)))


def _object(
    kind: IpcKind, name: str, state: os.stat_result, size: int | None, semaphores: tuple[Semaphore, ...] = ()
) -> IpcObject:
    return IpcObject(
        kind=kind,
        id=name,
        key=None,
        name="/" + name,
        bytes=size,
        owner=state.st_uid,
        group=state.st_gid,
        mode=state.st_mode & 0o777,
        changed_at=state.st_mtime,
        inode=state.st_ino,
        semaphores=semaphores,
    )


def parse_semaphore(data: bytes) -> Semaphore | None:
    """Parses the sem_t of a 64-bit program. None: too short.

    The value and the number of waiters are the low and the high half of its first eight bytes (glibc,
    sysdeps/nptl/internaltypes.h, struct new_sem).
    """
    if len(data) < 8:
        return None
    word = int.from_bytes(data[:8], "little")
    return Semaphore(word & 0x7FFFFFFF, word >> 32, 0, 0)


def parse_queue(data: bytes) -> int | None:
    """Parses the queued bytes in a queue's file, `QSIZE:129 NOTIFY:2 …` (man 7 mq_overview). None: another form."""
    match = _QSIZE.match(data.decode("ascii", "replace"))
    return int(match[1]) if match else None


def _bytes(directory: int, name: str) -> bytes:
    try:
        fd = _open(directory, name)
        try:
            return os.pread(fd, 256, 0)
        finally:
            os.close(fd)
    except (OSError, ContainerlabError):
        return b""


def _open(directory: int, name: str) -> int:
    """Opens a regular file of a directory for reading; checks its kind first."""
    place = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        if not stat.S_ISREG(os.fstat(place).st_mode):
            raise Gone(f"{name!r} is not a POSIX object: it is not a regular file.")
        return os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    finally:
        os.close(place)


def _queue_limits() -> dict[str, int]:
    """Reads /proc/sys/fs/mqueue, which shows the reader's IPC namespace (man 7 mq_overview)."""
    limits = {}
    for name, file_name in (
        ("mq_queues_max", "queues_max"),
        ("mq_msg_max", "msg_max"),
        ("mq_msgsize_max", "msgsize_max"),
    ):
        try:
            limits[name] = int(read_text(f"/proc/sys/fs/mqueue/{file_name}"))
        except (ContainerlabError, ValueError):
            continue
    return limits


def file_name(kind: IpcKind, name: str) -> str:
    """Returns the name of an object's file. Raises `BadRequest` for a name that can't be one file."""
    if kind not in _DIRECTORIES:
        raise BadRequest(f"{kind} is not a kind of POSIX object.")
    full = (_SEM_PREFIX if kind is IpcKind.POSIX_SEM else "") + name
    if not name or "/" in full or "\0" in full or full in (".", ".."):
        raise BadRequest(f"{name!r} is not the name of a POSIX object.")
    return full


def read(id: ProcessId, kind: IpcKind, name: str, offset: int, length: int) -> Window:
    """Reads a window of a shared memory object. Raises `Gone`, `Denied`, `BadRequest`, `Unsupported`."""
    file = file_name(kind, name)
    with _root(id) as root, _directory(root, _DIRECTORIES[kind]) as directory:
        try:
            fd = _open(directory, file)
        except OSError as error:
            raise failure(error, f"read {kind} {name!r}") from error
        try:
            return read_window(fd, offset, length, f"{kind} {name!r}")
        finally:
            os.close(fd)


def remove(id: ProcessId, kind: IpcKind, name: str) -> None:
    """Removes an object's name; processes that have it open or mapped keep it (man 3 shm_unlink). Raises as `read`."""
    file = file_name(kind, name)
    what = f"remove {kind} {name!r}"
    with _root(id) as root, _directory(root, _DIRECTORIES[kind]) as directory:
        try:
            if not stat.S_ISREG(os.stat(file, dir_fd=directory, follow_symlinks=False).st_mode):
                raise Gone(f"Could not {what}: there is only a file of another kind.")
            os.unlink(file, dir_fd=directory)
        except OSError as error:
            raise failure(error, what) from error
