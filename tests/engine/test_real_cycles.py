"""Containers that are run, stopped and removed under the running UI: its descriptors, threads and memory stay flat.

Each stop is followed with its own threads, kernel trace and log. `REAL_CYCLES=100` repeats it more often;
`tests/ui/test_cycles.py` has the thousands.
"""

import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.docker import Docker, eventually
from tests.support.terminal import Terminal

LONG_S = 120.0
WARM_UP = 3
GROWTH_BYTES = 12_000_000
"""Allocators keep some; a kept stop with its log and trace would take more than a megabyte."""


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal(140, 45)
    yield made
    made.close()


def test_stops_leave_no_descriptor_and_no_thread(
    engine_host: str, docker: Docker, terminal: Terminal, tmp_path: Path, names: list[str]
) -> None:
    count = int(os.environ.get("REAL_CYCLES", "6"))
    environment = {"PATH": os.environ["PATH"], "TERM": "tmux-256color", "LANG": "C.UTF-8", "HOME": str(tmp_path)}
    program = str(Path(sys.executable).with_name("containerlab-tui"))
    terminal.run(f"{program} --host {engine_host}", environment | {"XDG_STATE_HOME": str(tmp_path)})

    def text() -> str:
        return "\n".join(terminal.screen())

    eventually(lambda: "local" in text(), "the engine is followed", LONG_S)
    seen = psutil.Process(terminal.pid)

    def one_cycle() -> None:
        name = f"cycle-{uuid.uuid4().hex[:6]}"
        names.append(name)
        docker("run", "-d", "--network=none", f"--name={name}", "containerlab/dockerapp1:latest")
        eventually(lambda: name in text(), f"{name} is listed", LONG_S)
        docker("stop", "--time=5", name)
        docker("rm", "--force", name)
        names.remove(name)
        eventually(lambda: f" {name} " not in text(), f"{name} is not listed", LONG_S)

    for _ in range(WARM_UP):
        one_cycle()
    eventually(lambda: "stopping" not in text(), "all stops are over", LONG_S)
    before, resident = (seen.num_fds(), seen.num_threads()), seen.memory_info().rss
    for _ in range(count):
        one_cycle()

    def is_flat() -> bool:
        return seen.num_fds() <= before[0] + 2 and seen.num_threads() <= before[1] + 4

    try:
        eventually(is_flat, "descriptors and threads are back", LONG_S)
    finally:
        print(
            f"{count} stops: descriptors {before[0]} to {seen.num_fds()}, threads {before[1]} to {seen.num_threads()},"
            f" {(seen.memory_info().rss - resident) / 1e6:+.1f} MB"
        )
    assert seen.memory_info().rss - resident < GROWTH_BYTES
