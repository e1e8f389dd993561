"""What the screens know about every container: the inventory, and what probes found out. No widget, no clock."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from containerlab_tui.model.inventory import LISTED, RUNNING, Container, Details, Inventory, fold, ordered

if TYPE_CHECKING:
    from containerlab_probes.records import Forecast, HostLoad, Overview
    from containerlab_tui.model.inventory import FeedRecord


@dataclass(frozen=True, slots=True)
class Subject:
    """The container that the tabs show."""

    container: Container
    details: Details | None
    """None: the engine has not answered yet."""
    blind: str = ""
    """Why its processes and memory can't be read (not running, remote engine); empty: they can."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found out about one container."""

    container: str
    details: Details | None = None
    """None: it has gone."""
    forecast: "Forecast | None" = None
    blind: str = ""
    """Why there is no forecast."""


@dataclass(frozen=True, slots=True)
class Load:
    """CPU as a share of one core, in percent (None: seen only once so far), and memory in bytes."""

    cpu_percent: float | None
    memory_bytes: int


@dataclass(slots=True)
class Store:
    """Everything by full id. What probes found out holds for one run of a container and is forgotten with it."""

    inventory: Inventory = field(default_factory=Inventory)
    forecasts: "dict[str, Forecast]" = field(default_factory=dict)
    """Of PID 1, for the container's stop signal."""
    blind: dict[str, str] = field(default_factory=dict)
    """Why there is no forecast, a sentence."""
    overviews: "dict[str, Overview]" = field(default_factory=dict)
    loads: dict[str, Load] = field(default_factory=dict)
    host: "HostLoad | None" = None
    """What this machine uses; None: not read, or the engine is on another one."""
    stopping: dict[str, str] = field(default_factory=dict)
    """Where a stop that is under way has come to, in words."""

    @property
    def containers(self) -> Mapping[str, Container]:
        return self.inventory.containers

    @property
    def details(self) -> Mapping[str, Details]:
        return self.inventory.details

    def take(self, record: "FeedRecord") -> frozenset[str]:
        """Fold one record of the engine's feed; answers the ids that it changed."""
        before = self.inventory
        self.inventory, changed = fold(before, record)
        for one in changed:
            if _run(before, one) != _run(self.inventory, one):
                self.forecasts.pop(one, None)
                self.blind.pop(one, None)
                self.overviews.pop(one, None)
                self.loads.pop(one, None)
        return changed

    def learn(self, found: Iterable[Details]) -> None:
        """Take over what inspect said where nothing is known and the list does not say otherwise by now."""
        containers, known = self.inventory.containers, self.inventory.details
        fresh = {
            one.id: one
            for one in found
            if one.id not in known and one.id in containers and containers[one.id].state == one.state
        }
        if fresh:
            self.inventory = replace(self.inventory, details={**known, **fresh})

    def learn_found(self, found: "Sequence[Found]") -> None:
        """Takes over the findings about several containers, each only as far as the container is still known."""
        self.learn(one.details for one in found if one.details is not None)
        for one in found:
            if one.forecast is not None and one.container in self.details:
                self.forecasts[one.container] = one.forecast
            if one.blind:
                self.blind[one.container] = one.blind

    def subject(self, container: Container, local: bool) -> "Subject":
        """Returns a container as the tabs show it; `local`: its processes run on this kernel."""
        blind = ""
        if container.state not in RUNNING:
            blind = "Not running: no processes or memory to show. Press S to start it."
        elif not local:
            blind = "It runs on another machine, where this program cannot read processes and memory."
        return Subject(container, self.details.get(container.id), blind)

    def named(self, container: str) -> str:
        """Its name, or the start of its id where it is not known."""
        known = self.containers.get(container)
        return known.name if known else container[:12]

    def counts(self) -> tuple[int, int]:
        """Running (paused and restarting ones too) and ended."""
        running = sum(one.state in RUNNING for one in self.containers.values())
        return running, len(self.containers) - running

    def order(self, ended: bool, needle: str = "") -> list[Container]:
        """Running ones first, by name; `needle` must occur in the name, image, command or status."""
        wanted = needle.casefold()
        chosen = [
            one
            for one in self.containers.values()
            if (ended or one.state in LISTED) and (not wanted or wanted in haystack(one))
        ]
        return ordered(chosen)


def _run(inventory: Inventory, one: str) -> tuple[str, float | None] | None:
    """What tells one run of a container from another."""
    container, details = inventory.containers.get(one), inventory.details.get(one)
    if container is None:
        return None
    return ("up" if container.state in RUNNING else "ended", details.started_at if details else None)


def haystack(one: Container) -> str:
    """What a filter looks through."""
    return "\n".join((one.name, one.image, one.command, one.state, one.status)).casefold()
