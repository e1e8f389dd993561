"""Help: all keys of the screen below it, from the registry of actions, and the meaning of the signs."""

from collections.abc import Mapping
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen, Screen

from containerlab_tui.present import signs
from containerlab_tui.session.actions import ACTIONS, Action, Scope
from containerlab_tui.ui.bindings import bindings
from containerlab_tui.ui.widgets.content import Content, Static

PARTS: dict[Scope, frozenset[Scope]] = {
    Scope.MAIN: frozenset(
        (Scope.PROCESSES, Scope.IPC, Scope.FILES, Scope.LOGS, Scope.LOG_LINES, Scope.INSPECT, Scope.GRID)
    ),
    Scope.DOCTOR_TABLE: frozenset((Scope.GRID,)),
}
"""The scopes of a screen's widgets, whose keys are shown with its own."""

GROUPS = (
    ("container.", "Selected or marked containers"),
    ("tab.", "Tabs"),
    ("main.", "Table"),
    ("processes.", "Processes"),
    ("logs.", "Logs"),
    ("inspect.", "Inspect"),
    ("ipc.", "IPC"),
    ("files.", "Files"),
    ("doctor.", "Doctor"),
    ("watch.", "Watch signals"),
    ("stop.", "Stops"),
    ("bytes.", "Bytes"),
    ("grid.", "Move the cursor"),
    ("app.", "Everywhere"),
)

SIGNS = signs.MAIN


class HelpScreen(ModalScreen[None]):
    """Closed by any of its keys."""

    CSS_PATH = "../styles/help.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.HELP)
    AUTO_FOCUS = ""

    def __init__(self, about: Screen[Any], keys: Mapping[str, str]) -> None:
        """`keys` are the keys of the settings file, by action id."""
        super().__init__()
        self._about, self._own_keys = about, keys

    def compose(self) -> ComposeResult:
        with Vertical(id="box") as box, VerticalScroll(can_focus=False):
            yield Static(self._signs(), classes="part")
            for prefix, title in GROUPS:
                lines = self._keys(prefix)
                if lines:
                    yield Static(Content("\n").join([Content.styled(title, "bold"), *lines]), classes="part")
        box.border_title = Content("Help")
        box.border_subtitle = Content("j k scroll · esc close")

    def _signs(self) -> Content:
        own = getattr(self._about, "SIGNS", None)
        title = "Signs" if own else "Effect of a signal, and other signs"
        lines = [Content.assemble((f"{sign:>9}", tone), "  ", words) for sign, tone, words in own or SIGNS]
        return Content("\n").join([Content.styled(title, "bold"), *lines])

    def _keys(self, prefix: str) -> list[Content]:
        lines, seen = list[Content](), set[str]()
        scope = getattr(self._about, "SCOPE", Scope.APP)
        scopes = {Scope.APP, scope, *PARTS.get(scope, ())}
        for action in ACTIONS:
            if action.scope in scopes and action.id.startswith(prefix) and action.id not in seen:
                seen.add(action.id)
                text = action.text or action.name
                lines.append(
                    Content.assemble(
                        (f"{self._shown_keys(action):>9}", "$text-accent"), f"  {text}  ", (action.id, "dim")
                    )
                )
        return lines

    def _shown_keys(self, action: Action) -> str:
        keys = self._own_keys.get(action.id, action.key).split(",")
        return " ".join(self.app.get_key_display(Binding(key.strip(), "")) for key in keys)

    def action_leave(self) -> None:
        self.dismiss()

    def action_scroll(self, by: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)
