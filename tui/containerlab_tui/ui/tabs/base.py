"""Base class of the panels in the main screen's tabs.

A hidden panel reads nothing. `show` is called when the selection settles and when the tab is opened, `reread` when
something happened to the shown container.
"""

from typing import TYPE_CHECKING

from textual.widget import Widget

if TYPE_CHECKING:
    from containerlab_probes.records import ProcessId
    from containerlab_tui.session.store import ShownContainer


class Panel(Widget):
    """The contents of one tab."""

    def show(self, subject: "ShownContainer | None") -> None:
        """Shows this container, or nothing for None. May be called again for the same container, with newer facts."""
        raise NotImplementedError

    def reread(self) -> None:
        """Reads the container again, after something happened to it. Does nothing by default."""

    def pause_trace(self, paused: bool) -> None:
        """Pauses the kernel trace while another screen traces the same container. Does nothing by default."""

    @property
    def chosen_process(self) -> "ProcessId | None":
        """The process under the cursor; None if the panel shows no processes."""
        return None
