"""Turns kernel trace records into events of a stop and into words for one signal."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from containerlab_probes.records import Process
from containerlab_probes.trace_records import SignalResult, Taken, TracedDelivery, TracedExit, TracedSignal, TraceRecord
from containerlab_tui.model.product import sends_for_engine
from containerlab_tui.model.stop import Kind, Source, StopEvent

SIGCHLD, SIGURG = 17, 23
NOISE = frozenset((SIGCHLD, SIGURG))
"""Caused by every child's exit and by Go's scheduler; irrelevant to a stop."""

RESULTS = {
    SignalResult.QUEUED: "queued",
    SignalResult.IGNORED: "discarded",
    SignalResult.ALREADY_PENDING: "merged with a pending one",
    SignalResult.OVERFLOW: "discarded: queue full",
}
TAKEN = {
    Taken.HANDLER: "its handler runs",
    Taken.DEFAULT: "default action",
    Taken.IGNORED: "ignored",
}


def as_stop_event(record: TraceRecord, known: Mapping[int, Process]) -> StopEvent | None:
    """Converts one record; None if it is irrelevant to a stop.

    `known` are the container's processes by host PID; other processes were started during the stop.
    """
    match record:
        case TracedSignal():
            if record.signal in NOISE:
                return None
            origin = sender(record)
            if record.sender_pid in known and sends_for_engine(origin):  # one that was there when the stop began
                origin = f"the container's {origin}"
            detail = f"{RESULTS[record.result]}, from {origin}"
            event = _event(record.at, Kind.SIGNAL, record.pid, known, signal=record.signal, detail=detail)
            return replace(event, sender=origin)
        case TracedDelivery():
            if record.signal in NOISE or record.taken is not Taken.HANDLER:
                return None
            detail = TAKEN[record.taken]
            return _event(record.at, Kind.DELIVERED, record.pid, known, signal=record.signal, detail=detail)
        case TracedExit():
            if record.pid in known and record.ended_by is None:
                return None  # its pidfd will report the status
            return _event(record.at, Kind.ENDED, record.pid, known, ended_by=record.ended_by)
        case _:
            return None


def sender(record: TracedSignal) -> str:
    """Names the sender: a program with its host PID, or the kernel."""
    if record.sender_pid == 0:
        return "the kernel"
    name = f"{record.sender_name or 'an exited process'} [{record.sender_pid}]"
    return f"the kernel, for {name}" if record.by_kernel else name


def kernel_result(records: Iterable[TraceRecord], pid: int, signal: int) -> str:
    """Returns what the kernel did with a signal to one process; empty if the trace doesn't show it."""
    clause = ""
    for record in records:
        if isinstance(record, TracedSignal) and (record.pid, record.signal) == (pid, signal):
            clause = RESULTS[record.result]
        if isinstance(record, TracedDelivery) and (record.pid, record.signal) == (pid, signal):
            return TAKEN[record.taken]
    return clause


def _event(
    at: float,
    kind: Kind,
    pid: int,
    known: Mapping[int, Process],
    *,
    signal: int | None = None,
    ended_by: int | str | None = None,
    detail: str = "",
) -> StopEvent:
    process = known.get(pid)
    if process is None:
        detail = f"{detail}; host PID {pid}, started later".lstrip("; ")
    return StopEvent(
        at=at,
        kind=kind,
        source=Source.KERNEL,
        id=process.id if process else None,
        container_pid=process.container_pid if process else None,
        signal=signal,
        ended_by=ended_by,
        detail=detail,
    )
