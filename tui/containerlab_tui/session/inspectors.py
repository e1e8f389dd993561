"""Keeps the inspector of the selected container."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from containerlab_tui.model.inventory import Details

if TYPE_CHECKING:
    from containerlab_tui.services.inspection import Inspector
    from containerlab_tui.services.policy import Policy


class Inspectors:
    """Keeps one inspector with its agent; asking for another container closes it."""

    def __init__(self, local: Callable[[], bool], policy: "Policy") -> None:
        """`local` returns whether the engine's containers run on this kernel."""
        self._local, self._policy = local, policy
        self._lock = threading.Lock()
        self._run_of: tuple[str, int] | None = None
        self._inspector: Inspector | None = None

    def of(self, details: Details) -> "Inspector":
        """Returns the inspector of this run of a container. Off the UI thread. Raises like `Inspector`."""
        from containerlab_tui.services.inspection import Inspector

        with self._lock:
            wanted = (details.id, details.pid)
            if self._inspector is None or self._run_of != wanted:
                if self._inspector is not None:
                    self._inspector.close()
                self._inspector, self._run_of = Inspector(self._local(), details, self._policy), wanted
            return self._inspector

    def close(self) -> None:
        """Closes the inspector and its agent."""
        with self._lock:
            if self._inspector is not None:
                self._inspector.close()
            self._inspector = self._run_of = None
