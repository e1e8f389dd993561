"""Reads the mappings of processes and the files behind them.

/proc/PID/maps (man 5 proc_pid_maps) lists the mappings. /proc/PID/map_files links to the mapped files, deleted or not,
without resolving a path. Paths here are data: they are compared and shown, never opened.
"""

import math
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

from containerlab_probes.errors import BadRequest, ContainerlabError, Gone
from containerlab_probes.kernel.files import answer_bytes, lines_of
from containerlab_probes.kernel.host_mounts import HostMounts
from containerlab_probes.kernel.local import CachedState, state_behind
from containerlab_probes.kernel.mounts import read_mounts
from containerlab_probes.kernel.os_errors import failure
from containerlab_probes.kernel.overlay import NO_LAYERS, LayerNames
from containerlab_probes.kernel.rootfs import open_in_root, open_root
from containerlab_probes.memory.storage import MappedFile, MountTable, MountTables, StorageFinder
from containerlab_probes.memory.windows import check_window, read_window
from containerlab_probes.memory_records import Mapping, Mappings, Storage, Window
from containerlab_probes.processes.identity import identify
from containerlab_probes.records import ContainerRun, Process, ProcessId

MAPPINGS_LIMIT = 32_000
"""Shared and private mappings, each, in one answer; a process may have 65,530 (man 5 proc_sys_vm, max_map_count)."""
PATHS_BYTES = 16 * 1024 * 1024
"""Bytes that all different paths of shared and of private mappings, each, take in an answer; one has up to 4,096."""
STORAGES_BYTES = 8 * 1024 * 1024
"""Bytes that the texts of all different storages take in an answer; a mount point has up to 4,096 too."""
MAPS_BYTES = 512 * 1024 * 1024
"""Bytes that are read of one /proc/PID/maps: 65,530 lines with the longest paths. One line is held at a time."""

_DELETED = " (deleted)"
_RANGE = re.compile(r"[0-9a-f]{1,16}-[0-9a-f]{1,16}")


@dataclass(slots=True)
class MapsLine:
    """One line of /proc/PID/maps."""

    start: int
    end: int
    permissions: str
    offset: int
    device: str
    inode: int
    path: str
    """Without the mark ` (deleted)`, and with newlines unescaped."""
    deleted: bool
    is_ambiguous: bool = False
    """Whether the text is ambiguous: a deleted file or a name like that, a newline or a backslash and digits."""

    @property
    def range(self) -> str:
        """The name of its entry in /proc/PID/map_files."""
        return f"{self.start:x}-{self.end:x}"

    @property
    def device_number(self) -> int:
        """As st_dev of stat(2)."""
        major, minor = self.device.split(":")
        return os.makedev(int(major, 16), int(minor, 16))


def parse_maps(text: str) -> list[MapsLine]:
    """Parses the lines of /proc/PID/maps that map a file or shared memory; omits lines of another form.

    The kernel escapes only the newline (fs/proc/task_mmu.c, seq_path).
    """
    return list(_parsed(text.split("\n")))


def _parsed(lines: Iterable[str]) -> Iterator[MapsLine]:
    return (line for raw in lines if (line := _maps_line(raw)) is not None)


def _maps_line(raw: str) -> MapsLine | None:
    fields = raw.split(" ", 5)
    if len(fields) != 6:
        return None
    addresses, permissions, offset, device, inode, path = fields
    path = path.lstrip(" ")
    shared_file = permissions[3:] == "s" and bool(path)
    if not (path.startswith("/") or shared_file):
        return None
    start, _, end = addresses.partition("-")
    deleted = path.endswith(_DELETED)
    escaped = "\\012" in path
    try:
        return MapsLine(
            start=int(start, 16),
            end=int(end, 16),
            permissions=permissions,
            offset=int(offset, 16),
            device=device,
            inode=int(inode),
            path=(path[: -len(_DELETED)] if deleted else path).replace("\\012", "\n"),
            deleted=deleted,
            is_ambiguous=deleted or escaped,
        )
    except ValueError:
        return None


def read_maps(pid: int) -> Iterator[MapsLine]:
    """Yields the mappings of files and shared memory of a process as they are read. Raises `Gone` and `Denied`."""
    return _parsed(lines_of(f"/proc/{pid}/maps", MAPS_BYTES))


def container_mappings(
    run: ContainerRun,
    processes: Iterable[Process],
    until: float = math.inf,
    *,
    named: LayerNames = NO_LAYERS,
    host: HostMounts | None = None,
) -> Mappings:
    """Returns the mappings of files and shared memory of these processes, and where their bytes are stored.

    Omits processes that exit meanwhile; `unread` says what is missing: processes that can't be read, and mappings over
    a limit or after `until` (of time.monotonic). `named`: the layers as the engine names them; `host`: the
    host's mounts if they have been read. Raises `Gone` if PID 1 has exited, and `Denied`.
    """
    unread: list[str] = []
    with closing(StorageFinder(run.id, host or HostMounts(read_mounts()), named, until)) as finder:
        found = _Collected(until, finder)
        for process in processes:
            try:
                found.add(process)
            except Gone:
                continue
            except ContainerlabError as error:
                unread.append(str(error))
    if identify(run.init.pid) != run.init:
        raise Gone("The container's PID 1 has exited.")
    return Mappings(tuple(found.mappings), (*found.missing(), *unread))


@dataclass(slots=True)
class _Share:
    """How many shared or private mappings there are and are listed: many of one kind don't hide the other."""

    name: str
    total: int = 0
    listed: int = 0
    paths: dict[str, str] = field(default_factory=dict)
    paths_bytes: int = 0
    is_full: bool = False

    def take(self, path: str) -> str | None:
        """Counts a mapping that may be listed; returns its path, as one string for all, or None if it is too much."""
        kept = self.paths.setdefault(path, path)
        if kept is path:
            self.paths_bytes += answer_bytes(path)
        self.is_full = self.listed >= MAPPINGS_LIMIT or self.paths_bytes > PATHS_BYTES
        self.listed += not self.is_full
        return None if self.is_full else kept


class _Collected:
    """Mappings of several processes up to the limits, and the count of all."""

    def __init__(self, until: float, finder: StorageFinder) -> None:
        self.mappings: list[Mapping] = []
        self._until, self._finder, self._tables = until, finder, MountTables()
        self._stored: dict[tuple[MountTable, str, bool, str, int], tuple[int | None, Storage]] = {}
        self._storages: set[Storage] = set()
        self._storages_bytes = 0
        self._kinds = {True: _Share("Shared"), False: _Share("Private")}
        self._total = 0
        self._is_late = False

    def add(self, process: Process) -> None:
        """Adds the mappings of one process. Raises `Gone` and `Denied`."""
        if self._is_late:
            return
        table = self._tables.of(process.pid)
        for line in read_maps(process.pid):
            self._total += 1
            if self._total % 256 == 0 and time.monotonic() > self._until:
                self._is_late = True
                return
            kind = self._kinds[line.permissions.endswith("s")]
            kind.total += 1
            if not kind.is_full:
                self._add_line(process, line, kind, table)

    def _add_line(self, process: Process, line: MapsLine, kind: _Share, table: MountTable) -> None:
        path, deleted = _resolve_ambiguity(process.pid, line) if line.is_ambiguous else (line.path, line.deleted)
        kept = kind.take(path)
        if kept is None:
            return
        key = (table, kept, deleted, line.device, line.inode)
        if key not in self._stored:  # a file may be mapped thousands of times
            state = state_behind(f"/proc/{process.pid}/map_files/{line.range}")
            file = MappedFile(kept, deleted, line.device, state)
            self._stored[key] = (_file_bytes(state), self._within_bytes(kept, self._finder.of(file, table)))
        file_bytes, storage = self._stored[key]
        self.mappings.append(
            Mapping(
                id=process.id,
                container_pid=process.container_pid,
                start=line.start,
                end=line.end,
                permissions=line.permissions,
                offset=line.offset,
                device=line.device,
                inode=line.inode,
                path=kept,
                deleted=deleted,
                file_bytes=file_bytes,
                storage=storage,
            )
        )

    def _within_bytes(self, path: str, storage: Storage) -> Storage:
        """Returns the storage of a file, or none if all different ones have too many bytes: a mount point is text too.

        Storages that differ in the end of the file's path alone are sent once.
        """
        once, _ = storage.without_end(path)
        if once not in self._storages:
            size = answer_bytes(f"{once.host_path}{once.filesystem}{once.point}{once.reason}")
            if self._storages_bytes + size > STORAGES_BYTES:
                return Storage(reason="The container has too many and too long mount points.")
            self._storages.add(once)
            self._storages_bytes += size
        return storage

    def missing(self) -> tuple[str, ...]:
        """Returns sentences about the mappings that are left out; empty if all are listed."""
        if self._is_late:
            listed = len(self.mappings)
            return (f"Mappings: {listed:,} of more than {self._total:,} are listed; reading took too long.",)
        full = [kind for kind in self._kinds.values() if kind.is_full]
        return tuple(f"{kind.name} mappings: the first {kind.listed:,} of {kind.total:,} are listed." for kind in full)


def _file_bytes(state: CachedState | None) -> int | None:
    """Returns the size of the mapped file, None if it is not a regular file or could not be read."""
    return state.size if state is not None and stat.S_ISREG(state.mode) else None


def _resolve_ambiguity(pid: int, line: MapsLine) -> tuple[str, bool]:
    """Returns the path and whether it is deleted, for an ambiguous line of maps.

    The link in map_files has the path without escapes. If a lookup below the process's root finds the same file under
    the name that ends in ` (deleted)`, it is not deleted.
    """
    try:
        entry = f"/proc/{pid}/map_files/{line.range}"
        text = os.readlink(entry)
        if not text.endswith(_DELETED):
            return text, False
        state = os.stat(entry)
    except OSError:
        return line.path, line.deleted
    return (text, False) if state.st_nlink and _is_same_file(pid, text, state) else (text[: -len(_DELETED)], True)


def _is_same_file(pid: int, path: str, state: os.stat_result) -> bool:
    try:
        root = open_root(pid)
    except ContainerlabError:
        return False
    try:
        place = open_in_root(root, path, os.O_PATH | os.O_NOFOLLOW)
    except ContainerlabError:
        return False
    finally:
        os.close(root)
    try:
        return os.path.samestat(os.fstat(place), state)
    finally:
        os.close(place)


def open_mapped(id: ProcessId, range_: str) -> int:
    """Opens the regular file behind a mapping for reading. The caller closes the descriptor.

    `range_` is the mapping's name in /proc/PID/map_files. Needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE.
    Raises `Gone` (the process or the mapping), `Denied`, `BadRequest` (not a range), `Unsupported`.
    """
    if not _RANGE.fullmatch(range_):
        raise BadRequest(f"{range_!r} is not the range of a mapping; use a form like 7f0000000000-7f0000001000.")
    name = "-".join(f"{int(part, 16):x}" for part in range_.split("-"))
    what = f"open the mapping {name} of process {id.pid}"
    try:
        place = os.open(f"/proc/{id.pid}/map_files/{name}", os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        raise failure(error, what) from error
    try:
        if identify(id.pid) != id:
            raise Gone(f"Could not {what}: the process has exited.")
        if not stat.S_ISREG(os.fstat(place).st_mode):
            raise BadRequest(f"Could not {what}: it is a device or another special file.")
        return os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        raise failure(error, what) from error
    finally:
        os.close(place)


def read_mapping(id: ProcessId, range_: str, offset: int, length: int) -> Window:
    """Reads a window of the mapped file; it may be deleted, a segment or anonymous shared memory.

    `offset` is relative to the start of the file. Raises as `open_mapped` and `read_window`.
    """
    check_window(offset, length)
    fd = open_mapped(id, range_)
    try:
        return read_window(fd, offset, length, f"the mapping {range_} of process {id.pid}")
    finally:
        os.close(fd)
