"""What the session tells whoever shows it: records only, delivered on the UI thread."""

from dataclasses import dataclass

from containerlab_tui.model.inventory import EngineEvent
from containerlab_tui.model.stop import StopState


@dataclass(frozen=True, slots=True)
class ContainersChanged:
    """Containers were added, removed or changed, or a stop of theirs reached another phase."""

    ids: frozenset[str]
    """Full ids, of removed containers too."""


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
    """The engine has answered: its version and place are known."""


@dataclass(frozen=True, slots=True)
class EngineLost:
    """The engine went away; `reason` is a sentence. The session keeps trying."""

    reason: str


@dataclass(frozen=True, slots=True)
class EngineFound:
    """The engine is back and everything is known again."""


@dataclass(frozen=True, slots=True)
class EngineSaid:
    """The engine reported an event of a container."""

    event: EngineEvent


@dataclass(frozen=True, slots=True)
class SignalsSent:
    """The list of sent signals, or their results, changed."""


@dataclass(frozen=True, slots=True)
class StopChanged:
    """A stop in progress has a new state."""

    state: StopState


@dataclass(frozen=True, slots=True)
class StopFinished:
    """A stop has reached its last state."""

    state: StopState


@dataclass(frozen=True, slots=True)
class StopLogged:
    """The container wrote log lines while its stop was in progress."""

    container: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence for the person."""

    sentence: str
    is_error: bool = False


Change = (
    ContainersChanged
    | ContainersLearned
    | LoadsRead
    | EngineDescribed
    | EngineLost
    | EngineFound
    | EngineSaid
    | SignalsSent
    | StopChanged
    | StopFinished
    | StopLogged
    | Notice
)
