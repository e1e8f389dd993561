"""Records signals and exits in one container: from the kernel trace, or else from pidfds and the engine."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence

from containerlab_probes.errors import ContainerlabError
from containerlab_probes.processes.tree import level_of, pid_and_name, process_ids
from containerlab_probes.records import ContainerRun, ProcessId
from containerlab_probes.signals.exits import ExitWatch
from containerlab_probes.signals.names import number_of
from containerlab_probes.trace_records import LostEvents, TracedExit, TracedFork, TraceRecord
from containerlab_tui.model.inventory import Details, EngineEvent
from containerlab_tui.model.signal_log import Asked, Known, LogRecord, Note, Who
from containerlab_tui.services.kernel_trace import KernelTrace, Record, Recording
from containerlab_tui.services.processes import run_of

WAITING_LIMIT = 100_000
"""Records kept until they are taken; further batches are dropped and counted."""
_SEARCH_S = 1.0
"""Shortest time between two searches for processes whose fork was lost."""

NOT_LOCAL = "It runs on another machine."


class SignalWatch:
    """Watches from `open` to `close`, across restarts of the container. Thread-safe."""

    def __init__(
        self,
        details: Details,
        local: bool = True,
        clock: Callable[[], float] = time.time,
        *,
        record: Record = KernelTrace,
        list_ids: Callable[[ContainerRun], tuple[Sequence[ProcessId], str]] = process_ids,
        limit: int = WAITING_LIMIT,
    ) -> None:
        """`local`: its processes run on this kernel."""
        self._details, self._local, self._clock = details, local, clock
        self._record, self._list_ids, self._limit = record, list_ids, limit
        self._changing = threading.Lock()
        self._lock = threading.Lock()
        self._waiting: list[LogRecord] = []
        self._over: int = 0
        self._known: set[int] = set()
        self._level = 0
        self._searched_at = 0.0
        self._recording: Recording | None = None
        self._exits: ExitWatch | None = None
        self._closed = False
        self.opened = False
        """Whether `open` has finished: everything from now on is recorded."""
        self.no_trace_reason = "" if local else NOT_LOCAL
        """Why there is no kernel trace, a sentence; empty if there is one."""

    @property
    def pid(self) -> int:
        """The host PID of PID 1 in the watched run."""
        return self._details.pid

    def open(self) -> None:
        """Starts watching. Takes some 10 ms: not on the UI thread."""
        with self._changing:
            if self._closed:
                return
            if self._local:
                ids = self._processes()
                self._recording = self._record(ids, self._recorded)
                self.no_trace_reason = self._recording.no_trace_reason
                if self.no_trace_reason:
                    self._recording = None
                    self._watch_exits(ids)
            self.opened = True

    def close(self) -> None:
        """Ends the watch and leaves nothing in the kernel. Records can still be taken. May be called twice."""
        with self._changing:
            self._closed = True
            if self._recording is not None:
                self._recording.close()
            if self._exits is not None:
                self._exits.close()

    def take(self) -> list[LogRecord]:
        """Returns the records since the last call, sorted by time."""
        with self._lock:
            records, self._waiting = self._waiting, []
            if self._over:
                records.append(LostEvents(self._clock(), self._over))
                self._over = 0
        return records

    def happened(self, event: EngineEvent) -> None:
        """Adds an event of the engine."""
        if self.no_trace_reason and event.action == "kill":
            if "signal" not in event.attributes:  # Podman's have none
                self._add([Note(event.time, "the engine sent PID 1 a signal; its event does not name it")])
                return
            try:
                signal = number_of(event.attributes["signal"])
            except ContainerlabError:
                return
            self._add([Asked(event.time, self._details.pid, signal)])
        elif event.action == "die":
            self._add([Note(event.time, f"container stopped, exit code {event.attributes.get('exitCode', '?')[:5]}")])
        elif event.action == "destroy":
            self._add([Note(event.time, "container removed")])

    def started_again(self, details: Details) -> None:
        """Watches the container's new PID 1. Not on the UI thread."""
        with self._changing:
            if self._closed or details.pid == self._details.pid:
                return
            self._details = details
            self._add([Note(details.started_at or self._clock(), "restarted")])
            if self._local:
                ids = self._processes()
                if self._recording is not None:
                    try:
                        self._recording.watch(ids)
                    except ContainerlabError as error:
                        self._add([Note(self._clock(), f"processes that enter it later are not traced: {error}")])
                else:
                    self._watch_exits(ids)

    def _processes(self) -> Sequence[ProcessId]:
        """Returns the current processes and adds their names; empty if the container has stopped."""
        try:
            run = run_of(self._details)
            self._level = level_of(run.init.pid)
            ids, unread = self._list_ids(run)
        except ContainerlabError:
            return ()
        if unread:
            self._add([Note(self._clock(), unread)])
        self._add(self._glances(id.pid for id in ids))
        return ids

    def _glances(self, pids: Iterable[int]) -> list[LogRecord]:
        known = list[LogRecord]()
        for pid in pids:
            self._known.add(pid)
            try:
                known.append(Known(pid, Who(*pid_and_name(pid, self._level))))
            except (ContainerlabError, ValueError):
                continue
        return known

    def _add(self, records: Sequence[LogRecord]) -> None:
        with self._lock:
            if len(self._waiting) > self._limit:
                self._over += len(records)
            else:
                self._waiting += records

    # the kernel trace, in the tracer's thread

    def _recorded(self, records: tuple[TraceRecord, ...]) -> None:
        merged: list[LogRecord] = list(records)
        for position in [number for number, one in enumerate(records) if isinstance(one, TracedFork)][::-1]:
            fork = records[position]
            assert isinstance(fork, TracedFork)  # noqa: S101  # nosec B101 # for mypy: selected above
            merged[position:position] = self._glances([fork.pid])
        self._known.difference_update(one.pid for one in records if isinstance(one, TracedExit))
        now = time.monotonic()
        if now - self._searched_at > _SEARCH_S and self._recording is not None:
            self._searched_at = now
            merged += self._glances(self._recording.watched - self._known)
        self._add(merged)

    # without a kernel trace

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
            self._add([TracedExit(one.at, one.id.pid, one.ended_by) for one in watch.wait()])
