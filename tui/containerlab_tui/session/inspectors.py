"""Keeps the inspector of the selected container."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from containerlab_tui.model.inventory import Details

if TYPE_CHECKING:
    from containerlab_tui.services.inspection import Inspector
    from containerlab_tui.services.policy import Policy


def _inspect(local: bool, details: Details, policy: "Policy") -> "Inspector":
    from containerlab_tui.services.inspection import Inspector

    return Inspector(local, details, policy)


class Inspectors:
    """Keeps one inspector with its agent; asking for another container closes it."""

    def __init__(
        self,
        local: Callable[[], bool],
        policy: "Policy",
        inspect: "Callable[[bool, Details, Policy], Inspector]" = _inspect,
    ) -> None:
        """`local` returns whether the engine's containers run on this kernel; `inspect` makes an inspector."""
        self._local, self._policy, self._inspect = local, policy, inspect
        self._lock = threading.Lock()
        self._run_of: tuple[str, int] | None = None
        self._inspector: Inspector | None = None

    def of(self, details: Details) -> "Inspector":
        """Returns the inspector of this run of a container. Off the UI thread. Raises like `Inspector`."""
        with self._lock:
            wanted = (details.id, details.pid)
            if self._inspector is None or self._run_of != wanted:
                self._drop()
                self._inspector = self._inspect(self._local(), details, self._policy)
                self._run_of = wanted
            return self._inspector

    def close(self) -> None:
        """Closes the inspector and its agent."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        """Closes the inspector and forgets it, because a closed one refuses every later question."""
        closing, self._inspector, self._run_of = self._inspector, None, None
        if closing is not None:
            closing.close()
