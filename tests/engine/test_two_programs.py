"""Two programs of one user at once, and one that is killed: they share the history, the kernel trace, the engine."""

import os
import signal
import sqlite3
import subprocess
import uuid
from pathlib import Path

from containerlab_probes.trace import tracefs
from tests.support.docker import Containers
from tests.support.screens import LONG_S, PROGRAM, OpenUi, environment


def begin(host: str, home: Path, *words: str) -> "subprocess.Popen[str]":
    """Starts one command."""
    command = (PROGRAM, "--host", host, *words)
    return subprocess.Popen(command, env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_programs_stop_one_container(engine_host: str, container: Containers, tmp_path: Path) -> None:
    """Both follow it until it is over and agree; the history has it once."""
    name = container("dockerapp2", options=("--stop-timeout=3",), ready="pid = 1")
    both = [begin(engine_host, tmp_path, "stop", name) for _ in range(2)]
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


def instances_of(pid: int) -> list[str]:
    """Returns the instances in the kernel's tracing that this process created."""
    root = tracefs.open_tracefs()
    try:
        names = os.listdir(f"/proc/self/fd/{root}/instances")
    finally:
        os.close(root)
    return [name for name in names if (owner := tracefs.owner_of(name)) is not None and owner.pid == pid]


def test_the_trace_of_a_killed_program_is_removed_by_the_next_one(
    engine_host: str, container: Containers, open_ui: OpenUi, tmp_path: Path
) -> None:
    name = container("dockerapp1", ready="pid = 1", name=f"two-{uuid.uuid4().hex[:6]}")
    screen = open_ui(140, 45)
    screen.filter(name)
    screen.press("w")
    screen.shows("kernel trace ●")
    killed = screen.pid
    assert instances_of(killed), "its own, and those of stops in other tests that it follows"
    os.kill(killed, signal.SIGKILL)
    screen.until(lambda: tracefs.started(killed) is None, "it was killed")
    assert instances_of(killed), "nobody could remove it"
    stop = begin(engine_host, tmp_path, "stop", name)
    out, err = stop.communicate(timeout=LONG_S)
    assert (stop.returncode, err) == (0, ""), out
    assert instances_of(killed) == instances_of(stop.pid) == []
