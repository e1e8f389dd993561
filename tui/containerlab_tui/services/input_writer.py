"""Writes input to a program in a separate thread: one that never reads must not hold the user's terminal."""

import queue
import threading
from collections.abc import Callable

from containerlab_probes.errors import ContainerlabError

MOST_BYTES = 64 * 1024
"""Input that waits for the program; the kernel and the engine keep some more."""


class InputWriter:
    """Takes input without blocking, and drops it with one sentence while too much waits."""

    def __init__(self, write: Callable[[bytes], None], tell: Callable[[str], None]) -> None:
        """`write` may block, and raises ContainerlabError; `tell` shows a sentence, from any thread."""
        self._write, self._tell = write, tell
        self._waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._bytes = 0
        self._lock = threading.Lock()
        self._is_dropping = False
        threading.Thread(target=self._run, name="input", daemon=True).start()

    def put(self, data: bytes) -> None:
        """Queues input."""
        with self._lock:
            fits = self._bytes + len(data) <= MOST_BYTES
            is_first_drop = not fits and not self._is_dropping
            self._is_dropping = not fits
            if fits:
                self._bytes += len(data)
                self._waiting.put(data)
        if is_first_drop:
            self._tell("The program does not read its input: what is typed now is dropped.")

    def close(self) -> None:
        """Ends the thread once it has written what it has; the end of the stream wakes a write that blocks."""
        self._waiting.put(b"")

    def _run(self) -> None:
        while data := self._waiting.get():
            try:
                self._write(data)
            except ContainerlabError as error:
                self._tell(str(error))
            except Exception as error:  # noqa: BLE001  a defect of ours must not end the thread
                self._tell(f"unexpected {type(error).__name__}: {error}")
            with self._lock:
                self._bytes -= len(data)
