"""Minimal HTTP client, used where docker-py is too slow or hides the socket. One request for each connection.

On a Unix socket a request takes a sixth of the time that the requests library takes. An attached stream needs the
socket itself.
"""

import http.client
import json
import socket
from contextlib import closing
from typing import Any

from containerlab_probes.errors import Unsupported
from containerlab_tui.engine.endpoint import Endpoint
from containerlab_tui.engine.errors import refused, unanswered
from containerlab_tui.engine.transport import CONNECT_TIMEOUT_S, dial

ANSWER_TIMEOUT_S = 30.0
ANSWER_BYTES = 64 * 1024 * 1024
"""Limit of a response; a container in the list takes about a kilobyte."""

JSON_HEADERS = {"Content-Type": "application/json"}


class EngineConnection(http.client.HTTPConnection):
    """An HTTP connection over whatever leads to the engine."""

    def __init__(self, where: Endpoint) -> None:
        super().__init__(where.host)
        self._where = where

    def connect(self) -> None:
        self.sock = dial(self._where, self.timeout)


class _Unbuffered(http.client.HTTPResponse):
    """A response that reads only its head: later bytes belong to the reader of the socket."""

    def __init__(self, stream: socket.socket, method: str) -> None:
        super().__init__(stream, method=method)
        self.fp.close()
        self.fp = stream.makefile("rb", 0)  # type: ignore[assignment]


def open_connection(where: Endpoint, timeout_s: float = CONNECT_TIMEOUT_S) -> http.client.HTTPConnection:
    """Returns an open connection. Raises Unreachable, Denied, TimedOut."""
    connection = EngineConnection(where)
    connection.timeout = timeout_s
    try:
        connection.connect()
    except OSError as error:
        connection.close()
        raise unanswered(error, where.shown, "connect") from error
    return connection


def upgrade(where: Endpoint, path: str, what: str, document: object = None) -> socket.socket:
    """Posts to a path and returns the socket for raw bytes. Raises like `open_connection` and `refused`."""
    connection = open_connection(where)
    connection.sock.settimeout(ANSWER_TIMEOUT_S)
    headers = {} if document is None else JSON_HEADERS
    try:
        connection.request(
            "POST", where.base + path, body_of(document), {**headers, "Connection": "Upgrade", "Upgrade": "tcp"}
        )
        with _Unbuffered(connection.sock, "POST") as answer:
            answer.begin()
            if answer.status not in (101, 200):
                raise refused(answer.status, answer.read(ANSWER_BYTES), what)
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise unanswered(error, where.shown, what) from error
    except BaseException:
        connection.close()
        raise
    connection.sock.settimeout(None)
    return connection.sock


def body_of(document: object) -> bytes | None:
    """Returns a request's body, JSON; none without a document."""
    return None if document is None else json.dumps(document).encode()


def get(where: Endpoint, path: str, what: str, timeout_s: float = ANSWER_TIMEOUT_S) -> bytes:
    """Returns the whole response at a path. Raises like `ask`."""
    return ask(where, "GET", path, what, timeout_s=timeout_s)


def ask(
    where: Endpoint,
    method: str,
    path: str,
    what: str,
    document: object = None,
    *,
    timeout_s: float = ANSWER_TIMEOUT_S,
) -> bytes:
    """Sends a request, with a document as JSON, and returns the whole response; `what` completes "Could not …".

    Raises as `open_connection` and `refused`, and Unsupported for an answer of more than ANSWER_BYTES.
    """
    headers = {} if document is None else JSON_HEADERS
    with closing(open_connection(where, min(timeout_s, CONNECT_TIMEOUT_S))) as connection:
        connection.sock.settimeout(timeout_s)
        try:
            connection.request(method, where.base + path, body_of(document), {**headers, "Connection": "close"})
            with connection.getresponse() as answer:
                response = answer.read(ANSWER_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:
            raise unanswered(error, where.shown, what) from error
    if len(response) > ANSWER_BYTES:
        raise Unsupported(f"Could not {what}: the response is longer than {ANSWER_BYTES >> 20} MiB.")
    if answer.status >= 300:
        raise refused(answer.status, response, what)
    return response


def get_json(where: Endpoint, path: str, what: str) -> Any:  # noqa: ANN401
    """Returns the document at a path. Raises like `get`."""
    body = get(where, path, what)
    try:
        return json.loads(body)
    except ValueError as error:
        raise unanswered(error, where.shown, what) from error
