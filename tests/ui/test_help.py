"""Help: every screen's keys and signs."""

import importlib
import inspect
import pkgutil

import pytest
from textual.screen import ModalScreen, Screen

from containerlab_tui.session.actions import of
from containerlab_tui.ui import screens
from containerlab_tui.ui.screens.help import HelpScreen
from tests.ui.samples import Host, settled, text_of


def full_screens() -> list[type[Screen[None]]]:
    """Returns the classes of all screens that are not dialogs."""
    modules = [
        importlib.import_module(f"{screens.__name__}.{one.name}") for one in pkgutil.iter_modules(screens.__path__)
    ]
    return [
        cls
        for module in modules
        for _, cls in inspect.getmembers(module, inspect.isclass)
        if cls.__module__ == module.__name__ and issubclass(cls, Screen) and not issubclass(cls, ModalScreen)
        if not cls.__subclasses__()
    ]


def test_the_screens_are_found() -> None:
    assert len(full_screens()) >= 6


@pytest.mark.parametrize("screen", full_screens(), ids=lambda cls: cls.__name__)
async def test_help_lists_each_key_and_the_signs_of_the_screen(screen: type[Screen[None]]) -> None:
    about = screen.__new__(screen)  # help reads the class alone
    app = Host(HelpScreen(about, {}))
    own = of(screen.SCOPE)  # type: ignore[attr-defined]  # each of them has it; one without fails here
    assert {"app.help"} < {action.id for action in own}
    async with app.run_test(size=(140, 140)) as pilot:
        await settled(pilot, lambda: "Everywhere" in text_of(app), "help")
        shown = text_of(app)
        assert [action.id for action in own if action.id not in shown] == []
        assert ("Effect of a signal" in shown) is (screen.__name__ == "MainScreen")
