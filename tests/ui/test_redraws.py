"""What a change costs: an event of one container lays out no screen and makes no row of another."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from textual.app import App
from textual.screen import Screen

from containerlab_probes.memory_records import Overview
from containerlab_tui.model.inventory import Container, Inventory
from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.session.store import Load, StopEffect, Store
from containerlab_tui.ui.widgets.container_table import AGES_S, NONE, ContainerTable, container_row
from containerlab_tui.ui.widgets.content import Content, Static
from containerlab_tui.ui.widgets.grid import Cell, Column, Grid, GridRow, cell
from tests.support.engine import details
from tests.ui.samples import BEGAN, Host, settled, text_of


class Lines(Grid):
    COLUMNS = (Column("line", "LINE", 10, 20),)


def rows(count: int) -> list[GridRow]:
    return [GridRow(str(number), (("line", cell(f"row-{number}.")),)) for number in range(count)]


def layouts_of(app: App[None]) -> list[object]:
    """Returns a list that gets an item each time the screen is laid out."""
    seen = list[object]()

    def note(screen: Screen[object]) -> None:
        seen.append(screen)

    app.screen.screen_layout_refresh_signal.subscribe(app.screen, note)
    return seen


async def test_a_row_more_in_a_long_table_moves_only_the_scrollbar() -> None:
    grid = Lines()
    app = Host(grid)
    async with app.run_test(size=(40, 12)) as pilot:
        grid.set_rows(rows(100))
        await settled(pilot, lambda: grid.show_vertical_scrollbar, "the scrollbar")
        await pilot.press("end")
        await settled(pilot, lambda: "row-99." in text_of(app), "the last row")
        layouts = layouts_of(app)
        grid.set_rows(rows(101))
        await pilot.press("end")
        await settled(pilot, lambda: "row-100." in text_of(app), "the new last row")
        assert grid.vertical_scrollbar.window_virtual_size == grid.virtual_size.height == 102
        grid.set_rows(rows(60))
        await settled(pilot, lambda: "row-59." in text_of(app), "the last row, after others were removed")
        assert grid.scroll_offset.y == grid.max_scroll_y
        assert layouts == []
        grid.set_rows(rows(3))
        await settled(pilot, lambda: not grid.show_vertical_scrollbar and "row-0." in text_of(app), "no scrollbar")
        assert layouts


async def test_the_same_text_is_not_laid_out_again() -> None:
    line = Static(Content(safe_line("one")))
    app = Host(line)
    async with app.run_test() as pilot:
        layouts = layouts_of(app)
        for content in (Content(safe_line("two")), Content.styled("two", "bold"), Content(safe_line("three"))):
            layouts.clear()
            line.update(content)
            await settled(pilot, lambda: bool(layouts), f"the layout of {content!r}")
            layouts.clear()
            line.update(Content(content.plain, spans=[*content.spans]))
            await pilot.pause()
            await pilot.pause()
            assert layouts == []


ONE, TWO = "1" * 64, "2" * 64


def known() -> Store:
    """Two running containers; the second is in the IPC namespace of the first."""
    containers = {
        id: Container(id, name, "image", "running", "Up", "sleep 9", BEGAN) for id, name in ((ONE, "one"), (TWO, "two"))
    }
    found = {
        ONE: details(id=ONE, name="one", started_at=BEGAN),
        TWO: details(id=TWO, name="two", started_at=BEGAN, ipc_mode=f"container:{ONE}"),
    }
    return Store(Inventory(containers, found))


def list_one(store: Store, name: str = "one", state: str = "running") -> None:
    """Changes the record of the first container."""
    containers = {**store.containers, ONE: replace(store.containers[ONE], name=name, state=state)}
    store.inventory = replace(store.inventory, containers=containers)


def learn(store: Store) -> None:
    found = {**store.details, ONE: replace(store.details[ONE], stop_timeout_s=77)}
    store.inventory = replace(store.inventory, details=found)


CHANGES: dict[str, Callable[[Store], object]] = {
    "state": lambda store: list_one(store, state="paused"),
    "name": lambda store: list_one(store, name="uno"),
    "details": learn,
    "effect": lambda store: store.effects.update({ONE: StopEffect(1, 0.0, unread="no")}),
    "overview": lambda store: store.overviews.update({ONE: Overview(1, 3, 9000)}),
    "load": lambda store: store.loads.update({ONE: Load(7.5, 5 << 20)}),
    "phase": lambda store: store.stopping.update({ONE: "stopping"}),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_a_change_makes_the_rows_that_show_it(what: str) -> None:
    store = known()
    table = ContainerTable(store, lambda: BEGAN + 60)
    async with Host(table).run_test():
        table.fill(hold=False)
        before = list(table.rows)
        CHANGES[what](store)
        table.fill(hold=False)
        assert {row.key: row for row in table.rows} == {
            one.id: container_row(one, store, BEGAN + 60) for one in store.containers.values()
        }
        after = {row.key: row for row in table.rows}
        assert after[ONE] != before[0]
        assert (after[TWO] is before[1]) == (what != "name"), "the second shows the name of the first"


async def test_marks_and_ages_make_new_rows() -> None:
    store, now = known(), [BEGAN + 60]
    table = ContainerTable(store, lambda: now[0])
    async with Host(table).run_test():
        table.fill(hold=False)
        before = list(table.rows)
        table.marked = {ONE}
        table.fill(hold=False)
        assert table.rows[0] == container_row(store.containers[ONE], store, now[0], marked=True)
        assert table.rows[1] is before[1]
        table.redraw_rows((ONE,))
        table.marked = set()
        table.fill(hold=False)
        assert list(table.rows) == before
        now[0] += 3600 + AGES_S
        table.fill(hold=False)
        assert all(row != earlier for row, earlier in zip(table.rows, before, strict=True))


async def test_a_row_drawn_alone_is_not_taken_for_an_older_one() -> None:
    """Its facts change and change back, and the table is shown only in between."""
    store = known()
    table = ContainerTable(store, lambda: BEGAN + 60)
    async with Host(table).run_test():
        table.fill(hold=False)
        before = list(table.rows)
        store.loads[ONE] = Load(7.5, 5 << 20)
        table.redraw_rows((ONE,))
        assert table.rows[0] != before[0]
        del store.loads[ONE]
        table.fill(hold=False)
        assert list(table.rows) == before


@pytest.mark.parametrize(
    ("load", "cpu", "memory"),
    [(Load(7.5, None), cell("7.5"), NONE), (Load(None, 5 << 20), NONE, cell("5M")), (Load(None, None), NONE, NONE)],
)
def test_a_figure_that_was_not_read_is_a_dash(load: Load, cpu: Cell, memory: Cell) -> None:
    store = known()
    store.loads[ONE] = load
    cells = dict(container_row(store.containers[ONE], store, BEGAN + 60).cells)
    assert (cells["cpu"], cells["memory"]) == (cpu, memory)
