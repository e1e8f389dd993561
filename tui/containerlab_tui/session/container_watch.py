"""Watches the signals of one container, across restarts."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from containerlab_tui.model.inventory import Details, EngineEvent
from containerlab_tui.services.signal_watch import SignalWatch

if TYPE_CHECKING:
    from containerlab_tui.model.signal_log import LogRecord


class WatchHost(Protocol):
    """The part of the session that a watch uses."""

    local: bool
    clock: Callable[[], float]
    event_listeners: list[Callable[[EngineEvent], None]]
    open_watches: set[SignalWatch]

    def details_of(self, container: str) -> Details | None: ...
    def run(self, work: Callable[[], object]) -> None: ...


class ContainerWatch:
    """Watches from `begin` to `close`. Its methods are called on the UI thread and don't block."""

    def __init__(
        self,
        host: WatchHost,
        details: Details,
        watch: Callable[[Details, bool, Callable[[], float]], SignalWatch] = SignalWatch,
    ) -> None:
        """`watch` makes the watch of one container, from its details, whether it runs here, and the clock."""
        self._host, self._details = host, details
        self._watch = watch(details, host.local, host.clock)

    @property
    def opened(self) -> bool:
        """Whether the watch has started."""
        return self._watch.opened

    @property
    def no_trace_reason(self) -> str:
        """Why there is no kernel trace, a sentence; empty if there is one."""
        return self._watch.no_trace_reason

    def begin(self) -> None:
        """Starts watching in the background."""
        self._host.event_listeners.append(self._take_event)
        self._host.open_watches.add(self._watch)
        self._host.run(self._watch.open)

    def take(self) -> "list[LogRecord]":
        """Returns the records since the last call."""
        self._follow_restart()
        return self._watch.take()

    def close(self) -> None:
        """Ends the watch. May be called twice."""
        if self._take_event in self._host.event_listeners:
            self._host.event_listeners.remove(self._take_event)
        self._host.run(self._end)

    def _end(self) -> None:
        self._watch.close()
        self._host.open_watches.discard(self._watch)

    def _take_event(self, event: EngineEvent) -> None:
        if event.container == self._details.id:
            self._watch.happened(event)

    def _follow_restart(self) -> None:
        now = self._host.details_of(self._details.id)
        if now is not None and now.pid and (now.started_at or 0) > (self._details.started_at or 0):
            self._details = now
            self._host.run(lambda: self._watch.started_again(now))
