"""Reads and removes System V shared memory, semaphores and message queues of the caller's IPC namespace.

The tables of /proc/sysvipc (man 7 sysvipc, ipc/shm.c, ipc/sem.c, ipc/msg.c) show the reader's IPC namespace, with PIDs
of the reader's PID namespace. A process that enters only the IPC namespace therefore gets host PIDs.

sysv_ipc attaches and removes. It provides neither these tables nor the members of a set by its id (it opens sets of one
member, by key), so this module reads those.
"""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from containerlab_probes.errors import BadRequest, ContainerlabError, Gone, Unsupported
from containerlab_probes.kernel.files import lines_of, read_text
from containerlab_probes.kernel.libc import last_failure, libc
from containerlab_probes.kernel.os_errors import NO_SUCH_OBJECT, failure
from containerlab_probes.memory.windows import check_window, read_window
from containerlab_probes.memory_records import IpcKind, IpcObject, Semaphore, Window

OBJECTS_LIMIT = 32_000
"""Objects of one kind that are listed; a namespace may have 32,768 of each (ipc/util.h, IPCMNI), or 2**24."""
TABLE_BYTES = 1 << 30
"""Bytes that are read of one table of /proc/sysvipc; each row has about 130."""
MEMBERS_IN_ALL = 65_536
"""Members that are read from all sets together."""
MEMBERS_LIMIT = 1024
"""Maximum number of members to read from one semaphore set, each with four calls; a set may have 32,000."""

MAPS_BYTES = 64 * 1024 * 1024
"""Bytes of /proc/self/maps that are searched for a segment."""
_PLURALS = {"shm": "Segments", "sem": "Semaphore sets", "msg": "Message queues"}
"""Table of /proc/sysvipc -> what it lists."""
_SHM_DEST = 0o1000
_GETPID, _GETVAL, _GETNCNT, _GETZCNT = 11, 12, 14, 15
_NO_SUCH_ID = NO_SUCH_OBJECT | {errno.EINVAL}


@contextmanager
def sysv_ipc_errors(what: str) -> Iterator[None]:
    """Translates sysv_ipc's errors to `Gone`, `Denied` or `Unsupported` (also if it is not installed).

    `what` completes "Could not …".
    """
    try:
        import sysv_ipc
    except ImportError as error:
        reason = "it needs the Python package sysv_ipc; install it (`pip install sysv-ipc`)"
        raise Unsupported(f"Could not {what}: {reason}.") from error
    try:
        yield
    except (sysv_ipc.ExistentialError, ValueError) as error:
        raise failure(errno.EINVAL, what, gone=_NO_SUCH_ID) from error
    except sysv_ipc.PermissionsError as error:
        raise failure(errno.EPERM, what) from error
    except MemoryError as error:
        raise failure(errno.ENOMEM, what) from error
    except OSError as error:
        raise failure(error, what) from error


def parse_table(text: str) -> list[dict[str, int]]:
    """Parses a table of /proc/sysvipc: rows by the names in its first line, with `perms` as octal.

    Raises `Unsupported` if the text is not such a table.
    """
    lines = text.splitlines()
    names = lines[0].split() if lines else []
    rows = []
    try:
        for line in lines[1:]:
            cells = zip(names, line.split(), strict=True)
            rows.append({name: int(cell, 8 if name == "perms" else 10) for name, cell in cells})
    except ValueError as error:
        raise Unsupported("Could not read /proc/sysvipc: this kernel's tables have an unknown form.") from error
    return rows


def _common(row: dict[str, int], kind: IpcKind, id_name: str) -> dict[str, object]:
    return {
        "kind": kind,
        "id": str(row[id_name]),
        "key": row["key"] & 0xFFFFFFFF,
        "name": "",
        "owner": row["uid"],
        "group": row["gid"],
        "mode": row["perms"] & 0o777,
        "changed_at": float(row["ctime"]),
    }


def segments(text: str) -> list[IpcObject]:
    """Parses the segments of /proc/sysvipc/shm. Raises `Unsupported` if the text is not such a table."""
    return [
        _object(
            _common(row, IpcKind.SHM, "shmid"),
            bytes=row["size"],
            creator_pid=row["cpid"],
            last_pid=row["lpid"],
            attached=row["nattch"],
            removed=bool(row["perms"] & _SHM_DEST),
        )
        for row in _rows(text, "shmid", "size", "cpid", "lpid", "nattch")
    ]


def semaphore_sets(text: str) -> list[tuple[IpcObject, int]]:
    """Parses the sets of /proc/sysvipc/sem, each with its number of members. Raises as `segments`."""
    return [
        (_object(_common(row, IpcKind.SEM, "semid"), bytes=None), row["nsems"]) for row in _rows(text, "semid", "nsems")
    ]


def queues(text: str) -> list[IpcObject]:
    """Parses the queues of /proc/sysvipc/msg. Raises as `segments`.

    The last user is the last sender or the last receiver, whichever is later.
    """
    return [
        _object(
            _common(row, IpcKind.MSG, "msqid"),
            bytes=row["cbytes"],
            last_pid=row["lrpid"] if row["rtime"] > row["stime"] else row["lspid"],
            messages=row["qnum"],
        )
        for row in _rows(text, "msqid", "cbytes", "qnum", "lspid", "lrpid", "stime", "rtime")
    ]


def _object(common: dict[str, object], **more: object) -> IpcObject:
    return IpcObject(**common, **more)  # type: ignore[arg-type]


def _rows(text: str, *needed: str) -> list[dict[str, int]]:
    rows = parse_table(text)
    for name in ("key", "perms", "uid", "gid", "ctime", *needed):
        if any(name not in row for row in rows):
            raise Unsupported(f"Could not read /proc/sysvipc: this kernel's table has no column {name}.")
    return rows


def members(set_id: int, count: int, limit: int = MEMBERS_LIMIT) -> tuple[Semaphore, ...]:
    """Returns the members of a set, at most `limit` and at most MEMBERS_LIMIT of them.

    These are calls of semctl(2) at different instants. Not GETALL, which writes as many values as the set has: a
    container could have replaced the set by a larger one, of the same id, since it was listed. Raises `Gone` and
    `Denied`.
    """
    what = f"read semaphore set {set_id}"

    def ask(member: int, command: int) -> int:
        answer = int(libc.semctl(set_id, member, command, 0))
        if answer < 0:
            raise last_failure(what, _NO_SUCH_ID)
        return answer

    return tuple(
        Semaphore(ask(n, _GETVAL), ask(n, _GETNCNT), ask(n, _GETZCNT), ask(n, _GETPID))
        for n in range(min(count, limit, MEMBERS_LIMIT))
    )


def first_rows(lines: Iterable[str], limit: int) -> tuple[str, int]:
    """Returns a table with its first `limit` rows, and how many rows it has."""
    kept: list[str] = []
    total = -1
    for line in lines:
        total += 1
        if total <= limit:
            kept.append(line)
    return "\n".join(kept), max(total, 0)


def _table(name: str, unread: list[str]) -> str:
    """Returns the first rows of a table; `unread` gets a sentence about the rest."""
    text, total = first_rows(lines_of(f"/proc/sysvipc/{name}", TABLE_BYTES), OBJECTS_LIMIT)
    if total > OBJECTS_LIMIT:
        unread.append(f"{_PLURALS[name]}: the first {OBJECTS_LIMIT:,} of {total:,} are listed.")
    return text


def objects() -> tuple[list[IpcObject], list[str]]:
    """Returns the System V objects of this namespace, and sentences about what is missing."""
    unread: list[str] = []
    found = segments(_table("shm", unread))
    left = MEMBERS_IN_ALL
    short: list[tuple[str, int, int]] = []
    for semaphore_set, count in semaphore_sets(_table("sem", unread)):
        try:
            semaphores = members(int(semaphore_set.id), count, left) if left else ()
        except Gone:
            continue
        left -= len(semaphores)
        if count > len(semaphores):
            short.append((semaphore_set.id, count, len(semaphores)))
        found.append(replace(semaphore_set, semaphores=semaphores))
    unread += [
        f"Semaphore set {id}: the first {read:,} of {count:,} members are read." for id, count, read in short[:3]
    ]
    if len(short) > 3:
        unread.append(f"{len(short) - 3:,} more semaphore sets have members that are not read.")
    return found + queues(_table("msg", unread)), unread


def totals() -> tuple[int, int]:
    """Returns the number of objects in this namespace, and the bytes of its segments and queues."""
    tables = [first_rows(lines_of(f"/proc/sysvipc/{name}", TABLE_BYTES), OBJECTS_LIMIT) for name in _PLURALS]
    rows = {name: parse_table(text) for name, (text, _) in zip(_PLURALS, tables, strict=True)}
    size = sum(row["size"] for row in rows["shm"]) + sum(row["cbytes"] for row in rows["msg"])
    return sum(total for _, total in tables), size


def limits() -> dict[str, int]:
    """Returns this namespace's limits (man 5 proc, /proc/sys/kernel), without those that can't be read."""
    found = {}
    for name in ("shmmax", "shmall", "shmmni", "msgmax", "msgmnb", "msgmni"):
        found.update(_numbers(name, (name,)))
    return found | _numbers("sem", ("semmsl", "semmns", "semopm", "semmni"))


def _numbers(file_name: str, names: tuple[str, ...]) -> dict[str, int]:
    try:
        return dict(zip(names, map(int, read_text(f"/proc/sys/kernel/{file_name}").split()), strict=True))
    except (ContainerlabError, ValueError):
        return {}


def read_by_attaching(segment_id: int, offset: int, length: int) -> Window:
    """Attaches a segment read-only and reads a window (man 2 shmat); this changes its last user and its times.

    The bytes come from the entry in /proc/self/map_files, not from `SharedMemory.read`, which reads the memory and so
    allocates pages that were never written. Here they read as zeros and stay unallocated. Raises `Gone`, `Denied`,
    `BadRequest`.
    """
    check_window(offset, length)
    with sysv_ipc_errors(f"read segment {segment_id}"):
        import sysv_ipc

        memory = sysv_ipc.attach(segment_id, None, sysv_ipc.SHM_RDONLY)
        try:
            fd = os.open(f"/proc/self/map_files/{_range_at(memory.address)}", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            memory.detach()
    try:
        return read_window(fd, offset, length, f"segment {segment_id}")
    finally:
        os.close(fd)


def _range_at(address: int) -> str:
    start = f"{address:x}-"
    for line in lines_of("/proc/self/maps", MAPS_BYTES):
        first = line.split(" ", 1)[0]
        if first.lstrip("0").startswith(start):
            return "-".join(part.lstrip("0") for part in first.split("-"))
    raise Unsupported("Could not read the segment: it is attached but missing in /proc/self/maps.")


def remove(kind: IpcKind, object_id: int) -> None:
    """Removes an object (IPC_RMID). An attached segment is only marked, and exists until its last detach.

    Raises `Gone`, `Denied`, `BadRequest` (not a System V kind).
    """
    with sysv_ipc_errors(f"remove {kind} {object_id}"):
        import sysv_ipc

        match kind:
            case IpcKind.SHM:
                sysv_ipc.remove_shared_memory(object_id)
            case IpcKind.SEM:
                sysv_ipc.remove_semaphore(object_id)
            case IpcKind.MSG:
                sysv_ipc.remove_message_queue(object_id)
            case _:
                raise BadRequest(f"{kind} is not a kind of System V object.")
