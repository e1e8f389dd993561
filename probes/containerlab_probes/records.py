"""Facts about processes and their memory as frozen records, which the other packages exchange.

Signals are numbers (`signals.names.name_of` converts them for display), sizes are bytes, times are seconds. Text from a
container is unchanged: the code that shows it must make it safe.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum

WITHOUT_ROOT = (
    "Without root (CAP_SYS_PTRACE), the signals that a thread awaits and the files of processes and containers can't "
    "be read, so what depends on them is only likely; run this with sudo."
)
"""The sentence in `Dispositions.unread` of a process of which only the masks of signals can be read."""


@dataclass(frozen=True, slots=True)
class ProcessId:
    """Identifies one process: the kernel uses a PID again, but not with the same start time."""

    pid: int
    """As the host sees it."""
    started: int
    """Clock ticks after boot (field 22 of /proc/PID/stat, man 5 proc)."""


@dataclass(frozen=True, slots=True)
class ContainerRun:
    """Identifies one run of a container: a restart has the same id and another PID 1."""

    id: str
    """The engine's full id: 64 hexadecimal digits."""
    init: ProcessId
    """PID 1, as the engine reports it."""


@dataclass(frozen=True, slots=True)
class Dispositions:
    """What a process does with signals, read from /proc at one instant, as sets of signal numbers.

    `blocked` holds what *every* thread blocks: only that stays pending when sent to the process.
    """

    caught: frozenset[int] = frozenset()
    ignored: frozenset[int] = frozenset()
    blocked: frozenset[int] = frozenset()
    pending: frozenset[int] = frozenset()
    sigwait: frozenset[int] = frozenset()
    """Taken by a thread in rt_sigtimedwait (sigwait, sigwaitinfo, sigtimedwait); no other thread can take it."""
    signalfd: frozenset[int] = frozenset()
    """Covered by the mask of an open signalfd."""
    in_sigsuspend: bool = False
    """A thread is in rt_sigsuspend or pause, so a signal with a handler is handled at once."""
    foreground: tuple[int, ...] = ()
    """For a shell: host PIDs of the children that it seems to wait for before it runs a trap."""
    leader_blocked: frozenset[int] = frozenset()
    """Blocked by the main thread, which the kernel asks first; another thread may still take them."""
    unclear: frozenset[int] = frozenset()
    """Signals whose delivery is unknown: it depends on `unread`, or on which of two threads takes them."""
    assumed: frozenset[int] = frozenset()
    """Signals whose delivery is likely only: a thread that awaits them, or what a shell waits for, can't be seen."""
    unread: tuple[str, ...] = ()
    """Sentences about what could not be read and may be missing above; empty: everything was read."""


@dataclass(frozen=True, slots=True)
class ProcessLoad:
    """Resource usage of one process. None: could not be read."""

    cpu_percent: float | None = None
    """CPU time since the previous reading, as a share of one core; None also at the first reading."""
    memory_bytes: int | None = None
    """Resident."""
    descriptors: int | None = None
    """Open file descriptors; None also if there are too many to count cheaply."""
    read_bytes: int | None = None
    """Read from storage since the process started; reads from the page cache do not count."""
    written_bytes: int | None = None
    """Written to storage since the process started."""


@dataclass(frozen=True, slots=True)
class HostLoad:
    """Resource usage of the whole machine."""

    cpu_percent: float | None
    """Share of all cores since the previous reading; None at the first one."""
    memory_bytes: int
    """Total memory less available memory."""
    memory_total: int


@dataclass(frozen=True, slots=True)
class Process:
    """One process of a container."""

    id: ProcessId
    container_pid: int
    """As the PID namespace of the container's PID 1 sees it; 0: it is outside of that and gets no signals."""
    parent_pid: int
    """The parent's PID on the host; the parent of a process started by `docker exec` is outside the container."""
    started_at: float
    """Seconds since the epoch."""
    state: str
    """The kernel's letter: R, S, D, T, t, Z, X, I (man 5 proc)."""
    uid: int
    """As the user namespace of the container's PID 1 has it, as are the ids of files and objects."""
    user: str
    """User name from the container's /etc/passwd, or the uid as text."""
    name: str
    """comm, the kernel's name for it: at most 15 bytes."""
    argv: tuple[str, ...]
    """The command line; empty for a zombie. Bytes that are not UTF-8 are surrogate escapes."""
    threads: int
    dispositions: Dispositions
    exe: str = ""
    """The program's file as the container sees it; empty if it could not be read."""
    namespace_init: bool = False
    """Whether it is PID 1 of its innermost PID namespace."""
    orphaned_group: bool | None = None
    """Whether its process group is orphaned, so TSTP, TTIN and TTOU don't suspend it; None: not checked."""
    spared_by_kernel: bool | None = None
    """For a PID 1 whose main thread blocks a signal that another thread doesn't block: whether this kernel discards the
    signal instead of killing PID 1. None: the kernel could not be tested, or there is no such signal."""
    load: ProcessLoad | None = None
    """None: not read."""

    @property
    def pid(self) -> int:
        """The host PID."""
        return self.id.pid

    @property
    def command(self) -> str:
        """The command line as one line, or the kernel's name in brackets if there is none."""
        return " ".join(self.argv) if self.argv else f"[{self.name}]"


class Delivery(StrEnum):
    """What the kernel does with a signal for a process. The values appear in the JSON documents."""

    HANDLER = "handler"
    SIGWAIT = "sigwait"
    SIGNALFD = "signalfd"
    DEFAULT = "default"
    IGNORED = "ignored"
    DROPPED = "dropped"
    """PID 1 has no handler, so the kernel discards the signal."""
    DEFERRED = "deferred"
    """The handler runs later (a shell runs its trap when its foreground child has exited)."""
    PENDING = "pending"
    """Every thread blocks it and none waits for it, so it stays pending."""
    UNKNOWN = "unknown"


class Effect(StrEnum):
    """What the signal does to the process."""

    PROGRAM_DECIDES = "program-decides"
    TERMINATES = "terminates"
    DUMPS_CORE = "dumps-core"
    STOPS = "stops"
    CONTINUES = "continues"
    NOTHING = "nothing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Forecast:
    """The expected effect of one signal on one process."""

    id: ProcessId
    container_pid: int
    signal: int
    delivery: Delivery
    effect: Effect
    evidence: str
    """One sentence that names the fact and its source."""
    likely: bool = False
    """Whether it rests on what everybody may read; root may see that a thread awaits the signal."""


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
class ProcessList:
    """The processes of a container; it may have more than can be read."""

    processes: tuple[Process, ...]
    unread: str = ""
    """A sentence about those that are left out; empty if all are listed."""


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


WINDOW_LIMIT = 64 * 1024
"""Maximum number of bytes in one window."""


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU and memory of a container, from its cgroup's files."""

    cpu_seconds: float | None
    """CPU time used since its start; None: unread."""
    memory_bytes: int | None
    """Without the page cache that can be dropped, as in `docker stats`; None: unread."""
    unread: str = ""
    """Why one of them is unread, a sentence."""


@dataclass(frozen=True, slots=True)
class MemoryRecord:
    """The counters of a container's memory cgroup since its creation."""

    oom_kills: int
    """Processes that the kernel killed because memory ran out."""
    limit_hits: int
    """How often an allocation hit the limit."""
    source: str
    """The files that were read."""
    limit_bytes: int | None = None
    """The limit now; None: none."""


@dataclass(frozen=True, slots=True)
class PidsRecord:
    """The counter of a container's pids cgroup since its creation."""

    refused: int
    """How often a new process or thread was refused because of the limit."""
    limit: int | None
    """The highest number of processes and threads; None: none."""
