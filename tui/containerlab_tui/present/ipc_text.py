"""IPC objects and their removal in words, the same on screens and on the command line."""

from containerlab_probes.memory_records import IpcKind, IpcObject
from containerlab_probes.records import Process
from containerlab_tui.model.views import IpcUse
from containerlab_tui.present.safe_text import safe

KINDS = {
    IpcKind.SHM: "segment",
    IpcKind.SEM: "semaphores",
    IpcKind.MSG: "queue",
    IpcKind.POSIX_SHM: "posix shm",
    IpcKind.POSIX_SEM: "posix sem",
    IpcKind.POSIX_MQ: "posix queue",
}
_NOUNS = KINDS | {IpcKind.SEM: "semaphore set"}
_NAMED = 4
"""Users that are named; the others are counted."""


def title(object: IpcObject) -> str:
    """Returns an object's kind and name: `segment 5`, `posix shm /name`."""
    return f"{_NOUNS[object.kind]} {safe(object.name, 60) if object.name else object.id}"


def process(one: Process, width: int = 40) -> str:
    """Returns a process's PID in its container, and its command."""
    return f"{one.container_pid} {safe(one.command, width)}"


def question(use: IpcUse) -> str:
    """Returns the title of the question before a removal: `Remove segment 5 of web?`."""
    owner = "the host" if use.object.of_host else safe(use.container, 60)
    return f"Remove {title(use.object)} of {owner}?"


def consequence(use: IpcUse) -> str:
    """Returns who uses an object, and what its removal does."""
    found = use.object
    host = f"It belongs to the host, not to {safe(use.container, 60)} alone. " if found.of_host else ""
    return f"{host}{_users(use)} {_effect(found, bool(use.users or found.attached))}"


def already_marked(use: IpcUse) -> str:
    """Returns the sentence about a segment that a removal has marked before."""
    return f"{_first_upper(title(use.object))} is already marked for removal; {_left(use, use.object)}."


def result(use: IpcUse, left: IpcObject | None) -> str:
    """Returns what a removal did. `use` was read before it; `left` is the object if it still exists."""
    found = use.object
    if left is not None and left.removed:
        return f"Marked {title(found)} of {safe(use.container, 60)} for removal; {_left(use, left)}."
    if found.kind in (IpcKind.POSIX_SHM, IpcKind.POSIX_SEM, IpcKind.POSIX_MQ) and use.users:
        return (
            f"Removed the name of {title(found)} of {safe(use.container, 60)}; {_count(len(use.users))} still using it."
        )
    return f"Removed {title(found)} of {safe(use.container, 60)}."


def host_refusal(use: IpcUse) -> str:
    """Returns why the command line refuses to remove an object of the host."""
    name = safe(use.container, 60)
    return f"{_first_upper(title(use.object))} belongs to the host, not to {name} alone. {_users(use)} Nothing removed."


def _effect(found: IpcObject, is_used: bool) -> str:
    match found.kind:
        case IpcKind.SHM if is_used:
            return "It is marked for removal now and destroyed on the last detach."
        case IpcKind.POSIX_SHM | IpcKind.POSIX_SEM | IpcKind.POSIX_MQ if is_used:
            return "Its name is removed now; they keep it until they close it."
        case IpcKind.SEM | IpcKind.MSG:
            return "Its contents are lost, and a process that waits on it gets an error."
        case _:
            return "Its contents are lost."


def _users(use: IpcUse) -> str:
    partial = " There may be more users: not all could be read." if use.is_partial else ""
    return f"{_known_users(use)}{partial}"


def _known_users(use: IpcUse) -> str:
    count = use.object.attached or 0
    attached = "Attached once" if count == 1 else f"Attached {count} times"
    if not use.users and use.is_partial:
        return f"{attached}, by no process that was read." if count else "No process that was read uses it."
    if not use.users:
        return f"{attached} outside the containers." if count else "No process of a container uses it."
    names = [f"{process(one, 30)} ({safe(container, 40)})" for container, one in use.users[:_NAMED]]
    more = len(use.users) - _NAMED
    return f"In use by {', '.join(names)}{f' and {more} more' if more > 0 else ''}."


def _left(use: IpcUse, left: IpcObject) -> str:
    """Returns who is still attached to a marked segment."""
    if not use.users:
        count = left.attached or 0
        return f"{count} attachment{' is' if count == 1 else 's are'} left, outside the containers"
    return f"{_count(len(use.users))} still attached"


def _count(number: int) -> str:
    return f"{number} process is" if number == 1 else f"{number} processes are"


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]
