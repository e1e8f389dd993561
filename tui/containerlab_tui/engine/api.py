"""The interface of an engine. Only this package knows the client library.

Every method blocks until the engine has answered: call them off the UI thread. Each raises the errors of
`containerlab_probes.errors`: `Unreachable` (no engine, or the connection was lost), `Gone` (no such container, image
or path), `Denied`, `BadRequest` (the engine refused, with its reason), `TimedOut`, `Unsupported`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from containerlab_tui.model.inventory import Container, Details, EngineEvent, EngineVersion
from containerlab_tui.model.product import Product


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A container to run; an empty field means the default of the image or the engine."""

    image: str
    command: tuple[str, ...] = ()
    name: str = ""
    ipc_mode: str = ""
    """private, shareable, host, none or container:NAME"""
    shm_bytes: int | None = None
    init: bool = False
    stop_signal: str = ""
    stop_timeout_s: int | None = None
    tty: bool = False
    """Allocate a terminal; also keeps standard input open."""
    stdin: bool = False
    """Keep standard input open for attach sessions."""
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()
    """`source:target[:ro]`, as for `docker run --volume`."""
    network: str = ""
    """none, host, container:NAME or a network's name"""
    start: bool = True


@dataclass(frozen=True, slots=True)
class ExecRequest:
    """A program to run in a running container, on a terminal; an empty field means the container's default."""

    command: tuple[str, ...]
    user: str = ""
    """`user`, `uid`, `user:group` or `uid:gid`."""
    environment: Mapping[str, str] = field(default_factory=dict)
    rows: int = 0
    """Height of the terminal; 0: unknown."""
    columns: int = 0


@dataclass(frozen=True, slots=True)
class ExecState:
    """The state of a program that was run in a container."""

    is_running: bool
    pid: int
    """As the engine's host sees it; 0: not started."""
    exit_code: int | None


class EventStream(Protocol):
    """A stream of the engine's container events. Ends when closed or when the connection is lost."""

    def __iter__(self) -> Iterator[EngineEvent]: ...

    def close(self) -> None:
        """Ends the iteration, from any thread."""


class EventSource(Protocol):
    """A source of events: an engine, with a stream for each call, or `shared_events`, with one for all."""

    def events(self, since: float | None = None) -> EventStream:
        """Returns container events, first those since that time (epoch seconds)."""


class LogStream(Protocol):
    """Log output in raw chunks of any size. Ends with the container or `close`."""

    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> None: ...


class AttachedStreams(Protocol):
    """The standard streams of a container."""

    tty: bool

    def fileno(self) -> int:
        """Returns the file descriptor for select(2)."""

    def read(self) -> bytes:
        """Returns output (stdout and stderr, demultiplexed); empty at the end."""

    def pending(self) -> bool:
        """Returns whether `read` has output that select(2) does not report."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


class ExecStreams(AttachedStreams, Protocol):
    """The terminal of a program that was run in a container."""

    def resize(self, rows: int, columns: int) -> None:
        """Tells the program the size of the user's terminal."""

    def state(self) -> ExecState: ...


class Engine(Protocol):
    """One Docker engine. An object belongs to one thread at a time; use `clone` for another thread."""

    endpoint: str
    """The address, as for `docker --host`."""
    local: bool
    """Whether its containers run on this kernel (a Unix socket): probes and cgroup files work only then."""
    product: Product
    """Which program it is; engines leave out different facts."""

    def clone(self) -> "Engine": ...

    def version(self) -> EngineVersion: ...

    def containers(self) -> tuple[Container, ...]:
        """Returns all containers, including stopped ones, in one request."""

    def container(self, container: str) -> Container | None:
        """Returns one container as in the list, by full id; None if it no longer exists."""

    def inspect(self, container: str) -> Details:
        """Returns the details of a container, by name, id or unambiguous id prefix."""

    def inspect_raw(self, container: str) -> dict[str, object]:
        """Returns the engine's document about a container."""

    def events(self, since: float | None = None) -> EventStream:
        """Returns container events, first those since that time (epoch seconds), with times of this host's clock."""

    def past_events(self, container: str, since: float) -> tuple[EngineEvent, ...]:
        """Returns past events of one container, or of all (''), since a time (the engine keeps the last 256
        events of all, moby daemon/events/events.go)."""

    def images(self) -> tuple[str, ...]:
        """Returns the tags of all images, sorted."""

    def start(self, container: str) -> None: ...

    def stop(self, container: str, timeout_s: int | None = None, signal: str | None = None) -> bool:
        """Stops a container in the engine's two phases and waits. Returns False if it wasn't running.

        Raises `Unsupported` where a signal is asked for and the engine takes none: before API 1.42, and Podman.
        """

    def kill(self, container: str, signal: str) -> None:
        """Sends a signal, as `docker kill -s`: may mark the container as manually stopped (moby daemon/kill.go)."""

    def restart(self, container: str, timeout_s: int | None = None) -> None: ...

    def pause(self, container: str) -> None: ...

    def unpause(self, container: str) -> None: ...

    def remove(self, container: str, force: bool = False, volumes: bool = False) -> None: ...

    def rename(self, container: str, name: str) -> None: ...

    def run(self, request: RunRequest) -> str:
        """Creates and starts a container. Returns its id."""

    def logs(
        self,
        container: str,
        follow: bool,
        tail: int | None = None,
        since: float | None = None,
        timestamps: bool = False,
    ) -> LogStream: ...

    def attach(self, container: str) -> AttachedStreams: ...

    def execute(self, container: str, request: ExecRequest) -> ExecStreams:
        """Runs a program inside a container's confinement, like `docker exec --interactive --tty`."""

    def copy_into(self, container: str, local_file: str, directory: str) -> None:
        """Copies a local regular file into a directory of the container, like `docker cp`."""

    def wait(self, container: str, timeout_s: float) -> int:
        """Waits until the container stops. Returns its exit code."""

    def close(self) -> None: ...
