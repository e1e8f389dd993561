"""Draws the lanes of a stop: one line for each process on a shared time axis.

Time runs to the right. All information is in glyphs and words; the role of a segment only adds colour.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from rich.cells import cell_len, set_cell_size

from containerlab_probes.signals.names import SIGKILL, name_of
from containerlab_tui.model.stop import Kind, Lane, StopEvent, StopState, Verdict
from containerlab_tui.present import signs
from containerlab_tui.present.safe_text import safe_line

SIGNALLED = signs.SIGNALLED
ENDED_WELL = signs.IN_TIME
ENDED_BADLY = signs.WARNING
KILLED = signs.KILLED

_SECOND = "phase 2 KILL"
_LABEL_LEAST, _LABEL_MOST = 14, 44
_OUTCOME = 19
_AXIS_LEAST = 12


class Role(StrEnum):
    """The kind of a segment, which selects its style."""

    PLAIN = "plain"
    QUIET = "quiet"
    PHASE_1 = "phase-1"
    PHASE_2 = "phase-2"
    RUNNING = "running"
    MARK = "mark"
    WELL = "well"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Segment:
    text: str
    role: Role = Role.PLAIN


Line = tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps seconds since the start of the stop to a column of the axis."""

    width: int
    span_s: float

    def column(self, seconds: float) -> int:
        if self.width <= 0:
            return 0
        part = min(max(seconds / self.span_s, 0.0), 1.0)
        return min(int(part * self.width), self.width - 1)


def round_up(seconds: float) -> float:
    """Returns the smallest of 0.1, 0.2, 0.5, 1, 2, 5, 10 … that is at least `seconds`."""
    if seconds <= 0.1:
        return 0.1
    power = 10.0 ** math.floor(math.log10(seconds))
    return next((step * power for step in (1, 2, 5) if step * power >= seconds), 10 * power)


def seconds_text(seconds: float) -> str:
    """Formats a duration in at most seven cells: `0.20 s`, `11.9 s`, `320 s`."""
    digits = 2 if seconds < 9.995 else 1 if seconds < 99.95 else 0
    return f"{seconds:.{digits}f} s"


def short_name(signal: int) -> str:
    """Returns a signal's name without SIG."""
    return name_of(signal).removeprefix("SIG")


def span(state: StopState, now: float) -> float:
    """Returns the seconds that the axis shows.

    During a stop that is the grace period and some room for phase 2, so that the scale stays fixed; afterwards a
    mostly empty axis is shortened.
    """
    grace = state.plan.timeout_s
    over = state.verdict is not None
    elapsed = (_last(state) if over else max(now, _last(state))) - state.began
    whole = grace * 1.2 if grace > 0 else round_up(max(elapsed * 1.1, 5.0 if grace < 0 else 1.0))
    whole = max(whole, 1.0)
    if elapsed > whole:
        whole = round_up(elapsed * 1.1)
    if over and elapsed < whole * 0.4:
        whole = max(elapsed * 1.25, 0.05)
    return whole


def _last(state: StopState) -> float:
    """Returns the latest time that is drawn."""
    moments = [state.began]
    moments += [event.at for event in state.events if event.kind in (Kind.SIGNAL, Kind.ENDED, Kind.DIED)]
    moments += [lane.ended_at for lane in state.lanes if lane.ended_at is not None]
    return max(moments + ([state.died_at] if state.died_at is not None else []))


@dataclass(frozen=True, slots=True)
class Columns:
    """The widths of a line's parts."""

    label: int
    axis: int
    outcome: int


def columns(width: int) -> Columns:
    """Returns the widths of label, axis and outcome, each with a blank after it; in total at most `width`."""
    outcome = _OUTCOME if width >= _LABEL_LEAST + _AXIS_LEAST + _OUTCOME else 0
    label = min(max(width * 3 // 10, _LABEL_LEAST), _LABEL_MOST, max(width - outcome, 0))
    axis = width - label - outcome
    return Columns(label, axis, outcome) if axis >= _AXIS_LEAST else Columns(width, 0, 0)


def draw(state: StopState, width: int, now: float) -> list[Line]:
    """Returns two axis lines and one line for each process, each at most `width` cells wide.

    While the stop is in progress, lanes of running processes end at `now` (epoch seconds).
    """
    if width <= 0:
        return []
    if state.is_preparing:
        now = state.began
    share = columns(width)
    scale = Scale(share.axis, span(state, now))
    lines = [] if share.axis == 0 else [_phases(state, share, scale, now), _ruler(share, scale)]
    return lines + [_lane(state, lane, share, scale, now) for lane in state.lanes]


def _phases(state: StopState, share: Columns, scale: Scale, now: float) -> Line:
    """Returns the line with the two phases above the axis; empty while the stop is being prepared."""
    if state.is_preparing:
        return (Segment(" " * (share.label + share.axis + share.outcome)),)
    plan = state.plan
    first = state.phase_1.ended if state.phase_1 and state.phase_1.ended is not None else None
    kill = state.phase_2.started if state.phase_2 else None
    over = state.verdict is not None
    if first is None:
        first = kill if kill is not None else (state.ended_at or _last(state)) if over else None
    planned = state.began + plan.timeout_s if plan.timeout_s >= 0 else math.inf
    border = min(first if first is not None else planned, 1e18)
    edge = share.axis if border >= state.began + scale.span_s else max(scale.column(border - state.began), 1)
    left = _region(f"phase 1 {short_name(plan.signal)}", edge)
    if kill is not None:
        end = (state.ended_at or _last(state)) if over else now
        stop = max(scale.column(end - state.began) + 1, edge + 2)
        right, role = _region(_SECOND, min(stop, share.axis) - edge), Role.PHASE_2
        if _SECOND not in right and cell_len(left) + cell_len(right) + len(_SECOND) < share.axis + share.outcome:
            right += f" {_SECOND}"
    elif not over:
        right, role = _region("then KILL", share.axis - edge, dotted=True), Role.QUIET
    else:
        right, role = "", Role.QUIET
    rest = " " * (share.axis - cell_len(left) - cell_len(right) + share.outcome)
    return (Segment(" " * share.label), Segment(left, Role.PHASE_1), Segment(right, role), Segment(rest))


def _region(words: str, width: int, dotted: bool = False) -> str:
    """Returns `├ words ───┤` in exactly `width` cells, with as many words as fit."""
    if width <= 0:
        return ""
    if width < 3:
        return "├┤"[:width]
    body = f" {words} " if len(words) + 2 <= width - 2 else f" {words.rsplit(' ', 1)[-1]} "
    if len(body) > width - 2:
        body = ""
    return "├" + body + ("┈" if dotted else "─") * (width - 2 - len(body)) + "┤"


def _ruler(share: Columns, scale: Scale) -> Line:
    """Returns the axis with seconds at round numbers."""
    step = round_up(scale.span_s * 9 / share.axis)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    cells = [" "] * share.axis
    free = 0
    for tick in range(int(scale.span_s / step + 1e-9) + 1):
        words = f"{tick * step:.{digits}f}"
        column = scale.column(tick * step)
        if column < free or column + len(words) + 1 > share.axis:
            continue
        cells[column : column + len(words)] = list(words)
        free = column + len(words) + 1
    if free + 1 < share.axis:
        cells[free] = "s"
    head = set_cell_size(" PID  PROCESS", share.label)
    tail = set_cell_size(" EXIT", share.outcome)
    return (Segment(head, Role.QUIET), Segment("".join(cells), Role.QUIET), Segment(tail, Role.QUIET))


def _lane(state: StopState, lane: Lane, share: Columns, scale: Scale, now: float) -> Line:
    words, role = outcome(state, lane)
    label = _fit(f"{lane.container_pid:>4}  {safe_line(lane.command)}", share.label - 1) + " "
    if share.axis == 0:
        return (Segment(_fit(label, share.label)),)
    tail = Segment(set_cell_size(" " + words, share.outcome), role)
    return (Segment(label), *_axis(state, lane, scale, now), tail)


def outcome(state: StopState, lane: Lane) -> tuple[str, Role]:
    """Returns when and how a process exited, in at most 18 cells."""
    if lane.ended_at is None:
        if not state.settled and state.verdict is None:
            return "running", Role.RUNNING
        unseen = state.died_at is not None or state.verdict is Verdict.FAILED
        return ("exit not seen", Role.QUIET) if unseen else ("still running", Role.RUNNING)
    when = seconds_text(max(lane.ended_at - state.began, 0.0))
    if lane.ended_by is None:
        return f"exited {when}", Role.PLAIN
    if isinstance(lane.ended_by, int):
        glyph, role = (ENDED_WELL, Role.WELL) if lane.ended_by == 0 else (ENDED_BADLY, Role.BAD)
        return f"{glyph} {when} exit {lane.ended_by}", role
    return f"{KILLED} {when} {lane.ended_by.removeprefix('SIG')}", Role.BAD


def _fit(text: str, width: int) -> str:
    """Returns exactly `width` cells; an ellipsis marks a cut."""
    if width <= 0:
        return ""
    return set_cell_size(text, width) if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"


def _signals(state: StopState, lane: Lane) -> Sequence[StopEvent]:
    """Returns the named signals sent to this process, each once even if both engine and kernel report it."""
    found: list[StopEvent] = []
    for event in state.events:
        mine = event.id == lane.id or (event.id is None and event.container_pid == lane.container_pid)
        if (
            event.signal is not None
            and event.kind is Kind.SIGNAL
            and mine
            and event.signal not in {other.signal for other in found}
        ):
            found.append(event)
    return found


def _axis(state: StopState, lane: Lane, scale: Scale, now: float) -> list[Segment]:
    """Returns the axis of one process."""
    over = state.verdict is not None or state.settled
    until = lane.ended_at if lane.ended_at is not None else (_last(state) if over else now)
    last = scale.column(until - state.began)
    signalled = lane.got_signal or lane.id.pid == state.plan.pid
    line = "─" if signalled else "┈"
    cells = [(line, Role.RUNNING if signalled else Role.QUIET)] * (last + 1)
    cells += [(" ", Role.PLAIN)] * (scale.width - last - 1)
    signals = _signals(state, lane)
    end = last if lane.ended_at is not None else scale.width
    starts = [scale.column(event.at - state.began) for event in signals]
    for event, column, after in zip(signals, starts, [*starts[1:], scale.width][: len(starts)], strict=True):
        name = short_name(event.signal or 0)
        if event.signal == SIGKILL and column <= end < column + 1 + len(name):
            column = end  # noqa: PLW2901  its mark would overlap the mark of the exit, which stays
        _write(cells, column, SIGNALLED, Role.MARK)
        _write(cells, column + 1, name, Role.MARK, limit=min(after, end if event.signal != SIGKILL else scale.width))
    if not signalled and not any(event.signal != SIGKILL for event in signals):
        for words in _not_signalled(lane, state.plan.product.name):
            if _write(cells, 1, words, Role.QUIET, limit=min([*starts, last])):
                break
    if lane.ended_at is not None:
        words, role = outcome(state, lane)
        _write(cells, last, words[0] if words[0] in (ENDED_WELL, ENDED_BADLY, KILLED) else signs.UNKNOWN, role)
    return _join(cells)


def _not_signalled(lane: Lane, engine: str) -> tuple[str, ...]:
    """Returns the texts of a lane without a signal, longest first; unknown: PID 1 may have forwarded one."""
    if lane.got_signal is False:
        return (" not signalled ",)
    return f" not signalled by {engine} ", " not signalled "


def _write(cells: list[tuple[str, Role]], column: int, words: str, role: Role, limit: int | None = None) -> bool:
    """Writes words into the cells if all fit before `limit`. Returns whether they did."""
    if column + len(words) > min(len(cells), limit if limit is not None else len(cells)):
        return False
    cells[column : column + len(words)] = [(letter, role) for letter in words]
    return True


def _join(cells: Sequence[tuple[str, Role]]) -> list[Segment]:
    """Joins cells of the same role into segments."""
    segments: list[Segment] = []
    for letter, role in cells:
        if segments and segments[-1].role is role:
            segments[-1] = Segment(segments[-1].text + letter, role)
        else:
            segments.append(Segment(letter, role))
    return segments
