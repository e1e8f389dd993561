"""Facts about the memory that a container keeps and shares, as frozen records: IPC objects, mappings and mounts.

As in `records`, sizes are bytes, times are seconds, and text from a container is unchanged.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from containerlab_probes.records import ProcessId

WINDOW_LIMIT = 64 * 1024
"""Maximum number of bytes in one window."""


class IpcKind(StrEnum):
    SHM = "shm"
    SEM = "sem"
    MSG = "msg"
    POSIX_SHM = "posix-shm"
    POSIX_SEM = "posix-sem"
    POSIX_MQ = "posix-mq"


@dataclass(frozen=True, slots=True)
class Semaphore:
    """One member of a semaphore set."""

    value: int
    waiting_for_increase: int
    """Processes blocked until the value rises (semncnt)."""
    waiting_for_zero: int
    """Processes blocked until the value is zero (semzcnt)."""
    last_pid: int
    """Host PID of the last semop; 0: none, or outside this PID namespace."""


@dataclass(frozen=True, slots=True)
class IpcObject:
    """One System V or POSIX IPC object. PIDs are the host's; 0 stands for none or not recorded."""

    kind: IpcKind
    id: str
    """System V: the decimal id. POSIX: the name without the leading slash."""
    key: int | None
    """System V key (0 is IPC_PRIVATE), or None for POSIX objects."""
    name: str
    """POSIX name with its leading slash; empty for System V."""
    bytes: int | None
    """Size of the segment or file; for a queue, the bytes queued now; None for a semaphore set."""
    owner: int
    """uid"""
    group: int
    mode: int
    """Permission bits, 0o000-0o777."""
    creator_pid: int = 0
    last_pid: int = 0
    """Last shmat/shmdt, or last msgsnd/msgrcv."""
    attached: int | None = None
    """Segments: attach count. Shared memory objects: processes that map it. None for other kinds."""
    users: tuple[int, ...] = ()
    """Host PIDs of the container's processes that have it mapped or open now."""
    changed_at: float | None = None
    """ctime (System V) or mtime (POSIX), seconds since the epoch."""
    removed: bool = False
    """Whether the segment is marked for removal and exists until its last detach (SHM_DEST)."""
    semaphores: tuple[Semaphore, ...] = ()
    messages: int | None = None
    """Queues: number of messages."""
    inode: int = 0
    """POSIX: the inode of its file, which distinguishes it from a later object of that name; 0 for System V."""
    of_host: bool = False
    """Whether it belongs to the host: its IPC namespace (System V), or the host's own /dev/shm or /dev/mqueue."""


@dataclass(frozen=True, slots=True)
class IpcSnapshot:
    """Everything in one IPC namespace at one instant."""

    namespace: int
    """Inode of /proc/PID/ns/ipc."""
    objects: tuple[IpcObject, ...]
    limits: dict[str, int] = field(default_factory=dict)
    """shmmax, shmall, shmmni, semmsl, semmns, semopm, semmni, msgmax, msgmnb, msgmni, mq_queues_max,
    mq_msg_max, mq_msgsize_max, and dev_shm_bytes / dev_shm_free (the tmpfs on /dev/shm)."""
    unread: tuple[str, ...] = ()
    """Sentences about what could not be read."""
    users_unread: tuple[str, ...] = ()
    """Those of them about the users of objects: an object may have more users than are listed."""


@dataclass(frozen=True, slots=True)
class Overview:
    """Totals of one container's IPC namespace, for the table of all containers."""

    namespace: int
    objects: int
    bytes: int


class Backing(StrEnum):
    """Where the bytes of a mapping live."""

    IMAGE = "image"
    WRITABLE_LAYER = "writable-layer"
    VOLUME = "volume"
    BIND = "bind"
    ENGINE = "engine"
    """A file that the engine keeps for the container, such as /etc/hosts."""
    TMPFS = "tmpfs"
    ANONYMOUS_SHARED = "anonymous-shared"
    SYSV = "sysv"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Storage:
    """Where the bytes of a mapping are stored, as the kernel shows it."""

    backing: Backing | None = None
    """None: unknown."""
    host_path: str | None = None
    """Path of the file on the host; None: there is none, or it is unknown."""
    filesystem: str = ""
    """Type of the file system; empty: none, or unknown."""
    point: str = ""
    """Where the file system is mounted in the container."""
    reason: str = ""
    """A sentence: why the backing or the host path is unknown; empty if nothing is missing."""

    def without_end(self, path: str) -> tuple["Storage", int]:
        """Returns this without the end that the host's path has in common with `path`, and that end's length.

        The files of one mount then have the same storage.
        """
        if self.host_path is None:
            return self, 0
        shared, more = 0, min(len(path), len(self.host_path))
        while shared < more:  # if one end is common, all shorter ones are: halve
            tried = (shared + more + 1) // 2
            if self.host_path.endswith(path[len(path) - tried :]):
                shared = tried
            else:
                more = tried - 1
        return replace(self, host_path=self.host_path[: len(self.host_path) - shared]), shared

    def with_end(self, path: str, length: int) -> "Storage":
        """Returns this with the end of `path` of that length, as `without_end` cut it off."""
        if self.host_path is None:
            return self
        return replace(self, host_path=self.host_path + path[len(path) - length :])


@dataclass(frozen=True, slots=True)
class Mapping:
    """One file-backed (or shared anonymous) mapping of one process."""

    id: ProcessId
    container_pid: int
    start: int
    end: int
    permissions: str
    """Four characters as in /proc/PID/maps, e.g. `rw-s`."""
    offset: int
    """Offset in the file at which the mapping begins."""
    device: str
    """major:minor in hexadecimal, as in /proc/PID/maps."""
    inode: int
    path: str
    """As the process sees it, without the kernel's ` (deleted)` mark."""
    deleted: bool
    file_bytes: int | None
    """Size of the mapped file; None if it could not be read."""
    storage: Storage = Storage()

    @property
    def range(self) -> str:
        """The name of its entry in /proc/PID/map_files."""
        return f"{self.start:x}-{self.end:x}"

    @property
    def shared(self) -> bool:
        """Whether writes reach the file or the other processes."""
        return self.permissions.endswith("s")

    @property
    def bytes(self) -> int:
        """The size of the mapped range."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of /proc/PID/mountinfo (man 5 proc_pid_mountinfo)."""

    device: str
    """major:minor in decimal."""
    root: str
    """The mounted directory of the file system."""
    point: str
    """The mount point as the process sees it."""
    filesystem: str
    """overlay, tmpfs, ext4 …"""
    source: str
    options: str = ""
    """Options of a version 1 cgroup hierarchy, including its controllers, or of an overlay, still escaped.

    Empty for others.
    """
    id: int = 0
    """Its number, which statx(2) gives as stx_mnt_id; 0: unknown."""


@dataclass(frozen=True, slots=True)
class Mappings:
    """All mappings of a container's processes."""

    mappings: tuple[Mapping, ...]
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileState:
    """Owner and permissions of a file or directory."""

    mode: int
    uid: int
    read_only: bool
    """Whether its file system is mounted read-only."""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of an object or file, at most 64 KiB."""

    offset: int
    data: bytes
    total: int
    """Size of the whole object in bytes."""
