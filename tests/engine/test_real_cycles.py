"""Containers that are run, stopped and removed under the running UI: its descriptors, threads and memory stay flat.

Each stop is followed with its own threads, kernel trace and log. `REAL_CYCLES=100` repeats it more often;
`tests/ui/test_cycles.py` has the thousands.
"""

import os
import uuid

import psutil

from tests.support.docker import Docker
from tests.support.screens import OpenUi

LONG_S = 120.0
WARM_UP = 3
GROWTH_BYTES = 12_000_000
"""Allocators keep some; a kept stop with its log and trace would take more than a megabyte."""


def test_stops_leave_no_descriptor_and_no_thread(docker: Docker, open_ui: OpenUi, names: list[str]) -> None:
    count = int(os.environ.get("REAL_CYCLES", "6"))
    screen = open_ui(140, 45)
    screen.shows("· local ·")  # the engine is followed
    seen = psutil.Process(screen.pid)

    def one_cycle() -> None:
        name = f"cycle-{uuid.uuid4().hex[:6]}"
        names.append(name)
        docker("run", "-d", "--network=none", f"--name={name}", "containerlab/dockerapp1:latest")
        screen.shows(name)
        docker("stop", "--time=5", name)
        docker("rm", "--force", name)
        names.remove(name)
        screen.hides(f" {name} ")

    for _ in range(WARM_UP):
        one_cycle()
    screen.hides("stopping")
    before, resident = (seen.num_fds(), seen.num_threads()), seen.memory_info().rss
    for _ in range(count):
        one_cycle()

    def is_flat() -> bool:
        return seen.num_fds() <= before[0] + 2 and seen.num_threads() <= before[1] + 4

    try:
        screen.until(is_flat, "descriptors and threads are back", LONG_S)
    finally:
        print(
            f"{count} stops: descriptors {before[0]} to {seen.num_fds()}, threads {before[1]} to {seen.num_threads()},"
            f" {(seen.memory_info().rss - resident) / 1e6:+.1f} MB"
        )
    assert seen.memory_info().rss - resident < GROWTH_BYTES
