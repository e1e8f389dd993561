"""The Files tab."""

from dataclasses import replace

import pytest
from syrupy.assertion import SnapshotAssertion

from containerlab_probes.memory_records import Backing
from containerlab_tui.model.views import FilesView
from containerlab_tui.ui.tabs.files_panel import FilesPanel, FilesTable
from containerlab_tui.ui.widgets.grid import ROWS_SHOWN
from tests.ui.samples import HOSTILE, SIZES, Host, files_view, settled, text_of


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("what", ["shared", "private", "empty", "only private", "unavailable"])
async def test_snapshot(what: str, size: tuple[int, int], snapshot: SnapshotAssertion) -> None:
    panel = FilesPanel(private=what == "private")
    app = Host(panel)
    view = files_view()
    views = {
        "empty": FilesView(()),
        "only private": replace(view, rows=view.rows[3:], unread=()),
        "unavailable": None,
    }
    async with app.run_test(size=size) as pilot:
        panel.show(views.get(what, view), "Mappings can't be read without root; run this with sudo.")
        await pilot.pause()
        assert text_of(app) == snapshot


async def test_v_shows_private_mappings_and_hides_them_again() -> None:
    panel = FilesPanel()
    app = Host(panel)
    async with app.run_test(size=(140, 30)) as pilot:
        panel.show(files_view())
        panel.query_one("#files-table").focus()
        await settled(pilot, lambda: "1 private hidden (press v to show)" in text_of(app), "the count")
        assert "libc.so.6" not in text_of(app)
        await pilot.press("v")
        await settled(pilot, lambda: "/usr/lib/libc.so.6" in text_of(app), "the private one")
        await pilot.press("v")
        await settled(pilot, lambda: "libc.so.6" not in text_of(app), "private mappings hidden again")


async def test_enter_opens_the_mapping_under_the_cursor() -> None:
    panel = FilesPanel()
    app = Host(panel)
    async with app.run_test(size=(140, 30)) as pilot:
        panel.show(files_view())
        panel.query_one("#files-table").focus()
        await pilot.press("down", "enter")
        await pilot.pause()
        (opened,) = app.messages
        assert isinstance(opened, FilesPanel.OpenMapping)
        assert opened.row.mapping.path == "/volume/journal"


async def test_unknown_values_are_named() -> None:
    row = files_view().rows[0]
    unknown = replace(row, backing=None, host_path=None, mapping=replace(row.mapping, file_bytes=None))
    deleted = replace(
        files_view().rows[1], backing=Backing.DELETED, mapping=replace(files_view().rows[1].mapping, deleted=True)
    )
    panel = FilesPanel()
    app = Host(panel)
    async with app.run_test(size=(140, 30)) as pilot:
        panel.show(FilesView((unknown, deleted)))
        await pilot.pause()
        text = text_of(app)
        assert "unknown" in text
        assert "no path on the host" in text
        assert "of a file of unknown size" in text
        assert "/volume/journal (dele" in text


async def test_hostile_paths_are_only_text() -> None:
    row = files_view().rows[0]
    evil = replace(
        row,
        mapping=replace(row.mapping, path="/" + HOSTILE),
        host_path="/merged/" + HOSTILE,
        process=replace(row.process, argv=(HOSTILE,)),
    )
    panel = FilesPanel()
    app = Host(panel)
    async with app.run_test(size=(140, 30)) as pilot:
        panel.show(FilesView((evil,), (HOSTILE,)))
        await pilot.pause()
        text = text_of(app)
        assert "\x1b" not in text
        assert "\x9b" not in text
        assert text.count(r"x[/]\x1b]0;owned\x07") >= 3


async def test_the_first_of_very_many_mappings_are_shown() -> None:
    panel = FilesPanel()
    app = Host(panel)
    row = files_view().rows[0]
    rows = tuple(
        replace(row, mapping=replace(row.mapping, start=n << 12, end=n + 1 << 12)) for n in range(ROWS_SHOWN + 1)
    )
    said = "Shared mappings: the first 5,001 of 65,000 are listed."
    async with app.run_test(size=(140, 30)) as pilot:
        panel.show(FilesView(rows, (said,)))
        await settled(pilot, lambda: "The first 5,000 of 5,001 rows are shown" in text_of(app), "what is left out")
        assert said in text_of(app)
        assert len(panel.query_one(FilesTable).rows) == ROWS_SHOWN
