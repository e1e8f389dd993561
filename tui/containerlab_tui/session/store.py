"""The state of all containers: the inventory, and results of probes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from containerlab_tui.model.inventory import LISTED, REMOVED, RUNNING, Container, Details, Inventory, fold, ordered

if TYPE_CHECKING:
    from containerlab_probes.memory_records import Overview
    from containerlab_probes.records import Forecast, HostLoad
    from containerlab_tui.model.inventory import EngineRecord


@dataclass(frozen=True, slots=True)
class ShownContainer:
    """The container shown in the tabs."""

    container: Container
    details: Details | None
    """None until inspected."""
    unseen_reason: str = ""
    """Why its processes and memory are unreadable (not running, remote engine); empty if readable."""


class StopEffect(NamedTuple):
    """A reading of PID 1 for the container's stop signal. Belongs to one run of a container."""

    pid: int
    """Host PID of PID 1."""
    at: float
    """When the reading began, of time.monotonic: the newer reading counts."""
    forecast: "Forecast | None" = None
    is_suspended: bool = False
    unread: str = ""
    """Why there is no forecast, or why it is unknown; empty if all was read."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """The results of inspecting one container."""

    container: str
    details: Details | None = None
    """None if it was removed."""
    effect: StopEffect | None = None
    unread: str = ""
    """Why it could not be inspected; empty if it was, or was removed."""


@dataclass(frozen=True, slots=True)
class Load:
    """CPU as a share of one core, in percent (None: not read twice so far), and memory in bytes (None: unread)."""

    cpu_percent: float | None
    memory_bytes: int | None


@dataclass(slots=True)
class Store:
    """Everything by full id. Results of probes are valid for one run of a container and dropped with it."""

    inventory: Inventory = field(default_factory=Inventory)
    effects: dict[str, StopEffect] = field(default_factory=dict)
    """The newest reading, whoever read it."""
    uninspected: dict[str, str] = field(default_factory=dict)
    """Why containers could not be inspected."""
    overviews: "dict[str, Overview]" = field(default_factory=dict)
    loads: dict[str, Load] = field(default_factory=dict)
    host: "HostLoad | None" = None
    """Usage of this machine; None: not read, or the engine is on another one."""
    stopping: dict[str, str] = field(default_factory=dict)
    """The phase of a stop in progress, in words."""

    @property
    def containers(self) -> Mapping[str, Container]:
        return self.inventory.containers

    @property
    def details(self) -> Mapping[str, Details]:
        return self.inventory.details

    def take(self, record: "EngineRecord") -> frozenset[str]:
        """Adds one record of the engine's reader. Returns the ids that it changed."""
        before = self.inventory
        self.inventory, changed = fold(before, record)
        for one in changed:
            if _run(before, one) != _run(self.inventory, one):
                self.effects.pop(one, None)
                self.overviews.pop(one, None)
                self.loads.pop(one, None)
        return changed

    def learn(self, found: Iterable[Details]) -> None:
        """Adds details of containers that have none, unless the list already shows another state."""
        containers, known = self.inventory.containers, self.inventory.details
        fresh = {
            one.id: one
            for one in found
            if one.id not in known and one.id in containers and containers[one.id].state == one.state
        }
        if fresh:
            self.inventory = replace(self.inventory, details={**known, **fresh})

    def add_inspected(self, found: "Sequence[Inspected]") -> frozenset[str]:
        """Adds results for several containers, ignoring those of removed ones, of earlier runs, and older ones.

        Returns the ids of the containers about which something new is known.
        """
        before = self.details
        self.learn(one.details for one in found if one.details is not None)
        changed = {one.container for one in found if before.get(one.container) != self.details.get(one.container)}
        for one in found:
            if one.unread and one.container in self.containers:
                self.uninspected[one.container] = one.unread
                changed.add(one.container)
            elif one.details is not None:
                self.uninspected.pop(one.container, None)
            details, known = self.details.get(one.container), self.effects.get(one.container)
            if one.effect is None or details is None or details.pid != one.effect.pid:
                continue
            if known is None or known.at <= one.effect.at:
                self.effects[one.container] = one.effect
                if known is None or known._replace(at=one.effect.at) != one.effect:
                    changed.add(one.container)
        return frozenset(changed)

    def subject(self, container: Container, local: bool) -> "ShownContainer":
        """Returns a container for the tabs; `local`: its processes run on this kernel."""
        unseen_reason = ""
        if container.state not in RUNNING:
            unseen_reason = "Not running: no processes or memory to show. Press S to start it."
        elif not local:
            unseen_reason = "The container runs on another machine: its processes and memory cannot be read."
        return ShownContainer(container, self.details.get(container.id), unseen_reason)

    def named(self, container: str) -> str:
        """Returns a container's name, or the start of its id if the name is unknown."""
        known = self.containers.get(container)
        return known.name if known else container[:12]

    def counts(self) -> tuple[int, int]:
        """Returns the numbers of running (including paused and restarting) and stopped containers."""
        running = sum(one.state in RUNNING for one in self.containers.values())
        return running, len(self.containers) - running

    def order(self, ended: bool, needle: str = "", held: Container | None = None) -> list[Container]:
        """Returns containers, running ones first, by name; `needle` must occur in name, image, command or status.

        `held` is the record of a container from when the cursor came to it: it stays where it was, whatever happens to
        it, so that a key acts on no other container. If it was removed it has the state `removed`, and is left out if
        it would be the only one.
        """
        wanted = needle.casefold()
        chosen = [
            one
            for one in self.containers.values()
            if (ended or one.state in LISTED) and (not wanted or wanted in haystack(one))
        ]
        if held is not None and all(one.id != held.id for one in chosen):
            known = self.containers.get(held.id)
            if known is not None or chosen:
                chosen.append(known or replace(held, state=REMOVED, status=""))
        return ordered(chosen, held)


def _run(inventory: Inventory, one: str) -> tuple[str, float | None] | None:
    """Returns a value that differs between runs of a container."""
    container, details = inventory.containers.get(one), inventory.details.get(one)
    if container is None:
        return None
    return ("up" if container.state in RUNNING else "ended", details.started_at if details else None)


def haystack(one: Container) -> str:
    """Returns the text that a filter searches."""
    return "\n".join((one.name, one.image, one.command, one.state, one.status)).casefold()
