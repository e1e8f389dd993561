"""Uses docker-py and requests for the engines; only `lab_client` also imports docker, to build images.

A separate module, because loading it takes longer than most requests. `translated` turns errors of docker, requests and
the operating system into this program's.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar

import docker.errors
import requests
import requests.adapters
import requests.exceptions
import urllib3
import urllib3.connection
import urllib3.exceptions
from docker.api import APIClient

from containerlab_probes.errors import Unsupported
from containerlab_tui.engine import endpoint, errors, http, transport

Item = TypeVar("Item")
BASE_URL = "http://docker"
"""docker-py's address for every engine: the pool of connections knows where it is."""
_POOLED = 8
"""Idle connections that are kept for an engine."""

_pools: dict[endpoint.Endpoint, "_Connections"] = {}
_pools_lock = threading.Lock()


def client(where: endpoint.Endpoint, api: str, timeout_s: int = int(http.ANSWER_TIMEOUT_S)) -> APIClient:
    """Returns a low-level client of an endpoint; sends no request."""
    made = APIClient(base_url=f"{BASE_URL}:80", version=api, timeout=timeout_s)
    made.trust_env = False  # no proxies, authorities and passwords for web sites
    made.base_url = BASE_URL + where.base
    made.adapters.clear()  # a redirection must not lead elsewhere
    made.mount("http://", _Adapter(where))
    return made


class _Connection(urllib3.connection.HTTPConnection):
    """A connection of urllib3 over whatever leads to the engine."""

    def __init__(self, where: endpoint.Endpoint) -> None:
        super().__init__(where.host)
        self._where = where
        self.dialled: socket.socket | None = None
        """The socket, also when a response has taken it over from the connection."""

    def connect(self) -> None:
        limit = self.timeout
        self.sock = self.dialled = transport.dial(self._where, limit if isinstance(limit, int | float) else None)


class _Connections(urllib3.HTTPConnectionPool):
    """The idle connections to one engine; urllib3 drops those that have closed meanwhile."""

    def __init__(self, where: endpoint.Endpoint) -> None:
        super().__init__("docker", maxsize=_POOLED)
        self._where = where

    def _new_conn(self) -> _Connection:
        return _Connection(self._where)


class _Adapter(requests.adapters.HTTPAdapter):
    """Sends what docker-py asks for over a pool of this program."""

    def __init__(self, where: endpoint.Endpoint) -> None:
        super().__init__()
        self._where, self._is_shared = where, where.socket_path is None
        self._pool = _shared_pool(where) if self._is_shared else _Connections(where)

    def get_connection_with_tls_context(self, *_: object, **__: object) -> _Connections:
        return self._pool

    def get_connection(self, *_: object, **__: object) -> _Connections:
        """Returns the same to requests older than 2.32."""
        return self._pool

    def request_url(self, request: requests.PreparedRequest, proxies: object) -> str:
        return request.path_url

    def close(self) -> None:
        """Closes the idle connections; the adapter can be used again, as those of requests."""
        if not self._is_shared:
            self._pool.close()
            self._pool = _Connections(self._where)
        super().close()


def _shared_pool(where: endpoint.Endpoint) -> _Connections:
    """Returns the one pool of a remote engine: a new connection over ssh takes a third of a second, or more."""
    with _pools_lock:
        return _pools.setdefault(where, _Connections(where))


def body_of(response: requests.Response) -> bytes:
    """Returns the body of a response that was requested as a stream.

    Raises Unsupported for more than ANSWER_BYTES, and what requests raises.
    """
    body = bytearray()
    for chunk in response.iter_content(65536):
        body += chunk
        if len(body) > http.ANSWER_BYTES:
            response.close()
            raise Unsupported(f"The engine's response is longer than {http.ANSWER_BYTES >> 20} MiB.")
    return bytes(body)


class Stream(Generic[Item]):
    """Iterates over a streamed response until the end, or until `close` from any thread."""

    def __init__(self, items: Iterator[Item], response: requests.Response, where: endpoint.Endpoint) -> None:
        self._items, self._response, self._where = items, response, where
        self._closed = False

    def __iter__(self) -> Iterator[Item]:
        """Yields the items. Raises Unreachable if ssh says why the connection ended."""
        try:
            yield from self._items
        except (OSError, urllib3.exceptions.HTTPError, ValueError, AttributeError) as error:
            # The last two are raised by a reader whose file another thread closed.
            if self._closed:
                return
            known = errors.explained(error, self._where.shown)
            if known is not None:
                raise known from error
            if isinstance(error, (ValueError, AttributeError)):
                raise

    def close(self) -> None:
        self._closed = True
        connection = self._response.raw.connection
        if isinstance(connection, _Connection) and connection.dialled is not None:
            with suppress(OSError):  # it may have ended on its own
                connection.dialled.shutdown(socket.SHUT_RDWR)


@contextmanager
def translated(where: str, what: str) -> Iterator[None]:
    """Turns what docker, requests and the system raise into this program's own errors.

    `where` is the engine's address for a sentence.
    """
    try:
        yield
    except docker.errors.APIError as error:
        answer = error.response
        status, body = (0, b"") if answer is None else (answer.status_code, answer.content[: http.ANSWER_BYTES])
        raise errors.refused(status, body, what) from error
    except (requests.exceptions.RequestException, docker.errors.DockerException, OSError, ValueError) as error:
        raise errors.unanswered(error, where, what) from error
