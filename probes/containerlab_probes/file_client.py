"""Asks an agent for files of a container that may never be answered. It reads only."""

import time
from collections.abc import Sequence
from typing import cast

from containerlab_probes.client import AgentClient, agent_command
from containerlab_probes.errors import Unanswered
from containerlab_probes.memory_records import FileState
from containerlab_probes.records import ProcessId

FILES_LIMIT_S = 3.0
"""For all files of one container together."""


class FileClient(AgentClient):
    """Reads files of one container that may never be answered, all of them within one time limit.

    Each method raises `Unanswered` when the time is over, and as `ContainerFiles`. While an agent still waits for an
    earlier question, the files of this container are not asked for again.
    """

    most_stuck = 1
    enters_namespaces = False

    def __init__(
        self, init: ProcessId, *, time_limit_s: float = FILES_LIMIT_S, command: Sequence[str] | None = None
    ) -> None:
        """`init` is the container's PID 1. The time begins with the first question."""
        self._budget_s = time_limit_s
        self._until: float | None = None
        super().__init__(agent_command(), command, time_limit_s, init)

    def read(self, id: ProcessId, path: str, limit: int) -> bytes:
        """Returns the beginning of a regular file as a process of the container sees it."""
        return cast(bytes, self._file(bytes, "file", id, path=path, limit=limit))

    def names(self, id: ProcessId, path: str) -> tuple[str, ...]:
        """Returns the names in a directory."""
        return cast(tuple[str, ...], self._file(tuple[str, ...], "file-names", id, path=path))

    def state(self, id: ProcessId, path: str) -> FileState:
        """Returns owner and permissions of a directory."""
        return cast(FileState, self._file(FileState, "file-state", id, path=path))

    def is_program(self, id: ProcessId, path: str) -> bool:
        """Returns whether a path is a regular file that may be executed."""
        return cast(bool, self._file(bool, "file-is-program", id, path=path))

    def _file(self, form: object, ask: str, id: ProcessId, **fields: object) -> object:
        now = time.monotonic()
        self._until = self._until or now + self._budget_s
        self.time_limit_s = self._until - now
        if self.time_limit_s <= 0:
            raise Unanswered(f"A file system in the container did not answer within {self._budget_s:g} s.")
        return self.ask(form, ask, pid=id.pid, started=id.started, **fields)
