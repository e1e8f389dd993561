"""The Signals tab: what was sent to the container on show, by this program and by others, and its log since."""

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.timer import Timer

from containerlab_tui.model.signal_log import SignalLog
from containerlab_tui.model.views import Sent
from containerlab_tui.present.signal_text import lost_words
from containerlab_tui.session.store import Subject
from containerlab_tui.ui.background import ask
from containerlab_tui.ui.tabs.base import Panel
from containerlab_tui.ui.tabs.signals_log import SignalsLog

if TYPE_CHECKING:
    from containerlab_tui.session.container_watch import ContainerWatch
    from containerlab_tui.session.session import Session

LOG_SINCE_LINES = 50
REST_S = 0.3
"""How long a container must be selected before the signals that others send to it are traced."""
TAKE_S = 0.5
RECORDED_KEPT = 500


class SignalsTab(Panel):
    """What was sent to the container that is shown, by this program and by others, and its log since.

    What others send is known while the tab is shown: a recording begins when the selection has rested, and ends when
    it moves on or another tab is opened.
    """

    DEFAULT_CSS = "SignalsTab { height: 1fr; }"

    def __init__(self, session: "Session") -> None:
        super().__init__(id="signals")
        self._session = session
        self._subject: Subject | None = None
        self._watch: ContainerWatch | None = None
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
            log.say_trace(None, self._subject.blind if self._subject is not None and remote else "")
        else:
            told = self._recorded
            log.say_trace(watch.opened and not watch.blind, watch.blind, lost_words(told), told.dropped)

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
            self._watch = self._session.kernel.watch(self._session, subject.details)
            self._watch.begin()
            self._ticking = self.set_interval(TAKE_S, self._take)
            self._draw()

    def _take(self) -> None:
        watch = self._watch
        if watch is None:
            return
        told, opened = watch.take(), (watch.opened, watch.blind)
        if told:
            self._recorded.add(told)
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
