"""Messages that the application posts to its screens, and screens to the application."""

from textual.message import Message

from containerlab_tui.session.changes import Change


class SessionChanged(Message):
    """Something is known that was not known before. Posted to the main screen."""

    def __init__(self, change: Change) -> None:
        super().__init__()
        self.change = change


class InventoryChanged(Message):
    """Containers were added, removed or changed. Posted to the main screen and to the screens over it."""

    def __init__(self, ids: frozenset[str]) -> None:
        super().__init__()
        self.ids = ids
        """Full ids, of removed containers too."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, InventoryChanged) and message.ids <= self.ids


class ShowStops(Message):
    """Asks the application for the screen of stops."""

    def __init__(self, container: str | None = None) -> None:
        """`container`: full id of the container whose stop comes to the front; None: leave it as it is."""
        super().__init__()
        self.container = container
