"""What the screens know about every container, put together from several feeds. No widget, no clock of its own."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from containerlab_probes.records import Forecast, Overview
from containerlab_tui.core.inventory import Container, Details

RUNNING = frozenset({"running", "paused", "restarting"})


@dataclass(frozen=True, slots=True)
class Load:
    """CPU as a share of one core, in percent (None: seen only once so far), and memory in bytes."""

    cpu_percent: float | None
    memory_bytes: int


@dataclass(slots=True)
class Knowledge:
    """Containers by full id, and what was found out about each since it last started."""

    containers: dict[str, Container] = field(default_factory=dict)
    details: dict[str, Details] = field(default_factory=dict)
    forecasts: dict[str, Forecast] = field(default_factory=dict)
    """Of PID 1, for the container's stop signal."""
    blind: dict[str, str] = field(default_factory=dict)
    """Why there is no forecast, a sentence."""
    overviews: dict[str, Overview] = field(default_factory=dict)
    loads: dict[str, Load] = field(default_factory=dict)
    begun: dict[str, float] = field(default_factory=dict)
    """Epoch seconds of the last start or end, as near as it is known."""

    def replace_containers(self, containers: Iterable[Container], now: float) -> frozenset[str]:
        """Take over the engine's list; answers the ids that were added, removed or changed."""
        old, new = self.containers, {one.id: one for one in containers}
        changed = frozenset(one for one in old.keys() | new.keys() if old.get(one) != new.get(one))
        self.containers = new
        for one in changed:
            before, after = old.get(one), new.get(one)
            if after is None or before is None or before.state != after.state:
                self.forget(one)
            if after is not None:
                self._estimate(after, now)
        return changed

    def forget(self, container: str) -> None:
        """Drop what was true of its last run."""
        for known in (self.details, self.forecasts, self.blind, self.overviews, self.loads, self.begun):
            known.pop(container, None)

    def learn(self, details: Details) -> None:
        """Take over what inspect said."""
        self.details[details.id] = details
        moment = details.started_at if details.state in RUNNING else details.finished_at
        if moment is not None:
            self.begun[details.id] = moment

    def by_name(self, name: str) -> Container | None:
        return next((one for one in self.containers.values() if one.name == name), None)

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
            if (ended or one.state in RUNNING or one.state == "removing") and (not wanted or wanted in haystack(one))
        ]
        return sorted(chosen, key=lambda one: (one.state not in RUNNING, natural(one.name)))

    def _estimate(self, one: Container, now: float) -> None:
        if one.id not in self.begun:
            seconds = engine_age(one.status)
            if seconds is not None:
                self.begun[one.id] = now - seconds


def haystack(one: Container) -> str:
    """What a filter looks through."""
    return "\n".join((one.name, one.image, one.command, one.state, one.status)).casefold()


def natural(name: str) -> tuple[tuple[bool, int, str], ...]:
    """A key that sorts `web-9` before `web-10`."""
    parts = re.split(r"(\d+)", name.casefold())
    return tuple((part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts)


_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800, "month": 2592000, "year": 31536000}
_AGE = re.compile(r"(about an?|less than an?|an?|\d+)\s+(second|minute|hour|day|week|month|year)s?", re.IGNORECASE)


def engine_age(status: str) -> float | None:
    """Seconds out of the engine's words: `Up 3 minutes`, `Exited (0) About an hour ago` (go-units duration.go)."""
    found = _AGE.search(status)
    if found is None:
        return None
    count, unit = found.groups()
    if count.lower().startswith("less"):
        return 0.0
    return float(count if count.isdecimal() else 1) * _UNITS[unit.lower()]


_EXITED = re.compile(r"\((\d+)\)")


def engine_exit_code(status: str) -> int | None:
    """The code in `Exited (137) 5 minutes ago`."""
    found = _EXITED.search(status)
    return int(found.group(1)) if found else None
