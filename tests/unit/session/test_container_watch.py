"""Watching one container's signals from the session: its events, its restarts, and what closing leaves behind."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest

from containerlab_probes.errors import Gone
from containerlab_probes.records import ContainerRun, Process, ProcessId
from containerlab_tui.model.inventory import Details, EngineEvent
from containerlab_tui.model.signal_log import LogRecord, Note
from containerlab_tui.services.signal_watch import NOT_LOCAL, SignalWatch
from containerlab_tui.session.container_watch import ContainerWatch
from tests.support.engine import details, event
from tests.support.kernel import PlayedTrace, running


class Host:
    """Stands for the session; background work runs at once."""

    def __init__(self, local: bool = True) -> None:
        self.local = local
        self.clock: Callable[[], float] = lambda: 5_000.0
        self.event_listeners: list[Callable[[EngineEvent], None]] = []
        self.open_watches: set[SignalWatch] = set()
        self.known: Details | None = None
        self.runs = 0

    def details_of(self, container: str) -> Details | None:
        return self.known

    def run(self, work: Callable[[], object]) -> None:
        self.runs += 1
        work()

    def report(self, one: EngineEvent) -> None:
        for listener in tuple(self.event_listeners):
            listener(one)


@pytest.fixture
def init() -> Iterator[Process]:
    with running() as process:
        yield process


def listed(run: ContainerRun) -> tuple[Sequence[ProcessId], str]:
    return (run.init,), ""


def watching(host: Host, init: Process, trace: PlayedTrace) -> ContainerWatch:
    """A watch of a container with this PID 1, started 1000 s after the epoch."""
    watch = partial(SignalWatch, record=trace.record, list_ids=listed)
    made = ContainerWatch(host, details(pid=init.pid, started_at=1_000.0), watch)
    assert not made.opened
    made.begin()
    return made


def notes(found: Sequence[LogRecord]) -> list[LogRecord]:
    return [one for one in found if isinstance(one, Note)]


def test_only_events_of_this_container_are_recorded(init: Process) -> None:
    host = Host()
    made = watching(host, init, PlayedTrace())
    host.report(event(1.0, "die", "d" * 64, exitCode="1"))
    host.report(event(2.0, "die", exitCode="0"))
    assert notes(made.take()) == [Note(2.0, "container stopped, exit code 0")]


@pytest.mark.parametrize(("local", "reason"), [(True, "no trace in this test"), (False, NOT_LOCAL)])
def test_the_reason_for_no_trace_is_passed_on(init: Process, local: bool, reason: str) -> None:
    host = Host(local)
    made = watching(host, init, PlayedTrace("no trace in this test"))
    assert (made.opened, made.no_trace_reason) == (True, reason)
    made.close()


def test_a_restart_is_followed_when_records_are_taken(init: Process) -> None:
    host, trace = Host(), PlayedTrace()
    made = watching(host, init, trace)
    with running() as second:
        host.known = details(pid=second.pid, started_at=1_001.0)
        assert notes(made.take()) == [Note(1_001.0, "restarted")]
        before = host.runs
        assert made.take() == []
        assert host.runs == before, "a restart is followed once"
        assert trace.ids == [init.id, second.id]


@pytest.mark.parametrize(
    "known",
    [None, details(pid=0, started_at=2_000.0), details(pid=1, started_at=None), details(pid=1, started_at=999.0)],
    ids=["removed", "stopped", "start unknown", "an earlier run"],
)
def test_a_container_that_did_not_restart_keeps_its_watch(init: Process, known: Details | None) -> None:
    host, trace = Host(), PlayedTrace()
    made = watching(host, init, trace)
    host.known = known
    assert notes(made.take()) == []
    assert trace.ids == [init.id]


def test_a_container_that_has_vanished_has_a_watch_without_processes() -> None:
    host = Host()

    def gone(run: ContainerRun) -> tuple[Sequence[ProcessId], str]:
        raise Gone("It has exited.")

    watch = partial(SignalWatch, record=PlayedTrace().record, list_ids=gone)
    made = ContainerWatch(host, details(pid=2**22 + 1), watch)
    made.begin()
    host.report(event(3.0, "destroy"))
    assert (made.opened, made.take()) == (True, [Note(3.0, "container removed")])


def test_closing_twice_leaves_no_listener_and_no_trace(init: Process) -> None:
    host, trace = Host(), PlayedTrace()
    made = watching(host, init, trace)
    assert (len(host.event_listeners), len(host.open_watches)) == (1, 1)
    made.close()
    made.close()
    assert (host.event_listeners, host.open_watches) == ([], set())
    assert trace.closed > 0
