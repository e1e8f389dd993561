"""Events of threads become records of processes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containerlab_probes.signals.exits import ended_by
from containerlab_probes.trace.ring_buffer import Delivered, Ended, Event, Execed, Generated, NewTask
from containerlab_probes.trace.watched import EnteredProcess, WatchedProcesses
from containerlab_probes.trace_records import (
    SignalResult,
    Taken,
    TracedDelivery,
    TracedExec,
    TracedExit,
    TracedFork,
    TracedSignal,
    TraceRecord,
)

NAMES = {900: (900, "bash"), 901: (900, "bash")}
ENTERED = {50: EnteredProcess(50, frozenset({50, 51}), 10)}
HANDLER = 0x400000


def watched_processes() -> WatchedProcesses:
    """Process 10 with its threads 10 and 11 is watched."""
    made = WatchedProcesses(NAMES.get, ENTERED.get)
    made.add(10, (10, 11), 10, "init")
    return made


def fold(*events: Event) -> list[TraceRecord]:
    return watched_processes().fold(events, 0)


def at(ns: int) -> float:
    return ns / 1e9


def test_a_signal_to_a_thread_is_one_to_its_process_and_the_sender_is_a_process_too() -> None:
    assert fold(Generated(5, 901, 11, 15, -6, False, 1)) == [
        TracedSignal(at(5), 900, "bash", 10, 15, SignalResult.IGNORED, -6, False)
    ]


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (0, SignalResult.QUEUED),
        (1, SignalResult.IGNORED),
        (2, SignalResult.ALREADY_PENDING),
        (3, SignalResult.OVERFLOW),
        (4, SignalResult.QUEUED),
    ],
)
def test_results(result: int, said: SignalResult) -> None:
    (record,) = fold(Generated(5, 900, 10, 34, 0, True, result))
    assert isinstance(record, TracedSignal)
    assert record.result is said


def test_signals_between_unwatched_processes_are_omitted() -> None:
    assert fold(Generated(5, 10, 999, 15, 0, True, 0), Generated(6, 900, 901, 15, 0, True, 0)) == []


def test_a_sender_forked_during_the_trace_is_known_after_its_exit() -> None:
    events: list[Event] = [
        NewTask(1, 800, 801, "dockerd", False),
        Execed(2, 801, 801, "/usr/bin/runc-with-a-long-name"),
        NewTask(3, 801, 802, "runc", True),
        Generated(4, 802, 10, 15, 0, True, 0),
        Ended(5, 802, 0),
        Ended(6, 801, 0),
        Generated(7, 801, 10, 15, 0, True, 0),
    ]
    assert fold(*events) == [
        TracedSignal(at(4), 801, "runc-with-a-lon", 10, 15, SignalResult.QUEUED, 0, True),
        TracedSignal(at(7), 801, "", 10, 15, SignalResult.QUEUED, 0, True),
    ]


def test_senders() -> None:
    kill, fault, timer = fold(
        Generated(1, 900, 10, 15, 0, True, 0),
        Generated(2, 10, 10, 11, 1, False, 0),
        Generated(3, 0, 10, 14, -2, True, 0),
    )
    assert [isinstance(one, TracedSignal) and one.by_kernel for one in (kill, fault, timer)] == [False, True, True]


def test_deliveries() -> None:
    assert fold(
        Delivered(1, 11, 10, HANDLER), Delivered(2, 10, 15, 0), Delivered(3, 10, 1, 1), Delivered(4, 9, 1, 0)
    ) == [
        TracedDelivery(at(1), 10, 10, Taken.HANDLER),
        TracedDelivery(at(2), 10, 15, Taken.DEFAULT),
        TracedDelivery(at(3), 10, 1, Taken.IGNORED),
    ]


def test_a_process_is_killed_once_and_exits_with_its_last_thread() -> None:
    assert fold(Delivered(1, 11, 9, 0), Delivered(2, 10, 9, 0), Ended(3, 10, 9), Ended(4, 11, 9)) == [
        TracedDelivery(at(1), 10, 9, Taken.DEFAULT),
        TracedExit(at(4), 10, "SIGKILL"),
    ]


def test_forks_are_watched_and_threads_belong_to_their_process() -> None:
    records = fold(
        NewTask(1, 11, 20, "init", False),
        NewTask(2, 20, 21, "init", True),
        NewTask(3, 21, 30, "init", False),
        Generated(4, 30, 21, 15, 0, True, 0),
        Ended(5, 21, 256 * 3),
        Ended(6, 20, 256 * 3),
    )
    assert records == [
        TracedFork(at(1), 10, 20),
        TracedFork(at(3), 20, 30),
        TracedSignal(at(4), 30, "init", 20, 15, SignalResult.QUEUED, 0, True),
        TracedExit(at(6), 20, 3),
    ]


def test_execve_in_another_thread_than_the_leader() -> None:
    records = fold(
        Ended(1, 10, 0), Execed(2, 10, 11, "/bin/sleep"), Generated(3, 900, 10, 15, 0, True, 0), Ended(4, 10, 15)
    )
    assert records == [
        TracedExec(at(2), 10, "/bin/sleep"),
        TracedSignal(at(3), 900, "bash", 10, 15, SignalResult.QUEUED, 0, True),
        TracedExit(at(4), 10, "SIGTERM"),
    ]


def test_a_process_that_enters_the_namespace_is_watched_from_its_execve_on() -> None:
    records = fold(Execed(1, 50, 50, "/bin/sh"), Execed(2, 60, 60, "/bin/sh"), Generated(3, 900, 51, 1, 0, True, 0))
    assert records == [
        TracedFork(at(1), 0, 50),
        TracedExec(at(1), 50, "/bin/sh"),
        TracedSignal(at(3), 900, "bash", 50, 1, SignalResult.QUEUED, 0, True),
    ]


def test_a_process_signalled_in_a_watched_namespace_is_watched() -> None:
    assert fold(Generated(1, 10, 50, 9, 128, True, 0)) == [
        TracedFork(at(1), 0, 50),
        TracedSignal(at(1), 10, "init", 50, 9, SignalResult.QUEUED, 128, True),
    ]


def test_a_lost_exit_is_reported_once_without_its_status() -> None:
    made = watched_processes()
    assert made.vanished(10, 5.0) == (TracedExit(5.0, 10, None),)
    assert made.vanished(10, 5.0) == ()
    assert made.fold([Ended(6, 10, 0)], 0) == []


def test_after_a_loss_names_of_watched_processes_are_kept_and_others_looked_up_again() -> None:
    made = watched_processes()
    made.fold([NewTask(1, 800, 801, "runc", False)], 0)
    made.forget_unwatched()
    senders = made.fold([Generated(2, 10, 11, 9, 128, True, 0), Generated(3, 801, 10, 15, 0, True, 0)], 0)
    assert [getattr(one, "sender_name", None) for one in senders] == ["init", ""]


def test_a_thread_that_exited_before_it_was_added_does_not_delay_the_exit() -> None:
    made = watched_processes()
    made.remove_threads(10, (11,))
    made.remove_threads(10, (10,))
    made.remove_threads(99, (99,))
    assert made.fold([Ended(5, 10, 0), Ended(6, 99, 0)], 0) == [TracedExit(at(5), 10, 0)]


def test_times_are_epoch_seconds() -> None:
    (record,) = watched_processes().fold([Generated(1_500_000_000, 900, 10, 15, 0, True, 0)], 1_700_000_000_000_000_000)
    assert record.at == pytest.approx(1_700_000_001.5, abs=1e-6)


@pytest.mark.parametrize(("status", "expected"), [(0, 0), (143 << 8, 143), (9, "SIGKILL"), (0x80 | 11, "SIGSEGV")])
def test_the_status(status: int, expected: int | str) -> None:
    assert ended_by(status) == expected


ids = st.integers(0, 15)
threads = st.integers(1, 15)
any_event = st.one_of(
    st.builds(Generated, ids, ids, threads, st.integers(1, 64), st.integers(-7, 128), st.booleans(), st.integers(0, 5)),
    st.builds(Delivered, ids, threads, st.integers(1, 64), st.integers(0, 3)),
    st.builds(NewTask, ids, threads, threads, st.text(max_size=3), st.booleans()),
    st.builds(Execed, ids, threads, threads, st.text(max_size=3)),
    st.builds(Ended, ids, threads, st.integers(0, 0xFFFF)),
)


@given(st.lists(any_event, max_size=80))
def test_any_events_in_any_order(events: list[Event]) -> None:
    """After lost events and with reused PIDs there is no error, and every record is about a watched process."""
    made = WatchedProcesses(NAMES.get, lambda thread: None)
    made.add(10, (10, 11), 10)
    known = {10}
    for record in made.fold(events, 0):
        assert not isinstance(record, TracedExit) or record.pid in known
        if isinstance(record, TracedFork):
            known.add(record.pid)
        elif isinstance(record, TracedSignal | TracedDelivery | TracedExec):
            assert record.pid in known
