"""The IPC tab and the table of the Signals tab."""

from dataclasses import replace

import pytest
from syrupy.assertion import SnapshotAssertion

from containerlab_probes.memory_records import IpcKind
from containerlab_probes.signals.forecast import forecast
from containerlab_tui.model.survival import Answer, Survival
from containerlab_tui.model.views import IpcView, Sent
from containerlab_tui.present import wording
from containerlab_tui.ui.tabs.ipc_panel import IpcPanel
from containerlab_tui.ui.tabs.signals_log import SignalsLog
from containerlab_tui.ui.widgets.grid import ROWS_SHOWN
from containerlab_tui.ui.widgets.survival_marks import sentence
from tests.ui.samples import APP, BEGAN, HOSTILE, SHELL, SIZES, WORKER, Host, ipc_view, settled, text_of


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("what", ["full", "empty", "unavailable", "limits"])
async def test_snapshot(what: str, size: tuple[int, int], snapshot: SnapshotAssertion) -> None:
    panel = IpcPanel()
    app = Host(panel)
    view = ipc_view()
    async with app.run_test(size=size) as pilot:
        if what == "unavailable":
            panel.show(None, "Inspecting containers needs root; run this with sudo.")
        else:
            panel.show(replace(view, rows=(), shared_with=()) if what == "empty" else view)
        if what == "limits":
            panel.query_one("#ipc-table").focus()
            await pilot.press("v")
        await pilot.pause()
        assert text_of(app) == snapshot


async def pressed(*keys: str, view: IpcView | None = None) -> tuple[Host, str]:
    panel = IpcPanel()
    app = Host(panel)
    async with app.run_test(size=(140, 30), notifications=True) as pilot:
        panel.show(view or ipc_view())
        panel.query_one("#ipc-table").focus()
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()
        return app, text_of(app)


async def test_enter_opens_an_object_with_bytes() -> None:
    app, _ = await pressed("enter")
    (opened,) = app.messages
    assert isinstance(opened, IpcPanel.OpenObject)
    assert (opened.row.object.kind, opened.row.object.id) == (IpcKind.SHM, "0")


async def test_a_semaphore_set_has_no_bytes() -> None:
    app, text = await pressed("down", "down", "enter")
    assert app.messages == []
    assert "[0] = 1 · [1] = 0, 2 waiting for more" in text
    assert [note.message for note in app._notifications] == [
        "semaphore set 1 has no contents to show; see the details below."
    ]


async def test_delete_posts_the_object_under_the_cursor() -> None:
    app, _ = await pressed("down", "delete")
    (removed,) = app.messages
    assert isinstance(removed, IpcPanel.RemoveObject)
    assert removed.row.object.id == "3"


async def test_a_new_reading_keeps_the_cursor_on_its_object() -> None:
    panel = IpcPanel()
    app = Host(panel)
    view = ipc_view()
    async with app.run_test(size=(140, 30)) as pilot:
        panel.show(view)
        panel.query_one("#ipc-table").focus()
        await pilot.press("down", "down", "down")
        await pilot.pause()
        assert panel.selected is not None
        assert panel.selected.object.id == "2"
        panel.show(replace(view, rows=view.rows[2:]))
        await pilot.pause()
        assert panel.selected.object.id == "2"
        panel.show(None, "It has ended.")
        await settled(pilot, lambda: "It has ended." in text_of(app), "the reason")
        assert panel.selected is None


async def test_hostile_names_are_only_text() -> None:
    view = ipc_view()
    row = view.rows[-1]
    evil = replace(row.object, name="/" + HOSTILE, id=HOSTILE)
    reader = replace(row.users[0], argv=(HOSTILE,))
    shown = replace(
        view,
        rows=(replace(row, object=evil, users=(reader,)),),
        shared_with=(HOSTILE,),
        mode=HOSTILE,
        snapshot=replace(view.snapshot, unread=(HOSTILE,)),
    )
    for keys in ((), ("delete",)):
        _, text = await pressed(*keys, view=shown)
        assert "\x1b" not in text
        assert "\x9b" not in text
        assert "\u202e" not in text
        assert r"x[/]\x1b]0;owned\x07" in text


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (
            "ynnn",
            "Survives process exit; lost on restart, removal, host reboot. Why.",
        ),
        (
            "yyy?",
            "Survives process exit, restart, removal; unknown: host reboot. Why.",
        ),
        (
            "nnnn",
            "Lost on process exit, restart, removal, host reboot. Why.",
        ),
    ],
)
def test_survival_in_words(answers: str, expected: str) -> None:
    known = {"y": Answer.YES, "n": Answer.NO, "?": Answer.UNKNOWN}
    one, two, three, four = (known[letter] for letter in answers)
    assert sentence(Survival(one, two, three, four, "Why.")) == expected


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "—"), (0, "0"), (27, "27"), (1023, "1023"), (1024, "1K"), (1536, "1.5K"), (65536, "64K"), (2 << 30, "2G"),
     (1022976, "999K"), (1023 * 1024, "1M"), (10 << 60, "10E")],
)  # fmt: skip
def test_sizes_in_five_cells(count: int | None, text: str) -> None:
    assert wording.size(count) == text
    assert len(wording.size(count)) <= 5


def some_sent() -> list[Sent]:
    def one(process: object, signal: int, after: float, observed: str | None, error: str = "") -> Sent:
        assert isinstance(process, type(APP))
        return Sent(
            "id", "shell-form", process.id, process.container_pid, process.command, signal, BEGAN + after, "pidfd",
            forecast(process, signal), observed, error,
        )  # fmt: skip

    return [
        one(APP, 10, 0, "still running"),
        one(WORKER, 15, 5, "terminated by SIGTERM"),
        one(SHELL, 15, 7, None),
        one(APP, 2, 9, None, "Process 7 of shell-form has exited. Nothing sent."),
    ]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("what", ["some", "none"])
async def test_signals_snapshot(what: str, size: tuple[int, int], snapshot: SnapshotAssertion) -> None:
    log = SignalsLog()
    app = Host(log)
    async with app.run_test(size=size) as pilot:
        log.show(some_sent() if what == "some" else [])
        log.show_logs(["received SIGUSR1", "\x1b[32mworking\x1b[0m"] if what == "some" else [])
        await pilot.pause()
        assert text_of(app) == snapshot


async def test_a_result_replaces_waiting() -> None:
    log = SignalsLog()
    app = Host(log)
    async with app.run_test(size=(140, 30)) as pilot:
        waiting = some_sent()[2:3]
        log.show(waiting)
        await settled(pilot, lambda: "waiting …" in text_of(app), "waiting")
        log.show([replace(waiting[0], observed="still running")])
        await settled(pilot, lambda: "still running" in text_of(app), "the outcome")
        assert "waiting …" not in text_of(app)


async def test_hostile_log_lines_and_commands_are_only_text() -> None:
    log = SignalsLog()
    app = Host(log)
    async with app.run_test(size=(140, 30)) as pilot:
        log.show([replace(some_sent()[0], command=HOSTILE, container_name=HOSTILE, observed=HOSTILE)])
        log.show_logs([HOSTILE, "\x1b]52;c;aGk=\x07[bold]end", b"\xff\x1bP1;\x1b\\dcs"])
        await pilot.pause()
        text = text_of(app)
        assert "\x1b" not in text
        assert "52;c" not in text
        assert "[bold]end" in text
        assert r"x[/]\x1b]0;owned\x07" in text


async def test_the_first_of_very_many_objects_are_shown() -> None:
    panel = IpcPanel()
    app = Host(panel)
    view = ipc_view()
    rows = tuple(
        replace(view.rows[0], object=replace(view.rows[0].object, id=str(number))) for number in range(ROWS_SHOWN + 1)
    )
    said = "Segments: the first 32,000 of 32,768 are listed."
    async with app.run_test(size=(140, 30)) as pilot:
        panel.show(replace(view, rows=rows, snapshot=replace(view.snapshot, unread=(said,))))
        await settled(pilot, lambda: "The first 5,000 of 5,001 rows are shown" in text_of(app), "what is left out")
        assert said in text_of(app)
