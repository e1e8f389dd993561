"""Returns the first list of containers quickly: loads no client library, whose import costs more than the answer."""

import os

from containerlab_tui.engine import api_version, http, parse
from containerlab_tui.engine.endpoint import Endpoint, resolve
from containerlab_tui.model.inventory import Container


def snapshot(where: Endpoint | None = None) -> tuple[Container, ...]:
    """Returns all containers of that engine (by default the one of `docker`), in the version of DOCKER_API_VERSION.

    Raises BadRequest, Unreachable, Denied, TimedOut.
    """
    where = resolve() if where is None else where
    wanted = api_version.wish(os.environ.get("DOCKER_API_VERSION", ""))
    version = f"/v{wanted}" if wanted else ""
    return parse.containers(http.get_json(where, f"{version}/containers/json?all=1", "list the containers"))
