"""Filters the rows of a signal log by words that the user types.

Words of one kind widen (`TERM KILL`: either), words of different kinds narrow (`TERM nginx`: both). The kinds: an event
(a signal's name, `exit`, `fork`, `exec`), a number (a signal or a PID), and a process (`pid:7`, or any other text: part
of the sender's or target's name; `name:kill` if the text is also a signal). A leading minus excludes. Forks and execs
are listed only if they are named.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from containerlab_probes.errors import BadRequest
from containerlab_probes.signals.names import number_of
from containerlab_probes.trace_records import LostEvents, TracedExec, TracedExit, TracedFork, TracedSignal
from containerlab_tui.model.signal_log import Note, Row

_EVENTS: dict[str, type] = {"exit": TracedExit, "fork": TracedFork, "exec": TracedExec}
_QUIET = (TracedFork, TracedExec)


class _FilterKind(Enum):
    SIGNAL = "signal"
    EVENT = "event"
    NUMBER = "number"
    PID = "pid"
    NAME = "name"


_GROUPS = ((_FilterKind.SIGNAL, _FilterKind.EVENT), (_FilterKind.NUMBER,), (_FilterKind.PID, _FilterKind.NAME))


@dataclass(frozen=True, slots=True)
class FilterWord:
    """One word of a filter."""

    kind: _FilterKind
    number: int = 0
    text: str = ""
    event: type | None = None

    def holds(self, row: Row) -> bool:
        """Returns whether a row matches the word."""
        record = row.record
        match self.kind:
            case _FilterKind.SIGNAL:
                return getattr(record, "signal", 0) == self.number
            case _FilterKind.EVENT:
                return type(record) is self.event
            case _FilterKind.NUMBER:
                return getattr(record, "signal", 0) == self.number or self.number in _pids(row)
            case _FilterKind.PID:
                return self.number in _pids(row)
            case _FilterKind.NAME:
                return any(self.text in name.casefold() for name in _names(row))


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed filter, made by `parse`."""

    groups: tuple[tuple[FilterWord, ...], ...] = ()
    """At least one word of each group must match."""
    without: tuple[FilterWord, ...] = ()
    quiet: frozenset[type] = frozenset(_QUIET)
    """Kinds of records that are hidden."""

    def passes(self, row: Row) -> bool:
        """Returns whether a row is shown. Lost events and notes always are."""
        kind = type(row.record)
        if kind is LostEvents or kind is Note:
            return True
        if kind in self.quiet or any(word.holds(row) for word in self.without):
            return False
        return all(any(word.holds(row) for word in group) for group in self.groups)

    def select(self, rows: Iterable[Row]) -> list[Row]:
        """Returns the rows that pass, in order."""
        if not self.groups and not self.without:
            return [row for row in rows if type(row.record) not in self.quiet]
        return [row for row in rows if self.passes(row)]


ALL = Filter()


def parse(text: str) -> Filter:
    """Parses a filter; every text is valid."""
    wanted, without = list[FilterWord](), list[FilterWord]()
    for part in text.split():
        minus = part.startswith("-")
        if word := _word(part.removeprefix("-")):
            (without if minus else wanted).append(word)
    groups = (tuple(word for word in wanted if word.kind in kinds) for kinds in _GROUPS)
    named = {word.event for word in wanted if word.event}
    return Filter(
        tuple(group for group in groups if group),
        tuple(without),
        frozenset(kind for kind in _QUIET if kind not in named),
    )


def _word(text: str) -> FilterWord | None:
    folded = text.casefold()
    if not text:
        return None
    if event := _EVENTS.get(folded):
        return FilterWord(_FilterKind.EVENT, event=event)
    if folded.startswith("name:"):
        return FilterWord(_FilterKind.NAME, text=folded[5:])
    pid = folded.removeprefix("pid:")
    if pid.isascii() and pid.isdecimal() and len(pid) < 10:
        return FilterWord(_FilterKind.NUMBER if pid == folded else _FilterKind.PID, number=int(pid))
    try:
        return FilterWord(_FilterKind.SIGNAL, number=number_of(text))
    except BadRequest:
        return FilterWord(_FilterKind.NAME, text=folded)


def _pids(row: Row) -> tuple[int, ...]:
    """Returns the container and host PIDs of a row's target and sender."""
    record = row.record
    return (
        row.who.container_pid if row.who else -1,
        row.sender.container_pid if row.sender else -1,
        getattr(record, "pid", -1),
        getattr(record, "sender_pid", -1) or -1,
    )


def _names(row: Row) -> tuple[str, ...]:
    record = row.record
    sender = row.sender.name if row.sender else record.sender_name if isinstance(record, TracedSignal) else ""
    return row.who.name if row.who else "", sender
