"""The Signals tab: what others send, beside what this program sent, while the tab is shown and no longer."""

import os
from collections.abc import Callable
from dataclasses import replace

import pytest
from syrupy.assertion import SnapshotAssertion

from containerlab_probes.records import (
    Lost,
    ProcessId,
    SignalResult,
    Taken,
    TracedDelivery,
    TracedExit,
    TracedFork,
    TracedSignal,
)
from containerlab_tui.model.signal_log import Known, LogRecord, Note, Who
from containerlab_tui.model.views import Sent
from containerlab_tui.ui.tabs.signals import RECORDED_KEPT
from tests.ui.conftest import PlayedWatch, Stage
from tests.ui.samples import HOSTILE, SIZES, settled, text_of

QUEUED = SignalResult.QUEUED


def told(now: float, pid: int) -> list[LogRecord]:
    return [
        Known(pid, Who(1, "python3")),
        Known(99_001, Who(7, HOSTILE[:15])),
        TracedSignal(now + 1, 555, "runc", pid, 1, SignalResult.IGNORED, 0, True),
        TracedSignal(now + 2, pid, "python3", 99_001, 15, QUEUED, 0, True),
        TracedExit(now + 3, 99_001, "SIGTERM"),
        TracedFork(now + 4, pid, 99_002),
        TracedSignal(now + 5, os.getpid(), "python", pid, 12, QUEUED, 0, True),
        TracedDelivery(now + 5, pid, 12, Taken.HANDLER),
        TracedSignal(now + 6.2, 556, "runc", pid, 15, QUEUED, 0, True),
        Lost(now + 7, 12),
        Note(now + 8, "container ended, status 0"),
    ]


async def open_tab(made: Stage, pilot: object) -> PlayedWatch:
    await pilot.press("g")  # type: ignore[attr-defined]
    await settled(pilot, lambda: "kernel trace ●" in text_of(made.app), "the record")  # type: ignore[arg-type]
    return PlayedWatch.made[-1]


@pytest.mark.parametrize("size", SIZES)
async def test_what_others_send_stands_there_once(
    stage: Callable[..., Stage], size: tuple[int, int], snapshot: SnapshotAssertion
) -> None:
    made = stage()
    async with made.app.run_test(size=size) as pilot:
        await made.ready(pilot)
        watch = await open_tab(made, pilot)
        await pilot.press("enter")  # all the room for the tab
        selected = made.app.main.selected()
        assert selected is not None
        assert watch.container == selected.id
        by_pidfd = Sent(selected.id, selected.name, ProcessId(watch.pid, 1), 1, "python3 app.py", 12, made.now + 5,
                        "pidfd", None, "its handler runs; still there")  # fmt: skip
        made.app.session.add_sent(
            [by_pidfd, replace(by_pidfd, signal=15, at=made.now + 6, route="engine", observed=None)]
        )
        watch.waiting = told(made.now, watch.pid)
        await settled(pilot, lambda: "12 events lost here" in text_of(made.app), "the rows")
        shown = text_of(made.app)
        assert shown.count("USR2 ") == 1 + shown.count("Log since SIGUSR2")
        assert shown.count(" TERM ") == 2  # the one to the child, and the one that was asked of the engine
        assert "fork" not in shown
        assert shown == snapshot


async def test_the_record_ends_with_the_selection_and_the_tab_and_begins_when_the_cursor_rests(
    stage: Callable[..., Stage],
) -> None:
    made = stage()
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        assert not PlayedWatch.made
        first = await open_tab(made, pilot)
        await pilot.press("down", "down", "down")
        await settled(pilot, lambda: len(PlayedWatch.made) == 2, "the record of the row where the cursor rests")
        assert first.closed
        second = PlayedWatch.made[-1]
        selected = made.app.main.selected()
        assert selected is not None
        assert second.container == selected.id
        await pilot.press("p")
        await settled(pilot, lambda: second.closed, "the record ends with the tab")
        await pilot.press("g")
        await settled(pilot, lambda: len(PlayedWatch.made) == 3, "it begins again")
        await pilot.press("w")
        await settled(pilot, lambda: len(PlayedWatch.made) == 4, "the watch screen has a record of its own")
        assert PlayedWatch.made[2].closed
        await settled(pilot, lambda: "Signals in" in text_of(made.app), "the watch screen")
        await pilot.press("q")
        await settled(pilot, lambda: len(PlayedWatch.made) == 5, "the tab's goes on")
        assert PlayedWatch.made[3].closed
        assert not PlayedWatch.made[4].closed
    assert all(one.closed for one in PlayedWatch.made)


async def test_it_says_what_was_lost_though_the_row_was_pushed_out(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(80, 24)) as pilot:
        await made.ready(pilot)
        watch = await open_tab(made, pilot)
        storm = [TracedSignal(made.now + 3, 555, "kill", watch.pid, 12, QUEUED, 0, True)] * RECORDED_KEPT
        watch.waiting = [Lost(made.now + 1, 1200), Lost(made.now + 2, None), *storm]
        said = "kernel trace ● · ! 1,200+ lost · 2 older let go"
        await settled(pilot, lambda: said in text_of(made.app), "what was lost")
        watch.waiting = [storm[0]]
        await settled(pilot, lambda: "! 1,200+ lost · 3 older let go" in text_of(made.app), "it stays")


async def test_it_says_where_tracing_is_not_available(stage: Callable[..., Stage]) -> None:
    made = stage()
    PlayedWatch.is_blind = "It needs root."
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        await pilot.press("g")
        await settled(pilot, lambda: "kernel trace ○ not available: It needs root." in text_of(made.app), "why")


async def test_on_a_remote_engine_nothing_is_recorded(stage: Callable[..., Stage]) -> None:
    made = stage(local=False)
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        await pilot.press("g")
        await settled(pilot, lambda: "kernel trace ○ not available: It runs on another machine" in text_of(made.app),
                      "why")  # fmt: skip
        assert not PlayedWatch.made
