"""The engine killed under the running UI, over each of its screens in turn: right again soon after it is back.

`KILLS=100 pytest -s tests/engine/test_killed_engine.py` kills it 100 times and prints the figures.
"""

import os
import re
import signal
import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from containerlab_tui.engine.api import RunRequest
from containerlab_tui.engine.connection import connect
from containerlab_tui.engine.docker_engine import DockerEngine
from containerlab_tui.lab import daemon
from tests.engine.marks import starts_a_daemon
from tests.support.screens import LONG_S, PROGRAM, Screen, environment

IMAGE = "containerlab/scratch-static:latest"
SCREENS = {
    "stops": "W",
    "removal question": "Delete",
    "enter dialog": "e",
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
        assert running.ended(LONG_S)


class Killed:
    """The UI on an engine that is killed again and again, with a container that is started again and one that isn't."""

    def __init__(self, places: daemon.Places, screen: Screen, home: Path) -> None:
        self._places, self._screen = places, screen
        self._host = f"unix://{places.socket}"
        engine = connect(self._host)
        self._container = engine.run(RunRequest(IMAGE, ("/sleep", "100000"), name="returns", stop_timeout_s=1))
        engine.run(RunRequest(IMAGE, ("/sleep", "100000"), name="stays", stop_timeout_s=1))
        engine.close()
        screen.run(f"{PROGRAM} --host {self._host}", environment(home))
        screen.until(lambda: self._is_right(engine) and "discarded" in screen.text(), "the UI is ready")
        engine.restart(self._container)  # without a stop there is no screen of stops
        screen.until(lambda: self._is_right(engine) and "stopping" not in screen.text(), "it has seen a stop")

    def _is_right(self, engine: DockerEngine) -> bool:
        """Returns whether the list shows what the engine says, and no banner."""
        lines = self._screen.text().splitlines()
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
            assert not self._screen.has_ended

    def _round(self, key: str) -> float:
        screen = self._screen
        before = screen.text()
        screen.press(key)
        screen.until(lambda: screen.text() != before or key == "p", "the screen opens")
        kill(self._places)
        screen.press(*["Escape"] * 3)
        screen.shows(LOST)
        if key != "p":
            screen.press(key)  # the engine returns under this screen
        daemon.ensure(self._places)
        returned = time.monotonic()
        screen.press(*["Escape"] * 3)
        engine = connect(self._host)
        try:
            screen.until(lambda: self._is_right(engine), "the list is right")
            took_s = time.monotonic() - returned
            engine.start(self._container)
            screen.until(lambda: self._is_right(engine), "the container is up again")
        finally:
            engine.close()
        return took_s


@starts_a_daemon
def test_the_screens_are_right_soon_after_a_killed_engine_is_back(own_daemon: daemon.Places, tmp_path: Path) -> None:
    count = int(os.environ.get("KILLS", "4"))
    took = list[Return]()
    with closing(Screen(140, 45)) as screen:
        for one in Killed(own_daemon, screen, tmp_path).rounds(count):
            took.append(one)
            print(f"{len(took):3} {one.screen:20} {one.right_after_s:.3f} s", flush=True)
    seconds = [one.right_after_s for one in took]
    late = sum(one > 1 for one in seconds)
    print(
        f"{count} kills: median {statistics.median(seconds):.3f} s, worst {max(seconds):.3f} s, {late} above 1 s;"
        f" load {os.getloadavg()[0]:.1f}"
    )
    assert statistics.median(seconds) < 1
