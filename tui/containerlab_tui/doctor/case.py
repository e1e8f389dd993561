"""A question of the doctor with its facts, and the helpers that all its parts share."""

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
    """The facts, the depth in the process tree, and a way to ask about another process."""

    facts: Facts
    answer: Ask
    depth: int = 0

    def ask(self, process: Process, signal: int, group: bool = False) -> Outcome:
        """Returns the outcome of a signal for another process; `group`: its children receive it too."""
        return self.answer(replace(self, depth=self.depth + 1), process, signal, group)

    def children(self, process: Process) -> tuple[Process, ...]:
        """Returns the living children of a process, oldest first."""
        found = [one for one in self.facts.processes if one.parent_pid == process.pid and one.state not in ("Z", "X")]
        return tuple(sorted(found, key=lambda one: (one.id.started, one.container_pid)))

    def age_s(self, process: Process) -> float:
        """Returns the age of a process in seconds."""
        return max(0.0, self.facts.now - process.started_at)

    def text(self, process: Process, path: str) -> str | None:
        """Returns a file of the container, by the path in that process's command line."""
        return self.facts.files.get((process.pid, path))

    def environment(self, process: Process, name: str) -> str:
        """Returns an environment variable of a process, or an empty string."""
        return self.facts.environments.get(process.pid, {}).get(name, "")

    def forecast(self, process: Process, signal: int) -> Forecast:
        """Predicts by the kernel's rules what a signal does to a process."""
        return forecast(process, signal, self.children(process))


@dataclass(frozen=True, slots=True)
class Handler:
    """How a program handles a signal, and whether it then exits."""

    exits: bool | None
    """None: unknown."""
    why: str
    takes_s: float = 0.3
    raises_again: bool = False
    """It restores the default action and signals itself, which terminates any process except a namespace's init."""
    by_exception: bool = False
    """The program exits through an exception in its main thread, then waits for its threads and children."""


def connected(clients: int | None) -> str:
    """States how many clients are connected."""
    return "1 client is connected" if clients == 1 else f"{clients or 'no'} clients are connected"


def lowest(*levels: Confidence) -> Confidence:
    """Returns the lowest of several levels of confidence."""
    return min(levels, key=_ORDER.index)


def described(process: Process) -> str:
    """Names a process in an evidence sentence."""
    return f"process {process.container_pid} ({process.argv[0] if process.argv else process.name})"


_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([smhd]?)")
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds_left(case: Case, process: Process) -> float | None:
    """Returns after how many seconds a process that only waits exits on its own; None: unknown or never."""
    name, words = catalogue.program_name(process), process.argv[1:]
    if words and name == words[0]:
        words = words[1:]  # busybox sleep 5
    if name == "sleep" and words:
        return _remaining(case, process, words)
    if name == "timeout":
        durations = [word for word in words if _DURATION.fullmatch(word)]
        return _remaining(case, process, durations[:1]) if durations else None
    return None


def _remaining(case: Case, process: Process, words: tuple[str, ...] | list[str]) -> float | None:
    total = 0.0
    for word in words:
        found = _DURATION.fullmatch(word)
        if found is None:
            return None
        total += seconds(found[1]) * _UNITS[found[2]]
    return total - case.age_s(process) if total else None
