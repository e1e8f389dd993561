"""The dialog that asks how to enter a container, and the keys that are typed while it is entered."""

import threading
from collections.abc import Callable

import pytest
from syrupy.assertion import SnapshotAssertion

from containerlab_probes.errors import Gone
from containerlab_tui.config import Settings
from containerlab_tui.model.entry import Entry, Shells, Way
from containerlab_tui.model.inventory import Details
from containerlab_tui.ui.dialogs.enter import EnterForm, Entering
from tests.ui.conftest import Stage
from tests.ui.samples import HOSTILE, SIZES, Host, settled, text_of

SHELLS = Shells(("/bin/bash", "/bin/sh"))


def form(entry: Entry | None = None, shells: Shells = SHELLS, name: str = "dockerapp1") -> EnterForm:
    return EnterForm(name, lambda: shells, entry)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("way", Way)
async def test_snapshot(way: Way, size: tuple[int, int], snapshot: SnapshotAssertion) -> None:
    app = Host(form(Entry(way)))
    async with app.run_test(size=size) as pilot:
        await settled(pilot, lambda: "/bin/bash" in text_of(app), "the shell")
        assert text_of(app) == snapshot


async def entered(screen: EnterForm, *keys: str) -> tuple[list[object], str]:
    """Returns the answers and the screen before the last key."""
    app = Host(screen)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, lambda: "reading …" not in text_of(app), "the shells")
        await pilot.press(*keys[:-1])
        await pilot.pause()
        text = text_of(app)
        await pilot.press(keys[-1])
        await pilot.pause()
        return app.answers, text


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (["enter"], Entry(Way.CONFINED, ("/bin/bash",))),
        (["escape"], None),
        (["end", "space", "minus", "l", "enter"], Entry(Way.CONFINED, ("/bin/bash", "-l"))),
        (["down", *"1000", "enter"], Entry(Way.CONFINED, ("/bin/bash",), "1000")),
        (["up", "right", "enter"], Entry(Way.HOST_TOOLS, ("/bin/bash",))),
        (["up", "right", "left", "enter"], Entry(Way.CONFINED, ("/bin/bash",))),
        (["up", "space", "down", "down", "down", "space", "up", "up", "enter"],
         Entry(Way.HOST_TOOLS, ("/bin/bash",), full_rights=True)),
    ],
)  # fmt: skip
async def test_keys(keys: list[str], answer: Entry | None) -> None:
    answers, _ = await entered(form(), *keys)
    assert answers == [answer]


async def test_the_hosts_files_come_with_the_hosts_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/cat")
    answers, text = await entered(form(), "up", "right", "down", "down", "space", "up", "enter")
    assert "Risk: runs as root on the host's files" in text
    assert answers == [Entry(Way.HOST_TOOLS, ("/bin/cat",), host_files=True)]


async def test_without_a_shell_nothing_is_run() -> None:
    answers, text = await entered(form(shells=Shells()), "enter")
    assert "! The image has no shell" in text
    assert answers == []


async def test_a_command_that_cannot_be_split_is_not_run() -> None:
    answers, text = await entered(form(), "quotation_mark", "enter")
    assert "Cannot split the command into words" in text
    assert answers == []


async def test_the_earlier_choice_is_shown() -> None:
    before = Entry(Way.HOST_TOOLS, ("sh", "-c", "echo a b"), full_rights=True)
    answers, text = await entered(form(before), "enter")
    assert "[X] full rights" in text
    assert answers == [before]


async def test_a_hostile_name_is_made_safe() -> None:
    _, text = await entered(form(name=HOSTILE), "escape")
    assert "\x1b" not in text


@pytest.mark.parametrize("known", [True, False])
async def test_no_key_typed_meanwhile_reaches_the_screen_behind(
    known: bool, stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, go_on = stage(Settings(confirm=frozenset())), threading.Event()

    def inspect(container: str) -> Details:
        go_on.wait(30)
        raise Gone("It has exited.")

    async with made.app.run_test(size=(140, 45), notifications=True) as pilot:
        await made.ready(pilot)
        container = made.app.main.table.selected()
        assert container is not None
        if known:
            made.app.session.entries[container.id] = Entry()
        monkeypatch.setattr(made.engine, "inspect", inspect)
        await pilot.press("e", "x", "R", "z", "delete", "q", "question_mark", "down", "slash")
        await pilot.pause()
        assert isinstance(made.app.screen, Entering if known else EnterForm)
        go_on.set()
        if known:
            await settled(pilot, lambda: "It has exited." in text_of(made.app), "why it could not be entered")
        await pilot.press("escape")
        await settled(pilot, lambda: made.app.screen is made.app.main, "the main screen")
        assert made.engine.calls == []
        assert made.app.main.table.selected() == container


async def test_it_asks_once_for_each_container(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        await pilot.press("e")
        assert isinstance(made.app.screen, EnterForm)
        await pilot.press("escape", "E")
        assert isinstance(made.app.screen, EnterForm)
