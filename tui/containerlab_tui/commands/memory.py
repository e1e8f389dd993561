"""`ipc`, `ipc read`, `ipc remove`, `maps`, `maps read`: what a container keeps in memory and shares."""

import argparse
import contextlib

from containerlab_probes.errors import BadRequest, Gone
from containerlab_probes.records import WINDOW_LIMIT, IpcKind, Window
from containerlab_tui.commands import common
from containerlab_tui.engine.api import Engine
from containerlab_tui.model.inventory import HAS_PROCESSES, Details
from containerlab_tui.model.survival import Survival
from containerlab_tui.model.views import FilesView, IpcRow
from containerlab_tui.present import documents
from containerlab_tui.present.safe_text import safe
from containerlab_tui.services.inspection import Inspector, inspector
from containerlab_tui.services.policy import Operation


def run(arguments: argparse.Namespace) -> int:
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
                read = opened.read_ipc(kind, arguments.id, *_window(arguments))
                return _bytes(arguments, opened, {"kind": kind.value, "id": arguments.id}, read)
            case "ipc remove":
                return _remove(arguments, opened)
            case "maps":
                return _maps(arguments, opened)
            case _:
                return _maps_read(arguments, opened)


def running(engine: Engine) -> list[Details]:
    """Details of every running container, for the namespaces they share."""
    found = []
    for one in engine.containers():
        if one.state in HAS_PROCESSES:
            with contextlib.suppress(Gone):
                found.append(engine.inspect(one.id))
    return found


def _kind(text: str) -> IpcKind:
    try:
        return IpcKind(text)
    except ValueError:
        kinds = ", ".join(kind.value for kind in IpcKind)
        raise BadRequest(f"{text} is no kind of IPC object: those are {kinds}.") from None


def _window(arguments: argparse.Namespace) -> tuple[int, int]:
    if arguments.offset < 0 or not 0 < arguments.length <= WINDOW_LIMIT:
        raise BadRequest(f"--offset must not be negative and --length must lie between 1 and {WINDOW_LIMIT}.")
    return arguments.offset, arguments.length


def _ipc(arguments: argparse.Namespace, inspector: Inspector, engine: Engine) -> int:
    view = inspector.ipc(running(engine))
    if arguments.json:
        common.answer(documents.ipc(inspector.details.name, view))
        return 0
    shared = f", shared with {', '.join(view.shared_with)}" if view.shared_with else ""
    print(f"IPC namespace {view.snapshot.namespace} ({view.mode}{shared})")
    if not view.rows:
        print("no System V or POSIX IPC objects")
        return 0
    headings = ("KIND", "ID", "KEY", "NAME", "BYTES", "OWNER", "MODE", "CREATOR", "ATTACHED", "SURVIVES")
    print(common.table(headings, [_ipc_row(row) for row in view.rows], right=(4, 5, 8)))
    for row in view.rows:
        for number, one in enumerate(row.object.semaphores):
            waiting = f", {one.waiting_for_increase} wait for more, {one.waiting_for_zero} for zero"
            print(f"  sem {row.object.id}[{number}] = {one.value}{waiting}")
    _tell_unread(view.snapshot.unread)
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
        survival_words(row.survives),
    )


def survival_words(survives: Survival) -> str:
    """What it outlives, e.g. `process exit, stop and start`; `?` marks what isn't known."""
    answers = {
        "process exit": survives.process_exit,
        "stop and start": survives.stop_start,
        "removal": survives.remove,
        "reboot": survives.host_reboot,
    }
    outlived = [words + ("?" if answer == "unknown" else "") for words, answer in answers.items() if answer != "no"]
    return ", ".join(outlived) or "nothing"


def _tell_unread(unread: tuple[str, ...]) -> None:
    for sentence in unread:
        common.tell(f"not read: {sentence}")


def _remove(arguments: argparse.Namespace, inspector: Inspector) -> int:
    kind = _kind(arguments.kind)
    inspector.remove_ipc(kind, arguments.id)
    if arguments.json:
        common.answer({"schema": documents.SCHEMA, "container": inspector.details.name,
                        "removed": {"kind": kind.value, "id": arguments.id}})  # fmt: skip
    else:
        print(f"removed {kind} {arguments.id} of {inspector.details.name}")
    return 0


def _maps(arguments: argparse.Namespace, inspector: Inspector) -> int:
    whole = inspector.files()
    with_private = arguments.private or arguments.json or not common.settings(arguments).settings.hide_private_mappings
    rows = tuple(row for row in whole.rows if row.mapping.shared or with_private)
    view = FilesView(rows, whole.unread)
    if arguments.json:
        common.answer(documents.maps(inspector.details.name, view))
        return 0
    cells = [
        (
            str(row.process.container_pid),
            row.mapping.range,
            row.mapping.permissions,
            str(row.mapping.bytes),
            "—" if row.mapping.file_bytes is None else str(row.mapping.file_bytes),
            row.backing.value if row.backing else "unknown",
            row.mapping.path,
            survival_words(row.survives),
        )
        for row in view.rows
    ]
    headings = ("IN", "RANGE", "PERM", "BYTES", "FILE", "BACKING", "PATH", "SURVIVES")
    print(common.table(headings, cells, right=(0, 3, 4)) if cells else "no shared mappings of files")
    hidden = len(whole.rows) - len(rows)
    if hidden:
        common.tell(f"{hidden} private mappings (programs, libraries) are not shown: --private shows them.")
    _tell_unread(view.unread)
    return 0


def _maps_read(arguments: argparse.Namespace, inspector: Inspector) -> int:
    for row in inspector.files().rows:
        if row.process.container_pid == arguments.pid and row.mapping.range == arguments.range:
            read = inspector.read_mapping(row.mapping, *_window(arguments))
            of: documents.Document = {"container_pid": arguments.pid, "range": arguments.range}
            return _bytes(arguments, inspector, of, read)
    raise Gone(
        f"Process {arguments.pid} of {inspector.details.name} has no mapping {arguments.range}: "
        f"`maps {inspector.details.name}` lists those there are."
    )


def _bytes(arguments: argparse.Namespace, inspector: Inspector, of: documents.Document, read: Window) -> int:
    if arguments.json:
        common.answer(documents.window(inspector.details.name, of, read))
        return 0
    if read.data:
        print("\n".join(hex_lines(read)))
    else:
        common.tell(f"Nothing from byte {read.offset} on: it has {read.total} bytes.")
    return 0


def hex_lines(window: Window) -> list[str]:
    """Sixteen bytes a line: offset, hexadecimal, text with dots for what isn't printable ASCII."""
    lines = []
    for start in range(0, len(window.data), 16):
        part = window.data[start : start + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{window.offset + start:08x}  {part.hex(' '):<47}  {text}")
    return lines
