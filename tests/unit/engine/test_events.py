"""The feed over a scripted engine: no event lost or doubled, a reconnection after every kind of end, a prompt close."""

import queue
import threading
import time
from collections.abc import Iterator
from typing import cast

import pytest

from containerlab_probes.errors import Gone, Unreachable
from containerlab_tui.engine import events as feeds
from containerlab_tui.engine.api import Engine
from containerlab_tui.engine.errors import LoginRefused
from containerlab_tui.engine.events import EngineReader
from containerlab_tui.engine.shared_events import SharedEvents
from containerlab_tui.model.inventory import (
    Changed,
    Connected,
    Container,
    Details,
    Disconnected,
    EngineEvent,
    EngineRecord,
    EngineVersion,
    Event,
    Snapshot,
)

WITHIN_S = 5.0
DETAILS = cast(Details, "the feed hands them on")


class Stream:
    """Events that a test puts in; None ends it, as a dying daemon does; an error breaks it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.queue: queue.SimpleQueue[EngineEvent | None] = queue.SimpleQueue()
        self._error = error

    def __iter__(self) -> Iterator[EngineEvent]:
        if self._error is not None:
            raise self._error
        while (event := self.queue.get()) is not None:
            yield event

    def close(self) -> None:
        self.queue.put(None)


class Scripted:
    """The part of an engine that the feed uses."""

    endpoint = "unix:///scripted.sock"
    local = True

    def __init__(self) -> None:
        self.stream = Stream()
        self.since: list[float | None] = []
        self.lines: dict[str, Container] = {}
        self.looked: list[str] = []
        self.down = False
        self.inspecting = threading.Event()
        self.inspecting.set()

    def connect(self) -> Engine:
        if self.down:
            raise Unreachable("No Docker engine answers at unix:///scripted.sock.")
        return cast(Engine, self)

    clone = connect

    def version(self) -> EngineVersion:
        return EngineVersion("1", (1, 41))

    def events(self, since: float | None = None) -> Stream:
        self.since.append(since)
        return self.stream

    def containers(self) -> tuple[Container, ...]:
        return tuple(self.lines.values())

    def container(self, container: str) -> Container | None:
        return self.lines.get(container)

    def inspect(self, container: str) -> Details:
        self.looked.append(container)
        self.inspecting.wait(WITHIN_S)
        if container not in self.lines:
            raise Gone("gone")
        return DETAILS

    def close(self) -> None:
        pass


class Running:
    """A feed and its records."""

    def __init__(self, engine: Scripted) -> None:
        self.records: queue.SimpleQueue[EngineRecord] = queue.SimpleQueue()
        self.feed = EngineReader(engine.connect, self.records.put)
        self.feed.start()

    def next(self) -> EngineRecord:
        return self.records.get(timeout=WITHIN_S)


@pytest.fixture
def engine() -> Scripted:
    made = Scripted()
    made.lines["a"] = line("a")
    return made


@pytest.fixture
def running(engine: Scripted, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr(feeds, "FIRST_WAIT_S", 0.001)
    running = Running(engine)
    yield running
    running.feed.close()


def line(id: str, state: str = "running") -> Container:
    return Container(id, f"name-{id}", "image", state, "", "", 0.0)


def event(action: str, at: float, id: str = "a") -> EngineEvent:
    return EngineEvent(at, action, id, f"name-{id}", "image")


def started(running: Running) -> Snapshot:
    connected, snapshot = running.next(), running.next()
    assert isinstance(connected, Connected)
    assert isinstance(snapshot, Snapshot)
    return snapshot


def back(running: Running) -> Snapshot:
    """Waits until the engine is followed again: then the list comes first."""
    snapshot, connected = running.next(), running.next()
    assert isinstance(snapshot, Snapshot)
    assert isinstance(connected, Connected)
    return snapshot


def test_the_subscription_starts_before_the_snapshot(engine: Scripted, running: Running) -> None:
    snapshot = started(running)
    assert snapshot.containers == (line("a"),)
    (since,) = engine.since
    assert since is not None
    assert since < snapshot.at


def test_an_event_comes_with_the_new_state(engine: Scripted, running: Running) -> None:
    started(running)
    engine.lines["a"] = line("a", "exited")
    engine.stream.queue.put(event("die", 1.0))
    assert running.next() == Event(event("die", 1.0))
    changed = running.next()
    assert isinstance(changed, Changed)
    assert (changed.container, changed.details) == (line("a", "exited"), DETAILS)
    del engine.lines["a"]
    engine.stream.queue.put(event("rename", 2.0))
    assert running.next() == Event(event("rename", 2.0))
    changed = running.next()
    assert isinstance(changed, Changed)
    assert changed.container is None


def test_events_without_a_change_cause_no_request(engine: Scripted, running: Running) -> None:
    started(running)
    engine.stream.queue.put(event("exec_start", 1.0))
    engine.stream.queue.put(event("destroy", 2.0))
    assert running.next() == Event(event("exec_start", 1.0))
    assert running.next() == Event(event("destroy", 2.0))
    assert isinstance(running.next(), Changed)
    assert not engine.looked


def test_duplicate_events_are_posted_once(engine: Scripted, running: Running) -> None:
    started(running)
    for one in (event("exec_start", 1.0), event("exec_start", 1.0), event("exec_start", 1.0, "b"), event("top", 1.0)):
        engine.stream.queue.put(one)
    assert [running.next() for _ in range(3)] == [
        Event(event("exec_start", 1.0)),
        Event(event("exec_start", 1.0, "b")),
        Event(event("top", 1.0)),
    ]


def test_a_slow_request_delays_no_event_and_is_sent_once(engine: Scripted, running: Running) -> None:
    started(running)
    engine.inspecting.clear()
    for at, action in enumerate(("start", "pause", "unpause", "pause")):
        engine.stream.queue.put(event(action, float(at)))
    assert [type(running.next()) for _ in range(4)] == [Event] * 4
    engine.inspecting.set()
    answers = [running.next()]
    while cast(Changed, answers[-1]).event.time < 3.0:
        answers.append(running.next())
    assert len(answers) <= 2
    assert len(engine.looked) == len(answers)


def test_a_lost_connection_is_followed_by_a_new_snapshot(engine: Scripted, running: Running) -> None:
    first = started(running)
    seen = event("exec_start", first.at - 100.0)
    engine.stream.queue.put(seen)
    assert running.next() == Event(seen)
    engine.down = True
    engine.stream.queue.put(None)
    lost = running.next()
    assert isinstance(lost, Disconnected)
    engine.lines["b"] = line("b")
    engine.stream = Stream()
    engine.down = False
    assert back(running).containers == (line("a"), line("b"))
    assert engine.since[-1] == seen.time, "what happened in between is asked for as well"
    engine.stream.queue.put(seen)
    engine.stream.queue.put(event("top", first.at))
    assert running.next() == Event(event("top", first.at)), "and what was seen is not posted again"


def test_a_missing_engine_is_reported_once(engine: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "FIRST_WAIT_S", 0.001)
    engine.down = True
    running = Running(engine)
    try:
        assert running.next() == Disconnected("No Docker engine answers at unix:///scripted.sock.")
        engine.down = False
        started(running)
    finally:
        running.feed.close()


@pytest.mark.parametrize(
    ("was_local", "expected"),
    [(False, [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]), (True, [0.1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2])],
)
def test_waits_grow_up_to_a_limit(engine: Scripted, was_local: bool, expected: list[float]) -> None:
    waits: list[float] = []

    class Impatient(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0.0)
            if len(waits) == 7:
                self.set()
            return self.is_set()

    engine.down = True
    feed = EngineReader(engine.connect, lambda record: None)
    feed._closing = Impatient()
    feed._known = cast(Engine, engine) if was_local else None
    feed.start()
    feed._thread.join(WITHIN_S)
    assert waits == expected


def test_the_wait_is_short_again_after_each_loss(engine: Scripted) -> None:
    waits: list[float] = []

    class Impatient(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0.0)
            engine.stream = Stream(Unreachable("It went away."))
            if len(waits) == 5:
                self.set()
            return self.is_set()

    engine.stream = Stream(Unreachable("It went away."))
    feed = EngineReader(engine.connect, lambda record: None)
    feed._closing = Impatient()
    feed.start()
    feed._thread.join(WITHIN_S)
    assert waits == [0.1] * 5


def test_a_clock_that_is_set_back_freezes_nothing(engine: Scripted, running: Running) -> None:
    """What is known has later times than every new event: only reading everything again helps."""
    first = started(running)
    engine.stream.queue.put(event("exec_start", first.at))
    assert running.next() == Event(event("exec_start", first.at))
    died = event("die", first.at - 3600)
    engine.lines["a"] = line("a", "exited")
    before, engine.stream = engine.stream, Stream()
    before.queue.put(died)
    seen = [running.next()]
    while not isinstance(seen[-1], Snapshot):
        seen.append(running.next())
    assert Event(died) in seen
    assert Disconnected("The clock was set back, so everything is read again.") in seen
    assert seen[-1].containers == (line("a", "exited"),)
    assert isinstance(running.next(), Connected)
    engine.stream.queue.put(event("start", died.time + 1))
    assert running.next() == Event(event("start", died.time + 1)), "and it is not read again for each event"
    assert isinstance(running.next(), Changed)


def test_an_answer_that_is_no_document_of_the_api_ends_no_thread(engine: Scripted, running: Running) -> None:
    started(running)

    asked: queue.SimpleQueue[str] = queue.SimpleQueue()

    def odd(container: str) -> Details:
        asked.put(container)
        raise KeyError("Id")

    before, engine.inspect = engine.inspect, odd  # type: ignore[method-assign]
    engine.stream.queue.put(event("die", 1.0))
    assert running.next() == Event(event("die", 1.0))
    assert asked.get(timeout=WITHIN_S) == "a"
    engine.inspect = before  # type: ignore[method-assign]
    engine.stream.queue.put(event("stop", 3.0))
    seen = [running.next()]
    while not (isinstance(seen[-1], Changed) and seen[-1].event.time == 3.0):
        seen.append(running.next())
    engine.stream.queue.put(cast(EngineEvent, "no event"))
    assert running.next() == Disconnected("unexpected AttributeError: 'str' object has no attribute 'action'")
    started(running)


def test_a_new_file_of_events_is_read_again_once(engine: Scripted, running: Running) -> None:
    started(running)
    engine.down = True
    engine.stream.queue.put(event("log-rotation", 1.0))
    assert running.next() == Disconnected("Podman started a new file of events, so everything is read again.")
    engine.stream, engine.down = Stream(), False
    back(running)
    engine.stream.queue.put(event("log-rotation", 1.0))  # reading again shows it again
    engine.stream.queue.put(event("die", 2.0))
    assert running.next() == Event(event("die", 2.0))


def test_close_ends_the_feed_promptly(engine: Scripted, running: Running) -> None:
    started(running)
    running.feed.close(timeout_s=60.0)
    assert not running.feed._thread.is_alive()
    engine.stream.queue.put(event("die", 1.0))
    assert running.records.empty()


def test_every_event_is_shared_before_it_is_posted_also_after_the_engine_was_lost(
    engine: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "FIRST_WAIT_S", 0.001)
    shared = SharedEvents()
    records: queue.SimpleQueue[tuple[EngineRecord, list[float]]] = queue.SimpleQueue()

    def post(record: EngineRecord) -> None:
        subscription = shared.events(since=0.0)
        subscription.close()
        records.put((record, [one.time for one in subscription]))

    feed = EngineReader(engine.connect, post, shared=shared)
    live = shared.events()
    feed.start()
    engine.stream.queue.put(event("kill", 5.0))
    engine.stream.queue.put(None)
    engine.stream.queue.put(event("kill", 5.0))
    engine.stream.queue.put(event("die", 6.0))
    posted: list[tuple[float, list[float]]] = []
    while len(posted) < 2:
        record, shared_so_far = records.get(timeout=WITHIN_S)
        if isinstance(record, Event):
            posted.append((record.event.time, shared_so_far))
    assert posted == [(5.0, [5.0]), (6.0, [5.0, 6.0])]
    feed.close()
    assert [one.action for one in live] == ["kill", "die"]


def test_a_refused_login_is_not_repeated_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(feeds, "LOGIN_WAIT_S", 0.3)
    tries: queue.SimpleQueue[float] = queue.SimpleQueue()

    def connect() -> Engine:
        tries.put(time.monotonic())
        raise LoginRefused("no key fits")

    reader = EngineReader(connect, lambda record: None)
    reader.start()
    first = tries.get(timeout=WITHIN_S)
    assert tries.get(timeout=WITHIN_S) - first >= 0.3
    reader.close()
