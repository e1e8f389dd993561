"""The Files tab: reads the mappings of the selected container."""

from typing import TYPE_CHECKING

from textual.app import ComposeResult

from containerlab_probes.errors import ContainerlabError
from containerlab_tui.session.store import ShownContainer
from containerlab_tui.ui.background import ask
from containerlab_tui.ui.tabs.base import Panel
from containerlab_tui.ui.tabs.files_panel import FilesPanel

if TYPE_CHECKING:
    from containerlab_tui.session.session import Session


class FilesTab(Panel):
    """Reads the mappings when the tab is shown."""

    DEFAULT_CSS = "FilesTab { height: 1fr; }"

    def __init__(self, session: "Session") -> None:
        super().__init__(id="files")
        self._session = session
        self._subject: ShownContainer | None = None

    def compose(self) -> ComposeResult:
        yield FilesPanel(private=not self._session.settings.hide_private_mappings)

    def show(self, subject: ShownContainer | None) -> None:
        if subject is None or self._subject is None or subject.container.id != self._subject.container.id:
            self.query_one(FilesPanel).show(None)
        self._subject = subject
        self.reread()

    def reread(self) -> None:
        subject, panel = self._subject, self.query_one(FilesPanel)
        if subject is None or subject.unseen_reason:
            panel.show(None, subject.unseen_reason if subject else "Select a container.")
        elif subject.details is not None:
            details = subject.details

            def failed(error: ContainerlabError) -> None:
                panel.show(None, str(error))

            ask(self, lambda: self._session.inspectors.of(details).files(), panel.show, failed)

    def on_files_panel_open_mapping(self, event: FilesPanel.OpenMapping) -> None:
        event.stop()
        details = self._subject.details if self._subject else None
        if details is not None and self.app.screen is self.screen:  # a second Enter may arrive before that screen
            from containerlab_tui.ui.screens.bytes_view import BytesScreen

            one = event.row.mapping
            facts = (f"On the host: {event.row.host_path}",) if event.row.host_path else ()
            self.app.push_screen(
                BytesScreen(
                    f"{details.name}: {one.path}",
                    lambda offset, length: self._session.inspectors.of(details).read_mapping(one, offset, length),
                    event.row.survives,
                    facts,
                )
            )
