"""Watching one container's signals: what the trace, pidfds and the engine report, across restarts of the container."""

from collections.abc import Iterable, Iterator, Sequence

import pytest

from containerlab_probes.errors import Denied
from containerlab_probes.records import ContainerRun, Process, ProcessId
from containerlab_probes.trace_records import LostEvents, TracedExit, TracedFork
from containerlab_tui.model.signal_log import Asked, Known, LogRecord, Note
from containerlab_tui.services.signal_watch import NOT_LOCAL, SignalWatch
from tests.support.docker import eventually
from tests.support.engine import details, event
from tests.support.kernel import PlayedTrace, running

NO_TRACE = "no trace in this test"
NOW = 5_000.0


@pytest.fixture
def init() -> Iterator[Process]:
    with running() as process:
        yield process


def watch(init: Process, trace: PlayedTrace, *others: Process, local: bool = True, limit: int = 1000) -> SignalWatch:
    """A watch of a container with these processes, which is not open yet."""

    def listed(run: ContainerRun) -> tuple[Sequence[ProcessId], str]:
        return (run.init, *(one.id for one in others)), ""

    return SignalWatch(details(pid=init.pid), local, lambda: NOW, record=trace.record, list_ids=listed, limit=limit)


def known(found: Sequence[LogRecord]) -> list[int]:
    return [one.pid for one in found if isinstance(one, Known)]


def rest(found: Sequence[LogRecord]) -> list[LogRecord]:
    return [one for one in found if not isinstance(one, Known)]


def test_what_the_kernel_reports_is_taken_once(init: Process) -> None:
    trace = PlayedTrace()
    made = watch(init, trace)
    assert not made.opened
    made.open()
    assert (made.opened, made.no_trace_reason, trace.ids) == (True, "", [init.id])
    exit = TracedExit(1.0, 7, 0)
    trace.play(exit)
    found = made.take()
    assert (known(found), rest(found)) == ([init.pid], [exit])
    assert made.take() == []


def test_a_new_process_has_its_name_before_its_first_row(init: Process) -> None:
    trace = PlayedTrace()
    made = watch(init, trace)
    made.open()
    made.take()
    with running() as child:
        fork, exit = TracedFork(1.0, init.pid, child.pid), TracedExit(2.0, 7, 0)
        trace.play(exit, fork)
    found = made.take()
    assert found[0] == exit
    assert (known(found[1:2]), found[2]) == ([child.pid], fork)


def test_processes_whose_fork_was_lost_are_found(init: Process) -> None:
    trace = PlayedTrace()
    made = watch(init, trace)
    made.open()
    made.take()
    with running() as child:
        trace.ids.append(child.id)
        trace.play(LostEvents(1.0, 5))
    assert known(made.take()) == [child.pid]


@pytest.mark.parametrize(("limit", "kept"), [(2, 3), (100, 10)])
def test_records_that_are_not_taken_are_limited_and_counted(init: Process, limit: int, kept: int) -> None:
    trace = PlayedTrace()
    made = watch(init, trace, limit=limit)
    made.open()
    made.take()
    for pid in range(10):
        trace.play(TracedExit(1.0, pid, 0))
    found = rest(made.take())
    assert len([one for one in found if isinstance(one, TracedExit)]) == kept
    assert [one for one in found if isinstance(one, LostEvents)] == ([] if kept == 10 else [LostEvents(NOW, 10 - kept)])
    assert made.take() == []


def test_without_a_trace_pidfds_report_exits(init: Process) -> None:
    trace = PlayedTrace(NO_TRACE)
    made = watch(init, trace)
    made.open()
    assert made.no_trace_reason == NO_TRACE
    with running() as child:
        made.started_again(details(pid=child.pid, started_at=9.0))
    seen: list[LogRecord] = []

    def exits() -> list[TracedExit]:
        seen.extend(made.take())
        return [one for one in seen if isinstance(one, TracedExit)]

    (exit,) = eventually(exits, "the exit of the child")
    assert (exit.pid, exit.ended_by) == (child.pid, "SIGKILL")
    made.close()


@pytest.mark.parametrize("no_trace_reason", ["", NO_TRACE])
def test_the_engine_counts_as_a_sender_only_without_a_trace(init: Process, no_trace_reason: str) -> None:
    made = watch(init, PlayedTrace(no_trace_reason))
    made.open()
    made.take()
    made.happened(event(3.0, "kill", signal="15"))
    made.happened(event(3.5, "kill", signal="no signal"))
    made.happened(event(4.0, "kill"))  # as Podman reports it
    unnamed = Note(4.0, "the engine sent PID 1 a signal; its event does not name it")
    assert made.take() == ([Asked(3.0, init.pid, 15), unnamed] if no_trace_reason else [])
    made.close()


@pytest.mark.parametrize(
    ("action", "attributes", "text"),
    [
        ("die", {"exitCode": "143"}, "container stopped, exit code 143"),
        ("die", {}, "container stopped, exit code ?"),
        ("die", {"exitCode": "1" * 100}, "container stopped, exit code 11111"),
        ("destroy", {}, "container removed"),
        ("rename", {}, ""),
    ],
)
def test_the_engine_says_what_happened_to_the_container(
    init: Process, action: str, attributes: dict[str, str], text: str
) -> None:
    made = watch(init, PlayedTrace())
    made.happened(event(3.0, action, **attributes))
    assert made.take() == ([Note(3.0, text)] if text else [])


def test_a_restart_is_followed(init: Process) -> None:
    trace = PlayedTrace()
    made = watch(init, trace)
    made.open()
    made.started_again(details(pid=init.pid, started_at=2.0))
    assert rest(made.take()) == [], "the same run"
    with running() as second:
        made.started_again(details(pid=second.pid, started_at=2.0))
        found = made.take()
        assert made.pid == second.pid
        assert trace.ids == [init.id, second.id]
        assert trace.started == 1
        assert (rest(found), known(found)) == ([Note(2.0, "restarted")], [second.pid])


def test_a_namespace_that_can_not_be_read_after_a_restart_is_a_note(init: Process) -> None:
    class Denying(PlayedTrace):
        def watch(self, ids: Iterable[ProcessId]) -> None:
            raise Denied("Its PID namespace may not be read.")

    made = watch(init, Denying())
    made.open()
    made.take()
    with running() as second:
        made.started_again(details(pid=second.pid, started_at=2.0))
    sentence = "processes that enter it later are not traced: Its PID namespace may not be read."
    assert rest(made.take()) == [Note(2.0, "restarted"), Note(NOW, sentence)]


def test_a_remote_container_has_no_trace(init: Process) -> None:
    trace = PlayedTrace()
    made = watch(init, trace, local=False)
    made.open()
    assert (made.opened, made.no_trace_reason, trace.started) == (True, NOT_LOCAL, 0)
    made.started_again(details(pid=init.pid + 1, started_at=None))
    assert made.take() == [Note(NOW, "restarted")]


def test_nothing_starts_after_closing(init: Process) -> None:
    trace = PlayedTrace()
    made = watch(init, trace)
    made.close()
    made.open()
    assert (made.opened, trace.started) == (False, 0)
    opened = watch(init, trace)
    opened.open()
    opened.close()
    opened.close()
    opened.started_again(details(pid=init.pid + 1))
    assert opened.pid == init.pid
    assert trace.closed == 2


def test_a_container_that_has_stopped_is_watched_for_its_next_start(init: Process) -> None:
    trace = PlayedTrace()
    made = SignalWatch(details(pid=2**22 + 1), record=trace.record)
    made.open()
    assert (made.opened, trace.ids, made.take()) == (True, [], [])
