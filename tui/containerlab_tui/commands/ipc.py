"""`ipc`, `ipc read`, `ipc remove`: lists, dumps and removes a container's IPC objects."""

import argparse

from containerlab_probes.errors import BadRequest
from containerlab_probes.memory_records import IpcKind, IpcObject
from containerlab_tui.commands import common, memory_text
from containerlab_tui.engine.api import Engine
from containerlab_tui.model.views import IpcRow
from containerlab_tui.present import documents, ipc_text
from containerlab_tui.present.safe_text import safe
from containerlab_tui.services.guarded_engine import GuardedEngine
from containerlab_tui.services.inspection import Inspector, inspector, running
from containerlab_tui.services.policy import Operation


def run(arguments: argparse.Namespace) -> int:
    """Returns 0. Raises Gone (no such container or object), BadRequest, Denied, ReadOnly, Declined."""
    if arguments.command == "ipc remove":
        what = f"remove {safe(arguments.kind)} {safe(arguments.id)} of {safe(arguments.name)}"
        engine = common.changing_engine(arguments, what, Operation.IPC_REMOVE)
    else:
        engine = common.engine(arguments)
    with inspector(engine, engine.inspect(arguments.name), engine.policy) as opened:
        match arguments.command:
            case "ipc":
                return _ipc(arguments, opened, engine)
            case "ipc read":
                kind = _kind(arguments.kind)
                read = opened.read_ipc(kind, arguments.id, *memory_text.window(arguments))
                return memory_text.print_bytes(arguments, opened, {"kind": kind.value, "id": arguments.id}, read)
            case _:
                return _remove(arguments, opened, engine)


def _kind(text: str) -> IpcKind:
    try:
        return IpcKind(text)
    except ValueError:
        kinds = ", ".join(kind.value for kind in IpcKind)
        raise BadRequest(f"Unknown IPC kind {text}; use one of {kinds}.") from None


def _ipc(arguments: argparse.Namespace, inspector: Inspector, engine: Engine) -> int:
    view = inspector.ipc(running(engine))
    if arguments.json:
        common.answer(documents.ipc(inspector.details.name, view))
        return 0
    shared = f", shared with {', '.join(view.shared_with)}" if view.shared_with else ""
    common.say(safe(f"IPC namespace {view.snapshot.namespace} ({view.mode}{shared})"))
    if not view.rows:
        common.say(safe("No System V or POSIX IPC objects."))
        common.tell_partial(*view.snapshot.unread)
        return 0
    headings = ("KIND", "ID", "KEY", "NAME", "BYTES", "OWNER", "MODE", "CREATOR", "ATTACHED", "SURVIVES")
    common.say(common.table(headings, [_ipc_row(row) for row in view.rows], right=(4, 5, 8)))
    for row in view.rows:
        for number, one in enumerate(row.object.semaphores):
            waiting = f", waiting: {one.waiting_for_increase} for an increase, {one.waiting_for_zero} for zero"
            common.say(safe(f"  sem {row.object.id}[{number}] = {one.value}{waiting}"))
    common.tell_partial(*view.snapshot.unread)
    return 0


def _ipc_row(row: IpcRow) -> tuple[str, ...]:
    held = row.object
    creator = f"{row.creator.container_pid} {row.creator.name}" if row.creator else str(held.creator_pid or "—")
    return (
        held.kind.value,
        held.id,
        "—" if held.key is None else f"{held.key} ({held.key:#x})",
        held.name or "—",
        "—" if held.bytes is None else str(held.bytes),
        str(held.owner),
        f"{held.mode:04o}",
        creator,
        "—" if held.attached is None else str(held.attached),
        memory_text.survival_words(row.survives),
    )


def _remove(arguments: argparse.Namespace, inspector: Inspector, engine: GuardedEngine) -> int:
    """Removes an object, after a question if the settings ask for one. A segment marked before stays as it is."""
    kind = _kind(arguments.kind)
    use = inspector.use_of(kind, arguments.id, running(engine))
    left: IpcObject | None = use.object
    if use.object.removed:
        sentence, done = ipc_text.already_marked(use), "marked-before"
    else:
        if use.object.of_host and not arguments.host_object:
            raise BadRequest(f"{ipc_text.host_refusal(use)} To remove it nevertheless, add --host-object.")
        if not arguments.yes and engine.policy.asks(Operation.IPC_REMOVE):
            common.confirm(safe(f"{ipc_text.question(use)} {ipc_text.consequence(use)}"))
        left = inspector.remove_ipc(kind, arguments.id, use.object, arguments.host_object)
        sentence, done = ipc_text.result(use, left), "marked" if left else "removed"
    if arguments.json:
        common.answer(documents.ipc_removal(use, done, left))
    else:
        common.say(safe(sentence))
    return 0
