"""Rows of the signal watch: how records become rows, and their words."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containerlab_probes.trace_records import (
    LostEvents,
    SignalResult,
    Taken,
    TracedDelivery,
    TracedExec,
    TracedExit,
    TracedFork,
    TracedSignal,
)
from containerlab_tui.model.signal_log import Asked, Known, LogRecord, Note, Row, SignalLog, Who
from containerlab_tui.present.signal_text import as_document, line_of, outcome

INIT, CHILD = 7001, 7007
KNOWN = (Known(INIT, Who(1, "supervisord")), Known(CHILD, Who(7, "python3")))
TERM, USR1, CHLD, KILL = 15, 10, 17, 9


def signal(
    pid: int = CHILD,
    number: int = TERM,
    at: float = 1.0,
    sender: tuple[int, str] = (555, "runc"),
    result: SignalResult = SignalResult.QUEUED,
    code: int = 0,
) -> TracedSignal:
    return TracedSignal(at, *sender, pid, number, result, code, True)


def folded(*records: LogRecord) -> SignalLog:
    log = SignalLog()
    log.add([*KNOWN, *records])
    return log


def only(*records: LogRecord) -> Row:
    (row,) = folded(*records).rows
    return row


FROM_INIT = (INIT, "supervisord")
HANDLED = TracedDelivery(2.0, CHILD, TERM, Taken.HANDLER)

LINES = [
    ((signal(),), ("runc [555]", "7 python3", "TERM", "queued", "plain")),
    ((signal(), HANDLED), ("runc [555]", "7 python3", "TERM", "its handler runs", "good")),
    (
        (signal(), TracedDelivery(2.0, CHILD, TERM, Taken.DEFAULT)),
        ("runc [555]", "7 python3", "TERM", "default action", "warn"),
    ),
    (
        (signal(), TracedDelivery(2.0, CHILD, TERM, Taken.IGNORED)),
        ("runc [555]", "7 python3", "TERM", "ignored", "muted"),
    ),
    (
        (signal(INIT, result=SignalResult.IGNORED),),
        ("runc [555]", "1 supervisord", "TERM", "discarded: ignored or no handler", "bad"),
    ),
    (
        (signal(number=18, result=SignalResult.IGNORED),),
        ("runc [555]", "7 python3", "CONT", "resumes if suspended", "plain"),
    ),
    (
        (signal(result=SignalResult.ALREADY_PENDING),),
        ("runc [555]", "7 python3", "TERM", "already pending", "plain"),
    ),
    (
        (signal(result=SignalResult.OVERFLOW),),
        ("runc [555]", "7 python3", "TERM", "discarded: queue full", "bad"),
    ),
    ((signal(sender=FROM_INIT),), ("1 supervisord", "7 python3", "TERM", "queued", "plain")),
    ((signal(sender=(0, ""), code=-2),), ("the kernel", "7 python3", "TERM", "queued", "plain")),
    (
        (signal(number=KILL, sender=FROM_INIT, code=128), TracedDelivery(2.0, CHILD, KILL, Taken.DEFAULT)),
        ("the kernel (1 supervisord)", "7 python3", "KILL", "default action", "warn"),
    ),
    ((signal(sender=(555, "")),), ("exited [555]", "7 python3", "TERM", "queued", "plain")),
    ((signal(pid=7099, number=64),), ("runc [555]", "[7099]", "RTMAX", "queued", "plain")),
    ((HANDLED,), ("sent before", "7 python3", "TERM", "its handler runs", "good")),
    ((TracedExit(3.0, CHILD, 0),), ("", "7 python3", "exit", "code 0", "good")),
    ((TracedExit(3.0, CHILD, 137),), ("", "7 python3", "exit", "code 137", "warn")),
    ((TracedExit(3.0, CHILD, "SIGKILL"),), ("", "7 python3", "exit", "by SIGKILL", "warn")),
    ((TracedExit(3.0, CHILD, None),), ("", "7 python3", "exit", "exited", "muted")),
    (
        (TracedFork(3.0, INIT, 7008),),
        ("1 supervisord", "supervisord [7008]", "fork", "a new process", "muted"),
    ),
    ((TracedFork(3.0, 0, 7008),), ("from outside", "[7008]", "fork", "a new process", "muted")),
    ((TracedExec(3.0, CHILD, "/bin/sleep"),), ("", "7 sleep", "exec", "runs /bin/sleep", "muted")),
    ((Asked(3.0, INIT, TERM),), ("the engine", "1 supervisord", "TERM", "sent; result not visible", "plain")),
    ((Asked(3.0, 0, TERM),), ("the engine", "PID 1", "TERM", "sent; result not visible", "plain")),
    ((Note(3.0, "started again"),), ("", "", "", "— started again —", "accent")),
    (
        (LostEvents(3.0, 1234),),
        ("", "", "", "! 1,234 events lost here: they arrived faster than they could be read", "bad"),
    ),
    (
        (LostEvents(3.0, None),),
        ("", "", "", "! Events lost here: they arrived faster than they could be read", "bad"),
    ),
]


@pytest.mark.parametrize(("records", "line"), LINES)
def test_rows_in_words(records: tuple[LogRecord, ...], line: tuple[str, ...]) -> None:
    assert tuple(line_of(only(*records))) == line


def test_pid_1_discards_unblocked_signals_unless_forced() -> None:
    def sent(number: int, code: int) -> str:
        default = TracedDelivery(2.0, INIT, number, Taken.DEFAULT)
        return outcome(only(signal(INIT, number, code=code), default))

    assert sent(TERM, 0) == "discarded: PID 1 has no handler"
    assert sent(KILL, 0) == "default action"
    assert sent(11, 1) == "default action"


def test_deliveries_complete_signals_in_their_order() -> None:
    log = folded(
        signal(at=1.0, number=34), signal(at=1.1, number=34), signal(at=1.2, number=34),
        TracedDelivery(1.3, CHILD, 34, Taken.HANDLER), TracedDelivery(1.4, CHILD, 34, Taken.HANDLER),
    )  # fmt: skip
    assert [row.taken.at if row.taken else None for row in log.rows] == [1.3, 1.4, None]


def test_merged_or_discarded_signals_take_no_delivery() -> None:
    log = folded(
        signal(at=1.0), signal(at=1.1, result=SignalResult.ALREADY_PENDING), HANDLED,
        signal(at=2.1, result=SignalResult.IGNORED), TracedDelivery(2.2, CHILD, TERM, Taken.HANDLER),
    )  # fmt: skip
    assert [outcome(row) for row in log.rows] == [
        "its handler runs", "already pending", "discarded: ignored or no handler", "its handler runs",
    ]  # fmt: skip
    assert isinstance(log.rows[-1].record, TracedDelivery)


def test_a_fatal_signal_is_completed_by_the_exit() -> None:
    in_its_place = TracedDelivery(1.5, CHILD, KILL, Taken.DEFAULT)
    log = folded(signal(number=USR1, at=0.5), signal(), in_its_place, TracedExit(2.0, CHILD, "SIGTERM"))
    assert [line_of(row).result for row in log.rows] == ["queued", "default action", "by SIGTERM"]
    assert log.rows[1].taken == TracedDelivery(1.5, CHILD, TERM, Taken.DEFAULT)
    log = folded(in_its_place, TracedExit(2.0, CHILD, 0))  # threads that exit ended
    assert [line_of(row).result for row in log.rows] == ["code 0"]


def test_a_reused_pid_is_another_process() -> None:
    log = folded(signal(), TracedExit(2.0, CHILD, 0), TracedDelivery(3.0, CHILD, TERM, Taken.HANDLER))
    assert log.rows[0].taken is None
    assert line_of(log.rows[2]).target == f"[{CHILD}]"


def test_after_lost_events_older_signals_take_no_delivery() -> None:
    log = folded(signal(), LostEvents(1.5, 3), HANDLED)
    assert log.rows[0].taken is None
    assert (log.lost, log.lost_uncounted) == (3, False)
    log.add([LostEvents(1.6, None), LostEvents(1.7, 4)])
    assert (log.lost, log.lost_uncounted) == (7, True)


def test_a_row_keeps_the_old_process_name() -> None:
    log = folded(signal(at=1.0), TracedExec(1.5, CHILD, "/usr/bin/a-very-long-name-of-a-program"), signal(at=2.0))
    assert [line_of(row).target for row in log.rows] == ["7 python3", "7 a-very-long-nam", "7 a-very-long-nam"]


def test_the_log_keeps_the_last_rows_and_counts_all() -> None:
    log = SignalLog(limit=3)
    for at in range(5):
        assert len(log.add([signal(at=at), TracedDelivery(at, CHILD, TERM, Taken.HANDLER)])) == 1
    log.add([TracedExit(9, CHILD, 0)])
    assert [row.record.at for row in log.rows] == [3, 4, 9]
    assert (log.dropped, log.signals, log.exits) == (3, 5, 1)
    log.clear()
    assert (log.rows, log.dropped, log.signals, log.exits, log.lost) == ([], 0, 0, 0, 0)


@pytest.mark.parametrize(("records", "line"), LINES)
def test_the_document_of_a_row_is_json(records: tuple[LogRecord, ...], line: tuple[str, ...]) -> None:
    document = json.loads(json.dumps(as_document(only(*records))))
    assert document["at"].startswith("1970-01-01T00:00:0")
    assert document["source"] == ("engine" if isinstance(records[0], Asked | Note) else "kernel")


def test_the_document_of_a_signal() -> None:
    row = only(signal(sender=FROM_INIT), HANDLED)
    assert as_document(row) == {
        "at": "1970-01-01T00:00:01.000000Z",
        "kind": "signal",
        "source": "kernel",
        "signal": "SIGTERM",
        "from": {"pid": INIT, "container_pid": 1, "name": "supervisord", "by_kernel": False},
        "to": {"pid": CHILD, "container_pid": 7, "name": "python3"},
        "result": "queued",
        "taken": "handler",
        "taken_at": "1970-01-01T00:00:02.000000Z",
        "code": 0,
        "to_thread": False,
    }


PIDS = st.sampled_from((INIT, CHILD, 7008, 7009))
NAMES = st.text(max_size=5)
RECORDS = st.one_of(
    st.builds(
        TracedSignal, st.floats(0, 1e9), st.one_of(PIDS, st.just(0), st.just(99)), NAMES, PIDS, st.integers(1, 64),
        st.sampled_from(SignalResult), st.sampled_from((0, 128, -6)), st.booleans(),
    ),
    st.builds(TracedDelivery, st.floats(0, 1e9), PIDS, st.integers(1, 64), st.sampled_from(Taken)),
    st.builds(TracedExit, st.floats(0, 1e9), PIDS, st.one_of(st.none(), st.integers(0, 255), st.just("SIGTERM"))),
    st.builds(TracedFork, st.floats(0, 1e9), PIDS, PIDS),
    st.builds(TracedExec, st.floats(0, 1e9), PIDS, NAMES),
    st.builds(LostEvents, st.floats(0, 1e9), st.one_of(st.none(), st.integers(1, 9))),
    st.builds(Known, PIDS, st.builds(Who, st.integers(0, 9), NAMES)),
)  # fmt: skip


@given(st.lists(st.lists(RECORDS, max_size=20), max_size=6), st.integers(1, 30))
def test_batches_give_the_same_rows_and_all_are_counted(batches: list[list[LogRecord]], limit: int) -> None:
    log, whole = SignalLog(limit), SignalLog(limit)
    for batch in batches:
        log.add(batch)
    records = [one for batch in batches for one in batch]
    whole.add(records)
    assert [(line_of(row), as_document(row)) for row in log.rows] == [
        (line_of(row), as_document(row)) for row in whole.rows
    ]
    assert log.signals == sum(isinstance(one, TracedSignal) for one in records)
    assert log.exits == sum(isinstance(one, TracedExit) for one in records)
    assert log.lost == sum(one.count or 0 for one in records if isinstance(one, LostEvents))
    assert len(log.rows) == min(limit, len(log.rows) + log.dropped)
    rows = sum(not isinstance(one, TracedDelivery | Known) for one in records)
    assert rows <= len(log.rows) + log.dropped <= len(records)
    assert all(row.taken is None or row.taken.signal == getattr(row.record, "signal", 0) for row in log.rows)
