"""What a tab of the main screen is: it is told which container it shows, and when it is seen.

A panel asks for nothing while it is hidden. The main screen calls `show` when the selection has come to rest and
when the tab is opened, and `look_again` when something happened to the container that is shown.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.widget import Widget

if TYPE_CHECKING:
    from containerlab_tui.model.inventory import Container, Details


@dataclass(frozen=True, slots=True)
class Subject:
    """The container that the tabs show."""

    container: "Container"
    details: "Details | None"
    """None: the engine has not answered yet."""
    blind: str = ""
    """Why its processes and memory can't be looked at (not running, not root, remote engine); empty: they can."""


class Panel(Widget):
    """Base of the tabs' contents."""

    def show(self, subject: Subject | None) -> None:
        """Show this container (None: there is none). The same one may be given again, with newer facts."""
        raise NotImplementedError

    def look_again(self) -> None:
        """Something happened to the container: read it again if that is cheap. By default nothing."""
