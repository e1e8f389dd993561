"""The Processes tab."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containerlab_probes.errors import Unsupported
from containerlab_probes.records import WITHOUT_ROOT, Process, ProcessLoad
from containerlab_tui.engine.api import Engine
from containerlab_tui.model.inventory import Details
from containerlab_tui.session.kernel import ProcessLoads
from containerlab_tui.ui.tabs.processes import ProcessGrid, ProcessTree, ordered, tree
from tests.ui.conftest import PlayedKernel, Stage
from tests.ui.samples import APP, SHELL, WORKER, process, settled, text_of


def test_children_follow_their_parents() -> None:
    assert tree((WORKER, SHELL, APP)) == [(SHELL, ""), (APP, "└─ "), (WORKER, "   └─ ")]


def test_a_process_started_by_exec_is_a_root() -> None:
    execed = process(40, "bash", parent=9999)
    assert tree((SHELL, APP, execed)) == [(SHELL, ""), (APP, "└─ "), (execed, "")]


def test_siblings_share_a_line() -> None:
    second = process(8, "sleep", "1", parent=1)
    assert [indent for _, indent in tree((SHELL, APP, WORKER, second))] == ["", "├─ ", "│  └─ ", "└─ "]


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 30)), max_size=30, unique_by=lambda pair: pair[0]))
def test_every_process_outside_a_cycle_is_listed_once(pairs: list[tuple[int, int]]) -> None:
    processes = [process(pid, f"p{pid}", parent=parent) for pid, parent in pairs if parent < pid]
    found = [one for one, _ in tree(processes)]
    assert sorted(one.pid for one in found) == sorted(one.pid for one in processes)


def panel_of(stage: Stage) -> ProcessTree:
    found = stage.app.main.detail.panel
    assert isinstance(found, ProcessTree)
    return found


async def test_a_child_of_a_shell_is_not_signalled(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        made.app.main.table.select(made.id_of("shell-form"))
        await settled(pilot, lambda: len(panel_of(made).processes) > 1, "the processes")
        await pilot.press("enter", "down")
        await settled(
            pilot, lambda: "Not signalled by a stop: Docker signals only PID 1." in text_of(made.app), "the sentence"
        )
        assert "⊘ discarded" in text_of(made.app)


async def test_effect_of_another_signal(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        await settled(pilot, lambda: panel_of(made).signal == 2, "db's stop signal")
        await pilot.press("enter", "right_square_bracket")
        assert panel_of(made).signal == 3
        assert " QUIT " in text_of(made.app)
        await pilot.press("left_square_bracket", "left_square_bracket")
        assert panel_of(made).signal == 1


async def test_a_stopped_container_says_how_to_start_it(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        await pilot.press("end")
        await settled(pilot, lambda: "Not running" in text_of(made.app), "the reason")
        assert panel_of(made).processes == ()


async def test_the_chosen_process_is_the_signals_target(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        assert not made.app.main.detail.has_focus_within
        made.app.main.table.select(made.id_of("shell-form"))
        await settled(pilot, lambda: len(panel_of(made).processes) > 1, "the processes")
        await pilot.press("enter", "down")
        assert panel_of(made).chosen_process == panel_of(made).processes[1].id
        assert made.app.main.detail.has_focus_within


async def test_rows_are_sorted_by_a_column_and_back_into_the_tree(stage: Callable[..., Stage]) -> None:
    made = stage()
    async with made.app.run_test(size=(160, 45)) as pilot:
        await made.ready(pilot)
        made.app.main.table.select(made.id_of("shell-form"))
        await settled(pilot, lambda: len(panel_of(made).processes) > 1, "the processes")
        await pilot.press("enter")
        shell, child = panel_of(made).processes
        assert panel_of(made).chosen_process == shell.id
        assert "└─ " in text_of(made.app)
        await pilot.press("o")
        await settled(pilot, lambda: "CPU %▼" in text_of(made.app), "the sorted column")
        assert "└─ " not in text_of(made.app)
        assert panel_of(made).query_one(ProcessGrid).visible_keys() == [key_of(child), key_of(shell)]
        assert panel_of(made).chosen_process == shell.id
        await pilot.press("o")
        await settled(pilot, lambda: "MEM▼" in text_of(made.app), "the next column")
        await pilot.press("O", "O")
        await settled(pilot, lambda: "└─ " in text_of(made.app), "the tree")


def key_of(one: Process) -> str:
    return f"{one.pid}-{one.id.started}"


def test_each_order_puts_the_largest_first_and_the_unread_last() -> None:
    small, large, unread = (
        replace(process(pid, "x"), load=load)
        for pid, load in ((1, ProcessLoad(0.0, 1, 1, 1, 1)), (2, ProcessLoad(9.0, 2, 2, 2, 2)), (3, None))
    )
    for order in ("cpu", "memory", "descriptors", "read", "written"):
        assert [one for one, _ in ordered((unread, small, large), order)] == [large, small, unread], order
    many = replace(small, threads=7)
    assert [one for one, _ in ordered((large, many), "threads")] == [many, large]


async def test_loads_that_cannot_be_read_are_dashes(stage: Callable[..., Stage]) -> None:
    class WithoutPsutil(PlayedKernel):
        def process_loads(self) -> ProcessLoads:
            def missing(seen: tuple[Process, ...]) -> tuple[Process, ...]:
                raise Unsupported("psutil is missing")

            return missing

    made = stage(kernel=WithoutPsutil())
    async with made.app.run_test(size=(160, 45)) as pilot:
        await made.ready(pilot)
        made.app.main.table.select(made.id_of("shell-form"))
        await settled(pilot, lambda: len(panel_of(made).processes) > 1, "the processes")
        assert [one.load for one in panel_of(made).processes] == [None, None]
        assert re.search(r"└─ python3 shell_form.py .*(—\s+){3}1", text_of(made.app))


async def test_the_text_of_an_empty_table_leaves_with_the_first_row(stage: Callable[..., Stage]) -> None:
    """It is on the line of the second row, which one row alone does not redraw."""
    made = stage()
    async with made.app.run_test(size=(140, 45)) as pilot:
        await made.ready(pilot)
        grid = panel_of(made).query_one(ProcessGrid)
        row = grid.rows[0]
        grid.empty_text = "nothing yet"
        grid.set_rows([])
        await settled(pilot, lambda: "nothing yet" in text_of(made.app), "the text")
        grid.set_rows([row])
        await pilot.pause()
        assert "nothing yet" not in text_of(made.app)


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_without_root_effects_are_likely_and_the_reason_stands_once(
    stage: Callable[..., Stage], size: tuple[int, int]
) -> None:
    class WithoutRoot(PlayedKernel):
        def processes(self, engine: Engine, details: Details) -> tuple[tuple[Process, ...], str]:
            seen, reason = super().processes(engine, details)
            known = {one: replace(one.dispositions, assumed=frozenset((15,)), unread=(WITHOUT_ROOT,)) for one in seen}
            return tuple(replace(one, dispositions=known[one]) for one in seen), reason

    made = stage(kernel=WithoutRoot())
    async with made.app.run_test(size=size) as pilot:
        await made.ready(pilot)
        made.app.main.table.select(made.id_of("shell-form"))
        await settled(pilot, lambda: len(panel_of(made).processes) > 1, "the processes")
        await settled(
            pilot,
            lambda: re.search(r"TERM ⊘≈discarded +\d+s ", text_of(made.app)) is not None,
            "the effect in the list",
        )
        shown = text_of(made.app)
        assert "SIGTERM: discarded: PID 1 has no handler, likely" in shown
        assert shown.count("Without root") == 1
