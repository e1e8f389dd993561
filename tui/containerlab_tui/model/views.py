"""Records that screens and commands show of signals, IPC and mapped files, with names resolved."""

from dataclasses import dataclass

from containerlab_probes.memory_records import Backing, IpcObject, IpcSnapshot, Mapping
from containerlab_probes.records import Forecast, Process, ProcessId
from containerlab_tui.model.survival import Survival


@dataclass(frozen=True, slots=True)
class Sent:
    """One signal to one process, and its result."""

    container: str
    """Full id."""
    container_name: str
    id: ProcessId
    container_pid: int
    command: str
    signal: int
    at: float
    """Epoch seconds."""
    route: str
    """`pidfd`, or `engine`."""
    forecast: Forecast | None
    observed: str | None = None
    """The result as one clause: `still running`, `exited with code 0`, `terminated by SIGTERM` … None: not yet known,
    or not visible."""
    error: str = ""
    """Why it was not sent."""
    error_status: int = 0
    """The exit status for that error."""


@dataclass(frozen=True, slots=True)
class IpcRow:
    """One IPC object with its creator, its users and what it survives."""

    object: IpcObject
    survives: Survival
    creator: Process | None
    """The process of the container that created it, if it still runs."""
    last_user: Process | None
    users: tuple[Process, ...]


@dataclass(frozen=True, slots=True)
class IpcView:
    """The IPC objects of one container."""

    snapshot: IpcSnapshot
    mode: str
    """private, shareable, host, none, container:NAME"""
    shared_with: tuple[str, ...]
    """Names of the other containers in the same namespace."""
    rows: tuple[IpcRow, ...]


@dataclass(frozen=True, slots=True)
class IpcUse:
    """One IPC object of a container, and its users in all containers of the engine."""

    container: str
    """The name of the container in which it was looked up."""
    object: IpcObject
    users: tuple[tuple[str, Process], ...]
    """The container's name and the process, in order."""
    is_partial: bool = False
    """Whether there may be more users."""


@dataclass(frozen=True, slots=True)
class FileRow:
    """One mapping with its backing storage."""

    mapping: Mapping
    process: Process
    backing: Backing | None
    """None: unknown."""
    host_path: str | None
    """Path of the bytes on the host, or None."""
    survives: Survival
    reason: str = ""
    """Why the backing or the host path is unknown, a sentence; empty if nothing is missing."""


@dataclass(frozen=True, slots=True)
class FilesView:
    """The mapped files of one container."""

    rows: tuple[FileRow, ...]
    unread: tuple[str, ...] = ()
