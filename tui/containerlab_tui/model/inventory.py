"""The containers of one engine: a snapshot, folded with the engine's events.

Events carry the time at which they happened, responses the time of the request. Of two records about one container the
later wins, whatever order they arrive in.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from containerlab_tui.model.product import DOCKER, Product

CREATED, UP, PAUSED, RESTARTING = "created", "running", "paused", "restarting"
REMOVING, EXITED, DEAD = "removing", "exited", "dead"
"""The engine's names of a container's states (moby container/state.go)."""
HAS_PROCESSES = frozenset({UP, PAUSED})
"""States in which PID 1 exists."""
RUNNING = HAS_PROCESSES | {RESTARTING}
"""States in which PID 1 runs, or will run again on its own."""
LISTED = RUNNING | {REMOVING}
"""States of the containers that are always listed."""
ENDED = frozenset({EXITED, DEAD})
"""States of the containers that have run and will not run again on their own."""
REMOVED = "removed"
"""The state of a container that the engine has no longer: this program's own word."""


@dataclass(frozen=True, slots=True)
class Container:
    """A row of the engine's list (GET /containers/json)."""

    id: str
    name: str
    image: str
    state: str
    """created, running, paused, restarting, removing, exited or dead."""
    status: str
    """The engine's text, for example `Exited (137) 2 minutes ago`."""
    command: str
    created: float
    """Epoch seconds."""
    ports: tuple[str, ...] = ()
    """For example `127.0.0.1:8080->80/tcp`."""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MountPoint:
    """A mount of a container."""

    kind: str
    """bind, volume or tmpfs."""
    source: str
    target: str
    name: str = ""
    """The volume's name."""


@dataclass(frozen=True, slots=True)
class Details:
    """The fields of inspect that this program uses."""

    id: str
    name: str
    image: str
    state: str
    pid: int
    """Host PID of PID 1; 0 if it is not running."""
    exit_code: int
    oom_killed: bool
    started_at: float | None
    finished_at: float | None
    argv: tuple[str, ...]
    """Path and arguments of PID 1 as configured."""
    tty: bool
    stop_signal: str
    """Effective signal name: SIGTERM if none is set or it can't be parsed."""
    stop_signal_source: str
    """`container` (container or image StopSignal) or `default`."""
    stop_timeout_s: int
    """Effective grace period: 10 if none is set; negative: no limit."""
    stop_timeout_source: str
    """`container` or `default`."""
    restart_policy: str
    """no, always, unless-stopped, on-failure."""
    ipc_mode: str
    """private, shareable, host, none, or container:ID."""
    pid_mode: str
    init: bool
    shm_bytes: int
    upper_dir: str
    mounts: tuple[MountPoint, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    environment: tuple[str, ...] = ()
    auto_remove: bool = False
    """It is removed when it stops (`docker run --rm`)."""
    restart_count: int = 0
    """How often in a row its restart policy has restarted it."""
    error: str = ""
    """Why the engine could not start it."""
    memory_bytes: int = 0
    """Its memory limit; 0: none."""
    lower_dir: str = ""
    """The layers of its image, the topmost first, separated by colons."""
    asked_to_stop: bool | None = None
    """Whether the engine recorded a request to stop or kill its last run; None: it records none, or it runs."""
    restart_disarmed: bool | None = None
    """Whether the engine recorded a request to stop or kill this run, which its restart policy obeys; None: unknown."""
    health: str = ""
    """What its health check found last: starting, healthy, unhealthy; empty: it has none."""
    open_input: bool = False
    """Its standard input is open (`docker run --interactive`)."""


HEALTH = "health"
"""The attribute of a `health_status` event that has the result of the health check."""
UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """One container event of the engine's stream."""

    time: float
    """Epoch seconds with nanosecond source (timeNano)."""
    action: str
    """start, die, stop, kill, rename, destroy, exec_create …; text after a colon is cut off."""
    container: str
    """Full id."""
    name: str
    image: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    """The engine's attributes, `signal` and `exitCode` among them."""


@dataclass(frozen=True, slots=True)
class EngineVersion:
    """An engine's version and configuration."""

    version: str
    api: tuple[int, int]
    """(1, 41) for API 1.41."""
    product: Product = DOCKER


# Records that a reader delivers about an engine


@dataclass(frozen=True, slots=True)
class Connected:
    """The engine responds, for the first time or again; a snapshot follows."""

    version: EngineVersion
    endpoint: str
    local: bool
    """Whether its containers run on this kernel."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole list at one moment."""

    containers: tuple[Container, ...]
    at: float
    """Epoch seconds, just before the request."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a container, whether its row changes or not."""

    event: EngineEvent


@dataclass(frozen=True, slots=True)
class Changed:
    """A container's row and details, requested after an event."""

    container: Container | None
    """Its row; None: it has been removed."""
    details: Details | None
    event: EngineEvent
    at: float
    """Epoch seconds, just before the request."""

    @property
    def id(self) -> str:
        """The container's full id."""
        return self.event.container


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The engine is unreachable. The sentence is shown to the user."""

    sentence: str


EngineRecord = Connected | Snapshot | Event | Changed | Disconnected


@dataclass(frozen=True, slots=True)
class Inventory:
    """The known containers."""

    containers: Mapping[str, Container] = field(default_factory=dict)
    """By full id."""
    details: Mapping[str, Details] = field(default_factory=dict)
    stale: bool = False
    """The engine is unreachable; this is the last known state."""
    moments: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """When (id, `state` or `name`) was last set; infinite after a removal."""
    asked_at: float = 0.0
    """When the last snapshot was requested; it includes all older events."""


def ordered(containers: Iterable[Container], held: Container | None = None) -> list[Container]:
    """Returns running containers first, each part by name. Screens and commands share this order.

    `held` is the earlier record of one of them, which keeps its place. So does a container that is being removed.
    """

    def place(one: Container) -> tuple[bool, tuple[tuple[bool, int, str], ...], str]:
        placed = held if held is not None and held.id == one.id else one
        return (placed.state not in LISTED, natural(placed.name), placed.id)

    return sorted(containers, key=place)


@lru_cache(maxsize=2048)
def natural(name: str) -> tuple[tuple[bool, int, str], ...]:
    """Returns a key that sorts `web-9` before `web-10`."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return tuple((part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts)


NEVER_AGAIN = float("inf")
REMOVED_KEPT = 200
"""Removed containers whose ids are kept, so that a late record doesn't bring them back; ids are never reused."""
_STATES = {
    "create": CREATED,
    "start": UP,
    "restart": UP,
    "unpause": UP,
    "pause": PAUSED,
    "die": EXITED,
    "stop": EXITED,
}
"""The state after an action. `stop` may arrive before or after `die`."""


def fold(inventory: Inventory, record: EngineRecord) -> tuple[Inventory, frozenset[str]]:
    """Returns the inventory after one more record, and the ids of the changed containers."""
    match record:
        case Snapshot():
            return _fold_snapshot(inventory, record)
        case Event(event):
            return _fold_event(inventory, event)
        case Changed():
            return _fold_changed(inventory, record)
        case Disconnected():
            return replace(inventory, stale=True), frozenset(inventory.containers)
        case Connected():
            return inventory, frozenset()


def _fold_snapshot(inventory: Inventory, record: Snapshot) -> tuple[Inventory, frozenset[str]]:
    """Folds in a snapshot; details are kept only if they can't have changed: same state and no gap."""
    old, new = inventory.containers, {one.id: one for one in record.containers}
    kept = {
        one: details
        for one, details in inventory.details.items()
        if one in new and details.state == new[one].state and not (inventory.stale and details.state in RUNNING)
    }
    changed = {one for one in old.keys() | new.keys() if inventory.stale or old.get(one) != new.get(one)}
    return Inventory(new, kept, asked_at=record.at), frozenset(changed)


def _fold_changed(inventory: Inventory, record: Changed) -> tuple[Inventory, frozenset[str]]:
    one = record.id
    if record.container is None:
        return _without(inventory, one)
    if record.at < max(_decided(inventory, one, "state"), _decided(inventory, one, "name")):
        return inventory, frozenset()  # a newer event has arrived; its own answer follows
    containers = {**inventory.containers, one: record.container}
    details = inventory.details if record.details is None else {**inventory.details, one: record.details}
    moments = {**inventory.moments, (one, "state"): record.at, (one, "name"): record.at}
    changed = inventory.containers.get(one) != record.container or inventory.details.get(one) != details.get(one)
    return replace(inventory, containers=containers, details=details, moments=moments), _only(one, changed)


def _fold_event(inventory: Inventory, event: EngineEvent) -> tuple[Inventory, frozenset[str]]:
    one = event.container
    if event.action == "destroy":
        return _without(inventory, one)
    facet = "name" if event.action == "rename" else "state" if event.action in _STATES else ""
    if not facet or event.time < _decided(inventory, one, facet):
        return inventory, frozenset()
    before = inventory.containers.get(one) or Container(one, event.name, event.image, CREATED, "", "", event.time)
    details = inventory.details.get(one)
    if facet == "name":
        after = replace(before, name=event.name)
        details = details and replace(details, name=event.name)
    else:
        after = replace(before, state=_STATES[event.action])
        details = details and _details_after(details, event)
    result = replace(
        inventory,
        containers={**inventory.containers, one: after},
        details=inventory.details if details is None else {**inventory.details, one: details},
        moments={**inventory.moments, (one, facet): event.time},
    )
    return result, _only(one, after != inventory.containers.get(one) or details != inventory.details.get(one))


def _details_after(details: Details, event: EngineEvent) -> Details:
    """Returns the details after an event; an event doesn't carry the PID of a new start."""
    state = _STATES[event.action]
    if event.action == "die":
        code = event.attributes.get("exitCode", "")
        exit_code = int(code) if code.isdecimal() else details.exit_code
        return replace(details, state=state, pid=0, exit_code=exit_code, finished_at=event.time)
    if event.action == "start":
        return replace(details, state=state, pid=0, started_at=event.time, oom_killed=False)
    return replace(details, state=state)


def _without(inventory: Inventory, one: str) -> tuple[Inventory, frozenset[str]]:
    known = one in inventory.containers
    result = replace(
        inventory,
        containers={id: line for id, line in inventory.containers.items() if id != one},
        details={id: details for id, details in inventory.details.items() if id != one},
        moments=_moments_without(inventory, one),
    )
    return result, _only(one, known)


def _moments_without(inventory: Inventory, one: str) -> dict[tuple[str, str], float]:
    """Returns the moments after a removal, without those of containers that were removed long ago."""
    moments = {key: at for key, at in inventory.moments.items() if key[0] != one}
    removed = [key for key, at in moments.items() if at == NEVER_AGAIN]
    for key in removed[: max(0, len(removed) - 2 * (REMOVED_KEPT - 1))]:
        del moments[key]
    return {**moments, (one, "state"): NEVER_AGAIN, (one, "name"): NEVER_AGAIN}


def _decided(inventory: Inventory, one: str, facet: str) -> float:
    return inventory.moments.get((one, facet), inventory.asked_at)


def _only(one: str, changed: bool) -> frozenset[str]:
    return frozenset((one,)) if changed else frozenset()
