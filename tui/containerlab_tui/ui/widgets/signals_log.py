"""What was sent, and what came of it; beside it what the container wrote since."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from containerlab_probes.signals import name_of
from containerlab_tui.core.safe_text import safe_line
from containerlab_tui.core.views import Sent
from containerlab_tui.ui import words
from containerlab_tui.ui.states import forecast_word
from containerlab_tui.ui.widgets.grid import Column, Grid, Row, cell

_EMPTY = "Nothing was sent yet. Press s to choose a signal."


class SentTable(Grid):
    """A row a signal and process, the newest first."""

    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("time", "TIME", 8, 8),
        Column("signal", "SIGNAL", 7, 11),
        Column("pid", "PID", 4, 7, right=True),
        Column("command", "PROCESS", 10, 40, rank=2, share=3),
        Column("forecast", "FORECAST", 11, 15, rank=1),
        Column("observed", "WHAT CAME OF IT", 18, 60, share=4),
    )


class SignalsLog(Widget):
    """The table of signals, and the container's log lines since the newest of them."""

    DEFAULT_CSS = """
    SignalsLog { layout: vertical; height: 1fr; }
    SignalsLog SentTable { height: 1fr; }
    SignalsLog #since { height: auto; max-height: 40%; display: none; border-top: solid $foreground 20%; }
    SignalsLog #since.shown { display: block; }
    SignalsLog #since-head { color: $text-muted; padding: 0 1; height: 1; }
    SignalsLog #since-scroll { height: auto; max-height: 100%; padding: 0 1; scrollbar-size-vertical: 1; }
    SignalsLog #since-lines { height: auto; }
    SignalsLog.wide { layout: horizontal; }
    SignalsLog.wide SentTable { width: 3fr; }
    SignalsLog.wide #since { width: 2fr; height: 1fr; max-height: 100%; border-top: none;
        border-left: solid $foreground 20%; }
    SignalsLog.wide #since-scroll { height: 1fr; }
    """

    def compose(self) -> ComposeResult:
        table = SentTable(id="sent")
        table.empty_text = _EMPTY
        yield table
        with Vertical(id="since"):
            yield Static(Content("Log since"), id="since-head")
            with VerticalScroll(id="since-scroll", can_focus=False):
                yield Static(id="since-lines")

    def on_resize(self) -> None:
        self.set_class(self.size.width >= 110, "wide")

    def show(self, sent: Sequence[Sent]) -> None:
        """Show these signals, given in any order."""
        newest_first = sorted(sent, key=lambda one: (-one.at, one.container_name, one.container_pid))
        several = len({one.container for one in sent}) > 1
        self.query_one(SentTable).set_rows(_row(one, several) for one in newest_first)
        where = self.query_one("#since")
        where.set_class(bool(sent), "shown")
        if newest_first:
            newest = newest_first[0]
            head = f"Log since {name_of(newest.signal)} at {words.clock_time(newest.at)}"
            self.query_one("#since-head", Static).update(Content(head))

    def show_logs(self, lines: Iterable[str]) -> None:
        """The log lines since the newest signal."""
        rows = [Content(safe_line(line, 400)) for line in lines]
        shown = Content("\n").join(rows) if rows else Content.styled("nothing was written since", "dim")
        self.query_one("#since-lines", Static).update(shown)
        self.call_after_refresh(self.query_one("#since-scroll", VerticalScroll).scroll_end, animate=False)


def _row(one: Sent, several: bool) -> Row:
    forecast = forecast_word(one.forecast)
    command = safe_line(one.command, 80)
    if several:
        command = f"{safe_line(one.container_name, 24)}: {command}"
    if one.error:
        observed = cell(f"! not sent: {safe_line(one.error, 200)}", "bad")
    elif one.observed is None:
        observed = cell("can't be seen" if one.route == "engine" else "looking …", "muted")
    else:
        observed = cell(safe_line(one.observed, 200), "warn" if one.observed.startswith("ended") else "plain")
    return Row(
        f"{one.id.pid}-{one.id.started}-{one.signal}-{one.at}",
        (
            ("time", cell(words.clock_time(one.at), "muted")),
            ("signal", cell(name_of(one.signal).removeprefix("SIG"))),
            ("pid", cell(str(one.container_pid))),
            ("command", cell(command)),
            ("forecast", cell(f"{forecast.glyph} {forecast.text}", forecast.tone)),
            ("observed", observed),
        ),
    )
