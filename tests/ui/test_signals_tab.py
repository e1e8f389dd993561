"""The Signals tab: signals of others beside those of this program, only while the tab is shown."""

import os
from collections.abc import Callable
from dataclasses import replace

import pytest
from syrupy.assertion import SnapshotAssertion

from containerlab_probes.records import ProcessId
from containerlab_probes.trace_records import (
    LostEvents,
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


def records(now: float, pid: int) -> list[LogRecord]:
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
        LostEvents(now + 7, 12),
        Note(now + 8, "container stopped, exit code 0"),
    ]


async def open_tab(made: Stage, pilot: object) -> PlayedWatch:
    await pilot.press("g")  # type: ignore[attr-defined]
    await settled(pilot, lambda: "kernel trace ●" in text_of(made.app), "the trace")  # type: ignore[arg-type]
    return PlayedWatch.made[-1]


@pytest.mark.parametrize("size", SIZES)
async def test_signals_of_others_are_listed_once(
    stage: Callable[..., Stage], size: tuple[int, int], snapshot: SnapshotAssertion
) -> None:
    made = stage()
    async with made.app.run_test(size=size) as pilot:
        await made.ready(pilot)
        watch = await open_tab(made, pilot)
        await pilot.press("enter")  # zoom the tab
        selected = made.app.main.table.selected()
        assert selected is not None
        assert watch.container == selected.id
        by_pidfd = Sent(selected.id, selected.name, ProcessId(watch.pid, 1), 1, "python3 app.py", 12, made.now + 5,
                        "pidfd", None, "its handler runs; still running")  # fmt: skip
        made.app.session.add_sent(
            [by_pidfd, replace(by_pidfd, signal=15, at=made.now + 6, route="engine", observed=None)]
        )
        watch.waiting = records(made.now, watch.pid)
        await settled(pilot, lambda: "12 events lost here" in text_of(made.app), "the rows")
        shown = text_of(made.app)
        assert shown.count("USR2 ") == 1 + shown.count("Log since SIGUSR2")
        assert shown.count(" TERM ") == 2  # one to the child, and one requested from the engine
        assert "fork" not in shown
        assert shown == snapshot


async def test_the_trace_follows_the_selection_and_the_tab(
    stage: Callable[..., Stage],
) -> None:
    made = stage()
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        assert not PlayedWatch.made
        first = await open_tab(made, pilot)
        await pilot.press("down", "down", "down")
        selected = made.app.main.table.selected()
        assert selected is not None
        # Rows that the cursor passed slowly have had a trace as well.
        await settled(pilot, lambda: PlayedWatch.made[-1].container == selected.id, "the trace of the new row")
        assert first.closed
        *passed, second = PlayedWatch.made
        assert all(one.closed for one in passed)
        await pilot.press("p")
        await settled(pilot, lambda: second.closed, "the record ends with the tab")
        await pilot.press("g")
        await settled(pilot, lambda: PlayedWatch.made[-1] is not second, "the trace restarts")
        third = PlayedWatch.made[-1]
        await pilot.press("w")
        await settled(pilot, lambda: PlayedWatch.made[-1] is not third, "the trace of the watch")
        fourth = PlayedWatch.made[-1]
        assert third.closed
        await settled(pilot, lambda: "Signals in" in text_of(made.app), "the watch screen")
        await pilot.press("q")
        await settled(pilot, lambda: PlayedWatch.made[-1] is not fourth, "the tab's trace resumes")
        assert fourth.closed
        assert not PlayedWatch.made[-1].closed
        assert len(PlayedWatch.made) == len(passed) + 4
    assert all(one.closed for one in PlayedWatch.made)


async def test_lost_events_are_shown_after_their_row_was_dropped(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(80, 24)) as pilot:
        await made.ready(pilot)
        watch = await open_tab(made, pilot)
        storm = [TracedSignal(made.now + 3, 555, "kill", watch.pid, 12, QUEUED, 0, True)] * RECORDED_KEPT
        watch.waiting = [LostEvents(made.now + 1, 1200), LostEvents(made.now + 2, None), *storm]
        shown = "kernel trace ● · ! 1,200+ lost · 2 older rows dropped"
        await settled(pilot, lambda: shown in text_of(made.app), "what was lost")
        watch.waiting = [storm[0]]
        await settled(pilot, lambda: "! 1,200+ lost · 3 older rows dropped" in text_of(made.app), "it stays")


async def test_a_missing_trace_is_explained(stage: Callable[..., Stage]) -> None:
    made = stage()
    PlayedWatch.played_reason = "It needs root."
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        await pilot.press("g")
        await settled(pilot, lambda: "kernel trace ○ not available: It needs root." in text_of(made.app), "why")


async def test_nothing_is_traced_on_a_remote_engine(stage: Callable[..., Stage]) -> None:
    made = stage(local=False)
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        await pilot.press("g")
        reason = "kernel trace ○ not available: The container runs on another machine"
        await settled(pilot, lambda: reason in text_of(made.app), "the reason")
        assert not PlayedWatch.made
