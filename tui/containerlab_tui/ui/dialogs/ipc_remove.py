"""Removes an IPC object, after confirmation if the settings require it, or if it belongs to the host."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.widget import Widget

from containerlab_tui.present import ipc_text
from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.services.policy import Operation
from containerlab_tui.ui.background import do
from containerlab_tui.ui.bindings import is_refused
from containerlab_tui.ui.dialogs.confirm import Confirm
from containerlab_tui.ui.dialogs.opening import open_when_read
from containerlab_tui.ui.widgets.content import toast

if TYPE_CHECKING:
    from containerlab_probes.memory_records import IpcObject
    from containerlab_tui.model.inventory import Details
    from containerlab_tui.model.views import IpcRow, IpcUse
    from containerlab_tui.session.session import Session


def remove_object(
    node: Widget, session: "Session", details: "Details", row: "IpcRow", done: Callable[[], object]
) -> None:
    """Removes the object of a row; `done` is called on the UI thread afterwards."""
    if is_refused(node.app, session, Operation.IPC_REMOVE):
        return
    found, others = row.object, tuple(session.store.details.values())

    def remove(use: "IpcUse") -> None:
        def removed(left: "IpcObject | None") -> None:
            toast(node, safe_line(ipc_text.result(use, left)))
            done()

        do(node, lambda: session.inspectors.of(details).remove_ipc(found.kind, found.id, found, found.of_host), removed)

    def learned(use: "IpcUse") -> None:
        if use.object.removed:
            toast(node, safe_line(ipc_text.already_marked(use)))
        elif session.policy.asks(Operation.IPC_REMOVE) or use.object.of_host:
            question = Confirm(ipc_text.question(use), ipc_text.consequence(use), "Remove")
            node.app.push_screen(question, lambda yes: remove(use) if yes else None)
        else:
            remove(use)

    reading = safe_line(f"Reading who uses {ipc_text.title(found)} …")
    open_when_read(
        node.app, reading, lambda: session.inspectors.of(details).use_of(found.kind, found.id, others), learned
    )
