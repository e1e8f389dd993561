"""The doctor's table: containers side by side, those in the worst trouble first. Enter opens one's page."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from containerlab_probes.errors import ContainerlabError
from containerlab_tui.doctor.diagnosis import by_trouble
from containerlab_tui.model.diagnosis import Diagnosis, Outlook, Severity
from containerlab_tui.present import doctor_text, signs, wording
from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.present.states import FINDINGS, OUTLOOKS, grace_period
from containerlab_tui.session.actions import Scope
from containerlab_tui.session.freshness import RESTARTED, change_since, is_outdated, successor
from containerlab_tui.ui.background import ask
from containerlab_tui.ui.bindings import bindings
from containerlab_tui.ui.messages import InventoryChanged
from containerlab_tui.ui.screens.doctor import open_page
from containerlab_tui.ui.widgets.grid import Cell, Column, Grid, Row, cell
from containerlab_tui.ui.widgets.status_bar import KeyBar

if TYPE_CHECKING:
    from containerlab_tui.model.inventory import Container
    from containerlab_tui.session.session import Session

Answer = tuple[Sequence[Diagnosis], Sequence[str]]
"""The diagnoses, and a sentence for each container that had none."""
UNREAD_SHOWN = 3
_ORDER = (Outlook.TIMES_OUT, Outlook.UNKNOWN, Outlook.EXITS)


class DoctorGrid(Grid):
    """A row a container; its name is the row's key."""

    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("name", "NAME", 14, 32, share=3),
        Column("outlook", "STOP ENDS", 12, 12),
        Column("sure", "HOW SURE", 8, 8, rank=2),
        Column("stop", "SIGNAL", 9, 16, rank=3),
        Column("takes", "TAKES", 6, 7, right=True, rank=5),
        Column("program", "PROGRAM", 10, 22, rank=4),
        Column("findings", "WHAT IS WRONG", 24, 120, rank=1, share=6),
    )


class DoctorTable(Screen[None]):
    """Shows what was answered once; `r` asks again. Containers that have ended or begun again since are dim."""

    CSS_PATH = "../styles/doctor.tcss"
    SIGNS = signs.DOCTOR
    SCOPE = Scope.DOCTOR_TABLE
    BINDINGS: ClassVar[list[BindingType]] = bindings(SCOPE)
    AUTO_FOCUS = "DoctorGrid"

    def __init__(
        self,
        whom: str,
        question: Callable[[], Answer],
        open_page: Callable[[Diagnosis, float], None],
        since: Callable[[Diagnosis], str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`whom`: which containers, in words. `question` may block: it runs off the UI thread.

        `open_page` gets the row, and when it was read (epoch seconds). `since` says how a container has ended since it
        was looked at, a clause; RESTARTED where it was started again; nothing where neither is so.
        """
        super().__init__()
        self._whom, self._question, self._open_page, self._since = whom, question, open_page, since
        self._clock = clock
        self._read_at: float | None = None
        self._looking = False
        self._diagnoses: dict[str, Diagnosis] = {}
        self._become: dict[str, str] = {}
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
        """Ask again. What is known stays until the answer is there."""
        self._looking = True
        self._draw()
        ask(self, self._question, self._answered, self._failed, group="doctor")

    def _answered(self, answer: Answer) -> None:
        diagnoses, self._unread = answer
        self._looking, self._trouble, self._read_at = False, "", self._clock()
        self._diagnoses = {one.container: one for one in by_trouble(diagnoses)}
        self._draw()

    def _failed(self, error: ContainerlabError) -> None:
        self._looking, self._trouble = False, str(error)
        self._draw()

    def on_inventory_changed(self, event: InventoryChanged) -> None:
        self._draw()

    # drawing

    def _draw(self) -> None:
        grid = self._grid
        none_yet = "Looking …" if self._looking else "" if self._trouble or self._unread else "No container is running."
        if grid.empty_text != none_yet:
            grid.empty_text = none_yet
            grid.refresh()
        self._become = {name: self._since(one) for name, one in self._diagnoses.items()}
        grid.set_rows(_row(one, self._become[name]) for name, one in self._diagnoses.items())
        self._draw_head()
        self._draw_about()

    def _draw_head(self) -> None:
        note = "looking …" if self._looking else ""
        if self._read_at is not None and not self._looking:
            note, at = _counted(self._diagnoses.values()), f"read at {wording.clock_time(self._read_at)}"
            if len(note) + len(at) + len(self._whom) + 15 <= self.size.width:
                note = f"{note}   {at}" if note else at
        left = Content.assemble(("Doctor  ", "dim"), (self._whom, "bold"))
        room = max(self.size.width - 2 - len(note) - 2, 10)
        head = Content.assemble(left.truncate(room, ellipsis=True, pad=True), "  ", (note, "dim"))
        self.query_one("#head", Static).update(head)
        lines = [self._trouble] if self._trouble else []
        lines += [f"Not looked at: {one}" for one in self._unread[:UNREAD_SHOWN]]
        if len(self._unread) > UNREAD_SHOWN:
            lines.append(f"and {len(self._unread) - UNREAD_SHOWN} more that could not be looked at")
        where = self.query_one("#trouble", Static)
        where.update(Content("\n".join(f"! {safe_line(line, 300)}" for line in lines)))
        where.set_class(bool(lines), "shown")

    def _draw_about(self) -> None:
        """The row under the cursor in words: how its stop would go, and the worst that was found."""
        one = self._diagnoses.get(self._grid.row_key or "")
        where = self.query_one("#about", Static)
        where.set_class(one is not None, "shown")
        if one is None:
            return
        become = self._become.get(one.container)
        lines = [f"It has ended since: {become}." if become else f"{one.container}: {doctor_text.headline(one)}"]
        if become == RESTARTED:
            lines = ["It was started again since; this is what was found before. r asks anew."]
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
    """How many there are of each outlook: `2 end in time, 1 gets SIGKILL, 3 not known`."""
    counts = Counter(one.outlook for one in diagnoses)
    parts = [f"{OUTLOOKS[each].glyph} {counts[each]} {OUTLOOKS[each].text}" for each in _ORDER if counts[each]]
    return "  ".join(parts)


def _row(one: Diagnosis, become: str) -> Row:
    word = OUTLOOKS[one.outlook]
    signal = one.signal.removeprefix("SIG")
    took = doctor_text.duration(one).removeprefix("about ")
    return Row(
        one.container,
        (
            ("name", cell(safe_line(one.container, 80))),
            ("outlook", cell(f"{word.glyph} {word.text}", word.tone)),
            ("sure", cell("—" if one.outlook is Outlook.UNKNOWN else one.confidence.value)),
            ("stop", ((f"{signal:<4} ", "plain"), (f"{grace_period(one.timeout_s, short=True):>3}", "muted"))),
            ("takes", cell(took or "—", "plain" if took else "muted")),
            ("program", cell(safe_line(one.program, 40) or "—", "plain" if one.program else "muted")),
            ("findings", _wrong(one) if not become else cell(become, "muted")),
        ),
        dim=bool(become),
    )


def _wrong(one: Diagnosis) -> Cell:
    """The codes of what should be mended, the worst first."""
    found = [finding for finding in doctor_text.by_weight(one.findings) if finding.severity is not Severity.NOTE]
    if not found:
        return cell("—", "muted")
    return tuple(
        (f"{FINDINGS[finding.severity].glyph} {safe_line(finding.code, 40)}  ", FINDINGS[finding.severity].tone)
        for finding in found
    )


def open_table(screen: Screen[None], session: "Session", containers: "Sequence[Container] | None" = None) -> None:
    """Opens the table of these containers, or of all that run."""

    def question() -> Answer:
        from containerlab_tui.services import diagnosis

        if containers is None:
            return diagnosis.doctor_all(session.engine(), diagnosis.remembered)
        chosen = [(one.id, one.name) for one in containers]
        return diagnosis.doctor_each(session.engine(), chosen, diagnosis.remembered)

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
