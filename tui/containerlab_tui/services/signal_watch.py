"""What happens to one container's processes, as it is told: by the kernel where it can be traced, else by pidfds
and the engine.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence

from containerlab_probes.errors import ContainerlabError
from containerlab_probes.processes.identity import identify
from containerlab_probes.processes.tree import container_processes, glance, level_of
from containerlab_probes.records import Lost, Process, ProcessId, TracedExit, TracedFork, TraceRecord
from containerlab_probes.signals.exits import ExitWatch
from containerlab_probes.signals.names import number_of
from containerlab_tui.model.inventory import Details, EngineEvent
from containerlab_tui.model.signal_log import Asked, Known, LogRecord, Note, Who
from containerlab_tui.services.kernel_trace import KernelTrace, Record, Recording

WAITING_LIMIT = 100_000
"""What is told and not taken yet; beyond it batches are let go, and counted."""
_LOOK_S = 1.0
"""After a loss processes may be watched of which no fork was told: looked for at most this often."""

NOT_LOCAL = "It runs on another machine."


class SignalWatch:
    """From `open` to `close`, across restarts of the container. Any method may be called from any thread."""

    def __init__(
        self,
        details: Details,
        local: bool = True,
        clock: Callable[[], float] = time.time,
        *,
        record: Record = KernelTrace,
        list_processes: Callable[[ProcessId], Sequence[Process]] = container_processes,
        limit: int = WAITING_LIMIT,
    ) -> None:
        """`local`: its processes run on this kernel."""
        self._details, self._local, self._clock = details, local, clock
        self._record, self._list_processes, self._limit = record, list_processes, limit
        self._changing = threading.Lock()
        self._lock = threading.Lock()
        self._waiting: list[LogRecord] = []
        self._over: int = 0
        self._known: set[int] = set()
        self._level = 0
        self._looked = 0.0
        self._recording: Recording | None = None
        self._exits: ExitWatch | None = None
        self._closed = False
        self.opened = False
        """Whether `open` has come to its end: what happens from now on is told."""
        self.blind = "" if local else NOT_LOCAL
        """Why the kernel's record can't be had, a sentence; empty: it can."""

    @property
    def pid(self) -> int:
        """PID 1 of the container on the host, of the run that is watched."""
        return self._details.pid

    def open(self) -> None:
        """Begin. Not on the UI thread: it takes some 10 ms."""
        with self._changing:
            if self._closed:
                return
            if self._local:
                ids = self._processes()
                self._recording = self._record(ids, self._recorded)
                self.blind = self._recording.blind
                if self.blind:
                    self._recording = None
                    self._watch_exits(ids)
            self.opened = True

    def close(self) -> None:
        """End; nothing stays in the kernel. What has come can still be taken. May be called again."""
        with self._changing:
            self._closed = True
            if self._recording is not None:
                self._recording.close()
            if self._exits is not None:
                self._exits.close()

    def take(self) -> list[LogRecord]:
        """What has been told since the last call, in the order of time."""
        with self._lock:
            told, self._waiting = self._waiting, []
            if self._over:
                told.append(Lost(self._clock(), self._over))
                self._over = 0
        return told

    def happened(self, event: EngineEvent) -> None:
        """The engine's word on the container."""
        if self.blind and event.action == "kill":
            try:
                signal = number_of(event.attributes.get("signal", ""))
            except ContainerlabError:
                return
            self._tell([Asked(event.time, self._details.pid, signal)])
        elif event.action == "die":
            self._tell([Note(event.time, f"container ended, status {event.attributes.get('exitCode', '?')[:5]}")])
        elif event.action == "destroy":
            self._tell([Note(event.time, "container removed")])

    def started_again(self, details: Details) -> None:
        """It has another PID 1. Not on the UI thread."""
        with self._changing:
            if self._closed or details.pid == self._details.pid:
                return
            self._details = details
            self._tell([Note(details.started_at or self._clock(), "started again")])
            if self._local:
                ids = self._processes()
                if self._recording is not None:
                    self._recording.watch(ids)
                else:
                    self._watch_exits(ids)

    def _processes(self) -> list[ProcessId]:
        """Those to be watched now, told as known. Empty: it has ended."""
        try:
            init = identify(self._details.pid)
            self._level = level_of(init.pid)
            ids = [one.id for one in self._list_processes(init)]
        except ContainerlabError:
            return []
        self._tell(self._glances(id.pid for id in ids))
        return ids

    def _glances(self, pids: Iterable[int]) -> list[LogRecord]:
        known = list[LogRecord]()
        for pid in pids:
            self._known.add(pid)
            try:
                known.append(Known(pid, Who(*glance(pid, self._level))))
            except (ContainerlabError, ValueError):
                continue
        return known

    def _tell(self, told: Sequence[LogRecord]) -> None:
        with self._lock:
            if len(self._waiting) > self._limit:
                self._over += len(told)
            else:
                self._waiting += told

    # the kernel's record, in the tracer's thread

    def _recorded(self, records: tuple[TraceRecord, ...]) -> None:
        told: list[LogRecord] = list(records)
        for position in [number for number, one in enumerate(records) if isinstance(one, TracedFork)][::-1]:
            fork = records[position]
            assert isinstance(fork, TracedFork)  # noqa: S101  said above
            told[position:position] = self._glances([fork.pid])
        self._known.difference_update(one.pid for one in records if isinstance(one, TracedExit))
        now = time.monotonic()
        if now - self._looked > _LOOK_S and self._recording is not None:
            self._looked = now
            told += self._glances(self._recording.watched - self._known)
        self._tell(told)

    # without it

    def _watch_exits(self, ids: Iterable[ProcessId]) -> None:
        if self._exits is None:
            self._exits = ExitWatch()
            threading.Thread(target=self._wait, args=(self._exits,), name="exits", daemon=True).start()
        for id in ids:
            try:
                self._exits.add(id)
            except ContainerlabError:
                return

    def _wait(self, watch: ExitWatch) -> None:
        while not self._closed:
            self._tell([TracedExit(one.at, one.id.pid, one.ended_by) for one in watch.wait()])
