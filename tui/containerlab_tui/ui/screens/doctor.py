"""The doctor's page on one container: prediction, reasons and fixes.

It only reads. If the container stops meanwhile, the page keeps the last diagnosis and says so.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import Screen
from textual.widget import Widget

from containerlab_probes.errors import ContainerlabError
from containerlab_probes.records import Process
from containerlab_tui.model.diagnosis import Diagnosis, Finding, Outlook
from containerlab_tui.model.grace import grace_period
from containerlab_tui.present import doctor_text, signs, wording
from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.present.states import FINDINGS, OUTLOOKS
from containerlab_tui.session.actions import Scope
from containerlab_tui.session.freshness import started_at, stopped_clause
from containerlab_tui.session.selection import Selection
from containerlab_tui.ui.background import ask
from containerlab_tui.ui.bindings import bindings
from containerlab_tui.ui.messages import InventoryChanged
from containerlab_tui.ui.widgets.content import Content, Static, toast
from containerlab_tui.ui.widgets.status_bar import KeyBar

if TYPE_CHECKING:
    from containerlab_tui.model.inventory import Container
    from containerlab_tui.session.session import Session

TEXT_LIMIT = 1000
FIX_LIMIT = 8000
UNREACHED_SHOWN = 5

STYLES = {"good": "$text-success", "warn": "$text-warning", "bad": "$text-error", "muted": "$text-muted"}


@dataclass(frozen=True, slots=True)
class CheckedContainer:
    """The container that the page is about."""

    name: str
    diagnose: Callable[[], Diagnosis]
    """May block: called off the UI thread. Raises ContainerlabError."""
    ended: Callable[[], str]
    """Returns how it stopped, a clause; empty while it runs."""
    run: Callable[[], float | None]
    """Returns when it was started, which identifies a run; None if unknown."""
    stop: "Callable[[DoctorScreen], None]"
    """Opens the stop dialog."""
    known: Diagnosis | None = None
    """A recent diagnosis of this run, shown until a fresh one arrives."""
    known_at: float = 0.0
    """Time of that diagnosis, epoch seconds."""


class DoctorScreen(Screen[None]):
    """The diagnosis above or on the left; the findings, with a cursor, below or on the right."""

    CSS_PATH = "../styles/doctor.tcss"
    SIGNS = signs.DOCTOR
    SCOPE = Scope.DOCTOR
    BINDINGS: ClassVar[list[BindingType]] = bindings(SCOPE)
    AUTO_FOCUS = ""

    def __init__(self, checked: CheckedContainer, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._checked, self._clock = checked, clock
        self._diagnosis = checked.known
        self._findings: tuple[Finding, ...] = ()
        self._cursor = 0
        self._read_at = checked.known_at
        self._drawn: Diagnosis | None = None
        self._reading = False
        self._trouble = ""
        self._had_ended = False
        self._run = checked.run()

    def compose(self) -> ComposeResult:
        yield Static(id="head")
        yield Static(id="headline")
        yield Static(id="trouble")
        with VerticalScroll(id="page", can_focus=False):
            yield Vertical(id="answer")
            yield VerticalScroll(id="findings", can_focus=False)
        yield KeyBar()

    async def on_mount(self) -> None:
        if self._diagnosis is not None:
            await self._show(self._diagnosis)
        self.action_again()

    def on_resize(self) -> None:
        self.set_class(self.size.width >= 120, "wide")
        self._draw_head()

    # asking

    def action_again(self) -> None:
        """Diagnoses again. The previous diagnosis stays until the new one arrives."""
        self._reading = True
        self._draw_head()
        ask(self, self._checked.diagnose, self._answered, self._failed, group="doctor")

    def _answered(self, diagnosis: Diagnosis) -> None:
        self._reading, self._trouble, self._read_at = False, "", self._clock()
        self._draw_head()
        self.call_later(self._show, diagnosis)

    def _failed(self, error: ContainerlabError) -> None:
        self._reading, self._trouble = False, str(error)
        self._draw_head()

    def on_inventory_changed(self, event: InventoryChanged) -> None:
        """Diagnoses again after a restart: a diagnosis is about one run."""
        ended, run = bool(self._checked.ended()), self._checked.run() or self._run
        if not ended and (self._had_ended or run != self._run):
            self.action_again()
            self._run = run
        self._had_ended = ended
        self._draw_head()
        self.refresh_bindings()

    # drawing

    def _draw_head(self) -> None:
        """Draws the container, the read status and any error."""
        at = wording.clock_time(self._read_at)
        note = "reading …"
        if not self._reading:
            note = f"{doctor_text.counted(self._findings)}read at {at}" if self._diagnosis is not None else ""
        left = Content.assemble(("Doctor  ", "dim"), (safe_line(self._checked.name, 80), "bold"))
        room = max(self.size.width - 2 - len(note) - 2, 10)
        head = Content.assemble(left.truncate(room, ellipsis=True, pad=True), "  ", (note, "dim"))
        self.query_one("#head", Static).update(head)
        if self._diagnosis is None:
            headline = self.query_one("#headline", Static)
            headline.update(Content.styled("reading …", "dim"))
            headline.display = self._reading
        ended = self._checked.ended()
        trouble = f"Stopped: {ended}." if ended else self._trouble
        if trouble and self._diagnosis is not None:
            trouble += f" Showing the diagnosis of {at}."
        where = self.query_one("#trouble", Static)
        where.update(Content(f"! {safe_line(trouble, 400)}"))
        where.set_class(bool(trouble), "shown")

    async def _show(self, diagnosis: Diagnosis) -> None:
        """Draws a diagnosis if it differs from the one shown; the cursor stays on its finding."""
        if diagnosis == self._drawn:
            return
        chosen = self._chosen
        self._diagnosis = self._drawn = diagnosis
        self._findings = doctor_text.by_weight(diagnosis.findings)
        same = [one.code for one in self._findings]
        self._cursor = same.index(chosen.code) if chosen is not None and chosen.code in same else 0
        word = OUTLOOKS[diagnosis.outlook]
        headline = Content.styled(f"{word.glyph} {doctor_text.headline(diagnosis)}", f"bold {STYLES[word.tone]}")
        where = self.query_one("#headline", Static)
        where.update(headline)
        where.display = True
        answer, findings = self.query_one("#answer"), self.query_one("#findings")
        with self.app.batch_update():
            await answer.remove_children()
            await answer.mount_all(_answer(diagnosis))
            await findings.remove_children()
            await findings.mount_all(_findings(diagnosis, self._findings))
        self._draw_head()
        self._draw_cursor()

    def _draw_cursor(self) -> None:
        for number, block in enumerate(self.query(FindingBlock)):
            block.set_class(number == self._cursor, "chosen")
        self.refresh_bindings()

    # keys

    @property
    def _chosen(self) -> Finding | None:
        return self._findings[self._cursor] if self._cursor < len(self._findings) else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "copy":
            return self._chosen is not None and bool(self._chosen.remedy)
        if action == "stop":
            return not self._checked.ended()
        if action == "move":
            return bool(self._findings)
        return True

    @property
    def _scroll(self) -> VerticalScroll:
        """The part that scrolls: the findings if they are beside the diagnosis, else the whole page."""
        return self.query_one("#findings" if self.has_class("wide") else "#page", VerticalScroll)

    def action_move(self, step: int) -> None:
        """Moves to the next finding, or scrolls the current one if it doesn't fit."""
        blocks = list(self.query(FindingBlock))
        if len(blocks) != len(self._findings):
            return  # another diagnosis is being drawn
        place, block = self._scroll, blocks[self._cursor]
        hidden = block.region.bottom - place.region.bottom if step > 0 else place.region.y - block.region.y
        if hidden > 0:
            place.scroll_relative(y=step * min(hidden, max(place.size.height - 2, 1)), animate=False)
            return
        if 0 <= self._cursor + step < len(blocks):
            self._cursor += step
            self._draw_cursor()
            place.scroll_to_widget(blocks[self._cursor], animate=False, top=False)
        elif step < 0:
            place.scroll_home(animate=False)
        else:
            place.scroll_end(animate=False)

    def action_page(self, step: int) -> None:
        self._scroll.scroll_relative(y=step * max(self._scroll.size.height - 2, 1), animate=False)

    def action_copy(self) -> None:
        """Copies the fix of the finding under the cursor."""
        finding = self._chosen
        if finding is not None and finding.remedy:
            self.app.copy_to_clipboard(doctor_text.pasteable("\n".join(fix_lines(finding))))
            toast(self, safe_line(f"Copied the fix for {safe_line(finding.code, 40)}."))

    def action_stop(self) -> None:
        self._checked.stop(self)

    def action_leave(self) -> None:
        self.dismiss(None)


def fix_lines(finding: Finding) -> list[str]:
    """Returns the lines of the fix, with control characters made visible."""
    return [safe_line(line, FIX_LIMIT) for line in doctor_text.fix_lines(finding.remedy)]


def _fact(label: str, text: Content, bullet: str = "") -> Widget:
    """Returns a label with a text beside it."""
    parts = [Static(Content(label), classes="label"), Static(text, classes="text")]
    if bullet:
        parts.insert(1, Static(Content(bullet), classes="bullet"))
    return Horizontal(*parts, classes="fact")


def _facts(label: str, texts: Iterable[str], style: str = "") -> list[Widget]:
    """Returns texts under one label, without duplicates, with bullets if there are several."""
    safe = [Content.styled(safe_line(text, TEXT_LIMIT), style) for text in dict.fromkeys(texts)]
    bullet = "·" if len(safe) > 1 else ""
    return [_fact("" if number else label, text, bullet) for number, text in enumerate(safe)]


def _answer(one: Diagnosis) -> list[Widget]:
    """Returns the diagnosis without its findings."""
    facts = [
        _fact("stop", Content.assemble(safe_line(one.signal, 40), "  ", (_source(one.signal_source), "dim"))),
        _fact(
            "grace",
            Content.assemble(grace_period(one.timeout_s), "  ", (_source(one.timeout_source), "dim")),
        ),
        _fact("delivery", Content(wording.delivery(one.delivery))),
        _fact("program", Content(safe_line(one.program, 80) or "not recognised")),
        _fact("graceful", Content(safe_line(doctor_text.graceful(one), 120))),
    ]
    if took := doctor_text.duration(one):
        facts.append(_fact("takes", Content(took)))
    facts += _facts("because", one.evidence)
    facts += _facts("partial", one.partial)
    return [*facts, *_unreached(one.unreached, one.product.name)]


def _source(source: str) -> str:
    return safe_line(wording.SOURCES.get(source, source), 60)


def _unreached(processes: tuple[Process, ...], engine: str) -> list[Widget]:
    """Returns the processes that the engine doesn't signal; neighbours with the same command line are grouped."""
    alike = [(key, list(group)) for key, group in groupby(processes, lambda one: one.command)]
    lines = [Content.styled(f"{engine} signals only PID 1:", "dim")] if processes else []
    for command, group in alike[:UNREACHED_SHOWN]:
        more = f" ×{len(group)}" if len(group) > 1 else ""
        lines.append(
            Content.assemble((f"{group[0].container_pid:>5}  ", "dim"), safe_line(command, 200), (more, "dim"))
        )
    left = sum(len(group) for _, group in alike[UNREACHED_SHOWN:])
    if left:
        lines.append(Content(f"       and {left} more"))
    return [_fact("" if number else "no signal", line) for number, line in enumerate(lines)]


def _findings(one: Diagnosis, findings: tuple[Finding, ...]) -> list[Widget]:
    if not findings:
        known = "No problems found."
        return [Static(Content("No findings." if one.outlook is Outlook.UNKNOWN else known), classes="end")]
    end = "See README.md, “What the findings mean”."
    return [*(FindingBlock(one) for one in findings), Static(Content(end), classes="end")]


class FindingBlock(Vertical):
    """One finding with its evidence and fix; the fix stands apart so that it can be selected."""

    def __init__(self, finding: Finding) -> None:
        super().__init__()
        self.finding = finding

    def compose(self) -> ComposeResult:
        finding = self.finding
        sign = FINDINGS[finding.severity]
        yield Static(
            Content.assemble(
                (f"{sign.glyph} {sign.text}", f"bold {STYLES[sign.tone]}"), "  ", (safe_line(finding.code, 60), "bold")
            )
        )
        yield Static(Content(safe_line(finding.summary, TEXT_LIMIT)), classes="summary")
        yield from _facts("seen", finding.evidence, "dim")
        if finding.remedy:
            with Horizontal(classes="fact"):
                yield Static(Content("fix"), classes="label")
                yield Static(Content("\n".join(fix_lines(finding))), classes="text remedy")


def open_page(
    screen: Screen[None],
    session: "Session",
    container: "Container",
    known: Diagnosis | None = None,
    known_at: float = 0.0,
) -> None:
    """Opens the page on one container; shows `known`, read at `known_at`, until a fresh diagnosis arrives."""

    def stop(page: DoctorScreen) -> None:
        from containerlab_tui.ui.dialogs.stop import stop_containers

        stop_containers(page, session, Selection((container,)))

    checked = CheckedContainer(
        container.name,
        lambda: session.kernel.doctor(session.engine(), container.id, session.effects.see),
        lambda: stopped_clause(session.store, container.id, session.clock()),
        lambda: started_at(session.store, container.id),
        stop,
        known,
        known_at,
    )
    screen.app.push_screen(DoctorScreen(checked, session.clock))
