"""The fold of a stop: tables of what engines and kernels report, and that their order doesn't matter."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containerlab_probes.records import Dispositions, Process, ProcessId
from containerlab_probes.signals.forecast import forecast
from containerlab_tui.model.stop import (
    Kind,
    Source,
    StopEvent,
    StopPlan,
    StopState,
    Verdict,
    already_stopped,
    begin,
    fold,
)
from containerlab_tui.present.stop_text import describe, explain

TERM, KILL = 15, 9
T0 = 1_000.0
INIT, CHILD = ProcessId(500, 10), ProcessId(513, 11)


def process(id: ProcessId, container_pid: int, caught: Sequence[int] = ()) -> Process:
    return Process(
        id=id,
        container_pid=container_pid,
        parent_pid=1 if container_pid == 1 else INIT.pid,
        started_at=T0 - 60,
        state="S",
        uid=0,
        user="root",
        name="app",
        argv=("app", str(container_pid)),
        threads=1,
        dispositions=Dispositions(caught=frozenset(caught)),
        namespace_init=container_pid == 1,
    )


def plan(*processes: Process, signal: int = TERM, timeout_s: float = 10) -> StopPlan:
    return StopPlan(
        container="c" * 64,
        name="app",
        signal=signal,
        signal_source="default",
        timeout_s=timeout_s,
        timeout_source="default",
        processes=processes,
        pid=INIT.pid,
        forecasts=tuple(forecast(one, signal) for one in processes),
    )


HANDLING = plan(process(INIT, 1, caught=[TERM]))
FAMILY = plan(process(INIT, 1, caught=[TERM]), process(CHILD, 13, caught=[TERM]))
SHELL = plan(process(INIT, 1), process(CHILD, 7))


def signal(t: float, number: int) -> StopEvent:
    return StopEvent(T0 + t, Kind.SIGNAL, Source.ENGINE, container_pid=1, signal=number)


def ended(t: float, id: ProcessId, container_pid: int, by: int | str | None) -> StopEvent:
    return StopEvent(T0 + t, Kind.ENDED, Source.KERNEL, id, container_pid, ended_by=by)


def died(t: float, code: int) -> StopEvent:
    return StopEvent(T0 + t, Kind.DIED, Source.ENGINE, ended_by=code)


def event(t: float, kind: Kind, detail: str = "") -> StopEvent:
    return StopEvent(T0 + t, kind, Source.ENGINE, detail=detail)


def run(of: StopPlan, events: Sequence[StopEvent]) -> StopState:
    state = begin(of, T0)
    for one in events:
        state = fold(state, one)
    return state


GRACEFUL = [
    event(0.0, Kind.REQUESTED, "stop"),
    signal(0.01, TERM),
    ended(0.2, INIT, 1, 0),
    died(0.25, 0),
    event(0.3, Kind.STOPPED),
    event(0.31, Kind.SETTLED),
]
KILLED = [
    signal(0.01, TERM),
    signal(10.01, KILL),
    ended(10.02, INIT, 1, "SIGKILL"),
    died(10.1, 137),
    event(10.2, Kind.STOPPED),
    event(10.3, Kind.SETTLED),
]


def test_a_graceful_stop_has_one_phase() -> None:
    state = run(HANDLING, GRACEFUL)
    assert state.verdict is Verdict.GRACEFUL
    assert state.phase_1 is not None
    assert (state.phase_1.started, state.phase_1.ended, state.phase_2) == (T0 + 0.01, T0 + 0.2, None)
    assert state.duration_s == pytest.approx(0.2)
    assert explain(state) == ("Exited on its own after 0.20 s with code 0.",)


def test_a_killed_stop_has_two_phases_that_meet() -> None:
    state = run(HANDLING, KILLED)
    assert state.verdict is Verdict.KILLED
    assert state.phase_1 is not None
    assert state.phase_2 is not None
    assert state.phase_1.ended == state.phase_2.started == T0 + 10.01
    assert state.phase_2.ended == T0 + 10.02
    sentences = explain(state)
    assert sentences[0] == "Did not exit on SIGTERM: killed after 10.0 s (SIGKILL, exit code 137)."
    assert "but did not exit in time" in sentences[1]


def test_a_discarded_signal_is_named_as_the_reason() -> None:
    events = [*KILLED[:-1], ended(10.03, CHILD, 7, "SIGKILL"), KILLED[-1]]
    state = run(SHELL, events)
    assert "PID 1 has no handler for SIGTERM" in explain(state)[1]
    # Without a handler SIGTERM would have terminated the child, but SIGKILL did, so it was never signalled.
    assert explain(state)[2] == "Process 7 never got SIGTERM and was killed with PID 1."


@pytest.mark.parametrize(
    ("traced", "words"),
    [
        (False, "Process 13 was killed with PID 1; Docker had sent it no signal."),
        (True, "Process 13 never got SIGTERM and was killed with PID 1."),
    ],
)
def test_a_child_is_called_unsignalled_only_with_a_full_trace(traced: bool, words: str) -> None:
    events = [*GRACEFUL[:-1], ended(0.205, CHILD, 13, "SIGKILL"), GRACEFUL[-1]]
    assert explain(run(replace(FAMILY, traced=traced), events))[-1] == words


def test_a_child_that_another_process_signalled() -> None:
    sent = StopEvent(T0 + 0.05, Kind.SIGNAL, Source.KERNEL, CHILD, 13, TERM)
    events = [*GRACEFUL[:2], sent, *GRACEFUL[2:-1], ended(0.21, CHILD, 13, "SIGKILL"), GRACEFUL[-1]]
    assert "Process 13 received SIGTERM" in explain(run(FAMILY, events))[-1]


def test_sigkill_first_is_not_a_two_phase_stop() -> None:
    state = run(HANDLING, [signal(0.0, KILL), ended(0.01, INIT, 1, "SIGKILL"), died(0.05, 137)])
    assert state.verdict is Verdict.KILLED
    assert "SIGKILL was the first signal" in explain(state)[0]


def test_an_exit_just_before_sigkill_is_graceful() -> None:
    state = run(HANDLING, [signal(0, TERM), signal(10, KILL), ended(10.0001, INIT, 1, 0), died(10.1, 0)])
    assert state.verdict is Verdict.GRACEFUL


def test_exit_code_137_is_not_sigkill() -> None:
    """For example an init whose child was killed; without a kernel trace 137 counts as SIGKILL."""
    state = run(HANDLING, [signal(0, TERM), ended(0.2, INIT, 1, 137), died(0.3, 137)])
    assert state.verdict is Verdict.GRACEFUL
    assert explain(state)[0] == "Exited on its own after 0.20 s with code 137."
    assert run(HANDLING, [signal(0, TERM), ended(0.2, INIT, 1, None), died(0.3, 137)]).verdict is Verdict.KILLED


def test_sigkill_as_the_stop_signal_is_named() -> None:
    state = run(plan(process(INIT, 1), signal=KILL), [signal(0, KILL), ended(0.1, INIT, 1, "SIGKILL"), died(0.2, 137)])
    assert explain(state)[0].endswith("its stop signal is SIGKILL.")


def test_137_without_phase_two_is_not_blamed_on_the_stop() -> None:
    state = run(HANDLING, [signal(0, TERM), ended(2, INIT, 1, "SIGKILL"), died(2.1, 137)])
    assert state.verdict is Verdict.KILLED
    assert "not by this stop" in explain(state)[0]


def test_out_of_memory_is_named_first() -> None:
    events = [signal(0, TERM), event(1, Kind.OUT_OF_MEMORY), ended(2, INIT, 1, "SIGKILL"), died(2.1, 137)]
    assert explain(run(HANDLING, events))[0].startswith("Out of memory")


def test_a_child_killed_out_of_memory_is_not_the_result() -> None:
    events = [signal(0, TERM), event(1, Kind.OUT_OF_MEMORY), signal(10, KILL), ended(10.1, INIT, 1, "SIGKILL")]
    assert explain(run(HANDLING, events))[0].startswith("Did not exit on SIGTERM")


def test_a_restart_after_the_exit() -> None:
    state = run(HANDLING, [*GRACEFUL[:-1], event(0.6, Kind.STARTED), event(1.5, Kind.SETTLED)])
    assert state.verdict is Verdict.RESTARTED
    assert "then was restarted" in explain(state)[0]


def test_a_start_before_the_stop_is_not_a_restart() -> None:
    state = run(HANDLING, [event(-0.5, Kind.STARTED), *GRACEFUL])
    assert state.verdict is Verdict.GRACEFUL


@pytest.mark.parametrize(
    ("starts", "verdict"),
    [
        ((0.2,), Verdict.RESTARTED),  # the moment of the end belongs to the restart: engines round their times
        ((0.2 - 0.001,), Verdict.GRACEFUL),
        ((-0.5, 0.6), Verdict.RESTARTED),
        ((0.6, -0.5), Verdict.RESTARTED),
    ],
)
def test_the_last_start_counts_as_a_restart_from_the_exit_of_pid_1_on(
    starts: tuple[float, ...], verdict: Verdict
) -> None:
    assert run(HANDLING, [*GRACEFUL, *(event(at, Kind.STARTED) for at in starts)]).verdict is verdict


def test_a_failure_counts_only_while_the_container_runs() -> None:
    failed = event(0.1, Kind.FAILED, "the engine went away.")
    assert run(HANDLING, [failed]).verdict is Verdict.FAILED
    assert run(HANDLING, [failed, *GRACEFUL]).verdict is Verdict.GRACEFUL


def test_an_already_stopped_container() -> None:
    state = already_stopped(HANDLING, T0, 3)
    assert (state.began, state.verdict) == (T0, Verdict.ALREADY_STOPPED)
    assert (state.exit_code, state.settled) == (3, True)
    assert explain(state)


def test_a_stop_in_progress_has_no_verdict() -> None:
    state = run(HANDLING, [signal(0, TERM)])
    assert state.verdict is None
    assert explain(state) == ()
    assert state.phase_1 is not None
    assert state.phase_1.ended is None


def test_without_processes_the_engine_decides() -> None:
    untraced = plan()
    state = run(untraced, [signal(0.01, TERM), died(0.5, 0), event(0.6, Kind.SETTLED)])
    assert state.verdict is Verdict.GRACEFUL
    assert state.phase_1 is not None
    assert state.phase_1.ended == T0 + 0.5


def test_exit_code_143_is_reported() -> None:
    assert "with code 143" in explain(run(HANDLING, [signal(0, TERM), ended(1, INIT, 1, 143), died(1, 143)]))[0]
    by_signal = run(HANDLING, [signal(0, TERM), ended(1, INIT, 1, "SIGTERM"), died(1, 143)])
    assert "by SIGTERM (exit code 143)" in explain(by_signal)[0]


@given(st.permutations(KILLED))
def test_any_order_of_the_same_events_gives_the_same_end(events: Sequence[StopEvent]) -> None:
    expected, state = run(HANDLING, KILLED), run(HANDLING, events)
    assert (state.verdict, state.exit_code, state.events) == (expected.verdict, expected.exit_code, expected.events)
    assert (state.phase_1, state.phase_2) == (expected.phase_1, expected.phase_2)


ANY_EVENT = st.builds(
    StopEvent,
    at=st.floats(T0 - 1, T0 + 30, allow_nan=False),
    kind=st.sampled_from(list(Kind)),
    source=st.sampled_from(list(Source)),
    id=st.sampled_from([None, INIT, CHILD]),
    container_pid=st.sampled_from([None, 1, 13]),
    signal=st.sampled_from([TERM, KILL, 10]),
    ended_by=st.sampled_from([None, 0, 137, "SIGKILL", "SIGTERM"]),
)


@given(st.lists(ANY_EVENT, max_size=12))
def test_no_sequence_of_events_breaks_the_fold(events: list[StopEvent]) -> None:
    state = run(FAMILY, events)
    assert len(state.events) == len(events)
    assert all(describe(one) for one in events)
    for phase in (state.phase_1, state.phase_2):
        assert phase is None or phase.ended is None or phase.ended >= phase.started
    single_signal = state.settled and state.phase_2 is None
    assert (explain(state) == ()) == (state.verdict is None and not single_signal)
