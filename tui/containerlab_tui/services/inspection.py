"""What a container keeps in memory and shares, with names, owners and survival worked out.

Used by the screens and the commands alike. (contract; filled in next)
"""

from dataclasses import dataclass

from containerlab_probes.records import Backing, IpcObject, IpcSnapshot, Mapping, Process
from containerlab_tui.core.survival import Survival


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
