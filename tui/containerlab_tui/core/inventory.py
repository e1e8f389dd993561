"""The containers of one engine: a snapshot, folded with the engine's events. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Container:
    """A line of the engine's list (GET /containers/json)."""

    id: str
    name: str
    image: str
    state: str
    """created, running, paused, restarting, removing, exited or dead."""
    status: str
    """The engine's own words, e.g. `Exited (137) 2 minutes ago`."""
    command: str
    created: float
    """Epoch seconds."""
    ports: tuple[str, ...] = ()
    """e.g. `127.0.0.1:8080->80/tcp`."""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MountPoint:
    kind: str
    """bind, volume or tmpfs."""
    source: str
    target: str
    writable: bool
    name: str = ""
    """Of a volume."""


@dataclass(frozen=True, slots=True)
class Details:
    """What inspect adds, as far as this program uses it."""

    id: str
    name: str
    image: str
    state: str
    pid: int
    """PID 1 on the host; 0 when it is not running."""
    exit_code: int
    oom_killed: bool
    started_at: float | None
    finished_at: float | None
    argv: tuple[str, ...]
    """Path and arguments of PID 1 as configured."""
    tty: bool
    stop_signal: str
    """Effective, as a name: SIGTERM where nothing else is set or what is set doesn't parse."""
    stop_signal_source: str
    """`container` (container or image StopSignal) or `default`."""
    stop_timeout_s: int
    """Effective: 10 where the container has none; negative: for ever."""
    stop_timeout_source: str
    """`container` or `default`."""
    restart_policy: str
    """no, always, unless-stopped, on-failure."""
    ipc_mode: str
    """private, shareable, host, none, or container:ID."""
    pid_mode: str
    init: bool
    shm_bytes: int
    cgroup_parent: str
    merged_dir: str
    upper_dir: str
    mounts: tuple[MountPoint, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    environment: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """One container event of the engine's stream."""

    time: float
    """Epoch seconds with nanosecond source (timeNano)."""
    action: str
    """start, die, stop, kill, rename, destroy, exec_create …; what follows a colon is cut off."""
    container: str
    """Full id."""
    name: str
    image: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    """As the engine gave them: `signal` and `exitCode` among them."""
