"""The terminal after the ends and suspensions of the whole program; `tests/ui/test_driver.py` has every signal."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.docker import Containers
from tests.support.screens import PROGRAM, environment
from tests.support.shell_terminal import RESTORED, TAKEN, ShellTerminal, state


@pytest.fixture
def place() -> Iterator[ShellTerminal]:
    with closing(ShellTerminal()) as made:
        yield made


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_the_program_restores_the_terminal(
    place: ShellTerminal, container: Containers, engine_host: str, tmp_path: Path, number: signal.Signals
) -> None:
    name = container("dockerapp1", ready="pid = 1")
    place.run_below_shell(f"{PROGRAM} --host {engine_host}", environment(tmp_path))
    place.shows(name[:12])
    assert place.modes() == TAKEN
    os.kill(place.child(), number)
    place.shows(f"ended with {128 + number}")
    assert place.modes() == RESTORED
    assert name[:12] not in place.text()


def test_ctrl_z_suspends_and_fg_resumes(
    place: ShellTerminal, container: Containers, engine_host: str, tmp_path: Path
) -> None:
    name = container("dockerapp1", ready="pid = 1")
    place.run_shell(environment(tmp_path))
    before = place.settings()
    place.enter(f"{PROGRAM} --host {engine_host}")
    place.shows(name[:12])
    pid = place.child()
    for _ in range(2):
        place.press("C-z")
        place.shows("Stopped")
        assert state(pid) == "T"
        assert (place.modes(), place.settings()) == (RESTORED, before)
        place.enter("clear; fg")
        place.until(lambda: place.modes() == TAKEN and name[:12] in place.text(), "the UI is back")
    place.press("q")
    place.until(lambda: (place.modes(), place.settings()) == (RESTORED, before), "the terminal is restored")
