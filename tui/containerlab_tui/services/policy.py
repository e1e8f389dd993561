"""The one gate for changes: read-only mode and confirmation, for screens and commands alike.

Every change of a container, its processes or its objects calls `Policy.require` first: in `services.guarded_engine` for
changes through the engine; in `services.signals`, `services.inspection` and `services.terminal` for all others.
"""

from dataclasses import dataclass
from enum import StrEnum

from containerlab_probes.errors import Denied


class Operation(StrEnum):
    """The operations that change, or may change, a container, its processes or its objects."""

    SIGNAL = "signal"
    STOP = "stop"
    START = "start"
    RESTART = "restart"
    PAUSE = "pause"
    REMOVE = "remove"
    RUN = "run"
    RENAME = "rename"
    COPY = "copy"
    ENTER = "enter"
    ATTACH = "attach"
    IPC_REMOVE = "ipc-remove"


class ReadOnly(Denied):
    """A change was refused because of read-only mode."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Which operations are allowed, and which need confirmation."""

    read_only: bool = False
    source: str = ""
    """The source of read-only mode: `--read-only`, an environment variable, or a file with its line."""
    confirm: frozenset[str] = frozenset()
    """Names of the operations that need confirmation."""

    def refusal(self, what: str) -> str:
        """Returns why an operation is refused, a sentence; empty if it is allowed. `what` is a verb phrase."""
        return f"Refused by {self.source or 'read-only mode'}: {what}." if self.read_only else ""

    def require(self, operation: Operation, what: str) -> None:
        """Raises ReadOnly (exit status 4) if the operation is refused. `what` is a verb phrase: `stop web`."""
        sentence = self.refusal(what)
        if sentence:
            raise ReadOnly(sentence)

    def asks(self, operation: Operation) -> bool:
        """Returns whether the user wants to confirm this operation."""
        return operation.value in self.confirm
