"""An engine that a test scripts: it implements the whole Protocol and refuses each call that is not scripted."""

import queue
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Never

from containerlab_probes.errors import ContainerlabError, Gone
from containerlab_tui.engine import parse
from containerlab_tui.engine.api import AttachedStreams, Engine, ExecRequest, ExecStreams, RunRequest
from containerlab_tui.model.inventory import Container, Details, EngineEvent, EngineVersion
from containerlab_tui.model.product import DOCKER, Product
from containerlab_tui.services.policy import Policy

ENDPOINT = "unix:///run/docker.sock"
CHANGES = frozenset(
    (
        "start",
        "stop",
        "kill",
        "restart",
        "pause",
        "unpause",
        "remove",
        "rename",
        "run",
        "attach",
        "execute",
        "copy_into",
    )
)
"""Methods that change a container or act inside it."""

UNRESTRICTED = Policy()
"""Allows everything without confirmation."""

Call = tuple[object, ...]
"""A method's name and its arguments, in the order of the Protocol."""


@dataclass
class PlayedEvents:
    """An event stream that the test fills. Ends when closed, fails where the test says so."""

    _items: "queue.SimpleQueue[EngineEvent | ContainerlabError | None]" = field(default_factory=queue.SimpleQueue)
    closed: bool = False

    def tell(self, *events: EngineEvent) -> None:
        """Adds these to the stream."""
        for event in events:
            self._items.put(event)

    def fail(self, error: ContainerlabError) -> None:
        """Ends the stream with an error."""
        self._items.put(error)

    def __iter__(self) -> Iterator[EngineEvent]:
        while (item := self._items.get()) is not None:
            if isinstance(item, ContainerlabError):
                raise item
            yield item

    def close(self) -> None:
        self.closed = True
        self._items.put(None)


@dataclass
class Chunks:
    """A log stream with an end."""

    chunks: Iterable[bytes]
    closed: bool = False

    def __iter__(self) -> Iterator[bytes]:
        yield from self.chunks

    def close(self) -> None:
        self.closed = True


@dataclass
class ScriptedEngine:
    """Returns what the test has scripted, records each change in `calls`, and refuses everything else.

    A container is known by its id or name from `inspected` (records) or `raw` (documents of the API); any other
    raises Gone. A method whose field is None was not scripted.
    """

    endpoint: str = ENDPOINT
    local: bool = True
    inspected: dict[str, Details | ContainerlabError] = field(default_factory=dict)
    raw: dict[str, dict[str, Any]] = field(default_factory=dict)
    listed: tuple[Container, ...] | None = None
    engine_version: EngineVersion | None = None
    product: Product = DOCKER
    stream: PlayedEvents | None = None
    past: tuple[EngineEvent, ...] | None = None
    tags: tuple[str, ...] | None = None
    log: list[bytes] | None = None
    streams: AttachedStreams | None = None
    execution: ExecStreams | None = None
    exit_code: int | None = None
    """The answer of `wait`."""
    may: dict[str, Callable[[], object]] = field(default_factory=dict)
    """The allowed changes, each with its function; see `allow`."""
    calls: list[Call] = field(default_factory=list)
    """The requested changes, including refused ones."""
    asked: list[Call] = field(default_factory=list)
    """The requests that change nothing."""
    clones: int = 0
    closes: int = 0

    def allow(self, *methods: str, then: Callable[[], object] = lambda: None) -> None:
        """Allows these changes; `then` runs at each call and may raise or return a result."""
        assert set(methods) <= CHANGES, methods
        self.may.update(dict.fromkeys(methods, then))

    def clone(self) -> "ScriptedEngine":
        """Returns itself, so calls from all threads are recorded in one place; `clones` and `closes` must agree."""
        self.clones += 1
        return self

    def close(self) -> None:
        self.closes += 1

    # questions

    def version(self) -> EngineVersion:
        return self.engine_version or _refuse("version")

    def containers(self) -> tuple[Container, ...]:
        self.asked.append(("containers",))
        return _refuse("containers") if self.listed is None else self.listed

    def container(self, container: str) -> Container | None:
        self.asked.append(("container", container))
        if self.listed is None:
            _refuse("container")
        return next((one for one in self.listed if one.id == container), None)

    def inspect(self, container: str) -> Details:
        self.asked.append(("inspect", container))
        if (known := self._known(container)) is not None:
            return known
        return parse.details(self._document(container))

    def inspect_raw(self, container: str) -> dict[str, object]:
        self.asked.append(("inspect_raw", container))
        return self._document(container)

    def events(self, since: float | None = None) -> PlayedEvents:
        self.asked.append(("events", since))
        return self.stream or _refuse("events")

    def past_events(self, container: str, since: float) -> tuple[EngineEvent, ...]:
        self.asked.append(("past_events", container, since))
        if self.past is None:
            _refuse("past_events")
        return tuple(one for one in self.past if container in ("", one.container) and one.time >= since)

    def images(self) -> tuple[str, ...]:
        return _refuse("images") if self.tags is None else self.tags

    def logs(
        self,
        container: str,
        follow: bool,
        tail: int | None = None,
        since: float | None = None,
        timestamps: bool = False,
    ) -> Chunks:
        self.asked.append(("logs", container, follow, tail, since, timestamps))
        return _refuse("logs") if self.log is None else Chunks(tuple(self.log))

    def wait(self, container: str, timeout_s: float) -> int:
        self.asked.append(("wait", container, timeout_s))
        return _refuse("wait") if self.exit_code is None else self.exit_code

    # changes

    def start(self, container: str) -> None:
        self._change("start", container)

    def stop(self, container: str, timeout_s: int | None = None, signal: str | None = None) -> bool:
        return self._change("stop", container, timeout_s, signal) is not False

    def kill(self, container: str, signal: str) -> None:
        self._change("kill", container, signal)

    def restart(self, container: str, timeout_s: int | None = None) -> None:
        self._change("restart", container, timeout_s)

    def pause(self, container: str) -> None:
        self._change("pause", container)

    def unpause(self, container: str) -> None:
        self._change("unpause", container)

    def remove(self, container: str, force: bool = False, volumes: bool = False) -> None:
        self._change("remove", container, force, volumes)

    def rename(self, container: str, name: str) -> None:
        self._change("rename", container, name)

    def run(self, request: RunRequest) -> str:
        return str(self._change("run", request))

    def attach(self, container: str) -> AttachedStreams:
        self._change("attach", container)
        return self.streams or _refuse("attach")

    def execute(self, container: str, request: ExecRequest) -> ExecStreams:
        self._change("execute", container, request)
        return self.execution or _refuse("execute")

    def copy_into(self, container: str, local_file: str, directory: str) -> None:
        self._change("copy_into", container, local_file, directory)

    def _change(self, method: str, *arguments: object) -> object:
        self.calls.append((method, *arguments))
        return self.may[method]() if method in self.may else _refuse(method)

    def _known(self, container: str) -> Details | None:
        for id, known in self.inspected.items():
            if container == id or (isinstance(known, Details) and container in (known.id, known.name)):
                if isinstance(known, ContainerlabError):
                    raise known
                return known
        return None

    def _document(self, container: str) -> dict[str, Any]:
        if container not in self.raw:
            raise Gone(f"There is no container {container}.")
        return self.raw[container]


def _refuse(method: str) -> Never:
    raise AssertionError(f"the engine was asked for {method}, which the test has not scripted")


def as_engine(engine: ScriptedEngine) -> Engine:
    """Returns itself as an Engine, so that mypy compares it with the Protocol."""
    return engine


ID = "c" * 64


def details(**changed: object) -> Details:
    """Returns the details of a running container `app`, with these fields changed."""
    running = {"Status": "running", "Pid": 500, "StartedAt": "1970-01-01T00:16:40Z"}
    config = {"Image": "image:1"}
    document = {"Id": ID, "Name": "/app", "Path": "app", "Args": ["-x"], "State": running, "Config": config}
    return replace(parse.details(document), **changed)  # type: ignore[arg-type]


LINE = Container(ID, "app", "image:1", "running", "Up 2 seconds", "app -x", 900.0)
"""The same container in the engine's list."""


def event(time: float, action: str, container: str = ID, **attributes: str) -> EngineEvent:
    """Returns an engine event of that container."""
    return EngineEvent(time, action, container, "app", "image:1", attributes)
