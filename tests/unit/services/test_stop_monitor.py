"""Watching one stop: how reports of several sources are merged, and when the wait ends. No clock runs here."""

import queue
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import pytest

from containerlab_probes.errors import Gone, Unreachable
from containerlab_probes.records import Dispositions, Process, ProcessId
from containerlab_probes.signals.exits import Exit
from containerlab_probes.trace_records import LostEvents, TracedExit, TraceRecord
from containerlab_tui.engine.api import Engine
from containerlab_tui.model.stop import Kind, Source, StopEvent, StopPlan, StopState, Verdict
from containerlab_tui.services.stop_monitor import (
    ANSWERED_S,
    EVENT_LOST_S,
    RESTART_S,
    STRAGGLERS_S,
    SURVIVED_S,
    Answered,
    Inbox,
    Item,
    Recorded,
    StopMonitor,
)
from tests.support.docker import eventually
from tests.support.engine import ID, PlayedEvents, ScriptedEngine, as_engine, event

T0 = 1_000.0
TERM, KILL = 15, 9
INIT, CHILD = ProcessId(500, 10), ProcessId(513, 11)
INFINITE = -1.0


def process(id: ProcessId, container_pid: int) -> Process:
    return Process(
        id, container_pid, 1, T0 - 60, "S", 0, "root", "app", ("app",), threads=1, dispositions=Dispositions()
    )


PLAN = StopPlan(
    container=ID,
    name="app",
    signal=TERM,
    signal_source="default",
    timeout_s=10.0,
    timeout_source="default",
    processes=(process(INIT, 1), process(CHILD, 7)),
    forecasts=(),
    pid=INIT.pid,
)


class PlayedInbox(Inbox):
    """Plays batches, each at its time. After the last it jumps to the deadline; without one it fails."""

    def __init__(self, *batches: tuple[float, list[Item]]) -> None:
        super().__init__(lambda: self.now)
        self.now = T0
        self.set_back_s = 0.0
        """By how much the clock of the machine was set back after the beginning."""
        self.batches = list(batches)
        self.late: list[Item] = []
        """Records that arrive when the watchers are closed."""

    def put(self, item: Item) -> None:
        """The threads of the monitor report nothing here."""

    def gather(self, deadline: float | None) -> list[Item]:
        if self.batches and (deadline is None or T0 + self.batches[0][0] < deadline):
            at, items = self.batches.pop(0)
            self.now = T0 + at
            return items
        assert deadline is not None, "the monitor waits without limit"
        self.now = deadline
        raise queue.Empty

    def rest(self) -> list[Item]:
        return self.late


@dataclass
class Watchers:
    """Replaces the exit watch and the kernel trace."""

    no_trace_reason: str = ""
    closed: int = 0
    exits: tuple[Exit, ...] = ()
    watched: frozenset[int] = frozenset()

    def watch(self, ids: Iterable[ProcessId]) -> None:
        raise AssertionError("a stop watches no further processes")

    def wait(self, timeout_s: float | None = None) -> tuple[Exit, ...]:
        exits, self.exits = self.exits, ()
        return exits

    def close(self) -> None:
        self.closed += 1


@dataclass
class Stage:
    monitor: StopMonitor
    inbox: Inbox
    engine: ScriptedEngine
    stream: PlayedEvents
    watchers: Watchers
    states: list[StopState]


def stage(inbox: Inbox | None = None, plan: StopPlan = PLAN, watchers: Watchers | None = None) -> Stage:
    inbox, watchers, stream = inbox or Inbox(lambda: T0), watchers or Watchers(), PlayedEvents()
    engine, states = ScriptedEngine(stream=stream), list[StopState]()

    def record(ids: Iterable[ProcessId], on_records: Callable[[tuple[TraceRecord, ...]], None]) -> Watchers:
        assert tuple(ids) == tuple(one.id for one in plan.processes)
        return watchers

    monitor = StopMonitor(
        as_engine(engine),
        plan,
        T0,
        states.append,
        inbox=inbox,
        watch_exits=lambda ids: watchers,
        record=record,
        trace_start_s=60.0,
        clock=(lambda: inbox.now - inbox.set_back_s) if isinstance(inbox, PlayedInbox) else (lambda: T0),
    )
    return Stage(monitor, inbox, engine, stream, watchers, states)


def asked(inbox: PlayedInbox, plan: StopPlan = PLAN) -> Stage:
    """A stop that was requested here."""
    made = stage(inbox, plan)
    made.monitor.request(lambda engine: None)
    return made


def signal(t: float, number: int) -> StopEvent:
    return StopEvent(T0 + t, Kind.SIGNAL, Source.ENGINE, INIT, 1, signal=number)


def ended(t: float, id: ProcessId, by: int | str | None) -> StopEvent:
    return StopEvent(T0 + t, Kind.ENDED, Source.KERNEL, id, 1 if id == INIT else 7, ended_by=by)


def died(t: float, code: int = 0) -> StopEvent:
    return StopEvent(T0 + t, Kind.DIED, Source.ENGINE, ended_by=code)


def started(t: float) -> StopEvent:
    return StopEvent(T0 + t, Kind.STARTED, Source.ENGINE)


def until(made: Stage, kind: Kind) -> Callable[[Engine], None]:
    """A request that the engine answers once the monitor has seen this."""

    def wait(engine: Engine) -> None:
        eventually(lambda: any(kind in kinds(state) for state in tuple(made.states)), f"it has seen {kind}", 30)

    return wait


def kinds(state: StopState) -> list[Kind]:
    return [one.kind for one in state.events]


# merging


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_an_exit_that_two_sources_report_together_counts_once_with_its_status(order: tuple[int, int]) -> None:
    both = (ended(0.2, INIT, None), ended(0.21, INIT, 0))
    inbox = PlayedInbox((0.3, [both[one] for one in order]), (0.4, [died(0.25), Answered()]))
    state = asked(inbox).monitor.run()
    exits = [one for one in state.events if one.kind is Kind.ENDED]
    assert [(one.at, one.ended_by) for one in exits] == [(T0 + 0.21, 0)]


def test_of_two_reports_with_a_status_the_first_counts() -> None:
    inbox = PlayedInbox(
        (0.3, [ended(0.21, INIT, 0), ended(0.2, INIT, 0)]),
        (0.35, [ended(0.34, INIT, 0)]),
        (0.4, [died(0.25), Answered()]),
    )
    state = asked(inbox).monitor.run()
    assert [one.at for one in state.events if one.kind is Kind.ENDED] == [T0 + 0.2]
    assert state.ended_at == T0 + 0.2


def test_a_status_that_comes_later_completes_an_exit() -> None:
    inbox = PlayedInbox(
        (0.3, [ended(0.2, INIT, None)]), (0.35, [ended(0.2, INIT, 137)]), (0.4, [died(0.25, 137), Answered()])
    )
    state = asked(inbox).monitor.run()
    assert state.init_lane is not None
    assert state.init_lane.ended_by == 137
    assert state.verdict is Verdict.GRACEFUL


def test_exits_of_two_processes_are_two() -> None:
    inbox = PlayedInbox((0.3, [ended(0.2, INIT, 0), ended(0.2, CHILD, 0), died(0.25), Answered()]))
    assert kinds(asked(inbox).monitor.run()).count(Kind.ENDED) == 2


def test_a_batch_is_folded_in_the_order_of_time() -> None:
    made = asked(PlayedInbox((0.3, [died(0.2), ended(0.15, INIT, 0), signal(0.1, TERM), Answered()])))
    made.monitor.run()
    assert [one.events[-1].kind for one in made.states[1:4]] == [Kind.SIGNAL, Kind.ENDED, Kind.DIED]


def test_the_kernel_trace_is_merged_with_the_rest() -> None:
    batch: list[Item] = [Recorded((TracedExit(T0 + 0.2, INIT.pid, 0),)), ended(0.21, INIT, 0), died(0.22), Answered()]
    state = asked(PlayedInbox((0.3, batch))).monitor.run()
    assert [one.at for one in state.events if one.kind is Kind.ENDED] == [T0 + 0.2]


@pytest.mark.parametrize(("count", "words"), [(3, "3 events"), (None, "some events")])
def test_after_a_loss_nothing_is_called_unsent(count: int | None, words: str) -> None:
    inbox = PlayedInbox((0.1, [Recorded((LostEvents(T0 + 0.1, count),))]), (0.3, [died(0.2), Answered()]))
    made = asked(inbox)
    state = made.monitor.run()
    assert made.states[0].plan.traced
    assert not state.plan.traced
    assert any(words in one.detail for one in state.events if one.kind is Kind.NOTE)


def test_what_a_watcher_still_had_when_it_was_closed_is_taken() -> None:
    inbox = PlayedInbox((0.3, [ended(0.2, INIT, 0), died(0.2), Answered()]))
    inbox.late = [ended(0.25, CHILD, "SIGKILL")]
    state = asked(inbox).monitor.run()
    assert [lane.ended_by for lane in state.lanes] == [0, "SIGKILL"]


# how long it waits


def test_a_requested_stop_is_over_when_all_have_exited_and_the_engine_has_answered() -> None:
    batch: list[Item] = [ended(0.2, INIT, 0), ended(0.2, CHILD, "SIGKILL"), died(0.25), Answered()]
    inbox = PlayedInbox((0.3, batch), (0.4, [started(0.4)]))
    state = asked(inbox).monitor.run()
    assert len(inbox.batches) == 1, "it waited for more"
    assert state.settled
    assert state.events[-1].kind is Kind.SETTLED


@pytest.mark.parametrize(("after_s", "seen"), [(STRAGGLERS_S - 0.01, True), (STRAGGLERS_S + 0.01, False)])
def test_other_processes_are_waited_for_after_the_exit_of_pid_1(after_s: float, seen: bool) -> None:
    last = 0.3 + after_s
    inbox = PlayedInbox((0.3, [ended(0.2, INIT, 0), died(0.25), Answered()]), (last, [ended(last, CHILD, 0)]))
    state = asked(inbox).monitor.run()
    assert (state.lanes[1].ended_at is not None) is seen
    if not seen:
        assert inbox.now == T0 + 0.3 + STRAGGLERS_S


def test_the_answer_of_the_engine_is_waited_for_without_limit() -> None:
    inbox = PlayedInbox((0.3, [ended(0.2, INIT, 0), ended(0.2, CHILD, 0), died(0.25)]), (3600.0, [Answered()]))
    asked(inbox).monitor.run()
    assert inbox.batches == []


@pytest.mark.parametrize(
    ("after_s", "verdict"), [(RESTART_S - 0.01, Verdict.RESTARTED), (RESTART_S + 0.01, Verdict.GRACEFUL)]
)
def test_a_start_after_a_stop_from_outside_is_waited_for(after_s: float, verdict: Verdict) -> None:
    batch: list[Item] = [signal(0, TERM), ended(0.2, INIT, 0), ended(0.2, CHILD, 0), died(0.25)]
    inbox = PlayedInbox((0.3, batch), (0.3 + after_s, [started(0.3 + after_s)]))
    assert stage(inbox).monitor.run().verdict is verdict
    assert inbox.now == T0 + 0.3 + RESTART_S


def test_more_that_comes_does_not_extend_the_deadline() -> None:
    inbox = PlayedInbox((0.3, [ended(0.2, INIT, 0), died(0.25)]), (1.2, [ended(1.2, CHILD, 0)]))
    stage(inbox).monitor.run()
    assert inbox.now == T0 + 0.3 + RESTART_S


def test_a_signal_that_the_container_survives_is_not_a_stop() -> None:
    inbox = PlayedInbox((0.1, [signal(0.1, TERM)]))
    state = stage(inbox).monitor.run()
    assert (state.verdict, state.settled) == (None, True)
    assert inbox.now == T0 + PLAN.timeout_s + SURVIVED_S


def test_after_sigkill_the_exit_is_waited_for_without_limit() -> None:
    inbox = PlayedInbox((0.1, [signal(0.1, TERM)]), (10.1, [signal(10.1, KILL)]), (3600.0, [died(3600.0, 137)]))
    assert stage(inbox).monitor.run().verdict is Verdict.KILLED


def test_the_engines_event_of_a_seen_exit_is_not_waited_for_without_limit() -> None:
    inbox = PlayedInbox((0.1, [signal(0.1, TERM)]), (2.0, [ended(2.0, INIT, 0)]), (3.0, [ended(3.0, CHILD, 0)]))
    state = stage(inbox).monitor.run()
    assert (state.settled, state.died_at, state.ended_at) == (True, None, T0 + 2.0)
    assert inbox.now == T0 + 2.0 + EVENT_LOST_S


def test_without_a_grace_period_that_ends_it_waits_without_limit() -> None:
    forever = replace(PLAN, timeout_s=INFINITE)
    with pytest.raises(AssertionError, match="without limit"):
        stage(PlayedInbox((0.1, [signal(0.1, TERM)])), forever).monitor.run()


def test_a_requested_stop_waits_without_limit_for_pid_1() -> None:
    with pytest.raises(AssertionError, match="without limit"):
        asked(PlayedInbox((0.1, [signal(0.1, TERM)]))).monitor.run()


def test_a_stop_that_came_too_late_is_over_soon_after_the_answer() -> None:
    """The container had exited before the watchers began: there is neither an event nor an exit."""
    inbox = PlayedInbox((0.1, [Answered()]), (3600.0, [died(3600.0)]))
    state = asked(inbox).monitor.run()
    assert (state.verdict, inbox.now) == (Verdict.FAILED, T0 + 0.1 + ANSWERED_S)
    assert "may have exited just before" in state.events[-2].detail


def test_a_clock_that_is_set_back_makes_no_stop_negative_or_endless() -> None:
    inbox = PlayedInbox()
    made = asked(inbox)
    inbox.set_back_s = 3600.0
    inbox.batches = [
        (0.2, [signal(0.1 - 3600, TERM)]),
        (0.4, [ended(0.3 - 3600, INIT, 0), ended(0.3 - 3600, CHILD, 0)]),
    ]
    inbox.batches.append((0.5, [died(0.35 - 3600), Answered()]))
    state = made.monitor.run()
    assert state.verdict is Verdict.GRACEFUL
    assert [round(one.at - state.began, 2) for one in state.events] == [0.1, 0.3, 0.3, 0.35, 0.5]
    assert state.duration_s == pytest.approx(0.3)


def test_events_after_the_clock_was_set_back_belong_to_the_stop() -> None:
    inbox = Inbox(lambda: T0)
    times = iter((T0,))
    made = stage(inbox, replace(PLAN, processes=()))
    made.monitor._clock = lambda: next(times, T0 - 3600)
    made.stream.tell(event(T0 - 3599.9, "kill", signal="15"), event(T0 - 3599, "die", exitCode="0"))
    made.monitor.request(until(made, Kind.DIED))
    assert made.monitor.run().duration_s == pytest.approx(1)


def test_a_request_that_fails_ends_the_waiting() -> None:
    inbox = PlayedInbox((0.1, [Answered("The engine went away.")]))
    state = asked(inbox).monitor.run()
    assert state.verdict is Verdict.FAILED
    assert [one.detail for one in state.events if one.kind is Kind.FAILED] == ["The engine went away."]


def test_everything_is_closed_at_the_end_and_after_a_fault() -> None:
    made = asked(PlayedInbox((0.1, [Answered("no")])))
    made.monitor.run()
    assert (made.stream.closed, made.watchers.closed) == (True, 2)
    made = asked(PlayedInbox())
    with pytest.raises(AssertionError):
        made.monitor.run()
    assert (made.stream.closed, made.watchers.closed) == (True, 2)


# what is recorded


@pytest.mark.parametrize(
    ("no_trace_reason", "elsewhere", "traced"), [("", False, True), ("", True, False), ("no tracefs", False, False)]
)
def test_all_signals_count_as_seen_only_where_the_trace_covers_the_whole_stop(
    no_trace_reason: str, elsewhere: bool, traced: bool
) -> None:
    inbox = PlayedInbox((0.1, [died(0.1)]))
    made = stage(inbox, replace(PLAN, started_elsewhere=elsewhere), Watchers(no_trace_reason))
    made.monitor.run()
    assert made.states[0].plan.traced is traced


def test_a_stop_does_not_wait_for_a_slow_trace_and_says_so() -> None:
    may_start, late, stream, inbox = threading.Event(), Watchers(), PlayedEvents(), Inbox()

    def record(ids: object, on_records: object) -> Watchers:
        may_start.wait(60)
        return late

    engine, exits = as_engine(ScriptedEngine(stream=stream)), Watchers(exits=(Exit(INIT, T0 + 2, 3),))
    plan = replace(PLAN, processes=PLAN.processes[:1])
    monitor = StopMonitor(
        engine, plan, T0, lambda state: None,
        inbox=inbox, watch_exits=lambda ids: exits, record=record, trace_start_s=0.01, clock=lambda: T0,
    )  # fmt: skip
    stream.tell(event(T0 + 2.1, "die", exitCode="3"))
    monitor.request(lambda engine: None)
    state = monitor.run()
    notes = [one for one in state.events if one.kind is Kind.NOTE]
    assert [one.detail for one in notes] == ["no kernel trace of this stop: it did not start within 0.01 s"]
    assert notes[0].source is Source.KERNEL
    assert not state.plan.traced
    may_start.set()
    eventually(lambda: late.closed == 1, "the late trace is closed")


# the threads


def test_events_of_the_engine_become_events_of_the_stop() -> None:
    made = stage(plan=replace(PLAN, processes=PLAN.processes[:1]), watchers=Watchers(exits=(Exit(INIT, T0 + 2, 3),)))
    made.stream.tell(
        event(T0 - 1, "kill", signal="15"),  # before the stop
        event(T0 + 0.1, "kill", "d" * 64, signal="9"),  # of another container
        event(T0 + 0.1, "exec_create"),
        event(T0, "kill", signal="15"),
        event(T0 + 0.3, "oom"),
        event(T0 + 2.1, "die", exitCode="3"),
        event(T0 + 2.2, "stop"),
        event(T0 + 2.3, "destroy"),
    )
    made.monitor.request(until(made, Kind.REMOVED))
    state = made.monitor.run()
    assert [(one.kind, one.signal, one.ended_by) for one in state.events if one.at > T0] == [
        (Kind.OUT_OF_MEMORY, None, None),
        (Kind.ENDED, None, 3),
        (Kind.DIED, None, 3),
        (Kind.STOPPED, None, None),
        (Kind.REMOVED, None, None),
    ]
    assert kinds(state).count(Kind.SIGNAL) == 1
    assert state.lanes[0].signal == TERM
    assert (state.lanes[0].ended_at, state.lanes[0].ended_by) == (T0 + 2, 3)
    assert ("events", T0 - 1.0) in made.engine.asked


def test_a_stop_ends_where_the_next_run_begins() -> None:
    """Two restarts, one soon after the other, were taken for one stop that had lasted for both."""
    made = stage(plan=replace(PLAN, processes=()))
    made.stream.tell(
        event(T0, "kill", signal="15"),
        event(T0 + 0.1, "die", exitCode="0"),
        event(T0 + 0.2, "stop"),
        event(T0 + 0.9, "start"),
        event(T0 + 2.9, "kill", signal="15"),
        event(T0 + 3.0, "die", exitCode="3"),
    )
    made.stream.close()
    made.monitor._read_events()
    for one in made.inbox.rest():
        made.monitor._take_all([one])
    state = made.monitor._state
    assert kinds(state) == [Kind.SIGNAL, Kind.DIED, Kind.STOPPED, Kind.STARTED]
    assert (state.verdict, state.exit_code) == (Verdict.RESTARTED, 0)
    assert state.duration_s == pytest.approx(0.1)


def test_an_engine_that_goes_away_ends_a_requested_stop() -> None:
    made = stage(plan=replace(PLAN, processes=()))
    made.stream.fail(Unreachable("It went away."))
    made.monitor.request(until(made, Kind.FAILED))
    assert made.monitor.run().verdict is Verdict.FAILED


def test_a_request_that_the_engine_refuses_is_a_failure_and_its_engine_is_closed() -> None:
    made = stage(plan=replace(PLAN, processes=()))

    def refuse(engine: Engine) -> None:
        raise Gone("There is no such container.")

    made.monitor.request(refuse)
    state = made.monitor.run()
    assert [one.detail for one in state.events if one.kind is Kind.FAILED] == ["There is no such container."]
    eventually(lambda: made.engine.closes == made.engine.clones == 2, "its engine and that of the events are closed")


def test_a_defect_in_the_request_ends_the_stop_with_a_sentence() -> None:
    made = stage(plan=replace(PLAN, processes=()))

    def fail(engine: Engine) -> None:
        raise KeyError("odd")

    made.monitor.request(fail)
    state = made.monitor.run()
    assert [one.detail for one in state.events if one.kind is Kind.FAILED] == ["unexpected KeyError: 'odd'"]


def test_waiting_for_the_exit_returns() -> None:
    made = asked(PlayedInbox((0.3, [ended(0.2, INIT, 0), died(0.25), Answered()])))
    assert made.monitor.wait_for_end(0) is False
    made.monitor.run()
    assert made.monitor.wait_for_end(0) is True
    assert made.monitor.wait_for_end(INFINITE) is True
