"""Puts the rows of a signal log into words and into JSON documents."""

from typing import Any, NamedTuple

from containerlab_probes.signals.names import name_of
from containerlab_probes.trace_records import (
    LostEvents,
    SignalResult,
    Taken,
    TracedDelivery,
    TracedExec,
    TracedExit,
    TracedFork,
    TracedSignal,
)
from containerlab_tui.model.kernel_trace import RESULTS, TAKEN
from containerlab_tui.model.signal_log import Asked, Note, Row, SignalLog, Who
from containerlab_tui.present import documents
from containerlab_tui.present.safe_text import plain

_FORCED = frozenset((9, 19))
"""SIGKILL and SIGSTOP from outside also affect PID 1 (man 7 pid_namespaces)."""

_CONT = 18


class SignalLine(NamedTuple):
    """The columns of one row. Names come from containers: pass them through safe_text."""

    sender: str
    target: str
    what: str
    """A signal name without SIG, or exit, fork, exec."""
    result: str
    tone: str
    """good, warn, bad, muted or plain."""


def line_of(row: Row) -> SignalLine:
    """Returns the columns of a row."""
    record = row.record
    match record:
        case TracedSignal():
            return SignalLine(_sender(record, row.sender), _process(record.pid, row.who), _short(record.signal),
                        outcome(row), _tone(row))  # fmt: skip
        case TracedDelivery():
            return SignalLine(
                "sent before", _process(record.pid, row.who), _short(record.signal), outcome(row), _tone(row)
            )
        case TracedExit():
            tone = "muted" if record.ended_by is None else "warn" if record.ended_by else "good"
            return SignalLine("", _process(record.pid, row.who), "exit", ending(record), tone)
        case TracedFork():
            parent = _process(record.parent_pid, row.sender) if record.parent_pid else "from outside"
            return SignalLine(parent, _process(record.pid, row.who), "fork", "a new process", "muted")
        case TracedExec():
            return SignalLine("", _process(record.pid, row.who), "exec", f"runs {record.path}", "muted")
        case Asked():
            process = _process(record.pid, row.who) if record.pid else "PID 1"
            return SignalLine("the engine", process, _short(record.signal), "sent; result not visible", "plain")
        case LostEvents() | Note():
            return SignalLine("", "", "", sentence(record), "bad" if isinstance(record, LostEvents) else "accent")


def sentence(record: LostEvents | Note) -> str:
    """Returns a sentence that fills a whole row."""
    if isinstance(record, Note):
        return f"— {record.text} —"
    if record.count == 1:
        return "! 1 event lost here: it arrived too fast to be read"
    many = f"{record.count:,} events" if record.count else "Events"
    return f"! {many} lost here: they arrived faster than they could be read"


def lost_words(log: SignalLog) -> str:
    """Returns how many events were lost: `! 1,200 lost`; a plus sign if the count is incomplete."""
    if not log.lost and not log.lost_uncounted:
        return ""
    count = f"{log.lost:,}{'+' if log.lost_uncounted else ''}" if log.lost else "some"
    return f"! {count} lost"


def outcome(row: Row) -> str:
    """Returns what the kernel did with a signal, as a clause."""
    record = row.record
    taken = record if isinstance(record, TracedDelivery) else row.taken
    if taken is not None:
        if _dropped_late(row, taken):
            return "discarded: PID 1 has no handler"
        return TAKEN[taken.taken]
    if isinstance(record, TracedSignal):
        if record.result is SignalResult.ALREADY_PENDING:
            return "already pending"
        if record.result is SignalResult.IGNORED:
            if record.signal == _CONT:  # it wakes whatever the disposition (prepare_signal in kernel/signal.c)
                return "resumes if suspended"
            return "discarded: ignored or no handler"
        return RESULTS[record.result]
    return ""


def brief(result: str) -> str:
    """Removes the reason from a result, if there is no room for both."""
    return result.partition(":")[0]


def _dropped_late(row: Row, taken: TracedDelivery) -> bool:
    """Returns whether PID 1 discarded a signal that was blocked before.

    An unhandled signal doesn't terminate a namespace's init (get_signal in kernel/signal.c, SIGNAL_UNKILLABLE), unless
    the kernel forced it.
    """
    by_kernel = isinstance(row.record, TracedSignal) and row.record.by_kernel
    init = row.who is not None and row.who.container_pid == 1
    return taken.taken is Taken.DEFAULT and init and not by_kernel and taken.signal not in _FORCED


def _tone(row: Row) -> str:
    record = row.record
    taken = record if isinstance(record, TracedDelivery) else row.taken
    if taken is not None:
        if taken.taken is Taken.HANDLER:
            return "good"
        return "bad" if _dropped_late(row, taken) else "warn" if taken.taken is Taken.DEFAULT else "muted"
    discarded = (SignalResult.IGNORED, SignalResult.OVERFLOW)
    if isinstance(record, TracedSignal) and record.result in discarded and record.signal != _CONT:
        return "bad"
    return "plain"


def ending(record: TracedExit) -> str:
    """Returns how a process exited: `code 0`, `by SIGKILL`."""
    if record.ended_by is None:
        return "exited"
    return f"by {record.ended_by}" if isinstance(record.ended_by, str) else f"code {record.ended_by}"


def _short(signal: int) -> str:
    return name_of(signal).removeprefix("SIG")


def _process(pid: int, who: Who | None) -> str:
    """Names a process by its PID in the container, or by its host PID in brackets if that is unknown."""
    if who is None:
        return f"[{pid}]"
    return f"{who.container_pid} {who.name}" if who.container_pid else f"{who.name} [{pid}]".lstrip()


def _sender(record: TracedSignal, who: Who | None) -> str:
    if record.sender_pid == 0:
        return "the kernel"
    name = _process(record.sender_pid, who) if who else f"{record.sender_name or 'exited'} [{record.sender_pid}]"
    return f"the kernel ({name})" if record.by_kernel else name


def as_document(row: Row) -> dict[str, Any]:
    """Returns the row as one JSON object of the saved file."""
    record = row.record
    document: dict[str, Any] = {"at": documents.moment(record.at)}
    match record:
        case TracedSignal():
            document |= {"kind": "signal", "signal": name_of(record.signal), "from": _whose_sending(record, row.sender),
                         "to": _whose(record.pid, row.who), "result": record.result.value,
                         "taken": row.taken.taken.value if row.taken else None,
                         "taken_at": documents.moment(row.taken.at) if row.taken else None,
                         "code": record.code, "to_thread": not record.group}  # fmt: skip
        case TracedDelivery():
            document |= {"kind": "delivery", "signal": name_of(record.signal), "to": _whose(record.pid, row.who),
                         "taken": record.taken.value}  # fmt: skip
        case TracedExit():
            document |= {"kind": "exit", "process": _whose(record.pid, row.who), "ended_by": record.ended_by}
        case TracedFork():
            parent = _whose(record.parent_pid, row.sender) if record.parent_pid else None
            document |= {"kind": "fork", "parent": parent, "process": _whose(record.pid, row.who)}
        case TracedExec():
            document |= {"kind": "exec", "process": _whose(record.pid, row.who), "path": plain(record.path)}
        case LostEvents():
            document |= {"kind": "lost", "count": record.count}
        case Asked():
            target = _whose(record.pid, row.who) if record.pid else None
            document |= {"kind": "signal", "signal": name_of(record.signal), "from": None, "to": target}
        case Note():
            document |= {"kind": "note", "text": record.text}
    source = "engine" if isinstance(record, Asked | Note) else "kernel"
    return document | {"source": source}


def _whose(pid: int, who: Who | None) -> dict[str, Any]:
    """Returns a process; `container_pid` and `name` are null if they could not be read in time."""
    return {
        "pid": pid,
        "container_pid": (who.container_pid or None) if who else None,
        "name": (plain(who.name) or None) if who else None,
    }


def _whose_sending(record: TracedSignal, who: Who | None) -> dict[str, Any]:
    if record.sender_pid == 0:
        return {"pid": None, "container_pid": None, "name": None, "by_kernel": True}
    named = {**_whose(record.sender_pid, who)}
    named["name"] = named["name"] or plain(record.sender_name) or None
    return named | {"by_kernel": record.by_kernel}
