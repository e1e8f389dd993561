"""Runs a program in a container, on a terminal that the engine makes (Engine API, "Exec")."""

import json
import socket
from typing import Any, Protocol
from urllib.parse import quote

from containerlab_tui.engine.api import ExecRequest, ExecState
from containerlab_tui.engine.errors import unanswered
from containerlab_tui.engine.streams import Attached

DETACH_KEYS = "ctrl-]"
"""The client sees these first. The engine's default keys would delay Ctrl+P."""


class Requests(Protocol):
    """What an engine does for an execution. `path` comes after the API version; `what` completes "Could not …"."""

    endpoint: str

    def ask(self, method: str, path: str, what: str, document: object = None) -> bytes:
        """Returns the whole answer to a request."""

    def upgrade(self, path: str, what: str, document: object = None) -> socket.socket:
        """Posts and returns the socket for raw bytes."""


class Execution(Attached):
    """api.ExecStreams over a hijacked connection."""

    def __init__(self, connection: socket.socket, requests: Requests, path: str, what: str) -> None:
        """`path` is the one of the exec instance."""
        super().__init__(connection, tty=True)
        self._requests, self._path, self._what = requests, path, what

    def resize(self, rows: int, columns: int) -> None:
        """Sets the terminal's size. Raises as the engine, also where the program has not started or has exited."""
        self._requests.ask("POST", f"{self._path}/resize?h={rows}&w={columns}", self._what)

    def state(self) -> ExecState:
        """Returns whether the program runs, its PID and its exit code. Raises like the engine."""
        answer = self._requests.ask("GET", f"{self._path}/json", self._what)
        try:
            found: dict[str, Any] = json.loads(answer)
        except ValueError as error:
            raise unanswered(error, self._requests.endpoint, self._what) from error
        return ExecState(bool(found.get("Running")), int(found.get("Pid") or 0), found.get("ExitCode"))


def execute(requests: Requests, path: str, what: str, request: ExecRequest) -> Execution:
    """Creates and starts an exec instance; `path` is the container's. Raises like the engine."""
    size = {"ConsoleSize": [request.rows, request.columns]} if request.rows else {}
    document = {
        "AttachStdin": True, "AttachStdout": True, "AttachStderr": True, "Tty": True, "DetachKeys": DETACH_KEYS,
        "Cmd": list(request.command), "User": request.user,
        "Env": [f"{name}={value}" for name, value in request.environment.items()], **size,
    }  # fmt: skip
    created = requests.ask("POST", path, what, document)
    try:
        id = str(json.loads(created)["Id"])
    except (ValueError, KeyError, TypeError) as error:
        raise unanswered(error, requests.endpoint, what) from error
    instance = f"/exec/{quote(id, safe='')}"
    start = {"Detach": False, "Tty": True, **size}
    return Execution(requests.upgrade(f"{instance}/start", what, start), requests, instance, what)
