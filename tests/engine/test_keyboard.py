"""Whole sessions at the keyboard: the program in a real terminal (tmux), on a real engine."""

import os
import re
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.docker import Containers, Docker, eventually
from tests.support.terminal import Terminal

Session = Callable[..., "Seen"]


def short_name() -> str:
    """Returns a name short enough for the narrowest table."""
    return f"key-{uuid.uuid4().hex[:6]}"


class Seen:
    """A running program: its screen and its keyboard."""

    def __init__(self, terminal: Terminal, name: str) -> None:
        self.terminal = terminal
        self.name = name

    def text(self) -> str:
        return "\n".join(self.terminal.screen())

    def shows(self, *texts: str, within_s: float = 10.0) -> str:
        """Waits until the screen shows all the texts, and returns it."""
        try:
            return eventually(lambda: seen if all(text in (seen := self.text()) for text in texts) else "", str(texts),
                              within_s)  # fmt: skip
        except AssertionError as error:
            raise AssertionError(f"{error}; the screen:\n{self.text()}") from error

    def shows_any(self, texts: Sequence[str]) -> None:
        eventually(lambda: any(text in self.text() for text in texts), f"one of {texts}")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.terminal.press(key)

    def row(self) -> str:
        """Returns the line of the container in the table."""
        here = re.compile(rf"\S +{self.name}\b")  # behind a glyph, so it isn't the filter's line
        return next((line for line in self.terminal.screen() if here.search(line)), "")

    def select(self) -> None:
        """Filters the table to the container."""
        # The forecasts come after the first frame: from then on the keyboard is read.
        eventually(lambda: "TERM ◆" in self.row() or "TERM ⊘" in self.row(), f"the forecast for {self.name}")
        self.press("/")
        self.terminal.press(f"-l {self.name}")
        self.press("Enter")
        eventually(lambda: "●" in self.row() and self.text().count("●") == 1, f"{self.name} alone is listed")


@pytest.fixture(params=[(80, 24), (160, 50)], ids=["80x24", "160x50"])
def session(request: pytest.FixtureRequest, engine_host: str, tmp_path: Path) -> Iterator[Session]:
    """Returns a function that opens the program on one container's row, in a separate terminal."""
    terminal = Terminal(*request.param)
    program = str(Path(sys.executable).with_name("containerlab-tui"))

    def open_on(name: str) -> Seen:
        environment = {
            "PATH": os.environ["PATH"],
            "TERM": "tmux-256color",
            "LANG": "C.UTF-8",
            "HOME": str(tmp_path),
            "XDG_STATE_HOME": str(tmp_path),
        }
        terminal.run(f"sh -c '{program} --host {engine_host}; echo ended with $?; exec sleep 60'", environment)
        return Seen(terminal, name)

    yield open_on
    terminal.close()


def test_a_signal_by_keyboard(session: Session, container: Containers, docker: Docker) -> None:
    name = container("dockerapp1", ready="pid = 1", name=short_name())
    seen = session(name)
    seen.select()
    seen.shows("handled")
    seen.press("s")
    seen.shows("Signal to", "SIGUSR1")
    seen.press("u", "s", "r", "1")
    eventually(lambda: "SIGHUP" not in seen.text(), "the picker narrows")
    seen.press("Enter")
    assert "SIGUSR1" in docker.says(name, "handle signal: SIGUSR1")
    seen.press("g")
    seen.shows("USR1", "its handler runs")
    assert docker.state(name) == "running"
    seen.press("q")
    seen.shows("ended with 0")
    assert "NAME" not in seen.text(), "the terminal is as it was"


def test_a_stop_by_keyboard_goes_through_both_phases(session: Session, container: Containers, docker: Docker) -> None:
    name = container("dockerapp2", options=("--stop-timeout=1",), ready="pid = 1", name=short_name())
    seen = session(name)
    seen.select()
    seen.shows("handled")
    seen.press("x")
    seen.shows("Grace period", "SIGTERM", "SIGKILL to PID 1")
    seen.press("Enter")
    text = seen.shows("phase 1", "Did not exit on SIGTERM", "137", "phase 2")
    assert text.count("handle signal: SIGTERM") == 1, "each line of the log is shown once"
    assert docker.state(name, "State.ExitCode") == "137"
    seen.press("Escape")
    seen.shows("NAME", "STATUS")
    eventually(lambda: "killed" in seen.row(), "the row says how it stopped")


def test_the_doctor_by_keyboard(session: Session, container: Containers, docker: Docker) -> None:
    name = container("shell-form", ready="pid = ", name=short_name())
    seen = session(name)
    seen.select()
    seen.press("d")
    seen.shows(f"Doctor  {name}", "✗ will not exit in time: SIGKILL after 10 s · certain", "PID 1 is a shell (sh)")
    docker("kill", name)
    seen.shows("Stopped: killed (SIGKILL, 137).", "PID 1 is a shell (sh)")
    docker("start", name)
    eventually(lambda: "Stopped: " not in seen.text() and "certain" in seen.text(), "the doctor reads it again")
    seen.press("Escape")
    seen.shows("NAME", "STATUS")  # sooner, the two keys would be one: Alt+D
    seen.press("D")
    seen.shows("all running", "by SIGKILL", "shell-in-front")
    assert docker.state(name) == "running"
    seen.press("Escape")
    seen.shows("NAME", "STATUS")


def test_a_starting_program_is_read_again(session: Session, container: Containers) -> None:
    code = "import signal, time; time.sleep(6); signal.signal(15, print); signal.pause()"
    seen = session(container("dockerapp1", "python3", "-c", code, name=short_name()))
    eventually(lambda: "TERM ⊘ discarded" in seen.row(), "nothing handles it yet")
    eventually(lambda: "TERM ◆ handled" in seen.row(), "now something does", within_s=20)


def test_changes_by_others_are_shown(session: Session, container: Containers, docker: Docker) -> None:
    name = container("dockerapp1", ready="pid = 1", name=short_name())
    seen = session(name)
    seen.select()
    docker("pause", name)
    eventually(lambda: "paused" in seen.row(), "the pause is seen")
    docker("unpause", name)
    eventually(lambda: "up" in seen.row(), "it resumes")
    docker("stop", name)
    eventually(lambda: "exited" in seen.row() or "killed" in seen.row(), "the row says how it stopped")
    seen.press("a")
    eventually(lambda: not seen.row(), "stopped containers are hidden")
    seen.press("a")
    eventually(seen.row, "stopped containers are shown")


def test_the_list_shows_what_this_program_did(session: Session, container: Containers, docker: Docker) -> None:
    names = [container("dockerapp1", ready="pid = 1", name=f"{short_name()}-{place}") for place in "ab"]
    seen = session(names[0])
    seen.select()
    seen.press("s")
    seen.shows("Signal to", "SIGUSR1")
    seen.press("s", "t", "o", "p")
    eventually(lambda: "SIGUSR1" not in seen.text(), "the picker narrows")
    seen.press("Enter")
    eventually(lambda: "TERM … blocked" in seen.row(), "the list shows that it is suspended")
    docker("kill", "--signal=CONT", names[0])
    eventually(lambda: "TERM ◆ handled" in seen.row(), "the list shows that it was resumed")


def test_a_second_restart_restarts_no_other(session: Session, container: Containers, docker: Docker) -> None:
    prefix = short_name()
    names = [container("dockerapp1", ready="pid = 1", name=f"{prefix}-{place}") for place in "abc"]
    seen = session(names[1])
    eventually(lambda: "TERM ◆" in seen.row(), "the forecast", within_s=60)
    seen.press("/")
    seen.terminal.press(f"-l {prefix}")
    seen.press("Enter", "Down")
    eventually(lambda: "▌" in seen.row() and seen.text().count("●") == 3, "the second is selected")

    def starts(*of: str) -> list[str]:
        return [docker.state(name, "State.StartedAt") for name in of]

    known = [starts(*names)]
    for _ in range(2):
        seen.press("R")
        seen.shows(f"Restart {names[1]}?")
        seen.press("y")
        eventually(lambda: starts(names[1]) != known[-1][1:2], "it is restarted")
        eventually(lambda: "▌" in seen.row(), "the cursor is on it")
        known.append(starts(*names))
    assert len({each[1] for each in known}) == 3
    assert len({(each[0], each[2]) for each in known}) == 1
    seen.press("W")
    seen.shows("Restart  ")
    assert "started outside" not in seen.text()


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
    seen = session(names[0])
    eventually(lambda: "TERM ◆" in seen.row(), "the forecast")
    seen.press("/")
    seen.terminal.press(f"-l {prefix}")
    seen.press("Enter")
    eventually(lambda: seen.text().count("●") == len(names), "they alone are listed")
    for name, (key, title, keys, sentences) in zip(names, dialogs, strict=True):
        seen.name = name
        eventually(lambda: "▌" in seen.row(), f"{name} is selected")
        seen.press(key)
        seen.shows(title)
        docker("rm", "--force", name)
        for one in keys:
            seen.press(one) if len(one) < 8 else seen.terminal.press(f"-l {one}")
        seen.shows_any(sentences)
        if "STATUS" not in seen.text():
            seen.press("Escape")
            seen.shows("STATUS")
        if name != names[-1]:
            eventually(lambda: "removed" in seen.row() and "▌" in seen.row(), "the cursor stays on it")
            seen.press("Down")
    eventually(lambda: not seen.row(), "the last one has left the table")
