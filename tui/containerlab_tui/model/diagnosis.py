"""Records of a diagnosis: prediction, findings and fixes. No I/O in this package."""

from dataclasses import dataclass
from enum import StrEnum

from containerlab_probes.records import Delivery, Process
from containerlab_tui.model.product import DOCKER, Product


class Outlook(StrEnum):
    """Whether the container exits within the grace period."""

    EXITS = "exits"
    TIMES_OUT = "times-out"
    UNKNOWN = "unknown"


class Graceful(StrEnum):
    """Whether the program is documented to shut down cleanly on the stop signal."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Confidence(StrEnum):
    """How certain a prediction is."""

    CERTAIN = "certain"
    """Given by a kernel rule, or by a program and configuration without exceptions."""
    LIKELY = "likely"
    GUESS = "guess"


class Severity(StrEnum):
    """How serious a finding is."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding and its fix."""

    code: str
    """Stable name that other programs rely on."""
    severity: Severity
    summary: str
    evidence: tuple[str, ...] = ()
    """The facts with their source."""
    remedy: str = ""
    """Lines that can be pasted: a Dockerfile line, an option of docker run, a key of a compose file."""

    @property
    def anchor(self) -> str:
        """The README section about it."""
        return f"README.md#{self.code}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The predicted result of one signal for one process."""

    outlook: Outlook
    """`exits` says nothing about the grace period: see `takes_s`."""
    confidence: Confidence
    why: tuple[str, ...]
    takes_s: float = 0.0
    """Approximate seconds until it exits; of `exits` only."""
    graceful: Graceful = Graceful.UNKNOWN
    graceful_signals: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The prediction for a stop of one container, with its reasons."""

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
    """The recognised program, for example `nginx`; empty if not recognised."""
    takes_s: float | None = None
    """Approximate duration of the stop, if known."""
    id: str = ""
    """The container's full id."""
    started_at: float | None = None
    """Start of the diagnosed run, epoch seconds; another run may behave differently."""

    partial: tuple[str, ...] = ()
    """Sentences about what could not be read; the prediction rests on the rest."""
    product: Product = DOCKER

    @property
    def trouble(self) -> int:
        """Sort key: a greater number is worse."""
        outlooks = {Outlook.TIMES_OUT: 100, Outlook.UNKNOWN: 40, Outlook.EXITS: 0}
        weights = {Severity.ERROR: 30, Severity.WARNING: 10, Severity.NOTE: 0}
        return outlooks[self.outlook] + sum(weights[one.severity] for one in self.findings)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A prediction and what happened."""

    outlook: Outlook
    confidence: Confidence
    happened: Outlook
    """`exits`: PID 1 exited before SIGKILL; `times-out`: it was killed after the full grace period; `unknown`:
    the stop doesn't show it."""
    right: bool | None
    """None if either side is unknown, or the stop had another signal or grace period than predicted."""
    sentence: str
