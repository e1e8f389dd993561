"""Which changes this program makes, so that it recognises the engine's events of them. No I/O."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from containerlab_tui.services.policy import Operation

KEPT = 500
SKEW_S = 0.5
"""An event may seem to be this much outside its request: a remote engine's clock is known to about this."""


class _Change:
    """A change from `began` to `ended`, epoch seconds."""

    __slots__ = ("began", "container", "ended", "operation")

    def __init__(self, operation: Operation, container: str, began: float) -> None:
        self.operation, self.container, self.began = operation, container, began
        self.ended = math.inf


class OwnChanges:
    """Remembers the latest changes of containers. Its methods may be called from any thread."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives epoch seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._changes: deque[_Change] = deque(maxlen=KEPT)
        self.listeners: list[Callable[[Operation, str, float], object]] = []
        """Called before each request with the operation, the container and the time, in the thread of the request."""

    @contextmanager
    def making(self, operation: Operation, container: str) -> Iterator[None]:
        """Notes a change from its request to the engine's answer."""
        change = _Change(operation, container, self._clock())
        with self._lock:
            self._changes.append(change)
        for listener in self.listeners:
            listener(operation, container, change.began)
        try:
            yield
        finally:
            change.ended = self._clock()

    def at(self, container: str, moment: float) -> Operation | None:
        """Returns what this program was doing to a container at a moment (epoch seconds); None: nothing."""
        with self._lock:
            changes = tuple(self._changes)
        for change in reversed(changes):
            if change.container == container and change.began - SKEW_S <= moment <= change.ended + SKEW_S:
                return change.operation
        return None
