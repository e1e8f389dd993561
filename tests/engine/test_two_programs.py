"""Two programs of one user at once, and one that is killed: they share the history, the kernel trace, the engine."""

import os
import signal
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from containerlab_probes.trace import tracefs
from tests.support.docker import Containers, eventually
from tests.support.terminal import Terminal

LONG_S = 60.0
PROGRAM = str(Path(sys.executable).with_name("containerlab-tui"))


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Returns the environment of both programs."""
    home = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}
    return {"PATH": os.environ["PATH"], "TERM": "tmux-256color", "LANG": "C.UTF-8", **home}


def begin(host: str, environment: dict[str, str], *words: str) -> "subprocess.Popen[str]":
    """Starts one command."""
    return subprocess.Popen(
        (PROGRAM, "--host", host, *words), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_two_programs_stop_one_container(
    engine_host: str, container: Containers, environment: dict[str, str], tmp_path: Path
) -> None:
    """Both follow it until it is over and agree; the history has it once."""
    name = container("dockerapp2", options=("--stop-timeout=3",), ready="pid = 1")
    both = [begin(engine_host, environment, "stop", name) for _ in range(2)]
    for one in both:
        out, err = one.communicate(timeout=LONG_S)
        assert one.returncode == 1, out + err
        assert "Traceback" not in err
        assert "Did not exit on SIGTERM" in out
    database = sqlite3.connect(tmp_path / "containerlab-tui/stops.sqlite")
    assert database.execute("SELECT verdict, exit_code FROM stops WHERE name = ?", (name,)).fetchall() in (
        [("killed", 137)],
        [("killed", 137)] * 2,  # each recorded its own time of the exit
    )
    database.close()


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal(140, 45)
    yield made
    made.close()


def instances_of(pid: int) -> list[str]:
    """Returns the instances in the kernel's tracing that this process created."""
    root = tracefs.open_tracefs()
    try:
        names = os.listdir(f"/proc/self/fd/{root}/instances")
    finally:
        os.close(root)
    return [name for name in names if (owner := tracefs.owner_of(name)) is not None and owner.pid == pid]


def test_the_trace_of_a_killed_program_is_removed_by_the_next_one(
    engine_host: str, container: Containers, environment: dict[str, str], terminal: Terminal
) -> None:
    name = container("dockerapp1", ready="pid = 1", name=f"two-{uuid.uuid4().hex[:6]}")
    terminal.run(f"{PROGRAM} --host {engine_host}", environment)

    def shows(*words: str) -> None:
        eventually(lambda: all(word in "\n".join(terminal.screen()) for word in words), str(words), LONG_S)

    shows(name, "TERM ◆")
    terminal.press("/")
    terminal.press(f"-l {name}")
    terminal.press("Enter")
    eventually(lambda: "\n".join(terminal.screen()).count("●") == 1, "it alone is listed", LONG_S)
    terminal.press("w")
    shows("kernel trace ●")
    killed = terminal.pid
    assert len(instances_of(killed)) == 1
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: tracefs.started(killed) is None, "it was killed", LONG_S)
    assert len(instances_of(killed)) == 1, "nobody could remove it"
    stop = begin(engine_host, environment, "stop", name)
    out, err = stop.communicate(timeout=LONG_S)
    assert (stop.returncode, err) == (0, ""), out
    assert instances_of(killed) == instances_of(stop.pid) == []
