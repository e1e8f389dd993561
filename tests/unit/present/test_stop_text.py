"""The words of a stop: which process was killed, by what, after how long, and each event."""

from dataclasses import replace

import pytest

from containerlab_probes.records import Delivery, Dispositions, Effect, Forecast, Process, ProcessId
from containerlab_tui.model.stop import (
    Kind,
    Source,
    StopEvent,
    StopPlan,
    StopState,
    Verdict,
    begin,
    failed_to_begin,
    fold,
)
from containerlab_tui.present.stop_text import describe, explain

TERM, KILL, USR1 = 15, 9, 10
T0 = 1_000.0
INIT = ProcessId(500, 10)
CHILDREN = tuple(ProcessId(510 + number, 11) for number in range(5))


def process(id: ProcessId, container_pid: int) -> Process:
    return Process(
        id, container_pid, 1, T0 - 60, "S", 0, "root", "app", ("app",), threads=1, dispositions=Dispositions()
    )


def plan(
    children: int = 0, signal: int = TERM, effect: Effect = Effect.PROGRAM_DECIDES, traced: bool = False
) -> StopPlan:
    """A container whose PID 1 is not the first process of the list."""
    members = (*(process(id, 2 + n) for n, id in enumerate(CHILDREN[:children])), process(INIT, 1))
    forecasts = tuple(
        Forecast(
            one.id, one.container_pid, signal, Delivery.IGNORED if one.id == INIT else Delivery.DEFAULT, effect, ""
        )
        for one in members
    )
    return StopPlan(
        "c" * 64, "app", signal, "default", 10.0, "default", members, forecasts, pid=INIT.pid, traced=traced
    )


def sent(t: float, signal: int, id: ProcessId = INIT, source: Source = Source.ENGINE) -> StopEvent:
    return StopEvent(T0 + t, Kind.SIGNAL, source, id, None, signal)


def ended(t: float, id: ProcessId = INIT, by: int | str | None = "SIGKILL") -> StopEvent:
    return StopEvent(T0 + t, Kind.ENDED, Source.KERNEL, id, None, ended_by=by)


def died(t: float, code: int | None = 137) -> StopEvent:
    return StopEvent(T0 + t, Kind.DIED, Source.ENGINE, ended_by=code)


SETTLED = StopEvent(T0 + 30, Kind.SETTLED, Source.ENGINE)


def run(of: StopPlan, *events: StopEvent) -> StopState:
    state = begin(of, T0)
    for event in events:
        state = fold(state, event)
    return state


# a plan


def test_a_plan_names_the_signalled_and_the_unsignalled_processes() -> None:
    made = plan(2)
    assert made.init is not None
    assert made.init.id == INIT
    assert [one.id for one in made.unreached] == list(CHILDREN[:2])
    assert StopPlan("c", "app", TERM, "", 10.0, "", (), ()).init is None
    bare = StopPlan("c", "app", TERM, "", 10.0, "", (process(ProcessId(1, 1), 1),), ())
    assert (bare.init, bare.started_elsewhere, bare.traced) == (None, False, False)


def test_a_state_knows_the_lane_of_pid_1() -> None:
    state = begin(plan(2), T0)
    assert state.init_lane is not None
    assert state.init_lane.id == INIT
    assert [lane.got_signal for lane in state.lanes] == [None] * 3
    assert {lane.command for lane in state.lanes} == {"app"}
    assert (state.settled, state.out_of_memory) == (False, False)


def test_the_exit_of_pid_1_counts_as_the_kernel_saw_it_and_else_as_the_engine_did() -> None:
    assert run(plan(), died(1.0)).ended_at == T0 + 1.0
    assert run(plan(), died(1.0), ended(0.5)).ended_at == T0 + 0.5
    assert run(plan(1), ended(0.5, CHILDREN[0])).ended_at is None


def test_a_second_report_without_an_exit_code_keeps_the_first() -> None:
    assert run(plan(), died(1.0, 7), died(1.1, None)).exit_code == 7


# signals


def test_a_signal_belongs_to_the_process_that_got_it() -> None:
    state = run(plan(2), sent(0, TERM, CHILDREN[1], Source.KERNEL))
    assert [(lane.got_signal, lane.signal) for lane in state.lanes] == [(None, None), (True, TERM), (None, None)]
    by_number = StopEvent(T0, Kind.SIGNAL, Source.ENGINE, None, 2, TERM)
    assert [lane.got_signal for lane in run(plan(2), by_number).lanes] == [True, None, None]


def test_the_final_sigkill_does_not_count_as_a_received_signal() -> None:
    child = CHILDREN[0]
    by_engine, by_kernel = sent(10, KILL, child), sent(10, KILL, child, Source.KERNEL)
    lane = run(plan(1), by_engine).lanes[0]
    assert (lane.got_signal, lane.signal) == (None, None)
    lane = run(plan(1), by_kernel).lanes[0]
    assert (lane.got_signal, lane.signal) == (False, KILL)
    lane = run(plan(1), sent(0, TERM, child, Source.KERNEL), by_kernel).lanes[0]
    assert (lane.got_signal, lane.signal) == (True, KILL)


def test_phases_begin_with_signals_of_the_engine_alone() -> None:
    assert run(plan(), sent(0, TERM, source=Source.KERNEL)).phase_1 is None
    state = run(plan(), sent(0, TERM), sent(3, KILL, source=Source.KERNEL))
    assert (state.phase_1 is not None, state.phase_2) == (True, None)


@pytest.mark.parametrize(
    ("effect", "by", "traced", "got"),
    [
        (Effect.TERMINATES, "SIGKILL", False, False),
        (Effect.DUMPS_CORE, "SIGKILL", False, False),
        (Effect.PROGRAM_DECIDES, "SIGKILL", False, None),
        (Effect.TERMINATES, 0, False, None),
        (Effect.PROGRAM_DECIDES, 0, True, False),
    ],
)
def test_whether_a_child_was_signalled_is_decided_at_the_end(
    effect: Effect, by: int | str, traced: bool, got: bool | None
) -> None:
    of, exit = plan(1, effect=effect, traced=traced), ended(1, CHILDREN[0], by)
    state = run(of, exit, ended(1), SETTLED)
    assert state.lanes[0].got_signal is got
    assert state.lanes[1].got_signal is None, "PID 1 is never called unsent"
    assert state.settled
    signalled = run(
        plan(1, effect=effect, traced=traced), sent(0, TERM, CHILDREN[0]), ended(1, CHILDREN[0], by), SETTLED
    )
    assert signalled.lanes[0].got_signal is True


def test_without_a_forecast_nothing_is_concluded() -> None:
    made = StopPlan("c", "app", TERM, "", 10.0, "", (process(CHILDREN[0], 2), process(INIT, 1)), (), pid=INIT.pid)
    assert run(made, ended(1, CHILDREN[0]), SETTLED).lanes[0].got_signal is None


# the explanation


def first(state: StopState) -> str:
    """Returns the main sentence."""
    sentence = explain(state)[0]
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    return sentence


@pytest.mark.parametrize(
    ("of", "events", "words"),
    [
        (plan(), (sent(0, TERM), ended(2)), "no SIGKILL"),
        (plan(signal=KILL), (sent(0, KILL), ended(2)), "its stop signal is SIGKILL"),
        (plan(), (sent(0, KILL), ended(2)), "SIGKILL was the first signal"),
        (plan(), (sent(0, USR1, source=Source.KERNEL), sent(1, KILL), ended(2)), "SIGKILL was the first signal"),
        (plan(), (sent(0, TERM), sent(1, KILL), ended(2)), "SIGTERM"),
    ],
)
def test_why_it_was_killed(of: StopPlan, events: tuple[StopEvent, ...], words: str) -> None:
    state = run(of, *events)
    assert state.verdict is Verdict.KILLED
    assert words in first(state)
    assert "illed after 2.0 s (SIGKILL, exit code 137)" in first(state)


def test_why_it_stayed_is_about_pid_1() -> None:
    (_, why) = explain(run(plan(2), sent(0, TERM), sent(1, KILL), ended(2)))
    assert why == "PID 1 ignores SIGTERM."


def test_an_unknown_reason_is_left_out() -> None:
    killed = sent(0, TERM), sent(1, KILL), ended(2), died(2)
    without_forecast = replace(plan(), forecasts=())
    undecided = replace(plan(), forecasts=(replace(plan().forecasts[0], delivery=Delivery.UNKNOWN),))
    for of in (without_forecast, undecided):
        (sentence,) = explain(run(of, *killed))
        assert "SIGTERM" in sentence


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.0, "0.00 s"), (0.994, "0.99 s"), (1.0, "1.0 s"), (1.49, "1.5 s"), (12.34, "12.3 s")]
)
def test_how_long_it_took(seconds: float, shown: str) -> None:
    assert f"after {shown} " in first(run(plan(), sent(0, TERM), ended(seconds, by=0)))


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ((ended(1, by=3), died(1, 3)), "3."),
        ((ended(1, by="SIGTERM"), died(1, 143)), "SIGTERM (exit code 143)."),
        ((ended(1, by="SIGTERM"),), "SIGTERM."),
        ((died(1, 7),), "7."),
        ((ended(1, by=None), died(1, 7)), "7."),
        ((ended(1, by=None),), "an unknown code."),
        ((ended(1, by=0), died(1, 7)), "0."),
    ],
)
def test_how_it_exited(events: tuple[StopEvent, ...], words: str) -> None:
    state = run(plan(), sent(0, TERM), *events)
    assert state.verdict is Verdict.GRACEFUL
    assert first(state).endswith(words)


@pytest.mark.parametrize("killed", [0, 1, 3, 4, 5])
def test_at_most_three_children_are_named(killed: int) -> None:
    children = [ended(2.01, id) for id in CHILDREN[:killed]]
    sentences = explain(run(plan(5), sent(0, TERM), ended(2, by=0), *children, SETTLED))[1:]
    named = [one for one in sentences if one.startswith("Process ")]
    assert len(named) == min(killed, 3)
    assert [one.split()[1] for one in named] == ["2", "3", "4"][:killed]
    assert len(sentences) - len(named) == (killed > 3)
    if killed > 3:
        assert sentences[-1].startswith(f"{killed - 3} more ")


@pytest.mark.parametrize(
    ("event", "named"),
    [
        (ended(1.96, CHILDREN[0]), True),  # the times of two sources differ a little
        (ended(1.95, CHILDREN[0]), True),
        (ended(1.94, CHILDREN[0]), False),
        (ended(2.0, CHILDREN[0], by=0), False),
        (ended(2.0, CHILDREN[0], by="SIGTERM"), False),
        (sent(1.0, TERM, CHILDREN[0], Source.KERNEL), False),
    ],
)
def test_only_what_was_killed_with_pid_1_is_named(event: StopEvent, named: bool) -> None:
    state = run(plan(1), sent(0, TERM), ended(2, by=0), event)
    assert (len(explain(state)) == 2) is named


def test_pid_1_is_no_child_of_itself_and_before_its_exit_nobody_died_with_it() -> None:
    assert len(explain(run(plan(1), sent(0, TERM), sent(1, KILL), ended(2)))) == 2
    state = run(plan(1), ended(1, CHILDREN[0]))
    assert explain(state) == ()


def test_a_signal_that_the_container_survived_is_not_a_stop() -> None:
    state = run(plan(), sent(0, TERM), SETTLED)
    assert state.verdict is None
    assert "SIGTERM" in first(state)
    assert explain(run(plan(), sent(0, TERM))) == ()
    assert explain(run(plan(), sent(0, TERM), sent(10, KILL), SETTLED)) == ()


def test_a_stop_that_could_not_begin_says_why() -> None:
    state = failed_to_begin(plan(), T0, "The engine went away.")
    assert (state.began, state.verdict, state.settled) == (T0, Verdict.FAILED, True)
    assert {event.source for event in state.events} == {Source.ENGINE}
    assert first(state).endswith("The engine went away.")
    more = fold(state, StopEvent(T0 - 1, Kind.NOTE, Source.ENGINE, detail="a remark"))
    more = fold(more, StopEvent(T0 + 1, Kind.NOTE, Source.ENGINE, detail="another"))
    assert explain(more) == explain(state)


def test_out_of_memory_is_the_reason_only_without_a_sigkill_of_the_engine() -> None:
    memory = StopEvent(T0 + 1, Kind.OUT_OF_MEMORY, Source.ENGINE)
    assert "memory" in first(run(plan(), sent(0, TERM), memory, ended(2)))
    assert "memory" not in first(run(plan(), sent(0, TERM), memory, sent(10, KILL), ended(10)))


# one event


@pytest.mark.parametrize(
    ("event", "parts"),
    [
        (StopEvent(T0, Kind.SIGNAL, Source.ENGINE, None, 1, TERM), ["SIGTERM", "PID 1"]),
        (StopEvent(T0, Kind.SIGNAL, Source.KERNEL, None, None, TERM, detail="queued"), ["a process", ": queued"]),
        (StopEvent(T0, Kind.DELIVERED, Source.KERNEL, None, 7, USR1), ["PID 7", "SIGUSR1"]),
        (StopEvent(T0, Kind.ENDED, Source.KERNEL, None, 7, ended_by=3), ["PID 7", "code 3"]),
        (StopEvent(T0, Kind.ENDED, Source.KERNEL, None, 7, ended_by="SIGKILL"), ["PID 7", " by SIGKILL"]),
        (StopEvent(T0, Kind.DIED, Source.ENGINE, ended_by=137), ["container", "code 137"]),
        (StopEvent(T0, Kind.SIGNAL, Source.ENGINE, None, 1), ["a signal to PID 1"]),
        (StopEvent(T0, Kind.FAILED, Source.ENGINE, detail="Gone."), ["failed", ": Gone."]),
        (StopEvent(T0, Kind.NOTE, Source.ENGINE, detail="a remark"), ["a remark"]),
        (StopEvent(T0, Kind.NOTE, Source.ENGINE), ["note"]),
    ],
)
def test_an_event_in_words(event: StopEvent, parts: list[str]) -> None:
    said = describe(event)
    at = [said.find(part) for part in parts]
    assert -1 not in at, said
    assert said == said.strip(": ")


def test_an_event_says_no_more_than_is_known() -> None:
    assert describe(StopEvent(T0, Kind.ENDED, Source.KERNEL, None, 7)).endswith("ed")
    assert ":" not in describe(StopEvent(T0, Kind.FAILED, Source.ENGINE))
    assert describe(StopEvent(T0, Kind.NOTE, Source.ENGINE, detail="a remark")) == "a remark"
    assert describe(StopEvent(T0, Kind.FAILED, Source.ENGINE, detail="x")) != describe(
        StopEvent(T0, Kind.NOTE, Source.ENGINE, detail="x")
    )
