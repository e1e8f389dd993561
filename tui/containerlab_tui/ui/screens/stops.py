"""Shows stops live: phases, a lane for each process, signals with their times, the log and the verdict.

The screen only shows states that it receives; leaving it cancels nothing. A timer moves the bar and the lanes of
running processes a few times a second while a stop is in progress.
"""

import textwrap
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import Screen

from containerlab_probes.signals.names import SIGKILL, name_of
from containerlab_tui.doctor import comparison
from containerlab_tui.model.grace import grace_period
from containerlab_tui.model.stop import Kind, StopEvent, StopState, Verdict
from containerlab_tui.present import signs
from containerlab_tui.present.safe_text import safe_line
from containerlab_tui.present.stop_text import describe, explain
from containerlab_tui.session.actions import Scope
from containerlab_tui.ui.bindings import bindings
from containerlab_tui.ui.tabs.signals_log import log_content
from containerlab_tui.ui.widgets import lanes
from containerlab_tui.ui.widgets.content import Content, Static, toast
from containerlab_tui.ui.widgets.lanes import Role
from containerlab_tui.ui.widgets.status_bar import KeyBar

MOST_STOPS = 24
"""Stops kept, in addition to those in progress."""
LOG_LINES = 200
"""Log lines kept for each stop."""
_TICK_S = 0.2

_PARTS = {"restart": "Restart", "remove": "Removal", "signal": "Signal"}
"""Headings of stops that are part of something else that this program does."""
_GLYPHS = {
    Verdict.GRACEFUL: signs.IN_TIME,
    Verdict.KILLED: signs.KILLED,
    Verdict.RESTARTED: signs.RESTARTED,
    Verdict.FAILED: signs.WARNING,
}

STYLES = {
    Role.PLAIN: "",
    Role.QUIET: "dim",
    Role.PHASE_1: "bold $text-accent",
    Role.PHASE_2: "bold $text-error",
    Role.RUNNING: "$text-accent",
    Role.MARK: "bold $text-warning",
    Role.WELL: "bold $text-success",
    Role.BAD: "bold $text-error",
}


class _Forward:
    """A clock that goes on where it was when the one below it is set back, so that no bar freezes."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._last, self._lost = clock, clock(), 0.0

    def __call__(self) -> float:
        now = self._clock()
        self._lost += max(0.0, self._last - now)
        self._last = now
        return now + self._lost


@dataclass(slots=True)
class _Stop:
    """One stop on the screen."""

    state: StopState
    clock: _Forward
    log: deque[str | bytes] = field(default_factory=lambda: deque(maxlen=LOG_LINES))

    @property
    def is_over(self) -> bool:
        return self.state.settled or self.state.verdict is not None


class _StopName(Static):
    """The name of one of several stops; a click shows that stop."""

    def __init__(self, container: str) -> None:
        super().__init__()
        self.container = container

    def draw_state(self, state: StopState, shown: bool) -> None:
        """Draws a glyph for the stop's state, and brackets around the stop shown."""
        glyph = _GLYPHS.get(state.verdict, "·") if state.verdict else "…"
        words_ = f"{glyph} {safe_line(state.plan.name, 24)}"
        self.update(Content.styled(f"[{words_}]", "bold") if shown else Content.styled(f" {words_} ", "dim"))

    def on_click(self) -> None:
        if isinstance(self.screen, StopsScreen):
            self.screen.choose(self.container)


class StopsScreen(Screen[None]):
    """Takes states with `show` and log lines with `add_log` at any time, even while hidden."""

    CSS_PATH = "../styles/stop.tcss"
    SIGNS = signs.STOPS
    SCOPE = Scope.STOPS
    BINDINGS: ClassVar[list[BindingType]] = bindings(SCOPE)
    AUTO_FOCUS = ""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives epoch seconds, like the times in the states."""
        super().__init__()
        self._clock = clock
        self._stops: dict[str, _Stop] = {}
        self._shown: str | None = None
        self._drawn: tuple[int, bool] | None = None
        """The number of events in the timeline, and whether the verdict is drawn."""

    # input

    def show(self, state: StopState) -> None:
        """Takes the newest state of one stop.

        A new stop is shown at once, unless it was started outside this program while another one is shown.
        """
        key = state.plan.container
        known = self._stops.get(key)
        again = known is not None and known.state.identity != state.identity
        if known is None or again:
            self._stops[key] = _Stop(state, _Forward(self._clock))
            if self._shown is None or not state.plan.is_from_outside:
                self._shown = key
            self._drop_oldest()
        else:
            known.state = state
        if self.is_mounted:
            self._draw_tabs()
            if key == self._shown:
                self._draw()

    def _drop_oldest(self) -> None:
        """Drops the oldest finished stops if there are too many."""
        over = [key for key, stop in self._stops.items() if stop.is_over and key != self._shown]
        for key in over[: max(len(self._stops) - MOST_STOPS, 0)]:
            del self._stops[key]

    def add_log(self, lines: Iterable[str | bytes], container: str | None = None) -> None:
        """Adds lines of a container's log; None: of the stop shown."""
        stop = self._stops.get(container or self._shown or "")
        if stop is None:
            return
        stop.log.extend(lines)
        if self.is_mounted and stop is self._current:
            self._draw_log()

    @property
    def containers(self) -> tuple[str, ...]:
        """Full ids of the containers whose stops are kept."""
        return tuple(self._stops)

    def choose(self, container: str) -> None:
        """Shows a container's stop."""
        if container in self._stops and container != self._shown:
            self._shown = container
            if self.is_mounted:
                self._draw_tabs()
                self._draw()

    @property
    def _current(self) -> _Stop | None:
        return self._stops.get(self._shown or "")

    # drawing

    def compose(self) -> ComposeResult:
        yield Horizontal(id="stops")
        yield Static(id="head")
        yield Static(id="bar")
        with VerticalScroll(id="lanes", can_focus=False):
            yield Static(id="lane-lines")
        with Vertical(id="below"):
            with Vertical(id="events"):
                yield Static(Content("What happened"), classes="heading")
                with VerticalScroll(id="timeline", can_focus=False):
                    yield Static(id="timeline-lines")
            with Vertical(id="log"):
                yield Static(Content("Log"), classes="heading")
                with VerticalScroll(id="log-scroll", can_focus=False):
                    yield Static(id="log-lines")
        yield Static(id="verdict")
        yield KeyBar()

    def on_mount(self) -> None:
        self._draw_tabs()
        self._draw()
        self.set_interval(_TICK_S, self._tick)

    def on_resize(self) -> None:
        self.set_class(self.size.width >= 110, "wide")
        self.call_after_refresh(self._draw)

    def _tick(self) -> None:
        """Redraws the moving parts while a stop is in progress."""
        stop = self._current
        if stop is not None and not stop.is_over and self.is_current:
            self._draw_moving(stop)

    def _draw(self) -> None:
        stop = self._current
        if stop is None:
            self.query_one("#head", Static).update(Content("No stop in progress. Select a container and press x."))
            return
        self._draw_moving(stop)
        self._draw_timeline(stop.state)
        self._draw_log()
        self._draw_verdict(stop)
        self.refresh_bindings()

    def _draw_moving(self, stop: _Stop) -> None:
        state, now = stop.state, stop.clock()
        width = self.size.width - 2
        self.query_one("#head", Static).update(_head(state, now, width), layout=False)
        self.query_one("#bar", Static).update(_bar(state, now, width), layout=False)
        lines = lanes.draw(state, width - 1, now)
        content = Content("\n").join(
            [Content.assemble(*[(one.text, STYLES[one.role]) for one in row]) for row in lines]
        )
        self.query_one("#lane-lines", Static).update(content)

    def _draw_timeline(self, state: StopState) -> None:
        rows = [_event(state, event) for event in state.events if event.kind is not Kind.SETTLED]
        if reason := safe_line(state.plan.unseen_reason):
            rows.insert(
                0, Content.styled(f"  {reason if state.plan.processes else f'processes unreadable: {reason}'}", "dim")
            )
        self.query_one("#timeline-lines", Static).update(Content("\n").join(rows))
        self.call_after_refresh(self.query_one("#timeline", VerticalScroll).scroll_end, animate=False)

    def _draw_log(self) -> None:
        stop = self._current
        if stop is None:
            return
        rows = [log_content(line) for line in stop.log]
        self.set_class(bool(rows), "has-log")
        shown = Content("\n").join(rows) if rows else Content.styled("No log output since the stop began", "dim")
        self.query_one("#log-lines", Static).update(shown)
        self.call_after_refresh(self.query_one("#log-scroll", VerticalScroll).scroll_end, animate=False)

    def _draw_verdict(self, stop: _Stop) -> None:
        verdict = stop.state.verdict
        where = self.query_one("#verdict", Static)
        if verdict is None and not stop.state.settled:
            prediction = stop.state.plan.prediction
            words_ = [f"{comparison.words(prediction)}."] if prediction is not None else []
            words_.append("Leaving this screen does not cancel the stop.")
            where.update(Content("\n").join(Content.styled(line, "dim") for line in words_))
            return
        main, *more = explain(stop.state) or ("",)
        compared = comparison.compare(stop.state.plan.prediction, stop.state) if stop.state.plan.prediction else None
        well = verdict in (None, Verdict.GRACEFUL, Verdict.ALREADY_STOPPED)
        style = "bold $text-success" if well else "bold $text-error"
        glyph, width = _GLYPHS.get(verdict, "·") if verdict else "·", max(self.size.width - 4, 20)
        lines = [Content.styled(line, style) for line in _hanging(f"{glyph} ", main, width)]
        if compared is not None:
            style = "bold $text-warning" if compared.right is False else "dim"
            lines += [Content.styled(line, style) for line in _hanging("  ", compared.sentence, width)]
        lines += [Content(line) for sentence in more for line in _hanging("  ", sentence, width)]
        where.update(Content("\n").join(lines))

    def _draw_tabs(self) -> None:
        """Draws the name and state of each stop; nothing if there is only one."""
        row = self.query_one("#stops", Horizontal)
        row.display = len(self._stops) > 1
        present = {label.container: label for label in row.query(_StopName)}
        for key in present.keys() - self._stops.keys():
            present[key].remove()
        for key, stop in self._stops.items():
            label = present.get(key)
            if label is None:
                label = _StopName(key)
                row.mount(label)
            label.draw_state(stop.state, key == self._shown)
            if key == self._shown and row.display:
                self.call_after_refresh(label.scroll_visible, animate=False, force=True)

    # keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return len(self._stops) > 1 if action == "other" else True

    def action_other(self, by: int) -> None:
        keys = list(self._stops)
        if self._shown in keys:
            self.choose(keys[(keys.index(self._shown) + by) % len(keys)])

    def action_scroll(self, by: int) -> None:
        self.query_one("#timeline", VerticalScroll).scroll_relative(y=by, animate=False)

    def action_leave(self) -> None:
        if any(not stop.is_over and not stop.state.plan.started_elsewhere for stop in self._stops.values()):
            toast(self, safe_line("The stop continues. Press W to show it."))
        self.dismiss(None)


def _hanging(lead: str, sentence: str, width: int) -> list[str]:
    """Wraps a sentence; all lines but the first are indented."""
    return textwrap.wrap(safe_line(sentence, 400), width, initial_indent=lead, subsequent_indent="  ")


def _head(state: StopState, now: float, width: int) -> Content:
    """Returns the container, signal and progress."""
    plan = state.plan
    signal = name_of(plan.signal)
    after = "" if plan.signal == SIGKILL else f", then SIGKILL after {grace_period(plan.timeout_s)}"
    if plan.timeout_s < 0:
        after = ", no SIGKILL"
    stop = _PARTS.get(plan.part_of, "Stop started outside this program") if plan.started_elsewhere else "Stop"
    if state.is_preparing:
        right = "preparing"
    elif state.is_known_by_exit and state.settled:
        right = "done"
    else:
        phase = "phase 2" if state.phase_2 else "phase 1" if state.phase_1 else "requested"
        where = "done" if state.verdict is not None or state.settled else phase
        right = f"{where}  {lanes.seconds_text(_elapsed(state, now)):>7}"
    left = Content.assemble((f"{stop}  ", "dim"), (safe_line(plan.name, 40), "bold"), f"  {signal}{after}")
    room = max(width - len(right) - 1, 10)
    left = Content.assemble(left.truncate(room, ellipsis=True))
    return Content.assemble(left, " " * max(room - left.cell_length, 0), " ", (right, "bold"))


def _elapsed(state: StopState, now: float) -> float:
    """Returns the seconds since the request: until PID 1 exited, until the last event of what is over, or until now."""
    if state.duration_s is not None:
        return state.duration_s
    return max(0.0, (state.events[-1].at if state.settled and state.events else now) - state.began)


def _bar(state: StopState, now: float, width: int) -> Content:
    """Returns the bar of the grace period, and how much is left."""
    if state.is_preparing:
        return Content.styled("The engine has not been asked yet: the grace period has not started.", "dim")
    if state.is_known_by_exit and state.settled:
        return Content.styled("How long the grace period had lasted is unknown.", "dim")
    grace = state.plan.timeout_s
    over = state.verdict is not None
    reached = state.duration_s if over else None
    if state.phase_2 is not None:
        reached = state.phase_2.started - state.began
    elapsed = max(0.0, reached if reached is not None else now - state.began)
    if grace < 0:
        words_ = "used, no limit" if over else "no limit"
        return Content.styled(f"grace period: {lanes.seconds_text(elapsed)} {words_}", "dim")
    left = max(grace - elapsed, 0.0)
    note = (
        "expired"
        if left <= 0.0005 or state.phase_2
        else f"{lanes.seconds_text(left)} " + ("left over" if over else "left")
    )
    room = max(width - 18, 10)
    full = room if grace == 0 else min(int(room * elapsed / grace), room)
    if state.phase_2 is not None:
        full = room
    style = "$text-error" if full == room else "$text-accent"
    return Content.assemble(("█" * full, style), ("░" * (room - full), "dim"), f" {note:>16}")


def _event(state: StopState, event: StopEvent) -> Content:
    """Returns a line of the timeline: seconds since the start, source, event."""
    return Content.assemble(
        (f"{event.at - state.began:8.3f} ", ""),
        (f"{event.source.value:<7}", "dim"),
        (safe_line(_sentence(state, event), 200), "bold" if event.kind in (Kind.SIGNAL, Kind.DIED) else ""),
    )


def _sentence(state: StopState, event: StopEvent) -> str:
    lane = next((one for one in state.lanes if one.id == event.id or one.container_pid == event.container_pid), None)
    return describe(event) + (f" ({lane.command[:60]})" if lane is not None else "")
