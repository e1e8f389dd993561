"""One question of the doctor, with the facts at hand, and the small answers that all its parts need. Pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from containerlab_probes.records import Forecast, Process
from containerlab_probes.signals.forecast import forecast
from containerlab_tui.doctor.bounds import seconds
from containerlab_tui.doctor.facts import Facts
from containerlab_tui.doctor.programs import catalogue
from containerlab_tui.model.diagnosis import Confidence, Outcome

_ORDER = (Confidence.GUESS, Confidence.LIKELY, Confidence.CERTAIN)

Ask = Callable[["Case", Process, int, bool], Outcome]


@dataclass(frozen=True, slots=True)
class Case:
    """The facts, how deep in the tree of processes the question stands, and how to ask about another process."""

    facts: Facts
    answer: Ask
    depth: int = 0

    def ask(self, process: Process, signal: int, group: bool = False) -> Outcome:
        """What becomes of another process that gets a signal; `group`: its children get it as well."""
        return self.answer(replace(self, depth=self.depth + 1), process, signal, group)

    def children(self, process: Process) -> tuple[Process, ...]:
        """Its living children, the oldest first."""
        found = [one for one in self.facts.processes if one.parent_pid == process.pid and one.state not in ("Z", "X")]
        return tuple(sorted(found, key=lambda one: (one.id.started, one.container_pid)))

    def age_s(self, process: Process) -> float:
        return max(0.0, self.facts.now - process.started_at)

    def text(self, process: Process, path: str) -> str | None:
        """A file of the container, by the path in that process's command line."""
        return self.facts.files.get((process.pid, path))

    def environment(self, process: Process, name: str) -> str:
        return self.facts.environments.get(process.pid, {}).get(name, "")

    def forecast(self, process: Process, signal: int) -> Forecast:
        return forecast(process, signal, self.children(process))


@dataclass(frozen=True, slots=True)
class Handler:
    """One way in which a program takes a signal, and what comes of it."""

    ends: bool | None
    """None: can't be told."""
    why: str
    takes_s: float = 0.3
    raises_again: bool = False
    """It restores the default action and signals itself: that ends a process, but no init of a namespace."""
    by_exception: bool = False
    """The program ends by an exception in its main thread, and then waits for its threads and children."""


def lowest(*several: Confidence) -> Confidence:
    return min(several, key=_ORDER.index)


def described(process: Process) -> str:
    """A process in an evidence sentence."""
    return f"process {process.container_pid} ({process.argv[0] if process.argv else process.name})"


_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([smhd]?)")
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def ends_by_itself(case: Case, process: Process) -> float | None:
    """In how many seconds a process that only waits will be done; None: not known, or never."""
    name, words = catalogue.program_name(process), process.argv[1:]
    if words and name == words[0]:
        words = words[1:]  # busybox sleep 5
    if name == "sleep" and words:
        return _left(case, process, words)
    if name == "timeout":
        durations = [word for word in words if _DURATION.fullmatch(word)]
        return _left(case, process, durations[:1]) if durations else None
    return None


def _left(case: Case, process: Process, words: tuple[str, ...] | list[str]) -> float | None:
    total = 0.0
    for word in words:
        found = _DURATION.fullmatch(word)
        if found is None:
            return None
        total += seconds(found[1]) * _UNITS[found[2]]
    return total - case.age_s(process) if total else None
