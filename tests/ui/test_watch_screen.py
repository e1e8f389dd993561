"""The watch of signals on a played watch: drawing, filter, pause and save."""

import json
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.widgets import Input, Static

from containerlab_probes.trace_records import (
    LostEvents,
    SignalResult,
    Taken,
    TracedDelivery,
    TracedExec,
    TracedExit,
    TracedFork,
    TracedSignal,
)
from containerlab_tui.model.signal_log import KEPT, Asked, Known, LogRecord, Note, Who
from containerlab_tui.services.export import save_lines
from containerlab_tui.ui.dialogs.save import SaveForm
from containerlab_tui.ui.screens.help import HelpScreen
from containerlab_tui.ui.screens.signal_watch import SignalWatchScreen
from containerlab_tui.ui.widgets.signal_list import SignalList
from tests.ui.samples import BEGAN, HOSTILE, SIZES, Host, settled, text_of

QUEUED, IGNORED, PENDING = SignalResult.QUEUED, SignalResult.IGNORED, SignalResult.ALREADY_PENDING


class Played:
    """A watch: records in `waiting` are taken at the next tick."""

    def __init__(self, *records: LogRecord, no_trace_reason: str = "", opened: bool = True) -> None:
        self.waiting = list(records)
        self.no_trace_reason, self.opened = no_trace_reason, opened
        self.started = self.closed = 0

    def begin(self) -> None:
        self.started += 1

    def take(self) -> list[LogRecord]:
        records, self.waiting = self.waiting, []
        return records

    def close(self) -> None:
        self.closed += 1


def usr1(number: int) -> TracedSignal:
    return TracedSignal(BEGAN + number / 100, 7001, "python3", 7007, 10, QUEUED, 0, True)


STOP: tuple[LogRecord, ...] = (
    Known(7001, Who(1, "supervisord")),
    Known(7007, Who(7, "python3")),
    Known(7008, Who(8, HOSTILE[:15])),
    TracedSignal(BEGAN + 0.001, 91234, "kill", 7001, 10, IGNORED, 0, True),
    TracedSignal(BEGAN + 0.5, 555, "runc", 7001, 15, QUEUED, 0, True),
    TracedDelivery(BEGAN + 0.5004, 7001, 15, Taken.HANDLER),
    TracedFork(BEGAN + 0.55, 7001, 7009),
    TracedExec(BEGAN + 0.56, 7009, "/bin/true"),
    TracedExit(BEGAN + 0.57, 7009, 0),
    TracedSignal(BEGAN + 0.6, 7001, "supervisord", 7007, 15, QUEUED, 0, True),
    TracedDelivery(BEGAN + 0.601, 7007, 15, Taken.DEFAULT),
    TracedExit(BEGAN + 0.61, 7007, "SIGTERM"),
    TracedSignal(BEGAN + 0.7, 7001, "supervisord", 7008, 37, PENDING, -1, True),
    LostEvents(BEGAN + 0.75, 1200),
    TracedSignal(BEGAN + 0.8, 7001, "supervisord", 7008, 9, QUEUED, 128, True),
    TracedDelivery(BEGAN + 0.8001, 7008, 9, Taken.DEFAULT),
    TracedExit(BEGAN + 0.81, 7008, "SIGKILL"),
    TracedExit(BEGAN + 0.9, 7001, 0),
    Note(BEGAN + 0.95, "container stopped, exit code 0"),
    Note(BEGAN + 1.5, "restarted"),
)
WITHOUT: tuple[LogRecord, ...] = (
    Known(7001, Who(1, "python3")),
    Asked(BEGAN, 7001, 15),
    TracedExit(BEGAN + 1, 7001, None),
    Note(BEGAN + 1.1, "container stopped, exit code 0"),
)
NO_TRACE = "The kernel's trace needs root (CAP_SYS_ADMIN, and no lockdown of the kernel); run this with sudo."


def listing(app: Host) -> SignalList:
    return app.screen.query_one(SignalList)


def head(app: Host) -> str:
    return " ".join(str(app.screen.query_one(one, Static).render()) for one in ("#head", "#note"))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scene", ["stop", "no-trace", "beginning", "lost"])
async def test_snapshot(scene: str, size: tuple[int, int], snapshot: SnapshotAssertion) -> None:
    watch = {
        "stop": Played(*STOP),
        "no-trace": Played(*WITHOUT, no_trace_reason=NO_TRACE),
        "beginning": Played(opened=False),
        "lost": Played(LostEvents(BEGAN, None)),
    }[scene]
    app = Host(SignalWatchScreen("shop-web-1", watch, lambda: BEGAN))
    async with app.run_test(size=size) as pilot:
        await settled(pilot, lambda: not watch.waiting, "all is taken")
        await pilot.pause()
        assert text_of(app) == snapshot


async def test_pause_filter_and_clear_with_keys() -> None:
    watch = Played(*STOP)
    app = Host(SignalWatchScreen("web", watch, lambda: BEGAN))
    async with app.run_test(size=(140, 45)) as pilot:
        await settled(pilot, lambda: listing(app).count == 12, "the rows")
        assert watch.started == 1
        await pilot.press("slash", *"term -super")
        await settled(pilot, lambda: "3 rows" in head(app) or "4 rows" in head(app), "the filter")
        shown = text_of(app)
        assert "default action" not in shown
        assert "runc [555]" not in shown  # to supervisord
        assert "1,200 events lost here" in shown
        await pilot.press("enter")
        assert app.focused is listing(app)
        await pilot.press("escape")
        await settled(pilot, lambda: listing(app).count == 12, "all rows again")
        await pilot.press("p")
        watch.waiting = [usr1(number) for number in range(3)]
        await settled(pilot, lambda: "paused, 3 new" in head(app), "the count while it is held still")
        assert listing(app).count == 12
        await pilot.press("space")
        await settled(pilot, lambda: listing(app).count == 15, "rows that arrived meanwhile")
        await pilot.press("c")
        assert "0 signals · 0 exits" in head(app)
        assert listing(app).count == 0
        await pilot.press("q")
        await settled(pilot, lambda: app.answers == [None], "the screen closed")
        assert watch.closed == 1


async def test_help_explains_the_signs_of_this_screen() -> None:
    app = Host(HelpScreen(SignalWatchScreen("web", Played()), {}))
    async with app.run_test(size=(140, 45)) as pilot:
        await settled(pilot, lambda: "Signs" in text_of(app), "the signs")
        shown = text_of(app)
        assert all(sign in shown for sign in ("●", "◌", "○", "! lost", "name [7]"))
        assert "†" not in shown
        assert "watch.pause" in shown


async def test_the_list_follows_until_scrolled_up() -> None:
    watch = Played(*map(usr1, range(100)))
    app = Host(SignalWatchScreen("web", watch, lambda: BEGAN))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: listing(app).count == 100, "the rows")

        def last_shown() -> str:
            return text_of(app).split("\n")[22][1:13]

        await settled(pilot, lambda: last_shown().endswith(".990"), "the last row")
        await pilot.press("k")
        await settled(pilot, lambda: last_shown().endswith(".980"), "a row up")
        watch.waiting = [usr1(100)]
        await settled(pilot, lambda: "101 rows" in head(app), "one more")
        assert last_shown().endswith(".980")
        assert "press G to follow" in head(app)
        await pilot.press("g")
        await settled(pilot, lambda: ".000" in text_of(app).split("\n")[3], "the first row")
        await pilot.press("pagedown", "pageup", "G")
        await settled(pilot, lambda: last_shown().endswith("1.000") or last_shown().endswith(".000"), "the last again")
        assert "following" in head(app)
        watch.waiting = [usr1(101)]
        await settled(pilot, lambda: last_shown().endswith(".010"), "it follows")
        await pilot.press("k")
        watch.waiting = [usr1(number) for number in range(KEPT)]
        await settled(pilot, lambda: "102 older rows dropped" in head(app), "the oldest went")
        assert listing(app).count == KEPT


async def test_a_listed_signal_is_completed_in_place() -> None:
    watch = Played(Known(7007, Who(7, "python3")), usr1(0))
    app = Host(SignalWatchScreen("web", watch, lambda: BEGAN))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "queued" in text_of(app), "the signal")
        watch.waiting = [TracedDelivery(BEGAN + 0.1, 7007, 10, Taken.HANDLER)]
        await settled(pilot, lambda: "its handler runs" in text_of(app), "its delivery")
        assert "queued" not in text_of(app)


async def test_a_filtered_row_stays_during_a_storm_of_others() -> None:
    watch = Played(*STOP)
    app = Host(SignalWatchScreen("web", watch, lambda: BEGAN))
    async with app.run_test(size=(140, 45)) as pilot:
        await pilot.press("slash", *"term", "enter")
        await settled(pilot, lambda: "TERM" in text_of(app), "the rows")
        before = listing(app).count
        watch.waiting = [usr1(number) for number in range(KEPT + 10)]
        await settled(pilot, lambda: "rows dropped" in head(app), "the storm")
        assert listing(app).count == before


async def test_the_result_of_saving_is_shown_after_leaving_the_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    left = threading.Event()

    def slowly(path: str, lines: Iterable[dict[str, Any]], overwrite: bool) -> int:
        assert left.wait(10)
        return save_lines(path, lines, overwrite)

    app = Host(SignalWatchScreen("web", Played(*STOP), lambda: BEGAN, slowly))
    async with app.run_test(size=(140, 45), notifications=True) as pilot:
        await settled(pilot, lambda: listing(app).count == 12, "the rows")
        await pilot.press("S")
        await settled(pilot, lambda: isinstance(app.screen, SaveForm), "the form")
        await pilot.press("enter")
        await settled(pilot, lambda: isinstance(app.screen, SignalWatchScreen), "the form is closed")
        await pilot.press("q")
        await settled(pilot, lambda: app.answers == [None], "the screen closed")
        left.set()
        await settled(pilot, lambda: "12 rows saved to" in text_of(app), "the toast")


async def test_saving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    watch = Played(*STOP)
    app = Host(SignalWatchScreen("../evil", watch, lambda: BEGAN))
    async with app.run_test(size=(140, 45), notifications=True) as pilot:
        await pilot.press("slash", *"term", "enter")
        await settled(pilot, lambda: "filter “term”: 5 rows" in head(app), "the rows that pass")
        await pilot.press("S")
        await settled(pilot, lambda: isinstance(app.screen, SaveForm), "the form")
        proposed = app.screen.query_one(Input).value
        assert proposed.startswith("signals-.._evil-2025")
        assert proposed.endswith(".jsonl")
        await pilot.press("enter")
        await settled(pilot, lambda: "5 rows saved to" in text_of(app), "the toast")
        lines = [json.loads(line) for line in (tmp_path / proposed).read_text().splitlines()]
        assert [line["kind"] for line in lines] == ["signal", "signal", "lost", "note", "note"]
        assert lines[1]["to"] == {"pid": 7007, "container_pid": 7, "name": "python3"}
        (tmp_path / proposed).write_text("mine\n")
        await pilot.press("ctrl+s")
        await settled(pilot, lambda: isinstance(app.focused, Input), "the form again")
        await pilot.press("enter")
        await settled(pilot, lambda: "overwrite." in text_of(app), "the question")
        assert (tmp_path / proposed).read_text() == "mine\n"
        await pilot.press("enter")
        await settled(pilot, lambda: (tmp_path / proposed).read_text() != "mine\n", "it is replaced")
        await settled(pilot, lambda: isinstance(app.screen, SignalWatchScreen), "the form is closed")
        await pilot.press("S")
        await settled(pilot, lambda: isinstance(app.screen, SaveForm), "the form again")
        app.screen.query_one(Input).value = "/no/such/place/x"
        await pilot.press("enter")
        await settled(pilot, lambda: "No such directory: /no/such/place." in text_of(app), "the complaint")
        app.screen.query_one(Input).value = "/proc/x"
        await pilot.press("enter")
        await settled(pilot, lambda: "Could not write /proc/x: " in text_of(app), "the error as a sentence")
