"""Records of how a container stopped and of observed stops."""

import zlib
from dataclasses import dataclass
from datetime import UTC, datetime

from containerlab_probes.signals.names import SIGKILL
from containerlab_tui.model.inventory import Details, EngineEvent
from containerlab_tui.model.product import DOCKER, Product

COMPARABLE = 0.15
"""Largest relative difference at which a shorter grace period is still comparable."""
NEAR_S = 0.5
"""Tolerance when a measured grace period is compared with the configured one: both ends are seen a little late."""
SAME_END_S = 2.0
"""Two records of the same exit (the engine's and ours) differ by at most this time."""


@dataclass(frozen=True, slots=True)
class PastStop:
    """One observed stop, as recorded."""

    at: float
    """Epoch seconds of PID 1's exit, or of the start of the stop if PID 1 never exited."""
    container: str
    name: str
    image: str
    command: str
    """The command line of PID 1, or only its program, if arguments are not recorded."""
    signal: str
    grace_s: float
    verdict: str
    exit_code: int | None
    duration_s: float | None
    phase_1_s: float | None
    phase_2_s: float | None
    sender: str = ""
    """Sender of the SIGKILL that killed PID 1, from the kernel trace: a program with its host PID."""
    out_of_memory: bool = False
    mark: str = ""
    """The mark of the whole command line; empty: recorded by an earlier version, which recorded all arguments."""

    def ran(self, command: str) -> bool:
        """Returns whether PID 1 had this command line."""
        if not self.mark:
            return self.command == command
        return self.mark == mark_of(command) and program_of(self.command) == program_of(command)

    @property
    def killed(self) -> bool:
        """Whether SIGKILL killed it, even if it was restarted at once."""
        return self.verdict == "killed" or (self.verdict == "restarted" and self.exit_code == 128 + SIGKILL)

    def ran_out_of(self, grace_s: float) -> bool:
        """Returns whether a comparable or longer grace period expired."""
        return bool(self.ran_out) and self.grace_s >= grace_s * (1 - COMPARABLE)

    @property
    def ran_out(self) -> bool | None:
        """Whether the grace period expired; False: it exited on its own; None: neither (docker kill, a restart with
        another grace period)."""
        if not self.killed:
            return False
        whole = self.phase_1_s is not None and self.phase_2_s is not None and self.grace_s >= 0
        return True if whole and (self.phase_1_s or 0.0) >= self.grace_s - NEAR_S else None


def program_of(command: str) -> str:
    """Returns a command line without its arguments."""
    return command.partition(" ")[0]


def mark_of(command: str) -> str:
    """Returns a number that distinguishes command lines, four hexadecimal digits.

    It is short on purpose: too many command lines have the same mark for an argument to be found by trying.
    """
    return f"{zlib.crc32(command.encode('utf-8', 'replace')) & 0xFFFF:04x}"


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a container stopped."""

    cause: str
    """A stable word: running, never-started, stopped (exited on its own in a stop), stop-killed, killed, signalled
    (another signal through the engine), out-of-memory, exited, or `unknown` if two explanations fit."""
    sentence: str
    sure: bool
    evidence: tuple[str, ...]
    """The reasons, one sentence each; each begins with its source."""
    exit_code: int | None = None
    finished_at: float | None = None
    removed: bool = False
    """The engine no longer has the container."""
    before: "Ending | None" = None
    """For a running container: why its previous run ended, if known."""


@dataclass(frozen=True, slots=True)
class Run:
    """One finished run of a container."""

    name: str
    finished_at: float
    exit_code: int
    events: tuple[EngineEvent, ...]
    """The engine's events about this run, in order of time."""
    seen: float
    """For how many seconds before the exit the events are complete; infinite: for the whole run."""
    oom_killed: bool = False
    past: PastStop | None = None
    """The same stop, if this program watched it."""
    details: Details | None = None
    """Inspect, if the engine still has the container."""
    removed: bool = False
    product: Product = DOCKER


def utc_time(epoch_s: float) -> str:
    """Formats a time in UTC."""
    return f"{datetime.fromtimestamp(epoch_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
