"""The files that a container's processes have mapped, and where their contents are stored."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message
from textual.widget import Widget

from containerlab_probes.memory_records import Backing
from containerlab_tui.model.views import FileRow, FilesView
from containerlab_tui.present import wording
from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.session.actions import Scope
from containerlab_tui.ui.bindings import bindings
from containerlab_tui.ui.widgets import survival_marks
from containerlab_tui.ui.widgets.content import Content, Static
from containerlab_tui.ui.widgets.grid import ROWS_SHOWN, Column, Grid, GridRow, cell, rows_left_out

_WAITING = "Reading …"

BACKINGS = {
    Backing.IMAGE: "image",
    Backing.WRITABLE_LAYER: "writable",
    Backing.VOLUME: "volume",
    Backing.BIND: "bind mount",
    Backing.ENGINE: "engine",
    Backing.TMPFS: "tmpfs",
    Backing.ANONYMOUS_SHARED: "anonymous",
    Backing.SYSV: "System V",
    Backing.DELETED: "deleted",
}


def key_of(row: FileRow) -> str:
    """Returns a row's key, which stays the same from one reading to the next."""
    one = row.mapping
    return f"{one.id.pid}-{one.id.started}:{one.range}"


class FilesTable(Grid):
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("pid", "PID", 4, 7, right=True),
        Column("process", "PROCESS", 10, 24, rank=3),
        Column("path", "PATH", 16, 60, share=4),
        Column("backing", "BYTES IN", 10, 10),
        Column("permissions", "PERM", 4, 4, rank=1),
        Column("size", "SIZE", 5, 5, right=True),
        Column("file", "FILE", 5, 5, right=True, rank=2),
        Column("range", "RANGE", 25, 25, rank=5),
        Column("host", "ON THE HOST", 20, 60, rank=4, share=3),
        Column("survives", survival_marks.HEADING, 7, 7),
    )


class FilesPanel(Widget):
    """Shows a `FilesView`, with private mappings only on request."""

    DEFAULT_CSS = """
    FilesPanel { layout: vertical; height: 1fr; }
    FilesPanel #files-head { height: auto; max-height: 6; padding: 0 1; }
    FilesPanel #files-detail { height: auto; max-height: 40%; padding: 0 1; border-top: solid $foreground 20%;
        border-title-color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.FILES)

    class OpenMapping(Message):
        """Asks to show the contents of a row's file."""

        def __init__(self, row: FileRow) -> None:
            super().__init__()
            self.row = row

    def __init__(self, private: bool = False, *, id: str | None = None, classes: str | None = None) -> None:
        """`private`: show private mappings from the start."""
        super().__init__(id=id, classes=classes)
        self._view: FilesView | None = None
        self._reason = ""
        self._rows: dict[str, FileRow] = {}
        self._private = private
        self._left_out: list[str] = []

    def compose(self) -> ComposeResult:
        yield Static(id="files-head")
        table = FilesTable(id="files-table")
        table.empty_text = _WAITING
        yield table
        detail = Static(id="files-detail")
        detail.border_title = Content(survival_marks.LEGEND)
        yield detail

    def show(self, view: FilesView | None, reason: str = "") -> None:
        """Shows a reading. For None, `reason` is a sentence that says why there is none; empty: it is being read."""
        self._view, self._reason = view, reason
        self._draw()

    @property
    def selected(self) -> FileRow | None:
        """The mapping under the cursor."""
        return self._rows.get(self.query_one(FilesTable).row_key or "")

    def action_private(self) -> None:
        self._private = not self._private
        self._draw()

    def on_grid_moved(self, event: Grid.Moved) -> None:
        event.stop()
        self._draw_detail()

    def on_grid_opened(self, event: Grid.Opened) -> None:
        event.stop()
        row = self._rows.get(event.key)
        if row is not None:
            self.post_message(self.OpenMapping(row))

    def _draw(self) -> None:
        view, table = self._view, self.query_one(FilesTable)
        wanted = [row for row in view.rows if self._private or row.mapping.shared] if view else []
        self._left_out = rows_left_out(len(wanted), "maps")
        self._rows = {key_of(row): row for row in wanted[:ROWS_SHOWN]}
        hidden = len(view.rows) - len(wanted) if view else 0
        table.empty_text = self._empty(hidden)
        table.set_rows(_row(row) for row in self._rows.values())
        if not wanted:
            table.refresh()
        self._draw_head(hidden)
        self._draw_detail()

    def _empty(self, hidden: int) -> str:
        if self._view is None:
            return safe_line(self._reason, 300) or _WAITING
        if hidden:
            return f"No shared mappings. Press v to show {hidden} private mapping{'s' if hidden != 1 else ''}."
        return "No mapped files."

    def _draw_head(self, hidden: int) -> None:
        head = self.query_one("#files-head", Static)
        head.display = self._view is not None
        if self._view is None:
            return
        shared = sum(row.mapping.shared for row in self._view.rows)
        private = len(self._view.rows) - shared
        are = "hidden (press v to show)" if hidden else "shown (press v to hide)"
        counts = f"{shared} shared, {private} private {are}" if private else f"{shared} shared, none private"
        lines = [Content.styled(counts, "dim")]
        lines += [Content(f"! {safe_line(sentence, 300)}") for sentence in (*self._view.unread, *self._left_out)]
        head.update(Content("\n").join(lines))

    def _draw_detail(self) -> None:
        detail, row = self.query_one("#files-detail", Static), self.selected
        detail.display = row is not None
        if row is not None:
            detail.update(Content("\n").join(_detail(row)))


def _row(row: FileRow) -> GridRow:
    one = row.mapping
    backing = BACKINGS[row.backing] if row.backing else "unknown"
    path = safe_line(one.path, 400) + (" (deleted)" if one.deleted and row.backing is not Backing.SYSV else "")
    cells = (
        ("pid", cell(str(one.container_pid))),
        ("process", cell(safe_line(row.process.command, 40))),
        ("path", cell(path)),
        ("backing", cell(backing, "warn" if row.backing in (Backing.DELETED, None) else "plain")),
        ("permissions", cell(one.permissions)),
        ("size", cell(wording.size(one.bytes))),
        ("file", cell(wording.size(one.file_bytes))),
        ("range", cell(one.range, "muted")),
        ("host", cell(safe_line(row.host_path, 400) if row.host_path else "—", "plain" if row.host_path else "muted")),
        ("survives", survival_marks.marks(row.survives)),
    )
    return GridRow(key_of(row), cells, dim=not one.shared)


def _detail(row: FileRow) -> list[Content]:
    """Returns the details of the mapping under the cursor."""
    one = row.mapping
    facts = [
        f"{one.container_pid} {safe_line(row.process.command, 60)}",
        f"{one.range} {one.permissions} at file offset {one.offset}",
        f"maps {wording.exact(one.bytes)}",
        f"of {wording.exact(one.file_bytes)}" if one.file_bytes is not None else "of a file of unknown size",
    ]
    where = f"on the host: {safe_line(row.host_path, 300)}" if row.host_path else "no path on the host"
    if not row.host_path and row.backing is not None and row.reason:
        where += f": {safe_line(row.reason, 300)}"
    return [
        Content(" · ".join(facts)),
        Content(f"{safe_line(one.path, 300)} · {where}"),
        Content(safe_line(survival_marks.sentence(row.survives), 400)),
    ]
