"""Copies a local file into a directory of a container."""

import asyncio
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen, Screen
from textual.suggester import Suggester

from containerlab_probes.errors import BadRequest, ContainerlabError
from containerlab_tui.present import wording
from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.services.policy import Operation
from containerlab_tui.session.actions import Scope
from containerlab_tui.session.threads import pool
from containerlab_tui.ui.background import ask, do
from containerlab_tui.ui.bindings import bindings, is_refused
from containerlab_tui.ui.widgets.content import Content, Input, Label, Static, toast

if TYPE_CHECKING:
    from containerlab_tui.model.inventory import Details
    from containerlab_tui.session.session import Session


@dataclass(frozen=True, slots=True)
class CopyRequest:
    """A local regular file, and an absolute directory in the container."""

    local_file: str
    directory: str
    size: int = field(default=0, compare=False)
    """Bytes of the file when it was checked."""


class LocalPaths(Suggester):
    """Completes the path of a local file. Reads directories off the UI thread: a file system may not respond."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        """Returns the first entry, by name, that starts with the typed text."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str | None] = loop.create_future()

        def reply(found: str | None) -> None:
            if not answer.done():  # cancelled, for example because the dialog was left
                answer.set_result(found)

        def work() -> None:
            found = first_entry(value)
            with suppress(RuntimeError):  # the program is exiting
                loop.call_soon_threadsafe(reply, found)

        pool.submit(work)
        return await answer


def first_entry(text: str) -> str | None:
    """Returns the first entry of a local directory, by name, that starts with the typed text; None if there is none."""
    directory, start = os.path.split(text)
    if not text:
        return None
    try:
        with os.scandir(os.path.expanduser(directory) or ".") as entries:
            found = sorted((entry.name, entry.is_dir()) for entry in entries if entry.name.startswith(start))
    except (OSError, ValueError):
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

    def __init__(self, container: str, local_file: str = "", directory: str = "/tmp") -> None:  # noqa: S108  # nosec B108 # a directory of the container, proposed
        """`container` is its name."""
        super().__init__(classes="dialog-screen")
        self._container = container
        self._local_file, self._directory = local_file, directory

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            with Horizontal(classes="field"):
                yield Label(Content("Local file"))
                yield Input(
                    self._local_file,
                    placeholder="path on this machine",
                    suggester=LocalPaths(),
                    compact=True,
                    id="file",
                )
            with Horizontal(classes="field"):
                yield Label(Content("Into"))
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
        typed = os.path.abspath(os.path.expanduser(self.query_one("#file", Input).value.strip()))

        def show(request: CopyRequest) -> None:
            target = os.path.join(request.directory, os.path.basename(request.local_file))
            source = "" if typed == request.local_file else f"{safe_line(request.local_file, 60)}, "
            facts.update(Content.styled(f"{source}{wording.exact(request.size)} → {safe_line(target, 60)}", "dim"))

        ask(self, self._reading(), show, lambda error: facts.update(Content("")), group="facts")

    def on_input_submitted(self) -> None:
        def complain(error: ContainerlabError) -> None:
            complaint = self.query_one("#complaint", Static)
            complaint.update(Content(f"! {safe_line(str(error), 200)}"))
            complaint.add_class("shown")

        ask(self, self._reading(), self.dismiss, complain, group="submit")

    def _reading(self) -> Callable[[], CopyRequest]:
        """Returns a function that checks the fields; it may block, because it asks the file system."""
        file, directory = self.query_one("#file", Input).value, self.query_one("#directory", Input).value
        return lambda: read_copy(file, directory)

    def action_leave(self) -> None:
        self.dismiss(None)


def read_copy(local_file: str, directory: str) -> CopyRequest:
    """Returns a checked request with the file behind any link, so that the dialog shows what is copied.

    Raises BadRequest with a sentence: only regular files can be copied.
    """
    path, directory = os.path.expanduser(local_file.strip()), directory.strip()
    if not path:
        raise BadRequest("Enter a local file.")
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        raise BadRequest(f"No such file: {path}.") from error
    if not stat.S_ISREG(found.st_mode):
        raise BadRequest(f"{path} is not a regular file.")
    if not os.access(path, os.R_OK):
        raise BadRequest(f"No permission to read {path}.")
    if not directory.startswith("/"):
        raise BadRequest("The container directory must be absolute.")
    return CopyRequest(os.path.realpath(path), directory, found.st_size)


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
                lambda _done: toast(app, safe_line(words)),
            )

    app.push_screen(CopyForm(details.name), chosen)
