"""What the doctor is told, and what it answers: records only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from containerlab_probes.records import Delivery, Process
from containerlab_tui.core.ending import PastStop
from containerlab_tui.core.inventory import Details


class Outlook(StrEnum):
    """Whether the container ends before the grace period does."""

    EXITS = "exits"
    TIMES_OUT = "times-out"
    UNKNOWN = "unknown"


class Graceful(StrEnum):
    """Whether the program is documented to end its work cleanly on the stop signal."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Confidence(StrEnum):
    CERTAIN = "certain"
    """The kernel's rule, a program and configuration that leave no room, or seen before."""
    LIKELY = "likely"
    GUESS = "guess"


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class EarlySignal:
    """A signal that the engine sent to PID 1 soon after the container's start."""

    at: float
    """Epoch seconds."""
    signal: int


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known about one running container at one instant."""

    details: Details
    signal: int
    """The number of its stop signal."""
    processes: tuple[Process, ...]
    """Empty where they can't be seen; then `blind_reason` says why."""
    now: float
    """Epoch seconds, when the processes were read."""
    blind_reason: str = ""
    files: Mapping[tuple[int, str], str] = field(default_factory=dict)
    """Text of the container's files by host PID and path as it stands in that process's command line."""
    environments: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    """Environment by host PID, of those processes whose behaviour depends on it."""
    cannot_write: frozenset[int] = frozenset()
    """Host PIDs of processes that may not write into their working directory; looked at where it matters."""
    go_programs: frozenset[str] = frozenset()
    """Program files that carry the mark of Go's linker."""
    units: Mapping[str, str] = field(default_factory=dict)
    """The systemd unit that a package installed for a program, by the program's path: the unit's text."""
    clients: int | None = None
    """Connections that its servers have accepted, over TCP and UNIX sockets; None: not looked, or not to be read."""
    restart_disarmed: bool | None = None
    """The engine has it marked as stopped by hand, so its restart policy won't act; None: can't be seen."""
    history: tuple[PastStop, ...] = ()
    """Earlier stops of this container or image, the newest first."""
    early_signals: tuple[EarlySignal, ...] = ()
    """In the order of time; it has outlived them all."""

    @property
    def root(self) -> Process | None:
        """The process that gets the stop signal: the container's PID 1, whatever number it has."""
        return next((one for one in self.processes if one.pid == self.details.pid), None)

    @property
    def grace_s(self) -> float:
        """The grace period in seconds; infinite where the container has none."""
        return float("inf") if self.details.stop_timeout_s < 0 else float(self.details.stop_timeout_s)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing worth knowing, and how to mend it."""

    code: str
    """Stable: other programs rely on it."""
    severity: Severity
    summary: str
    evidence: tuple[str, ...] = ()
    """What was read where."""
    remedy: str = ""
    """Lines that can be pasted: a Dockerfile line, an option of docker run, a key of a compose file."""

    @property
    def anchor(self) -> str:
        """Where the README says more."""
        return f"README.md#{self.code}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one process takes one signal, and what follows from it for who waits for that process."""

    outlook: Outlook
    """`exits`: the process ends; by itself this says nothing about the grace period: see `takes_s`."""
    confidence: Confidence
    why: tuple[str, ...]
    takes_s: float = 0.0
    """About how long until it has ended, in seconds; of `exits` only."""
    graceful: Graceful = Graceful.UNKNOWN
    graceful_signals: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """How a stop of one container would go."""

    container: str
    """Its name."""
    signal: str
    signal_source: str
    timeout_s: int
    timeout_source: str
    delivery: Delivery
    outlook: Outlook
    graceful: Graceful
    graceful_signal: str | None
    confidence: Confidence
    evidence: tuple[str, ...]
    unreached: tuple[Process, ...]
    findings: tuple[Finding, ...]
    program: str = ""
    """What is known to run there, e.g. `nginx`; empty: not recognised."""
    takes_s: float | None = None
    """About how long the stop would take, where it is known."""
    id: str = ""
    """The container's full id."""
    started_at: float | None = None
    """When the run that was looked at had begun, epoch seconds; another run may go otherwise."""

    @property
    def trouble(self) -> int:
        """For sorting: the greater, the worse."""
        outlooks = {Outlook.TIMES_OUT: 100, Outlook.UNKNOWN: 40, Outlook.EXITS: 0}
        weights = {Severity.ERROR: 30, Severity.WARNING: 10, Severity.NOTE: 0}
        return outlooks[self.outlook] + sum(weights[one.severity] for one in self.findings)
