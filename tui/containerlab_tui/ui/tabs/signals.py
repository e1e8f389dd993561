"""The Signals tab: signals sent to the selected container, by this program and by others, and its log since."""

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.timer import Timer

from containerlab_tui.model.signal_log import SignalLog
from containerlab_tui.model.views import Sent
from containerlab_tui.present.signal_text import lost_words
from containerlab_tui.session.store import ShownContainer
from containerlab_tui.ui.background import ask
from containerlab_tui.ui.tabs.base import Panel
from containerlab_tui.ui.tabs.signals_log import SignalsLog

if TYPE_CHECKING:
    from containerlab_tui.session.container_watch import ContainerWatch
    from containerlab_tui.session.session import Session

LOG_SINCE_LINES = 50
REST_S = 0.3
"""How long a container must be selected before its signals are traced."""
TAKE_S = 0.5
RECORDED_KEPT = 500


class SignalsTab(Panel):
    """Signals sent to the selected container, by this program and by others, and its log since.

    Signals of others are traced only while the tab is shown: the trace starts when the selection settles, and ends
    when another container is selected or another tab is opened.
    """

    DEFAULT_CSS = "SignalsTab { height: 1fr; }"

    def __init__(self, session: "Session") -> None:
        super().__init__(id="signals")
        self._session = session
        self._subject: ShownContainer | None = None
        self._watch: ContainerWatch | None = None
        self._recorded = SignalLog(RECORDED_KEPT)
        self._resting: Timer | None = None
        self._ticking: Timer | None = None
        self._is_paused = False
        self._opened = (False, "")
        """Whether the trace is open, and why not, as last shown."""

    def compose(self) -> ComposeResult:
        yield SignalsLog()

    def show(self, subject: ShownContainer | None) -> None:
        before, self._subject = self._subject, subject
        if before is None or subject is None or before.container.id != subject.container.id:
            self._end()
        self.reread()
        self._rest()

    def on_show(self) -> None:
        self._rest()

    def on_hide(self) -> None:
        self._end()

    def on_unmount(self) -> None:
        self._end()

    def pause_trace(self, paused: bool) -> None:
        """Pauses the trace while another screen traces; resumes it afterwards."""
        self._is_paused = paused
        if paused:
            self._end()
        else:
            self._rest()

    def reread(self) -> None:
        self._draw()
        subject, sent = self._subject, self._sent
        if subject is not None and sent:
            log = self.query_one(SignalsLog)
            container, since = subject.container.id, max(one.at for one in sent)

            def lines() -> list[str]:
                found = list[bytes]()
                for chunk in self._session.engine().logs(container, False, LOG_SINCE_LINES, since):
                    found.append(chunk)
                return b"".join(found).decode("utf-8", "replace").splitlines()[-LOG_SINCE_LINES:]

            ask(self, lines, log.show_logs)

    @property
    def _sent(self) -> list[Sent]:
        subject = self._subject
        return [] if subject is None else [one for one in self._session.sent if one.container == subject.container.id]

    def _draw(self) -> None:
        log, watch = self.query_one(SignalsLog), self._watch
        first = self._recorded.dropped
        log.show(self._sent, [(first + number, row) for number, row in enumerate(self._recorded.rows)])
        if watch is None:
            remote = self._subject is not None and not self._session.local
            log.show_trace_state(None, self._subject.unseen_reason if self._subject is not None and remote else "")
        else:
            is_on, recorded = watch.opened and not watch.no_trace_reason, self._recorded
            log.show_trace_state(is_on, watch.no_trace_reason, lost_words(recorded), recorded.dropped)

    # signals of others

    def _rest(self) -> None:
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(REST_S, self._begin)

    def _begin(self) -> None:
        subject = self._subject
        if self._watch is not None or self._is_paused or not self.is_on_screen:
            return
        if subject is None or subject.unseen_reason:
            return
        if subject.details is not None and subject.details.pid:
            self._recorded.clear()
            self._watch = self._session.kernel.watch(self._session, subject.details)
            self._watch.begin()
            self._ticking = self.set_interval(TAKE_S, self._take)
            self._draw()

    def _take(self) -> None:
        watch = self._watch
        if watch is None:
            return
        records, opened = watch.take(), (watch.opened, watch.no_trace_reason)
        if records:
            self._recorded.add(records)
        if records or opened != self._opened:
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
