"""What the main screen's keys do to containers: each asks off the UI thread, and answers come back as messages."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.screen import Screen

from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.session.store import RUNNING
from containerlab_tui.ui.background import ask, attend, do

if TYPE_CHECKING:
    from containerlab_tui.engine.api import Engine
    from containerlab_tui.model.diagnosis import Diagnosis
    from containerlab_tui.model.inventory import Container, Details
    from containerlab_tui.model.stop import StopPlan
    from containerlab_tui.model.views import Sent
    from containerlab_tui.ui.dialogs.signal import SignalChoice, SignalSubject
    from containerlab_tui.ui.dialogs.stop import StopChoice

Deed = Callable[["Engine", "Container"], None]
"""What is done to one container, off the UI thread."""

CHANGING = frozenset(
    {"signal", "stop", "start", "restart", "pause", "remove", "run", "rename", "copy", "enter", "attach"}
)
"""Actions that change a container, or may: refused where the program only reads."""
NEEDS_RUNNING = frozenset({"signal", "stop", "doctor", "pause", "enter", "attach", "watch"})
NEEDS_SELECTION = NEEDS_RUNNING | {"start", "restart", "remove", "rename", "copy", "mark"}


class MainActions(Screen[None]):
    """Mixed into the main screen."""

    lab: Any
    selected: "Callable[[], Container | None]"
    targets: "Callable[[], list[Container]]"
    panel: Callable[[], Any]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether an action applies to the selection: False hides its key."""
        if action in NEEDS_SELECTION:
            selected = self.selected() if self.is_mounted else None
            if selected is None:
                return False
            if action in NEEDS_RUNNING and selected.state not in RUNNING:
                return False
            if action == "start" and selected.state in RUNNING:
                return False
        if action == "stops":
            return bool(self.lab.stops_seen)
        return True

    def _refused(self, action: str) -> bool:
        """Say why nothing is changed, where nothing may be."""
        if action in CHANGING and self.lab.settings.read_only:
            self.app.notify("Read-only: nothing that changes a container is done.", severity="warning", markup=False)
            return True
        return False

    # through the engine alone

    def action_start(self) -> None:
        """Start the marked containers, or the selected one."""
        if not self._refused("start"):
            ended = [one for one in self.targets() if one.state not in RUNNING]
            self._each(ended, lambda engine, one: engine.start(one.id))

    def action_restart(self) -> None:
        """Stop and start again."""
        self._asking(
            "restart",
            "Restart {names}?",
            "Each is stopped with its own signal and grace period, then started again.",
            "Restart",
            targets=self.targets(),
            deed=lambda engine, one: engine.restart(one.id),
        )

    def action_pause(self) -> None:
        """Pause what runs, resume what is paused."""

        def turn(engine: "Engine", one: "Container") -> None:
            if one.state == "paused":
                engine.unpause(one.id)
            else:
                engine.pause(one.id)

        self._asking(
            "pause",
            "Pause or resume {names}?",
            "A paused container's processes are frozen; a signal reaches them when they are resumed.",
            "Do it",
            targets=[one for one in self.targets() if one.state in RUNNING],
            deed=turn,
        )

    def action_remove(self) -> None:
        """Remove for good, after a question."""
        targets = self.targets()
        running = [one for one in targets if one.state in RUNNING]
        sentence = "Its writable layer and what it keeps in memory are lost; volumes stay."
        if running:
            whose = "It is" if len(targets) == 1 else f"{len(running)} of them are"
            sentence = f"{whose} still running and killed with SIGKILL; no stop signal is sent. " + sentence
        self._asking(
            "remove",
            "Remove {names}?",
            sentence,
            "Remove",
            targets=targets,
            deed=lambda engine, one: engine.remove(one.id, force=one.state in RUNNING),
        )

    def _asking(
        self, action: str, title: str, sentence: str, yes: str, *, targets: "Sequence[Container]", deed: Deed
    ) -> None:
        """Do it to these, after a question where the settings want one; the selection may be another by then."""
        if not targets or self._refused(action):
            return
        if action not in self.lab.settings.confirm:
            self._each(targets, deed)
            return
        from containerlab_tui.ui.dialogs.confirm import Confirm

        names = safe_line(targets[0].name, 60) if len(targets) == 1 else f"{len(targets)} containers"
        question = Confirm(title.format(names=names), sentence, yes=yes)
        self.app.push_screen(question, lambda sure: self._each(targets, deed) if sure else None)

    def _each(self, targets: "Sequence[Container]", deed: Deed) -> None:
        for one in targets:
            attend(self, partial(lambda one: deed(self.lab.engines.here(), one), one))

    # signals

    def action_signal(self) -> None:
        """Choose a signal for the selected process, or for PID 1 of the marked containers."""
        targets = [one for one in self.targets() if one.state in RUNNING]
        if not targets or self._refused("signal"):
            return
        chosen = self.lab.chosen_process() if len(targets) == 1 else None

        def gather() -> "tuple[list[SignalSubject], dict[str, Details]]":
            from containerlab_tui.services.processes import see_processes
            from containerlab_tui.ui.dialogs.signal import SignalSubject

            engine, subjects, details = self.lab.engines.here(), [], {}
            for one in targets:
                details[one.id] = engine.inspect(one.id)
                seen, reason = see_processes(engine, details[one.id])
                subjects.append(SignalSubject(one.id, one.name, seen, chosen, reason))
            return subjects, details

        ask(self, gather, lambda found: self._pick(*found), group="signal")

    def _pick(self, subjects: "list[SignalSubject]", details: "dict[str, Details]") -> None:
        from containerlab_probes.signals.names import number_of
        from containerlab_tui.ui.dialogs.signal import SignalPicker

        first = number_of(details[subjects[0].container].stop_signal)

        def picked(choice: "SignalChoice | None") -> None:
            if choice is not None:
                for subject in subjects:
                    self._send(subject, details[subject.container], choice)

        self.app.push_screen(SignalPicker(subjects, first), picked)

    def _send(self, subject: "SignalSubject", details: "Details", choice: "SignalChoice") -> None:
        from containerlab_tui.services import signals

        def work() -> "tuple[Sent, ...]":
            engine = self.lab.engines.here()
            root = subject.init if choice.init else subject.process
            if root is None:
                return (signals.send_by_engine(engine, details, choice.signal),)
            now = signals.refresh(engine, details, root)
            chosen = signals.select(now, next(one for one in now if one.id == root.id), choice.target)
            return signals.send(engine, details, chosen, choice.signal, self.lab.tell_sent)

        do(self, work, lambda sent: self._sent(choice.signal, sent))

    def _sent(self, signal: int, sent: "Sequence[Sent]") -> None:
        from containerlab_probes.signals.names import name_of

        self.lab.add_sent(sent)
        for one in sent:
            if one.error:
                self.app.notify(one.error, severity="error", markup=False)
        good = [one for one in sent if not one.error]
        if good:
            outcome = good[0].observed or "sent"
            more = f" and {len(good) - 1} more" if len(good) > 1 else ""
            words = f"{name_of(signal)} → {safe_line(good[0].container_name, 40)}[{good[0].container_pid}]{more}"
            self.app.notify(f"{words}: {safe_line(outcome, 120)}", markup=False)
        panel = self.panel()
        if panel is not None:
            panel.look_again()

    # a stop

    def action_stop(self) -> None:
        """Ask how to stop, then show it as it happens."""
        self.stop_these([one for one in self.targets() if one.state in RUNNING])

    def stop_these(self, targets: "Sequence[Container]") -> None:
        """The same for these containers, from any screen."""
        if not targets or self._refused("stop"):
            return

        def plans() -> "list[StopPlan]":
            from containerlab_tui.services.stop import plan_stop

            engine = self.lab.engines.here()
            return [plan_stop(engine, one.id) for one in targets]

        ask(self, plans, self._planned, group="stop")

    def _planned(self, plans: "list[StopPlan]") -> None:
        if "stop" not in self.lab.settings.confirm:
            self.lab.begin_stops(plans, None)
            return
        from containerlab_tui.ui.dialogs.stop import StopDialog

        def chosen(choice: "StopChoice | None") -> None:
            if choice is not None:
                self.lab.begin_stops(plans, choice)

        def doctor() -> "Diagnosis":
            from containerlab_tui.services import diagnosis

            return diagnosis.doctor(self.lab.engines.here(), plans[0].container, diagnosis.remembered)

        self.app.push_screen(StopDialog(plans, doctor if len(plans) == 1 else None), chosen)

    def action_watch(self) -> None:
        """Show every signal in the container as it comes."""
        self._on_details("watch", self.lab.watch_signals)

    def action_stops(self) -> None:
        """Show the stops under way, and those that are over."""
        self.lab.show_stops()

    # the doctor

    def action_doctor(self) -> None:
        """How a stop of the selected container would go; of the marked ones, side by side."""
        from containerlab_tui.ui import doctors

        targets = [one for one in self.targets() if one.state in RUNNING]
        if len(targets) == 1:
            doctors.open_page(self.lab, targets[0])
        elif targets:
            doctors.open_table(self.lab, targets)

    def action_doctor_all(self) -> None:
        """How stops of all running containers would go, the worst first."""
        from containerlab_tui.ui import doctors

        doctors.open_table(self.lab)

    # the terminal, files, new containers

    def action_enter(self) -> None:
        """Run a shell in the container's namespaces."""
        self._on_details("enter", self.lab.enter)

    def action_attach(self) -> None:
        """Attach to the container's standard streams."""
        self._on_details("attach", self.lab.attach)

    def action_copy(self) -> None:
        """Copy a local file into the container."""
        self._on_details("copy", self.lab.copy_into)

    def action_run(self) -> None:
        """Run a new container from an image."""
        if not self._refused("run"):
            self.lab.run_new()

    def action_rename(self) -> None:
        """Give the container another name."""
        selected = self.selected()
        if selected is not None and not self._refused("rename"):
            self.lab.rename(selected)

    def _on_details(self, action: str, then: "Callable[[Details], None]") -> None:
        selected = self.selected()
        if selected is not None and not self._refused(action):
            container = selected.id
            ask(self, lambda: self.lab.engines.here().inspect(container), then, group=action)
