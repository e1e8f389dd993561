"""Containers that come and go, thousands of them: memory, descriptors and threads stay flat.

`CYCLES=5000 pytest -s tests/ui/test_cycles.py` runs the number that SECURITY.md names.
"""

import gc
import itertools
import os
import threading
import tracemalloc
from collections.abc import Callable
from dataclasses import replace

from containerlab_tui.model.inventory import Changed, Event
from tests.support.engine import details, event
from tests.ui.conftest import Stage
from tests.ui.samples import settled

WARM_UP = 420
"""Cycles before the first measurement: what is kept of removed containers is full then."""
SPANS = 4
"""Parts of the run that are measured apart: caches that fill make some parts grow, a leak makes all of them grow."""
BYTES_A_CYCLE = 60
"""Less than one kept id a cycle: its text alone takes 113 bytes."""


def one_cycle(stage: Stage, number: int) -> None:
    """Posts what the engine's reader posts when a container is created, started, exits and is removed."""
    id, at = f"{number:064x}", stage.now + number
    row = replace(stage.containers[0], id=id, name=f"cycle-{number}", state="running")
    known = details(id=id, name=row.name, pid=1_000_000 + number, started_at=at)
    post = stage._post[0]
    for step, action in enumerate(("create", "start", "die", "destroy")):
        happened = event(at + step / 10, action, id)
        post(Event(happened))
        match action:
            case "start":
                post(Changed(row, known, happened, happened.time))
            case "destroy":
                post(Changed(None, None, happened, happened.time))


def measured() -> tuple[int, int, int]:
    """Returns bytes of Python's memory, descriptors and threads."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0], len(os.listdir("/proc/self/fd")), threading.active_count()


async def test_cycles_leave_nothing_behind(stage: Callable[..., Stage]) -> None:
    cycles = int(os.environ.get("CYCLES", "800"))
    made = stage()
    known = made.app.session.store
    async with made.app.run_test(size=(120, 40)) as pilot:
        await made.ready(pilot)
        figures = list[tuple[int, int, int]]()
        tracemalloc.start()
        try:
            for number in range(WARM_UP + cycles):
                poster = threading.Thread(target=one_cycle, args=(made, number + 1))
                poster.start()
                poster.join()
                if number % 20 == 0:
                    await pilot.pause()
                if number + 1 >= WARM_UP and (number + 1 - WARM_UP) % (cycles // SPANS) == 0:
                    await settled(pilot, lambda: len(known.containers) == len(made.containers), "all are removed")
                    await pilot.pause(1.0)  # what was posted last is read and drawn
                    figures.append(measured())
        finally:
            tracemalloc.stop()
        before, after = figures[0], figures[-1]
        growths = [later[0] - earlier[0] for earlier, later in itertools.pairwise(figures)]
        print(f"{cycles} cycles: {growths} bytes, {after[1] - before[1]:+} descriptors")
        assert len(growths) == SPANS
        assert min(growths) < BYTES_A_CYCLE * (cycles // SPANS)
        assert after[1] <= before[1] + 2
        assert after[2] <= before[2] + 2
