"""An object and where it lives -> what it outlives. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class Answer(StrEnum):
    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Survival:
    """Whether an object is still there after each of four events."""

    process_exit: Answer
    """Every process that uses it ends, the container runs on."""
    stop_start: Answer
    """The container is stopped and started again."""
    remove: Answer
    """The container is removed."""
    host_reboot: Answer
    reason: str = ""
    """One or two sentences: where it lives, and why that outlives what it outlives."""
