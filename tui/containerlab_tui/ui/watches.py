"""One container that is being watched, for as long as something shows it: the service, fed with the engine's events."""

from typing import TYPE_CHECKING

from containerlab_tui.model.inventory import Details, EngineEvent
from containerlab_tui.services.signal_watch import SignalWatch
from containerlab_tui.ui.background import do

if TYPE_CHECKING:
    from containerlab_tui.model.signal_log import Told
    from containerlab_tui.ui.app import ContainerlabApp


class Watch:
    """From `begin` to `close`; both, and `take`, on the UI thread, and none of them waits."""

    def __init__(self, app: "ContainerlabApp", details: Details) -> None:
        self._app, self._details = app, details
        self._watching = SignalWatch(details, app.local, app.clock)

    @property
    def opened(self) -> bool:
        """Whether it has begun: what happens from now on is told."""
        return self._watching.opened

    @property
    def blind(self) -> str:
        """Why the kernel's record can't be had, a sentence; empty: it can."""
        return self._watching.blind

    def begin(self) -> None:
        self._app.listeners.append(self._happened)
        self._app.watching.add(self._watching)
        do(self._app, self._watching.open)

    def take(self) -> "list[Told]":
        """What has been told since the last call."""
        self._look_for_another_run()
        return self._watching.take()

    def close(self) -> None:
        """End; may be called again."""
        if self._happened in self._app.listeners:
            self._app.listeners.remove(self._happened)
        do(self._app, self._end)

    def _end(self) -> None:
        self._watching.close()
        self._app.watching.discard(self._watching)

    def _happened(self, event: EngineEvent) -> None:
        if event.container == self._details.id:
            self._watching.happened(event)

    def _look_for_another_run(self) -> None:
        now = self._app.knowledge.details.get(self._details.id)
        if now is not None and now.pid and (now.started_at or 0) > (self._details.started_at or 0):
            self._details = now
            do(self._app, lambda: self._watching.started_again(now))
