"""The terminal after the ends and suspensions of the whole program; `tests/ui/test_driver.py` has every signal."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.docker import Containers, eventually
from tests.support.shell_terminal import RESTORED, TAKEN, ShellTerminal, state

PROGRAM = str(Path(sys.executable).with_name("containerlab-tui"))


@pytest.fixture
def place() -> Iterator[ShellTerminal]:
    made = ShellTerminal()
    yield made
    made.close()


def environment(home: Path) -> dict[str, str]:
    return {"HOME": str(home), "XDG_STATE_HOME": str(home)}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_the_program_restores_the_terminal(
    place: ShellTerminal, container: Containers, engine_host: str, tmp_path: Path, number: signal.Signals
) -> None:
    name = container("dockerapp1", ready="pid = 1")
    place.run(f"{PROGRAM} --host {engine_host}", environment(tmp_path))
    place.shows(name[:12])
    assert place.modes() == TAKEN
    os.kill(place.pid(), number)
    place.shows(f"ended with {128 + number}")
    assert place.modes() == RESTORED
    assert name[:12] not in place.text()


def test_ctrl_z_suspends_and_fg_resumes(
    place: ShellTerminal, container: Containers, engine_host: str, tmp_path: Path
) -> None:
    name = container("dockerapp1", ready="pid = 1")
    place.run_shell(environment(tmp_path))
    before = place.settings()
    place.type(f"{PROGRAM} --host {engine_host}")
    place.shows(name[:12])
    pid = place.pid()
    for _ in range(2):
        place.terminal.press("C-z")
        place.shows("Stopped")
        assert state(pid) == "T"
        assert (place.modes(), place.settings()) == (RESTORED, before)
        place.type("clear; fg")
        eventually(lambda: place.modes() == TAKEN and name[:12] in place.text(), "the UI is back")
    place.terminal.press("q")
    eventually(lambda: (place.modes(), place.settings()) == (RESTORED, before), "the terminal is restored")
