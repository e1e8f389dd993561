"""The lanes of a stop: tables of cases, and properties for every stop and width."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from containerlab_tui.model.stop import Kind, Source, StopEvent, StopState, begin
from containerlab_tui.ui.widgets.lanes import (
    Line,
    Role,
    Scale,
    columns,
    draw,
    outcome,
    round_up,
    seconds_text,
    span,
)
from tests.ui.samples import (
    APP,
    BEGAN,
    HANDLER,
    SHELL,
    WORKER,
    by_engine,
    ended,
    fed,
    graceful_stop,
    killed_stop,
    plan,
    process,
    sent,
    stop_in_progress,
)


def plain(line: Line) -> str:
    return "".join(segment.text for segment in line).rstrip()


def lane_of(state: StopState, container_pid: int, width: int = 100, after: float = 20.0) -> str:
    lines = draw(state, width, BEGAN + after)[2:]
    label = columns(width).label
    return next(plain(line)[label:] for line in lines if plain(line)[:4].strip() == str(container_pid))


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, 0.1),
        (0.1, 0.1),
        (0.11, 0.2),
        (0.3, 0.5),
        (1.0, 1.0),
        (1.01, 2.0),
        (7.0, 10.0),
        (10.0, 10.0),
        (61.0, 100.0),
    ],
)
def test_round_numbers(seconds: float, expected: float) -> None:
    assert round_up(seconds) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.0, "0.00 s"), (9.99, "9.99 s"), (9.996, "10.0 s"), (11.94, "11.9 s"), (320.4, "320 s")]
)
def test_durations(seconds: float, expected: str) -> None:
    assert seconds_text(seconds) == expected


@pytest.mark.parametrize(
    ("ended_by", "expected", "role"),
    [
        (0, "✓ 0.20 s exit 0", Role.WELL),
        (143, "! 0.20 s exit 143", Role.BAD),
        ("SIGKILL", "✗ 0.20 s KILL", Role.BAD),
        ("SIGRTMIN+3", "✗ 0.20 s RTMIN+3", Role.BAD),
        (None, "exited 0.20 s", Role.PLAIN),
    ],
)
def test_outcome_of_a_process(ended_by: int | str | None, expected: str, role: Role) -> None:
    state = fed(begin(plan(HANDLER), BEGAN), sent(0.0, 15), ended(0.2, HANDLER, ended_by))
    assert outcome(state, state.lanes[0]) == (expected, role)


def test_an_unseen_exit_is_not_shown_as_running() -> None:
    state = fed(begin(plan(HANDLER, APP), BEGAN), by_engine(1.0, Kind.DIED, 0), by_engine(1.5, Kind.SETTLED))
    assert outcome(state, state.lanes[1])[0] == "exit not seen"
    assert outcome(stop_in_progress(), stop_in_progress().lanes[1])[0] == "running"


def test_a_killed_container_shows_both_phases_and_processes_not_signalled() -> None:
    lines = [plain(line) for line in draw(killed_stop(), 100, BEGAN + 20)]
    assert "├ phase 1 TERM ─" in lines[0]
    assert "phase 2 KILL" in lines[0]
    assert lines[1].split() == ["PID", "PROCESS", "0", "5", "10", "s", "EXIT"]
    shell, app, worker = (lane_of(killed_stop(), pid) for pid in (1, 7, 13))
    assert shell.startswith("▼TERM───")
    assert "✗KILL" in shell
    assert "not signalled by Docker" in app
    assert "not signalled " in worker
    assert "by Docker" not in worker
    assert all(lane.endswith("✗ 10.0 s KILL") for lane in (shell, app, worker))
    assert shell.index("✗") == app.index("✗") == worker.index("✗")


def test_the_axis_is_short_for_a_fast_exit() -> None:
    assert span(graceful_stop(), BEGAN + 20) < 0.5
    lane = lane_of(graceful_stop(), 1)
    assert "▼TERM──" in lane
    assert lane.endswith("✓ 0.21 s exit 0")
    assert not any("phase 2" in plain(line) for line in draw(graceful_stop(), 100, BEGAN + 20))


def test_during_a_stop_only_the_ends_of_lanes_move() -> None:
    early, late = (draw(stop_in_progress(), 100, BEGAN + after) for after in (1.0, 9.0))
    assert early[:2] == late[:2]
    assert "├ KILL ┈" in plain(early[0])
    short, long = (lane_of(stop_in_progress(), 1, after=after) for after in (3.0, 9.0))
    assert 0 < short.count("─") < long.count("─")
    assert short.startswith("▼TERM")


def test_a_stop_without_a_limit_grows_its_axis_in_steps() -> None:
    state = begin(plan(HANDLER, timeout_s=-1), BEGAN)
    assert [span(state, BEGAN + after) for after in (1, 4, 30, 31)] == [5.0, 5.0, 50.0, 50.0]


def test_a_kernel_event_marks_the_lane_that_it_names() -> None:
    quit_event = StopEvent(BEGAN + 1.0, Kind.SIGNAL, Source.KERNEL, APP.id, APP.container_pid, 3)
    assert "▼QUIT" in lane_of(fed(stop_in_progress(), quit_event), 7, after=9.0)
    assert "▼QUIT" not in lane_of(fed(stop_in_progress(), quit_event), 13, after=9.0)


def test_a_signal_that_the_engine_does_not_name_has_no_mark() -> None:
    unnamed = StopEvent(BEGAN + 1.0, Kind.SIGNAL, Source.ENGINE, None, 1)
    assert lane_of(fed(stop_in_progress(), unnamed), 1, after=9.0) == lane_of(stop_in_progress(), 1, after=9.0)


def test_a_narrow_screen_shows_names_only() -> None:
    lines = [plain(line) for line in draw(killed_stop(), 20, BEGAN + 20)]
    assert len(lines) == 3
    assert lines[0].startswith("   1  sh -c")
    assert lines[0].endswith("…")


def test_a_hostile_command_is_only_text() -> None:
    hostile = process(1, "a\x1b]0;x\x07", "\u202eb\n", "日本語")
    text = lane_of(fed(begin(plan(hostile), BEGAN), sent(0, 15)), 1)
    lines = "".join(plain(line) for line in draw(begin(plan(hostile), BEGAN), 140, BEGAN))
    assert text
    assert lines.isprintable()
    assert "日本語" in lines


times = st.floats(0, 400, allow_nan=False)
events = st.one_of(
    st.builds(sent, times, st.sampled_from([15, 9, 3, 34])),
    st.builds(
        ended,
        times,
        st.sampled_from([SHELL, APP, WORKER]),
        st.sampled_from([0, 1, 137, "SIGKILL", "SIGRTMIN+15", None]),
    ),
    st.builds(
        lambda after, kind: by_engine(after, kind, 137, "words"),
        times,
        st.sampled_from([Kind.DIED, Kind.STOPPED, Kind.SETTLED, Kind.FAILED, Kind.STARTED, Kind.NOTE]),
    ),
)
states = st.builds(
    lambda grace, happened: fed(begin(plan(SHELL, APP, WORKER, timeout_s=grace), BEGAN), *happened),
    st.sampled_from([-1, 0, 1, 10, 600]),
    st.lists(events, max_size=8),
)


@given(states, st.integers(0, 220), times)
def test_no_line_is_ever_wider_than_the_screen(state: StopState, width: int, after: float) -> None:
    lines = draw(state, width, BEGAN + after)
    assert all(cell_len(plain(line)) <= width for line in lines)
    assert all(sum(cell_len(segment.text) for segment in line) == width for line in lines)


@given(states, st.integers(60, 220), times)
def test_every_process_has_a_lane(state: StopState, width: int, after: float) -> None:
    assert len(draw(state, width, BEGAN + after)) == 2 + len(state.lanes)


@given(st.integers(1, 300), st.floats(0.01, 1000), st.lists(st.floats(-10, 2000), min_size=2))
def test_columns_increase_with_time(width: int, span_s: float, times_s: list[float]) -> None:
    scale = Scale(width, span_s)
    drawn = [scale.column(moment) for moment in sorted(times_s)]
    assert drawn == sorted(drawn)
    assert 0 <= drawn[0] <= drawn[-1] < width


@given(st.integers(0, 300))
def test_columns_fill_the_width(width: int) -> None:
    share = columns(width)
    assert share.label + share.axis + share.outcome == width
    assert min(share.label, share.axis, share.outcome) >= 0


def test_a_signal_that_engine_and_kernel_both_report_is_marked_once() -> None:
    twice = fed(stop_in_progress(), StopEvent(BEGAN + 0.02, Kind.SIGNAL, Source.KERNEL, SHELL.id, 1, 15))
    assert lane_of(twice, 1, after=9.0).count("▼") == 1


def test_a_signalled_process_has_a_solid_lane() -> None:
    state = stop_in_progress()
    signalled = replace(state, lanes=tuple(replace(lane, got_signal=True) for lane in state.lanes))
    assert "not signalled" not in lane_of(signalled, 7, after=9.0)
    assert "┈" not in lane_of(signalled, 7, after=9.0)


def test_a_lane_ends_in_a_question_mark_if_the_exit_code_is_unknown() -> None:
    state = fed(begin(plan(HANDLER), BEGAN), sent(0.0, 15), ended(0.2, HANDLER, None))
    assert "─? " in lane_of(state, HANDLER.container_pid)
