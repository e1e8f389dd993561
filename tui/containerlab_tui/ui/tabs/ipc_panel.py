"""All objects in a container's IPC namespace, with their users and what they survive."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message
from textual.widget import Widget

from containerlab_probes.memory_records import IpcKind, Semaphore
from containerlab_probes.records import Process
from containerlab_tui.model.views import IpcRow, IpcView
from containerlab_tui.present import ipc_text, wording
from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.session.actions import Scope
from containerlab_tui.ui.bindings import bindings
from containerlab_tui.ui.widgets import survival_marks
from containerlab_tui.ui.widgets.content import Content, Static, toast
from containerlab_tui.ui.widgets.grid import ROWS_SHOWN, Column, Grid, GridRow, cell, rows_left_out

_EMPTY = "No IPC objects yet (shmget, semget, msgget, shm_open, sem_open, mq_open)."
_WAITING = "Reading …"

READABLE = frozenset({IpcKind.SHM, IpcKind.POSIX_SHM, IpcKind.POSIX_SEM})
"""Kinds whose contents can be shown."""


def key_of(row: IpcRow) -> str:
    """Returns a row's key, which stays the same from one reading to the next."""
    return f"{row.object.kind.value}:{row.object.id}"


class IpcTable(Grid):
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("kind", "KIND", 10, 11),
        Column("id", "ID / NAME", 10, 26, share=2),
        Column("key", "KEY", 10, 10, rank=3),
        Column("decimal", "DECIMAL", 10, 10, right=True, rank=5),
        Column("size", "SIZE", 5, 6, right=True),
        Column("mode", "MODE", 4, 4, rank=4),
        Column("owner", "OWNER", 5, 6, right=True, rank=4),
        Column("use", "IN USE", 11, 24, rank=1, share=2),
        Column("users", "USERS", 10, 40, rank=2, share=3),
        Column("survives", survival_marks.HEADING, 7, 7),
    )


class IpcPanel(Widget):
    """Shows an `IpcView`. Posts a message when an object is to be opened or removed."""

    DEFAULT_CSS = """
    IpcPanel { layout: vertical; height: 1fr; }
    IpcPanel #ipc-head { height: auto; max-height: 8; padding: 0 1; }
    IpcPanel #ipc-detail { height: auto; max-height: 40%; padding: 0 1; border-top: solid $foreground 20%;
        border-title-color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.IPC)

    class OpenObject(Message):
        """Asks to show an object's contents."""

        def __init__(self, row: IpcRow) -> None:
            super().__init__()
            self.row = row

    class RemoveObject(Message):
        """Asks to remove an object, after confirmation."""

        def __init__(self, row: IpcRow) -> None:
            super().__init__()
            self.row = row

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._view: IpcView | None = None
        self._rows: dict[str, IpcRow] = {}
        self._limits = False

    def compose(self) -> ComposeResult:
        yield Static(id="ipc-head")
        table = IpcTable(id="ipc-table")
        table.empty_text = _WAITING
        yield table
        detail = Static(id="ipc-detail")
        detail.border_title = Content(survival_marks.LEGEND)
        yield detail

    def show(self, view: IpcView | None, reason: str = "") -> None:
        """Shows a reading. For None, `reason` is a sentence that says why there is none; empty: it is being read."""
        self._view = view
        self._rows = {key_of(row): row for row in view.rows[:ROWS_SHOWN]} if view else {}
        table = self.query_one(IpcTable)
        table.empty_text = _EMPTY if view else safe_line(reason, 300) or _WAITING
        table.set_rows(_row(row) for row in self._rows.values())
        if not self._rows:
            table.refresh()
        self._draw_head()
        self._draw_detail()

    @property
    def selected(self) -> IpcRow | None:
        """The object under the cursor."""
        return self._rows.get(self.query_one(IpcTable).row_key or "")

    def on_grid_moved(self, event: Grid.Moved) -> None:
        event.stop()
        self._draw_detail()

    def on_grid_opened(self, event: Grid.Opened) -> None:
        event.stop()
        row = self._rows.get(event.key)
        if row is None:
            return
        if row.object.kind in READABLE:
            self.post_message(self.OpenObject(row))
        else:
            toast(self, safe_line(f"{ipc_text.title(row.object)} has no contents to show; see the details below."))

    def action_remove(self) -> None:
        """Asks to remove the object under the cursor. Without one the key must not reach the container."""
        row = self.selected
        if row is not None:
            self.post_message(self.RemoveObject(row))
        else:
            toast(self, safe_line("No object is selected."), "warning")

    def action_limits(self) -> None:
        self._limits = not self._limits
        self._draw_head()

    def _draw_head(self) -> None:
        head = self.query_one("#ipc-head", Static)
        head.display = self._view is not None
        if self._view is not None:
            head.update(_head(self._view, self._limits))

    def _draw_detail(self) -> None:
        detail, row = self.query_one("#ipc-detail", Static), self.selected
        detail.display = row is not None
        if row is not None:
            detail.update(Content("\n").join(_detail(row)))


def _head(view: IpcView, limits: bool) -> Content:
    snapshot = view.snapshot
    if view.shared_with:
        names = ", ".join(safe_line(name, 24) for name in view.shared_with[:6])
        more = len(view.shared_with) - 6
        shared = f"shared with {names}" + (f" and {more} more" if more > 0 else "")
    else:
        shared = "not shared with another container"
    lines = [
        Content.assemble(
            ("IPC namespace ", "dim"),
            str(snapshot.namespace),
            ("  mode ", "dim"),
            safe_line(view.mode, 40),
            f"  {shared}",
        )
    ]
    if limits:
        parts = [f"{name} {_limit(name, value)}" for name, value in snapshot.limits.items()]
        lines.append(Content.styled("limits: " + (" · ".join(parts) or "not read"), "dim"))
    elif "dev_shm_bytes" in snapshot.limits:
        total, free = snapshot.limits["dev_shm_bytes"], snapshot.limits.get("dev_shm_free")
        room = f"/dev/shm {wording.size(total)}" + (f", {wording.size(free)} free" if free is not None else "")  # noqa: S108  # nosec B108 # words
        lines.append(Content.styled(f"{room} · press v for all limits", "dim"))
    lines += [
        Content(f"! {safe_line(sentence, 300)}")
        for sentence in (*snapshot.unread, *rows_left_out(len(view.rows), "ipc"))
    ]
    return Content("\n").join(lines)


def _limit(name: str, value: int) -> str:
    """Returns a limit in words: the kernel's default for some limits is nearly 2**64."""
    if value >= 1 << 60:
        return "unlimited"
    return wording.size(value) if name in ("shmmax", "dev_shm_bytes", "dev_shm_free") else str(value)


def _row(row: IpcRow) -> GridRow:
    one = row.object
    key = "—" if one.key is None else "private" if one.key == 0 else f"0x{one.key & 0xFFFFFFFF:08x}"
    cells = (
        ("kind", cell(ipc_text.KINDS[one.kind])),
        ("id", cell(safe_line(one.name or one.id, 80))),
        ("key", cell(key, "plain" if one.key else "muted")),
        ("decimal", cell(str(one.key) if one.key else "—", "plain" if one.key else "muted")),
        ("size", cell(wording.size(one.bytes))),
        ("mode", cell(f"{one.mode:04o}")),
        ("owner", cell(str(one.owner))),
        ("use", cell(_use(row), "warn" if one.removed else "plain")),
        ("users", cell(_users(row))),
        ("survives", survival_marks.marks(row.survives)),
    )
    return GridRow(key_of(row), cells)


def _use(row: IpcRow) -> str:
    """Returns how an object is used now, depending on its kind."""
    one = row.object
    if one.kind is IpcKind.SHM:
        attached = one.attached or 0
        return ("unattached" if not attached else f"{attached} attached") + (", removed" if one.removed else "")
    if one.semaphores:
        waiting = sum(each.waiting_for_increase + each.waiting_for_zero for each in one.semaphores)
        values = " ".join(str(each.value) for each in one.semaphores[:8])
        more = " …" if len(one.semaphores) > 8 else ""
        return f"= {values}{more}" + (f", {waiting} waiting" if waiting else "")
    if one.messages is not None:
        return f"{one.messages} message{'s' if one.messages != 1 else ''}"
    if one.attached is not None:
        return f"{one.attached} mapped" if one.attached else "not mapped"
    return "—"


def _users(row: IpcRow) -> str:
    """Returns the processes that have the object open, or else its last user."""
    if row.users:
        return ", ".join(ipc_text.process(process, 24) for process in row.users[:4]) + (
            " …" if len(row.users) > 4 else ""
        )
    if row.last_user is not None:
        return f"last {ipc_text.process(row.last_user, 24)}"
    return "—"


def _detail(row: IpcRow) -> list[Content]:
    """Returns the details of the object under the cursor."""
    one = row.object
    facts = [ipc_text.title(row.object)]
    if one.key:
        facts.append(f"key {one.key} (0x{one.key & 0xFFFFFFFF:08x})")
    if one.bytes is not None:
        facts.append(wording.exact(one.bytes))
    facts.append(f"mode {one.mode:04o}, uid {one.owner}, gid {one.group}")
    facts.append(f"creator {_who(row.creator, one.creator_pid)}")
    if one.last_pid or row.last_user:
        facts.append(f"last user {_who(row.last_user, one.last_pid)}")
    if one.removed:
        facts.append("marked for removal: destroyed on the last detach")
    lines = [Content(" · ".join(facts))]
    if one.semaphores:
        lines.append(Content(" · ".join(_semaphore(index, each) for index, each in enumerate(one.semaphores[:12]))))
    return [*lines, Content(safe_line(survival_marks.sentence(row.survives), 400))]


def _semaphore(index: int, one: Semaphore) -> str:
    text = f"[{index}] = {one.value}"
    if one.waiting_for_increase:
        text += f", {one.waiting_for_increase} waiting for more"
    if one.waiting_for_zero:
        text += f", {one.waiting_for_zero} waiting for zero"
    return text


def _who(process: Process | None, pid: int) -> str:
    """Returns a running process of the container, or else its PID on the host."""
    if process is not None:
        return ipc_text.process(process)
    return f"host PID {pid} (not running here)" if pid else "not recorded"
