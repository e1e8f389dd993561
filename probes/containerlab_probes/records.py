"""What is true of a process and of its memory, as frozen records: the only things that cross rooms.

Signals are numbers here (`signals.name_of` makes names of them at the edge), sizes are bytes, times are
seconds. Text that comes out of a container is kept as it is: showing it safely is the reader's duty.
"""

from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class ProcessId:
    """One process and no other: a PID is used again, a PID with its start time is not."""

    pid: int
    """As the host sees it."""
    started: int
    """Clock ticks after boot (field 22 of /proc/PID/stat, man 5 proc)."""


@dataclass(frozen=True, slots=True)
class Dispositions:
    """What a process does with signals, read from /proc at one instant. Sets of signal numbers.

    `blocked` holds what *every* thread blocks: only that stays pending when sent to the process.
    """

    caught: frozenset[int] = frozenset()
    ignored: frozenset[int] = frozenset()
    blocked: frozenset[int] = frozenset()
    pending: frozenset[int] = frozenset()
    sigwait: frozenset[int] = frozenset()
    """Taken by a thread in rt_sigtimedwait (sigwait, sigwaitinfo, sigtimedwait), no other thread being open to it."""
    signalfd: frozenset[int] = frozenset()
    """Covered by the mask of an open signalfd."""
    in_sigsuspend: bool = False
    """A thread sits in rt_sigsuspend or pause: a caught signal is handled at once."""
    foreground: tuple[int, ...] = ()
    """Of a shell: host PIDs of the children that it seems to wait for before it runs a trap."""
    leader_blocked: frozenset[int] = frozenset()
    """What the main thread blocks, which the kernel asks first; other threads may be open to it."""
    unsure: frozenset[int] = frozenset()
    """Signals whose way can't be told: what is named in `unread` decides, or either of two threads may take them."""
    unread: tuple[str, ...] = ()
    """What could not be read and so may be missing above, a sentence each; empty: all was read."""


@dataclass(frozen=True, slots=True)
class ProcessLoad:
    """What one process uses. None: it could not be read."""

    cpu_percent: float | None = None
    """CPU time since the previous reading, as a share of one core; None also at the first reading."""
    memory_bytes: int | None = None
    """Resident."""
    descriptors: int | None = None
    """Open file descriptors; None also where they are more than can be counted cheaply."""
    read_bytes: int | None = None
    """Fetched from storage since the process started, so without what the page cache had."""
    written_bytes: int | None = None
    """Sent to storage since the process started."""


@dataclass(frozen=True, slots=True)
class HostLoad:
    """What this machine uses as a whole."""

    cpu_percent: float | None
    """Share of all cores since the previous reading; None at the first one."""
    memory_bytes: int
    """Memory that programs could not get: the total without what is available."""
    memory_total: int


@dataclass(frozen=True, slots=True)
class Process:
    """One process of a container."""

    id: ProcessId
    container_pid: int
    """As the container's own PID namespace sees it; 1 is its init."""
    parent_pid: int
    """The parent's PID on the host; for a process that `docker exec` began it lies outside the container."""
    started_at: float
    """Seconds since the epoch."""
    state: str
    """The kernel's letter: R, S, D, T, t, Z, X, I (man 5 proc)."""
    uid: int
    user: str
    """The name that the container's /etc/passwd gives the uid, or the number as text."""
    name: str
    """comm: at most 15 bytes, what the kernel calls it."""
    argv: tuple[str, ...]
    """The command line; empty for a zombie. Bytes that are no UTF-8 are surrogate escapes."""
    threads: int
    dispositions: Dispositions
    exe: str = ""
    """The program's file as the container sees it; empty where it could not be read."""
    namespace_init: bool = False
    """It is the init of a PID namespace, its own innermost one."""
    orphaned_group: bool | None = None
    """Its process group is orphaned, so TSTP, TTIN and TTOU don't stop it; None: not looked."""
    spared_by_kernel: bool | None = None
    """Of an init whose main thread blocks a signal that another thread doesn't: whether this kernel discards the signal
    instead of killing the init; None: the kernel could not be asked, or it makes no difference here."""
    load: ProcessLoad | None = None
    """What it uses; None: not read."""

    @property
    def pid(self) -> int:
        return self.id.pid

    @property
    def command(self) -> str:
        """The command line as one line, or the kernel's name in brackets where there is none."""
        return " ".join(self.argv) if self.argv else f"[{self.name}]"


class Delivery(StrEnum):
    """What the kernel does with a signal for a process. The words are those of the command line's documents."""

    HANDLER = "handler"
    SIGWAIT = "sigwait"
    SIGNALFD = "signalfd"
    DEFAULT = "default"
    IGNORED = "ignored"
    DROPPED = "dropped"
    """Init of a PID namespace with no handler: the kernel throws the signal away."""
    DEFERRED = "deferred"
    """Caught, but the handler runs only when something else ends (a shell's trap behind a foreground child)."""
    PENDING = "pending"
    """Blocked by every thread and awaited by none: it waits in the queue."""
    UNKNOWN = "unknown"


class Effect(StrEnum):
    """What becomes of the process."""

    PROGRAM_DECIDES = "program-decides"
    TERMINATES = "terminates"
    DUMPS_CORE = "dumps-core"
    STOPS = "stops"
    CONTINUES = "continues"
    NOTHING = "nothing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Forecast:
    """What one signal would do to one process."""

    id: ProcessId
    container_pid: int
    signal: int
    delivery: Delivery
    effect: Effect
    evidence: str
    """One sentence that names what was read and where."""


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
    """Segment or file size; for a queue the bytes queued now; None for a semaphore set."""
    owner: int
    """uid"""
    group: int
    mode: int
    """Permission bits, 0o000-0o777."""
    creator_pid: int = 0
    last_pid: int = 0
    """Last shmat/shmdt, or last msgsnd/msgrcv."""
    attached: int | None = None
    """Segments: attach count. POSIX shared memory: processes that map it. None where it has no meaning."""
    users: tuple[int, ...] = ()
    """PIDs of the container that have it mapped or open now."""
    changed_at: float | None = None
    """ctime (System V) or mtime (POSIX), seconds since the epoch."""
    removed: bool = False
    """A segment marked for removal that lives until its last detach (SHM_DEST)."""
    semaphores: tuple[Semaphore, ...] = ()
    messages: int | None = None
    """Queues: messages in it."""
    inode: int = 0
    """POSIX: the inode of its file, which tells it from a later object of the same name; 0 for System V."""


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
    """What could not be read, a sentence each."""


@dataclass(frozen=True, slots=True)
class Overview:
    """What one container's IPC namespace holds, in two figures, for the table of all containers."""

    namespace: int
    objects: int
    bytes: int


class Backing(StrEnum):
    """Where the bytes of a mapping live."""

    IMAGE = "image"
    WRITABLE_LAYER = "writable-layer"
    VOLUME = "volume"
    BIND = "bind"
    TMPFS = "tmpfs"
    ANONYMOUS_SHARED = "anonymous-shared"
    SYSV = "sysv"
    DELETED = "deleted"


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
    """Where in the file the mapping begins."""
    device: str
    """major:minor in hexadecimal, as in /proc/PID/maps."""
    inode: int
    path: str
    """As the process sees it, without the kernel's ` (deleted)` mark."""
    deleted: bool
    file_bytes: int | None
    """Size of the file behind it; None where it could not be read."""

    @property
    def range(self) -> str:
        """The name of its entry in /proc/PID/map_files."""
        return f"{self.start:x}-{self.end:x}"

    @property
    def shared(self) -> bool:
        return self.permissions.endswith("s")

    @property
    def bytes(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of /proc/PID/mountinfo (man 5 proc_pid_mountinfo)."""

    device: str
    """major:minor in decimal."""
    root: str
    """The directory of the file system that is mounted."""
    point: str
    """Where, as the process sees it."""
    filesystem: str
    """overlay, tmpfs, ext4 …"""
    source: str
    options: str = ""
    """Options of a version 1 cgroup hierarchy, its controllers among them. Empty for others: an overlay's are long."""


@dataclass(frozen=True, slots=True)
class Mappings:
    """Every mapping of a container's processes, with the mounts they see, read at one instant."""

    mappings: tuple[Mapping, ...]
    mounts: tuple[Mount, ...]
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """A window of bytes out of something larger. Never more than 64 KiB."""

    offset: int
    data: bytes
    total: int
    """Size of the whole object in bytes."""


WINDOW_LIMIT = 64 * 1024
"""Bytes that one answer holds at the most."""


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU and memory of a container, from its cgroup's files."""

    cpu_seconds: float
    """CPU time used since it began."""
    memory_bytes: int
    """Without the page cache that can be dropped (what `docker stats` shows)."""
    memory_limit: int | None = None


@dataclass(frozen=True, slots=True)
class MemoryRecord:
    """What a container's memory cgroup has counted since it was made."""

    oom_kills: int
    """Processes that the kernel killed for want of memory."""
    limit_hits: int
    """How often its limit stood in the way of an allocation."""
    source: str
    """The files that say so."""


class SignalResult(StrEnum):
    """What the kernel did with a signal at the moment it was generated (include/trace/events/signal.h)."""

    QUEUED = "queued"
    """It waits in the target's queue. A handler or the default action is a `TracedDelivery`; what sigwait or a
    signalfd takes out of the queue, and what stays blocked, gives none."""
    IGNORED = "ignored"
    """Thrown away: ignored by the target, or at the default action in the init of a PID namespace."""
    ALREADY_PENDING = "already-pending"
    """The target has one of the same that it has not yet taken; this one is merged with it."""
    OVERFLOW = "overflow"
    """A real-time signal that was thrown away because the queue is full."""


class Taken(StrEnum):
    """How a process took a signal out of its queue."""

    HANDLER = "handler"
    DEFAULT = "default"
    """The default action; in the init of a PID namespace that is nothing, but for SIGKILL and SIGSTOP from outside."""
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class TracedSignal:
    """A signal to a watched process, as the kernel generated it. PIDs are processes (not threads) on the host."""

    at: float
    """Epoch seconds, as in every record of the trace."""
    sender_pid: int
    """In whose context it was generated; 0: an interrupt (a timer, say), so nobody's."""
    sender_name: str
    """comm of that process; empty where it ended too soon to be known."""
    pid: int
    signal: int
    result: SignalResult
    code: int
    """si_code (man 2 sigaction): 0 kill, -1 sigqueue, -6 tgkill, above 0 the kernel itself."""
    group: bool
    """To the whole process; false: to one thread of it."""

    @property
    def by_kernel(self) -> bool:
        """No program asked for it with kill and its like: a fault, a timer, a terminal, the end of PID 1, no memory."""
        return self.code > 0 or self.sender_pid == 0


@dataclass(frozen=True, slots=True)
class TracedDelivery:
    """A watched process takes a signal. The SIGKILL of a process is told once, not for each of its threads."""

    at: float
    pid: int
    signal: int
    taken: Taken


@dataclass(frozen=True, slots=True)
class TracedExit:
    """The last thread of a watched process has ended."""

    at: float
    pid: int
    ended_by: int | str | None
    """Exit code, or the name of the signal; None where the kernel didn't tell."""


@dataclass(frozen=True, slots=True)
class TracedFork:
    """A new process that is watched from now on."""

    at: float
    parent_pid: int
    """Who made it; 0: it came in from outside, as what `docker exec` starts does."""
    pid: int


@dataclass(frozen=True, slots=True)
class TracedExec:
    """A watched process runs another program."""

    at: float
    pid: int
    path: str
    """As it was given to execve(2): inside the container, perhaps relative."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The kernel threw away events before they were read: what comes before may be incomplete."""

    at: float
    count: int | None
    """Events of all processes of the machine; None: not known how many."""


TraceRecord = TracedSignal | TracedDelivery | TracedExit | TracedFork | TracedExec | Lost
