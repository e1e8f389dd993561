"""The first list of containers in the fewest milliseconds: no client library is loaded for it.

`import docker` costs more than the answer does. Only for an engine behind a Unix socket.
"""

import json
from typing import Any

from containerlab_probes.errors import Unreachable
from containerlab_tui.core.inventory import Container, Details
from containerlab_tui.engine import documents, wire
from containerlab_tui.engine.endpoint import Endpoint, resolve

ANSWER_TIMEOUT_S = 10.0


def snapshot(where: Endpoint | None = None) -> tuple[Container, ...] | None:
    """All containers of that engine (the one that `docker` would use); None where it has no Unix socket.

    Raises BadRequest, Unreachable, Denied, TimedOut.
    """
    where = resolve() if where is None else where
    if where.socket_path is None:
        return None
    return documents.containers(_get(where, "/containers/json?all=1", "list the containers"))


def inspect(where: Endpoint, container: str) -> Details | None:
    """One container by full id; None where the engine has no Unix socket. Raises Gone as well."""
    if where.socket_path is None:
        return None
    return documents.details(_get(where, f"/containers/{container}/json", f"inspect {container[:12]}"))


def _get(where: Endpoint, path: str, what: str) -> Any:  # noqa: ANN401  a JSON document
    """A GET in HTTP/1.0, whose answer is neither chunked nor longer than the connection."""
    connection = wire.open_connection(where)
    connection.settimeout(ANSWER_TIMEOUT_S)
    with connection:
        answer = wire.exchange(connection, where.url, f"GET {path} HTTP/1.0")
        pieces = [answer.rest]
        try:
            while piece := connection.recv(1 << 20):
                pieces.append(piece)
        except OSError as error:
            raise wire.unreached(error, where.url) from error
    body = b"".join(pieces)
    if answer.status != 200:
        raise wire.refused(answer.status, body, what)
    try:
        return json.loads(body)
    except ValueError as error:
        raise Unreachable(f"{where.url} went away in the middle of its answer.") from error
