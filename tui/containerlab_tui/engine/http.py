"""The least of HTTP, for where a client library is too slow or hides the connection. One request a connection.

On a Unix socket a question asked this way costs a sixth of what it costs through requests, and nothing has to be
loaded for it. Attached streams need the connection itself.
"""

import json
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from containerlab_probes.errors import (
    BadRequest,
    ContainerlabError,
    Denied,
    Gone,
    TimedOut,
    Unreachable,
    Unsupported,
)
from containerlab_tui.engine.endpoint import Endpoint

CONNECT_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 30.0
HEAD_LIMIT = 64 * 1024
_FULL_ID = re.compile(r"\b[0-9a-f]{64}\b")
KINDS: Mapping[int, type[ContainerlabError]] = {401: Denied, 403: Denied, 404: Gone, 501: Unsupported}
"""What an HTTP status stands for; every other refusal is a BadRequest with the engine's reason."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    rest: bytes
    """What came after the headers so far."""


def open_connection(where: Endpoint) -> socket.socket:
    """A connected stream socket, with TLS where the endpoint has it.

    Raises Unreachable, Denied, TimedOut, and Unsupported for endpoints that are no socket (ssh).
    """
    try:
        if where.socket_path is not None:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(CONNECT_TIMEOUT_S)
            try:
                connection.connect(where.socket_path)
            except BaseException:
                connection.close()
                raise
            return connection
        url = urlsplit(where.url)
        if url.scheme not in ("tcp", "http", "https") or not url.hostname:
            raise Unsupported(f"{where.url} can't be attached to; use a Unix socket or TCP.")
        secure = url.scheme == "https" or where.tls is not None
        port = url.port or (2376 if secure else 2375)
        connection = socket.create_connection((url.hostname, port), CONNECT_TIMEOUT_S)
        return _secured(connection, url.hostname, where) if secure else connection
    except OSError as error:
        raise unreached(error, where.url) from error


def _secured(connection: socket.socket, host: str, where: Endpoint) -> socket.socket:
    import ssl

    context = ssl.create_default_context(cafile=where.tls.ca or None if where.tls else None)
    if where.tls is not None:
        if not where.tls.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if where.tls.certificate and where.tls.key:
            context.load_cert_chain(where.tls.certificate, where.tls.key)
    return context.wrap_socket(connection, server_hostname=host)


def exchange(connection: socket.socket, url: str, request: str, *headers: str) -> Answer:
    """Send a request without a body and read the answer's head. Raises Unreachable and TimedOut."""
    try:
        connection.sendall("\r\n".join((request, "Host: docker", *headers, "", "")).encode("ascii"))
        data = b""
        while (end := data.find(b"\r\n\r\n")) < 0:
            piece = connection.recv(65536)
            if not piece or len(data) > HEAD_LIMIT:
                raise Unreachable(f"What answers at {url} is no Docker engine, or it went away before the answer.")
            data += piece
    except OSError as error:
        raise unreached(error, url) from error
    words = data[:end].split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise Unreachable(f"What answers at {url} is no Docker engine.")
    return Answer(int(words[1]), data[end + 4 :])


def get(where: Endpoint, path: str, what: str) -> bytes:
    """The whole answer at a path; `what` completes "could not …" in the sentence of an error.

    HTTP/1.0: the answer is not chunked and ends with the connection. Raises as `open_connection` and `refused`.
    """
    with open_connection(where) as connection:
        connection.settimeout(ANSWER_TIMEOUT_S)
        answer = exchange(connection, where.url, f"GET {path} HTTP/1.0")
        pieces = [answer.rest]
        try:
            while piece := connection.recv(1 << 20):
                pieces.append(piece)
        except OSError as error:
            raise unreached(error, where.url) from error
    body = b"".join(pieces)
    if answer.status != 200:
        raise refused(answer.status, body, what)
    return body


def get_json(where: Endpoint, path: str, what: str) -> Any:  # noqa: ANN401
    """The document at a path. Raises as `get`."""
    try:
        return json.loads(get(where, path, what))
    except ValueError as error:
        raise Unreachable(f"{where.url} went away in the middle of its answer.") from error


def unreached(error: OSError, url: str) -> ContainerlabError:
    """The error for a person of a connection that failed."""
    if isinstance(error, PermissionError):
        return Denied(f"You may not open {url}; join the group that owns the socket, or run as root.")
    if isinstance(error, TimeoutError):
        return TimedOut(f"{url} gave no answer in time.")
    return Unreachable(f"No Docker engine answers at {url} ({error.strerror or error}).")


def refused(status: int, body: bytes, what: str) -> ContainerlabError:
    """The error for a person of an HTTP status that is no success, with the engine's reason."""
    try:
        reason = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        reason = body.decode("utf-8", "replace") or f"status {status}"
    reason = _FULL_ID.sub(lambda found: found[0][:12], reason).strip().rstrip(".")
    return KINDS.get(status, BadRequest)(f"Could not {what}: {reason}.")
