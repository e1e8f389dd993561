"""Asks for a local file to save to."""

import os
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.session.actions import Scope
from containerlab_tui.ui.bindings import bindings
from containerlab_tui.ui.widgets.content import Content, Input, Static


@dataclass(frozen=True, slots=True)
class SaveRequest:
    path: str
    overwrite: bool


class SaveForm(ModalScreen[SaveRequest | None]):
    """Enter saves, and asks again before overwriting; Esc cancels."""

    CSS_PATH = "../styles/dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.SAVE_DIALOG)

    def __init__(self, what: str, path: str) -> None:
        """`what` is the title; `path` is the default."""
        super().__init__(classes="dialog-screen")
        self._what, self._proposed = what, path
        self._warned_of = ""

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            field = Input(self._proposed, placeholder="path on this machine", compact=True)
            field.cursor_blink = False
            yield field
            yield Static(classes="complaint", id="complaint")
        box.border_title = Content(safe_line(self._what, 70))
        box.border_subtitle = Content("enter save · esc cancel")

    def on_mount(self) -> None:
        self.set_focus(self.query_one(Input))  # at once, or keys typed before would be lost

    def on_input_changed(self) -> None:
        self._warned_of = ""
        self.query_one("#complaint").remove_class("shown")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        path = os.path.expanduser(event.value.strip())
        problem = _problem(path)
        if not problem and os.path.exists(path) and self._warned_of != path:
            self._warned_of = path
            problem = f"{path} exists. Press Enter again to overwrite."
        if problem:
            complaint = self.query_one("#complaint", Static)
            complaint.update(Content(f"! {safe_line(problem, 300)}"))
            complaint.add_class("shown")
        else:
            self.dismiss(SaveRequest(path, self._warned_of == path))

    def action_leave(self) -> None:
        self.dismiss(None)


def _problem(path: str) -> str:
    """Returns a sentence about the problem with a path; empty if there is none."""
    if not path:
        return "Enter a file."
    directory = os.path.dirname(path) or "."
    if not os.path.isdir(directory):
        return f"No such directory: {directory}."
    if os.path.isdir(path):
        return f"{path} is a directory."
    if os.path.exists(path) and not os.path.isfile(path):
        return f"{path} is not a regular file."
    return ""
