"""Minimal HTTP client, used where docker-py is too slow or hides the socket. One request for each connection.

On a Unix socket a request takes a sixth of the time that the requests library takes. An attached stream needs the
socket itself.
"""

import http.client
import json
import socket
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

from containerlab_probes.errors import Unsupported
from containerlab_tui.engine.endpoint import Endpoint
from containerlab_tui.engine.errors import refused, unanswered

CONNECT_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 30.0
ANSWER_BYTES = 64 * 1024 * 1024
"""Limit of a response; a container in the list takes about a kilobyte."""


class UnixConnection(http.client.HTTPConnection):
    """An HTTP connection over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("docker")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _Unbuffered(http.client.HTTPResponse):
    """A response that reads only its head: later bytes belong to the reader of the socket."""

    def __init__(self, stream: socket.socket, method: str) -> None:
        super().__init__(stream, method=method)
        self.fp.close()
        self.fp = stream.makefile("rb", 0)  # type: ignore[assignment]


def open_connection(where: Endpoint, timeout_s: float = CONNECT_TIMEOUT_S) -> http.client.HTTPConnection:
    """Returns an open connection, with TLS if the endpoint has it.

    Raises Unreachable, Denied, TimedOut, and Unsupported for endpoints that are not a socket (ssh).
    """
    connection = _connection(where)
    connection.timeout = timeout_s
    try:
        connection.connect()
    except OSError as error:
        connection.close()
        raise unanswered(error, where.url, "connect") from error
    return connection


def _connection(where: Endpoint) -> http.client.HTTPConnection:
    if where.socket_path is not None:
        return UnixConnection(where.socket_path)
    url = urlsplit(where.url)
    if url.scheme not in ("tcp", "http", "https") or not url.hostname:
        raise Unsupported(f"Could not connect to {where.url}: only Unix sockets and TCP can be attached to.")
    if url.scheme != "https" and where.tls is None:
        return http.client.HTTPConnection(url.hostname, url.port or 2375)
    import ssl

    context = ssl.create_default_context(cafile=where.tls.ca or None if where.tls else None)
    if where.tls is not None:
        if not where.tls.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if where.tls.certificate and where.tls.key:
            context.load_cert_chain(where.tls.certificate, where.tls.key)
    return http.client.HTTPSConnection(url.hostname, url.port or 2376, context=context)


def upgrade(where: Endpoint, path: str, what: str, document: object = None) -> socket.socket:
    """Posts to a path and returns the socket for raw bytes. Raises like `open_connection` and `refused`."""
    connection = open_connection(where)
    body, headers = _body(document)
    try:
        connection.request("POST", path, body, {**headers, "Connection": "Upgrade", "Upgrade": "tcp"})
        with _Unbuffered(connection.sock, "POST") as answer:
            answer.begin()
            if answer.status not in (101, 200):
                raise refused(answer.status, answer.read(ANSWER_BYTES), what)
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise unanswered(error, where.url, what) from error
    except BaseException:
        connection.close()
        raise
    connection.sock.settimeout(None)
    return connection.sock


def _body(document: object) -> tuple[bytes | None, dict[str, str]]:
    """Returns a request's body and its headers; none without a document."""
    if document is None:
        return None, {}
    return json.dumps(document).encode(), {"Content-Type": "application/json"}


def get(where: Endpoint, path: str, what: str, timeout_s: float = ANSWER_TIMEOUT_S) -> bytes:
    """Returns the whole response at a path; `what` completes "Could not …".

    Raises as `open_connection` and `refused`, and Unsupported for an answer of more than ANSWER_BYTES.
    """
    return _ask(where, "GET", path, what, timeout_s)


def post(where: Endpoint, path: str, what: str, document: object = None) -> bytes:
    """Posts a document as JSON and returns the whole response. Raises like `get`."""
    return _ask(where, "POST", path, what, ANSWER_TIMEOUT_S, document=document)


def _ask(where: Endpoint, method: str, path: str, what: str, timeout_s: float, *, document: object = None) -> bytes:
    body, headers = _body(document)
    with closing(open_connection(where, min(timeout_s, CONNECT_TIMEOUT_S))) as connection:
        connection.sock.settimeout(timeout_s)
        try:
            connection.request(method, path, body, {**headers, "Connection": "close"})
            with connection.getresponse() as answer:
                response = answer.read(ANSWER_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:
            raise unanswered(error, where.url, what) from error
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
        raise unanswered(error, where.url, what) from error
