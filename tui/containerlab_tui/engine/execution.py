"""Runs a program in a container, on a terminal that the engine makes (Engine API, "Exec")."""

import json
import socket
from typing import Any
from urllib.parse import quote

from containerlab_tui.engine import http
from containerlab_tui.engine.api import ExecRequest, ExecState
from containerlab_tui.engine.endpoint import Endpoint
from containerlab_tui.engine.errors import unanswered
from containerlab_tui.engine.streams import Attached

DETACH_KEYS = "ctrl-]"
"""The client sees these first. The engine's default keys would delay Ctrl+P."""


class Execution(Attached):
    """api.ExecStreams over a hijacked connection."""

    def __init__(self, connection: socket.socket, where: Endpoint, path: str, what: str) -> None:
        """`path` is the one of the exec instance."""
        super().__init__(connection, tty=True)
        self._where, self._path, self._what = where, path, what

    def resize(self, rows: int, columns: int) -> None:
        """Sets the terminal's size. Raises as `http.post`, also where the program has not started or has exited."""
        http.post(self._where, f"{self._path}/resize?h={rows}&w={columns}", self._what)

    def state(self) -> ExecState:
        """Returns whether the program runs, its PID and its exit code. Raises like `http.get`."""
        found: dict[str, Any] = http.get_json(self._where, f"{self._path}/json", self._what)
        return ExecState(bool(found.get("Running")), int(found.get("Pid") or 0), found.get("ExitCode"))


def execute(where: Endpoint, path: str, what: str, request: ExecRequest) -> Execution:
    """Creates and starts an exec instance; `path` is the container's. Raises like `http.post` and `http.upgrade`."""
    size = {"ConsoleSize": [request.rows, request.columns]} if request.rows else {}
    document = {
        "AttachStdin": True, "AttachStdout": True, "AttachStderr": True, "Tty": True, "DetachKeys": DETACH_KEYS,
        "Cmd": list(request.command), "User": request.user,
        "Env": [f"{name}={value}" for name, value in request.environment.items()], **size,
    }  # fmt: skip
    created = http.post(where, path, what, document)
    try:
        id = str(json.loads(created)["Id"])
    except (ValueError, KeyError, TypeError) as error:
        raise unanswered(error, where.url, what) from error
    version = path.split("/")[1]
    instance = f"/{version}/exec/{quote(id, safe='')}"
    start = {"Detach": False, "Tty": True, **size}
    return Execution(http.upgrade(where, f"{instance}/start", what, start), where, instance, what)
