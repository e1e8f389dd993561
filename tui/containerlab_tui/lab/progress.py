"""Reports the progress of a long job, from several threads."""

import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    step: int
    """Finished steps."""
    total: int
    text: str
    """The current or last step; one line."""


Report = Callable[[Progress], None]


class Steps:
    """Counts and reports steps, one report at a time."""

    def __init__(self, report: Report | None, total: int) -> None:
        self._report, self._total, self._done = report, total, 0
        self._lock = threading.Lock()

    def note(self, text: str) -> None:
        """Reports a text without counting a step."""
        self.skip(0, text)

    def done(self, text: str) -> None:
        self.skip(1, text)

    def skip(self, count: int, text: str) -> None:
        """Counts several steps as done."""
        with self._lock:
            self._done += count
            if self._report is not None:
                self._report(Progress(self._done, self._total, text))
