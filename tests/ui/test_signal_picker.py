"""The signal picker: narrowing, forecasts for this target, targets, and the warning before a fatal choice."""

from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.pilot import Pilot

from containerlab_probes.signals.names import all_signals
from containerlab_tui.services.signals import Target
from containerlab_tui.ui.dialogs.signal import SignalChoice, SignalPicker, SignalSubject, matching
from tests.ui.samples import APP, HANDLER, HOSTILE, SHELL, SIZES, WORKER, Host, process, text_of

TREE = (SHELL, APP, WORKER)


def of_init() -> SignalPicker:
    return SignalPicker([SignalSubject("id", "shell-form", TREE)])


def of_app() -> SignalPicker:
    return SignalPicker([SignalSubject("id", "shell-form", TREE, APP.id)])


def of_two() -> SignalPicker:
    subjects = [SignalSubject("a", "shell-form", TREE), SignalSubject("b", "dockerapp2", (HANDLER,))]
    return SignalPicker(subjects, about=("shell-form, dockerapp2 (hidden)", "1 of them is hidden by the filter."))


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("usr1", 10),
        ("SIGUSR1", 10),
        ("term", 15),
        ("9", 9),
        ("1", 1),
        ("rtmin+3", 37),
        ("RTMIN", 34),
        ("kil", 9),
        ("ch", 17),
        ("winc", 28),
    ],
)
def test_the_best_match_comes_first(typed: str, first: int) -> None:
    assert matching(typed)[0] == first


def test_an_empty_filter_lists_all_signals() -> None:
    assert tuple(matching("")) == all_signals()
    assert len(matching("")) >= 62
    assert matching("nosuch") == []


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("make", [of_init, of_app, of_two])
async def test_snapshot(make: object, size: tuple[int, int], snapshot: SnapshotAssertion) -> None:
    assert callable(make)
    app = Host(make())
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        assert text_of(app) == snapshot


async def choose(picker: SignalPicker, *keys: str) -> object:
    app = Host(picker)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*keys)
        await pilot.pause()
        return app.answers[0] if app.answers else "nothing yet"


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (["enter"], SignalChoice(15, Target.PROCESS)),
        ([*"usr1", "enter"], SignalChoice(10, Target.PROCESS)),
        ([*"usr", "down", "enter"], SignalChoice(12, Target.PROCESS)),
        ([*"34", "enter"], SignalChoice(34, Target.PROCESS)),
        (["tab", "enter"], SignalChoice(15, Target.CHILDREN)),
        (["tab", "tab", *"hup", "enter"], SignalChoice(1, Target.TREE)),
        (["shift+tab", "enter"], SignalChoice(15, Target.PROCESS, init=True)),
        (["up", "enter"], SignalChoice(14, Target.PROCESS)),
        (["pageup", "pageup", "enter"], SignalChoice(1, Target.PROCESS)),
        (["escape"], None),
        ([*"nosuch", "enter"], "nothing yet"),
    ],
)
async def test_keys(keys: list[str], answer: object) -> None:
    assert await choose(of_app(), *keys) == answer


async def test_the_stop_signal_is_selected_first() -> None:
    assert await choose(SignalPicker([SignalSubject("id", "x", TREE)], signal=3), "enter") == SignalChoice(
        3, Target.PROCESS, init=True
    )


async def warned(picker: SignalPicker, *keys: str) -> tuple[str, bool]:
    app = Host(picker)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*keys)
        await pilot.pause()
        return text_of(app), app.screen.query_one("#box").has_class("danger")


async def test_a_fatal_signal_to_pid_1_is_announced() -> None:
    text, danger = await warned(of_init(), *"kill")
    assert "† SIGKILL terminates PID 1, which stops the container shell-form." in text
    assert danger
    text, danger = await warned(of_app(), *"kill")
    assert "† SIGKILL can't be handled" in text
    assert danger
    text, danger = await warned(of_app(), *"usr1")
    assert "†" not in text
    assert not danger


async def test_effects_are_those_on_the_target() -> None:
    text, _ = await warned(of_app(), *"term")
    assert "15  SIGTERM     ◆ handled: the program decides" in text
    text, _ = await warned(of_app(), "tab", *"term")
    assert "15  SIGTERM     † default action: terminates the process" in text
    text, _ = await warned(of_app(), "tab", "tab", *"term")
    assert "15  SIGTERM     † 1 handled, 1 exits" in text
    text, _ = await warned(of_app(), "shift+tab", *"term")
    assert "15  SIGTERM     ⊘ discarded: PID 1 has no handler" in text


async def test_unreadable_processes_have_no_predicted_effect() -> None:
    picker = SignalPicker([SignalSubject("id", "far", (), None, "its processes run on another machine")])
    text, _ = await warned(picker, *"term")
    assert "? unknown: the process can't be seen" in text
    assert "effect unknown: its processes run on another machine" in text


async def test_an_exited_process_is_not_replaced_by_another() -> None:
    gone = process(99, "gone")
    app = Host(SignalPicker([SignalSubject("id", "x", TREE, gone.id)]))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.pause()
        await pilot.pause()
        assert app.answers == [None]
        assert [note.message for note in app._notifications] == ["The selected process has exited."]


async def test_hostile_names_are_only_text() -> None:
    hostile = process(1, HOSTILE)
    text, _ = await warned(SignalPicker([SignalSubject("id", HOSTILE, (hostile,))]), *"kill")
    assert "\x1b" not in text
    assert r"x[/]\x1b]0;owned\x07[@click=app.bell]" in text


async def test_a_click_sends_too() -> None:
    app = Host(of_app())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*"usr")
        await click(pilot, "SIGUSR2")
        assert app.answers == [SignalChoice(12, Target.PROCESS)]


async def click(pilot: Pilot[Any], words: str) -> None:
    lines = text_of(pilot.app).split("\n")
    row = next(number for number, line in enumerate(lines) if words in line)
    await pilot.click(offset=(lines[row].index(words), row))
    await pilot.pause()
