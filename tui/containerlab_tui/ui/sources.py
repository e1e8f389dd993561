"""Puts the application's sources together: engine, cgroup files, IPC namespaces. The one place that knows them all."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from containerlab_probes.records import Overview, Usage
from containerlab_tui.core.inventory import Container, Details
from containerlab_tui.engine.api import Engine

if TYPE_CHECKING:
    from containerlab_tui.ui.app import Listener, Sources


def sources(endpoint: str | None, context: str | None) -> "Sources":
    """Sources on the engine that the arguments name."""
    raise NotImplementedError
