"""The top line: this machine's usage beside the number of containers, if there is room for both."""

from collections.abc import Callable

import pytest

from containerlab_probes.records import HostLoad
from containerlab_tui.session.refreshers import Loads
from containerlab_tui.ui.widgets.status_bar import TopLine, host_words
from tests.ui.conftest import Stage
from tests.ui.samples import settled, text_of


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (HostLoad(None, 1 << 30, 24 << 30), "host: memory 1G of 24G"),
        (HostLoad(0.0, 1 << 30, 24 << 30), "host: CPU 0 %, memory 1G of 24G"),
        (HostLoad(99.6, 3 << 29, 1 << 33), "host: CPU 100 %, memory 1.5G of 8G"),
    ],
)
def test_words_for_a_host(load: HostLoad, words: str) -> None:
    assert host_words(load) == words


async def test_the_host_s_figures_are_shown_and_go(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        await settled(pilot, lambda: "host: CPU 12 %, memory 3.1G of 24G  9 running" in text_of(made.app), "figures")
        made.app.main.query_one(TopLine).show_host(None)
        await settled(pilot, lambda: "host:" not in text_of(made.app), "no figures")
        assert "9 running, 3 stopped" in text_of(made.app)


async def test_a_narrow_line_has_the_engine_and_no_host(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(80, 24)) as pilot:
        await made.ready(pilot)
        assert "host:" not in text_of(made.app)
        assert "9 running, 3 stopped" in text_of(made.app)


async def test_a_remote_engine_has_no_host_figures(stage: Callable[..., Stage]) -> None:
    made = stage(local=False)
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        await settled(pilot, lambda: "remote" in text_of(made.app), "the engine")
        made.app.session._take_loads(Loads(host=HostLoad(12.0, 1 << 30, 24 << 30)))
        await pilot.pause()
        assert "host:" not in text_of(made.app)
