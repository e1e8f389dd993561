"""The application: engine reader, settings, palette."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from textual.screen import Screen

from containerlab_tui.config import Settings
from containerlab_tui.model.inventory import Connected, Disconnected, EngineEvent, Event, Snapshot
from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.ui.app import ContainerlabApp
from containerlab_tui.ui.dialogs.copy import CopyForm
from containerlab_tui.ui.dialogs.signal import SignalPicker, SignalSubject
from containerlab_tui.ui.palette import actions_of
from containerlab_tui.ui.screens.help import HelpScreen
from containerlab_tui.ui.themes import theme_problem
from containerlab_tui.ui.widgets.content import toast
from tests.support.engine import ENDPOINT
from tests.ui.conftest import VERSION, Stage
from tests.ui.samples import APP, SHELL, settled, text_of


async def test_a_recorded_session_is_followed(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        known = made.app.session.store
        one = made.id_of("dockerapp1")
        before = known.details[one].started_at or 0.0
        made.play_session()
        await settled(pilot, lambda: (known.details[one].started_at or 0.0) > before, "its new run")
        assert known.containers[one].state == "running"
        assert known.containers[one].name == "dockerapp1"


async def test_a_lost_engine_is_shown_until_it_is_back(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        made.post(Disconnected("No response."))
        await settled(pilot, lambda: "! Lost the engine: No response." in text_of(made.app), "the banner")
        assert "dockerapp1" in text_of(made.app)
        made.post(Connected(VERSION, ENDPOINT, True))
        made.post(Snapshot(made.containers[:3], made.now + 5))
        await settled(pilot, lambda: "No response" not in text_of(made.app), "the banner gone")
        rows = {row.key for row in made.app.main.table.rows} - {made.id_of("db")}  # the cursor was on it
        assert rows == {one.id for one in made.containers[:3]} - {made.id_of("db")}
        known = made.app.session.store
        await settled(pilot, lambda: len(known.effects) == 3, "forecasts again")


async def test_a_removed_container_leaves_the_table(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        for name in ("reader", "db"):  # the cursor is on db
            made.post(Event(EngineEvent(made.now, "destroy", made.id_of(name), name, "")))
        table = made.app.main.table
        await settled(pilot, lambda: made.id_of("reader") not in {row.key for row in table.rows}, "the row gone")
        assert table.row_key == made.id_of("db")
        await pilot.press("down")
        await settled(pilot, lambda: made.id_of("db") not in {row.key for row in table.rows}, "the other row gone")
        assert table.row_key == made.id_of("dockerapp1")


async def test_key_map_of_the_settings(stage: Callable[..., Stage]) -> None:
    made = stage(Settings(keys={"main.ended": "E"}))
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        before = len(made.app.main.table.rows)
        await pilot.press("a")
        assert len(made.app.main.table.rows) == before
        await pilot.press("E")
        assert len(made.app.main.table.rows) < before


async def test_every_theme_that_the_settings_accept_exists(stage: Callable[..., Stage]) -> None:
    made = stage(Settings(theme="nord"))
    async with made.app.run_test(size=(140, 45)) as pilot:
        await pilot.pause()
        assert made.app.theme == "nord"
        assert not [theme for theme in made.app.available_themes if theme_problem(theme)]


@pytest.mark.parametrize(("count", "words"), [(1, "1 problem in the settings"), (9, "9 problems in the settings")])
async def test_problems_of_the_settings_are_one_short_toast(
    stage: Callable[..., Stage], count: int, words: str
) -> None:
    made = stage()
    made.app.session.problems = ("A sentence that is too long for a toast. " * 5,) * count
    async with made.app.run_test(size=(80, 24), notifications=True) as pilot:
        await settled(pilot, lambda: words in text_of(made.app), "the toast")
        assert [one.message for one in made.app._notifications] == [
            f"{words}: run `containerlab-tui config` to see all."
        ]


async def test_the_palette_offers_actions_that_apply(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        running = {binding.id for _, binding in actions_of(made.app.screen)}
        assert {"container.stop", "container.signal", "tab.logs", "app.help", "main.filter"} <= running
        assert "container.start" not in running
        await pilot.press("end")
        ended = {binding.id for _, binding in actions_of(made.app.screen)}
        assert "container.start" in ended
        assert "container.stop" not in ended


async def test_the_palette_runs_an_action(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        before = len(made.app.main.table.rows)
        await pilot.press("ctrl+p", *"hide stopped")
        await settled(pilot, lambda: "Show/hide stopped" in text_of(made.app), "the hit")
        await pilot.press("down", "enter")
        await settled(pilot, lambda: len(made.app.main.table.rows) < before, "no stopped containers")


async def test_every_binding_has_an_id_and_a_tooltip(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(140, 45)):
        for key, binding in made.app.main._bindings:
            if type(made.app.main).__module__ in str(binding) or binding.id is None:
                assert binding.system or key in ("tab", "shift+tab", "ctrl+c", "super+c", "ctrl+p"), key
            elif binding.show:
                assert binding.tooltip, binding.id


async def test_help_is_made_from_the_bindings(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(140, 80)) as pilot:
        await made.ready(pilot)
        await pilot.press("question_mark")
        await settled(pilot, lambda: isinstance(made.app.screen, HelpScreen), "help")
        text = text_of(made.app)
        for binding in (one for _, one in made.app.main._bindings if one.id and one.id.startswith("container.")):
            assert binding.tooltip in text, binding.id
        await pilot.press("escape")
        assert made.app.screen is made.app.main


def shows(app: ContainerlabApp, words: str) -> bool:
    return words in text_of(app)


async def test_toasts_show_all_their_words(stage: Callable[..., Stage]) -> None:
    """Of a text that filled its first line the second line was below the window."""
    made = stage()
    async with made.app.run_test(size=(80, 24), notifications=True) as pilot:
        await made.ready(pilot)
        for length in range(48, 60):
            last = f"e{length}"
            toast(made.app, safe_line("x" * (length - 4) + f" {last}"))
            await settled(pilot, partial(shows, made.app, last), f"a toast of {length} cells")
            made.app.clear_notifications()


DIALOGS: tuple[Callable[[], Screen[Any]], ...] = (
    lambda: SignalPicker([SignalSubject("id", "shell-form", (SHELL, APP))]),
    lambda: CopyForm("shell-form"),
    lambda: HelpScreen(Screen(), {}),
)


@pytest.mark.parametrize("make", DIALOGS, ids=["signal", "copy", "help"])
async def test_a_key_that_arrives_while_a_dialog_is_opening_waits_for_it(
    stage: Callable[..., Stage], make: Callable[[], Screen[Any]]
) -> None:
    """The table had the key, but its binding is looked up when the dialog is in front already."""
    made = stage()
    async with made.app.run_test(size=(100, 30)) as pilot:
        await made.ready(pilot)
        dialog = make()
        made.app.push_screen(dialog)
        assert not dialog.is_mounted
        await made.app.run_action("leave", dialog)
        await settled(pilot, lambda: made.app.screen is made.app.main, "the dialog is closed again")
        assert made.app.return_code is None
