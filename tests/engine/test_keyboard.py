"""Whole sessions at the keyboard: the program in a real terminal (tmux), on a real engine."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.engine.marks import needs_cgroups
from tests.support.docker import Containers, Docker
from tests.support.screens import PROGRAM, Screen, environment, short_name

Session = Callable[[], Screen]
STARTS_SLOWLY = """
import os, signal, time
while not os.path.exists("/test/go"): time.sleep(0.01)
signal.signal(15, print)
signal.pause()
"""


@pytest.fixture(params=[(80, 24), (160, 50)], ids=["80x24", "160x50"])
def session(request: pytest.FixtureRequest, engine_host: str, tmp_path: Path) -> Iterator[Session]:
    """Returns a function that opens the UI in a separate terminal."""
    with closing(Screen(*request.param)) as screen:

        def begin() -> Screen:
            screen.run_below_shell(f"{PROGRAM} --host {engine_host}", environment(tmp_path))
            return screen

        yield begin


def test_a_signal_by_keyboard(session: Session, container: Containers, docker: Docker) -> None:
    name = container("dockerapp1", ready="pid = 1", name=short_name())
    screen = session()
    screen.filter(name)
    screen.shows("handled")
    screen.press("s")
    screen.shows("Signal to", "SIGUSR1")
    screen.press("u", "s", "r", "1")
    screen.hides("SIGHUP")  # the picker narrows
    screen.press("Enter")
    assert "SIGUSR1" in docker.says(name, "handle signal: SIGUSR1")
    screen.press("g")
    screen.shows("USR1", "its handler runs")
    assert docker.state(name) == "running"
    screen.press("q")
    screen.shows("ended with 0")
    assert "NAME" not in screen.text(), "the terminal is as it was"


def test_a_stop_by_keyboard_goes_through_both_phases(session: Session, container: Containers, docker: Docker) -> None:
    name = container("dockerapp2", options=("--stop-timeout=1",), ready="pid = 1", name=short_name())
    screen = session()
    screen.filter(name)
    screen.shows("handled")
    screen.press("x")
    screen.shows("Grace period", "SIGTERM", "SIGKILL to PID 1")
    screen.press("Enter")
    text = screen.shows("phase 1", "Did not exit on SIGTERM", "137", "phase 2")
    assert text.count("handle signal: SIGTERM") == 1, "each line of the log is shown once"
    assert docker.state(name, "State.ExitCode") == "137"
    screen.press("Escape")
    screen.shows("NAME", "STATUS")
    screen.row_shows(name, "killed")


def test_the_doctor_by_keyboard(session: Session, container: Containers, docker: Docker) -> None:
    name = container("shell-form", ready="pid = ", name=short_name())
    screen = session()
    screen.filter(name)
    screen.press("d")
    screen.shows(f"Doctor  {name}", "✗ will not exit in time: SIGKILL after 10 s · certain", "PID 1 is a shell (sh)")
    docker("kill", name)
    screen.shows("Stopped: killed (SIGKILL, 137).", "PID 1 is a shell (sh)")
    docker("start", name)
    screen.until(lambda: "Stopped: " not in screen.text() and "certain" in screen.text(), "the doctor reads it again")
    screen.press("Escape")
    screen.shows("NAME", "STATUS")  # sooner, the two keys would be one: Alt+D
    screen.press("D")
    screen.shows("all running", "by SIGKILL", "shell-in-front")
    assert docker.state(name) == "running"
    screen.press("Escape")
    screen.shows("NAME", "STATUS")


def test_a_starting_program_is_read_again(session: Session, container: Containers, bind_path: Path) -> None:
    name = container(
        "dockerapp1", "python3", "-c", STARTS_SLOWLY, options=(f"--volume={bind_path}:/test",), name=short_name()
    )
    screen = session()
    screen.row_shows(name, "TERM ⊘ discarded")
    (bind_path / "go").touch()
    screen.row_shows(name, "TERM ◆ handled")


@needs_cgroups
def test_a_pause_by_others_is_shown(session: Session, container: Containers, docker: Docker) -> None:
    name = container("dockerapp1", ready="pid = 1", name=short_name())
    screen = session()
    screen.filter(name)
    docker("pause", name)
    screen.row_shows(name, "paused")
    docker("unpause", name)
    screen.row_shows(name, "up")


def test_changes_by_others_are_shown(session: Session, container: Containers, docker: Docker) -> None:
    name = container("dockerapp1", ready="pid = 1", name=short_name())
    screen = session()
    screen.filter(name)
    docker("stop", name)
    screen.until(lambda: "exited" in screen.row(name) or "killed" in screen.row(name), "the row says how it stopped")
    screen.press("a")
    screen.until(lambda: not screen.row(name), "stopped containers are hidden")
    screen.press("a")
    screen.until(lambda: screen.row(name), "stopped containers are shown")


def test_the_list_shows_what_this_program_did(session: Session, container: Containers, docker: Docker) -> None:
    name, _ = (container("dockerapp1", ready="pid = 1", name=f"{short_name()}-{place}") for place in "ab")
    screen = session()
    screen.filter(name)
    screen.press("s")
    screen.shows("Signal to", "SIGUSR1")
    screen.press("s", "t", "o", "p")
    screen.hides("SIGUSR1")  # the picker narrows
    screen.press("Enter")
    screen.row_shows(name, "TERM … blocked")
    docker("kill", "--signal=CONT", name)
    screen.row_shows(name, "TERM ◆ handled")


def test_a_second_restart_restarts_no_other(session: Session, container: Containers, docker: Docker) -> None:
    prefix = short_name()
    names = [container("dockerapp1", ready="pid = 1", name=f"{prefix}-{place}") for place in "abc"]
    screen = session()
    screen.filter(prefix, count=3)
    screen.press("Down")
    screen.row_shows(names[1], "▌")

    def starts(*of: str) -> list[str]:
        return [docker.state(name, "State.StartedAt") for name in of]

    known = [starts(*names)]
    for _ in range(2):
        screen.press("R")
        screen.shows(f"Restart {names[1]}?")
        screen.press("y")
        screen.until(lambda: starts(names[1]) != known[-1][1:2], "it is restarted")
        screen.row_shows(names[1], "▌")
        known.append(starts(*names))
    assert len({each[1] for each in known}) == 3
    assert len({(each[0], each[2]) for each in known}) == 1

    def stops_are_shown() -> bool:
        """Presses W again: it works only after a stop was seen, and a narrow footer may not show it."""
        screen.press("W")
        return "Restart  " in screen.text()

    screen.until(stops_are_shown, "the stops are shown")
    text = screen.shows("Restart  ", "restarted")
    assert "started outside" not in text
    assert text.count("container exited with code") == 1, "each restart is a separate stop"


def test_a_container_removed_during_a_dialog(session: Session, container: Containers, docker: Docker) -> None:
    dialogs = [
        ("s", "Signal to", ["Enter"], ("Process 1 of",)),
        # The engine's event or its response to the stop, whichever came last.
        ("x", "Grace period", ["Enter"], ("Killed after", "The stop failed")),
        ("N", "Rename", ["x", "Enter"], ("Could not rename",)),
        ("Delete", "Remove", ["Tab", "Enter"], ("STATUS",)),  # it is removed, as intended, and no other container is
        ("c", "Copy a file", ["/etc/hostname", "Enter"], ("Could not copy",)),
    ]
    prefix = short_name()
    names = [container("dockerapp1", ready="pid = 1", name=f"{prefix}-{place}") for place in range(len(dialogs))]
    screen = session()
    screen.filter(prefix, count=len(names))
    for name, (key, title, keys, sentences) in zip(names, dialogs, strict=True):
        screen.row_shows(name, "▌")
        screen.press(key)
        screen.shows(title)
        docker("rm", "--force", name)
        for one in keys:
            screen.type(one) if one.startswith("/") else screen.press(one)
        screen.shows_any(sentences)
        if "STATUS" not in screen.text():
            screen.press("Escape")
            screen.shows("STATUS")
        screen.hides(title)  # the list is behind a small dialog, too
        if name != names[-1]:
            screen.row_shows(name, "removed", "▌")
            screen.press("Down")
    screen.until(lambda: not screen.row(names[-1]), "the last one has left the table")
