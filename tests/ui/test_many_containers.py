"""300 running containers: every row can be reached, found and acted on, and a burst of events is drawn in the end."""

import threading
from collections.abc import Callable
from dataclasses import replace

from containerlab_probes.records import Usage
from containerlab_tui.engine import parse
from containerlab_tui.model.inventory import Container, Event
from containerlab_tui.session.refreshers import LoadReader, Loads
from tests.support.engine import details, event
from tests.ui.conftest import RECORDED, PlayedKernel, Stage, recorded_processes
from tests.ui.samples import settled, text_of

COUNT = 300


def containers() -> tuple[Container, ...]:
    first = parse.containers(RECORDED["lines"])[0]
    return tuple(replace(first, id=f"{number:064x}", name=f"many-{number}", state="running") for number in range(COUNT))


class ManyKernel(PlayedKernel):
    """Loads of containers that are not in the recording."""

    def load_reader(self, post: Callable[[Loads], object]) -> LoadReader:
        return LoadReader(lambda details: Usage(1.0, 9_400_000), lambda pids: {}, post)


async def test_three_hundred_running_containers(stage: Callable[..., Stage]) -> None:
    made = stage(containers=containers(), kernel=ManyKernel())
    for one in made.containers:
        made.engine.inspected[one.id] = details(id=one.id, name=one.name, pid=int(one.id, 16) + 1_000_000)
        assert not recorded_processes(one.id)
    store = made.app.session.store
    async with made.app.run_test(size=(120, 40)) as pilot:
        await settled(pilot, lambda: made.started and len(store.details) == COUNT, "the details of all")
        assert f"{COUNT} running, 0 stopped" in text_of(made.app)
        await pilot.press("end")
        await settled(pilot, lambda: "many-299" in text_of(made.app), "the last row")
        await pilot.press("slash", *"many-150", "enter")
        await settled(pilot, lambda: made.app.main.table.row_key == f"{150:064x}", "the row that was searched")
        await pilot.press("escape")

        def burst() -> None:
            for one in made.containers[: COUNT // 2]:
                made._post[0](Event(event(made.now + 1, "die", one.id, exitCode="0")))

        poster = threading.Thread(target=burst)
        poster.start()
        poster.join()
        await settled(pilot, lambda: f"{COUNT // 2} running, {COUNT // 2} stopped" in text_of(made.app), "the burst")
