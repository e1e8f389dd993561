"""Stops by an engine that reports no signals: phases and verdict come from the kernel, the exit and the time."""

from dataclasses import replace

import pytest

from containerlab_tui.model.product import PODMAN
from containerlab_tui.model.stop import Kind, Phase, Source, StopEvent, StopPlan, StopState, Verdict
from containerlab_tui.present.stop_text import explain
from tests.unit.model.test_stop import CHILD, HANDLING, INIT, KILL, T0, TERM, died, ended, event, run

PLAN = replace(HANDLING, product=PODMAN)
TRACED = replace(PLAN, traced=True)
REQUESTED, SETTLED = event(0.0, Kind.REQUESTED, "stop"), event(30.0, Kind.SETTLED)


def traced(t: float, number: int, sender: str = "runc [77]") -> StopEvent:
    return StopEvent(
        T0 + t, Kind.SIGNAL, Source.KERNEL, INIT, 1, number, detail=f"queued, from {sender}", sender=sender
    )


def phases(state: StopState) -> list[tuple[float, float | None] | None]:
    """Returns both phases in seconds since the beginning."""

    def seconds(phase: Phase | None) -> tuple[float, float | None] | None:
        if phase is None:
            return None
        return round(phase.started - T0, 2), None if phase.ended is None else round(phase.ended - T0, 2)

    return [seconds(state.phase_1), seconds(state.phase_2)]


@pytest.mark.parametrize("sender", ["runc [77]", "crun [77]", "3 [77]"])
def test_the_kernel_trace_shows_both_phases(sender: str) -> None:
    signals = traced(0.02, TERM, sender), traced(10.03, KILL, sender)
    state = run(TRACED, [REQUESTED, *signals, ended(10.04, INIT, 1, "SIGKILL"), SETTLED])
    assert (state.verdict, phases(state)) == (Verdict.KILLED, [(0.02, 10.03), (10.03, 10.04)])
    assert explain(state)[0] == "Did not exit on SIGTERM: killed after 10.0 s (SIGKILL, exit code 137)."
    assert not any(one.kind is Kind.SIGNAL and one.source is Source.ENGINE for one in state.events)


def test_an_exit_in_phase_1() -> None:
    state = run(TRACED, [REQUESTED, traced(0.02, TERM), ended(0.3, INIT, 1, 0), died(0.31, 0), SETTLED])
    assert (state.verdict, phases(state)) == (Verdict.GRACEFUL, [(0.02, 0.3), None])


@pytest.mark.parametrize("sender", ["bash [5]", "the kernel", "the kernel, for python3 [6]"])
def test_sigkill_from_elsewhere_is_not_phase_2(sender: str) -> None:
    events = [REQUESTED, traced(0.02, TERM), traced(3.0, KILL, sender), ended(3.0, INIT, 1, "SIGKILL"), SETTLED]
    state = run(TRACED, events)
    assert (state.verdict, phases(state)) == (Verdict.KILLED, [(0.02, 3.0), None])
    assert explain(state)[0].endswith("but not by this stop: Podman sent no SIGKILL.")


def test_signals_to_other_processes_are_no_phase() -> None:
    to_child = replace(traced(0.02, TERM), id=CHILD)
    assert phases(run(TRACED, [REQUESTED, to_child])) == [None, None]


def unnamed(t: float) -> StopEvent:
    """What `podman kill` reports."""
    return StopEvent(T0 + t, Kind.SIGNAL, Source.ENGINE, INIT, 1)


def test_a_kill_event_without_a_signal_is_no_phase() -> None:
    assert phases(run(TRACED, [unnamed(1)])) == [None, None]


@pytest.mark.parametrize(
    ("plan", "end", "code", "expected"),
    [
        (PLAN, 10.2, 137, [(0.0, 10.0), (10.0, 10.2)]),
        (PLAN, 9.8, 137, [(0.0, 9.8), (9.8, 9.8)]),
        (PLAN, 3.0, 137, [(0.0, 3.0), None]),
        (PLAN, 10.2, 0, [(0.0, 10.2), None]),
        (replace(PLAN, timeout_s=-1), 40.0, 137, [(0.0, 40.0), None]),
        (replace(PLAN, timeout_s=0), 0.2, 137, [(0.0, 0.0), (0.0, 0.2)]),
        (replace(PLAN, signal=KILL), 0.2, 137, [(0.0, 0.0), (0.0, 0.2)]),
        (replace(PLAN, processes=(), forecasts=(), pid=0), 10.2, 137, [(0.0, 10.0), (10.0, 10.2)]),
    ],
)
def test_without_a_trace_phase_2_follows_the_grace_period(
    plan: StopPlan, end: float, code: int, expected: list[tuple[float, float] | None]
) -> None:
    state = run(plan, [REQUESTED, died(end, code), SETTLED])
    assert state.verdict is (Verdict.KILLED if code == 137 else Verdict.GRACEFUL)
    assert phases(state) == expected


def test_exit_code_137_of_a_program_is_not_sigkill() -> None:
    """The kernel's word counts more than the engine's."""
    state = run(PLAN, [REQUESTED, ended(10.2, INIT, 1, 137), died(10.3, 137), SETTLED])
    assert (state.verdict, phases(state)) == (Verdict.GRACEFUL, [(0.0, 10.2), None])


def test_out_of_memory_is_not_phase_2() -> None:
    state = run(PLAN, [REQUESTED, event(9.9, Kind.OUT_OF_MEMORY), died(10.2, 137), SETTLED])
    assert phases(state) == [(0.0, 10.2), None]
    assert explain(state) == ("Out of memory: killed after 10.2 s (SIGKILL, exit code 137) by the kernel.",)


@pytest.mark.parametrize(
    ("plan", "end", "words"),
    [
        (PLAN, 3.0, "but not by this stop: the grace period of 10 s had not expired."),
        (replace(PLAN, timeout_s=0), 0.2, ": without a grace period Podman sends only SIGKILL."),
        (PLAN, 10.2, "Did not exit on SIGTERM: killed after 10.2 s (SIGKILL, exit code 137)."),
    ],
)
def test_the_sentences_name_podman_and_what_is_known(plan: StopPlan, end: float, words: str) -> None:
    state = run(plan, [REQUESTED, died(end, 137), SETTLED])
    assert explain(state)[0].endswith(words)
    assert not any("Docker" in sentence for sentence in explain(state))


def test_a_chosen_signal_came_before_sigkill_even_without_a_grace_period() -> None:
    plan = replace(PLAN, timeout_s=0, signal=2, signal_source="request")
    state = run(plan, [REQUESTED, unnamed(0.01), died(0.2, 137), SETTLED])
    assert explain(state)[0] == "Did not exit on SIGINT: killed after 0.20 s (SIGKILL, exit code 137)."
