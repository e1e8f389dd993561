"""Makes the contents of a tab when it is first shown, and keeps the agent that looks into one container."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from containerlab_tui.model.inventory import Details
from containerlab_tui.ui.tabs.base import Panel

if TYPE_CHECKING:
    from containerlab_tui.services.inspection import Inspector
    from containerlab_tui.ui.app import ContainerlabApp


class Inspectors:
    """One inspector, with its agent, for the container that is looked at; another container ends it."""

    def __init__(self, local: Callable[[], bool]) -> None:
        self._local = local
        self._lock = threading.Lock()
        self._for: tuple[str, int] | None = None
        self._inspector: Inspector | None = None

    def of(self, details: Details) -> "Inspector":
        """The inspector of this container. Off the UI thread."""
        from containerlab_tui.services.inspection import Inspector

        with self._lock:
            wanted = (details.id, details.pid)
            if self._inspector is None or self._for != wanted:
                if self._inspector is not None:
                    self._inspector.close()
                self._inspector, self._for = Inspector(self._local(), details), wanted
            return self._inspector

    def close(self) -> None:
        """End the agent."""
        with self._lock:
            if self._inspector is not None:
                self._inspector.close()
            self._inspector = self._for = None


def make(app: "ContainerlabApp", name: str) -> Panel:
    """The contents of a tab. Imported here and not before: most are never opened."""
    if name == "processes":
        from containerlab_tui.ui.tabs.processes import ProcessTree

        return ProcessTree(app.processes_of, app.clock)
    if name == "logs":
        from containerlab_tui.ui.tabs.logs import LogView

        return LogView(
            lambda container, tail: app.engines.here().clone().logs(container, True, tail), app.settings.log_lines
        )
    if name == "inspect":
        from containerlab_tui.ui.tabs.inspect import InspectView

        return InspectView(lambda container: app.engines.here().inspect_raw(container))
    from containerlab_tui.ui.tabs import memory_tabs

    return {"signals": memory_tabs.SignalsTab, "ipc": memory_tabs.IpcTab, "files": memory_tabs.FilesTab}[name](app)
