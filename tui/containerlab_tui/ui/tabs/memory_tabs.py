"""The tabs that look into one container: they read when shown and hand what was read to the widgets that show it."""

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.timer import Timer

from containerlab_probes.errors import ContainerlabError
from containerlab_tui.model.signal_log import SignalLog
from containerlab_tui.model.views import Sent
from containerlab_tui.present.signal_text import lost_words
from containerlab_tui.ui.background import ask, do
from containerlab_tui.ui.tabs.base import Panel, Subject
from containerlab_tui.ui.tabs.files_panel import FilesPanel
from containerlab_tui.ui.tabs.ipc_panel import IpcPanel
from containerlab_tui.ui.tabs.signals_log import SignalsLog
from containerlab_tui.ui.watches import Watch

if TYPE_CHECKING:
    from containerlab_tui.ui.app import ContainerlabApp

LOOK_AGAIN_S = 5.0
"""How often IPC objects are read again while they can be seen: nothing tells when they change."""
LOG_SINCE_LINES = 50
REST_S = 0.3
"""How long a container must be selected before what others send to it is recorded."""
TAKE_S = 0.5
RECORDED_KEPT = 500


class SignalsTab(Panel):
    """What was sent to the container that is shown, by this program and by others, and its log since.

    What others send is known while the tab is shown: a recording begins when the selection has rested, and ends when
    it moves on or another tab is opened.
    """

    DEFAULT_CSS = "SignalsTab { height: 1fr; }"

    def __init__(self, app: "ContainerlabApp") -> None:
        super().__init__(id="signals")
        self._lab = app
        self._subject: Subject | None = None
        self._watch: Watch | None = None
        self._recorded = SignalLog(RECORDED_KEPT)
        self._resting: Timer | None = None
        self._ticking: Timer | None = None
        self._held = False
        self._opened = (False, "")
        """Whether it records, and why not, as it was said last."""

    def compose(self) -> ComposeResult:
        yield SignalsLog()

    def show(self, subject: Subject | None) -> None:
        before, self._subject = self._subject, subject
        if before is None or subject is None or before.container.id != subject.container.id:
            self._end()
        self.look_again()
        self._rest()

    def on_show(self) -> None:
        self._rest()

    def on_hide(self) -> None:
        self._end()

    def on_unmount(self) -> None:
        self._end()

    def hold(self, held: bool) -> None:
        """Record nothing while something else on this screen's stack does; then go on."""
        self._held = held
        if held:
            self._end()
        else:
            self._rest()

    def look_again(self) -> None:
        self._draw()
        subject, sent = self._subject, self._sent
        if subject is not None and sent:
            log = self.query_one(SignalsLog)
            container, since = subject.container.id, max(one.at for one in sent)

            def lines() -> list[str]:
                found = list[bytes]()
                for chunk in self._lab.engines.here().logs(container, False, LOG_SINCE_LINES, since):
                    found.append(chunk)
                return b"".join(found).decode("utf-8", "replace").splitlines()[-LOG_SINCE_LINES:]

            ask(self, lines, log.show_logs)

    @property
    def _sent(self) -> list[Sent]:
        subject = self._subject
        return [] if subject is None else [one for one in self._lab.sent if one.container == subject.container.id]

    def _draw(self) -> None:
        log, watch = self.query_one(SignalsLog), self._watch
        first = self._recorded.forgotten
        log.show(self._sent, [(first + number, row) for number, row in enumerate(self._recorded.rows)])
        if watch is None:
            remote = self._subject is not None and not self._lab.local
            log.say_trace(None, self._subject.blind if self._subject is not None and remote else "")
        else:
            told = self._recorded
            log.say_trace(watch.opened and not watch.blind, watch.blind, lost_words(told), told.forgotten)

    # what others send

    def _rest(self) -> None:
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(REST_S, self._begin)

    def _begin(self) -> None:
        subject = self._subject
        if self._watch is not None or self._held or subject is None or subject.blind or not self.is_on_screen:
            return
        if subject.details is not None and subject.details.pid:
            self._recorded.clear()
            self._watch = Watch(self._lab, subject.details)
            self._watch.begin()
            self._ticking = self.set_interval(TAKE_S, self._take)
            self._draw()

    def _take(self) -> None:
        watch = self._watch
        if watch is None:
            return
        told, opened = watch.take(), (watch.opened, watch.blind)
        if told:
            self._recorded.take(told)
        if told or opened != self._opened:
            self._opened = opened
            self._draw()

    def _end(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None
            self._opened = (False, "")
        if self._ticking is not None:
            self._ticking.stop()
            self._ticking = None
        self._recorded = SignalLog(RECORDED_KEPT)


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
