"""The effect of each container's stop signal on PID 1: one reading for all screens, whoever made it.

A screen, a dialog or the doctor that reads the processes of a container shares what it read, so the list never
contradicts it. A reading that failed is shown as unread and tried again.
"""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from containerlab_tui.model.inventory import RUNNING, Details
from containerlab_tui.session.store import Inspected, StopEffect, Store

if TYPE_CHECKING:
    from containerlab_probes.records import Process
    from containerlab_tui.engine.api import Engine

SETTLING_S = (1.0, 3.0, 10.0, 30.0)
"""Times after a container's start at which the effect of its stop signal is re-read."""
RETRIES_S = (1.0, 3.0, 10.0, 30.0)
"""Times after which a failed reading is tried again, the last one again and again."""

Seen = tuple["tuple[Process, ...]", str]
"""Processes, and why none are readable."""


class EffectsHost(Protocol):
    """The part of the session that readings use."""

    store: Store
    local: bool
    clock: Callable[[], float]

    def read_processes(self, engine: "Engine", details: Details) -> Seen: ...
    def deliver(self, callback: Callable[[], object]) -> None: ...
    def later(self, delay_s: float, callback: Callable[[], object]) -> None: ...
    def read_again(self, container: str, details: Details | None) -> None: ...
    def take_inspected(self, found: Sequence[Inspected]) -> None: ...


class StopEffects:
    """Reads effects, shares readings of others, and plans the next reading."""

    def __init__(self, host: EffectsHost) -> None:
        self._host = host
        self._failures: dict[str, int] = {}
        """Failed readings in a row, by container."""
        self._planned: set[str] = set()
        """Containers whose failed reading will be tried again."""

    # off the UI thread

    def read(self, engine: "Engine", details: Details) -> StopEffect | None:
        """Reads the stop signal's effect on PID 1; None if the container does not run."""
        if details.state not in RUNNING or not details.pid:
            return None
        at = time.monotonic()
        return effect_of(details, *self._host.read_processes(engine, details), at)

    def see(self, engine: "Engine", details: Details) -> Seen:
        """Reads the processes of a container for any screen, and shares the reading."""
        at = time.monotonic()
        seen, reason = self._host.read_processes(engine, details)
        self.share(details.id, details.pid, seen, reason, at)
        return seen, reason

    def share(
        self, container: str, pid: int, seen: "tuple[Process, ...]", reason: str = "", at: float | None = None
    ) -> None:
        """Shares a reading of a container's processes. `at`: when it began, of time.monotonic; None: now."""
        details = self._host.store.details.get(container)
        if details is None or not pid or details.pid != pid:
            return
        effect = effect_of(details, seen, reason, time.monotonic() if at is None else at)
        if effect is not None:
            self._host.deliver(lambda: self._host.take_inspected((Inspected(container, None, effect),)))

    # on the UI thread

    def reread(self, container: str) -> None:
        """Reads the effect on a running container's PID 1 again, after something may have changed it."""
        details = self._host.store.details.get(container)
        if details is not None and details.pid:
            self._host.read_again(container, details)

    def plan(self, found: Sequence[Inspected]) -> None:
        """Plans the next reading of each container: a young program may still install its handlers."""
        for one in found:
            if one.unread or (one.effect is not None and one.effect.unread):
                self._retry(one.container)
                continue
            self._failures.pop(one.container, None)
            if one.details is not None and one.effect is not None:
                self._settle(one.details)

    def _retry(self, container: str) -> None:
        if container in self._planned or container not in self._host.store.containers or not self._host.local:
            return
        failures = self._failures[container] = self._failures.get(container, 0) + 1
        self._planned.add(container)

        def again() -> None:
            self._planned.discard(container)
            details = self._host.store.details.get(container)
            if container not in self._host.store.containers:
                self._failures.pop(container, None)
            elif details is None or details.pid:
                self._host.read_again(container, details)

        self._host.later(RETRIES_S[min(failures, len(RETRIES_S)) - 1], again)

    def _settle(self, details: Details) -> None:
        age = max(0.0, self._host.clock() - (details.started_at or 0.0))  # the clock may have been set back
        moment = next((moment for moment in SETTLING_S if moment > age), None)

        def read() -> None:
            now = self._host.store.details.get(details.id)
            if now is not None and now.pid == details.pid:
                self._host.read_again(details.id, now)

        if moment is not None:
            self._host.later(moment - age, read)


def effect_of(details: Details, seen: "tuple[Process, ...]", reason: str, at: float) -> StopEffect | None:
    """Returns the effect of a container's stop signal on its PID 1; None if it is just ending."""
    from containerlab_probes.signals.forecast import forecast
    from containerlab_probes.signals.names import number_of
    from containerlab_tui.services.processes import NOT_RUNNING, children_of

    if reason == NOT_RUNNING:
        return None
    init = next((one for one in seen if one.pid == details.pid), None)
    if init is None:
        return StopEffect(details.pid, at, unread=reason or "PID 1 was not found among its processes")
    signal = number_of(details.stop_signal)
    unclear = signal in init.dispositions.unclear and init.state != "T"
    unread = (" ".join(init.dispositions.unread) or "a fact that decides could not be read") if unclear else ""
    return StopEffect(details.pid, at, forecast(init, signal, children_of(init, seen)), init.state == "T", unread)
