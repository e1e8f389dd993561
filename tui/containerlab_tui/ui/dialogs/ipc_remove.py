"""Removes an IPC object, after confirmation if the settings require it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.widget import Widget

from containerlab_tui.services.policy import Operation
from containerlab_tui.ui.background import do
from containerlab_tui.ui.bindings import is_refused
from containerlab_tui.ui.dialogs.confirm import Confirm
from containerlab_tui.ui.tabs.ipc_panel import consequence_of, title_of

if TYPE_CHECKING:
    from containerlab_tui.model.inventory import Details
    from containerlab_tui.model.views import IpcRow
    from containerlab_tui.session.session import Session


def remove_object(
    node: Widget, session: "Session", details: "Details", row: "IpcRow", done: Callable[[], object]
) -> None:
    """Removes the object of a row; `done` is called on the UI thread afterwards."""
    if is_refused(node.app, session, Operation.IPC_REMOVE):
        return

    def answered(yes: bool | None) -> None:
        if yes:
            found = row.object
            do(
                node,
                lambda: session.inspectors.of(details).remove_ipc(found.kind, found.id, found),
                lambda _removed: done(),
            )

    if session.policy.asks(Operation.IPC_REMOVE):
        node.app.push_screen(Confirm(f"Remove {title_of(row)}?", consequence_of(row), "Remove"), answered)
    else:
        answered(True)
