"""Runs stops, each in its own thread, and follows stops started outside this program."""

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from containerlab_probes.errors import ContainerlabError, Gone
from containerlab_probes.signals.names import SIGKILL
from containerlab_tui.model.grace import grace_period
from containerlab_tui.model.inventory import Details, EngineEvent
from containerlab_tui.model.stop import Verdict
from containerlab_tui.services.policy import Operation
from containerlab_tui.session.changes import Change, Notice, StopChanged, StopFinished, StopLogged

if TYPE_CHECKING:
    from containerlab_tui.engine.api import Engine, EventSource, LogStream
    from containerlab_tui.model.product import Product
    from containerlab_tui.model.stop import StopPlan, StopState
    from containerlab_tui.services.history import History
    from containerlab_tui.services.own_changes import OwnChanges
    from containerlab_tui.services.processes import SeeProcesses

T = TypeVar("T")

MOST_FOLLOWED = 48
"""Stops started outside this program are followed up to this number of stops: each needs threads and a trace."""
MOST_SEEN = 500
"""Containers whose stops are noted as seen; the screen keeps fewer stops."""
LATEST_S = 15.0
"""A stop ends at most this long after its grace period (moby daemon/stop.go: 10 s, 2 s, and some)."""
LOG_LINES_AT_ONCE = 200
LONGEST_LOG_LINE = 4000
"""Bytes kept of one line: a container may write without end and without a line break."""
TAKEN_S = 5.0
"""The log is read no faster than the UI thread takes it, unless that is busy for this long."""


class StopHost(Protocol):
    """The part of the session that stops use."""

    clock: Callable[[], float]
    product: "Product"

    def engine(self) -> "Engine": ...
    def details_of(self, container: str) -> Details | None: ...
    def deliver(self, callback: Callable[[], object]) -> None: ...
    def report(self, change: Change) -> None: ...
    def set_stop_phase(self, container: str, phase: str) -> None: ...
    def later(self, delay_s: float, callback: Callable[[], object]) -> None: ...
    def wait_for(
        self,
        work: Callable[[], T],
        done: Callable[[T], object],
        failed: Callable[[ContainerlabError], object],
    ) -> None: ...


class ActiveStops:
    """All stops, started here or elsewhere. Called on the UI thread."""

    def __init__(
        self,
        host: StopHost,
        see: "SeeProcesses",
        events: "EventSource | None" = None,
        changes: "OwnChanges | None" = None,
        arguments: bool = False,
    ) -> None:
        """`see` reads a container's processes. `events` is the shared event stream; None: each stop opens its own.

        `changes` are this program's, so that a restart pressed here does not count as started outside.
        `arguments`: the history records command lines with their arguments.
        """
        self._host, self._see, self._changes, self._arguments = host, see, changes, arguments
        self._events = events
        self._in_progress: dict[str, object] = {}
        """Containers with a stop in progress, each with its newest stop; what an older one reports is dropped."""
        self._started_again: set[str] = set()
        """Containers that were started while a stop was in progress: the next signal begins another stop."""
        self._seen: dict[str, float] = {}
        """Containers of which a stop was seen, each with the time of the last one's exit, or of its beginning."""
        self._logs: dict[str, float] = {}
        """Container -> identity of the stop whose log is being read, or was read."""
        self._streams: dict[str, LogStream] = {}
        self._failed_until: dict[str, float] = {}
        """Containers of which a stop failed, with the time (epoch seconds) until which signals may still be its own."""

    @property
    def any_seen(self) -> bool:
        """Whether any stop was seen."""
        return bool(self._seen)

    def has_seen(self, container: str) -> bool:
        """Returns whether a stop of this container was seen."""
        return container in self._seen

    def begin(self, plan: "StopPlan") -> None:
        """Stops a container as planned. A stop that is in progress goes on; from now on the new one is shown."""
        from containerlab_tui.model.stop import begin, failed_to_begin
        from containerlab_tui.services.kernel_trace import START_S
        from containerlab_tui.services.stop import run_stop

        plan = replace(plan, asked_at=self._host.clock())
        stop = self._add(plan.container)
        self._take(stop, begin(plan, self._host.clock()))
        report = partial(self._report, stop)
        self._host.wait_for(
            lambda: run_stop(
                self._host.engine(), plan, report, self._history(), self._events, see=self._see, trace_start_s=START_S
            ),
            partial(self._finish, stop),
            lambda error: self._finish(stop, failed_to_begin(plan, self._host.clock(), str(error))),
        )

    def take_event(self, event: EngineEvent) -> None:
        """Follows the stop that an event begins: part of a restart or removal pressed here, or started outside."""
        details, is_stopping = self._host.details_of(event.container), event.container in self._in_progress
        if event.action == "start" and is_stopping:
            self._started_again.add(event.container)
        if event.action != "kill" or details is None or (is_stopping and event.container not in self._started_again):
            return
        from containerlab_tui.services.stop import begins_stop

        if not begins_stop(event, details):
            return
        if event.time <= self._failed_until.get(event.container, 0.0):
            return  # the engine went away during that stop, and this signal continues it
        operation = self._changes.at(event.container, event.time) if self._changes is not None else None
        self._follow(details, event.time, operation)

    def take_change(self, operation: Operation, container: str, at: float) -> None:
        """Follows the stop in a restart or removal that is requested here, if no event will tell that it begins."""
        details = self._host.details_of(container)
        if operation not in (Operation.RESTART, Operation.REMOVE) or self._host.product.reports_signals:
            return
        if container not in self._in_progress and details is not None and details.pid:
            self._follow(details, at, operation)

    def _follow(self, details: Details, at: float, operation: Operation | None) -> None:
        """Follows a stop that began `at` a time (epoch seconds) and is part of an operation, or was started outside."""
        if len(self._in_progress) >= MOST_FOLLOWED:
            return  # the container's row still shows its new state
        from containerlab_tui.services.stop import follow_stop, plan_stop

        container = details.id
        stop = self._add(container)
        report = partial(self._report, stop)

        def work() -> "StopState":
            engine = self._host.engine()
            # docker rm -f sends nothing but SIGKILL; Podman stops the container first.
            signal = SIGKILL if operation is Operation.REMOVE and engine.product.kills_removed else None
            plan = plan_stop(engine, container, signal, since=at, see=self._see)
            plan = replace(plan, started_elsewhere=True, asked_at=at, part_of=operation or "")
            return follow_stop(engine, plan, at, report, self._history(), events=self._events, see=self._see)

        def failed(error: ContainerlabError) -> None:
            self._end(stop, container)
            if not isinstance(error, Gone):
                self._host.report(Notice(str(error)))

        self._host.wait_for(work, partial(self._finish, stop), failed)
        # `docker kill -s` looks like phase 1 of a stop; only a missing phase 2 distinguishes them.
        if details.stop_timeout_s >= 0:
            self._host.later(details.stop_timeout_s + LATEST_S, lambda: self._host.set_stop_phase(container, ""))

    def take_exit(self, event: EngineEvent, details: Details) -> None:
        """Adds a stop started elsewhere that the engine reports only by the exit, if it has recorded a request."""
        container = event.container
        if event.action not in ("die", "cleanup") or not details.asked_to_stop or container in self._in_progress:
            return
        from containerlab_tui.model.ending_records import SAME_END_S

        ended = details.finished_at or event.time
        if ended <= max(self._seen.get(container, 0.0) + SAME_END_S, self._failed_until.get(container, 0.0)):
            return  # this program ran that stop, or began it before the engine went away
        from containerlab_tui.services.stop import stop_known_by_exit

        operation = self._changes.at(container, event.time) if self._changes is not None else None
        self._finish(self._add(container), stop_known_by_exit(self._host.product, details, event, operation or ""))

    def _add(self, container: str) -> object:
        """Returns a new stop in progress, which replaces one of an earlier run."""
        self._started_again.discard(container)
        stop = self._in_progress[container] = object()
        return stop

    def _history(self) -> "History":
        from containerlab_tui.services.history import History

        def tell(sentence: str) -> None:
            self._host.deliver(lambda: self._host.report(Notice(sentence)))

        return History(arguments=self._arguments, tell=tell)

    def _report(self, stop: object, state: "StopState") -> None:
        """Passes a state from the stop's thread to the UI thread."""
        self._host.deliver(lambda: self._take(stop, state))

    def _take(self, stop: object, state: "StopState") -> None:
        if self._in_progress.get(state.plan.container) is stop:
            self._show(state)

    def _end(self, stop: object, container: str) -> bool:
        """Returns whether this was the newest stop of the container; then none is in progress any longer."""
        if self._in_progress.get(container) is not stop:
            return False
        del self._in_progress[container]
        self._started_again.discard(container)
        return True

    def _show(self, state: "StopState") -> None:
        self._seen[state.plan.container] = state.ended_at or state.began
        if len(self._seen) > MOST_SEEN:
            oldest = next(iter(self._seen))
            del self._seen[oldest]
            self._logs.pop(oldest, None)
        self._host.report(StopChanged(state))
        self._host.set_stop_phase(state.plan.container, "" if state.settled else _phase(state))
        self._follow_log(state)

    def _finish(self, stop: object, state: "StopState") -> None:
        if not self._end(stop, state.plan.container):
            return
        if state.verdict is Verdict.FAILED and not state.plan.started_elsewhere:
            grace_s = state.plan.timeout_s if state.plan.timeout_s >= 0 else math.inf
            self._failed_until[state.plan.container] = state.began + grace_s + LATEST_S
        self._show(state)
        stream = self._streams.get(state.plan.container)
        if stream is not None and state.ended_at is None:
            stream.close()  # the container keeps running, and its log is no longer about a stop
        self._host.report(StopFinished(state))

    def _follow_log(self, state: "StopState") -> None:
        """Reads the container's log once for each stop, from its start until the container or the stop ends."""
        container = state.plan.container
        if state.settled or self._logs.get(container) == state.identity:
            return
        self._logs[container] = state.identity
        opened: list[LogStream] = []

        def work() -> None:
            engine = self._host.engine().clone()
            try:
                opened.append(engine.logs(container, True, None, state.began))
                self._streams[container] = opened[0]
                for lines in log_batches(opened[0]):
                    self._report_log(container, lines)
            finally:
                engine.close()

        def done(_: object) -> None:
            if opened and self._streams.get(container) is opened[0]:
                del self._streams[container]

        def failed(error: ContainerlabError) -> None:
            done(error)
            if not opened and self._logs.get(container) == state.identity:
                del self._logs[container]  # nothing was read, so the next state may try again

        self._host.wait_for(work, done, failed)

    def _report_log(self, container: str, lines: Sequence[bytes]) -> None:
        change = StopLogged(container, tuple(line.decode("utf-8", "replace") for line in lines))
        taken = threading.Event()

        def report() -> None:
            self._host.report(change)
            taken.set()

        self._host.deliver(report)
        taken.wait(TAKEN_S)


def log_batches(chunks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yields the last lines of each chunk of a log; a line that is too long is cut."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > LONGEST_LOG_LINE:
            lines, rest = [*lines, rest], b""
        if lines:
            yield [line[:LONGEST_LOG_LINE] for line in lines[-LOG_LINES_AT_ONCE:]]
    if rest:
        yield [rest]


def _phase(state: "StopState") -> str:
    """Returns the phase of a stop in progress, in a few words."""
    if state.died_at is not None:
        return ""
    if state.phase_2 is not None:
        return "stopping: killed"
    return f"stopping: grace period {grace_period(state.plan.timeout_s)}" if state.phase_1 is not None else "stopping"
