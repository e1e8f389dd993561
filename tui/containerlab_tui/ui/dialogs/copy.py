"""Copies a local file into a directory of a container."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.suggester import Suggester
from textual.widgets import Input, Label, Static

from containerlab_tui.present import wording
from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.services.policy import Operation
from containerlab_tui.session.actions import Scope
from containerlab_tui.ui.background import do
from containerlab_tui.ui.bindings import bindings, is_refused

if TYPE_CHECKING:
    from containerlab_tui.model.inventory import Details
    from containerlab_tui.session.session import Session


@dataclass(frozen=True, slots=True)
class CopyRequest:
    """A local regular file, and an absolute directory in the container."""

    local_file: str
    directory: str


class LocalPaths(Suggester):
    """Completes the path of a local file."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        """Returns the first entry, by name, that starts with the typed text."""
        directory, start = os.path.split(value)
        if not value:
            return None
        try:
            with os.scandir(os.path.expanduser(directory) or ".") as entries:
                found = sorted((entry.name, entry.is_dir()) for entry in entries if entry.name.startswith(start))
        except OSError:
            return None
        visible = [one for one in found if start.startswith(".") or not one[0].startswith(".")]
        if not visible:
            return None
        name, is_directory = visible[0]
        return os.path.join(directory, name) + ("/" if is_directory else "")


class CopyForm(ModalScreen[CopyRequest | None]):
    """Enter copies, Right completes the path, Esc cancels."""

    CSS_PATH = "../styles/dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.COPY_DIALOG)

    def __init__(self, container: str, local_file: str = "", directory: str = "/tmp") -> None:  # noqa: S108
        """`container` is its name."""
        super().__init__(classes="dialog-screen")
        self._container = container
        self._local_file, self._directory = local_file, directory

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            with Horizontal(classes="field"):
                yield Label("Local file")
                yield Input(
                    self._local_file,
                    placeholder="path on this machine",
                    suggester=LocalPaths(),
                    compact=True,
                    id="file",
                )
            with Horizontal(classes="field"):
                yield Label("Into")
                yield Input(self._directory, placeholder="directory in the container", compact=True, id="directory")
            yield Static(classes="line", id="facts")
            yield Static(classes="complaint", id="complaint")
        box.border_title = Content(f"Copy a file into {safe_line(self._container, 40)}")
        box.border_subtitle = Content("enter copy · → complete · tab next field · esc cancel")

    def on_mount(self) -> None:
        self.query_one("#file", Input).focus()

    def on_input_changed(self) -> None:
        self.query_one("#complaint").remove_class("shown")
        facts = self.query_one("#facts", Static)
        try:
            request = self.read()
        except ValueError:
            facts.update(Content(""))
            return
        size = wording.exact(os.stat(request.local_file).st_size)
        target = os.path.join(request.directory, os.path.basename(request.local_file))
        facts.update(Content.styled(f"{size} → {safe_line(target, 60)}", "dim"))

    def on_input_submitted(self) -> None:
        try:
            self.dismiss(self.read())
        except ValueError as error:
            complaint = self.query_one("#complaint", Static)
            complaint.update(Content(f"! {safe_line(str(error), 200)}"))
            complaint.add_class("shown")

    def read(self) -> CopyRequest:
        """Returns the request in the fields. Raises ValueError with a sentence."""
        return read_copy(self.query_one("#file", Input).value, self.query_one("#directory", Input).value)

    def action_leave(self) -> None:
        self.dismiss(None)


def read_copy(local_file: str, directory: str) -> CopyRequest:
    """Returns a checked request. Raises ValueError with a sentence: only regular files can be copied."""
    path, directory = os.path.expanduser(local_file.strip()), directory.strip()
    if not path:
        raise ValueError("Enter a local file.")
    if not os.path.exists(path):
        raise ValueError(f"No such file: {path}.")
    if not os.path.isfile(path):
        raise ValueError(f"{path} is not a regular file.")
    if not os.access(path, os.R_OK):
        raise ValueError(f"No permission to read {path}.")
    if not directory.startswith("/"):
        raise ValueError("The container directory must be absolute.")
    return CopyRequest(path, directory)


def copy_into(screen: Screen[None], session: "Session", details: "Details") -> None:
    """Asks for a local file and copies it into the container."""
    if is_refused(screen.app, session, Operation.COPY):
        return
    app = screen.app

    def chosen(request: CopyRequest | None) -> None:
        if request is not None:
            words = f"Copied {request.local_file} into {request.directory} of {safe_line(details.name, 60)}."
            do(
                app,
                lambda: session.engine().copy_into(details.id, request.local_file, request.directory),
                lambda _done: app.notify(words, markup=False),
            )

    app.push_screen(CopyForm(details.name), chosen)
