"""Takes the keys while what a dialog needs is being read.

Without it a late dialog took a key that was meant for another screen: Enter, pressed to open a row, would stop a
container.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from containerlab_probes.errors import ContainerlabError
from containerlab_tui.present.safe_text import SafeText
from containerlab_tui.session.actions import Scope
from containerlab_tui.ui.background import ask
from containerlab_tui.ui.bindings import bindings
from containerlab_tui.ui.widgets.content import Content, Static, toast

if TYPE_CHECKING:
    from textual.app import App

T = TypeVar("T")

SHOWN_AFTER_S = 0.3
"""It stays invisible for this long, so that nothing flickers where the answer comes at once."""

Next = Callable[[], object]
"""Opens the dialog, or does what needs none."""


class Opening(ModalScreen[Next]):
    """Says what is being read; Esc cancels. Returns what comes next."""

    CSS_PATH = "../styles/dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.OPENING)
    AUTO_FOCUS = ""

    def __init__(self, sentence: SafeText, work: Callable[[], Next]) -> None:
        """`work` may block: it runs off the UI thread."""
        super().__init__(classes="dialog-screen")
        self._sentence, self._work = sentence, work
        self._next: Next | None = None
        self._is_closed = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            yield Static(Content(self._sentence), classes="line")
        box.border_subtitle = Content("esc cancel")

    def on_mount(self) -> None:
        self.set_timer(SHOWN_AFTER_S, lambda: self.add_class("shown"))
        ask(self, self._work, self._answered, self._failed)

    def _answered(self, then: Next) -> None:
        self._next = then
        self.action_leave()

    def _failed(self, error: ContainerlabError) -> None:
        toast(self, error.sentence, "error")
        self._answered(lambda: None)

    def on_screen_resume(self) -> None:
        """Closes after a screen that was opened above it."""
        if self._next is not None:
            self.action_leave()

    def action_leave(self) -> None:
        """Closes, once, unless another screen is above; then that one's end closes it."""
        if self.is_active and not self._is_closed:
            self._is_closed = True
            self.dismiss(self._next)


def open_when_read(app: "App[object]", sentence: SafeText, read: Callable[[], T], then: Callable[[T], object]) -> None:
    """Runs `read` off the UI thread and calls `then` with its result, which opens a dialog.

    Until then the keys do nothing, but Esc cancels. An error becomes a toast.
    """

    def work() -> Next:
        found = read()
        return lambda: then(found)

    app.push_screen(Opening(sentence, work), lambda found: found() if found is not None else None)
