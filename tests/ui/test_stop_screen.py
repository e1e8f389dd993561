"""The screen of stops: in progress, finished, several at once, and its timer."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.widgets import Static

from containerlab_tui.model.diagnosis import Confidence, Outlook
from containerlab_tui.model.stop import Kind, Source, StopEvent, StopState, begin
from containerlab_tui.ui.screens.stops import MOST_STOPS, StopsScreen
from tests.ui.samples import (
    BEGAN,
    HANDLER,
    HOSTILE,
    SIZES,
    Host,
    by_engine,
    fed,
    finished_traced_stop,
    graceful_stop,
    killed_stop,
    plan,
    prediction,
    process,
    sent,
    settled,
    stop_in_progress,
    text_of,
)


class Clock:
    """A clock that the test sets."""

    def __init__(self, after: float) -> None:
        self.now = BEGAN + after

    def __call__(self) -> float:
        return self.now


def showing(clock: Clock | float, *states: StopState) -> StopsScreen:
    """Returns the screen with these stops, the last one in front."""
    screen = StopsScreen(clock if isinstance(clock, Clock) else Clock(clock))
    for state in states:
        screen.show(state)
    return screen


def predicted(state: StopState, confidence: Confidence = Confidence.CERTAIN) -> StopState:
    return replace(state, plan=replace(state.plan, prediction=prediction(Outlook.TIMES_OUT, confidence)))


def in_progress() -> StopsScreen:
    screen = showing(6.4, stop_in_progress())
    screen.add_log(["dockerapp: working", "dockerapp: \x1b[31mstill\x1b[0m working"])
    return screen


def killed() -> StopsScreen:
    screen = showing(20, killed_stop())
    screen.add_log(["dockerapp: working"])
    return screen


def graceful() -> StopsScreen:
    return showing(20, graceful_stop())


def predicted_wrongly() -> StopsScreen:
    return showing(20, predicted(graceful_stop(), Confidence.LIKELY))


def traced() -> StopsScreen:
    return showing(20, finished_traced_stop())


def predicted_in_progress() -> StopsScreen:
    return showing(6.4, predicted(stop_in_progress()))


def several() -> StopsScreen:
    return showing(6.4, stop_in_progress(), graceful_stop())


def unreadable() -> StopsScreen:
    return showing(3, fed(begin(plan(name="far", timeout_s=-1), BEGAN), sent(0.02, 15)))


def empty() -> StopsScreen:
    return showing(0)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "make",
    [in_progress, killed, graceful, predicted_in_progress, traced, predicted_wrongly, several, unreadable, empty],
)
async def test_snapshot(make: Callable[[], StopsScreen], size: tuple[int, int], snapshot: SnapshotAssertion) -> None:
    app = Host(make())
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await pilot.pause()
        assert text_of(app) == snapshot


async def test_the_timer_moves_the_bar_during_a_stop() -> None:
    clock = Clock(1.0)
    screen = showing(clock, stop_in_progress())
    app = Host(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "9.00 s left" in text_of(app), "the bar at 1 s")
        clock.now = BEGAN + 7.0
        await settled(pilot, lambda: "3.00 s left" in text_of(app), "the bar at 7 s")
        screen.show(killed_stop())
        await settled(pilot, lambda: "done   10.0 s" in text_of(app), "the end")
        await settled(pilot, lambda: "stop finished" in text_of(app), "the last event")
        before = text_of(app).split("\n")[:7]
        clock.now = BEGAN + 100
        screen._tick()
        await pilot.pause()
        assert text_of(app).split("\n")[:7] == before


async def test_the_bar_goes_on_when_the_clock_is_set_back() -> None:
    clock = Clock(6.4)
    screen = showing(clock, stop_in_progress())
    app = Host(screen)
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot, lambda: "3.60 s left" in text_of(app), "the bar")
        clock.now -= 3600
        screen._tick()
        clock.now += 2
        await settled(pilot, lambda: "1.60 s left" in text_of(app), "the bar goes on")
        assert "phase 1   8.40 s" in text_of(app)


async def test_a_newer_state_replaces_the_earlier() -> None:
    screen = StopsScreen(Clock(0.1))
    app = Host(screen)
    async with app.run_test(size=(80, 30)) as pilot:
        await pilot.pause()
        state = begin(plan(HANDLER, name="dockerapp2"), BEGAN)
        screen.show(state)
        await settled(pilot, lambda: "preparing" in text_of(app), "the request")
        state = fed(state, sent(0.01, 15))
        screen.show(state)
        await settled(pilot, lambda: "SIGTERM to PID 1 (python3 /app/dockerapp2.py)" in text_of(app), "the signal")
        assert "phase 1" in text_of(app)
        state = fed(state, sent(10.01, 9))
        screen.show(state)
        await settled(pilot, lambda: "phase 2" in text_of(app), "phase 2")
        screen.add_log(["a late line"])
        await settled(pilot, lambda: "a late line" in text_of(app), "the log line")


async def test_nothing_counts_down_before_the_engine_is_asked() -> None:
    clock = Clock(1.3)
    screen = StopsScreen(clock)
    state = begin(replace(plan(HANDLER, name="dockerapp2"), asked_at=BEGAN), BEGAN)
    screen.show(state)
    screen.add_log(["while preparing"])
    app = Host(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "preparing" in text_of(app), "the preparation")
        before = text_of(app)
        assert not [word for word in ("█", "░", " left", "phase", "1.3") if word in before]
        clock.now += 5
        screen._tick()
        await pilot.pause()
        assert text_of(app) == before
        asked = fed(replace(state, began=clock.now), StopEvent(clock.now, Kind.REQUESTED, Source.ENGINE))
        clock.now += 1
        screen.show(asked)
        await settled(pilot, lambda: "9.00 s left" in text_of(app), "the bar")
        assert "while preparing" in text_of(app)


async def test_the_time_of_a_signal_that_was_no_stop_stands_still() -> None:
    clock = Clock(30)
    screen = showing(clock, fed(stop_in_progress(), by_engine(24.0, Kind.SETTLED)))
    app = Host(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "done   24.0 s" in text_of(app), "the last event")


async def test_a_failed_stop_shows_the_reason() -> None:
    screen = showing(3, fed(stop_in_progress(), by_engine(2.0, Kind.FAILED, detail="the engine went away")))
    app = Host(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "The stop failed: the engine went away" in text_of(app), "the reason")


async def test_a_stop_started_outside_says_so() -> None:
    state = stop_in_progress()
    screen = showing(3, replace(state, plan=replace(state.plan, started_elsewhere=True)))
    app = Host(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "Stop started outside this program" in text_of(app), "the note")


async def test_a_restart_pressed_here_is_called_one() -> None:
    state = stop_in_progress()
    screen = showing(3, replace(state, plan=replace(state.plan, started_elsewhere=True, part_of="restart")))
    app = Host(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "Restart  shell-form  SIGTERM" in text_of(app), "the heading")
        assert "outside" not in text_of(app)


async def test_tab_and_click_switch_stops() -> None:
    screen = several()
    app = Host(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "[✓ dockerapp2]" in text_of(app), "the newest in front")
        await pilot.press("tab")
        await settled(pilot, lambda: "[… shell-form]" in text_of(app), "the other one")
        assert "Stop  shell-form" in text_of(app)
        await pilot.click(offset=(text_of(app).index("dockerapp2"), 0))
        await settled(pilot, lambda: "Stop  dockerapp2" in text_of(app), "the one that was clicked")


async def test_another_stop_does_not_replace_the_shown_one() -> None:
    screen = several()
    app = Host(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("tab")
        await settled(pilot, lambda: "Stop  shell-form" in text_of(app), "the first one")
        screen.show(graceful_stop())
        screen.add_log(["not here"], graceful_stop().plan.container)
        await pilot.pause()
        assert "Stop  shell-form" in text_of(app)
        assert "not here" not in text_of(app)


async def test_a_stop_started_outside_does_not_replace_the_shown_one() -> None:
    screen = in_progress()
    foreign = graceful_stop("other")
    screen.show(replace(foreign, plan=replace(foreign.plan, started_elsewhere=True)))
    app = Host(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "✓ other" in text_of(app), "its name")
        assert "Stop  shell-form" in text_of(app)


async def test_a_restart_pressed_here_replaces_one_started_outside() -> None:
    outside, restarted = (graceful_stop(name) for name in ("other", "own"))
    screen = StopsScreen(lambda: 0.0)
    screen.show(replace(outside, plan=replace(outside.plan, started_elsewhere=True)))
    screen.show(replace(restarted, plan=replace(restarted.plan, started_elsewhere=True, part_of="restart")))
    app = Host(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "[✓ own]" in text_of(app), "the restart in front")


async def test_old_stops_are_dropped_but_not_those_in_progress() -> None:
    screen = showing(6.4, stop_in_progress())
    app = Host(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        for number in range(60):
            screen.show(graceful_stop(f"n{number}"))
            await pilot.pause()
        await settled(pilot, lambda: "[✓ n59]" in text_of(app), "the newest")
        assert len(screen.containers) == MOST_STOPS
        assert stop_in_progress().plan.container in screen.containers
        assert graceful_stop("n0").plan.container not in screen.containers
        await settled(pilot, lambda: len(screen.query("#stops > *")) == MOST_STOPS, "the names")


async def test_a_second_stop_of_a_container_replaces_the_first() -> None:
    screen = graceful()
    screen.add_log(["of the first stop"])
    again = begin(plan(HANDLER, name="dockerapp2"), BEGAN + 60)
    screen.show(again)
    app = Host(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "of the first stop" not in text_of(app)
        assert len(screen.containers) == 1


async def test_leaving_does_not_cancel_the_stop() -> None:
    app = Host(in_progress())
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.pause()
        assert "does not cancel the stop" in text_of(app)
        await pilot.press("escape")
        await pilot.pause()
        assert app.answers == [None]
        assert [note.message for note in app._notifications] == ["The stop continues. Press W to show it."]


async def test_states_received_while_hidden_are_shown() -> None:
    screen = in_progress()
    screen.show(killed_stop())
    app = Host(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "killed after 10.0 s" in text_of(app), "the verdict")


async def test_hostile_text_is_only_text() -> None:
    hostile = process(1, HOSTILE)
    state = fed(
        begin(plan(hostile, name=HOSTILE), BEGAN),
        sent(0.1, 15),
        StopEvent(BEGAN + 1, Kind.NOTE, Source.ENGINE, detail=HOSTILE),
        by_engine(2, Kind.FAILED, detail=HOSTILE),
    )
    screen = showing(3, state)
    screen.add_log([HOSTILE, "\x1b]52;c;aGk=\x07", "[/]"])
    app = Host(screen)
    async with app.run_test(size=(140, 45)) as pilot:
        await pilot.pause()
        await pilot.pause()
        text = text_of(app)
        assert "\x1b" not in text
        assert "\x9b" not in text
        assert "\u202e" not in text
        assert r"x[/]\x1b]0;owned\x07[@click=app.bell]" in text


async def test_a_hundred_processes_scroll() -> None:
    screen = StopsScreen(Clock(3))
    crowd = [process(number, "worker", str(number), parent=1) for number in range(1, 101)]
    screen.show(fed(begin(plan(*crowd), BEGAN), sent(0.1, 15)))
    app = Host(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert app.screen.query_one("#lane-lines", Static).size.height == 102
        assert "SIGTERM to PID 1" in text_of(app)
