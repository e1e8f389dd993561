"""Background threads, and an engine for each thread that asks one.

Thread workers of Textual share asyncio's default executor: few run at a time, and quitting waits for all. These are
daemon threads instead.
"""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from containerlab_tui.engine.api import Engine

MOST_THREADS = 24
"""Questions that run at the same time."""


class Pool:
    """Daemon threads that are begun when there is work and no idle one, and never ended."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0
        """Idle threads minus jobs that none has taken yet."""
        self._threads = 0

    def submit(self, job: Callable[[], None]) -> None:
        with self._lock:
            self._waiting -= 1
            begin = self._waiting < 0 and self._threads < MOST_THREADS
            if begin:
                self._threads += 1
                self._waiting += 1
        self._jobs.put(job)
        if begin:
            threading.Thread(target=self._work, name="ask", daemon=True).start()

    def _work(self) -> None:
        while True:
            self._jobs.get()()
            with self._lock:
                self._waiting += 1


class Engines:
    """An engine object for each thread that asks: they must not be shared."""

    def __init__(self, factory: "Callable[[], Engine]") -> None:
        self._factory = factory
        self._own = threading.local()

    def here(self) -> "Engine":
        """The calling thread's own engine, made when first asked for. Never on the UI thread: it imports docker."""
        engine: Engine | None = getattr(self._own, "engine", None)
        if engine is None:
            engine = self._own.engine = self._factory()
        return engine
