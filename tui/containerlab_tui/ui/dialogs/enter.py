"""Asks how to enter a container, and enters it while no other screen takes keys."""

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen, Screen
from textual.widgets import Checkbox

from containerlab_probes.errors import ContainerlabError, Gone
from containerlab_tui.model.entry import Entry, Shells, Visit, Way
from containerlab_tui.present import entering
from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.services.policy import Operation
from containerlab_tui.session.actions import Scope
from containerlab_tui.ui.background import ask
from containerlab_tui.ui.bindings import bindings, is_refused
from containerlab_tui.ui.dialogs.run import read_command
from containerlab_tui.ui.widgets.choice import Choice
from containerlab_tui.ui.widgets.content import Content, Input, Label, Static, toast
from containerlab_tui.ui.widgets.tick import Tick

if TYPE_CHECKING:
    from containerlab_tui.engine.api import Engine
    from containerlab_tui.model.inventory import Container, Details
    from containerlab_tui.session.session import Session

_WAYS = (Way.CONFINED, Way.HOST_TOOLS)


class EnterForm(ModalScreen[Entry | None]):
    """Enter enters as shown, Esc cancels. It takes the keys from the moment on that it is opened."""

    CSS_PATH = "../styles/dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.ENTER_DIALOG)

    def __init__(self, name: str, shells: Callable[[], Shells], entry: Entry | None = None) -> None:
        """`shells` may block: it runs off the UI thread. `entry` is the choice made before."""
        super().__init__(classes="dialog-screen")
        self._container, self._look_up, self._before = name, shells, entry or Entry()
        self._shells: Shells | None = None
        self._offered = ""
        """The command that was filled in, which the user has not edited."""

    def compose(self) -> ComposeResult:
        import shlex

        before = self._before
        with Vertical(classes="dialog") as box:
            with Horizontal(classes="field"):
                yield Label(Content("Way"))
                ways = ("inside its confinement", "with the host's tools")
                yield Choice(ways, _WAYS.index(before.way), id="way")
            with Horizontal(classes="field"):
                yield Label(Content("Command"))
                yield Input(shlex.join(before.command), placeholder="reading …", compact=True, id="command")
            with Horizontal(classes="field confined"):
                yield Label(Content("User"))
                yield Input(before.user, placeholder="the container's user", compact=True, id="user")
            with Horizontal(classes="field host-tools"):
                yield Label(Content(""))
                yield Tick(Content("the host's files"), before.host_files, compact=True, id="host-files")
                yield Tick(Content("full rights"), before.full_rights, compact=True, id="full-rights")
            yield Static(classes="line", id="rights")
            yield Static(classes="complaint", id="complaint")
        box.border_title = Content(f"Enter {safe_line(self._container, 50)}")
        box.border_subtitle = Content("enter run · ↑ ↓ field · ← → way · esc cancel")

    def on_mount(self) -> None:
        self.query_one("#command", Input).focus()
        self._update()
        ask(self, self._look_up, self._answered, self._failed, group="shells")

    def _answered(self, shells: Shells) -> None:
        self._shells = shells
        self._update()

    def _failed(self, error: ContainerlabError) -> None:
        self._answered(Shells(unknown=str(error)))

    def read(self) -> Entry:
        """Returns the entry in the fields. Raises ValueError with a sentence."""
        command = read_command(self.query_one("#command", Input).value)
        way = _WAYS[self.query_one("#way", Choice).chosen]
        if way is Way.CONFINED:
            return Entry(way, command, self.query_one("#user", Input).value.strip())
        ticks = [self.query_one(f"#{id}", Checkbox).value for id in ("host-files", "full-rights")]
        return Entry(way, command, host_files=ticks[0], full_rights=ticks[1])

    def _update(self) -> None:
        """Redraws the parts that depend on the fields, and fills in the command that would run."""
        complaint = self.query_one("#complaint", Static)
        try:
            entry = self.read()
        except ValueError as error:
            self._complain(str(error))
            return
        complaint.remove_class("shown")
        self.set_class(entry.way is Way.HOST_TOOLS, "-host-tools")
        can_trace = self._shells is not None and self._shells.can_trace
        self.query_one("#rights", Static).update(Content(entering.rights(entry, can_trace)))
        if self._shells is not None:
            self._offer(entry, self._shells)

    def _offer(self, entry: Entry, shells: Shells) -> None:
        import shlex
        from dataclasses import replace

        from containerlab_tui.services.enter import command_of

        field = self.query_one("#command", Input)
        if field.value != self._offered:
            return
        try:
            self._offered = shlex.join(command_of(replace(entry, command=()), shells))
            field.placeholder = ""
        except ContainerlabError as error:
            self._offered, field.placeholder = "", "no shell found"
            self._complain(str(error))
        field.value = self._offered

    def _complain(self, sentence: str) -> None:
        complaint = self.query_one("#complaint", Static)
        complaint.update(Content(f"! {safe_line(sentence, 200)}"))
        complaint.add_class("shown")

    def on_choice_changed(self) -> None:
        self._update()

    def on_checkbox_changed(self) -> None:
        self._update()

    def on_input_changed(self) -> None:
        self._update()

    def on_input_submitted(self) -> None:
        self.action_enter()

    def action_enter(self) -> None:
        """Enters, unless the command is still unknown."""
        try:
            entry = self.read()
        except ValueError:
            self.app.bell()
            return
        if entry.command:
            self.dismiss(entry)
        else:
            self.app.bell()

    def action_leave(self) -> None:
        self.dismiss(None)


class Entering(ModalScreen[None]):
    """Takes the keys while a container is being entered, so that no screen behind takes them."""

    CSS_PATH = "../styles/dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.ENTERING)

    def __init__(self, session: "Session", container: "Container", entry: Entry) -> None:
        super().__init__(classes="dialog-screen")
        self._session, self._container, self._entry = session, container, entry
        self._is_over = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            yield Static(Content(f"Entering {safe_line(self._container.name, 50)} …"), classes="line")
        box.border_subtitle = Content("esc cancel")

    def on_mount(self) -> None:
        container = self._container.id
        ask(self, lambda: self._session.engine().inspect(container), self._enter, self._failed, group="enter")

    def _enter(self, details: "Details") -> None:
        from containerlab_tui.ui.terminal import on_bare_terminal

        def work(engine: "Engine", fresh: "Details") -> Visit:
            from containerlab_tui.services.enter import enter

            return enter(engine, fresh, self._entry, self._session.policy, self._session.settings.shell)

        visit = on_bare_terminal(self.app, self._session, details, work)
        if visit is not None:
            self._session.entries[self._container.id] = self._entry
            for sentence in visit.sentences[1:]:
                toast(self, safe_line(sentence), "warning", timeout=15)
        self._close()

    def _failed(self, error: ContainerlabError) -> None:
        toast(self, error.sentence, "error")
        self._close()

    def _close(self) -> None:
        """Closes the screen after the keys that were typed before: they are in the app's queue."""
        self._is_over = True
        self.app.call_later(self.action_leave)

    def on_screen_resume(self) -> None:
        """Closes after a screen that was opened above it."""
        if self._is_over:
            self.action_leave()

    def action_leave(self) -> None:
        if self.is_active:  # `is_current` also holds below the palette, which would be closed instead
            self.dismiss(None)


def enter(screen: Screen[None], session: "Session", container: "Container", again: bool = False) -> None:
    """Enters a container, the way that was chosen for it before; asks the first time, or `again`."""
    if is_refused(screen.app, session, Operation.ENTER):
        return
    app, known = screen.app, session.entries.get(container.id)

    def chosen(entry: Entry | None) -> None:
        if entry is not None:
            app.push_screen(Entering(session, container, entry))

    def shells() -> Shells:
        from containerlab_tui.services.enter import look_up_shells

        engine = session.engine()
        details = engine.inspect(container.id)
        if not details.pid:
            raise Gone(f"{details.name} is not running.")
        return look_up_shells(engine, details, session.settings.shell)

    if known is not None and not again:
        chosen(known)
    else:
        app.push_screen(EnterForm(container.name, shells, known), chosen)
