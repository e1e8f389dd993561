"""The main screen on the recorded engine."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.widgets import Input

from containerlab_probes.errors import Denied, Gone
from containerlab_probes.memory_records import IpcObject, Overview
from containerlab_probes.records import Process, Usage
from containerlab_tui.config import Settings
from containerlab_tui.engine.api import Engine
from containerlab_tui.model.inventory import Container, Details, EngineEvent, Event
from containerlab_tui.model.views import IpcUse, IpcView
from containerlab_tui.services.policy import Policy
from containerlab_tui.session.actions import BY_ID
from containerlab_tui.session.inspectors import Inspectors
from containerlab_tui.session.refreshers import LoadReader, Loads
from containerlab_tui.ui.dialogs.confirm import Confirm
from containerlab_tui.ui.palette import actions_of
from containerlab_tui.ui.tabs.ipc_panel import IpcPanel
from containerlab_tui.ui.widgets.container_table import ContainerTable
from tests.ui.conftest import PlayedKernel, Stage, recorded_processes
from tests.ui.samples import HOSTILE, SIZES, ipc_view, settled, text_of

RUNNING = [
    "db",
    "dockerapp1",
    "dockerapp2",
    "dockerapp3",
    "paused",
    "reader",
    "shell-form",
    "supervisor-v2",
    "systemv-shm",
]
ENDED = ["broken", "job", "worker"]


def shown(stage: Stage) -> list[str]:
    """Names in the table, in order."""
    known = stage.app.session.store
    return [known.named(row.key) for row in stage.app.main.table.rows]


def line_of(stage: Stage, name: str) -> str:
    return next(line for line in text_of(stage.app).splitlines() if f" {name} " in line)


@pytest.mark.parametrize("size", SIZES)
async def test_snapshot(stage: Callable[..., Stage], snapshot: SnapshotAssertion, size: tuple[int, int]) -> None:
    made = stage()
    async with made.app.run_test(size=size) as pilot:
        await made.ready(pilot)
        await pilot.press("down", "down", "down", "down", "down", "down")
        await settled(pilot, lambda: "└─" in text_of(made.app), "the shell's processes")
        assert text_of(made.app) == snapshot


async def test_stopped_containers_are_shown_dimmed_below_the_running_ones(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        assert shown(made) == RUNNING + ENDED
        assert [row.dim for row in made.app.main.table.rows] == [False] * len(RUNNING) + [True] * len(ENDED)
        await settled(pilot, lambda: "killed (SIGKILL, 137)" in line_of(made, "worker"), "how worker ended")
        assert "exited (3)" in line_of(made, "broken")
        assert "exited (0)" in line_of(made, "job")


async def test_stopped_containers_can_be_hidden(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        await pilot.press("end")
        assert shown(made)[-1] == "worker"
        await pilot.press("a")
        assert shown(made) == RUNNING
        await pilot.press("a")
        assert shown(made) == RUNNING + ENDED


async def test_the_setting_hides_stopped_containers(stage: Callable[..., Stage]) -> None:
    made = stage(Settings(show_stopped=False))
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        assert shown(made) == RUNNING
        await pilot.press("a")
        assert shown(made) == RUNNING + ENDED


async def test_effect_grace_period_and_ipc(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(160, 45)) as pilot:
        await made.ready(pilot)
        assert "INT  ◆ handled   60s" in line_of(made, "db")
        assert "TERM ⊘ discarded 10s" in line_of(made, "shell-form")
        await settled(pilot, lambda: "3 · 56M" in line_of(made, "db"), "the overview of namespaces")
        assert "of db" in line_of(made, "reader")


class WithoutRoot(PlayedKernel):
    """A machine whose IPC namespaces may not be read."""

    def load_reader(self, post: Callable[[Loads], object]) -> LoadReader:
        def denied(watched: Sequence[Details]) -> dict[str, Overview]:
            raise Denied("Inspecting containers needs root; run this with sudo.")

        return LoadReader(lambda details: Usage(1.0, 9_400_000), denied, post)


async def test_the_reason_for_missing_figures_is_shown(stage: Callable[..., Stage]) -> None:
    made = stage(kernel=WithoutRoot())
    async with made.app.run_test(size=(160, 45), notifications=True) as pilot:
        await made.ready(pilot)
        await settled(pilot, lambda: "figures are missing: Inspecting" in text_of(made.app), "the toast")


async def test_filter_and_escape(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(100, 30)) as pilot:
        await made.ready(pilot)
        await pilot.press("slash", *"dockerapp")
        assert shown(made) == ["dockerapp1", "dockerapp2", "dockerapp3"]
        await pilot.press("enter")
        assert made.app.focused is made.app.main.table
        await pilot.press("escape")
        assert shown(made) == RUNNING + ENDED
        assert not made.app.main.query(Input)


async def test_a_filter_without_a_match_says_so(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(100, 30)) as pilot:
        await made.ready(pilot)
        await pilot.press("slash", *"nothing")
        assert "No container matches “nothing”" in text_of(made.app)


async def test_marks_make_several_targets(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(100, 30)) as pilot:
        await made.ready(pilot)
        await pilot.press("space", "space")
        assert [one.name for one in made.app.main.table.targets().containers] == ["db", "dockerapp1"]
        assert "2 marked" in text_of(made.app)
        await pilot.press("escape")
        assert [one.name for one in made.app.main.table.targets().containers] == ["dockerapp2"]


async def test_the_cursor_stays_on_its_container(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(100, 30)) as pilot:
        await made.ready(pilot)
        await pilot.press("down", "down")
        selected = made.app.main.table.row_key
        await pilot.press("a")
        known, one = made.app.session.store, made.id_of("dockerapp1")
        before = known.details[one].started_at or 0.0
        made.play_session()
        await settled(pilot, lambda: (known.details[one].started_at or 0.0) > before, "the session's end")
        assert made.app.main.table.row_key == selected


class ByHand:
    """Plays the engine's events about one container."""

    def __init__(self, made: Stage, name: str) -> None:
        self.made, self.id, self.name = made, made.id_of(name), name
        self.at = made.now

    def does(self, *actions: str) -> None:
        for action in actions:
            self.at += 1
            self.made.post(Event(EngineEvent(self.at, action, self.id, self.name, "")))

    @property
    def state(self) -> str:
        known = self.made.app.session.store.containers.get(self.id)
        return known.state if known is not None else "removed"


@pytest.mark.parametrize("show_stopped", [True, False])
async def test_the_cursor_stays_on_the_id_while_its_container_is_restarted(
    stage: Callable[..., Stage], show_stopped: bool
) -> None:
    made = stage(Settings(show_stopped=show_stopped, confirm=frozenset()))
    async with made.app.run_test(size=(100, 30)) as pilot:
        await made.ready(pilot)
        await pilot.press("down", "down", "R")
        one, before = ByHand(made, "dockerapp2"), shown(made)
        await settled(pilot, lambda: made.engine.calls == [("restart", one.id, None)], "the first restart")
        one.does("die")
        await settled(pilot, lambda: "○" in line_of(made, "dockerapp2"), "it has stopped")
        assert shown(made) == before
        assert line_of(made, "dockerapp2").startswith("▌")
        await pilot.press("R")
        await settled(pilot, lambda: made.engine.calls == [("restart", one.id, None)] * 2, "the second restart")
        one.does("start")
        await settled(pilot, lambda: "●" in line_of(made, "dockerapp2"), "it runs again")
        assert shown(made) == before
        assert made.app.main.table.row_key == one.id


async def test_a_row_that_was_acted_on_stays_until_the_cursor_leaves_it(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(100, 30)) as pilot:
        await made.ready(pilot)
        await pilot.press("down", "down")
        one, before = ByHand(made, "dockerapp2"), shown(made)
        one.does("die")
        await settled(pilot, lambda: "○" in line_of(made, "dockerapp2"), "it has stopped")
        assert shown(made) == before
        await pilot.press("down")
        await settled(pilot, lambda: shown(made) != before, "it has gone down")
        rest = [name for name in RUNNING if name != "dockerapp2"]
        assert shown(made) == [*rest, "broken", "dockerapp2", "job", "worker"]
        assert made.app.main.table.row_key == made.id_of("dockerapp3")


async def test_a_key_on_a_removed_container_acts_on_no_other(stage: Callable[..., Stage]) -> None:
    made = stage(Settings(confirm=frozenset()))
    async with made.app.run_test(size=(100, 30), notifications=True) as pilot:
        await made.ready(pilot)
        await pilot.press("down", "down")
        one = ByHand(made, "dockerapp2")
        one.does("die", "destroy")
        await settled(pilot, lambda: "removed" in line_of(made, "dockerapp2"), "it was removed")
        assert line_of(made, "dockerapp2").startswith("▌")
        await pilot.press("R", "x", "delete", "S", "z", "s", "d", "e", "t", "c", "N", "w", "space")
        await pilot.pause()
        assert made.app.screen is made.app.main
        assert made.engine.calls == []
        assert {note.message for note in made.app._notifications} == {"dockerapp2 was removed."}
        await settled(pilot, lambda: "dockerapp2 was removed." in text_of(made.app), "the tab says so")
        await pilot.press("down")
        await settled(pilot, lambda: "dockerapp2" not in shown(made), "it leaves the list")
        assert made.app.main.table.row_key == made.id_of("dockerapp3")


async def test_a_key_that_does_not_apply_says_why(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(100, 30), notifications=True) as pilot:
        await made.ready(pilot)
        await pilot.press("S", "W")
        await pilot.press("end", "x")
        await settled(pilot, lambda: len(made.app._notifications) == 3, "the reasons")
        assert [note.message for note in made.app._notifications] == [
            "db is already running. Press R to restart it.",
            "No stop has been seen yet. Press x to stop a container.",
            "worker is not running. Press S to start it.",
        ]
        assert made.engine.calls == []


class FailingKernel(PlayedKernel):
    """Can't read the processes of one container until the test says so."""

    def __init__(self) -> None:
        self.failing = "db"

    def processes(self, engine: Engine, details: Details) -> tuple[tuple[Process, ...], str]:
        return ((), "permission denied") if details.name == self.failing else super().processes(engine, details)


async def test_a_failed_reading_is_shown_and_tried_again(stage: Callable[..., Stage]) -> None:
    kernel = FailingKernel()
    made = stage(kernel=kernel)
    async with made.app.run_test(size=(160, 45)) as pilot:
        await made.ready(pilot)
        await pilot.press("down")
        assert "INT  ? unread    60s" in line_of(made, "db")
        kernel.failing = ""
        await settled(pilot, lambda: "INT  ◆ handled   60s" in line_of(made, "db"), "the second reading")


async def test_what_another_screen_reads_is_in_the_list(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(160, 45)) as pilot:
        await made.ready(pilot)
        session, one = made.app.session, made.id_of("dockerapp1")
        suspended = tuple(replace(process, state="T") for process in recorded_processes(one))
        session.effects.share(one, session.store.details[one].pid, suspended)
        await settled(pilot, lambda: "TERM … blocked" in line_of(made, "dockerapp1"), "the effect")
        assert "· suspended" in line_of(made, "dockerapp1")


async def test_a_bulk_question_names_what_the_filter_hides(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(100, 30)) as pilot:
        await made.ready(pilot)
        await pilot.press("space", "space", "slash", *"dockerapp", "enter", "delete")
        await settled(pilot, lambda: isinstance(made.app.screen, Confirm), "the question")
        text = text_of(made.app)
        assert "Remove 2 containers?" in text
        assert "db (hidden), dockerapp1" in text
        assert "1 of them is hidden by the filter." in text
        assert "They are still running" in text
        assert "Their writable layers" in text
        assert " dockerapp3 " in text, "the list shows through"
        await pilot.press("n", "escape", "escape", "delete")
        await settled(pilot, lambda: isinstance(made.app.screen, Confirm), "the question about one")
        assert "Remove dockerapp1?" in text_of(made.app) or "Remove dockerapp2?" in text_of(made.app)
        assert "Its writable layer" in text_of(made.app)


async def test_restarting_asks_first(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(100, 30)) as pilot:
        await made.ready(pilot)
        await pilot.press("R")
        await settled(pilot, lambda: "Restart db?" in text_of(made.app), "the question")
        await pilot.press("n")
        assert made.engine.calls == []


async def test_enter_zooms_and_escape_returns(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(100, 30)) as pilot:
        await made.ready(pilot)
        await pilot.press("enter")
        await pilot.pause()
        assert made.app.main.table.size.height == 2
        assert made.app.focused is not made.app.main.table
        await pilot.press("escape")
        await pilot.pause()
        assert made.app.main.table.size.height > 2
        assert made.app.focused is made.app.main.table


@pytest.mark.parametrize("place", range(0, 9, 2))
@pytest.mark.parametrize("size", SIZES)
async def test_the_zoomed_table_shows_the_selected_row(
    stage: Callable[..., Stage], size: tuple[int, int], place: int
) -> None:
    made = stage()
    async with made.app.run_test(size=size) as pilot:
        await made.ready(pilot)
        await pilot.press(*["down"] * place)
        name = RUNNING[place]
        assert made.app.session.store.named(made.app.main.table.row_key or "") == name
        await pilot.press("enter")
        await settled(pilot, lambda: made.app.main.table.size.height == 2, "the zoom")
        await settled(pilot, lambda: f" {name[:13]}" in text_of(made.app).splitlines()[2], f"{name} above its tab")
        await pilot.press("escape")
        await settled(pilot, lambda: made.app.main.table.size.height > 2, "the whole table")
        assert f" {name[:13]}" in "".join(line for line in text_of(made.app).splitlines() if line.startswith("▌"))


async def test_panels_are_created_when_first_shown(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        assert not made.app.main.query("LogView, InspectView, SignalsTab")
        made.engine.log = [b"first line\nsecond \x1b[31mred\x1b[0m line\n"]
        await pilot.press("l")
        await settled(pilot, lambda: "second red line" in text_of(made.app), "the log")
        await pilot.press("y")
        await settled(pilot, lambda: "StartedAt" in text_of(made.app), "the document")
        await pilot.press("g")
        await settled(pilot, lambda: "Press s" in text_of(made.app), "the empty signals")


async def test_the_footer_follows_the_selection(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(160, 45)) as pilot:
        await made.ready(pilot)
        assert "x stop" in text_of(made.app).splitlines()[-1]
        await pilot.press("end")
        await settled(pilot, lambda: "S start" in text_of(made.app).splitlines()[-1], "start on an ended one")
        assert "x stop" not in text_of(made.app).splitlines()[-1]


async def test_removing_asks_first(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(100, 30)) as pilot:
        await made.ready(pilot)
        await pilot.press("delete")
        await settled(pilot, lambda: isinstance(made.app.screen, Confirm), "the question")
        await pilot.press("n")
        assert made.engine.calls == []
        await pilot.press("delete")
        await settled(pilot, lambda: isinstance(made.app.screen, Confirm), "the question")
        await pilot.press("y")
        await settled(pilot, lambda: bool(made.engine.calls), "the removal")
        assert made.engine.calls == [("remove", made.id_of("db"), True, False)]


async def test_read_only_refuses_with_a_reason(stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch) -> None:
    made = stage(Settings(read_only=True))
    # On a busy machine the first toast would expire before the last key.
    monkeypatch.setattr(made.app, "NOTIFICATION_TIMEOUT", 600)
    async with made.app.run_test(size=(100, 30), notifications=True) as pilot:
        await made.ready(pilot)
        await pilot.press("delete", "x", "s", "R", "n", "z", "N", "c", "e", "t")
        await pilot.pause()
        assert made.app.screen is made.app.main
        assert made.engine.calls == []
        assert all("Read-only mode" in one.message for one in made.app._notifications)
        assert len(made.app._notifications) == 10


async def test_read_only_is_shown_and_hides_its_keys(stage: Callable[..., Stage]) -> None:
    made = stage(Settings(read_only=True))
    async with made.app.run_test(size=(160, 45)) as pilot:
        await made.ready(pilot)
        first, *_, last = text_of(made.app).splitlines()
        assert "read-only" in first
        assert "x stop" not in last
        assert "d doctor" in last
        offered = {binding.id for _, binding in actions_of(made.app.screen)}
        assert "container.doctor" in offered
        assert not {one for one in offered if one and BY_ID[one].changes}


async def test_a_remote_engine_is_explained(stage: Callable[..., Stage]) -> None:
    made = stage(local=False)
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        await settled(pilot, lambda: "runs on another machine" in text_of(made.app), "the reason")


async def test_hostile_names_are_only_text(stage: Callable[..., Stage]) -> None:
    plain = stage().containers[0]
    hostile: Container = replace(plain, name=HOSTILE, image=HOSTILE, command=HOSTILE, status=HOSTILE)
    made = stage(containers=(hostile,))
    async with made.app.run_test(size=(140, 45)) as pilot:
        await settled(pilot, lambda: made.started, "the engine reader")
        text = text_of(made.app)
        assert "x[/]" in text
        assert not any(character in text for character in "\x1b\x07\x9b\u202e")


async def test_click_selects(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(100, 30)) as pilot:
        await made.ready(pilot)
        await pilot.click(ContainerTable, offset=(8, 3))
        assert made.app.session.store.named(made.app.main.table.row_key or "") == "dockerapp2"


@pytest.mark.parametrize("width", [80, 100, 120, 160, 200])
async def test_every_cut_is_marked(stage: Callable[..., Stage], width: int) -> None:
    made = stage()
    async with made.app.run_test(size=(width, 30)) as pilot:
        await made.ready(pilot)
        for name in RUNNING:
            found = [line for line in text_of(made.app).splitlines() if f" {name} " in line or f" {name[:13]}…" in line]
            assert found, f"{name} is neither whole nor marked as cut at {width} columns"


def flat(text: str) -> str:
    """Returns text that a dialog or toast has wrapped as one line."""
    return " ".join(re.sub(r"[│▌▊▎┃┆]", " ", text).split())


class PlayedInspector:
    """Replaces the agent: returns the objects of `ipc_view` and records removals."""

    def __init__(self) -> None:
        self.removed: list[str] = []

    def of(self, _: object) -> "PlayedInspector":
        return self

    def ipc(self, _: object) -> IpcView:
        return ipc_view()

    def read_ipc(self, *_: object) -> object:
        raise Gone("It was removed.")

    def use_of(self, _kind: object, object_id: str, _others: object) -> IpcUse:
        row = next(row for row in ipc_view().rows if row.object.id == object_id)
        return IpcUse("app", row.object, tuple(("app", one) for one in row.users))

    def remove_ipc(self, _kind: object, object_id: str, shown: IpcObject, _host: bool) -> IpcObject | None:
        self.removed.append(object_id)
        return replace(shown, removed=True) if shown.attached else None


class InspectedKernel(PlayedKernel):
    def __init__(self, inspector: PlayedInspector) -> None:
        self.inspector = inspector

    def inspectors(self, is_local: Callable[[], bool], policy: Policy) -> Inspectors:
        return cast(Inspectors, self.inspector)


def said(one: Stage, words: str) -> bool:
    return any(words in note.message for note in one.app._notifications)


async def test_removing_an_object_asks_first(stage: Callable[..., Stage]) -> None:
    inspector = PlayedInspector()
    one = stage(kernel=InspectedKernel(inspector))
    async with one.app.run_test(size=(132, 36), notifications=True) as pilot:
        await one.ready(pilot)
        await pilot.press("i")
        await settled(pilot, lambda: "5678" in text_of(one.app), "the segments")
        await pilot.press("enter", "enter")
        await settled(pilot, lambda: "db: segment 0" in text_of(one.app), "its bytes, under the same name")
        await pilot.press("escape")
        await settled(pilot, lambda: one.app.screen is one.app.main, "the bytes are closed")
        for answer in ("enter", "escape"):
            await pilot.press("delete")
            await settled(pilot, lambda: isinstance(one.app.screen, Confirm), "the question")
            text = text_of(one.app)
            assert "Remove segment 0 of app?" in text
            assert "In use by 1 python3 /app/writer.py (app), 9 python3 /app/reader.py (app). It is marked" in flat(
                text
            )
            await pilot.press(answer)
            await settled(pilot, lambda: one.app.screen is one.app.main, "the question is closed")
            assert inspector.removed == []
        await pilot.press("delete")
        await settled(pilot, lambda: isinstance(one.app.screen, Confirm), "the question")
        await pilot.press("y")
        await settled(pilot, lambda: said(one, "Marked segment 0 of app for removal"), "the result")
        assert inspector.removed == ["0"]
        await pilot.press("down", "delete")
        await settled(pilot, lambda: said(one, "Segment 3 is already marked for removal"), "no question")
        await pilot.press("down", "delete")
        await settled(pilot, lambda: isinstance(one.app.screen, Confirm), "the question")
        await pilot.press("y")
        await settled(pilot, lambda: inspector.removed == ["0", "1"], "it is removed")


class EmptyNamespace(PlayedInspector):
    def ipc(self, _: object) -> IpcView:
        return replace(ipc_view(), rows=())


async def test_delete_in_a_tab_without_objects_does_not_reach_the_container(stage: Callable[..., Stage]) -> None:
    one = stage(kernel=InspectedKernel(EmptyNamespace()))
    async with one.app.run_test(size=(132, 36), notifications=True) as pilot:
        await one.ready(pilot)
        await pilot.press("i")
        await settled(pilot, lambda: "No IPC objects yet" in text_of(one.app), "the tab")
        await pilot.press("enter", "delete")
        await settled(pilot, lambda: said(one, "No object is selected."), "the answer")
        assert one.app.screen is one.app.main


async def test_enter_twice_opens_the_bytes_once(stage: Callable[..., Stage]) -> None:
    one = stage(kernel=InspectedKernel(PlayedInspector()))
    async with one.app.run_test(size=(132, 36)) as pilot:
        await one.ready(pilot)
        await pilot.press("i")
        await settled(pilot, lambda: "5678" in text_of(one.app), "the segments")
        panel = one.app.main.query_one(IpcPanel)
        row = ipc_view().rows[0]
        panel.post_message(IpcPanel.OpenObject(row))
        panel.post_message(IpcPanel.OpenObject(row))
        await settled(pilot, lambda: len(one.app.screen_stack) > 1, "the bytes")
        await pilot.pause()
        assert len(one.app.screen_stack) == 2
