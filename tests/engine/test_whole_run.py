"""One run through the screens and the commands, the same on each engine: what is right here works there."""

import shlex

from tests.engine.commands_support import Command
from tests.support.docker import Containers, Docker
from tests.support.screens import OpenUi, short_name

HOLDS = """
import ctypes, mmap, signal
ctypes.CDLL(None).shmget(4711, 4096, 0o1666)
with open("/srv/data", "w+b") as file:
    file.truncate(4096)
    mapped = mmap.mmap(file.fileno(), 4096)
print("ready", flush=True)
signal.pause()
"""
"""A segment and a mapped file."""


def test_from_the_list_to_the_reason_of_the_end(
    open_ui: OpenUi, container: Containers, docker: Docker, command: Command
) -> None:
    """The program is below a shell, so no stop signal reaches it."""
    line = f"python3 -c {shlex.quote(HOLDS)}; true"
    name = container("base", "sh", "-c", line, options=("--stop-timeout=1",), ready="ready", name=short_name())
    screen = open_ui(120, 40)
    screen.filter(name)
    screen.row_shows(name, "TERM ⊘ discarded", "1s")
    screen.press("p")
    screen.shows("PROCESS", "└─ python3 -c")
    screen.press("i")
    screen.shows("segment", "0x00001267")
    screen.press("f")
    screen.shows("/srv/data")
    screen.press("d")
    screen.shows("will not exit in time: SIGKILL after 1 s · certain", "PID 1 is a shell")
    screen.press("Escape")
    screen.shows("STATUS")
    (process,) = (one for one in command.asks("processes", name)["processes"] if one["command"].startswith("python3"))
    made = {one["pid"]: one for one in command.asks("forecast", name, "TERM", "USR1")["forecasts"]}
    assert made[process["pid"]]["effect"] == "terminates"
    (segment,) = command.asks("ipc", name)["objects"]
    assert (segment["kind"], segment["key"], segment["bytes"]) == ("shm", 4711, 4096)
    (mapped,) = (one for one in command.asks("maps", name)["mappings"] if one["path"] == "/srv/data")
    assert (mapped["backing"], mapped["survives"]["stop-start"]) == ("writable-layer", "yes")
    screen.press("x")
    screen.shows("Grace period", "SIGTERM", "SIGKILL to PID 1")
    screen.press("Enter")
    screen.shows("phase 1", "phase 2", "Did not exit on SIGTERM", "137")
    screen.press("Escape")
    screen.shows("STATUS")
    screen.row_shows(name, "killed")
    assert docker.state(name, "State.ExitCode") == "137"
    ended = command.asks("why", name)
    assert (ended["cause"], ended["exit_code"]) == ("stop-killed", 137)
