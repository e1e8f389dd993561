"""Brings the engine's records from its reader's threads to the UI thread, several at once if they arrive fast."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from containerlab_tui.model.inventory import EngineRecord


class QueueHost(Protocol):
    """The part of the session that the queue uses."""

    def deliver(self, callback: Callable[[], object]) -> None: ...
    def later(self, delay_s: float, callback: Callable[[], object]) -> None: ...


class RecordQueue:
    """Records that wait to be added to the store."""

    def __init__(self, host: QueueHost, fold: "Callable[[Sequence[EngineRecord]], bool]", draw_every_s: float) -> None:
        """`fold` adds records to the store on the UI thread and returns whether containers changed.

        Changes of containers are reported at most every `draw_every_s`; the first of several at once.
        """
        self._host, self._fold, self._draw_every_s = host, fold, draw_every_s
        self._records: list[EngineRecord] = []
        self._lock = threading.Lock()
        self._drawn_at = -math.inf
        """When the last records that changed containers were taken (time.monotonic)."""

    def post(self, record: "EngineRecord") -> None:
        """Queues a record, from any thread; records that arrive together are added together."""
        with self._lock:
            self._records.append(record)
            is_first = len(self._records) == 1
        if is_first:
            self._host.deliver(self._take)

    def _take(self) -> None:
        """Adds the waiting records now, or soon: changes that follow each other fast are drawn together."""
        wait_s = self._drawn_at + self._draw_every_s - time.monotonic()
        if wait_s > 0:
            self._host.later(wait_s, self._take_now)
        else:
            self._take_now()

    def _take_now(self) -> None:
        with self._lock:
            records, self._records = self._records, []
        began = time.monotonic()
        if self._fold(records):
            self._drawn_at = began
