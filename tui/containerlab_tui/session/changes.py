"""Records of changes that the session reports on the UI thread.

Tuples, because they are loaded before the first frame and a data class takes three times as long to define.
"""

from typing import TYPE_CHECKING, NamedTuple

from containerlab_tui.model.inventory import EngineEvent

if TYPE_CHECKING:
    from containerlab_tui.model.stop import StopState


class ContainersChanged(NamedTuple):
    """Containers were added, removed or changed, or their stop reached another phase."""

    ids: frozenset[str]
    """Full ids, including those of removed containers."""


class ContainersLearned(NamedTuple):
    """Details or the effect of the stop signal became known for these containers."""

    ids: frozenset[str]


class LoadsRead(NamedTuple):
    """CPU, memory or IPC figures of these containers were read."""

    ids: frozenset[str]


class EngineDescribed(NamedTuple):
    """The engine's version and location are known."""


class EngineLost(NamedTuple):
    """The connection to the engine was lost; `reason` is a sentence. The session reconnects."""

    reason: str


class EngineFound(NamedTuple):
    """The engine is connected again and all containers were re-read."""


class EngineReported(NamedTuple):
    """The engine reported an event of a container."""

    event: EngineEvent


class SignalsSent(NamedTuple):
    """The list of sent signals, or their results, changed."""


class StopChanged(NamedTuple):
    """A stop in progress has a new state."""

    state: "StopState"


class StopFinished(NamedTuple):
    """A stop has reached its final state."""

    state: "StopState"


class StopLogged(NamedTuple):
    """The container wrote log lines while its stop was in progress."""

    container: str
    lines: tuple[str, ...]


class Notice(NamedTuple):
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
