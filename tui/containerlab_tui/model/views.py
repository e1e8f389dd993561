"""What the screens and the commands show of signals, IPC and mapped files: records with names worked out."""

from dataclasses import dataclass

from containerlab_probes.records import (
    Backing,
    Forecast,
    IpcObject,
    IpcSnapshot,
    Mapping,
    Process,
    ProcessId,
)
from containerlab_tui.model.survival import Survival


@dataclass(frozen=True, slots=True)
class Sent:
    """One signal to one process, and what came of it."""

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
    """What came of it, one clause: `still there`, `ended with status 0`, `ended by SIGTERM`, `no longer catches
    SIGTERM` … None: not looked yet, or it can't be seen."""
    error: str = ""
    """A sentence where it was not sent."""
    error_status: int = 0
    """The exit status that stands for that error."""


@dataclass(frozen=True, slots=True)
class IpcRow:
    """One IPC object with what it outlives and whose it is."""

    object: IpcObject
    survives: Survival
    creator: Process | None
    """The process of the container that made it, where it still runs."""
    last_user: Process | None
    users: tuple[Process, ...]


@dataclass(frozen=True, slots=True)
class IpcView:
    snapshot: IpcSnapshot
    mode: str
    """private, shareable, host, none, container:NAME"""
    shared_with: tuple[str, ...]
    """Names of the other containers in the same namespace."""
    rows: tuple[IpcRow, ...]


@dataclass(frozen=True, slots=True)
class FileRow:
    """One mapping with where its bytes live."""

    mapping: Mapping
    process: Process
    backing: Backing | None
    """None: could not be told."""
    host_path: str | None
    """Where the host finds the bytes; None where there is no such path."""
    survives: Survival


@dataclass(frozen=True, slots=True)
class FilesView:
    rows: tuple[FileRow, ...]
    unread: tuple[str, ...] = ()
