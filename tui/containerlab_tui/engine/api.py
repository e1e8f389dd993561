"""What the rest of the program needs of an engine. Only this folder knows which library talks to it.

Every method blocks until the engine has answered: call them off the UI thread. Each raises the errors of
`containerlab_probes.errors`: `Unreachable` (no engine, or it went away), `Gone` (no such container, image
or path), `Denied`, `BadRequest` (the engine refused, with its reason), `TimedOut`, `Unsupported`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from containerlab_tui.model.inventory import Container, Details, EngineEvent, EngineVersion


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What to run; the empty value of a field leaves it to the image or the engine."""

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
    """A terminal; standard input is open then as well."""
    stdin: bool = False
    """Keep standard input open, so that one who attaches can write to it."""
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()
    """`source:target[:ro]`, as `docker run --volume` takes them."""
    start: bool = True


class EventStream(Protocol):
    """The engine's container events from a moment on. Ends when closed or when the engine goes away."""

    def __iter__(self) -> Iterator[EngineEvent]: ...

    def close(self) -> None:
        """End the iteration, from any thread."""


class EventSource(Protocol):
    """Where events come from: an engine, with a stream for each call, or `shared_events`, with one for all."""

    def events(self, since: float | None = None) -> EventStream:
        """Container events; those since that moment (epoch seconds) come first."""


class LogStream(Protocol):
    """Log output, raw bytes as they came, any number of lines an item. Ends with the container or `close`."""

    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> None: ...


class AttachedStreams(Protocol):
    """The standard streams of a container."""

    tty: bool

    def fileno(self) -> int:
        """For select(2)."""

    def read(self) -> bytes:
        """Output (stdout and stderr, demultiplexed); empty at the end."""

    def pending(self) -> bool:
        """Whether `read` has output at hand that select(2) does not see."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


class Engine(Protocol):
    """One Docker engine. An object belongs to one thread at a time; `clone` gives another thread its own."""

    endpoint: str
    """The address as `docker --host` takes it."""
    local: bool
    """Whether its containers run on this kernel (a Unix socket): probes and cgroup files work only then."""

    def clone(self) -> "Engine": ...

    def version(self) -> EngineVersion: ...

    def containers(self) -> tuple[Container, ...]:
        """All of them, ended ones too, in one request."""

    def container(self, container: str) -> Container | None:
        """The list's line of one container, by full id; None where there is none any more."""

    def inspect(self, container: str) -> Details:
        """By name, full id or unambiguous id prefix."""

    def inspect_raw(self, container: str) -> dict[str, object]:
        """The engine's own document."""

    def events(self, since: float | None = None) -> EventStream:
        """Container events; those since that moment (epoch seconds) come first. Times are by this host's clock."""

    def past_events(self, container: str, since: float) -> tuple[EngineEvent, ...]:
        """What the engine still remembers of one container, or of all (''), since a moment (it keeps the last 256
        events of all, moby daemon/events/events.go)."""

    def images(self) -> tuple[str, ...]:
        """Tags, sorted."""

    def start(self, container: str) -> None: ...

    def stop(self, container: str, timeout_s: int | None = None, signal: str | None = None) -> bool:
        """The engine's own two-phase stop; waits for its end. False: it wasn't running.

        Raises `Unsupported` where a signal is asked for and the API is older than 1.42.
        """

    def kill(self, container: str, signal: str) -> None:
        """`docker kill -s`: may mark the container as stopped by hand (moby daemon/kill.go)."""

    def restart(self, container: str, timeout_s: int | None = None) -> None: ...

    def pause(self, container: str) -> None: ...

    def unpause(self, container: str) -> None: ...

    def remove(self, container: str, force: bool = False, volumes: bool = False) -> None: ...

    def rename(self, container: str, name: str) -> None: ...

    def run(self, request: RunRequest) -> str:
        """Create and, unless asked not to, start a container; answers its id."""

    def logs(
        self,
        container: str,
        follow: bool,
        tail: int | None = None,
        since: float | None = None,
        timestamps: bool = False,
    ) -> LogStream: ...

    def attach(self, container: str) -> AttachedStreams: ...

    def copy_into(self, container: str, local_file: str, directory: str) -> None:
        """Copy one local regular file into a directory of the container, as `docker cp` does."""

    def wait(self, container: str, timeout_s: float) -> int:
        """Wait for the container's end; its exit code."""

    def close(self) -> None: ...
