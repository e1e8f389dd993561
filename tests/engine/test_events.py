"""The feed on a real engine: each change arrives in time, and the feed recovers after the daemon was killed."""

import functools
import queue
import signal
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from containerlab_probes.errors import Gone
from containerlab_tui.engine.api import RunRequest
from containerlab_tui.engine.connection import connect
from containerlab_tui.engine.docker_engine import DockerEngine
from containerlab_tui.engine.events import EngineReader
from containerlab_tui.lab import daemon
from containerlab_tui.model.inventory import (
    Changed,
    Details,
    Disconnected,
    EngineEvent,
    EngineRecord,
    Event,
    Inventory,
    Snapshot,
    fold,
)
from containerlab_tui.model.product import PODMAN
from tests.engine.marks import only_podman, starts_a_daemon
from tests.engines import matrix
from tests.support.docker import Docker, eventually

BASE = "containerlab/base:latest"
STATIC = "containerlab/scratch-static:latest"
ROUNDS = 5
IN_TIME_S = 0.15
WITHIN_S = 30.0
PODMAN_READS_S = 0.25
"""How often Podman reads its file of events for those who follow it (podman libpod/events/logfile.go, Poll)."""


class Watched:
    """A feed, its records with their times, and the state folded from them."""

    def __init__(self, host: str) -> None:
        self.inventory = Inventory()
        self.records: list[tuple[float, EngineRecord]] = []
        self.fresh: queue.SimpleQueue[tuple[float, EngineRecord]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self.feed = EngineReader(lambda: connect(host), self._take)
        self.feed.start()
        self.next(lambda record: isinstance(record, Snapshot))

    def _take(self, record: EngineRecord) -> None:
        with self._lock:
            at = time.time()
            self.inventory, _ = fold(self.inventory, record)
            self.records.append((at, record))
            self.fresh.put((at, record))

    def next(self, wanted: Callable[[EngineRecord], bool]) -> tuple[float, EngineRecord]:
        """Returns the next matching record and when it came."""
        deadline = time.monotonic() + WITHIN_S
        while True:
            at, record = self.fresh.get(timeout=max(0.01, deadline - time.monotonic()))
            if wanted(record):
                return at, record

    def event(self, id: str, action: str) -> tuple[float, EngineEvent]:
        try:
            at, record = self.next(
                lambda one: isinstance(one, Event) and (one.event.container, one.event.action) == (id, action)
            )
        except queue.Empty:
            raise AssertionError(f"no {action} event among {[record for _, record in self.records][-12:]}") from None
        assert isinstance(record, Event)
        return at, record.event


@pytest.fixture
def watched(engine_host: str) -> Iterator[Watched]:
    watched = Watched(engine_host)
    yield watched
    watched.feed.close()


def test_every_change_arrives_in_time(
    engine: DockerEngine, chosen_engine: matrix.Engine | None, watched: Watched
) -> None:
    """Medians of the time from the engine's timestamp of an event to the folded state that it leads to."""
    pauses: dict[str, Callable[[str], None]] = {}
    if not (chosen_engine and chosen_engine.is_rootless):
        pauses = {"pause": engine.pause, "unpause": engine.unpause}
    delays: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for action, delay in one_life(engine, watched, pauses):
            delays.setdefault(action, []).append(delay)
    medians = {action: statistics.median(each) for action, each in delays.items()}
    assert set(medians) == {"create", "start", "start: details", *pauses, "rename", "die", "destroy"}
    limit_s = IN_TIME_S + (PODMAN_READS_S if engine.product is PODMAN else 0)
    assert all(median < limit_s for median in medians.values()), medians


@only_podman
def test_the_list_is_right_when_podman_begins_a_new_file_of_events(docker: Docker, watched: Watched) -> None:
    """With the label's size, 25 events fill a file. Without the second reading 7 of 40 containers were missing."""
    label = f"--label=size={'y' * 40_000}"
    ids = [docker("create", "--network=none", label, BASE, "true") for _ in range(40)]
    try:
        watched.next(lambda record: isinstance(record, Disconnected))
        eventually(lambda: set(ids) <= set(watched.inventory.containers), "all are listed")
    finally:
        docker.remove(*ids)


def one_life(
    engine: DockerEngine, watched: Watched, pauses: dict[str, Callable[[str], None]]
) -> Iterator[tuple[str, float]]:
    """Changes one container in many ways; returns how long the feed took to report each change.

    `pauses`: events and what causes them. A rootless engine needs cgroups of version 2 for them.
    """
    name = f"test-feed-{uuid.uuid4().hex[:8]}"
    id = engine.run(RunRequest(BASE, ("sleep", "1000"), name=name, network="none", start=False))
    steps: list[tuple[str, Callable[[], object]]] = [
        ("create", lambda: None),
        ("start", lambda: engine.start(id)),
        *((action, functools.partial(act, id)) for action, act in pauses.items()),
        ("rename", lambda: engine.rename(id, f"{name}-2")),
        ("die", lambda: engine.kill(id, "SIGKILL")),
        ("destroy", lambda: engine.remove(id)),
    ]
    try:
        for action, act in steps:
            act()
            at, event = watched.event(id, action)
            yield action, at - event.time
            if action == "start":
                at, record = watched.next(
                    lambda one: isinstance(one, Changed) and (one.id, one.event.action) == (id, "start")
                )
                assert isinstance(record, Changed)
                assert record.details is not None
                assert record.details.pid == engine.inspect(id).pid > 0
                yield "start: details", at - event.time
    finally:
        with suppress(Gone):
            engine.remove(id, force=True)
    assert id not in watched.inventory.containers


def test_the_final_state_equals_a_fresh_list(engine: DockerEngine, watched: Watched) -> None:
    """Many containers are created, changed and removed at once."""
    made: list[str] = []

    def live(number: int) -> None:
        mine = engine.clone()
        id = mine.run(
            RunRequest(BASE, ("sh", "-c", f"exit {number}"), name=f"test-feed-{uuid.uuid4().hex[:8]}", network="none")
        )
        made.append(id)
        mine.wait(id, 30)
        if number % 3 == 0:
            mine.remove(id)
        elif number % 3 == 1:
            mine.rename(id, f"test-feed-{number}-{uuid.uuid4().hex[:8]}")
            mine.start(id)
            mine.wait(id, 30)
        mine.close()

    threads = [threading.Thread(target=live, args=(number,)) for number in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    def known() -> dict[str, tuple[str, str, int]]:
        now = watched.inventory
        both = [(now.containers[id], now.details[id]) for id in made if id in now.containers and id in now.details]
        return {line.id: (line.state, line.name, details.exit_code) for line, details in both}

    def true() -> dict[str, tuple[str, str, int]]:
        mine = [one for one in engine.containers() if one.id in made]
        return {one.id: (one.state, one.name, engine.inspect(one.id).exit_code) for one in mine}

    try:
        eventually(lambda: len(known()) == 6 and known() == true(), "feed and list agree")
        assert sorted(code for _, _, code in known().values()) == [1, 2, 4, 5, 7, 8]
    finally:
        for id in made:
            with suppress(Gone):
                engine.remove(id, force=True)


def test_no_requests_without_changes(engine: DockerEngine) -> None:
    """A signal that terminates nothing is an event that changes no line."""
    asked: list[str] = []

    class Counting(DockerEngine):
        def clone(self) -> "Counting":
            return Counting(self._where, self._api, self._version, self.local)

        def inspect(self, container: str) -> Details:
            asked.append(container)
            return super().inspect(container)

    records: queue.SimpleQueue[EngineRecord] = queue.SimpleQueue()
    feed = EngineReader(Counting(engine._where, engine._api, engine._version, engine.local).clone, records.put)
    feed.start()
    try:
        while not isinstance(records.get(timeout=10), Snapshot):
            pass
        id = engine.run(RunRequest(BASE, ("sleep", "1000"), name=f"test-feed-{uuid.uuid4().hex[:8]}", network="none"))
        while not (isinstance(one := records.get(timeout=10), Changed) and (one.id, one.event.action) == (id, "start")):
            pass
        before = asked.count(id)
        engine.kill(id, "SIGWINCH")
        engine.rename(id, f"test-feed-{uuid.uuid4().hex[:8]}")
        while not (
            isinstance(two := records.get(timeout=10), Changed) and (two.id, two.event.action) == (id, "rename")
        ):
            pass
        assert asked.count(id) == before + 1, "the rename alone"
        engine.remove(id, force=True)
    finally:
        feed.close()


def kill(places: daemon.Places) -> None:
    with daemon.found(places) as running:
        assert running is not None
        signal.pidfd_send_signal(running.pidfd, signal.SIGKILL)
        assert running.ended(10)


@starts_a_daemon
def test_a_daemon_that_is_killed_and_comes_back_is_followed_again_completely(own_daemon: daemon.Places) -> None:
    host = f"unix://{own_daemon.socket}"
    engine = connect(host)
    first = engine.run(RunRequest(STATIC, ("/sleep", "1000"), name="first", network="none"))
    second = engine.run(RunRequest(STATIC, ("/sleep", "1000"), name="second", network="none"))
    watched = Watched(host)
    try:
        assert watched.inventory.containers.keys() == {first, second}
        kill(own_daemon)
        _, lost = watched.next(lambda record: isinstance(record, Disconnected))
        assert isinstance(lost, Disconnected)
        assert lost.sentence
        assert watched.inventory.stale
        assert watched.inventory.containers.keys() == {first, second}, "what was known stays"

        daemon.ensure(own_daemon)
        watched.next(lambda record: isinstance(record, Snapshot))
        assert not watched.inventory.stale
        assert {one.id: one.state for one in connect(host).containers()} == {
            one.id: one.state for one in watched.inventory.containers.values()
        }
        engine = connect(host)
        third = engine.run(RunRequest(STATIC, ("/sleep", "1000"), name="third", network="none"))
        engine.remove(first, force=True)
        eventually(
            lambda: (
                watched.inventory.containers.keys() == {second, third}
                and watched.inventory.containers[third].state == "running"
            ),
            "the events after it",
        )
        assert sum(isinstance(record, Disconnected) for _, record in watched.records) == 1
        for each in (second, third):
            engine.remove(each, force=True)
    finally:
        watched.feed.close()


def test_close_is_prompt_while_the_engine_is_away(tmp_path: Path) -> None:
    posted: queue.SimpleQueue[EngineRecord] = queue.SimpleQueue()
    feed = EngineReader(lambda: connect(f"unix://{tmp_path}/nosuch.sock"), posted.put)
    feed.start()
    lost = posted.get(timeout=10)
    assert isinstance(lost, Disconnected)
    assert f"{tmp_path}/nosuch.sock" in lost.sentence
    began = time.monotonic()
    feed.close()
    assert time.monotonic() - began < 1
    assert posted.empty()
