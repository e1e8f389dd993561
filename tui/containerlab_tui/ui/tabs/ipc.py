"""The IPC tab: reads the IPC namespace of the container on show."""

from typing import TYPE_CHECKING

from textual.app import ComposeResult

from containerlab_tui.session.store import Subject
from containerlab_tui.ui.background import ask
from containerlab_tui.ui.tabs.base import Panel
from containerlab_tui.ui.tabs.ipc_panel import IpcPanel

if TYPE_CHECKING:
    from containerlab_tui.session.session import Session

LOOK_AGAIN_S = 5.0
"""How often IPC objects are read again while they can be seen: nothing reports when they change."""


class IpcTab(Panel):
    """Reads the IPC namespace while it is shown."""

    DEFAULT_CSS = "IpcTab { height: 1fr; }"

    def __init__(self, session: "Session") -> None:
        super().__init__(id="ipc")
        self._session = session
        self._subject: Subject | None = None

    def compose(self) -> ComposeResult:
        yield IpcPanel()

    def on_mount(self) -> None:
        self.set_interval(LOOK_AGAIN_S, self._look_if_seen)

    def _look_if_seen(self) -> None:
        if self.is_on_screen and self.screen.is_active and self.app.app_focus:
            self.look_again()

    def show(self, subject: Subject | None) -> None:
        if subject is None or self._subject is None or subject.container.id != self._subject.container.id:
            self.query_one(IpcPanel).show(None)
        self._subject = subject
        self.look_again()

    def look_again(self) -> None:
        subject, panel = self._subject, self.query_one(IpcPanel)
        if subject is None or subject.blind:
            panel.show(None, subject.blind if subject else "Select a container.")
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
        if details is not None and self.app.screen is self.screen:  # a second enter comes before the first one's screen
            from containerlab_tui.ui.screens.bytes_view import BytesScreen

            found = event.row.object
            title = f"{details.name}: {found.kind.value} {found.name or found.id}"
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

            remove_object(self, self._session, details, event.row, self.look_again)
