"""Messages between the application and its screens."""

from textual.message import Message

from containerlab_tui.session.changes import Change


class SessionChanged(Message):
    """The session reports a change. Posted to the main screen."""

    def __init__(self, change: Change) -> None:
        super().__init__()
        self.change = change


class InventoryChanged(Message):
    """Containers were added, removed or changed. Posted to all open screens."""

    def __init__(self, ids: frozenset[str]) -> None:
        super().__init__()
        self.ids = ids
        """Full ids, including those of removed containers."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, InventoryChanged) and message.ids <= self.ids


class ShowStops(Message):
    """Asks the application to open the screen of stops."""

    def __init__(self, container: str | None = None) -> None:
        """`container`: full id of the container whose stop is shown; None: keep the one shown now."""
        super().__init__()
        self.container = container
