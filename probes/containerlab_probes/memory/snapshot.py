"""All IPC objects of one container, System V and POSIX, with the processes that use each."""

import contextlib
import math
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from containerlab_probes.errors import BadRequest, ContainerlabError, Gone
from containerlab_probes.kernel.files import names_in
from containerlab_probes.kernel.namespaces import namespace_inode, visit_ipc
from containerlab_probes.kernel.user_ids import IdKind, id_map
from containerlab_probes.memory import posix, sysv
from containerlab_probes.memory.mappings import open_mapped, read_maps
from containerlab_probes.memory.windows import read_window
from containerlab_probes.memory_records import IpcKind, IpcObject, IpcSnapshot, Overview, Window
from containerlab_probes.processes.identity import identify
from containerlab_probes.records import ProcessId

SYSTEM_V = (IpcKind.SHM, IpcKind.SEM, IpcKind.MSG)
READABLE = (IpcKind.SHM, IpcKind.POSIX_SHM, IpcKind.POSIX_SEM)

INITIAL_NAMESPACE = 0xEFFFFFFF
"""The inode of the machine's first IPC namespace (include/linux/proc_ns.h, PROC_IPC_INIT_INO)."""
USES_LIMIT = 200_000
"""Uses of objects by processes in one answer."""
OPEN_FILES_LIMIT = 65_536
"""Open files of one process that are compared with the objects; it can have a million."""

File = tuple[int, int]
"""Device and inode of stat(2)."""


@dataclass(slots=True)
class Uses:
    """The processes that use each object."""

    segments: dict[int, dict[ProcessId, str]] = field(default_factory=dict)
    """shmid -> process -> the range of one of its mappings."""
    mapped: dict[File, set[int]] = field(default_factory=dict)
    opened: dict[File, set[int]] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    count: int = 0

    def add_segment(self, number: int, process: ProcessId, range_: str) -> None:
        """Adds a process that has a segment attached."""
        users = self.segments.setdefault(number, {})
        if process not in users and self._has_room():
            users[process] = range_

    def add_file(self, table: dict[File, set[int]], file: File, pid: int) -> None:
        """Adds a process that has an object mapped or open."""
        users = table.setdefault(file, set())
        if pid not in users and self._has_room():
            users.add(pid)

    def _has_room(self) -> bool:
        self.count += 1
        return self.count <= USES_LIMIT


def kernel_memory_device() -> int:
    """Returns the device of segments, memfds and anonymous shared mappings: the kernel's own tmpfs.

    The kernel has one such mount (mm/shmem.c, shm_mnt).
    """
    fd = os.memfd_create("probe")
    try:
        return os.fstat(fd).st_dev
    finally:
        os.close(fd)


def uses_of(processes: Iterable[ProcessId], posix_objects: dict[File, str], until: float = math.inf) -> Uses:
    """Returns which of these processes have which segment attached, and which POSIX object mapped or open.

    `unread` says what is missing: processes that can't be read, or that come after `until` (of time.monotonic).
    Segments count only for processes in the caller's IPC namespace: other namespaces use the same ids. `posix_objects`
    maps each file to its name.
    """
    uses = Uses()
    here, device = namespace_inode(0, "ipc"), kernel_memory_device()
    inodes = {inode for _, inode in posix_objects}
    links = {prefix + name for name in posix_objects.values() for prefix in (posix.SHM + "/", posix.MQUEUE + "/", "/")}
    for process in processes:
        if time.monotonic() > until:
            uses.unread.append("Users are incomplete: reading the mappings of all processes took too long.")
            break
        try:
            same = namespace_inode(process.pid, "ipc") == here
            for line in read_maps(process.pid):
                if same and line.path.startswith("/SYSV") and line.device_number == device:
                    uses.add_segment(line.inode, process, line.range)
                elif line.inode in inodes and (file := (line.device_number, line.inode)) in posix_objects:
                    uses.add_file(uses.mapped, file, process.pid)
            for file in _open_files(process.pid, links, uses.unread) if links else ():
                if file in posix_objects:
                    uses.add_file(uses.opened, file, process.pid)
        except Gone:
            continue
        except ContainerlabError as error:
            uses.unread.append(str(error))
    if uses.count > USES_LIMIT:
        uses.unread.append(f"Users are incomplete: the first {USES_LIMIT:,} of {uses.count:,} uses are listed.")
    return uses


def _open_files(pid: int, links: set[str], unread: list[str]) -> set[File]:
    """Returns the open files of a process whose links in /proc/PID/fd are among `links`."""
    found = set()
    try:
        names = names_in(f"/proc/{pid}/fd", OPEN_FILES_LIMIT + 1)
        if len(names) > OPEN_FILES_LIMIT:
            unread.append(f"Open files of process {pid}: the first {OPEN_FILES_LIMIT:,} are searched.")
        for fd in names[:OPEN_FILES_LIMIT]:
            entry = f"/proc/{pid}/fd/{fd}"
            try:
                if os.readlink(entry) in links:
                    state = os.stat(entry)
                    found.add((state.st_dev, state.st_ino))
            except FileNotFoundError:
                continue
    except (ContainerlabError, OSError):
        return found
    return found


def snapshot(init: ProcessId, processes: Iterable[ProcessId], until: float = math.inf) -> IpcSnapshot:
    """Returns all objects in the caller's IPC namespace and in the POSIX directories of `init`'s container.

    The search for their users ends at `until` (of time.monotonic), and `unread` says so.
    Raises `Gone` if `init` has exited.
    """
    found, unread = sysv.objects()
    posix_found, limits, posix_unread = posix.objects(init)
    names = {item.file: _file_name(item.object) for item in posix_found}
    uses = uses_of(processes, names, until)
    of_host, host_devices = is_host_namespace(), _host_devices()
    objects = [replace(_with_segment_users(item, uses), of_host=of_host) for item in found]
    objects += [replace(_with_file_users(item, uses), of_host=item.file[0] in host_devices) for item in posix_found]
    users, groups = id_map(init.pid, IdKind.USER), id_map(init.pid, IdKind.GROUP)
    if identify(init.pid) != init:
        raise Gone("PID 1 of the container has exited.")
    return IpcSnapshot(
        namespace_inode(0, "ipc"),
        tuple(replace(one, owner=users.inside(one.owner), group=groups.inside(one.group)) for one in objects),
        sysv.limits() | limits,
        (*unread, *posix_unread, *uses.unread),
        tuple(uses.unread),
    )


def is_host_namespace() -> bool:
    """Returns whether the caller's IPC namespace is the machine's first one, or the one of the program that asks.

    The second counts where that program runs in a container itself: an agent is its child.
    """
    here = namespace_inode(0, "ipc")
    try:
        return here in (INITIAL_NAMESPACE, namespace_inode(os.getppid(), "ipc"))
    except ContainerlabError:
        return here == INITIAL_NAMESPACE


def _host_devices() -> set[int]:
    """Returns the devices of the host's directories of POSIX objects: the caller is in its mount namespace."""
    devices = set[int]()
    for directory in (posix.SHM, posix.MQUEUE):
        with contextlib.suppress(OSError):
            devices.add(os.stat(directory).st_dev)
    return devices


def _file_name(item: IpcObject) -> str:
    return posix.file_name(item.kind, item.id)


def _with_segment_users(item: IpcObject, uses: Uses) -> IpcObject:
    if item.kind is not IpcKind.SHM:
        return item
    users = uses.segments.get(int(item.id), {})
    return replace(item, users=tuple(sorted(process.pid for process in users)))


def _with_file_users(item: posix.PosixObject, uses: Uses) -> IpcObject:
    mapped, opened = uses.mapped.get(item.file, set()), uses.opened.get(item.file, set())
    attached = None if item.object.kind is IpcKind.POSIX_MQ else len(mapped)
    return replace(item.object, attached=attached, users=tuple(sorted(mapped | opened)))


def read(
    init: ProcessId, processes: Iterable[ProcessId], kind: IpcKind, object_id: str, *, offset: int, length: int
) -> Window:
    """Reads a window of a segment or of a POSIX object's file.

    A segment is read through a process of the container that has it attached, which changes neither its times nor its
    last user. A segment without such a process is attached during the reading. Raises `Gone`, `Denied`, `BadRequest`,
    `Unsupported`.
    """
    if kind not in READABLE:
        raise BadRequest(f"An object of kind {kind} has no bytes to read; use one of {', '.join(READABLE)}.")
    if kind is not IpcKind.SHM:
        return posix.read(init, kind, object_id, offset, length)
    number = _number(object_id)
    for process, range_ in uses_of(processes, {}).segments.get(number, {}).items():
        try:
            fd = open_segment(process, range_, number)
        except ContainerlabError:
            continue
        try:
            return read_window(fd, offset, length, f"segment {number}")
        finally:
            os.close(fd)
    return sysv.read_by_attaching(number, offset, length)


def open_segment(process: ProcessId, range_: str, number: int) -> int:
    """Returns a descriptor of the segment that a process has attached at that range; the caller closes it.

    The process may have mapped something else there since its mappings were read, so what was opened is compared with
    the segment. Raises `Gone` where it is not that segment, and as `open_mapped`.
    """
    fd = open_mapped(process, range_)
    state = os.fstat(fd)
    if (state.st_dev, state.st_ino) == (kernel_memory_device(), number):
        return fd
    os.close(fd)
    raise Gone(f"Process {process.pid} has detached segment {number}.")


def remove(init: ProcessId, kind: IpcKind, object_id: str) -> None:
    """Removes an object. Raises `Gone`, `Denied`, `BadRequest`."""
    if kind in SYSTEM_V:
        sysv.remove(kind, _number(object_id))
    else:
        posix.remove(init, kind, object_id)


def _number(object_id: str) -> int:
    if object_id.isascii() and object_id.isdecimal() and int(object_id) < 1 << 31:
        return int(object_id)
    raise BadRequest(f"{object_id!r} is not the id of a System V object; use a number from 0 to 2**31 - 1.")


def overview(pid: int) -> Overview:
    """Returns the totals of a process's IPC namespace and POSIX directories. Raises `Gone` and `Denied`.

    The calling thread visits the namespace.
    """
    with visit_ipc(pid) as namespace:
        count, size = sysv.totals()
    posix_count, posix_size = posix.totals(pid)
    return Overview(namespace, count + posix_count, size + posix_size)
