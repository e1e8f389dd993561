"""How far a long piece of work has come, told from several threads."""

import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    step: int
    """Steps that are done."""
    total: int
    text: str
    """What is being done, or has just been; one line."""


Report = Callable[[Progress], None]


class Steps:
    """Counts steps and reports each; a report is never made from two threads at once."""

    def __init__(self, report: Report | None, total: int) -> None:
        self._report, self._total, self._done = report, total, 0
        self._lock = threading.Lock()

    def note(self, text: str) -> None:
        """Say what is being done; no step is done by it."""
        self.skip(0, text)

    def done(self, text: str) -> None:
        self.skip(1, text)

    def skip(self, count: int, text: str) -> None:
        """So many steps are done."""
        with self._lock:
            self._done += count
            if self._report is not None:
                self._report(Progress(self._done, self._total, text))
