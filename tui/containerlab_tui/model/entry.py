"""A way to enter a container, and the result."""

from dataclasses import dataclass
from enum import StrEnum


class Way(StrEnum):
    """How a container is entered."""

    CONFINED = "confined"
    """Inside its confinement, through the engine."""
    HOST_TOOLS = "host-tools"
    """As root in its namespaces, from the host."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What to run in a container, and with which rights."""

    way: Way = Way.CONFINED
    command: tuple[str, ...] = ()
    """Empty: the first shell found."""
    user: str = ""
    """Only inside its confinement; empty: the container's user."""
    host_files: bool = False
    """Only with the host's tools: keep the host's files, and do not enter the mount namespace."""
    full_rights: bool = False
    """Only with the host's tools: keep all capabilities and the host's user namespace, ignore no_new_privs."""


@dataclass(frozen=True, slots=True)
class Shells:
    """The shells of a container's image."""

    found: tuple[str, ...] = ()
    """Paths in the container, the preferred one first."""
    unknown: str = ""
    """A sentence that says why they could not be looked up; empty if they were."""
    can_trace: bool = False
    """Whether programs of the container may have CAP_SYS_PTRACE."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A session in a container that has ended."""

    status: int
    """The exit status of its program, as a shell gives it."""
    sentences: tuple[str, ...]
    """How it ended, and the processes that it left behind."""
