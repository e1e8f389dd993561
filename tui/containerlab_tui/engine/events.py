"""Follows an engine: a snapshot, then every change, also across a restart of the daemon.

It subscribes to events from a moment before it takes the snapshot, so that no change is missed; duplicates
are posted once. Two daemon threads: one only reads events; the other asks for the state of a
container after an event. Neither asks the engine anything while nothing happens.
"""

import threading
import time
from collections.abc import Callable

from containerlab_probes.errors import ContainerlabError, Gone, Unreachable
from containerlab_tui.engine.api import Engine, EventStream
from containerlab_tui.engine.errors import LoginRefused
from containerlab_tui.engine.shared_events import SharedEvents
from containerlab_tui.model.inventory import (
    Changed,
    Connected,
    Container,
    Details,
    Disconnected,
    EngineEvent,
    EngineRecord,
    Event,
    Snapshot,
)

LIST_ACTIONS = frozenset(
    ("create", "start", "restart", "die", "stop", "oom", "pause", "unpause", "rename", "destroy", "update",
     "health_status", "cleanup")
)  # fmt: skip
"""Actions that may change a container's line in the list, or its details. After `cleanup` Podman's are complete."""

OVERLAP_S = 0.5
"""Events start this long before the snapshot, because they are stamped before they are sent."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 2.0
LOGIN_WAIT_S = 30.0
"""A host may block this user, or this machine, after a few refused logins (fail2ban, PerSourcePenalties of sshd)."""
LONGEST_LOCAL_WAIT_S = 0.2
"""An attempt on a Unix socket costs almost nothing, and the screens must be right within a second of the return."""
CLOCK_STEP_S = 2.0
"""Events of one engine are in the order of time; one that is this much older means that the clock was set back."""
ROTATED = "log-rotation"
"""The action of Podman's event that its file of events was full. Its readers skip what was written to that file after
their last look, up to 0.25 s (podman libpod/events/logfile.go)."""
SEEN_KEPT = 2000
"""Events kept to recognise duplicates; the engine keeps 256 (moby daemon/events)."""

Post = Callable[[EngineRecord], object]


class EngineReader:
    """Posts an engine's changes until it is closed."""

    def __init__(
        self,
        engines: Callable[[], Engine],
        post: Post,
        clock: Callable[[], float] = time.time,
        shared: SharedEvents | None = None,
    ) -> None:
        """`engines` connects and raises ContainerlabError; `post` takes the records, in threads of the reader.

        `shared` gets every event before `post` does, so a subscription made on an event replays that event.
        """
        self._engines, self._to, self._clock = engines, post, clock
        self._shared = SharedEvents() if shared is None else shared
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._stream: EventStream | None = None
        self._seen: dict[tuple[float, str, str], None] = {}
        self._last = 0.0
        self._lost = False
        self._known: Engine | None = None
        """The local engine that was followed last. To ask for its version first would take it longer than all else: it
        runs other programs for that (moby daemon/info_unix.go)."""
        self._thread = threading.Thread(target=self._run, name="engine-reader", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self, timeout_s: float = 2.0) -> None:
        """Ends the reader and waits for its thread. Nothing is posted afterwards."""
        self._closing.set()
        with self._lock:
            stream = self._stream
        if stream is not None:
            stream.close()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        self._shared.close()

    def _run(self) -> None:
        wait_s = FIRST_WAIT_S
        while not self._closing.is_set():
            sentence, shortest_s = "The engine closed its event stream.", 0.0
            try:
                engine = self._engines() if self._known is None else self._known.clone()
                try:
                    self._follow(engine)
                finally:
                    engine.close()
            except ContainerlabError as error:
                sentence = str(error)
                shortest_s = LOGIN_WAIT_S if isinstance(error, LoginRefused) else 0.0
                if not isinstance(error, Unreachable):
                    self._known = None  # another engine may answer there
            except Exception as error:  # noqa: BLE001  a defect of ours, or of the engine, must not end the thread
                sentence = f"unexpected {type(error).__name__}: {error}"
                self._known = None
            if not self._lost:
                self._lost = True
                wait_s = FIRST_WAIT_S
                self._post(Disconnected(sentence))
            self._closing.wait(max(wait_s, shortest_s))
            wait_s = min(2 * wait_s, LONGEST_WAIT_S if self._known is None else LONGEST_LOCAL_WAIT_S)

    def _follow(self, engine: Engine) -> None:
        """Follows one connection until it ends. After a loss the list comes first: it is what is waited for."""
        connected = None if self._known is not None else self._connected(engine)
        at = self._clock()
        since = at - OVERLAP_S
        if engine.local and self._last:
            since = min(since, self._last)
        stream = engine.events(since)
        reader = _StateReader(engine.clone(), self._post, self._clock)
        with self._lock:
            self._stream = stream
        try:
            containers = engine.containers()
            self._lost, self._known = False, engine if engine.local else None
            if connected is not None:
                self._post(connected)
            self._post(Snapshot(containers, at))
            reader.start()
            if connected is None:
                self._post(self._connected(engine))
            for event in stream:
                if self._closing.is_set():
                    return
                if event.action == ROTATED:
                    if self._is_new(event):  # reading again shows it again, and what was skipped
                        raise Unreachable("Podman started a new file of events, so everything is read again.")
                    continue
                is_set_back = event.time < self._last - CLOCK_STEP_S
                self._handle(event, reader)
                if is_set_back:
                    # What is known has later times, so it would win over every change until the clock has caught up.
                    self._last = event.time
                    raise Unreachable("The clock was set back, so everything is read again.")
        finally:
            with self._lock:
                self._stream = None
            stream.close()
            reader.close()

    @staticmethod
    def _connected(engine: Engine) -> Connected:
        return Connected(engine.version(), engine.endpoint, engine.local)

    def _handle(self, event: EngineEvent, reader: "_StateReader") -> None:
        if not self._is_new(event):
            return
        self._last = max(self._last, event.time)
        self._shared.publish(event)
        self._post(Event(event))
        if event.action in LIST_ACTIONS:
            reader.want(event)

    def _is_new(self, event: EngineEvent) -> bool:
        key = (event.time, event.container, event.action)
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > SEEN_KEPT:
            del self._seen[next(iter(self._seen))]
        return True

    def _post(self, record: EngineRecord) -> None:
        if not self._closing.is_set():
            self._to(record)


class _StateReader:
    """Asks, in its own thread, for the state of containers after their last event.

    Inspect comes first because it waits for the lock that the engine holds while it handles a change; only then does
    the list show the result (moby daemon/monitor.go writes the list's copy after it has sent `die`).
    """

    def __init__(self, engine: Engine, post: Post, clock: Callable[[], float]) -> None:
        self._engine, self._post, self._clock = engine, post, clock
        self._wanted: dict[str, EngineEvent] = {}
        self._change = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="engine-state", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def want(self, event: EngineEvent) -> None:
        """Asks once for all waiting events of one container."""
        with self._change:
            self._wanted.pop(event.container, None)
            self._wanted[event.container] = event
            self._change.notify()

    def close(self) -> None:
        """Stops posting, even for a request in progress."""
        with self._change:
            self._closed = True
            self._change.notify()

    def _run(self) -> None:
        while event := self._next():
            at = self._clock()
            try:
                container, details = self._read(event)
            except Exception:  # noqa: BLE001, S112  # nosec B112 # a defect must not end the thread
                # The connection was lost, which the other thread reports; or the engine was too slow, or its answer
                # was no document of the API: the row keeps what the event said.
                continue
            if not self._closed:
                self._post(Changed(container, details, event, at))
        self._engine.close()

    def _next(self) -> EngineEvent | None:
        with self._change:
            while not self._wanted and not self._closed:
                self._change.wait()
            return None if self._closed else self._wanted.pop(next(iter(self._wanted)))

    def _read(self, event: EngineEvent) -> tuple[Container | None, Details | None]:
        if event.action == "destroy":
            return None, None
        try:
            details = self._engine.inspect(event.container)
        except Gone:
            return None, None
        return self._engine.container(event.container), details
