"""The IPC tab: reads the IPC namespace of the selected container."""

from typing import TYPE_CHECKING

from textual.app import ComposeResult

from containerlab_tui.present import ipc_text
from containerlab_tui.session.store import ShownContainer
from containerlab_tui.ui.background import ask
from containerlab_tui.ui.tabs.base import Panel
from containerlab_tui.ui.tabs.ipc_panel import IpcPanel

if TYPE_CHECKING:
    from containerlab_tui.session.session import Session

REREAD_S = 5.0
"""How often visible IPC objects are re-read: the kernel does not report changes."""


class IpcTab(Panel):
    """Reads the IPC namespace while the tab is shown."""

    DEFAULT_CSS = "IpcTab { height: 1fr; }"

    def __init__(self, session: "Session") -> None:
        super().__init__(id="ipc")
        self._session = session
        self._subject: ShownContainer | None = None

    def compose(self) -> ComposeResult:
        yield IpcPanel()

    def on_mount(self) -> None:
        self.set_interval(REREAD_S, self._reread_if_visible)

    def _reread_if_visible(self) -> None:
        if self.is_on_screen and self.screen.is_active and self.app.app_focus:
            self.reread()

    def show(self, subject: ShownContainer | None) -> None:
        if subject is None or self._subject is None or subject.container.id != self._subject.container.id:
            self.query_one(IpcPanel).show(None)
        self._subject = subject
        self.reread()

    def reread(self) -> None:
        subject, panel = self._subject, self.query_one(IpcPanel)
        if subject is None or subject.unseen_reason:
            panel.show(None, subject.unseen_reason if subject else "Select a container.")
        elif subject.details is not None:
            details, neighbours = subject.details, tuple(self._session.store.details.values())
            ask(
                self,
                lambda: self._session.inspectors.of(details).ipc(neighbours),
                panel.show,
                lambda error: panel.show(None, str(error)),
            )

    def on_ipc_panel_open_object(self, event: IpcPanel.OpenObject) -> None:
        event.stop()
        details = self._subject.details if self._subject else None
        if details is not None and self.app.screen is self.screen:  # a second Enter may arrive before that screen
            from containerlab_tui.ui.screens.bytes_view import BytesScreen

            found = event.row.object
            title = f"{details.name}: {ipc_text.title(event.row.object)}"
            self.app.push_screen(
                BytesScreen(
                    title,
                    lambda offset, length: self._session.inspectors.of(details).read_ipc(
                        found.kind, found.id, offset, length
                    ),
                    event.row.survives,
                )
            )

    def on_ipc_panel_remove_object(self, event: IpcPanel.RemoveObject) -> None:
        event.stop()
        details = self._subject.details if self._subject else None
        if details is not None:
            from containerlab_tui.ui.dialogs.ipc_remove import remove_object

            remove_object(self, self._session, details, event.row, self.reread)
