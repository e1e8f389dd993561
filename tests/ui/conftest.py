"""The application on a scripted feed with records of a real engine (recorded.json), a fixed clock and no engine."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
from textual.pilot import Pilot

from containerlab_probes.codec import decoder
from containerlab_probes.memory_records import Overview
from containerlab_probes.records import HostLoad, Process, ProcessLoad, Usage
from containerlab_tui.config import Settings
from containerlab_tui.engine import parse
from containerlab_tui.engine.api import Engine
from containerlab_tui.model.inventory import (
    Changed,
    Connected,
    Container,
    Details,
    EngineEvent,
    EngineRecord,
    EngineVersion,
    Event,
    MountPoint,
    Snapshot,
)
from containerlab_tui.model.signal_log import LogRecord
from containerlab_tui.session.container_watch import ContainerWatch, WatchHost
from containerlab_tui.session.kernel import Kernel, ProcessLoads
from containerlab_tui.session.refreshers import LoadReader, Loads
from containerlab_tui.session.session import Session, Sources
from containerlab_tui.ui.app import ContainerlabApp
from tests.support.engine import CHANGES, ENDPOINT, PlayedEvents, ScriptedEngine
from tests.ui.samples import settled, text_of

RECORDED = json.loads(Path(__file__).with_name("recorded.json").read_text(encoding="utf-8"))
VERSION = EngineVersion("20.10.24", (1, 41))


@pytest.fixture(scope="session", autouse=True)
def _in_utc() -> Iterator[None]:
    """Shows times as on a machine in UTC, whatever the time zone of this one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def scripted_engine(local: bool = True) -> ScriptedEngine:
    """Returns data from the recording; changes are recorded and not made."""
    events = PlayedEvents()
    events.close()
    engine = ScriptedEngine(
        ENDPOINT,
        local,
        raw=dict(RECORDED["inspected"]),
        stream=events,
        past=(),
        tags=("containerlab/dockerapp1:latest",),
        log=[],
    )
    engine.allow(*CHANGES)
    return engine


class PlayedWatch:
    """Replaces the kernel trace: the test puts records into `waiting`."""

    made: ClassVar[list["PlayedWatch"]] = []
    played_reason: ClassVar[str] = ""

    def __init__(self, details: Details) -> None:
        self.container, self.pid = details.id, details.pid
        self.opened, self.no_trace_reason = False, ""
        self.waiting: list[LogRecord] = []
        self.closed = False
        self.made.append(self)

    def begin(self) -> None:
        self.opened, self.no_trace_reason = True, self.played_reason

    def take(self) -> list[LogRecord]:
        records, self.waiting = self.waiting, []
        return records

    def close(self) -> None:
        self.closed = True


@dataclass
class Stage:
    """An application with its scripted engine and screen."""

    app: ContainerlabApp
    engine: ScriptedEngine
    containers: tuple[Container, ...]
    now: float
    _post: list[Callable[[EngineRecord], object]] = field(default_factory=list)

    def id_of(self, name: str) -> str:
        return next(one.id for one in self.containers if one.name == name)

    def post(self, record: EngineRecord) -> None:
        """Posts a record like the feed's thread."""
        thread = threading.Thread(target=self._post[0], args=(record,))
        thread.start()
        thread.join()

    def play_session(self) -> None:
        """Posts the recorded session as of now: a stop, a start, two renames of dockerapp1."""
        later = self.now + 1 - RECORDED["session"][0]["record"]["event"]["time"]
        for entry in RECORDED["session"]:
            self.post(_revived(entry["kind"], entry["record"], later))

    @property
    def started(self) -> bool:
        return bool(self._post)

    async def ready(self, pilot: Pilot[Any]) -> None:
        """Waits for the details and loads of all running containers."""
        known = self.app.session.store
        await settled(pilot, lambda: self.started and self.app.main.detail.panel is not None, "the first tab")
        await settled(pilot, lambda: len(known.details) >= len(known.order(ended=False)), "details")
        await settled(pilot, lambda: not self.app.session.local or bool(known.loads), "loads")
        await settled(pilot, lambda: "reading …" not in text_of(self.app), "processes")
        if self.app.session.local:
            alive = {one.id for one in known.order(ended=False) if recorded_processes(one.id)}
            await settled(pilot, lambda: alive <= known.effects.keys(), "forecasts")


def _revived(kind: str, plain: dict[str, Any], later: float) -> EngineRecord:
    """Returns a recorded entry, moved `later` seconds forward."""
    event = EngineEvent(**{**plain["event"], "time": plain["event"]["time"] + later})
    if kind == "Event":
        return Event(event)
    container, details = plain["container"], plain["details"]
    if details is not None:
        lists = {key: tuple(value) for key, value in details.items() if isinstance(value, list)}
        moved = {key: details[key] and details[key] + later for key in ("started_at", "finished_at")}
        details = Details(
            **{**details, **lists, **moved, "mounts": tuple(MountPoint(**one) for one in details["mounts"])}
        )
    if container is not None:
        container = Container(**{**container, "ports": tuple(container["ports"])})
    return Changed(container, details, event, plain["at"] + later)


def recorded_processes(container: str) -> tuple[Process, ...]:
    return cast(tuple[Process, ...], decoder(tuple[Process, ...])(RECORDED["processes"].get(container, [])))


def load_of(one: Process) -> ProcessLoad:
    """A load that sorts the children before their parents."""
    number = one.container_pid
    return ProcessLoad(1.5 * number, number << 20, 3 + number, 4096 * number, 0)


def _now() -> float:
    """Returns a time three minutes after the last start in the recording."""
    began = [one["State"]["StartedAt"][:19] for one in RECORDED["inspected"].values()]
    return max(datetime.fromisoformat(f"{text}+00:00").timestamp() for text in began) + 180


class PlayedKernel(Kernel):
    """Replaces this machine: recorded processes, invented loads, played watches."""

    def processes(self, engine: Engine, details: Details) -> tuple[tuple[Process, ...], str]:
        return (recorded_processes(details.id), "") if details.pid else ((), "it is not running")

    def load_reader(self, post: Callable[[Loads], object]) -> LoadReader:
        def overviews_of(watched: Sequence[Details]) -> dict[str, Overview]:
            return {
                one.id: Overview(4026531839, 3, 58_720_256)
                for one in watched
                if "db" in RECORDED["inspected"][one.id]["Name"]
            }

        def host_of() -> HostLoad:
            return HostLoad(12.4, 3_300_000_000, 24 << 30)

        return LoadReader(lambda details: Usage(1.0, 9_400_000), overviews_of, post, host_of=host_of)

    def process_loads(self) -> ProcessLoads:
        return lambda seen: tuple(replace(one, load=load_of(one)) for one in seen)

    def watch(self, host: WatchHost, details: Details) -> ContainerWatch:
        return cast(ContainerWatch, PlayedWatch(details))

    def clean_up(self) -> None: ...


@pytest.fixture
def stage() -> Callable[..., Stage]:
    """Returns a factory of stages with given settings."""
    PlayedWatch.made.clear()
    PlayedWatch.played_reason = ""

    def make(
        settings: Settings | None = None,
        containers: tuple[Container, ...] | None = None,
        local: bool = True,
        kernel: Kernel | None = None,
    ) -> Stage:
        engine, now = scripted_engine(local), _now()
        listed = parse.containers(RECORDED["lines"]) if containers is None else containers
        posts: list[Callable[[EngineRecord], object]] = []

        def follow(post: Callable[[EngineRecord], object]) -> None:
            posts.append(post)
            post(Connected(VERSION, ENDPOINT, local))
            post(Snapshot(listed, now))

        sources = Sources(ENDPOINT, lambda: engine, lambda: listed, follow)
        app = ContainerlabApp(Session(sources, settings or Settings(), lambda: now, kernel or PlayedKernel()))
        return Stage(app, engine, listed, now, posts)

    return make
