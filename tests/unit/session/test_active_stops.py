"""Which stops are followed, how they end, and the log that is read meanwhile: bounded, whatever is written."""

from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from containerlab_probes.errors import ContainerlabError, Gone, Unreachable
from containerlab_probes.records import Process
from containerlab_tui.model.inventory import Details
from containerlab_tui.model.product import DOCKER, PODMAN
from containerlab_tui.model.stop import Kind, Source, StopEvent, StopPlan, Verdict, begin, fold
from containerlab_tui.present.stop_text import explain
from containerlab_tui.services import stop
from containerlab_tui.services.own_changes import OwnChanges
from containerlab_tui.services.policy import Operation
from containerlab_tui.session.active_stops import (
    LOG_LINES_AT_ONCE,
    LONGEST_LOG_LINE,
    MOST_FOLLOWED,
    ActiveStops,
    log_batches,
)
from containerlab_tui.session.changes import Change, Notice, StopChanged, StopFinished, StopLogged
from tests.support.engine import ID, ScriptedEngine, as_engine, details, event

PLAN = StopPlan(ID, "app", 15, "default", 10.0, "default", processes=(), forecasts=(), pid=500)


def no_processes(engine: object, of: Details) -> tuple[tuple[Process, ...], str]:
    return (), "this test has no processes"


@dataclass
class Host:
    """Stands for the session: keeps the work that is to run, which the tests end."""

    waiting: list[tuple[Callable[[Any], object], Callable[[ContainerlabError], object]]] = field(default_factory=list)
    work: list[Callable[[], Any]] = field(default_factory=list)
    scripted: ScriptedEngine = field(default_factory=ScriptedEngine)
    changes: list[Change] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock: Callable[[], float] = lambda: 1_000.0
        self.product = DOCKER

    def engine(self) -> Any:  # noqa: ANN401
        return as_engine(self.scripted)

    def details_of(self, container: str) -> Details | None:
        return details(id=container)

    def deliver(self, callback: Callable[[], object]) -> None:
        callback()

    def report(self, change: Change) -> None:
        self.changes.append(change)

    def set_stop_phase(self, container: str, phase: str) -> None: ...

    def later(self, delay_s: float, callback: Callable[[], object]) -> None: ...

    def wait_for(
        self,
        work: Callable[[], Any],
        done: Callable[[Any], object],
        failed: Callable[[ContainerlabError], object],
    ) -> None:
        self.work.append(work)
        self.waiting.append((done, failed))


def test_only_the_stop_signal_and_sigkill_begin_a_stop_and_each_stop_is_followed_once() -> None:
    host = Host()
    stops = ActiveStops(host, no_processes)
    stops.take_event(event(1.0, "kill", signal="10"))
    stops.take_event(event(1.0, "die", exitCode="0"))
    assert not host.waiting
    stops.take_event(event(1.0, "kill", signal="15"))
    stops.take_event(event(2.0, "kill", signal="9"))
    assert len(host.waiting) == 1


def stopped_on_podman(code: int, asked: bool | None = True) -> Details:
    return details(state="exited", pid=0, exit_code=code, finished_at=5.0, asked_to_stop=asked)


@pytest.mark.parametrize("action", ["die", "cleanup"])
@pytest.mark.parametrize(("code", "verdict"), [(0, Verdict.GRACEFUL), (137, Verdict.KILLED)])
def test_a_stop_that_the_engine_reports_by_its_exit_is_added(code: int, verdict: Verdict, action: str) -> None:
    host = Host()
    host.product = PODMAN
    stops = ActiveStops(host, no_processes)
    stops.take_exit(event(5.0, action), stopped_on_podman(code))
    stops.take_exit(event(5.1, "cleanup"), stopped_on_podman(code))
    (finished,) = (change.state for change in host.changes if isinstance(change, StopFinished))
    assert (finished.verdict, finished.exit_code, finished.duration_s) == (verdict, code, None)
    assert (finished.phase_1, finished.phase_2, finished.plan.started_elsewhere) == (None, None, True)
    (sentence,) = explain(finished)
    assert sentence.endswith("after a stop or kill. Podman reports no more than the exit.")
    assert stops.has_seen(ID)


def test_exits_that_nobody_asked_for_and_other_changes_are_no_stops() -> None:
    host = Host()
    stops = ActiveStops(host, no_processes)
    stops.take_exit(event(5.0, "die", exitCode="0"), stopped_on_podman(0, asked=False))
    stops.take_exit(event(5.0, "die", exitCode="0"), stopped_on_podman(0, asked=None))
    stops.take_exit(event(5.0, "rename"), stopped_on_podman(0))
    assert not host.changes


def test_the_exit_of_a_stop_that_this_program_runs_is_not_another_stop() -> None:
    host = Host()
    stops = ActiveStops(host, no_processes)
    stops.begin(PLAN)
    stops.take_exit(event(5.0, "die", exitCode="0"), stopped_on_podman(0))
    died = StopEvent(5.0, Kind.DIED, Source.ENGINE, ended_by=0)
    host.waiting[-1][0](fold(begin(PLAN, 4.0), died))
    stops.take_exit(event(5.1, "die", exitCode="0"), stopped_on_podman(0))
    assert sum(isinstance(change, StopFinished) for change in host.changes) == 1


def test_a_stop_of_the_next_run_is_another_one() -> None:
    host = Host()
    stops = ActiveStops(host, no_processes)
    stops.take_event(event(1.0, "kill", signal="15"))
    stops.take_event(event(1.2, "start"))
    stops.take_event(event(2.0, "kill", signal="15"))
    stops.take_event(event(2.1, "kill", signal="9"))
    assert len(host.waiting) == 2
    host.waiting[1][1](Gone("removed"))
    stops.take_event(event(3.0, "start"))
    stops.take_event(event(4.0, "kill", signal="15"))
    stops.take_event(event(5.0, "kill", signal="9"))
    assert len(host.waiting) == 3


def test_no_more_stops_are_followed_than_there_is_room_for() -> None:
    host = Host()
    stops = ActiveStops(host, no_processes)
    for number in range(MOST_FOLLOWED + 1):
        stops.take_event(event(1.0, "kill", f"{number:064}", signal="9"))
    assert len(host.waiting) == MOST_FOLLOWED


@pytest.mark.parametrize(
    ("error", "reported"), [(Gone("removed"), []), (Unreachable("no engine"), [Notice("no engine")])]
)
def test_a_stop_that_cannot_be_followed_makes_room_for_the_next(
    error: ContainerlabError, reported: list[Change]
) -> None:
    host = Host()
    stops = ActiveStops(host, no_processes)
    stops.take_event(event(1.0, "kill", signal="9"))
    host.waiting[0][1](error)
    assert host.changes == reported
    stops.take_event(event(2.0, "kill", signal="9"))
    assert len(host.waiting) == 2


def test_a_stop_that_cannot_begin_is_finished_with_the_reason() -> None:
    host = Host()
    stops = ActiveStops(host, no_processes)
    stops.begin(PLAN)
    assert stops.has_seen(ID)
    assert not stops.has_seen("another")
    host.waiting[-1][1](Unreachable("no engine"))  # the one before reads the log
    finished = host.changes[-1]
    assert isinstance(finished, StopFinished)
    assert (finished.state.verdict, finished.state.settled) == (Verdict.FAILED, True)
    assert "no engine" in [one.detail for one in finished.state.events]
    stops.take_exit(event(5.0, "die", exitCode="0"), stopped_on_podman(0))
    assert host.changes[-1] is finished, "its exit is not another stop"


def test_of_two_stops_of_one_container_the_newer_is_shown() -> None:
    """A stop without a limit must not lock out one with a limit."""
    host = Host(scripted=ScriptedEngine(inspected={ID: details(state="exited", exit_code=0)}))
    stops = ActiveStops(host, no_processes)
    stops.begin(replace(PLAN, timeout_s=-1.0))
    stops.begin(PLAN)
    _log, older, newer = range(3)  # one log is read for both
    assert len(host.waiting) == 3
    before = len(host.changes)
    host.waiting[older][0](host.work[older]())
    assert len(host.changes) == before
    state = host.work[newer]()
    assert host.changes[before:] == [StopChanged(state)]
    host.waiting[newer][0](state)
    assert host.changes[-1] == StopFinished(state)
    stops.take_event(event(9_000.0, "kill", signal="9"))
    assert len(host.waiting) == 4, "none is in progress any longer"


@pytest.mark.parametrize("log", [[b"one\n"], None], ids=["log", "no log"])
def test_the_log_of_a_stop_is_read_on_a_connection_that_is_closed(log: list[bytes] | None) -> None:
    host = Host(scripted=ScriptedEngine(log=log))
    ActiveStops(host, no_processes).begin(PLAN)
    with suppress(AssertionError):  # of the scripted engine, if it has no log
        host.work[0]()
    assert (host.scripted.clones, host.scripted.closes) == (1, 1)
    assert [one.lines for one in host.changes if isinstance(one, StopLogged)] == ([("one",)] if log else [])


def test_signals_of_a_failed_stop_do_not_begin_another() -> None:
    host = Host()
    stops = ActiveStops(host, no_processes)
    stops.begin(PLAN)
    host.waiting[-1][1](Unreachable("no engine"))
    waiting = len(host.waiting)
    stops.take_event(event(1_010.0, "kill", signal="9"))  # the grace period of 10 s began at 1000
    assert len(host.waiting) == waiting
    stops.take_event(event(1_030.0, "kill", signal="9"))
    assert len(host.waiting) == waiting + 1


@pytest.mark.parametrize(
    ("operation", "signal", "part_of"),
    [
        (Operation.RESTART, 15, "restart"),
        (Operation.REMOVE, 9, "remove"),
        (Operation.SIGNAL, 15, "signal"),
        (None, 15, ""),
    ],
)
def test_a_restart_pressed_here_is_not_started_outside(
    operation: Operation | None, signal: int, part_of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed: list[StopPlan] = []

    def follow(engine: object, plan: StopPlan, *_: object, **__: object) -> None:
        followed.append(plan)

    monkeypatch.setattr(stop, "follow_stop", follow)
    host = Host(scripted=ScriptedEngine(inspected={ID: details(pid=0)}))
    changes = OwnChanges(lambda: 1_000.0)
    stops = ActiveStops(host, no_processes, changes=changes)
    with changes.making(operation, ID) if operation is not None else nullcontext():
        stops.take_event(event(1_000.1, "kill", signal=str(signal)))
    host.work[0]()
    (plan,) = followed
    assert (plan.part_of, plan.signal, plan.started_elsewhere, plan.asked_at) == (part_of, signal, True, 1_000.1)


@pytest.mark.parametrize("operation", [Operation.RESTART, Operation.REMOVE])
def test_a_restart_pressed_here_is_followed_on_an_engine_that_reports_no_signals(
    operation: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed: list[StopPlan] = []

    def follow(engine: object, plan: StopPlan, *_: object, **__: object) -> None:
        followed.append(plan)

    monkeypatch.setattr(stop, "follow_stop", follow)
    host = Host(scripted=ScriptedEngine(inspected={ID: details(pid=0)}, product=PODMAN))
    changes = OwnChanges(lambda: 1_000.0)
    stops = ActiveStops(host, no_processes, changes=changes)
    stops.take_change(operation, ID, 1_000.0)
    assert not host.work, "an event of Docker will tell"
    host.product = PODMAN
    for each in (Operation.SIGNAL, operation, operation):  # the last one while the one before is in progress
        stops.take_change(each, ID, 1_000.0)
        assert len(host.work) == (each is operation)
    host.work[0]()
    (plan,) = followed
    assert (plan.part_of, plan.signal, plan.started_elsewhere, plan.asked_at) == (operation, 15, True, 1_000.0)
    stops.take_exit(event(1_001.0, "die", exitCode="0"), stopped_on_podman(0))
    assert not any(isinstance(change, StopFinished) for change in host.changes), "it is in progress"


def logged(host: Host) -> list[str]:
    return [line for change in host.changes if isinstance(change, StopLogged) for line in change.lines]


def test_the_log_is_read_once_although_its_stream_ends_before_the_stop() -> None:
    host = Host(scripted=ScriptedEngine(log=[b"one\ntwo\n"]))
    stops = ActiveStops(host, no_processes)
    stops.begin(PLAN)
    host.work[0]()
    host.waiting[0][0](None)  # the container has exited, and its log has ended
    (first,) = [change.state for change in host.changes if isinstance(change, StopChanged)]
    stops._show(replace(first, began=1_001.0, exit_code=0))  # the request came later, and the stop isn't over
    assert len([call for call in host.scripted.asked if call[0] == "logs"]) == 1
    assert len(host.work) == 2
    assert logged(host) == ["one", "two"]
    host.clock = lambda: 1_060.0
    stops.begin(PLAN)
    host.work[2]()
    assert logged(host) == ["one", "two"] * 2


def test_a_log_that_could_not_be_opened_is_tried_again() -> None:
    host = Host()
    stops = ActiveStops(host, no_processes)
    stops.begin(PLAN)
    host.waiting[0][1](Unreachable("no engine"))
    (first,) = [change.state for change in host.changes if isinstance(change, StopChanged)]
    stops._show(first)
    assert len(host.work) == 3


def test_lines_are_joined_across_chunks() -> None:
    assert list(log_batches([b"one\ntw", b"o\n", b"", b"three"])) == [[b"one"], [b"two"], [b"three"]]


def test_a_line_without_end_is_cut() -> None:
    chunk = b"x" * (LONGEST_LOG_LINE // 2 + 1)
    batches = list(log_batches([chunk] * 9))
    assert max(len(line) for lines in batches for line in lines) == LONGEST_LOG_LINE
    assert len(batches) == 5  # every second chunk exceeds the limit; the last one is a rest


def test_of_many_lines_the_last_are_kept() -> None:
    (lines,) = log_batches([b"".join(b"%d\n" % number for number in range(1000))])
    assert lines == [b"%d" % number for number in range(1000 - LOG_LINES_AT_ONCE, 1000)]
