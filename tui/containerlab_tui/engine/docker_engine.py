"""The Docker engine as `api.Engine`, through docker-py's low-level client. Nothing else imports docker.

One request answers the whole list. Errors of docker, requests and the operating system become this program's own
in one place, `_translated`. Names go into a URL only after a check, so that `../` can't reach another resource.
"""

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

import docker.errors
import requests
import requests.exceptions
from docker.api import APIClient
from docker.tls import TLSConfig
from docker.types import CancellableStream

from containerlab_probes.errors import (
    BadRequest,
    ContainerlabError,
    Denied,
    Gone,
    TimedOut,
    Unreachable,
    Unsupported,
)
from containerlab_tui.core.inventory import Container, Details, EngineEvent
from containerlab_tui.engine import documents, endpoint, streams, wire
from containerlab_tui.engine.api import AttachedStreams, EngineVersion, EventStream, LogStream, RunRequest

Item = TypeVar("Item")
Params = Mapping[str, str | int | None]

STOP_SLACK_S = 20
"""Seconds that a stop may take beyond its grace period: moby waits 10 + 2 + 2 at the worst (daemon/stop.go)."""

REQUEST_TIMEOUT_S = 30
NAME = re.compile(r"/?([a-zA-Z0-9][a-zA-Z0-9_.-]*)")
"""What Docker allows as a container's name (moby daemon/names/names.go); ids match as well."""


def connect(endpoint_url: str | None = None, context: str | None = None) -> "DockerEngine":
    """The engine that `docker` itself would use, answering; see `endpoint.resolve` for the order.

    Raises BadRequest, Unreachable, Denied (the socket may not be opened), Unsupported (ssh without paramiko).
    """
    where = endpoint.resolve(endpoint_url, context)
    with _translated(where.url, "connect"):
        probe = _client(where, "1.24", timeout_s=10)
        try:
            version = probe.version(api_version=False)
        finally:
            probe.close()
    api = os.environ.get("DOCKER_API_VERSION") or version["ApiVersion"]
    local = where.socket_path is not None and version.get("KernelVersion") == os.uname().release
    return DockerEngine(where, api, version.get("Version", ""), local)


def _client(where: endpoint.Endpoint, api: str, timeout_s: int = REQUEST_TIMEOUT_S) -> APIClient:
    tls: TLSConfig | bool = False
    if where.tls is not None and where.url.startswith(("tcp:", "https:")):
        files = (where.tls.certificate, where.tls.key)
        tls = TLSConfig(
            client_cert=files if all(files) else None, ca_cert=where.tls.ca or None, verify=where.tls.verify
        )
    return APIClient(base_url=where.url, version=api, timeout=timeout_s, tls=tls)


class DockerEngine:
    """One engine for one thread. `clone` for each further one."""

    def __init__(self, where: endpoint.Endpoint, api: str, version: str, local: bool) -> None:
        self.endpoint = where.url
        self.local = local
        self._where, self._api, self._version = where, api, version
        major, _, minor = api.partition(".")
        self._api_number = (int(major), int(minor))
        self._client = _client(where, api)
        self._clock_offset: float | None = 0.0 if where.socket_path else None

    def clone(self) -> "DockerEngine":
        """Another connection to the same engine, without asking it anything."""
        twin = DockerEngine(self._where, self._api, self._version, self.local)
        twin._clock_offset = self._clock_offset
        return twin

    def close(self) -> None:
        self._client.close()

    # What there is

    def version(self) -> EngineVersion:
        info = self._json("/info", "ask for the engine's version")
        return EngineVersion(
            version=info.get("ServerVersion") or self._version,
            api=self._api_number,
            cgroup_version=int(info.get("CgroupVersion") or 1),
            cgroup_driver=info.get("CgroupDriver") or "",
            data_root=info.get("DockerRootDir") or "",
        )

    def containers(self) -> tuple[Container, ...]:
        return documents.containers(self._json("/containers/json", "list the containers", {"all": "1"}))

    def container(self, container: str) -> Container | None:
        """The fresh list line of one container by full id; None where there is none any more."""
        params = {"all": "1", "filters": f'{{"id":["{_reference(container)}"]}}'}
        lines = documents.containers(self._json("/containers/json", "list a container", params))
        return next((line for line in lines if line.id == container), None)

    def inspect(self, container: str) -> Details:
        return documents.details(self.inspect_raw(container))

    def inspect_raw(self, container: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._json(_path(container, "json"), f"inspect {_shown(container)}")
        return answer

    def images(self) -> tuple[str, ...]:
        tags = {tag for image in self._json("/images/json", "list the images") for tag in image.get("RepoTags") or ()}
        return tuple(sorted(tags - {"<none>:<none>"}))

    # What changes a container

    def start(self, container: str) -> None:
        self._post(_path(container, "start"), f"start {_shown(container)}")

    def stop(self, container: str, timeout_s: int | None = None, signal: str | None = None) -> bool:
        if signal is not None and self._api_number < (1, 42):
            raise Unsupported(
                f"The engine at {self.endpoint} speaks API {self._api}; a stop with a chosen signal needs 1.42."
            )
        params = {"t": timeout_s, "signal": signal}
        grace = self._grace(container, timeout_s)
        return self._post(_path(container, "stop"), f"stop {_shown(container)}", params, grace).status_code != 304

    def kill(self, container: str, signal: str) -> None:
        self._post(_path(container, "kill"), f"send {signal} to {_shown(container)}", {"signal": signal})

    def restart(self, container: str, timeout_s: int | None = None) -> None:
        grace = self._grace(container, timeout_s)
        self._post(_path(container, "restart"), f"restart {_shown(container)}", {"t": timeout_s}, grace)

    def pause(self, container: str) -> None:
        self._post(_path(container, "pause"), f"pause {_shown(container)}")

    def unpause(self, container: str) -> None:
        self._post(_path(container, "unpause"), f"resume {_shown(container)}")

    def remove(self, container: str, force: bool = False, volumes: bool = False) -> None:
        params = {"force": "1" if force else None, "v": "1" if volumes else None}
        self._call("DELETE", _path(container), f"remove {_shown(container)}", params, timeout_s=60)

    def rename(self, container: str, name: str) -> None:
        self._post(_path(container, "rename"), f"rename {_shown(container)}", {"name": name})

    def run(self, request: RunRequest) -> str:
        with _translated(self.endpoint, f"create a container from {request.image}"):
            host = self._client.create_host_config(
                binds=list(request.volumes) or None,
                ipc_mode=request.ipc_mode or None,
                shm_size=request.shm_bytes,
                init=request.init or None,
            )
            created = self._client.create_container(
                request.image,
                command=list(request.command) or None,
                name=request.name or None,
                environment=dict(request.environment) or None,
                labels=dict(request.labels) or None,
                stop_signal=request.stop_signal or None,
                stop_timeout=request.stop_timeout_s,
                tty=request.tty,
                stdin_open=request.tty or request.stdin,
                host_config=host,
            )
        container: str = created["Id"]
        if request.start:
            try:
                self.start(container)
            except ContainerlabError as error:
                name = request.name or container[:12]
                raise type(error)(f"{name} was created but does not start. {error}") from error
        return container

    def copy_into(self, container: str, local_file: str, directory: str) -> None:
        with streams.tar_of(local_file) as data:
            self._call(
                "PUT",
                _path(container, "archive"),
                f"copy {os.path.basename(local_file)} to {directory} in {_shown(container)}",
                {"path": directory, "noOverwriteDirNonDir": "true"},
                timeout_s=None,
                data=data,
            )

    # What goes on

    def wait(self, container: str, timeout_s: float) -> int:
        answer = self._post(_path(container, "wait"), f"wait for {_shown(container)} to end", timeout_s=timeout_s)
        with _translated(self.endpoint, f"wait for {_shown(container)} to end"):
            code: int = answer.json()["StatusCode"]
        return code

    def events(self, since: float | None = None) -> EventStream:
        params: dict[str, str | int | None] = {"filters": '{"type":["container"]}'}
        offset = self._offset()
        if since is not None:
            params["since"] = f"{since + offset:.6f}"
        response = self._call("GET", "/events", "follow the events", params, timeout_s=None, stream=True)
        return _Stream((documents.event(one, offset) for one in streams.json_documents(_chunks(response))), response)

    def past_events(self, container: str, since: float) -> tuple[EngineEvent, ...]:
        offset = self._offset()
        params: dict[str, str | int | None] = {
            "filters": json.dumps({"type": ["container"]} | ({"container": [container]} if container else {})),
            "since": f"{since + offset:.6f}",
            "until": f"{time.time() + offset:.6f}",
        }
        response = self._call(
            "GET", "/events", f"list the events of {container or 'all containers'}", params, stream=True
        )
        stream = _Stream((documents.event(one, offset) for one in streams.json_documents(_chunks(response))), response)
        return tuple(stream)

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
        response = self._call(
            "GET", _path(container, "logs"), f"read the log of {_shown(container)}", params, timeout_s=None, stream=True
        )
        return _Stream(streams.output(_chunks(response), tty), response)

    def attach(self, container: str) -> AttachedStreams:
        details = self.inspect(container)
        if details.state not in ("running", "paused"):
            raise BadRequest(f"{details.name} is not running ({details.state}); start it before attaching to it.")
        path = f"/v{self._api}{_path(container, 'attach')}?stream=1&stdin=1&stdout=1&stderr=1"
        return streams.attach(self._where, path, details.tty)

    # How it is asked

    def _offset(self) -> float:
        """Seconds that the engine's clock is ahead of this one; a Unix socket's engine has the same clock."""
        if self._clock_offset is None:
            before = time.time()
            theirs = documents.moment(self._json("/info", "ask for the engine's time").get("SystemTime"))
            self._clock_offset = 0.0 if theirs is None else theirs - (before + time.time()) / 2
        return self._clock_offset

    def _grace(self, container: str, timeout_s: int | None) -> float | None:
        """The longest that a stop may take, in seconds; None: for ever."""
        grace = self.inspect(container).stop_timeout_s if timeout_s is None else timeout_s
        return None if grace < 0 else grace + STOP_SLACK_S

    def _json(self, path: str, what: str, params: Params | None = None) -> Any:  # noqa: ANN401
        if self._where.socket_path is not None:
            query = f"?{urlencode(params)}" if params else ""
            return wire.get_json(self._where, f"/v{self._api}{path}{query}", what)
        response = self._call("GET", path, what, params)
        with _translated(self.endpoint, what):
            return response.json()

    def _post(
        self,
        path: str,
        what: str,
        params: Params | None = None,
        timeout_s: float | None = REQUEST_TIMEOUT_S,
    ) -> requests.Response:
        return self._call("POST", path, what, params, timeout_s=timeout_s)

    def _call(
        self,
        method: str,
        path: str,
        what: str,
        params: Params | None = None,
        *,
        timeout_s: float | None = REQUEST_TIMEOUT_S,
        stream: bool = False,
        data: Iterator[bytes] | None = None,
    ) -> requests.Response:
        """One request; `what` completes "could not …" in the error's sentence. Parameters of None are left out."""
        url = f"{self._client.base_url}/v{self._api}{path}"
        with _translated(self.endpoint, what):
            response = self._client.request(
                method, url, params=dict(params or {}), timeout=timeout_s, stream=stream, data=data
            )
            if response.status_code >= 400:
                raise wire.refused(response.status_code, response.content, what)
            return response


class _Stream(Generic[Item]):
    """What comes out of a streamed answer, until its end or `close` from any thread."""

    def __init__(self, items: Iterator[Item], response: requests.Response) -> None:
        self._items = CancellableStream(items, response)
        self._closed = False

    def __iter__(self) -> Iterator[Item]:
        try:
            yield from self._items
        except (ValueError, AttributeError):  # what a reader raises whose file another thread has closed
            if not self._closed:
                raise

    def close(self) -> None:
        self._closed = True
        with suppress(OSError, AttributeError):  # it may have come to its end by itself
            self._items.close()


def _reference(container: str) -> str:
    """A container's name or id as it may stand in a URL. Raises Gone for what can't be one."""
    match = NAME.fullmatch(container)
    if match is None:
        raise Gone(f"There is no container {container!r}: names have letters, digits, `_`, `.` and `-`.")
    return match[1]


def _shown(container: str) -> str:
    """A container as a sentence names it: a full id is cut to Docker's twelve digits."""
    return container[:12] if len(container) == 64 else container


def _path(container: str, *more: str) -> str:
    return "/".join(("/containers", quote(_reference(container), safe=""), *more))


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """A streamed answer's bytes as they come, without waiting for a chunk to fill."""
    yield from response.raw.stream(65536, decode_content=True)


@contextmanager
def _translated(endpoint_url: str, what: str) -> Iterator[None]:
    """Turns what docker, requests and the system raise into one sentence for the person."""
    try:
        yield
    except docker.errors.APIError as error:
        status, body = (0, b"") if error.response is None else (error.response.status_code, error.response.content)
        raise wire.refused(status, body, what) from error
    except (requests.exceptions.RequestException, docker.errors.DockerException, OSError, ValueError) as error:
        raise _unanswered(error, endpoint_url, what) from error


def _unanswered(error: Exception, endpoint_url: str, what: str) -> ContainerlabError:
    """No answer: nobody there, not allowed to ask, or too slow; told from the chain of causes."""
    causes = _causes(error)
    if any(isinstance(cause, PermissionError) for cause in causes):
        return Denied(f"You may not open {endpoint_url}; join the group that owns the socket, or run as root.")
    if any("timed out" in str(cause).lower() or isinstance(cause, TimeoutError) for cause in causes):
        return TimedOut(f"Could not {what}: {endpoint_url} gave no answer in time.")
    if isinstance(error, docker.errors.DockerException) and endpoint_url.startswith("ssh:"):
        return Unsupported(
            f"{endpoint_url} can't be used: {error}. Install paramiko, or forward the socket with ssh -L."
        )
    system = next((cause for cause in reversed(causes) if isinstance(cause, OSError) and cause.strerror), None)
    reason = system.strerror if system is not None else str(causes[-1]) or type(causes[-1]).__name__
    return Unreachable(f"No Docker engine answers at {endpoint_url} (could not {what}: {reason}).")


def _causes(error: BaseException) -> list[BaseException]:
    """The error and what led to it; urllib3 keeps the cause in `args` or `reason` rather than in `__cause__`."""
    found: list[BaseException] = []
    todo: list[object] = [error]
    while todo:
        item = todo.pop(0)
        if isinstance(item, BaseException) and not any(item is seen for seen in found):
            found.append(item)
            todo += [item.__cause__, item.__context__, getattr(item, "reason", None), *item.args]
    return found
