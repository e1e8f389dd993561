"""Tests of the helpers of the screen tests."""

import asyncio

import pytest
from textual.app import App, ComposeResult
from textual.screen import Screen
from textual.widgets import Label

from tests.ui.samples import Host, settled, text_of


class SlowScreen(Screen[None]):
    """Has no widgets before the test permits it."""

    def __init__(self) -> None:
        super().__init__()
        self.permitted = asyncio.Event()

    def compose(self) -> ComposeResult:
        yield Label("here at last")

    async def _compose(self) -> None:
        await self.permitted.wait()
        await super()._compose()


async def test_a_screen_that_is_being_mounted_is_not_read() -> None:
    app, screen = App[None](), SlowScreen()
    async with app.run_test(size=(40, 5)) as pilot:
        app.push_screen(screen)
        assert app.screen is screen
        asyncio.get_running_loop().call_later(0.05, screen.permitted.set)
        with pytest.raises(AssertionError, match="still being mounted"):
            text_of(app)
        await settled(pilot, lambda: "nothing" not in text_of(app), "any text")
        assert "here at last" in text_of(app)


async def test_a_host_begins_with_its_screen_mounted() -> None:
    screen = SlowScreen()
    asyncio.get_running_loop().call_later(0.05, screen.permitted.set)
    async with Host(screen).run_test(size=(40, 5)) as pilot:
        assert screen.is_mounted
        await pilot.pause()
        assert "here at last" in text_of(pilot.app)
