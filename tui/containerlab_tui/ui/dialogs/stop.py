"""Asks before a stop: signal, grace period, effect on PID 1, and processes that are not signalled."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from rich.cells import set_cell_size
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.suggester import SuggestFromList

from containerlab_probes.errors import ContainerlabError
from containerlab_probes.records import Forecast, Process
from containerlab_probes.signals.forecast import forecast
from containerlab_probes.signals.names import SIGKILL, all_signals, name_of
from containerlab_tui.model.diagnosis import Diagnosis
from containerlab_tui.model.grace import NO_LIMIT, grace_period
from containerlab_tui.model.stop import StopPlan
from containerlab_tui.present import doctor_text, wording
from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.present.states import OUTLOOKS
from containerlab_tui.services.policy import Operation
from containerlab_tui.services.processes import children_of, forecasts
from containerlab_tui.session.actions import Scope
from containerlab_tui.session.selection import Selection, counted, hidden_note
from containerlab_tui.ui.background import ask
from containerlab_tui.ui.bindings import bindings, is_refused
from containerlab_tui.ui.dialogs.opening import open_when_read
from containerlab_tui.ui.dialogs.stop_fields import read_grace, read_signal
from containerlab_tui.ui.messages import ShowStops
from containerlab_tui.ui.widgets.content import Content, Input, Label, Static

if TYPE_CHECKING:
    from containerlab_tui.session.session import Session

_UNREACHED_SHOWN = 5


@dataclass(frozen=True, slots=True)
class StopChoice:
    """The chosen signal and grace period; None: as planned for each container."""

    signal: int | None = None
    timeout_s: int | None = None
    """Seconds; -1: no limit."""


class StopDialog(ModalScreen[StopChoice | None]):
    """Enter stops as shown, Esc cancels."""

    CSS_PATH = "../styles/dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.STOP_DIALOG)

    def __init__(
        self, plans: Sequence[StopPlan], doctor: Callable[[], Diagnosis] | None = None, *, hidden: str = ""
    ) -> None:
        """`plans`: one for each container, at least one. `hidden` says how many the list does not show, a sentence.

        `doctor` diagnoses the container if there is only one. It may block: it runs off the UI thread.
        """
        super().__init__(classes="dialog-screen")
        self._plans = tuple(plans)
        self._hidden = hidden
        self._doctor = doctor
        self._outlook = Content.styled("reading …", "dim") if doctor is not None else None
        """The doctor's prediction for the stop as planned."""

    @property
    def _one(self) -> StopPlan | None:
        return self._plans[0] if len(self._plans) == 1 else None

    def compose(self) -> ComposeResult:
        plan = self._one
        names = [name_of(signal) for signal in all_signals()]
        with Vertical(classes="dialog", id="box") as box:
            with Horizontal(classes="field"):
                yield Label(Content("Grace period"))
                yield Input(
                    "" if plan is None else "no limit" if plan.timeout_s < 0 else f"{plan.timeout_s:g}",
                    placeholder="as configured for each",
                    compact=True,
                    id="grace",
                )
                yield Static(classes="note", id="grace-note")
            with Horizontal(classes="field"):
                yield Label(Content("Signal"))
                yield Input(
                    "" if plan is None else name_of(plan.signal),
                    placeholder="as configured for each",
                    suggester=SuggestFromList(names, case_sensitive=False),
                    compact=True,
                    id="signal",
                )
                yield Static(classes="note", id="signal-note")
            yield Static(classes="complaint", id="complaint")
            with VerticalScroll(id="facts", can_focus=False):
                yield Static(classes="line", id="words")
        name = safe_line(plan.name, 50) if plan else f"{len(self._plans)} containers"
        box.border_title = Content(f"Stop {name}")
        box.border_subtitle = Content("enter stop · tab next field · esc cancel")

    def on_mount(self) -> None:
        self.query_one("#grace", Input).focus()
        self._update()
        if self._doctor is not None:
            ask(self, self._doctor, self._answered, self._unanswered, group="doctor")

    def _answered(self, diagnosis: Diagnosis) -> None:
        self._outlook = Content(f"{OUTLOOKS[diagnosis.outlook].glyph} {doctor_text.headline(diagnosis)}")
        self._update()

    def _unanswered(self, error: ContainerlabError) -> None:
        self._outlook = None
        self._update()

    def _read(self) -> StopChoice:
        """Returns the choice in the fields. Raises ValueError with a sentence."""
        grace = self.query_one("#grace", Input).value
        signal = self.query_one("#signal", Input).value.strip()
        timeout_s = read_grace(grace)
        number = read_signal(signal)
        plan = self._one
        if plan is None:
            return StopChoice(number, timeout_s)
        if number is None or timeout_s is None:
            raise ValueError("Enter a signal." if number is None else "Enter seconds, or `forever`.")
        same = timeout_s == plan.timeout_s or (timeout_s < 0 and plan.timeout_s < 0)
        return StopChoice(None if number == plan.signal else number, None if same else timeout_s)

    def _update(self) -> None:
        """Redraws the parts that depend on the fields."""
        complaint = self.query_one("#complaint", Static)
        try:
            choice = self._read()
        except ValueError as error:
            complaint.update(Content(f"! {error}"))
            complaint.add_class("shown")
            return
        complaint.remove_class("shown")
        self._note("#grace-note", "s, ", choice.timeout_s, "timeout")
        self._note("#signal-note", "", choice.signal, "signal")
        plan = self._one
        outlook = self._outlook if choice == StopChoice() else None  # it is not about another signal or time
        shown = _facts(plan, choice, outlook) if plan else _list(self._plans, choice)
        if self._hidden:
            shown = Content("\n").join([Content(safe_line(self._hidden)), shown])
        self.query_one("#words", Static).update(shown)

    def _note(self, where: str, unit: str, chosen: int | None, what: str) -> None:
        """Shows where a value comes from."""
        plan = self._one
        planned = "" if plan is None else plan.timeout_source if what == "timeout" else plan.signal_source
        source = wording.SOURCES.get("request" if chosen is not None else planned, planned)
        no_limit = what == "timeout" and self.query_one("#grace", Input).value.strip().lower() in NO_LIMIT
        self.query_one(where, Static).update(Content(("" if no_limit else unit) + source if source else ""))

    def on_input_changed(self) -> None:
        self._update()

    def on_input_submitted(self) -> None:
        try:
            self.dismiss(self._read())
        except ValueError:
            self.app.bell()

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_scroll(self, by: int) -> None:
        """Scrolls the containers, if there are more than fit."""
        self.query_one("#facts", VerticalScroll).scroll_relative(y=by, animate=False)

    def action_other_field(self) -> None:
        self.focus_next(Input)


def _forecast(plan: StopPlan, process: Process, signal: int) -> Forecast:
    made = next((one for one in plan.forecasts if one.id == process.id and one.signal == signal), None)
    if made is not None:
        return made
    return forecast(process, signal, children_of(process, plan.processes))


def _facts(plan: StopPlan, choice: StopChoice, outlook: Content | None) -> Content:
    """Returns the facts of one container: effect on PID 1, what follows, and processes not signalled."""
    signal = plan.signal if choice.signal is None else choice.signal
    grace = plan.timeout_s if choice.timeout_s is None else choice.timeout_s
    lines: list[Content] = []
    if plan.init is None:
        lines.append(Content(f"? Effect unknown: {safe_line(plan.unseen_reason) or 'processes unreadable'}"))
    else:
        made = _forecast(plan, plan.init, signal)
        lines.append(Content.assemble(("PID 1  ", "dim"), safe_line(plan.init.command, 66)))
        lines.append(Content.assemble("       ", (f"{wording.glyph(made)} {wording.words(made)}", "bold")))
    lines.append(Content(f"Then   {_then(signal, grace, plan.product.name)}"))
    if outlook is not None:
        lines.append(Content.assemble(("Doctor ", "dim"), outlook))
    if plan.unreached:
        lines += [Content(""), Content(f"{plan.product.name} signals only PID 1, not {_others(len(plan.unreached))}:")]
        for process in plan.unreached[:_UNREACHED_SHOWN]:
            lines.append(Content.assemble((f"{process.container_pid:>5}  ", "dim"), safe_line(process.command, 66)))
        if len(plan.unreached) > _UNREACHED_SHOWN:
            lines.append(Content(f"       and {len(plan.unreached) - _UNREACHED_SHOWN} more"))
    return Content("\n").join(lines)


def _then(signal: int, grace: float, engine: str) -> str:
    if signal == SIGKILL:
        return "no grace period: the signal is SIGKILL"
    if grace < 0:
        return f"nothing: {engine} waits forever"
    if grace == 0:
        return "SIGKILL at once, exit code 137"
    return f"SIGKILL to PID 1 and all others after {grace_period(grace)}, exit code 137"


def _others(count: int) -> str:
    return "the other process" if count == 1 else f"the {count} other processes"


def _list(plans: Sequence[StopPlan], choice: StopChoice) -> Content:
    """Returns one line for each container."""
    lines = [Content.styled(f"  {'CONTAINER':<20} {'SIGNAL':<8} {'GRACE':>8}  PID 1", "dim")]
    for plan in plans:
        signal = plan.signal if choice.signal is None else choice.signal
        grace = plan.timeout_s if choice.timeout_s is None else choice.timeout_s
        made = _forecast(plan, plan.init, signal) if plan.init else None
        rest = f", {len(plan.unreached)} not signalled" if plan.unreached else ""
        name = set_cell_size(safe_line(plan.name, 20), 20)
        lines.append(
            Content.assemble(
                f"  {name} {name_of(signal).removeprefix('SIG'):<8} {grace_period(grace):>8}  ",
                (f"{wording.glyph(made)} {wording.short(made)}", "bold"),
                (rest, "dim"),
            )
        )
    return Content("\n").join(lines)


def stop_containers(screen: Screen[None], session: "Session", selection: Selection) -> None:
    """Asks how to stop these containers, stops them and opens the screen of stops."""
    containers = selection.containers
    if not containers or is_refused(screen.app, session, Operation.STOP):
        return

    def plans() -> list[StopPlan]:
        from containerlab_tui.services.stop import plan_stop

        engine = session.engine()
        return [plan_stop(engine, one.id, see=session.effects.see) for one in containers]

    def begin(planned: Sequence[StopPlan]) -> None:
        for plan in planned:
            session.stops.begin(plan)
        screen.post_message(ShowStops(planned[0].container))

    def choose(planned: list[StopPlan]) -> None:
        if not session.policy.asks(Operation.STOP):
            begin(planned)
            return

        def doctor() -> Diagnosis:
            return session.kernel.doctor(session.engine(), planned[0].container, session.effects.see)

        def chosen(choice: StopChoice | None) -> None:
            if choice is not None:
                begin([_chosen(plan, choice) for plan in planned])

        one_doctor = doctor if len(planned) == 1 else None
        screen.app.push_screen(StopDialog(planned, one_doctor, hidden=hidden_note(selection)), chosen)

    reading = safe_line(f"Reading {counted(containers)} …")
    open_when_read(screen.app, reading, plans, choose)


def _chosen(plan: StopPlan, choice: StopChoice) -> StopPlan:
    """Returns the plan with the chosen signal and grace period."""
    if choice.signal is not None:
        made = forecasts(plan.processes, choice.signal)
        plan = replace(plan, signal=choice.signal, signal_source="request", forecasts=made)
    if choice.timeout_s is not None:
        plan = replace(plan, timeout_s=choice.timeout_s, timeout_source="request")
    return plan
