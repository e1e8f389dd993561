"""Chooses and sends a signal: lists all signals with their effect on the target."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from containerlab_probes.records import Forecast, Process, ProcessId
from containerlab_probes.signals.forecast import forecast
from containerlab_probes.signals.names import SIGKILL, all_signals, name_of, number_of
from containerlab_tui.present import signs, wording
from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.services.policy import Operation
from containerlab_tui.services.processes import children_of
from containerlab_tui.services.signals import Target, select
from containerlab_tui.session.actions import Scope
from containerlab_tui.session.selection import Selection, about, counted
from containerlab_tui.ui.background import do
from containerlab_tui.ui.bindings import bindings, is_refused
from containerlab_tui.ui.dialogs.confirm import LONGEST_LIST
from containerlab_tui.ui.dialogs.opening import open_when_read
from containerlab_tui.ui.widgets.content import Content, Input, Static, toast

if TYPE_CHECKING:
    from containerlab_tui.model.inventory import Details
    from containerlab_tui.model.views import Sent
    from containerlab_tui.session.session import Session

SIGTERM = 15

_TARGETS = {
    Target.PROCESS: "this process",
    Target.CHILDREN: "its children",
    Target.TREE: "whole tree",
}
_ENDS_CONTAINER = "terminates PID 1, which stops the container"


@dataclass(frozen=True, slots=True)
class SignalSubject:
    """A container to send a signal to."""

    container: str
    """Full id."""
    name: str
    processes: tuple[Process, ...] = ()
    """Its process tree, PID 1 first; empty if unreadable."""
    chosen: ProcessId | None = None
    """The selected process; None: PID 1."""
    unseen_reason: str = ""
    """Why the processes are unreadable, a clause."""

    @property
    def process(self) -> Process | None:
        """The target process."""
        return next((one for one in self.processes if one.id == self.chosen), self.init if not self.chosen else None)

    @property
    def init(self) -> Process | None:
        """The container's first process; with --pid=host its number is not 1."""
        return self.processes[0] if self.processes else None


@dataclass(frozen=True, slots=True)
class SignalChoice:
    """A chosen signal. `init`: the target starts at PID 1, not at the selected process."""

    signal: int
    target: Target
    init: bool = False


@dataclass(frozen=True, slots=True)
class _Aim:
    """One of the targets that Tab cycles through."""

    target: Target
    init: bool
    words: str


class SignalPicker(ModalScreen[SignalChoice | None]):
    """Typing filters, Up and Down select, Tab changes the target, Enter sends, Esc cancels."""

    CSS_PATH = "../styles/dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.SIGNAL_DIALOG)

    def __init__(self, subjects: Sequence[SignalSubject], signal: int = SIGTERM, *, about: Sequence[str] = ()) -> None:
        """`subjects`: at least one. `signal` is selected at first.

        `about`: the names of several containers, and how many are hidden. It is made safe here.
        """
        super().__init__(classes="dialog-screen")
        self._subjects = tuple(subjects)
        self._first = signal
        self._about = Content("\n").join([Content(safe_line(line, LONGEST_LIST)) for line in about])
        self._aims = self._possible_aims()
        self._aim = 0
        self._shown: list[int] = []
        self._made: dict[tuple[int, int], list[Forecast | None]] = {}
        self._meant: dict[int, list[tuple[Process | None, tuple[Process, ...]]]] = {}
        self._marked = 0
        """The row with the cursor's mark."""

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog", id="box") as box:
            if self._about:
                with VerticalScroll(classes="about", can_focus=False):
                    yield Static(self._about, classes="line", id="subjects")
            yield Input(placeholder="type a name or a number", compact=True, id="narrow")
            yield OptionList(id="signals", compact=True)
            yield Static(classes="line", id="targets")
            yield Static(classes="line", id="warning")
        box.border_title = self._title()
        box.border_subtitle = Content(
            "enter send · tab target · esc cancel" if len(self._aims) > 1 else "enter send · esc cancel"
        )

    def on_mount(self) -> None:
        subject = self._subjects[0]
        if subject.chosen is not None and subject.process is None:
            toast(self, safe_line("The selected process has exited."), "warning")
            self.dismiss(None)
            return
        self.query_one(OptionList).can_focus = False
        self.query_one(Input).focus()
        self._fill()

    def _title(self) -> Content:
        if len(self._subjects) > 1:
            return Content(f"Signal to PID 1 of {len(self._subjects)} containers")
        subject = self._subjects[0]
        process = subject.process
        if process is None:
            return Content(f"Signal to PID 1 of {safe_line(subject.name)}")
        numbers = f"  PID {process.container_pid}, host {process.pid}"
        return Content(f"Signal to {safe_line(process.command, 64 - len(numbers))}{numbers}")

    def _possible_aims(self) -> tuple[_Aim, ...]:
        """Returns this process, its children if any, and PID 1 if another process is selected."""
        subject = self._subjects[0]
        if len(self._subjects) > 1 or subject.process is None:
            aims = [_Aim(Target.PROCESS, True, "PID 1")]
            if all(subject.init for subject in self._subjects):
                aims.append(_Aim(Target.TREE, True, "whole tree"))
            return tuple(aims)
        process = subject.process
        is_init = process == subject.init
        below = len(select(subject.processes, process, Target.CHILDREN))
        aims = [_Aim(Target.PROCESS, is_init, _TARGETS[Target.PROCESS])]
        if below:
            aims.append(_Aim(Target.CHILDREN, is_init, f"{_TARGETS[Target.CHILDREN]} ({below})"))
            aims.append(_Aim(Target.TREE, is_init, f"{_TARGETS[Target.TREE]} ({below + 1})"))
        if not is_init and subject.init is not None:
            aims.append(_Aim(Target.PROCESS, True, "PID 1"))
        return tuple(aims)

    def _forecasts(self, signal: int) -> list[Forecast | None]:
        """Returns the signal's effect on each process of the current target, computed once."""
        known = self._made.get((self._aim, signal))
        if known is None:
            known = self._made[self._aim, signal] = self._make_forecasts(signal)
        return known

    def _make_forecasts(self, signal: int) -> list[Forecast | None]:
        return [
            None if process is None else forecast(process, signal, children) for process, children in self._targets()
        ]

    def _targets(self) -> list[tuple[Process | None, tuple[Process, ...]]]:
        """Returns the processes of the current target, each with its children; None for an unreadable one."""
        known = self._meant.get(self._aim)
        if known is not None:
            return known
        aim = self._aims[self._aim]
        known = self._meant[self._aim] = []
        for subject in self._subjects:
            root = subject.init if aim.init else subject.process
            if root is None:
                known.append((None, ()))
                continue
            for process in select(subject.processes, root, aim.target):
                known.append((process, children_of(process, subject.processes)))
        return known

    def _kills_init(self, signal: int) -> bool:
        """Returns whether the signal terminates a container's PID 1, and so stops the container."""
        inits = {subject.init.id for subject in self._subjects if subject.init is not None}
        return any(one is not None and one.id in inits and wording.is_fatal(one) for one in self._forecasts(signal))

    def _fill(self) -> None:
        """Shows the matching signals and selects the best match."""
        typed = self.query_one(Input).value
        self._shown = matching(typed)
        signals = self.query_one(OptionList)
        best = self._shown.index(self._first) if not typed.strip() and self._first in self._shown else 0
        self._marked = best
        signals.set_options(Option(self._row(index)) for index in range(len(self._shown)))
        signals.highlighted = best if self._shown else None
        self._explain()

    def _row(self, index: int) -> Content:
        signal = self._shown[index]
        glyph, said = wording.combined(self._forecasts(signal))
        if glyph == signs.TERMINATES and self._kills_init(signal):
            said = _ENDS_CONTAINER
        style = "bold $text-error" if glyph == signs.TERMINATES else "dim" if glyph == signs.NO_EFFECT else ""
        cursor = ("▌" if index == self._marked else " ", "$text-accent")
        return Content.assemble(cursor, f"{signal:>2}  {name_of(signal):<12}", (f"{glyph} {said}", style))

    def _explain(self) -> None:
        """Shows the targets, and a warning about the current choice."""
        marks = [
            (f"{'(•)' if index == self._aim else '( )'} {aim.words}  ", "bold" if index == self._aim else "dim")
            for index, aim in enumerate(self._aims)
        ]
        self.query_one("#targets", Static).update(Content.assemble("to  ", *marks))
        signal = self._signal
        kills = signal is not None and self._kills_init(signal)
        warning = self.query_one("#warning", Static)
        self.query_one("#box").set_class(kills or signal == SIGKILL, "danger")
        warning.update(self._warning(signal, kills))

    def _warning(self, signal: int | None, kills: bool) -> Content:
        if signal is None:
            return Content("No such signal.")
        name = name_of(signal)
        count = len(self._subjects)
        if kills:
            what = f"the {count} containers" if count > 1 else f"the container {safe_line(self._subjects[0].name, 30)}"
            return Content.styled(f"† {name} terminates PID 1, which stops {what}.", "bold $text-error")
        if signal == SIGKILL:
            return Content.styled(f"† {name} can't be handled: the process gets no clean shutdown.", "bold $text-error")
        reason = next((one.unseen_reason for one in self._subjects if not one.processes and one.unseen_reason), "")
        if reason:
            return Content.styled(f"? effect unknown: {safe_line(reason)}", "dim")
        return Content("")

    @property
    def _signal(self) -> int | None:
        chosen = self.query_one(OptionList).highlighted
        return None if chosen is None or chosen >= len(self._shown) else self._shown[chosen]

    def on_input_changed(self) -> None:
        self._fill()

    def on_input_submitted(self) -> None:
        self._send()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        before, self._marked = self._marked, event.option_index
        for index in {before, self._marked}:
            if index < len(self._shown):
                event.option_list.replace_option_prompt_at_index(index, self._row(index))
        self._explain()

    def on_option_list_option_selected(self) -> None:
        self._send()

    def _send(self) -> None:
        signal = self._signal
        if signal is not None:
            aim = self._aims[self._aim]
            self.dismiss(SignalChoice(signal, aim.target, aim.init))

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_scroll(self, by: int) -> None:
        """Scrolls the names of the containers, if there are more than fit."""
        for names in self.query(VerticalScroll):
            names.scroll_relative(y=by, animate=False)

    def action_move(self, by: int) -> None:
        signals = self.query_one(OptionList)
        if self._shown:
            signals.highlighted = min(max((signals.highlighted or 0) + by, 0), len(self._shown) - 1)

    def action_target(self, by: int) -> None:
        self._aim = (self._aim + by) % len(self._aims)
        signals = self.query_one(OptionList)
        for index in range(len(self._shown)):
            signals.replace_option_prompt_at_index(index, self._row(index))
        self._explain()


def matching(typed: str) -> list[int]:
    """Returns the signals that match the typed letters or digits, best match first."""
    wanted = typed.strip().upper().removeprefix("SIG")
    if not wanted:
        return list(all_signals())
    ranked: list[tuple[int, int]] = []
    for signal in all_signals():
        name = name_of(signal).removeprefix("SIG")
        number = str(signal)
        if wanted in (name, number):
            ranked.append((0, signal))
        elif name.startswith(wanted) or number.startswith(wanted):
            ranked.append((1, signal))
        elif wanted in name:
            ranked.append((2, signal))
    return [signal for _, signal in sorted(ranked)]


def send_signal(
    screen: Screen[None], session: "Session", selection: Selection, chosen: ProcessId | None = None
) -> None:
    """Asks for a signal and sends it to the chosen process, or to PID 1 of each container."""
    containers = selection.containers
    if not containers or is_refused(screen.app, session, Operation.SIGNAL):
        return

    def gather() -> "tuple[list[SignalSubject], dict[str, Details]]":
        engine = session.engine()
        subjects: list[SignalSubject] = []
        details: dict[str, Details] = {}
        for one in containers:
            details[one.id] = engine.inspect(one.id)
            seen, reason = session.effects.see(engine, details[one.id])
            subjects.append(SignalSubject(one.id, one.name, seen, chosen, reason))
        return subjects, details

    def pick(found: "tuple[list[SignalSubject], dict[str, Details]]") -> None:
        subjects, details = found

        def picked(choice: SignalChoice | None) -> None:
            if choice is not None:
                for subject in subjects:
                    _send(screen, session, subject, details[subject.container], choice)

        first = number_of(details[subjects[0].container].stop_signal)
        screen.app.push_screen(SignalPicker(subjects, first, about=about(selection)), picked)

    open_when_read(screen.app, safe_line(f"Reading {counted(containers)} …"), gather, pick)


def _send(
    screen: Screen[None], session: "Session", subject: SignalSubject, details: "Details", choice: SignalChoice
) -> None:
    from containerlab_tui.services import signals

    def work() -> "tuple[Sent, ...]":
        engine = session.engine()
        root = subject.init if choice.init else subject.process
        if root is None:
            return (signals.send_by_engine(engine, details, choice.signal),)
        now = signals.refresh(engine, details, root, session.effects.see)
        targets = signals.select(now, next(one for one in now if one.id == root.id), choice.target)

        def keep(sent: "tuple[Sent, ...]") -> None:
            session.deliver(lambda: _note(session, sent))

        return signals.send(engine, details, targets, choice.signal, keep, policy=session.policy)

    do(screen, work, lambda sent: _report(screen, session, choice.signal, sent))


def _note(session: "Session", sent: "Sequence[Sent]") -> None:
    """Keeps sent signals, and reads again what they may have changed."""
    session.add_sent(sent)
    for container in {one.container for one in sent}:
        session.effects.reread(container)


def _report(screen: Screen[None], session: "Session", signal: int, sent: "Sequence[Sent]") -> None:
    """Shows the results: each error on its own, the rest in one line."""
    _note(session, sent)
    for one in sent:
        if one.error:
            toast(screen, safe_line(one.error), "error")
    good = [one for one in sent if not one.error]
    if good:
        result = good[0].observed or "sent"
        more = f" and {len(good) - 1} more" if len(good) > 1 else ""
        words = f"{name_of(signal)} → {safe_line(good[0].container_name, 40)}[{good[0].container_pid}]{more}"
        toast(screen, safe_line(f"{words}: {safe_line(result, 120)}"))
