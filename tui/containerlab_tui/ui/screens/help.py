"""All keys of the screen it was opened from, made from the bindings, and what the signs mean."""

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from containerlab_tui.ui.widgets.grid import Grid

GROUPS = (
    ("container.", "The selected container, or the marked ones"),
    ("tab.", "Tabs"),
    ("main.", "The table"),
    ("processes.", "Processes"),
    ("logs.", "Logs"),
    ("inspect.", "Inspect"),
    ("ipc.", "IPC"),
    ("files.", "Files"),
    ("doctor.", "The doctor"),
    ("watch.", "Watching signals"),
    ("grid.", "Moving about"),
    ("app.", "Everywhere"),
)

SIGNS = (
    ("✓", "$text-success", "caught or awaited: the program decides what to do"),
    ("†", "$foreground", "the default action ends it"),
    ("…", "$text-warning", "later: a handler that must wait, or a blocked signal"),
    ("✗", "$text-error", "nothing: dropped (PID 1 without a handler) or ignored"),
    ("?", "$text-muted", "unknown: it could not be read"),
    ("● ‖ ○", "$foreground", "running, paused, ended"),
    ("*", "$text-accent", "marked"),
)


class HelpScreen(ModalScreen[None]):
    """Closed by any of its keys."""

    CSS_PATH = "../styles/help.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "leave", "leave", id="help.leave"),
        Binding("j,down", "scroll(1)", "down", show=False, id="help.down"),
        Binding("k,up", "scroll(-1)", "up", show=False, id="help.up"),
    ]
    AUTO_FOCUS = ""

    def __init__(self, about: Screen[Any]) -> None:
        super().__init__()
        self._about = about

    def compose(self) -> ComposeResult:
        with Vertical(id="box") as box, VerticalScroll(can_focus=False):
            yield Static(self._signs(), classes="part")
            for prefix, title in GROUPS:
                lines = self._keys(prefix)
                if lines:
                    yield Static(Content("\n").join([Content.styled(title, "bold"), *lines]), classes="part")
        box.border_title = Content("Help")
        box.border_subtitle = Content("j k scroll · esc leave")

    def _signs(self) -> Content:
        own = getattr(self._about, "SIGNS", None)
        title = "What the signs mean" if own else "What a signal would do, and other signs"
        lines = [Content.assemble((f"{sign:>9}", tone), "  ", words) for sign, tone, words in own or SIGNS]
        return Content("\n").join([Content.styled(title, "bold"), *lines])

    def _keys(self, prefix: str) -> list[Content]:
        lines, seen = list[Content](), set[str]()
        for binding in self._all_bindings():
            identity = binding.id or ""
            if not identity.startswith(prefix) or identity in seen:
                continue
            seen.add(identity)
            keys = " ".join(self.app.get_key_display(one) for one in self._all_bindings() if one.id == identity)
            words = binding.tooltip or binding.description
            lines.append(Content.assemble((f"{keys:>9}", "$text-accent"), f"  {words}  ", (identity, "dim")))
        return lines

    def _all_bindings(self) -> list[Binding]:
        """Of the screen, of what stands on it, and of the application."""
        owners = [self._about, *self._about.query(Grid).results(), *self._about.query("Panel, IpcPanel, FilesPanel")]
        found = [binding for owner in (*owners, self.app) for _, binding in owner._bindings]
        return [binding for binding in found if binding.id]

    def action_leave(self) -> None:
        self.dismiss()

    def action_scroll(self, by: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)
