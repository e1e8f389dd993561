"""Returns the first list of containers quickly: loads no client library.

`import docker` costs more than the answer does. Only for an engine behind a Unix socket.
"""

from containerlab_tui.engine import http, parse
from containerlab_tui.engine.endpoint import Endpoint, resolve
from containerlab_tui.model.inventory import Container


def snapshot(where: Endpoint | None = None) -> tuple[Container, ...] | None:
    """Returns all containers of that engine (by default the one of `docker`); None if it has no Unix socket.

    Raises BadRequest, Unreachable, Denied, TimedOut.
    """
    where = resolve() if where is None else where
    if where.socket_path is None:
        return None
    return parse.containers(http.get_json(where, "/containers/json?all=1", "list the containers"))
