"""Connects to an engine and finds out which one it is."""

import os
from typing import Any

from containerlab_tui.engine import api_version, endpoint, errors, http, parse
from containerlab_tui.engine.docker_engine import DockerEngine
from containerlab_tui.engine.podman_engine import PodmanEngine
from containerlab_tui.model.product import PODMAN


def connect(endpoint_url: str | None = None, context: str | None = None) -> DockerEngine:
    """Connects to the engine that `docker` would use; see `endpoint.resolve` for the order.

    Raises BadRequest, Unreachable, Denied (the socket may not be opened), TimedOut, Unsupported (no API in common).
    """
    where = endpoint.resolve(endpoint_url, context)
    version = _version(where)
    api = api_version.chosen(version, os.environ.get("DOCKER_API_VERSION", ""), where.shown)
    local = where.socket_path is not None and parse.runs_on(version, os.uname().release)
    kind = PodmanEngine if parse.product(version) is PODMAN else DockerEngine
    return kind(where, api, version.get("Version", ""), local)


def _version(where: endpoint.Endpoint) -> dict[str, Any]:
    if where.socket_path is not None:
        answer: object = http.get_json(where, "/version", "connect")
    else:
        from containerlab_tui.engine import docker_client

        with docker_client.translated(where.shown, "connect"):
            probe = docker_client.client(where, api_version.OLDEST, timeout_s=int(http.ANSWER_TIMEOUT_S))
            try:
                answer = probe.version(api_version=False)
            finally:
                probe.close()
    if not isinstance(answer, dict):
        raise errors.not_an_engine(where.shown, "connect")
    return answer
