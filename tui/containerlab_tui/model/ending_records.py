"""What is told about the end of a container, and what is remembered of one: records only."""

from dataclasses import dataclass
from datetime import UTC, datetime

from containerlab_probes.signals.names import SIGKILL
from containerlab_tui.model.inventory import Details, EngineEvent

ALIKE = 0.15
"""By how large a share an earlier grace period may be shorter and still tell about another."""
NEAR_S = 0.5
"""The engine's grace period is no shorter than it says by more than this."""


@dataclass(frozen=True, slots=True)
class PastStop:
    """One observed stop, as it is remembered."""

    at: float
    """Epoch seconds of PID 1's end, or of the stop's beginning where it never ended."""
    container: str
    name: str
    image: str
    command: str
    signal: str
    grace_s: float
    verdict: str
    exit_code: int | None
    duration_s: float | None
    phase_1_s: float | None
    phase_2_s: float | None
    sender: str = ""
    """Who sent PID 1 the SIGKILL that ended it, where the kernel's record showed it: a program with its host PID."""
    out_of_memory: bool = False

    @property
    def killed(self) -> bool:
        """Whether SIGKILL ended it, also where it was started again at once."""
        return self.verdict == "killed" or (self.verdict == "restarted" and self.exit_code == 128 + SIGKILL)

    def ran_out_of(self, grace_s: float) -> bool:
        """Whether a grace period ran out that was about as long as this one, or longer."""
        return bool(self.ran_out) and self.grace_s >= grace_s * (1 - ALIKE)

    @property
    def ran_out(self) -> bool | None:
        """Whether the grace period ran out; False: it ended by itself before; None: neither (docker kill, a restart
        with another grace period)."""
        if not self.killed:
            return False
        whole = self.phase_1_s is not None and self.phase_2_s is not None and self.grace_s >= 0
        return True if whole and (self.phase_1_s or 0.0) >= self.grace_s - NEAR_S else None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a container ended."""

    cause: str
    """A stable word: running, never-started, stopped (a stop, and it ended by itself), stop-killed, killed,
    signalled (another signal through the engine), out-of-memory, exited, or `unknown` where two stories fit."""
    sentence: str
    sure: bool
    evidence: tuple[str, ...]
    """What says so, a sentence each, beginning with its source."""
    exit_code: int | None = None
    finished_at: float | None = None
    removed: bool = False
    """The engine no longer has the container."""
    before: "Ending | None" = None
    """Of a container that runs: how its run before ended, where that is known."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a container that is over."""

    name: str
    finished_at: float
    exit_code: int
    events: tuple[EngineEvent, ...]
    """The engine's about this run, in the order of time."""
    seen: float
    """For how many seconds before the end those are complete; infinite: for the whole run."""
    oom_killed: bool = False
    past: PastStop | None = None
    """This very end, as this program watched it."""
    details: Details | None = None
    """Inspect, while the engine has the container."""
    removed: bool = False


def when(epoch_s: float) -> str:
    """A moment for a person, in UTC."""
    return f"{datetime.fromtimestamp(epoch_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
