"""The terminal after each way in which a UI ends or is suspended, in a real terminal (tmux)."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from containerlab_tui.ui.driver import ENDING
from tests.support.screens import environment
from tests.support.shell_terminal import RESTORED, TAKEN, ShellTerminal, state

COMMAND = f"{sys.executable} -m tests.ui.driver_side"
ENVIRONMENT = environment(Path("/nonexistent"))
IN_BACKGROUND = "bg; until [[ $(jobs -s) ]]; do :; done; fg"
"""Resumes it there, where taking the terminal suspends it again; then resumes it in front."""


@pytest.fixture
def place() -> Iterator[ShellTerminal]:
    with closing(ShellTerminal()) as made:
        yield made


def begin(place: ShellTerminal) -> str:
    """Starts the small UI; returns the line settings to which the terminal has to come back."""
    place.run_below_shell(f"stty sane; echo ready; read -r _; {COMMAND}", ENVIRONMENT)
    place.shows("ready")
    before = place.settings()
    place.press("Enter")
    place.shows("the UI is here")
    place.until(lambda: place.modes() == TAKEN, "the UI has the terminal")
    return before


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_that_ends_the_process_restores_the_terminal(place: ShellTerminal, number: signal.Signals) -> None:
    before = begin(place)
    os.kill(place.child(), number)
    place.shows(f"ended with {128 + number}")
    assert (place.modes(), place.settings()) == (RESTORED, before)


def test_a_ui_that_does_not_respond_ends_as_well(place: ShellTerminal) -> None:
    before = begin(place)
    place.press("h")
    os.kill(place.child(), signal.SIGTERM)
    place.shows("ended with 143")
    assert (place.modes(), place.settings()) == (RESTORED, before)


def test_while_the_terminal_is_lent_the_session_unwinds(place: ShellTerminal) -> None:
    before = begin(place)
    place.press("l")
    place.shows("lent now")
    os.kill(place.child(), signal.SIGTERM)
    place.shows("ended with 143")
    assert "taken back" in place.text()
    assert "Traceback" not in place.text()
    assert (place.modes(), place.settings()) == (RESTORED, before)


def test_without_a_shell_to_resume_it_the_process_is_not_suspended(place: ShellTerminal) -> None:
    begin(place)
    for number in range(2):
        os.kill(place.child(), signal.SIGTSTP)
        place.shows(f"the UI is here, resumed {number + 1}")
        assert place.modes() == TAKEN
    assert state(place.child()) != "T"
    place.press("q")
    place.shows("ended with 0")


def test_suspended_and_resumed_by_a_shell(place: ShellTerminal) -> None:
    place.run_shell(ENVIRONMENT)
    before = place.settings()
    place.enter(COMMAND)
    place.shows("the UI is here")
    for number, action in ((signal.SIGTSTP, "fg"), (signal.SIGSTOP, "fg"), (signal.SIGTSTP, IN_BACKGROUND)):
        pid = place.child()
        os.kill(pid, number)
        place.shows("Stopped")
        assert state(pid) == "T"
        if number == signal.SIGTSTP:
            assert (place.modes(), place.settings()) == (RESTORED, before)
        place.enter(f"clear; {action}")
        place.until(lambda: "Stopped" not in place.text(), "the shell's text is cleared")
        place.shows("the UI is here")
        place.until(lambda: place.modes() == TAKEN, "the UI has the terminal")
        assert state(pid) != "T"
    place.press("q")
    place.until(lambda: (place.modes(), place.settings()) == (RESTORED, before), "the terminal is restored")
