"""Background threads, and an engine for each thread that asks one.

Thread workers of Textual share asyncio's default executor: few run at a time, and quitting waits for all. These are
daemon threads instead.
"""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar

from containerlab_probes.errors import ContainerlabError

if TYPE_CHECKING:
    from containerlab_tui.engine.api import Engine

T = TypeVar("T")

MOST_THREADS = 24
"""Questions that run at the same time."""


class Pool:
    """Daemon threads that are started when there is work and no idle one, and never ended."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0
        """Idle threads minus jobs that none has taken yet."""
        self._threads = 0

    def submit(self, job: Callable[[], None]) -> None:
        """Runs the job as soon as a thread is free."""
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


pool = Pool()
"""Shared by everything in this program that asks questions."""


def in_own_thread(job: Callable[[], None]) -> None:
    """Runs a job that mostly waits, as a stop does: so that it does not occupy a thread of the pool."""
    threading.Thread(target=job, name="wait", daemon=True).start()


def attempt(
    work: Callable[[], T],
    done: Callable[[T], object],
    failed: Callable[[ContainerlabError], object],
) -> None:
    """Calls `work` and passes its result to `done`, or its error to `failed`; nothing else leaves this function."""
    try:
        result = work()
    except ContainerlabError as error:
        failed(error)
    except Exception as error:  # noqa: BLE001  a defect of ours must not end a thread in silence
        failed(unexpected(error))
    else:
        done(result)


def unexpected(error: Exception) -> ContainerlabError:
    """Returns a defect of this program as an error with a sentence."""
    return ContainerlabError(f"unexpected {type(error).__name__}: {error}")


class Engines:
    """An engine object for each thread that asks: they must not be shared."""

    def __init__(self, factory: "Callable[[], Engine]") -> None:
        self._factory = factory
        self._own = threading.local()

    def here(self) -> "Engine":
        """Returns the calling thread's engine, made when first asked for. Never on the UI thread: it imports docker."""
        engine: Engine | None = getattr(self._own, "engine", None)
        if engine is None:
            engine = self._own.engine = self._factory()
        return engine
