"""Sent signals with their results; beside them, the container's log since."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widget import Widget

from containerlab_probes.signals.names import name_of
from containerlab_probes.trace_records import LostEvents, TracedSignal
from containerlab_tui.model import signal_log
from containerlab_tui.model.signal_filter import ALL
from containerlab_tui.model.views import Sent
from containerlab_tui.present import signs, wording
from containerlab_tui.present.safe_text import log_line, safe_line
from containerlab_tui.present.signal_text import line_of, outcome, sentence
from containerlab_tui.present.states import forecast_word
from containerlab_tui.ui.widgets.content import Content, Static, from_rich_text
from containerlab_tui.ui.widgets.grid import Column, Grid, GridRow, cell

_LOG_CELLS = 400
_ENGINE_S = 1.5
"""The engine sends a signal within this time after the request."""
_EMPTY = "No signals sent yet. Press s to choose one."


class SentTable(Grid):
    """One row for each signal and process, newest first."""

    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("time", "TIME", 8, 8),
        Column("signal", "SIGNAL", 7, 11),
        Column("pid", "PID", 4, 7, right=True),
        Column("command", "PROCESS", 8, 40, rank=2, share=2),
        Column("source", "SOURCE", 6, 6, rank=3),
        Column("forecast", "EFFECT", 11, 15, rank=1),
        Column("observed", "RESULT", 22, 80, share=4),
    )
    with_source = False
    """Whether to show the source column: only if a signal came from elsewhere."""

    def columns(self) -> Sequence[Column]:
        return [column for column in self.COLUMNS if self.with_source or column.key != "source"]


class SignalsLog(Widget):
    """The table of signals, and the container's log lines since the newest of them."""

    DEFAULT_CSS = """
    SignalsLog { layout: vertical; height: 1fr; }
    SignalsLog #sent-side { height: 1fr; }
    SignalsLog #sent-detail { height: auto; max-height: 40%; padding: 0 1; border-top: solid $foreground 20%; }
    SignalsLog #trace { height: auto; max-height: 2; padding: 0 1; color: $text-muted; display: none; }
    SignalsLog #trace.shown { display: block; }
    SignalsLog #since { height: auto; max-height: 40%; display: none; border-top: solid $foreground 20%; }
    SignalsLog #since.shown { display: block; }
    SignalsLog #since-head { color: $text-muted; padding: 0 1; height: 1; }
    SignalsLog #since-scroll { height: auto; max-height: 100%; padding: 0 1; scrollbar-size-vertical: 1; }
    SignalsLog #since-lines { height: auto; }
    SignalsLog.wide { layout: horizontal; }
    SignalsLog.wide #sent-side { width: 3fr; }
    SignalsLog.wide #since { width: 2fr; height: 1fr; max-height: 100%; border-top: none;
        border-left: solid $foreground 20%; }
    SignalsLog.wide #since-scroll { height: 1fr; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._sent: dict[str, Sent] = {}
        self._recorded: dict[str, signal_log.Row] = {}

    def compose(self) -> ComposeResult:
        table = SentTable(id="sent")
        table.empty_text = _EMPTY
        with Vertical(id="sent-side"):
            yield table
            yield Static(id="trace")
            yield Static(id="sent-detail")
        with Vertical(id="since"):
            yield Static(Content("Log since"), id="since-head")
            with VerticalScroll(id="since-scroll", can_focus=False):
                yield Static(id="since-lines")

    def on_resize(self) -> None:
        self.set_class(self.size.width >= 110, "wide")

    def show(self, sent: Sequence[Sent], recorded: Sequence[tuple[int, signal_log.Row]] = ()) -> None:
        """Shows signals sent by this program, and those that the kernel recorded, each with a stable number.

        Recorded signals that this program sent are left out: they are in `sent`.
        """
        sent = [_enriched(one, recorded) for one in sent]
        newest_first = sorted(sent, key=lambda one: (-one.at, one.container_name, one.container_pid))
        several = len({one.container for one in sent}) > 1
        self._sent = {_key(one): one for one in newest_first}
        others = [(number, row) for number, row in recorded if ALL.passes(row) and not _ours(row, sent)]
        self._recorded = {f"kernel-{number}": row for number, row in others}
        rows = [(one.at, _row(one, several)) for one in newest_first]
        rows += [(row.record.at, _recorded_row(key, row)) for key, row in reversed(self._recorded.items())]
        rows.sort(key=lambda one: -one[0])
        table = self.query_one(SentTable)
        if table.with_source != bool(others):
            table.with_source = bool(others)
            table.refit()
        at_newest = table.cursor == 0
        table.set_rows(row for _, row in rows)
        if at_newest:
            table.cursor = 0
        self._draw_detail()
        where = self.query_one("#since")
        where.set_class(bool(sent), "shown")
        if newest_first:
            newest = newest_first[0]
            head = f"Log since {name_of(newest.signal)} ({wording.clock_time(newest.at)})"
            self.query_one("#since-head", Static).update(Content(head))

    def on_grid_moved(self, event: Grid.Moved) -> None:
        event.stop()
        self._draw_detail()

    def _draw_detail(self) -> None:
        detail = self.query_one("#sent-detail", Static)
        one = self._sent.get(self.query_one(SentTable).row_key or "")
        row = self._recorded.get(self.query_one(SentTable).row_key or "")
        detail.display = one is not None or row is not None
        if one is not None:
            detail.update(_detail(one))
        elif row is not None:
            detail.update(_recorded_detail(row))

    def show_trace_state(self, on: bool | None, reason: str, lost: str = "", forgotten: int = 0) -> None:
        """Shows whether the kernel trace is on (None: not used now), why it is not available, what was lost (a clause),
        and how many rows were dropped.
        """
        where = self.query_one("#trace", Static)
        where.set_class(on is not None or bool(reason), "shown")
        if reason:
            where.update(Content(f"kernel trace {signs.STOPPED} not available: {safe_line(reason, 200)}"))
        else:
            parts = [Content(f"kernel trace {signs.RUNNING}" if on else f"kernel trace {signs.STARTING} starting …")]
            parts += [Content.styled(lost, "$text-error")] if lost else []
            parts += [Content(f"{forgotten:,} older rows dropped")] if forgotten else []
            where.update(Content(" · ").join(parts))

    def show_logs(self, lines: Iterable[str | bytes]) -> None:
        """Shows the log lines since the newest signal."""
        rows = [log_content(line) for line in lines]
        shown = Content("\n").join(rows) if rows else Content.styled("no output", "dim")
        self.query_one("#since-lines", Static).update(shown)
        self.call_after_refresh(self.query_one("#since-scroll", VerticalScroll).scroll_end, animate=False)


def log_content(line: str | bytes) -> Content:
    """Returns a log line with its colours and without any other escape sequence."""
    spans = log_line(line if isinstance(line, bytes) else line.encode("utf-8", "surrogateescape"), _LOG_CELLS)
    return from_rich_text(*spans)


def _key(one: Sent) -> str:
    return f"{one.id.pid}-{one.id.started}-{one.signal}-{one.at}"


def _detail(one: Sent) -> Content:
    """Returns the details of one signal to one process."""
    process = f"{one.container_pid} {safe_line(one.command, 120)} of {safe_line(one.container_name, 40)}"
    what = f"{name_of(one.signal)} to {process}"
    if one.error:
        return Content(f"{what}: {safe_line(one.error, 400)}")
    lines = [f"{what}, through {'a pidfd' if one.route == 'pidfd' else 'the engine'}"]
    if one.forecast is not None:
        lines.append(f"predicted: {wording.words(one.forecast)}")
    return Content("\n".join(lines))


def _ours(row: signal_log.Row, sent: Sequence[Sent]) -> bool:
    """Returns whether this program sent the signal, directly or through the engine."""
    record = row.record
    if isinstance(record, TracedSignal) and record.sender_pid == os.getpid():
        return True
    return any(_by_engine(row, one) for one in sent)


def _by_engine(row: signal_log.Row, one: Sent) -> bool:
    """Returns whether a recorded row is the signal that the engine was asked to send."""
    record = row.record
    return (
        one.route == "engine"
        and isinstance(record, TracedSignal | signal_log.Asked)
        and one.signal == record.signal
        and record.pid in (one.id.pid, 0)
        and abs(record.at - one.at) < _ENGINE_S
    )


def _enriched(one: Sent, recorded: Sequence[tuple[int, signal_log.Row]]) -> Sent:
    """Returns the signal with its result from the kernel trace, if it has none yet."""
    if one.observed is None and not one.error:
        row = next((row for _, row in recorded if _by_engine(row, one)), None)
        if row is not None and isinstance(row.record, TracedSignal):
            return replace(one, observed=outcome(row))
    return one


def _recorded_row(key: str, row: signal_log.Row) -> GridRow:
    """Returns the row of a signal from elsewhere, or of an exit."""
    record = row.record
    if isinstance(record, LostEvents | signal_log.Note):
        return GridRow(key, (("time", cell(wording.clock_time(record.at), "muted")),
                         ("observed", cell(safe_line(sentence(record), 200), "muted"))))  # fmt: skip
    line = line_of(row)
    source = "engine" if isinstance(record, signal_log.Asked) else "kernel"
    observed = f"from {line.sender}: {line.result}" if line.sender else f"exited, {line.result}"
    return GridRow(
        key,
        (
            ("time", cell(wording.clock_time(record.at), "muted")),
            ("signal", cell(line.what)),
            ("pid", cell(str((row.who.container_pid if row.who else 0) or "?"))),
            ("command", cell(safe_line(row.who.name if row.who else f"[{record.pid}]", 80))),
            ("source", cell(source, "muted")),
            ("observed", cell(safe_line(observed, 200), line.tone if line.tone != "good" else "plain")),
        ),
    )


def _recorded_detail(row: signal_log.Row) -> Content:
    record = row.record
    if isinstance(record, LostEvents | signal_log.Note):
        return Content(safe_line(sentence(record), 300))
    line = line_of(row)
    what = f"{line.what} from {line.sender} to {line.target}" if line.sender else f"{line.target} exited"
    return Content(safe_line(f"{what}: {line.result}", 400))


def _row(one: Sent, several: bool) -> GridRow:
    forecast = forecast_word(one.forecast)
    command = safe_line(one.command, 80)
    if several:
        command = safe_line(f"{safe_line(one.container_name, 24)}: {command}")
    if one.error:
        observed = cell(f"! not sent: {safe_line(one.error, 200)}", "bad")
    elif one.observed is None:
        observed = cell("not visible" if one.route == "engine" else "waiting …", "muted")
    else:
        has_exited = one.observed.startswith(("exited", "terminated"))
        observed = cell(safe_line(one.observed, 200), "warn" if has_exited else "plain")
    return GridRow(
        _key(one),
        (
            ("time", cell(wording.clock_time(one.at), "muted")),
            ("signal", cell(name_of(one.signal).removeprefix("SIG"))),
            ("pid", cell(str(one.container_pid))),
            ("command", cell(command)),
            ("source", cell("here", "muted")),
            ("forecast", cell(forecast.shown, forecast.tone)),
            ("observed", observed),
        ),
    )
