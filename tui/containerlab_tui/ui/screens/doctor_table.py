"""The doctor's table: containers with their predictions, worst first. Enter opens a container's page."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen

from containerlab_probes.errors import ContainerlabError
from containerlab_probes.records import WITHOUT_ROOT
from containerlab_tui.doctor.diagnosis import by_trouble
from containerlab_tui.model.diagnosis import Diagnosis, Outlook, Severity
from containerlab_tui.model.grace import grace_period
from containerlab_tui.present import doctor_text, signs, wording
from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.present.states import FINDINGS, OUTLOOKS
from containerlab_tui.session.actions import Scope
from containerlab_tui.session.freshness import RESTARTED, change_since, is_outdated, successor
from containerlab_tui.ui.background import ask
from containerlab_tui.ui.bindings import bindings
from containerlab_tui.ui.messages import InventoryChanged
from containerlab_tui.ui.screens.doctor import open_page
from containerlab_tui.ui.widgets.content import Content, Static
from containerlab_tui.ui.widgets.grid import Cell, Column, Grid, GridRow, cell
from containerlab_tui.ui.widgets.status_bar import KeyBar

if TYPE_CHECKING:
    from containerlab_tui.model.inventory import Container
    from containerlab_tui.session.session import Session

Answer = tuple[Sequence[Diagnosis], Sequence[str]]
"""The diagnoses, and a sentence for each container without one."""
UNREAD_SHOWN = 3
_ORDER = (Outlook.TIMES_OUT, Outlook.UNKNOWN, Outlook.EXITS)


class DoctorGrid(Grid):
    """One row for each container; its name is the row's key."""

    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("name", "NAME", 14, 32, share=3),
        Column("outlook", "PREDICTION", 12, 12),
        Column("sure", "CERTAINTY", 9, 9, rank=2),
        Column("stop", "SIGNAL", 9, 16, rank=3),
        Column("takes", "TAKES", 6, 7, right=True, rank=5),
        Column("program", "PROGRAM", 10, 22, rank=4),
        Column("findings", "PROBLEMS", 24, 120, rank=1, share=6),
    )


class DoctorTable(Screen[None]):
    """Shows one diagnosis of each container; `r` checks again. Containers that stopped or restarted since are dim."""

    CSS_PATH = "../styles/doctor.tcss"
    SIGNS = signs.DOCTOR
    SCOPE = Scope.DOCTOR_TABLE
    BINDINGS: ClassVar[list[BindingType]] = bindings(SCOPE)
    AUTO_FOCUS = "DoctorGrid"

    def __init__(
        self,
        title: str,
        question: Callable[[], Answer],
        open_page: Callable[[Diagnosis, float], None],
        since: Callable[[Diagnosis], str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`title`: which containers, in words. `question` may block: it runs off the UI thread.

        `open_page` gets the row, and when it was read (epoch seconds). `since` returns how a container stopped since
        its diagnosis, a clause; RESTARTED if it was restarted; empty otherwise.
        """
        super().__init__()
        self._title_text, self._question, self._open_page, self._since = title, question, open_page, since
        self._clock = clock
        self._read_at: float | None = None
        self._reading = False
        self._diagnoses: dict[str, Diagnosis] = {}
        self._changes: dict[str, str] = {}
        self._unread: Sequence[str] = ()
        self._trouble = ""

    def compose(self) -> ComposeResult:
        yield Static(id="head")
        yield Static(id="trouble")
        yield DoctorGrid()
        yield Static(id="about")
        yield KeyBar()

    def on_mount(self) -> None:
        self.action_again()

    def on_resize(self) -> None:
        self._draw_head()

    @property
    def _grid(self) -> DoctorGrid:
        return self.query_one(DoctorGrid)

    # asking

    def action_again(self) -> None:
        """Diagnoses again. The previous diagnoses stay until the new ones arrive."""
        self._reading = True
        self._draw()
        ask(self, self._question, self._answered, self._failed, group="doctor")

    def _answered(self, answer: Answer) -> None:
        diagnoses, self._unread = answer
        self._reading, self._trouble, self._read_at = False, "", self._clock()
        self._diagnoses = {one.container: one for one in by_trouble(diagnoses)}
        self._draw()

    def _failed(self, error: ContainerlabError) -> None:
        self._reading, self._trouble = False, str(error)
        self._draw()

    def on_inventory_changed(self, event: InventoryChanged) -> None:
        self._draw()

    # drawing

    def _draw(self) -> None:
        grid = self._grid
        none_yet = "Reading …" if self._reading else "" if self._trouble or self._unread else "No running containers."
        if grid.empty_text != none_yet:
            grid.empty_text = none_yet
            grid.refresh()
        self._changes = {name: self._since(one) for name, one in self._diagnoses.items()}
        grid.set_rows(_row(one, self._changes[name]) for name, one in self._diagnoses.items())
        self._draw_head()
        self._draw_about()

    def _draw_head(self) -> None:
        note = "reading …" if self._reading else ""
        if self._read_at is not None and not self._reading:
            note, at = _counted(self._diagnoses.values()), f"read at {wording.clock_time(self._read_at)}"
            if len(note) + len(at) + len(self._title_text) + 15 <= self.size.width:
                note = f"{note}   {at}" if note else at
        left = Content.assemble(("Doctor  ", "dim"), (self._title_text, "bold"))
        room = max(self.size.width - 2 - len(note) - 2, 10)
        head = Content.assemble(left.truncate(room, ellipsis=True, pad=True), "  ", (note, "dim"))
        self.query_one("#head", Static).update(head)
        lines = [self._trouble] if self._trouble else []
        lines += [f"Not checked: {one}" for one in self._unread[:UNREAD_SHOWN]]
        partial = {one.container: set(one.partial) for one in self._diagnoses.values() if one.partial}
        lines += [WITHOUT_ROOT] if any(WITHOUT_ROOT in one for one in partial.values()) else []
        lines += [f"Partly checked: {name}" for name, one in partial.items() if one - {WITHOUT_ROOT}][:UNREAD_SHOWN]
        if len(self._unread) > UNREAD_SHOWN:
            lines.append(f"and {len(self._unread) - UNREAD_SHOWN} more not checked")
        where = self.query_one("#trouble", Static)
        where.update(Content("\n".join(f"! {safe_line(line, 300)}" for line in lines)))
        where.set_class(bool(lines), "shown")

    def _draw_about(self) -> None:
        """Draws the row under the cursor in words: the prediction and the worst finding."""
        one = self._diagnoses.get(self._grid.row_key or "")
        where = self.query_one("#about", Static)
        where.set_class(one is not None, "shown")
        if one is None:
            return
        change = self._changes.get(one.container)
        lines = [f"Stopped since: {change}." if change else f"{one.container}: {doctor_text.headline(one)}"]
        if change == RESTARTED:
            lines = ["Restarted since this check. Press r to check again."]
        worst = doctor_text.by_weight(one.findings)[:1]
        lines += [finding.summary for finding in worst]
        where.update(Content("\n".join(safe_line(line, 400) for line in lines)))

    # keys

    def on_grid_moved(self, event: Grid.Moved) -> None:
        self._draw_about()

    def on_grid_opened(self, event: Grid.Opened) -> None:
        one = self._diagnoses.get(event.key)
        if one is not None and self._read_at is not None:
            self._open_page(one, self._read_at)

    def action_leave(self) -> None:
        self.dismiss(None)


def _counted(diagnoses: Iterable[Diagnosis]) -> str:
    """Returns how many containers have each prediction."""
    counts = Counter(one.outlook for one in diagnoses)
    parts = [f"{OUTLOOKS[each].glyph} {counts[each]} {OUTLOOKS[each].text}" for each in _ORDER if counts[each]]
    return "  ".join(parts)


def _row(one: Diagnosis, change: str) -> GridRow:
    word = OUTLOOKS[one.outlook]
    signal = one.signal.removeprefix("SIG")
    took = doctor_text.duration(one).removeprefix("about ")
    return GridRow(
        one.container,
        (
            ("name", cell(safe_line(one.container, 80))),
            ("outlook", cell(f"{word.glyph} {word.text}", word.tone)),
            ("sure", cell("—" if one.outlook is Outlook.UNKNOWN else one.confidence.value)),
            ("stop", cell(f"{signal:<4} ") + cell(f"{grace_period(one.timeout_s, short=True):>3}", "muted")),
            ("takes", cell(took or "—", "plain" if took else "muted")),
            ("program", cell(safe_line(one.program, 40) or "—", "plain" if one.program else "muted")),
            ("findings", _wrong(one) if not change else cell(change, "muted")),
        ),
        dim=bool(change),
    )


def _wrong(one: Diagnosis) -> Cell:
    """Returns the codes of the problems, worst first."""
    found = [finding for finding in doctor_text.by_weight(one.findings) if finding.severity is not Severity.NOTE]
    if not found:
        return cell("—", "muted")
    parts: Cell = ()
    for finding in found:
        sign = FINDINGS[finding.severity]
        parts += cell(f"{sign.glyph} {safe_line(finding.code, 40)}  ", sign.tone)
    return parts


def open_table(screen: Screen[None], session: "Session", containers: "Sequence[Container] | None" = None) -> None:
    """Opens the table of these containers, or of all running ones."""

    def question() -> Answer:
        chosen = None if containers is None else [(one.id, one.name) for one in containers]
        return session.kernel.doctor_each(session.engine(), chosen, session.effects.see)

    def open_one(one: Diagnosis, read_at: float) -> None:
        container = successor(session.store, one)
        if container is not None:
            known = None if is_outdated(session.store, container, one) else one
            open_page(table, session, container, known, read_at)

    which = "all running" if containers is None else f"{len(containers)} marked"
    table = DoctorTable(
        which, question, open_one, lambda one: change_since(session.store, one, session.clock()), session.clock
    )
    screen.app.push_screen(table)
