"""The Processes tab: the container's processes as a tree, and a chosen signal's effect on each."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from containerlab_probes.errors import Unsupported
from containerlab_probes.records import Forecast, Process, ProcessId, ProcessLoad
from containerlab_probes.signals.forecast import forecast, without_root
from containerlab_probes.signals.names import all_signals, name_of, number_of
from containerlab_tui.present import wording
from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.present.states import age, forecast_word, process_state
from containerlab_tui.present.wording import size
from containerlab_tui.session.actions import Scope
from containerlab_tui.session.store import ShownContainer
from containerlab_tui.ui.background import ask, cancel
from containerlab_tui.ui.bindings import bindings
from containerlab_tui.ui.tabs.base import Panel
from containerlab_tui.ui.widgets.content import Content, Static
from containerlab_tui.ui.widgets.grid import ROWS_SHOWN, Cell, Column, Grid, GridRow, cell, rows_left_out

if TYPE_CHECKING:
    from containerlab_tui.model.inventory import Details
    from containerlab_tui.session.session import Session

REREAD_S = 4.0
"""How often visible processes are re-read; this takes about 1 ms for each container."""

SIGTERM = 15


UNREAD = ProcessLoad()
TREE = ""
ORDERS: dict[str, Callable[[Process], float | None]] = {
    "cpu": lambda process: (process.load or UNREAD).cpu_percent,
    "memory": lambda process: (process.load or UNREAD).memory_bytes,
    "descriptors": lambda process: (process.load or UNREAD).descriptors,
    "threads": lambda process: process.threads,
    "read": lambda process: (process.load or UNREAD).read_bytes,
    "written": lambda process: (process.load or UNREAD).written_bytes,
}
"""Sort columns, largest value first."""


class ProcessGrid(Grid):
    """One row for each process."""

    signal_label = "TERM"
    sorted_by = TREE

    def columns(self) -> Sequence[Column]:
        """Returns the columns; an arrow marks the sort column."""
        every = self._every_column()
        return [replace(one, label=f"{one.label}▼", rank=0) if one.key == self.sorted_by else one for one in every]

    def _every_column(self) -> Sequence[Column]:
        least = 40 if self.size.width >= 100 else 20  # the command line is more useful than the last columns
        return (
            Column("pid", "HOST", 7, 8, right=True),
            Column("container_pid", "IN", 5, 6, right=True),
            Column("user", "USER", 6, 16, rank=3),
            Column("state", "STATE", 8, 12, rank=4),
            Column("command", "PROCESS", least, 120, share=6),
            Column("forecast", self.signal_label, 13, 16, rank=1),
            Column("cpu", "CPU %", 6, 6, right=True, rank=5),
            Column("memory", "MEM", 5, 6, right=True, rank=6),
            Column("descriptors", "FDS", 5, 6, right=True, rank=7),
            Column("threads", "THR", 4, 5, right=True, rank=8),
            Column("read", "READ", 5, 6, right=True, rank=10),
            Column("written", "WRITTEN", 8, 8, right=True, rank=9),
            Column("age", "UP", 7, 7, right=True, rank=2),
        )


class ProcessTree(Panel):
    """Reads the processes when it is shown, on request, and every few seconds while visible."""

    DEFAULT_CSS = """
    ProcessTree { layout: vertical; height: 1fr; }
    ProcessTree > Static { height: auto; padding: 0 1; color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.PROCESSES)

    def __init__(self, session: "Session") -> None:
        super().__init__(id="processes")
        self._session = session
        self._clock = session.clock
        self._loads_of = session.kernel.process_loads()
        self._subject: ShownContainer | None = None
        self._processes: tuple[Process, ...] = ()
        self._children: defaultdict[int, list[Process]] = defaultdict(list)
        """By the PID of their parent."""
        self._left_out: list[str] = []
        """Sentences about what is not shown: processes, and what only root can read."""
        self._signal: int | None = None
        """The chosen signal; None: the container's stop signal."""
        self._order = TREE
        """The sort column."""

    def compose(self) -> ComposeResult:
        yield ProcessGrid()
        yield Static()

    def on_mount(self) -> None:
        self.set_interval(REREAD_S, self._reread_if_visible)

    # for other widgets

    @property
    def processes(self) -> tuple[Process, ...]:
        return self._processes

    @property
    def chosen_process(self) -> ProcessId | None:
        key = self._grid.row_key
        return next((one.id for one in self._processes if _key(one) == key), None)

    @property
    def signal(self) -> int:
        """The signal whose effect is shown."""
        if self._signal is not None:
            return self._signal
        details = self._subject.details if self._subject else None
        return number_of(details.stop_signal) if details else SIGTERM

    def show(self, subject: ShownContainer | None) -> None:
        before, self._subject = self._subject, subject
        if subject is None or before is None or before.container.id != subject.container.id:
            self._processes = ()
            self._signal = None
            self._draw("" if subject is None else "reading …")
        self.reread()

    def reread(self) -> None:
        subject = self._subject
        if subject is None:
            self._draw("Select a container.")
        elif subject.unseen_reason:
            cancel(self)
            self._processes = ()
            self._draw(subject.unseen_reason)
        elif subject.details is not None:
            details = subject.details
            ask(self, lambda: self._look(details), self._read, lambda error: self._read(((), str(error))))

    # drawing

    @property
    def _grid(self) -> ProcessGrid:
        return self.query_one(ProcessGrid)

    def _reread_if_visible(self) -> None:
        if self.is_on_screen and self.screen.is_active and self.app.app_focus:
            self.reread()

    def _look(self, details: "Details") -> tuple[tuple[Process, ...], str]:
        """Reads the loads of processes. Runs in another thread."""
        seen, reason = self._session.effects.see(self._session.engine(), details)
        try:
            return self._loads_of(seen), reason
        except Unsupported:  # psutil is missing: show dashes instead of loads
            return seen, reason

    def _read(self, answer: tuple[tuple[Process, ...], str]) -> None:
        self._processes, reason = answer
        self._draw(reason)

    def _draw(self, reason: str = "") -> None:
        if not self.query(ProcessGrid):
            return  # an answer that arrived while the program exits: the contents are removed before their panel
        grid = self._grid
        label = name_of(self.signal).removeprefix("SIG")
        grid.empty_text = safe_line(reason, 200)
        if (grid.signal_label, grid.sorted_by) != (label, self._order):
            grid.signal_label, grid.sorted_by = label, self._order
            grid.refit()
        self._children.clear()
        for process in self._processes:
            self._children[process.parent_pid].append(process)
        self._left_out = [safe_line(reason, 200)] if reason and self._processes else []
        self._left_out += rows_left_out(len(self._processes), "processes")
        if missing := without_root(self._processes):
            self._left_out.append(missing)
        now, shown = self._clock(), ordered(self._processes, self._order)[:ROWS_SHOWN]
        grid.set_rows(self._row(process, indent, now) for process, indent in shown)
        self._explain()

    def _row(self, process: Process, indent: str, now: float) -> GridRow:
        made = self._forecast(process)
        word = forecast_word(made)
        state = process_state(process.state)
        note = cell(word.shown, word.tone)
        return GridRow(
            _key(process),
            (
                ("pid", cell(str(process.pid), "muted")),
                ("container_pid", cell(str(process.container_pid) if process.container_pid else "—")),
                ("user", cell(safe_line(process.user, 40))),
                ("state", cell(state, "bad" if process.state == "Z" else "muted")),
                ("command", cell(indent, "muted") + cell(safe_line(process.command, 300))),
                ("forecast", note),
                ("threads", cell(str(process.threads), "muted")),
                *_load_cells(process.load or UNREAD),
                ("age", cell(age(max(0.0, now - process.started_at)), "muted")),
            ),
        )

    def _forecast(self, process: Process) -> Forecast:
        return forecast(process, self.signal, tuple(self._children.get(process.pid, ())))

    def _explain(self) -> None:
        """Says the signal's effect on the process under the cursor in words."""
        key = self._grid.row_key
        process = next((one for one in self._processes if _key(one) == key), None)
        line = self.query_one(Static)
        if process is None:
            line.update(Content("\n".join(self._left_out)))
            return
        made = self._forecast(process)
        details = self._subject.details if self._subject else None
        note = ""
        if details is not None and self.signal == number_of(details.stop_signal) and process.pid != details.pid:
            note = f"Not signalled by a stop: {self._session.product.name} signals only PID 1. "
        effect = f"{note}{name_of(self.signal)}: {wording.words(made)}"
        line.update(Content("\n".join((effect, *self._left_out))))

    # moving

    def on_grid_moved(self, event: Grid.Moved) -> None:
        event.stop()
        self._explain()

    def on_grid_opened(self, event: Grid.Opened) -> None:
        event.stop()
        self.run_action_of_screen("signal")

    def run_action_of_screen(self, action: str) -> None:
        """Runs an action of the screen: Enter on a process sends it a signal."""
        self.call_later(self.screen.run_action, action)

    def action_signal(self, step: int) -> None:
        """Shows the effect of the previous or next signal."""
        signals = list(all_signals())
        place = signals.index(self.signal) if self.signal in signals else 0
        self._signal = signals[(place + step) % len(signals)]
        self._draw(self._grid.empty_text)

    def action_sort(self, step: int) -> None:
        """Sorts by the next or previous column; the tree is one of the orders."""
        orders = [TREE, *ORDERS]
        self._order = orders[(orders.index(self._order) + step) % len(orders)]
        self._draw(self._grid.empty_text)


def _load_cells(load: ProcessLoad) -> tuple[tuple[str, Cell], ...]:
    def text(value: float | None, words: str) -> Cell:
        return cell("—" if value is None else words, "muted" if not value else "plain")

    return (
        ("cpu", text(load.cpu_percent, f"{load.cpu_percent or 0:.1f}")),
        ("memory", text(load.memory_bytes, size(load.memory_bytes))),
        ("descriptors", text(load.descriptors, str(load.descriptors))),
        ("read", text(load.read_bytes, size(load.read_bytes))),
        ("written", text(load.written_bytes, size(load.written_bytes))),
    )


def _key(process: Process) -> str:
    return f"{process.pid}-{process.id.started}"


def ordered(processes: Sequence[Process], order: str) -> list[tuple[Process, str]]:
    """Returns the processes sorted by a column, unread values last, each with its branch lines."""
    standing = tree(processes)
    if order == TREE:
        return standing

    def place(one: tuple[Process, str]) -> float:
        value = ORDERS[order](one[0])
        return 1.0 if value is None else -value

    return [(process, "") for process, _ in sorted(standing, key=place)]


def tree(processes: Sequence[Process]) -> list[tuple[Process, str]]:
    """Returns the processes as a tree, parents first, each with its branch lines."""
    known = {process.pid for process in processes}
    below: dict[int, list[Process]] = {}
    for process in processes:
        parent = process.parent_pid if process.parent_pid in known and process.parent_pid != process.pid else 0
        below.setdefault(parent, []).append(process)
    found = list[tuple[Process, str]]()
    waiting = [(one, "", "") for one in reversed(below.get(0, []))]
    while waiting:
        process, indent, deeper = waiting.pop()
        found.append((process, indent))
        children = below.get(process.pid, [])
        for child in reversed(children):
            last = child is children[-1]
            waiting.append((child, deeper + ("└─ " if last else "├─ "), deeper + ("   " if last else "│  ")))
    return found
