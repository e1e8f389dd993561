"""The Docker engine as `api.Engine`: questions on a Unix socket go over `http`, all else through `docker_client`.

One request answers the whole list. docker-py is loaded when it is needed first.
"""

import json
import os.path
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlencode

from containerlab_probes.errors import BadRequest, ContainerlabError, Unsupported
from containerlab_tui.engine import api_version, endpoint, errors, http, parse, streams
from containerlab_tui.engine.api import AttachedStreams, EventStream, ExecRequest, ExecStreams, LogStream, RunRequest
from containerlab_tui.engine.container_paths import path_of, reference, shown
from containerlab_tui.model.inventory import HAS_PROCESSES, Container, Details, EngineEvent, EngineVersion
from containerlab_tui.model.product import DOCKER, Product

if TYPE_CHECKING:
    import requests
    from docker.api import APIClient

    from containerlab_tui.engine import docker_client

Item = TypeVar("Item")
Params = Mapping[str, str | int | None]

STOP_SLACK_S = 20
"""A stop may take this long beyond its grace period: moby waits up to 10 + 2 + 2 s (daemon/stop.go)."""
REMOVE_S = 60
"""The longest duration of a removal: the kernel unmounts and deletes what the container has written."""


def longest_stop_s(grace_s: int) -> float | None:
    """Returns the longest duration of a stop, in seconds; None: no limit."""
    return None if grace_s < 0 else grace_s + STOP_SLACK_S


class DockerEngine:
    """One engine for one thread; use `clone` for each further thread."""

    product: Product = DOCKER
    _event_types: tuple[str, ...] = ("container",)
    """Types of events to follow."""
    _default_grace_s: int | None = None
    """The grace period of a new container for which none is asked; None: the engine's default."""

    def __init__(self, where: endpoint.Endpoint, api: str, version: str, local: bool) -> None:
        self.endpoint = where.url
        self.local = local
        self._where, self._api, self._version = where, api, version
        self._api_number = api_version.number(api)
        self._opened: APIClient | None = None
        self._clock_offset: float | None = 0.0 if where.socket_path else None

    def clone(self) -> Self:
        """Returns another connection to the same engine, without a request."""
        twin = type(self)(self._where, self._api, self._version, self.local)
        twin._clock_offset = self._clock_offset
        return twin

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()

    @property
    def _client(self) -> "APIClient":
        if self._opened is None:
            from containerlab_tui.engine import docker_client

            self._opened = docker_client.client(self._where, self._api)
        return self._opened

    # queries

    def version(self) -> EngineVersion:
        info = self._json("/info", "ask for the engine's version")
        return EngineVersion(info.get("ServerVersion") or self._version, self._api_number, self.product)

    def containers(self) -> tuple[Container, ...]:
        return parse.containers(self._json("/containers/json", "list the containers", {"all": "1"}))

    def container(self, container: str) -> Container | None:
        """Returns one container as in the list, by full id; None if it no longer exists."""
        params = {"all": "1", "filters": f'{{"id":["{reference(container)}"]}}'}
        lines = parse.containers(self._json("/containers/json", "list a container", params))
        return next((line for line in lines if line.id == container), None)

    def inspect(self, container: str) -> Details:
        return parse.details(self.inspect_raw(container), self.product)

    def inspect_raw(self, container: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._json(path_of(container, "json"), f"inspect {shown(container)}")
        return answer

    def images(self) -> tuple[str, ...]:
        tags = {tag for image in self._json("/images/json", "list the images") for tag in image.get("RepoTags") or ()}
        return tuple(sorted(tags - {"<none>:<none>"}))

    # changes

    def start(self, container: str) -> None:
        self._post(path_of(container, "start"), f"start {shown(container)}")

    def stop(self, container: str, timeout_s: int | None = None, signal: str | None = None) -> bool:
        if signal is not None and self._api_number < (1, 42):
            raise Unsupported(
                f"The engine at {self.endpoint} speaks API {self._api}; a stop with a chosen signal needs 1.42."
            )
        grace_s = self._grace_s(container, timeout_s)
        params = {"t": self._sent_time(timeout_s, grace_s), "signal": signal}
        answer = self._post(path_of(container, "stop"), f"stop {shown(container)}", params, longest_stop_s(grace_s))
        return answer.status != 304

    def kill(self, container: str, signal: str) -> None:
        self._post(path_of(container, "kill"), f"send {signal} to {shown(container)}", {"signal": signal})

    def restart(self, container: str, timeout_s: int | None = None) -> None:
        grace_s = self._grace_s(container, timeout_s)
        params = {"t": self._sent_time(timeout_s, grace_s)}
        self._post(path_of(container, "restart"), f"restart {shown(container)}", params, longest_stop_s(grace_s))

    def pause(self, container: str) -> None:
        self._post(path_of(container, "pause"), f"pause {shown(container)}")

    def unpause(self, container: str) -> None:
        self._post(path_of(container, "unpause"), f"resume {shown(container)}")

    def remove(self, container: str, force: bool = False, volumes: bool = False) -> None:
        params = {"force": "1" if force else None, "v": "1" if volumes else None}
        limit_s = self._longest_removal_s(container, force)
        self._call("DELETE", path_of(container), f"remove {shown(container)}", params, timeout_s=limit_s)

    def rename(self, container: str, name: str) -> None:
        self._post(path_of(container, "rename"), f"rename {shown(container)}", {"name": name})

    def run(self, request: RunRequest) -> str:
        from containerlab_tui.engine import docker_client

        with docker_client.translated(self._where.shown, f"create a container from {request.image}"):
            host = self._client.create_host_config(
                binds=list(request.volumes) or None,
                ipc_mode=request.ipc_mode or None,
                shm_size=request.shm_bytes,
                init=request.init or None,
                network_mode=request.network or None,
            )
            created = self._client.create_container(
                request.image,
                command=list(request.command) or None,
                name=request.name or None,
                environment=dict(request.environment) or None,
                labels=dict(request.labels) or None,
                stop_signal=request.stop_signal or None,
                stop_timeout=self._default_grace_s if request.stop_timeout_s is None else request.stop_timeout_s,
                tty=request.tty,
                stdin_open=request.tty or request.stdin,
                detach=True,  # otherwise StdinOnce is set, and the first attach session would close stdin on detaching
                host_config=host,
            )
        container: str = created["Id"]
        if request.start:
            try:
                self.start(container)
            except ContainerlabError as error:
                name = request.name or container[:12]
                raise type(error)(f"{name} was created but did not start. {error}") from error
        return container

    def copy_into(self, container: str, local_file: str, directory: str) -> None:
        path = path_of(container, "archive")
        what = f"copy {os.path.basename(local_file)} to {directory} in {shown(container)}"
        params = {"path": directory, "noOverwriteDirNonDir": "true"}
        with streams.tar_of(local_file) as data:
            self._require_directory(container, directory, what)
            self._call("PUT", path, what, params, timeout_s=None, data=data)

    def _require_directory(self, container: str, directory: str, what: str) -> None:
        """Raises `Gone` if the directory isn't there, where the engine itself doesn't refuse that."""

    # streams and waits

    def wait(self, container: str, timeout_s: float) -> int:
        what = f"wait for {shown(container)} to exit"
        answer = self._post(path_of(container, "wait"), what, timeout_s=timeout_s)
        code: int = self._document(answer.body, what)["StatusCode"]
        return code

    def events(self, since: float | None = None) -> EventStream:
        params: dict[str, str | int | None] = {"filters": json.dumps({"type": self._event_types})}
        offset = self._offset()
        if since is not None:
            params["since"] = f"{since + offset:.6f}"
        response = self._open("GET", "/events", "follow the events", params, timeout_s=None)
        return self._stream(_events(_chunks(response), offset), response)

    def past_events(self, container: str, since: float) -> tuple[EngineEvent, ...]:
        offset = self._offset()
        params: dict[str, str | int | None] = {
            "filters": json.dumps({"type": ["container"]} | ({"container": [container]} if container else {})),
            "since": f"{since + offset:.6f}",
        }
        params |= self._until_now(offset)
        what = f"list the events of {container or 'all containers'}"
        if self._where.socket_path is not None:
            answer = self.ask("GET", f"/events?{urlencode(params)}", what)
            return tuple(_events(iter((answer,)), offset))
        response = self._open("GET", "/events", what, params)
        return tuple(self._stream(_events(_chunks(response), offset), response))

    def logs(
        self,
        container: str,
        follow: bool,
        tail: int | None = None,
        since: float | None = None,
        timestamps: bool = False,
    ) -> LogStream:
        tty = bool(self.inspect(container).tty)
        params = {
            "stdout": "1",
            "stderr": "1",
            "follow": "1" if follow else "0",
            "tail": "all" if tail is None else str(tail),
            "since": None if since is None else f"{since + self._offset():.6f}",
            "timestamps": "1" if timestamps else "0",
        }
        response = self._open(
            "GET", path_of(container, "logs"), f"read the log of {shown(container)}", params, timeout_s=None
        )
        return self._stream(streams.output(_chunks(response), tty), response)

    def attach(self, container: str) -> AttachedStreams:
        details = self.inspect(container)
        if details.state not in HAS_PROCESSES:
            raise BadRequest(f"{details.name} is not running ({details.state}); start it before attaching to it.")
        path = f"{path_of(container, 'attach')}?stream=1&stdin=1&stdout=1&stderr=1"
        return streams.Attached(self.upgrade(path, "attach to the container"), details.tty)

    def execute(self, container: str, request: ExecRequest) -> ExecStreams:
        from containerlab_tui.engine import execution

        return execution.execute(self, path_of(container, "exec"), f"enter {shown(container)}", request)

    # requests

    def ask(self, method: str, path: str, what: str, document: object = None) -> bytes:
        """Sends one request, with a document as JSON, and returns the whole answer. Raises as the class."""
        if self._where.socket_path is not None:
            return http.ask(self._where, method, f"/v{self._api}{path}", what, document)
        return self._call(method, path, what, data=http.body_of(document)).body

    def upgrade(self, path: str, what: str, document: object = None) -> socket.socket:
        """Posts and returns the socket for raw bytes. Raises as `http.upgrade`."""
        return http.upgrade(self._where, f"/v{self._api}{path}", what, document)

    def _stream(self, items: Iterator[Item], response: "requests.Response") -> "docker_client.Stream[Item]":
        from containerlab_tui.engine import docker_client

        return docker_client.Stream(items, response, self._where)

    def _offset(self) -> float:
        """Returns how many seconds the engine's clock is ahead of this one; 0 for a Unix socket."""
        if self._clock_offset is None:
            before = time.time()
            theirs = parse.moment(self._json("/info", "ask for the engine's time").get("SystemTime"))
            self._clock_offset = parse.clock_offset(before, theirs, time.time())
        return self._clock_offset

    def _grace_s(self, container: str, timeout_s: int | None) -> int:
        """Returns the grace period of a stop for which `timeout_s` is asked; negative: no limit."""
        return self.inspect(container).stop_timeout_s if timeout_s is None else timeout_s

    def _sent_time(self, timeout_s: int | None, grace_s: int) -> int | None:
        """Returns the `t` of a stop or restart; None leaves it out."""
        return timeout_s

    def _longest_removal_s(self, container: str, force: bool) -> float | None:
        """Returns the longest duration of a removal, in seconds; None: no limit."""
        return REMOVE_S

    def _until_now(self, offset_s: float) -> Params:
        """Returns the parameters that end a list of events now; `offset_s` is that of the engine's clock."""
        return {"until": f"{time.time() + offset_s:.6f}"}

    def _json(self, path: str, what: str, params: Params | None = None) -> Any:  # noqa: ANN401
        return self._document(self.ask("GET", f"{path}?{urlencode(params)}" if params else path, what), what)

    def _document(self, body: bytes, what: str) -> Any:  # noqa: ANN401
        try:
            return json.loads(body)
        except ValueError as error:
            raise errors.unanswered(error, self._where.shown, what) from error

    def _post(
        self, path: str, what: str, params: Params | None = None, timeout_s: float | None = http.ANSWER_TIMEOUT_S
    ) -> "_WholeAnswer":
        return self._call("POST", path, what, params, timeout_s=timeout_s)

    def _call(
        self,
        method: str,
        path: str,
        what: str,
        params: Params | None = None,
        *,
        timeout_s: float | None = http.ANSWER_TIMEOUT_S,
        data: Iterator[bytes] | bytes | None = None,
    ) -> "_WholeAnswer":
        """Sends one request and returns the whole answer, at most ANSWER_BYTES."""
        response = self._open(method, path, what, params, timeout_s=timeout_s, data=data)
        from containerlab_tui.engine import docker_client

        with docker_client.translated(self._where.shown, what):
            return _WholeAnswer(response.status_code, docker_client.body_of(response))

    def _open(
        self,
        method: str,
        path: str,
        what: str,
        params: Params | None = None,
        *,
        timeout_s: float | None = http.ANSWER_TIMEOUT_S,
        data: Iterator[bytes] | bytes | None = None,
    ) -> "requests.Response":
        """Sends one request, whose answer is read later; `what` completes "Could not …".

        Parameters that are None are left out.
        """
        from containerlab_tui.engine import docker_client

        url = f"{self._client.base_url}/v{self._api}{path}"
        with docker_client.translated(self._where.shown, what):
            response = self._client.request(
                method, url, params=dict(params or {}), timeout=timeout_s, stream=True, data=data,
                headers=http.JSON_HEADERS if isinstance(data, bytes) else None,
            )  # fmt: skip
            if response.status_code >= 400:
                raise errors.refused(response.status_code, docker_client.body_of(response), what)
            return response


@dataclass(frozen=True, slots=True)
class _WholeAnswer:
    """A whole answer of the engine."""

    status: int
    body: bytes


def _events(chunks: Iterator[bytes], offset_s: float) -> Iterator[EngineEvent]:
    return (parse.event(one, offset_s) for one in streams.json_documents(chunks))


def _chunks(response: "requests.Response") -> Iterator[bytes]:
    """Yields a streamed response's bytes as they arrive."""
    yield from response.raw.stream(65536, decode_content=True)
