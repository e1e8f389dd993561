"""Base of the tabs of the main screen: a panel is told which container it shows, and when to read again.

A panel asks for nothing while it is hidden. `show` is called when the selection has come to rest and when the tab is
opened, and `look_again` when something happened to the container on show.
"""

from typing import TYPE_CHECKING

from textual.widget import Widget

if TYPE_CHECKING:
    from containerlab_probes.records import ProcessId
    from containerlab_tui.session.store import Subject


class Panel(Widget):
    """The contents of one tab."""

    def show(self, subject: "Subject | None") -> None:
        """Shows this container (None: there is none). The same one may be given again, with newer facts."""
        raise NotImplementedError

    def look_again(self) -> None:
        """Reads the container again if that is cheap: something happened to it. By default nothing."""

    def hold(self, held: bool) -> None:
        """Traces nothing while another screen traces the same container. By default nothing."""

    @property
    def chosen_process(self) -> "ProcessId | None":
        """The process under the cursor; None: this panel has no such cursor."""
        return None
