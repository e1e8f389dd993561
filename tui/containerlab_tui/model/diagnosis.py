"""What the doctor answers about one container: records only."""

from dataclasses import dataclass
from enum import StrEnum

from containerlab_probes.records import Delivery, Process


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


@dataclass(frozen=True, slots=True)
class Comparison:
    """One forecast and its outcome."""

    outlook: Outlook
    confidence: Confidence
    happened: Outlook
    """`exits`: PID 1 ended before SIGKILL was sent; `times-out`: it was killed after the whole grace period;
    `unknown`: the stop can't tell."""
    right: bool | None
    """None where either side is unknown, or the stop was another than the forecast one."""
    sentence: str
