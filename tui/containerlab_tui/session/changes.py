"""Records of changes that the session reports on the UI thread."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from containerlab_tui.model.inventory import EngineEvent

if TYPE_CHECKING:
    from containerlab_tui.model.stop import StopState


@dataclass(frozen=True, slots=True)
class ContainersChanged:
    """Containers were added, removed or changed, or their stop reached another phase."""

    ids: frozenset[str]
    """Full ids, including those of removed containers."""


@dataclass(frozen=True, slots=True)
class ContainersLearned:
    """Details or the effect of the stop signal became known for these containers."""

    ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class LoadsRead:
    """CPU, memory or IPC figures of these containers were read."""

    ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class EngineDescribed:
    """The engine's version and location are known."""


@dataclass(frozen=True, slots=True)
class EngineLost:
    """The connection to the engine was lost; `reason` is a sentence. The session reconnects."""

    reason: str


@dataclass(frozen=True, slots=True)
class EngineFound:
    """The engine is connected again and all containers were re-read."""


@dataclass(frozen=True, slots=True)
class EngineReported:
    """The engine reported an event of a container."""

    event: EngineEvent


@dataclass(frozen=True, slots=True)
class SignalsSent:
    """The list of sent signals, or their results, changed."""


@dataclass(frozen=True, slots=True)
class StopChanged:
    """A stop in progress has a new state."""

    state: "StopState"


@dataclass(frozen=True, slots=True)
class StopFinished:
    """A stop has reached its final state."""

    state: "StopState"


@dataclass(frozen=True, slots=True)
class StopLogged:
    """The container wrote log lines while its stop was in progress."""

    container: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence for the user."""

    sentence: str
    is_error: bool = False


Change = (
    ContainersChanged
    | ContainersLearned
    | LoadsRead
    | EngineDescribed
    | EngineLost
    | EngineFound
    | EngineReported
    | SignalsSent
    | StopChanged
    | StopFinished
    | StopLogged
    | Notice
)
