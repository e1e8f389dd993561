"""Starting a trace within a time limit."""

import threading
from collections.abc import Callable, Iterable

from containerlab_probes.records import ProcessId
from containerlab_probes.trace_records import LostEvents, TraceRecord
from containerlab_tui.services.kernel_trace import Recording, start_within
from tests.support.docker import eventually

IDS = (ProcessId(500, 10),)
GENEROUS_S = 60.0


class Played:
    """A trace that starts when the test says so."""

    no_trace_reason = ""
    watched: frozenset[int] = frozenset({500})

    def __init__(self) -> None:
        self.may_start = threading.Event()
        self.closed = threading.Event()
        self.tell: Callable[[tuple[TraceRecord, ...]], None] = lambda records: None

    def record(self, ids: Iterable[ProcessId], on_records: Callable[[tuple[TraceRecord, ...]], None]) -> Recording:
        assert self.may_start.wait(GENEROUS_S)
        self.tell = on_records
        on_records((LostEvents(1.0, 1),))
        return self

    def watch(self, ids: Iterable[ProcessId]) -> None: ...

    def close(self) -> None:
        self.closed.set()


def test_a_trace_that_starts_in_time_is_used() -> None:
    played, got = Played(), list[tuple[TraceRecord, ...]]()
    played.may_start.set()
    assert start_within(GENEROUS_S, played.record, IDS, got.append) is played
    assert len(got) == 1
    assert not played.closed.is_set()


def test_a_trace_that_starts_too_late_is_given_up_and_closed() -> None:
    played, got = Played(), list[tuple[TraceRecord, ...]]()
    recording = start_within(0.01, played.record, IDS, got.append)
    assert recording.no_trace_reason == "it did not start within 0.01 s"
    assert recording.watched == frozenset()
    recording.close()
    played.may_start.set()
    eventually(played.closed.is_set, "the late trace is closed")
    assert got == []


def test_a_defect_of_the_trace_is_a_reason() -> None:
    def record(ids: object, on_records: object) -> Recording:
        raise ValueError("no such field")

    assert start_within(GENEROUS_S, record, IDS, print).no_trace_reason == "unexpected ValueError: no such field"
