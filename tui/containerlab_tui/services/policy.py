"""The one gate for changes: read-only mode and confirmation, for screens and commands alike.

Whatever changes a container, its processes or its objects asks `Policy.require` first, where the change would be made:
`services.guarded_engine` for what goes through the engine; `services.signals`, `services.inspection` and
`services.terminal` for what goes through probes and terminals.
"""

from dataclasses import dataclass
from enum import StrEnum

from containerlab_probes.errors import Denied


class Operation(StrEnum):
    """Everything that changes a container, its processes or its objects, or may do so."""

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
    """What may be changed, and what asks first."""

    read_only: bool = False
    source: str = ""
    """What set read-only mode: `--read-only`, an environment variable, or a file with its line."""
    confirm: frozenset[str] = frozenset()
    """Names of the operations that ask first."""

    def refusal(self, what: str) -> str:
        """Returns why something is not done, a sentence; empty: it may be. `what` is a verb phrase."""
        return f"Refused by {self.source or 'read-only mode'}: {what}." if self.read_only else ""

    def require(self, operation: Operation, what: str) -> None:
        """Raises ReadOnly (exit status 4) where the operation is refused. `what` is a verb phrase: `stop web`."""
        sentence = self.refusal(what)
        if sentence:
            raise ReadOnly(sentence)

    def asks(self, operation: Operation) -> bool:
        """Returns whether the person wants to be asked before this operation."""
        return operation.value in self.confirm


UNRESTRICTED = Policy()
"""Refuses nothing and asks nothing: for programs that use the services without settings."""
