"""Kernel trace records as events of a stop: each kind, the noise, unknown processes."""

import signal
from dataclasses import replace

import pytest

from containerlab_probes.records import Dispositions, Process, ProcessId
from containerlab_probes.trace_records import (
    LostEvents,
    SignalResult,
    Taken,
    TracedDelivery,
    TracedExec,
    TracedExit,
    TracedFork,
    TracedSignal,
    TraceRecord,
)
from containerlab_tui.model.kernel_trace import NOISE, as_stop_event, kernel_result, sender
from containerlab_tui.model.product import sends_for_engine
from containerlab_tui.model.stop import Kind, Source, StopEvent

AT = 1000.5
TERM = int(signal.SIGTERM)
INIT = Process(
    ProcessId(500, 10), 1, 400, AT - 60, "S", 0, "root", "app", ("app",), threads=1, dispositions=Dispositions()
)
KNOWN = {500: INIT}
SENT = TracedSignal(AT, 900, "dockerd", 500, TERM, SignalResult.QUEUED, 0, group=True)


def known(kind: Kind, number: int | None = None, detail: str = "") -> StopEvent:
    return StopEvent(AT, kind, Source.KERNEL, INIT.id, 1, number, None, detail)


def later(kind: Kind, number: int | None = None, ended_by: int | str | None = None, detail: str = "") -> StopEvent:
    """Of a process that was not there when the stop began."""
    return StopEvent(AT, kind, Source.KERNEL, None, None, number, ended_by, detail)


@pytest.mark.parametrize(
    ("record", "event"),
    [
        (SENT, known(Kind.SIGNAL, TERM, "queued, from dockerd [900]")),
        (
            replace(SENT, result=SignalResult.IGNORED),
            known(Kind.SIGNAL, TERM, "discarded, from dockerd [900]"),
        ),
        (
            replace(SENT, result=SignalResult.ALREADY_PENDING),
            known(Kind.SIGNAL, TERM, "merged with a pending one, from dockerd [900]"),
        ),
        (
            replace(SENT, result=SignalResult.OVERFLOW, signal=40),
            known(Kind.SIGNAL, 40, "discarded: queue full, from dockerd [900]"),
        ),
        (
            replace(SENT, sender_pid=500, sender_name="runc"),
            known(Kind.SIGNAL, TERM, "queued, from the container's runc [500]"),
        ),
        (
            replace(SENT, pid=777),
            later(Kind.SIGNAL, TERM, detail="queued, from dockerd [900]; host PID 777, started later"),
        ),
        (TracedDelivery(AT, 500, TERM, Taken.HANDLER), known(Kind.DELIVERED, TERM, "its handler runs")),
        (
            TracedDelivery(AT, 777, TERM, Taken.HANDLER),
            later(Kind.DELIVERED, TERM, detail="its handler runs; host PID 777, started later"),
        ),
        (TracedDelivery(AT, 500, TERM, Taken.DEFAULT), None),
        (TracedDelivery(AT, 500, TERM, Taken.IGNORED), None),
        (TracedExit(AT, 500, 0), StopEvent(AT, Kind.ENDED, Source.KERNEL, INIT.id, 1, None, 0)),
        (TracedExit(AT, 500, None), None),
        (TracedExit(AT, 777, 3), later(Kind.ENDED, ended_by=3, detail="host PID 777, started later")),
        (TracedExit(AT, 777, "SIGKILL"), later(Kind.ENDED, ended_by="SIGKILL", detail="host PID 777, started later")),
        (TracedExit(AT, 777, None), later(Kind.ENDED, detail="host PID 777, started later")),
        (TracedFork(AT, 500, 777), None),
        (TracedExec(AT, 500, "/bin/sh"), None),
        (LostEvents(AT, 5), None),
    ],
)
def test_each_kind_of_record(record: TraceRecord, event: StopEvent | None) -> None:
    assert as_stop_event(record, KNOWN) == event


@pytest.mark.parametrize("number", sorted(signal.valid_signals()))
def test_only_noise_is_left_out(number: int) -> None:
    noise = number in (signal.SIGCHLD, signal.SIGURG)
    assert (number in NOISE) == noise
    assert (as_stop_event(replace(SENT, signal=int(number)), KNOWN) is None) == noise
    assert (as_stop_event(TracedDelivery(AT, 500, int(number), Taken.HANDLER), KNOWN) is None) == noise


@pytest.mark.parametrize(
    ("record", "who"),
    [
        (SENT, "dockerd [900]"),
        (replace(SENT, sender_name=""), "an exited process [900]"),
        (replace(SENT, sender_pid=0, sender_name=""), "the kernel"),
        (replace(SENT, sender_pid=0, code=-2), "the kernel"),
        (replace(SENT, code=128), "the kernel, for dockerd [900]"),
        (replace(SENT, code=-6), "dockerd [900]"),
    ],
)
def test_senders(record: TracedSignal, who: str) -> None:
    assert sender(record) == who


def taken(how: Taken, pid: int = 500, number: int = TERM) -> TracedDelivery:
    return TracedDelivery(AT + 1, pid, number, how)


@pytest.mark.parametrize(
    ("records", "clause"),
    [
        ((), ""),
        ((SENT,), "queued"),
        ((SENT, taken(Taken.HANDLER)), "its handler runs"),
        ((SENT, taken(Taken.DEFAULT)), "default action"),
        ((SENT, taken(Taken.IGNORED)), "ignored"),
        ((replace(SENT, result=SignalResult.IGNORED),), "discarded"),
        ((replace(SENT, pid=777),), ""),
        ((replace(SENT, signal=1),), ""),
        ((SENT, taken(Taken.HANDLER, pid=777)), "queued"),
        ((SENT, taken(Taken.HANDLER, number=1)), "queued"),
        ((SENT, TracedExit(AT, 500, 0), LostEvents(AT, None)), "queued"),
    ],
)
def test_result_of_one_signal_to_one_process(records: tuple[TraceRecord, ...], clause: str) -> None:
    assert kernel_result(records, 500, TERM) == clause


@pytest.mark.parametrize("name", ["runc", "3"])
def test_a_program_of_the_container_is_no_engine(name: str) -> None:
    for pid, expected in ((900, True), (500, False)):
        event = as_stop_event(replace(SENT, sender_pid=pid, sender_name=name), KNOWN)
        assert event is not None
        assert sends_for_engine(event.sender) is expected
