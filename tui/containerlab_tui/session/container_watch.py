"""Watches the signals of one container for as long as something shows them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from containerlab_tui.model.inventory import Details, EngineEvent
from containerlab_tui.services.signal_watch import SignalWatch

if TYPE_CHECKING:
    from containerlab_tui.model.signal_log import LogRecord


class Host(Protocol):
    """What a watch needs of the session."""

    local: bool
    clock: Callable[[], float]
    event_listeners: list[Callable[[EngineEvent], None]]
    open_watches: set[SignalWatch]

    def details_of(self, container: str) -> Details | None: ...
    def run(self, work: Callable[[], object]) -> None: ...


class ContainerWatch:
    """From `begin` to `close`; both, and `take`, on the UI thread, and none of them waits."""

    def __init__(self, host: Host, details: Details) -> None:
        self._host, self._details = host, details
        self._watch = SignalWatch(details, host.local, host.clock)

    @property
    def opened(self) -> bool:
        """Whether it has begun: what happens from now on is seen."""
        return self._watch.opened

    @property
    def blind(self) -> str:
        """Why there is no kernel trace, a sentence; empty: there is one."""
        return self._watch.blind

    def begin(self) -> None:
        """Starts watching in the background."""
        self._host.event_listeners.append(self._engine_said)
        self._host.open_watches.add(self._watch)
        self._host.run(self._watch.open)

    def take(self) -> "list[LogRecord]":
        """Returns what was seen since the last call."""
        self._follow_restart()
        return self._watch.take()

    def close(self) -> None:
        """Ends the watch; may be called again."""
        if self._engine_said in self._host.event_listeners:
            self._host.event_listeners.remove(self._engine_said)
        self._host.run(self._end)

    def _end(self) -> None:
        self._watch.close()
        self._host.open_watches.discard(self._watch)

    def _engine_said(self, event: EngineEvent) -> None:
        if event.container == self._details.id:
            self._watch.happened(event)

    def _follow_restart(self) -> None:
        now = self._host.details_of(self._details.id)
        if now is not None and now.pid and (now.started_at or 0) > (self._details.started_at or 0):
            self._details = now
            self._host.run(lambda: self._watch.started_again(now))
