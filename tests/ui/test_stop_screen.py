"""The stop screen: what it says while a stop is under way and when it is over, several at once, and its own clock."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.widgets import Static

from containerlab_tui.model.diagnosis import Confidence, Outlook
from containerlab_tui.model.stop import Kind, Source, StopEvent, begin
from containerlab_tui.ui.screens.stops import MOST_STOPS, StopScreen
from tests.ui.samples import (
    BEGAN,
    HANDLER,
    HOSTILE,
    SIZES,
    Host,
    engine_says,
    fed,
    graceful_stop,
    killed_stop,
    plan,
    prediction,
    process,
    sent,
    settled,
    stop_under_way,
    text_of,
    traced_stop_that_is_over,
)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, after: float) -> None:
        self.now = BEGAN + after

    def __call__(self) -> float:
        return self.now


def under_way() -> StopScreen:
    screen = StopScreen(Clock(6.4))
    screen.show(stop_under_way())
    screen.add_log(["dockerapp: working", "dockerapp: \x1b[31mstill\x1b[0m working"])
    return screen


def killed() -> StopScreen:
    screen = StopScreen(Clock(20))
    screen.show(killed_stop())
    screen.add_log(["dockerapp: working"])
    return screen


def graceful() -> StopScreen:
    screen = StopScreen(Clock(20))
    screen.show(graceful_stop())
    return screen


def foretold_wrong() -> StopScreen:
    screen = StopScreen(Clock(20))
    state = graceful_stop()
    screen.show(replace(state, plan=replace(state.plan, prediction=prediction(Outlook.TIMES_OUT, Confidence.LIKELY))))
    return screen


def traced() -> StopScreen:
    screen = StopScreen(Clock(20))
    screen.show(traced_stop_that_is_over())
    return screen


def foretold_and_under_way() -> StopScreen:
    screen = StopScreen(Clock(6.4))
    state = stop_under_way()
    screen.show(replace(state, plan=replace(state.plan, prediction=prediction(Outlook.TIMES_OUT))))
    return screen


def several() -> StopScreen:
    screen = StopScreen(Clock(6.4))
    screen.show(stop_under_way())
    screen.show(graceful_stop())
    return screen


def blind() -> StopScreen:
    screen = StopScreen(Clock(3))
    screen.show(fed(begin(plan(name="far", timeout_s=-1), BEGAN), sent(0.02, 15)))
    return screen


def empty() -> StopScreen:
    return StopScreen(Clock(0))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "make", [under_way, killed, graceful, foretold_and_under_way, traced, foretold_wrong, several, blind, empty]
)
async def test_how_it_looks(make: Callable[[], StopScreen], size: tuple[int, int], snapshot: SnapshotAssertion) -> None:
    app = Host(make())
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await pilot.pause()
        assert text_of(app) == snapshot


async def test_its_own_clock_moves_the_bar_while_a_stop_is_under_way() -> None:
    clock = Clock(1.0)
    screen = StopScreen(clock)
    screen.show(stop_under_way())
    app = Host(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "9.00 s left" in text_of(app), "the bar at 1 s")
        clock.now = BEGAN + 7.0
        await settled(pilot, lambda: "3.00 s left" in text_of(app), "the bar at 7 s")
        screen.show(killed_stop())
        await settled(pilot, lambda: "over   10.0 s" in text_of(app), "the end")
        await settled(pilot, lambda: "stop finished" in text_of(app), "the last event")
        before = text_of(app).split("\n")[:7]
        clock.now = BEGAN + 100
        screen._tick()
        await pilot.pause()
        assert text_of(app).split("\n")[:7] == before


async def test_states_come_one_after_the_other() -> None:
    screen = StopScreen(Clock(0.1))
    app = Host(screen)
    async with app.run_test(size=(80, 30)) as pilot:
        await pilot.pause()
        state = begin(plan(HANDLER, name="dockerapp2"), BEGAN)
        screen.show(state)
        await settled(pilot, lambda: "asking" in text_of(app), "the request")
        state = fed(state, sent(0.01, 15))
        screen.show(state)
        await settled(pilot, lambda: "SIGTERM to PID 1 (python3 /app/dockerapp2.py)" in text_of(app), "the signal")
        assert "phase 1" in text_of(app)
        state = fed(state, sent(10.01, 9))
        screen.show(state)
        await settled(pilot, lambda: "phase 2" in text_of(app), "phase 2")
        screen.add_log(["a late line"])
        await settled(pilot, lambda: "a late line" in text_of(app), "the log line")


async def test_a_failed_stop_says_why() -> None:
    screen = StopScreen(Clock(3))
    screen.show(fed(stop_under_way(), engine_says(2.0, Kind.FAILED, detail="the engine went away")))
    app = Host(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "The stop failed: the engine went away" in text_of(app), "the reason")


async def test_a_stop_begun_elsewhere_says_so() -> None:
    state = stop_under_way()
    screen = StopScreen(Clock(3))
    screen.show(replace(state, plan=replace(state.plan, started_elsewhere=True)))
    app = Host(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "begun elsewhere" in text_of(app), "the note")


async def test_tab_and_a_click_change_between_stops() -> None:
    screen = several()
    app = Host(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "[✓ dockerapp2]" in text_of(app), "the newest in front")
        await pilot.press("tab")
        await settled(pilot, lambda: "[… shell-form]" in text_of(app), "the other one")
        assert "Stop  shell-form" in text_of(app)
        await pilot.click(offset=(text_of(app).index("dockerapp2"), 0))
        await settled(pilot, lambda: "Stop  dockerapp2" in text_of(app), "the one that was clicked")


async def test_news_of_another_stop_do_not_take_the_screen_away() -> None:
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


async def test_a_stop_begun_elsewhere_does_not_take_the_screen_away() -> None:
    screen = under_way()
    foreign = graceful_stop("other")
    screen.show(replace(foreign, plan=replace(foreign.plan, started_elsewhere=True)))
    app = Host(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "✓ other" in text_of(app), "its name")
        assert "Stop  shell-form" in text_of(app)


async def test_old_stops_are_let_go_but_never_one_under_way() -> None:
    screen = StopScreen(Clock(6.4))
    screen.show(stop_under_way())
    app = Host(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        for number in range(60):
            screen.show(graceful_stop(f"n{number}"))
            await pilot.pause(0)
        await settled(pilot, lambda: "[✓ n59]" in text_of(app), "the newest")
        assert len(screen.containers) == MOST_STOPS
        assert stop_under_way().plan.container in screen.containers
        assert graceful_stop("n0").plan.container not in screen.containers
        await settled(pilot, lambda: len(screen.query("#stops > *")) == MOST_STOPS, "as many names")


async def test_the_same_container_stopped_again_begins_anew() -> None:
    screen = graceful()
    screen.add_log(["of the first stop"])
    again = begin(plan(HANDLER, name="dockerapp2"), BEGAN + 60)
    screen.show(again)
    app = Host(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "of the first stop" not in text_of(app)
        assert len(screen.containers) == 1


async def test_leaving_cancels_nothing_and_says_so() -> None:
    app = Host(under_way())
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.pause()
        assert "Leaving cancels nothing" in text_of(app)
        await pilot.press("escape")
        await pilot.pause()
        assert app.answers == [None]
        assert [note.message for note in app._notifications] == ["The stop goes on; W shows it again."]


async def test_it_reads_what_came_while_it_was_not_shown() -> None:
    screen = under_way()
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
        engine_says(2, Kind.FAILED, detail=HOSTILE),
    )
    screen = StopScreen(Clock(3))
    screen.show(state)
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
    screen = StopScreen(Clock(3))
    crowd = [process(number, "worker", str(number), parent=1) for number in range(1, 101)]
    screen.show(fed(begin(plan(*crowd), BEGAN), sent(0.1, 15)))
    app = Host(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert app.screen.query_one("#lane-lines", Static).size.height == 102
        assert "SIGTERM to PID 1" in text_of(app)
