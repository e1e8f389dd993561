"""What keys do while a dialog needs something that is being read."""

import threading
from collections.abc import Callable

import pytest

from containerlab_probes.errors import Gone
from containerlab_tui.model.inventory import Details
from containerlab_tui.ui.dialogs.copy import CopyForm
from containerlab_tui.ui.dialogs.opening import Opening
from containerlab_tui.ui.dialogs.signal import SignalPicker
from containerlab_tui.ui.dialogs.stop import StopDialog
from tests.ui.conftest import Stage
from tests.ui.samples import settled, text_of

KEYS = {"x": StopDialog, "s": SignalPicker, "c": CopyForm}


class SlowEngine:
    """Delays each inspection of a scripted engine until the test goes on."""

    def __init__(self, made: Stage, monkeypatch: pytest.MonkeyPatch, gone: bool = False) -> None:
        self._inspect, self._gone = made.engine.inspect, gone
        self.go_on = threading.Event()
        monkeypatch.setattr(made.engine, "inspect", self.inspect)

    def inspect(self, container: str) -> Details:
        assert self.go_on.wait(60)
        if self._gone:
            raise Gone("It has exited.")
        return self._inspect(container)


@pytest.mark.parametrize("key", KEYS)
async def test_keys_typed_before_a_dialog_reach_neither_it_nor_the_screen(
    key: str, stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Enter would confirm the stop in a dialog that nobody has seen."""
    made = stage()
    async with made.app.run_test(size=(100, 30)) as pilot:
        await made.ready(pilot)
        selected, slow = made.app.main.table.selected(), SlowEngine(made, monkeypatch)
        await pilot.press(key, "enter", "down", "R", "x", "slash", "enter")
        await settled(pilot, lambda: "Reading" in text_of(made.app), "it says what it does")
        assert not made.app.main.has_class("-zoomed")
        slow.go_on.set()
        await settled(pilot, lambda: isinstance(made.app.screen, KEYS[key]), "the dialog")
        assert made.app.main.table.selected() == selected
        assert made.engine.calls == []


@pytest.mark.parametrize("gone", [False, True], ids=["cancelled", "failed"])
async def test_no_dialog_opens_after_escape_or_an_error(
    gone: bool, stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = stage()
    async with made.app.run_test(size=(100, 30), notifications=True) as pilot:
        await made.ready(pilot)
        slow = SlowEngine(made, monkeypatch, gone)
        await pilot.press("x")
        assert isinstance(made.app.screen, Opening)
        if not gone:
            await pilot.press("escape")
        slow.go_on.set()
        await settled(pilot, lambda: made.app.screen is made.app.main, "the main screen")
        if gone:
            await settled(pilot, lambda: "It has exited." in text_of(made.app), "the reason")
        else:
            await pilot.press("s")
            await settled(pilot, lambda: isinstance(made.app.screen, SignalPicker), "a later key, and no earlier one")
            assert len(made.app.screen_stack) == 2


async def test_a_screen_opened_above_does_not_keep_it(
    stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = stage()
    async with made.app.run_test(size=(100, 30)) as pilot:
        await made.ready(pilot)
        slow = SlowEngine(made, monkeypatch)
        await pilot.press("x", "ctrl+p")
        await settled(pilot, lambda: not isinstance(made.app.screen, Opening), "the palette")
        slow.go_on.set()
        opening = made.app.screen_stack[1]
        assert isinstance(opening, Opening)
        await settled(pilot, lambda: opening._next is not None, "the answer")
        await pilot.press("escape")
        await settled(pilot, lambda: isinstance(made.app.screen, StopDialog), "the dialog")
