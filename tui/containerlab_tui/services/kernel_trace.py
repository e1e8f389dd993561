"""Runs a kernel trace of signals, or says why tracing is not available."""

import queue
import threading
from collections.abc import Callable, Iterable
from typing import Protocol

from containerlab_probes.errors import ContainerlabError
from containerlab_probes.records import ProcessId
from containerlab_probes.trace.tracer import Tracer
from containerlab_probes.trace_records import TraceRecord


class Recording(Protocol):
    """A kernel trace as services use it; tests pass their own."""

    no_trace_reason: str

    def watch(self, ids: Iterable[ProcessId]) -> None: ...

    @property
    def watched(self) -> frozenset[int]: ...

    def close(self) -> None: ...


Record = Callable[[Iterable[ProcessId], Callable[[tuple[TraceRecord, ...]], None]], Recording]
"""Starts a trace of these processes that calls back with its records."""

START_S = 0.5
"""A stop on a screen waits this long for its trace to start, then goes on without it. It takes 0.1 to 0.4 s."""


class KernelTrace:
    """Traces from its creation to `close`. `no_trace_reason` says why nothing is recorded; empty if all is."""

    def __init__(self, ids: Iterable[ProcessId], on_records: Callable[[tuple[TraceRecord, ...]], None]) -> None:
        """`on_records` is called in the tracer's thread, with records sorted by time."""
        self._tracer: Tracer | None = None
        tracer = Tracer()
        self.no_trace_reason = tracer.available()
        if self.no_trace_reason:
            return
        try:
            tracer.watch(ids)
            tracer.start(on_records)
        except ContainerlabError as error:
            self.no_trace_reason = str(error)
            tracer.close()
        else:
            self._tracer = tracer

    def watch(self, ids: Iterable[ProcessId]) -> None:
        """Adds these processes to the trace. Raises `Denied` if others may enter their namespace unseen."""
        if self._tracer is not None:
            self._tracer.watch(ids)

    @property
    def watched(self) -> frozenset[int]:
        """The host PIDs of the traced processes."""
        return frozenset() if self._tracer is None else self._tracer.watched

    def close(self) -> None:
        if self._tracer is not None:
            self._tracer.close()
            self._tracer = None


class NoTrace:
    """Records nothing, and says why."""

    def __init__(self, reason: str) -> None:
        self.no_trace_reason = reason
        self.watched: frozenset[int] = frozenset()

    def watch(self, ids: Iterable[ProcessId]) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Does nothing."""


def start_within(
    limit_s: float,
    record: Record,
    ids: Iterable[ProcessId],
    on_records: Callable[[tuple[TraceRecord, ...]], None],
) -> Recording:
    """Starts a trace, or returns a NoTrace after `limit_s`; a trace that starts later is closed at once."""
    started: queue.SimpleQueue[Recording] = queue.SimpleQueue()
    is_late = threading.Event()
    lock = threading.Lock()

    def pass_on(records: tuple[TraceRecord, ...]) -> None:
        if not is_late.is_set():
            on_records(records)

    def work() -> None:
        try:
            recording: Recording = record(ids, pass_on)
        except Exception as error:  # noqa: BLE001  a defect of the trace must not hold up the stop
            recording = NoTrace(f"unexpected {type(error).__name__}: {error}")
        with lock:
            if not is_late.is_set():
                started.put(recording)
                return
        recording.close()

    threading.Thread(target=work, name="trace-start", daemon=True).start()
    try:
        return started.get(timeout=limit_s)
    except queue.Empty:
        with lock:
            is_late.set()
        return NoTrace(f"it did not start within {limit_s:g} s") if started.empty() else started.get()
