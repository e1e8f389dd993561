"""Messages that cross between the application, its screens and their widgets."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from containerlab_tui.model.views import Sent


class InventoryChanged(Message):
    """Containers were added, removed or changed. Posted to the main screen and to those over it."""

    def __init__(self, ids: frozenset[str]) -> None:
        super().__init__()
        self.ids = ids
        """Full ids, of removed containers too."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, InventoryChanged) and message.ids <= self.ids


class EngineLost(Message):
    """The engine went away; `reason` is a sentence. It is being tried again."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class EngineFound(Message):
    """The engine is back and everything is known again."""


class SignalsSent(Message):
    """Signals were sent: for the Signals tab, and to look again at the processes. Bubbles to the application."""

    def __init__(self, sent: "Sequence[Sent]") -> None:
        super().__init__()
        self.sent = tuple(sent)


class SuspendFor(Message):
    """Put the screens aside, call `work` on the bare terminal, bring them back. Bubbles to the application."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__()
        self.work = work
