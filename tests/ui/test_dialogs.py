"""The dialogs: stop, confirm, run, copy."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.screen import Screen
from textual.widgets import Checkbox, Select

from containerlab_probes.errors import BadRequest
from containerlab_tui.engine.api import RunRequest
from containerlab_tui.ui.dialogs.confirm import Confirm
from containerlab_tui.ui.dialogs.copy import CopyForm, CopyRequest, read_copy
from containerlab_tui.ui.dialogs.run import RunForm, read_command, read_size
from containerlab_tui.ui.dialogs.stop import StopChoice, StopDialog
from containerlab_tui.ui.dialogs.stop_fields import LONGEST_S, read_grace, read_signal
from tests.ui.samples import APP, HANDLER, HOSTILE, SHELL, SIZES, WORKER, Host, plan, process, settled, text_of

IMAGES = ("containerlab/dockerapp1:latest", "containerlab/dockerapp2:latest")


def stop_one() -> StopDialog:
    return StopDialog([plan(SHELL, APP, WORKER)])


def stop_two() -> StopDialog:
    return StopDialog([plan(SHELL, APP, WORKER), plan(HANDLER, name="dockerapp2", timeout_s=-1)])


def stop_unreadable() -> StopDialog:
    return StopDialog([plan(name="far")])


def confirm() -> Confirm:
    return Confirm("Remove segment 0?", "Nobody has it open now. What is in it is lost.", "Remove it")


def run_form() -> RunForm:
    return RunForm(IMAGES, ["dockerapp1"])


def copy_form() -> CopyForm:
    return CopyForm("dockerapp1")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("make", [stop_one, stop_two, stop_unreadable, confirm, run_form, copy_form])
async def test_snapshot(make: Callable[[], Screen[Any]], size: tuple[int, int], snapshot: SnapshotAssertion) -> None:
    app = Host(make())
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        assert text_of(app) == snapshot


async def after(screen: Screen[Any], *keys: str) -> tuple[list[object], str]:
    """Returns the answers and the screen before them."""
    app = Host(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*keys[:-1])
        await pilot.pause()
        text = text_of(app)
        await pilot.press(*keys[-1:])
        await pilot.pause()
        return app.answers, text + text_of(app)


# stop


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10", 10),
        (" 30 s", 30),
        ("0", 0),
        ("for ever", -1),
        ("no limit", -1),
        ("forever", -1),
        ("-1", -1),
        ("FOREVER", -1),
        ("", None),
        ("007", 7),
    ],
)
def test_grace_periods(text: str, seconds: int | None) -> None:
    assert read_grace(text) == seconds


@pytest.mark.parametrize("text", ["ten", "-2", "1.5", "1e3", str(LONGEST_S + 1), "9" * 20, "9" * 5000, "٣", "10 10"])
def test_bad_grace_periods(text: str) -> None:
    with pytest.raises(ValueError, match="whole number of seconds"):
        read_grace(text)


@pytest.mark.parametrize(("text", "number"), [("TERM", 15), ("SIGQUIT", 3), ("rtmin+3", 37), ("9", 9), ("", None)])
def test_stop_signals(text: str, number: int | None) -> None:
    assert read_signal(text) == number


@pytest.mark.parametrize("text", ["nosuch", "0", "99", "-1"])
def test_bad_stop_signals(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_signal(text)


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (["enter"], StopChoice()),
        (["escape"], None),
        ([*"30", "enter"], StopChoice(timeout_s=30)),
        ([*"forever", "enter"], StopChoice(timeout_s=-1)),
        (["tab", *"QUIT", "enter"], StopChoice(signal=3)),
        (["down", *"sigint", "up", *"1", "enter"], StopChoice(signal=2, timeout_s=1)),
    ],
)
async def test_keys_of_the_stop_dialog(keys: list[str], answer: StopChoice | None) -> None:
    answers, _ = await after(stop_one(), *keys)
    assert answers == [answer]


async def test_a_bad_grace_period_starts_no_stop() -> None:
    answers, text = await after(stop_one(), *"ten", "enter")
    assert answers == []
    assert "! The grace period is a whole number of seconds, or `forever`." in text


async def test_the_effect_follows_the_signal() -> None:
    _, text = await after(stop_one(), "tab", *"KILL")
    assert "terminates" in text or "kills at once" in text
    assert "no grace period: the signal is SIGKILL" in text
    _, text = await after(stop_one(), *"for ever")
    assert "nothing: Docker waits forever" in text


async def test_processes_not_signalled() -> None:
    children = [process(number, "worker", str(number), parent=1) for number in range(2, 12)]
    _, text = await after(StopDialog([plan(SHELL, *children)]), "down")
    assert "Docker signals only PID 1, not the 10 other processes:" in text
    assert "worker 2" in text
    assert "and 5 more" in text


async def test_several_containers_keep_their_settings_by_default() -> None:
    answers, text = await after(stop_two(), "enter")
    assert answers == [StopChoice()]
    assert "no limit" in text
    answers, text = await after(stop_two(), *"5", "enter")
    assert answers == [StopChoice(timeout_s=5)]
    assert "no limit" not in text


# confirm


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (["enter"], False),
        (["escape"], False),
        (["n"], False),
        (["y"], True),
        (["right", "enter"], True),
        (["tab", "enter"], True),
        (["right", "right", "enter"], False),
    ],
)
async def test_the_safe_answer_is_selected_first(keys: list[str], answer: bool) -> None:
    answers, _ = await after(confirm(), *keys)
    assert answers == [answer]


async def test_hostile_text_is_only_text() -> None:
    _, text = await after(Confirm(HOSTILE, HOSTILE, "Yes"), "right")
    assert "\x1b" not in text
    assert text.count(r"x[/]\x1b]0;owned\x07") >= 2


# run


@pytest.mark.parametrize(
    ("text", "size"), [("64m", 64 << 20), ("1G", 1 << 30), ("65536", 65536), ("10 kb", 10240), ("7b", 7), ("", None)]
)
def test_sizes(text: str, size: int | None) -> None:
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["0", "-1m", "64 mega", "m", "1.5g"])
def test_bad_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="example 64m"):
        read_size(text)


def test_commands_are_split_without_expansion() -> None:
    assert read_command("sh -c 'echo $HOME; ls *'") == ("sh", "-c", "echo $HOME; ls *")
    assert read_command("") == ()
    with pytest.raises(ValueError, match="Cannot split the command into words: no closing quotation"):
        read_command("sh -c 'oops")


FILLED = RunRequest(IMAGES[0], ipc_mode="private", shm_bytes=64 << 20, stop_timeout_s=10)


async def test_enter_runs_with_the_defaults() -> None:
    answers, _ = await after(run_form(), "enter")
    assert answers == [FILLED]


async def test_every_field_is_in_the_request() -> None:
    app = Host(run_form())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*"busybox", "tab", *"sleep '1 0'", "tab", *"my-own", "tab", "tab")
        await pilot.press(*"1g", "tab", *"usr1", "tab", *"3", "tab", "space")
        app.screen.query_one("#ipc", Select).value = "container:dockerapp1"
        await pilot.press("tab", "space")
        assert [box.value for box in app.screen.query(Checkbox)] == [True, True]
        assert text_of(app).count("[X]") == 2
        await pilot.press("ctrl+r")
        await pilot.pause()
        assert app.answers == [
            RunRequest(
                "busybox",
                ("sleep", "1 0"),
                "my-own",
                "container:dockerapp1",
                init=True,
                stop_signal="SIGUSR1",
                stop_timeout_s=3,
                tty=True,
            )
        ]


@pytest.mark.parametrize(
    ("tabs", "typed", "sentence"),
    [
        (1, "sh -c 'x", "Cannot split the command into words: no closing quotation."),
        (5, "TREM", "TREM"),
        (5, "0", "No such signal: 0"),
        (6, str(LONGEST_S + 1), "The grace period is a whole number of seconds, or `forever`."),
    ],
)
async def test_a_bad_field_gets_a_sentence_and_runs_nothing(tabs: int, typed: str, sentence: str) -> None:
    answers, text = await after(run_form(), *["tab"] * tabs, *typed, "enter")
    assert answers == []
    assert any(line.strip(" │┃▌▐").startswith("! ") and sentence in line for line in text.splitlines()), text


async def test_escape_cancels() -> None:
    assert (await after(run_form(), "escape"))[0] == [None]


# copy


def test_copy_requests(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_bytes(b"x")
    assert read_copy(f" {file} ", "/tmp") == CopyRequest(str(file), "/tmp")
    for wrong, sentence in (
        ("", "Enter a local file"),
        (str(tmp_path / "none"), "No such file"),
        (str(tmp_path), "not a regular file"),
        ("/dev/null", "not a regular file"),
    ):
        with pytest.raises(BadRequest, match=sentence):
            read_copy(wrong, "/")
    with pytest.raises(BadRequest, match="must be absolute"):
        read_copy(str(file), "tmp")


def test_the_file_behind_a_link_is_named(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "file").write_bytes(b"x")
    assert read_copy(str(tmp_path / "link"), "/tmp") == CopyRequest(str(tmp_path / "file"), "/tmp")


async def test_a_path_is_completed_and_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("only-file.txt").write_bytes(b"four")
    app = Host(CopyForm("dockerapp1", "on"))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("end", "l")
        await settled(pilot, lambda: "only-file.txt" in text_of(app), "the completion")
        await pilot.press("right")
        await settled(pilot, lambda: "4 bytes → /tmp/only-file.txt" in text_of(app), "the size and the target")
        await pilot.press("enter")
        copied = CopyRequest(str(tmp_path / "only-file.txt"), "/tmp")
        await settled(pilot, lambda: app.answers == [copied], "the answer")


async def test_a_file_that_vanishes_gets_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").write_bytes(b"four")
    app = Host(CopyForm("dockerapp1", "data"))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "4 bytes → /tmp/data" in text_of(app), "the size")
        Path("data").unlink()
        await pilot.press("enter")
        await settled(pilot, lambda: "! No such file: data." in text_of(app), "the complaint")
        assert app.answers == []


async def test_a_bad_copy_gets_a_sentence() -> None:
    app = Host(CopyForm("dockerapp1", "/nowhere/at-all"))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter")
        await settled(pilot, lambda: "! No such file: /nowhere/at-all." in text_of(app), "the complaint")
        assert app.answers == []
