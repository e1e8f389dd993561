"""The engine killed under the running UI, over each of its screens in turn: right again soon after it is back.

`KILLS=100 pytest -s tests/engine/test_killed_engine.py` kills it 100 times and prints the figures.
"""

import os
import re
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from containerlab_tui.engine.api import RunRequest
from containerlab_tui.engine.docker_engine import DockerEngine, connect
from containerlab_tui.lab import daemon
from tests.support.docker import eventually
from tests.support.terminal import Terminal

IMAGE = "containerlab/scratch-static:latest"
SCREENS = {
    "doctor": "d",
    "log": "l",
    "signal watch": "w",
    "stop dialog": "x",
    "processes": "p",
    "signals": "g",
    "IPC": "i",
    "files": "f",
    "inspect": "y",
    "doctor table": "D",
    "help": "?",
    "signal dialog": "s",
    "run dialog": "n",
    "rename dialog": "N",
    "copy dialog": "c",
    "restart question": "R",
    "filter": "/",
    "palette": "C-p",
}
"""The key that opens each screen, tab and dialog from the main screen."""
LOST = "Lost the engine"
WITHIN_S = 60.0
UP = re.compile(r"\bup\b")


@dataclass(frozen=True, slots=True)
class Return:
    """What one kill was like."""

    screen: str
    right_after_s: float
    """From the first answer of the new engine until the list agrees with it."""


def kill(places: daemon.Places) -> None:
    """Kills the engine with SIGKILL and waits for its exit."""
    with daemon.found(places) as running:
        assert running is not None
        signal.pidfd_send_signal(running.pidfd, signal.SIGKILL)
        assert running.ended(WITHIN_S)


class Killed:
    """The UI on an engine that is killed again and again, with a container that is started again and one that isn't."""

    def __init__(self, places: daemon.Places, terminal: Terminal, home: Path) -> None:
        self._places, self._terminal = places, terminal
        self._host = f"unix://{places.socket}"
        engine = connect(self._host)
        self._container = engine.run(RunRequest(IMAGE, ("/sleep", "100000"), name="returns", stop_timeout_s=1))
        engine.run(RunRequest(IMAGE, ("/sleep", "100000"), name="stays", stop_timeout_s=1))
        engine.close()
        program = str(Path(sys.executable).with_name("containerlab-tui"))
        environment = {"PATH": os.environ["PATH"], "TERM": "tmux-256color", "LANG": "C.UTF-8", "HOME": str(home)}
        terminal.run(f"{program} --host {self._host}", environment | {"XDG_STATE_HOME": str(home)})
        self._until(lambda: self._is_right(engine) and "discarded" in self._text(), "the UI is ready")

    def _text(self) -> str:
        return "\n".join(self._terminal.screen())

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        eventually(condition, f"{what} on:\n{self._text()}", WITHIN_S)

    def _is_right(self, engine: DockerEngine) -> bool:
        """Returns whether the list shows what the engine says, and no banner."""
        lines = self._terminal.screen()
        if any(LOST in line for line in lines) or not any("NAME" in line for line in lines):
            return False
        rows = {name: line for line in lines for name in ("returns", "stays") if f" {name} " in line}
        return all(
            (UP.search(rows.get(one.name, "")) is not None) == (one.state == "running") for one in engine.containers()
        )

    def rounds(self, count: int) -> Iterator[Return]:
        """Kills the engine that many times, each time over the next screen."""
        for number in range(count):
            screen = list(SCREENS)[number % len(SCREENS)]
            yield Return(screen, self._round(SCREENS[screen]))
            assert self._terminal.ask("display-message -p -t program '#{pane_dead}'") == ["0"], "it still runs"

    def _round(self, key: str) -> float:
        before = self._text()
        self._terminal.press(key)
        eventually(lambda: self._text() != before or key == "p", "the screen opens", WITHIN_S)
        kill(self._places)
        for _ in range(3):
            self._terminal.press("Escape")
        self._until(lambda: LOST in self._text(), "the loss is shown")
        if key != "p":
            self._terminal.press(key)  # the engine returns under this screen
        daemon.ensure(self._places)
        returned = time.monotonic()
        for _ in range(3):
            self._terminal.press("Escape")
        engine = connect(self._host)
        try:
            self._until(lambda: self._is_right(engine), "the list is right")
            took_s = time.monotonic() - returned
            engine.start(self._container)
            self._until(lambda: self._is_right(engine), "the container is up again")
        finally:
            engine.close()
        return took_s


def test_the_screens_are_right_soon_after_a_killed_engine_is_back(own_daemon: daemon.Places, tmp_path: Path) -> None:
    count = int(os.environ.get("KILLS", "4"))
    terminal = Terminal(140, 45)
    took = list[Return]()
    try:
        for one in Killed(own_daemon, terminal, tmp_path).rounds(count):
            took.append(one)
            print(f"{len(took):3} {one.screen:20} {one.right_after_s:.3f} s", flush=True)
    finally:
        terminal.close()
    seconds = [one.right_after_s for one in took]
    late = sum(one > 1 for one in seconds)
    print(
        f"{count} kills: median {statistics.median(seconds):.3f} s, worst {max(seconds):.3f} s, {late} above 1 s;"
        f" load {os.getloadavg()[0]:.1f}"
    )
    assert statistics.median(seconds) < 1
