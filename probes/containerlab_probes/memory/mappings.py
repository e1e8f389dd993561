"""What processes have mapped, and where those bytes live.

/proc/PID/maps (man 5 proc_pid_maps) names the mappings, /proc/PID/map_files leads to the file behind each,
deleted or not, without any path being resolved. Paths in here are data: they are compared and shown, never
opened, except for the question whether an overlay's upper directory has a file, asked strictly below it.
"""

import os
import re
import stat
from collections.abc import Iterable
from collections.abc import Mapping as Dict
from dataclasses import dataclass

from containerlab_probes.errors import BadRequest, ContainerlabError, Gone
from containerlab_probes.kernel.files import read_text
from containerlab_probes.kernel.mounts import read_mounts
from containerlab_probes.kernel.os_errors import failure
from containerlab_probes.kernel.rootfs import open_in_root, open_root
from containerlab_probes.memory.windows import check_window, read_window
from containerlab_probes.processes.identity import identify
from containerlab_probes.records import Backing, Mapping, Mappings, Mount, Process, ProcessId, Window

MAPPINGS_LIMIT = 20_000
"""Mappings in one answer at the most; a process may have 65,530 (man 5 proc_sys_vm, max_map_count)."""
MAPS_BYTES = 64 * 1024 * 1024
"""Bytes of one /proc/PID/maps that are read."""

_DELETED = " (deleted)"
_KERNEL_FILE = re.compile(r"/dev/zero|/memfd:.*|/anon_hugepage|/secretmem", re.DOTALL)
"""Names of shared memory without a file (mm/shmem.c, mm/memfd.c, fs/hugetlbfs/inode.c, mm/secretmem.c)."""
_SYSV = re.compile(r"/SYSV[0-9a-f]{8}")
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
    """Without the mark ` (deleted)`; a newline in it is one again."""
    deleted: bool
    doubtful: bool = False
    """The text can't tell a file deleted from one so named, or a newline from a backslash and digits."""

    @property
    def range(self) -> str:
        return f"{self.start:x}-{self.end:x}"

    @property
    def device_number(self) -> int:
        """As st_dev of stat(2)."""
        major, minor = self.device.split(":")
        return os.makedev(int(major, 16), int(minor, 16))


def parse_maps(text: str) -> list[MapsLine]:
    """The lines of /proc/PID/maps that have a file, or shared memory, behind them.

    The kernel escapes the newline only (fs/proc/task_mmu.c, seq_path). Lines of another form are left out.
    """
    return [line for raw in text.split("\n") if (line := _maps_line(raw)) is not None]


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
            doubtful=deleted or escaped,
        )
    except ValueError:
        return None


def read_maps(pid: int) -> list[MapsLine]:
    """The mappings of a process that have a file, or shared memory, behind them. Raises `Gone`, `Denied`."""
    return parse_maps(read_text(f"/proc/{pid}/maps", MAPS_BYTES))


def container_mappings(init: ProcessId, processes: Iterable[Process]) -> Mappings:
    """Every mapping of these processes with a file or shared memory behind it, and the mounts that `init` sees.

    What ends meanwhile is left out; what may not be read is named in `unread`. Raises `Gone` where `init` has
    ended.
    """
    found: list[Mapping] = []
    unread: list[str] = []
    for process in processes:
        try:
            found += _mappings_of(process)
        except Gone:
            continue
        except ContainerlabError as error:
            unread.append(str(error))
        if len(found) > MAPPINGS_LIMIT:
            unread.append(f"There are more mappings than {MAPPINGS_LIMIT}; those beyond are left out.")
            break
    mounts = read_mounts(init.pid)
    if identify(init.pid) != init:
        raise Gone("The container's PID 1 has exited.")
    return Mappings(tuple(found[:MAPPINGS_LIMIT]), tuple(mounts), tuple(unread))


def _mappings_of(process: Process) -> list[Mapping]:
    sizes: dict[tuple[str, int], int | None] = {}
    found = []
    for line in read_maps(process.pid):
        path, deleted = _settle(process.pid, line) if line.doubtful else (line.path, line.deleted)
        key = (line.device, line.inode)
        if key not in sizes:
            sizes[key] = _file_bytes(process.pid, line)
        found.append(
            Mapping(
                id=process.id,
                container_pid=process.container_pid,
                start=line.start,
                end=line.end,
                permissions=line.permissions,
                offset=line.offset,
                device=line.device,
                inode=line.inode,
                path=path,
                deleted=deleted,
                file_bytes=sizes[key],
            )
        )
    return found


def _file_bytes(pid: int, line: MapsLine) -> int | None:
    """Size of the file behind a mapping, where it is a regular one; stat(2) opens nothing."""
    try:
        state = os.stat(f"/proc/{pid}/map_files/{line.range}")
    except OSError:
        return None
    return state.st_size if stat.S_ISREG(state.st_mode) else None


def _settle(pid: int, line: MapsLine) -> tuple[str, bool]:
    """The path and whether it is deleted, where the text of maps can mean two things.

    The link in map_files has the path without escapes. A file that is there under the very name that ends in
    ` (deleted)`, looked up below the process's root, is not deleted.
    """
    try:
        entry = f"/proc/{pid}/map_files/{line.range}"
        text = os.readlink(entry)
        if not text.endswith(_DELETED):
            return text, False
        state = os.stat(entry)
    except OSError:
        return line.path, line.deleted
    return (text, False) if state.st_nlink and _is_there(pid, text, state) else (text[: -len(_DELETED)], True)


def _is_there(pid: int, path: str, state: os.stat_result) -> bool:
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


def paths_in_upper(mappings: Iterable[Mapping], upper_dir: str) -> frozenset[str] | None:
    """Those paths of the mappings that are files in an overlay's upper directory, the container's writable layer.

    Each is looked up below the directory, never outside it. None: the directory can't be opened.
    """
    try:
        upper = os.open(upper_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        paths = {mapping.path for mapping in mappings if mapping.path.startswith("/") and not mapping.deleted}
        return frozenset(path for path in paths if _regular_below(upper, path))
    finally:
        os.close(upper)


def _regular_below(directory: int, path: str) -> bool:
    try:
        place = open_in_root(directory, path, os.O_PATH | os.O_NOFOLLOW)
    except ContainerlabError:
        return False
    try:
        return stat.S_ISREG(os.fstat(place).st_mode)
    finally:
        os.close(place)


def open_mapped(id: ProcessId, range_: str) -> int:
    """A file descriptor, for reading, of the regular file behind a mapping. The caller closes it.

    `range_` is the mapping's name in /proc/PID/map_files. Needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE.
    Raises `Gone` (the process or the mapping), `Denied`, `BadRequest` (no range), `Unsupported`.
    """
    if not _RANGE.fullmatch(range_):
        raise BadRequest(f"{range_!r} is no range of a mapping; one looks like 7f0000000000-7f0000001000.")
    name = "-".join(f"{int(part, 16):x}" for part in range_.split("-"))
    what = f"open what process {id.pid} has mapped at {name}"
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
    """A window of the file behind a mapping, also of a deleted one, a segment or an anonymous shared mapping.

    `offset` counts from the beginning of the file. Raises as `open_mapped` and `read_window`.
    """
    check_window(offset, length)
    fd = open_mapped(id, range_)
    try:
        return read_window(fd, offset, length, f"what process {id.pid} has mapped at {range_}")
    finally:
        os.close(fd)


Volumes = Dict[str, tuple[str, str]]
"""Target in the container -> (`volume`, `bind` or `tmpfs`, source on the host), as the engine's inspect has them."""


def mount_of(mapping: Mapping, mounts: Iterable[Mount]) -> Mount | None:
    """The mount that a mapping's path lies on, or None where it lies on none of them.

    Of several that fit the later one covers the earlier. Older kernels show for a file on an overlay the
    device of the file system below it, so the overlay fits whatever the device.
    """
    device = _decimal(mapping.device)
    around = [mount for mount in mounts if _rest(mapping.path, mount.point) is not None]
    for fits in ([mount for mount in around if mount.device == device], around):
        best = max(enumerate(fits), key=lambda item: (len(item[1].point), item[0]), default=None)
        if best and (best[1].device == device or best[1].filesystem == "overlay"):
            return best[1]
    return None


def backing_of(mapping: Mapping, mounts: Iterable[Mount], volumes: Volumes, in_upper: bool | None) -> Backing | None:
    """Where the bytes of a mapping live; None where that can't be told.

    `in_upper` says whether the overlay's upper directory has a file of this path; None: not known.
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
    """Where the host would find the bytes: a text to show, never to open. None where there is no such path."""
    if backing is Backing.WRITABLE_LAYER:
        return upper_dir + mapping.path if upper_dir else None
    if backing is Backing.IMAGE:
        return merged_dir + mapping.path if merged_dir else None
    if backing in (Backing.VOLUME, Backing.BIND):
        mount = mount_of(mapping, mounts)
        volume = mount and _volume_at(mount, volumes)
        if mount and volume and volume[1]:
            return volume[1].rstrip("/") + (_rest(mapping.path, mount.point) or "")
    return None


def _volume_at(mount: Mount, volumes: Volumes) -> tuple[str, str] | None:
    """The volume or bind mount that a mount is. Where its target went through a symbolic link the mount lies
    elsewhere: then the source tells. It ends in the mount's root within its file system, or, where the host's own root
    is a folder of a file system (a subvolume of btrfs), the mount's root ends in the source.
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


def _rest(path: str, point: str) -> str | None:
    """What follows a mount point in a path, with its slash; empty: the point itself; None: not below it."""
    point = point.rstrip("/")
    if path == point:
        return ""
    return path[len(point) :] if path.startswith(point + "/") else None


def _decimal(device: str) -> str:
    """`00:3a` of maps as mountinfo has it, `0:58`."""
    return ":".join(str(int(part, 16)) for part in device.split(":"))
