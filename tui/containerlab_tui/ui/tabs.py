"""The tabs that look into one container: they read when shown and hand what was read to the widgets that show it."""

from typing import TYPE_CHECKING

from textual.app import ComposeResult

from containerlab_probes.errors import ContainerlabError
from containerlab_tui.core.views import Sent
from containerlab_tui.ui.feeds import ask, do
from containerlab_tui.ui.widgets.files_panel import FilesPanel
from containerlab_tui.ui.widgets.ipc_panel import IpcPanel
from containerlab_tui.ui.widgets.panel import Panel, Subject
from containerlab_tui.ui.widgets.signals_log import SignalsLog

if TYPE_CHECKING:
    from containerlab_tui.ui.app import ContainerlabApp

LOOK_AGAIN_S = 5.0
"""How often IPC objects are read again while they can be seen: nothing tells when they change."""
LOG_SINCE_LINES = 50


class SignalsTab(Panel):
    """What was sent to the container that is shown, and its log since."""

    DEFAULT_CSS = "SignalsTab { height: 1fr; }"

    def __init__(self, app: "ContainerlabApp") -> None:
        super().__init__(id="signals")
        self._lab = app
        self._subject: Subject | None = None

    def compose(self) -> ComposeResult:
        yield SignalsLog()

    def show(self, subject: Subject | None) -> None:
        self._subject = subject
        self.look_again()

    def look_again(self) -> None:
        subject = self._subject
        sent: list[Sent] = [] if subject is None else [
            one for one in self._lab.sent if one.container == subject.container.id
        ]  # fmt: skip
        log = self.query_one(SignalsLog)
        log.show(sent)
        if subject is not None and sent:
            container, since = subject.container.id, max(one.at for one in sent)

            def lines() -> list[str]:
                found = list[bytes]()
                for chunk in self._lab.engines.here().logs(container, False, LOG_SINCE_LINES, since):
                    found.append(chunk)
                return b"".join(found).decode("utf-8", "replace").splitlines()[-LOG_SINCE_LINES:]

            ask(self, lines, log.show_logs)


class IpcTab(Panel):
    """Reads the IPC namespace while it is shown."""

    DEFAULT_CSS = "IpcTab { height: 1fr; }"

    def __init__(self, app: "ContainerlabApp") -> None:
        super().__init__(id="ipc")
        self._lab = app
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
            panel.show(None, subject.blind if subject else "Choose a container.")
        elif subject.details is not None:
            details, neighbours = subject.details, tuple(self._lab.knowledge.details.values())
            ask(
                self,
                lambda: self._lab.inspectors.of(details).ipc(neighbours),
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
                    lambda offset, length: self._lab.inspectors.of(details).read_ipc(
                        found.kind, found.id, offset, length
                    ),
                    event.row.survives,
                )
            )

    def on_ipc_panel_remove_object(self, event: IpcPanel.RemoveObject) -> None:
        event.stop()
        details = self._subject.details if self._subject else None
        if self._lab.settings.read_only:
            self.app.notify("Read-only: nothing is removed.", severity="warning", markup=False)
        elif details is not None:
            found = event.row.object
            do(
                self,
                lambda: self._lab.inspectors.of(details).remove_ipc(found.kind, found.id),
                lambda _done: self.look_again(),
            )


class FilesTab(Panel):
    """Reads the mappings when it is shown."""

    DEFAULT_CSS = "FilesTab { height: 1fr; }"

    def __init__(self, app: "ContainerlabApp") -> None:
        super().__init__(id="files")
        self._lab = app
        self._subject: Subject | None = None

    def compose(self) -> ComposeResult:
        yield FilesPanel()

    def show(self, subject: Subject | None) -> None:
        if subject is None or self._subject is None or subject.container.id != self._subject.container.id:
            self.query_one(FilesPanel).show(None)
        self._subject = subject
        self.look_again()

    def look_again(self) -> None:
        subject, panel = self._subject, self.query_one(FilesPanel)
        if subject is None or subject.blind:
            panel.show(None, subject.blind if subject else "Choose a container.")
        elif subject.details is not None:
            details = subject.details

            def failed(error: ContainerlabError) -> None:
                panel.show(None, str(error))

            ask(self, lambda: self._lab.inspectors.of(details).files(), panel.show, failed)

    def on_files_panel_open_mapping(self, event: FilesPanel.OpenMapping) -> None:
        event.stop()
        details = self._subject.details if self._subject else None
        if details is not None and self.app.screen is self.screen:  # a second enter comes before the first one's screen
            from containerlab_tui.ui.screens.bytes_view import BytesScreen

            one = event.row.mapping
            facts = (f"On the host: {event.row.host_path}",) if event.row.host_path else ()
            self.app.push_screen(
                BytesScreen(
                    f"{details.name}: {one.path}",
                    lambda offset, length: self._lab.inspectors.of(details).read_mapping(one, offset, length),
                    event.row.survives,
                    facts,
                )
            )
