"""Runs a new container: a form with defaults that checks its fields before sending."""

import re
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.suggester import SuggestFromList
from textual.widgets import Button, Checkbox, Select

from containerlab_probes.signals.names import all_signals, name_of
from containerlab_tui.engine.api import RunRequest
from containerlab_tui.model.product import DOCKER
from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.services.policy import Operation
from containerlab_tui.session.actions import Scope
from containerlab_tui.ui.background import do
from containerlab_tui.ui.bindings import bindings, is_refused
from containerlab_tui.ui.dialogs.opening import open_when_read
from containerlab_tui.ui.dialogs.stop_fields import read_grace, read_signal
from containerlab_tui.ui.widgets.content import Content, Input, Label, Static
from containerlab_tui.ui.widgets.tick import Tick

if TYPE_CHECKING:
    from containerlab_tui.model.inventory import Container
    from containerlab_tui.session.session import Session

_IPC_MODES = (
    ("private", "private"),
    ("shareable (others may join)", "shareable"),
    ("host", "host"),
    ("none (no /dev/shm)", "none"),
)
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_SIZE = re.compile(r"(\d+)\s*([bkmg]?)b?", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


class RunForm(ModalScreen[RunRequest | None]):
    """Enter runs the container, Tab moves between fields, Esc cancels."""

    CSS_PATH = "../styles/dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.RUN_DIALOG)

    def __init__(
        self, images: Sequence[str], containers: Sequence[str] = (), image: str = "", engine: str = DOCKER.name
    ) -> None:
        """`images` are suggested; `containers` can share their IPC namespace; `image` is filled in."""
        super().__init__(classes="dialog-screen")
        self._images = tuple(images)
        self._containers, self._engine = tuple(containers), engine
        self._image = image or (self._images[0] if self._images else "")

    def compose(self) -> ComposeResult:
        modes = [(Content(words), value) for words, value in _IPC_MODES]
        modes += [(Content(f"container {safe_line(name, 30)}"), f"container:{name}") for name in self._containers]
        with Vertical(classes="dialog") as box:
            with VerticalScroll(id="options", can_focus=False):
                suggestions = SuggestFromList(self._images, case_sensitive=False)
                yield from _field("Image", Input(self._image, suggester=suggestions, compact=True, id="image"))
                yield from _field("Command", Input(placeholder="image default", compact=True, id="command"))
                yield from _field("Name", Input(placeholder=f"chosen by {self._engine}", compact=True, id="name"))
                yield from _field("IPC mode", Select(modes, value="private", allow_blank=False, compact=True, id="ipc"))
                yield from _field("Shared memory", Input("64m", compact=True, id="shm"))
                names = SuggestFromList([name_of(signal) for signal in all_signals()], case_sensitive=False)
                placeholder = "image default, else SIGTERM"
                yield from _field(
                    "Stop signal", Input(placeholder=placeholder, suggester=names, compact=True, id="signal")
                )
                yield from _field("Grace period", Input("10", compact=True, id="timeout"), "s")
                with Horizontal(classes="field"):
                    yield Label(Content(""))
                    yield Tick(Content("init as PID 1"), compact=True, id="init")
                    yield Tick(Content("terminal (tty)"), compact=True, id="tty")
            yield Static(classes="complaint", id="complaint")
            with Horizontal(classes="buttons"):
                yield Button(Content("Cancel"), id="leave", compact=True)
                yield Button(Content("Run"), id="go", variant="primary", compact=True)
        box.border_title = Content("Run a container")
        box.border_subtitle = Content("enter run · tab next field · esc cancel")

    def on_mount(self) -> None:
        self.query_one("#image", Input).focus()

    def _text(self, field: str) -> str:
        return self.query_one(f"#{field}", Input).value.strip()

    def read(self) -> RunRequest:
        """Returns the request in the fields. Raises ValueError with a sentence."""
        image = self._text("image")
        if not image:
            raise ValueError("Enter an image.")
        name = self._text("name")
        if name and not _NAME.fullmatch(name):
            raise ValueError("A name needs two or more letters, digits or . _ - and starts with a letter or digit.")
        signal = read_signal(self._text("signal"))
        mode = self.query_one("#ipc", Select).value
        ipc_mode = mode if isinstance(mode, str) else ""
        own_shm = ipc_mode in ("private", "shareable")
        return RunRequest(
            image=image,
            command=read_command(self._text("command")),
            name=name,
            ipc_mode=ipc_mode,
            shm_bytes=read_size(self._text("shm")) if own_shm else None,
            init=self.query_one("#init", Checkbox).value,
            stop_signal="" if signal is None else name_of(signal),
            stop_timeout_s=read_grace(self._text("timeout")),
            tty=self.query_one("#tty", Checkbox).value,
        )

    def _read_or_explain(self) -> RunRequest | None:
        complaint = self.query_one("#complaint", Static)
        try:
            request = self.read()
        except ValueError as error:
            complaint.update(Content(f"! {error}"))
            complaint.add_class("shown")
            return None
        complaint.remove_class("shown")
        return request

    def on_input_changed(self) -> None:
        if self.query_one("#complaint", Static).has_class("shown"):
            self._read_or_explain()

    def on_input_submitted(self) -> None:
        self.action_run()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "go":
            self.action_run()
        else:
            self.action_leave()

    def action_run(self) -> None:
        request = self._read_or_explain()
        if request is not None:
            self.dismiss(request)

    def action_leave(self) -> None:
        self.dismiss(None)


def _field(label: str, widget: Input | Select[str], unit: str = "") -> ComposeResult:
    with Horizontal(classes="field"):
        yield Label(Content(label))
        yield widget
        if unit:
            yield Static(Content(unit), classes="note")


def read_command(text: str) -> tuple[str, ...]:
    """Splits a command line as a shell does, without expansion. Raises ValueError with a sentence."""
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise ValueError(f"Cannot split the command into words: {str(error).lower()}.") from error


def read_size(text: str) -> int | None:
    """Parses a size such as `64m`, `1g` or `65536`; None if empty. Raises ValueError with a sentence."""
    if not text:
        return None
    found = _SIZE.fullmatch(text)
    if found is None or int(found.group(1)) == 0:
        raise ValueError("A size is a number, optionally followed by b, k, m or g: for example 64m.")
    return int(found.group(1)) * _UNITS[found.group(2).lower()]


def run_new(screen: Screen[None], session: "Session", selected: "Container | None") -> None:
    """Asks what to run and runs it; the selected container's image is filled in."""
    if is_refused(screen.app, session, Operation.RUN):
        return
    app = screen.app

    def chosen(request: RunRequest | None) -> None:
        if request is not None:
            do(app, lambda: session.engine().run(request))

    names = [one.name for one in session.store.order(ended=False)]
    image = selected.image if selected is not None else ""

    def listed(images: tuple[str, ...]) -> None:
        known = next((one for one in (image, f"{image}:latest") if one in images), "")
        app.push_screen(RunForm(images, names, known, session.product.name), chosen)

    open_when_read(app, safe_line("Reading the images …"), lambda: session.engine().images(), listed)
