"""The facts that a diagnosis is based on: records only."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from containerlab_probes.records import Process
from containerlab_probes.signals.names import SIGKILL
from containerlab_tui.model.ending_records import PastStop
from containerlab_tui.model.inventory import Details
from containerlab_tui.model.product import DOCKER, Product


@dataclass(frozen=True, slots=True)
class EarlySignal:
    """A signal that the engine sent to PID 1 soon after the container's start."""

    at: float
    """Epoch seconds."""
    signal: int


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything known about one running container at one instant."""

    details: Details
    signal: int
    """The number of its stop signal."""
    processes: tuple[Process, ...]
    """Empty if they can't be read; `unseen_reason` says why, or why some are missing."""
    now: float
    """Epoch seconds, when the processes were read."""
    unseen_reason: str = ""
    files: Mapping[tuple[int, str], str] = field(default_factory=dict)
    """Text of the container's files, by host PID and by the path in that process's command line."""
    environments: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    """Environment by host PID, for processes whose behaviour depends on it."""
    cannot_write: frozenset[int] = frozenset()
    """Host PIDs of processes that can't write to their working directory; read only if it matters."""
    go_programs: frozenset[str] = frozenset()
    """Program files that Go's linker made."""
    units: Mapping[str, str] = field(default_factory=dict)
    """The systemd unit that a package installed for a program, by the program's path: the unit's text."""
    clients: int | None = None
    """Connections that its servers have accepted over TCP and Unix sockets; None: not read."""
    unread: tuple[str, ...] = ()
    """Sentences about files that were not read because their file system does not answer."""
    restart_disarmed: bool | None = None
    """The engine has marked it as manually stopped, so its restart policy will not act; None: unknown."""
    history: tuple[PastStop, ...] = ()
    """Earlier stops of this container or image, newest first."""
    early_signals: tuple[EarlySignal, ...] = ()
    """In order of time; PID 1 survived them all."""
    product: Product = DOCKER

    @property
    def root(self) -> Process | None:
        """The process that receives the stop signal: the container's PID 1, whatever its number."""
        return next((one for one in self.processes if one.pid == self.details.pid), None)

    @property
    def sends_stop_signal(self) -> bool:
        """Whether a stop sends the stop signal at all.

        Podman does not with a grace period of 0 s, except a chosen signal: this program sends it by a kill before.
        """
        is_chosen = self.details.stop_signal_source == "request"
        return self.grace_s != 0 or self.product.signals_without_grace or is_chosen

    @property
    def first_signal(self) -> int:
        """The signal that a stop sends first: the stop signal, where it is sent at all."""
        return self.signal if self.sends_stop_signal else SIGKILL

    @property
    def grace_s(self) -> float:
        """The grace period in seconds; infinite if the container has no limit."""
        return float("inf") if self.details.stop_timeout_s < 0 else float(self.details.stop_timeout_s)
