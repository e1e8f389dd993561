"""Shares one stream of an engine's events among all subscribers."""

import queue
import threading
from collections import deque
from collections.abc import Iterator

from containerlab_tui.model.inventory import EngineEvent

REPLAYED = 1000
"""Events kept for later subscribers; the engine keeps 256 (moby daemon/events)."""
CLOCK_STEP_S = 2.0
"""Events are in the order of time; one that is this much older means that the clock was set back."""


class SharedEvents:
    """An `api.EventSource` that the engine's reader fills. Events continue after a reconnection."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recent: deque[EngineEvent] = deque(maxlen=REPLAYED)
        self._subscribers: set[Subscription] = set()
        self._closed = False

    def publish(self, event: EngineEvent) -> None:
        """Passes an event to every subscriber."""
        with self._lock:
            if self._recent and event.time < self._recent[-1].time - CLOCK_STEP_S:
                self._recent.clear()  # by their times they would be replayed as new
            self._recent.append(event)
            for each in self._subscribers:
                each.put(event)

    def events(self, since: float | None = None) -> "Subscription":
        """Subscribes: yields kept events since that time (epoch seconds), then new ones."""
        made = Subscription(self)
        with self._lock:
            if since is not None:
                for event in self._recent:
                    if event.time >= since:
                        made.put(event)
            if self._closed:
                made.put(None)
            else:
                self._subscribers.add(made)
        return made

    def leave(self, one: "Subscription") -> None:
        """Removes a subscriber."""
        with self._lock:
            self._subscribers.discard(one)

    def close(self) -> None:
        """Ends every subscription, including later ones."""
        with self._lock:
            self._closed = True
            for each in self._subscribers:
                each.put(None)
            self._subscribers.clear()


class Subscription:
    """An `api.EventStream` of one subscriber."""

    def __init__(self, source: SharedEvents) -> None:
        self._source = source
        self._queue: queue.SimpleQueue[EngineEvent | None] = queue.SimpleQueue()

    def put(self, event: EngineEvent | None) -> None:
        """Adds an event; None ends the iteration."""
        self._queue.put(event)

    def __iter__(self) -> Iterator[EngineEvent]:
        while (event := self._queue.get()) is not None:
            yield event

    def close(self) -> None:
        """Ends the iteration, from any thread."""
        self._source.leave(self)
        self.put(None)
