"""Facts about processes and their memory as frozen records, which the other packages exchange.

Signals are numbers (`signals.names.name_of` converts them for display), sizes are bytes, times are seconds. Text from a
container is unchanged: the code that shows it must make it safe.
"""

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class ProcessList:
    """The processes of a container; it may have more than can be read."""

    processes: tuple[Process, ...]
    unread: str = ""
    """A sentence about those that are left out; empty if all are listed."""


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
