"""Runs a kernel trace of signals, or says why tracing is not available."""

from collections.abc import Callable, Iterable
from typing import Protocol

from containerlab_probes.errors import ContainerlabError
from containerlab_probes.records import ProcessId, TraceRecord
from containerlab_probes.trace.tracer import Tracer


class Recording(Protocol):
    """A kernel trace as services use it; tests pass their own."""

    no_trace_reason: str

    def watch(self, ids: Iterable[ProcessId]) -> None: ...

    @property
    def watched(self) -> frozenset[int]: ...

    def close(self) -> None: ...


Record = Callable[[Iterable[ProcessId], Callable[[tuple[TraceRecord, ...]], None]], Recording]
"""Starts a trace of these processes that calls back with its records."""


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
        """Adds these processes to the trace."""
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
