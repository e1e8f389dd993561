"""What the doctor is told about one container: records only."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from containerlab_probes.records import Process
from containerlab_tui.model.ending_records import PastStop
from containerlab_tui.model.inventory import Details


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
