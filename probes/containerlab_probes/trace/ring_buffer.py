"""Parses pages of the kernel's trace ring buffer (trace_pipe_raw) into the events of the trace. No I/O.

It parses the binary form, not the text of trace_pipe: a program chooses its own name and the paths that it runs, with
any characters, so in the text it could forge lines of the kernel.

Sources: kernel/trace/ring_buffer.c and include/linux/ring_buffer.h; the offsets come from the `header_page` and
`format` files of the running kernel.
"""

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

CLONE_THREAD = 0x00010000
"""include/uapi/linux/sched.h: the new task is a thread of its parent's process."""
_IN_INTERRUPT = 0x08 | 0x10
"""TRACE_FLAG_HARDIRQ and TRACE_FLAG_SOFTIRQ of common_flags (include/linux/trace_events.h)."""

_FIELD = re.compile(r"^\s*field:\s*(.+?);\s*offset:(\d+);\s*size:(\d+);\s*signed:([01]);", re.MULTILINE)
_ID = re.compile(r"^ID:\s*(\d+)\s*$", re.MULTILINE)
_NAME = re.compile(r"(\w+)(?:\[\w*\])?$")

_LENGTH_BITS = 5
_PADDING, _TIME_EXTEND, _TIME_STAMP = 29, 30, 31
_DELTA_BITS = 27
_COMMIT_MASK = (1 << 27) - 1
_MISSED_EVENTS = 1 << 31
_UPPER_TIME = 0xF8 << 56
"""An absolute time stamp has 59 bits; the page's time has the upper bits."""
_WORD = struct.Struct("<I")
_TWO_WORDS = struct.Struct("<II")


class Field(NamedTuple):
    """One field of a kernel structure, as a `format` file declares it."""

    declaration: str
    offset: int
    size: int
    signed: bool


class Generated(NamedTuple):
    """signal_generate: in the sender's context. Times are nanoseconds of CLOCK_MONOTONIC; ids are thread ids."""

    time: int
    sender: int
    target: int
    signal: int
    code: int
    group: bool
    result: int


class Delivered(NamedTuple):
    """signal_deliver: in the receiver's context."""

    time: int
    thread: int
    signal: int
    handler: int


class NewTask(NamedTuple):
    """task_newtask: a new process or thread, in its parent's context."""

    time: int
    parent: int
    thread: int
    name: str
    is_thread: bool


class Execed(NamedTuple):
    """sched_process_exec. `before` differs from `thread` if a thread other than the leader called execve."""

    time: int
    thread: int
    before: int
    path: str


class Ended(NamedTuple):
    """The exit of a thread; `status` as waitpid returns it, None if it is not reported."""

    time: int
    thread: int
    status: int | None


Event = Generated | Delivered | NewTask | Execed | Ended
Decoder = Callable[[int, bytes, int, int], Event]
"""Takes the time, the page, and the start and end of the record in it.

Raises `ValueError` if the record is too short.
"""


def parse_fields(text: str) -> dict[str, Field]:
    """Parses the fields of a `format` or `header_page` file, by name."""
    fields = {}
    for declaration, offset, size, signed in _FIELD.findall(text):
        name = _NAME.search(declaration)
        if name:
            fields[name[1]] = Field(declaration, int(offset), int(size), signed == "1")
    return fields


def parse_id(text: str) -> int:
    """Parses the event's id in its records. Raises `ValueError` if the text is not a `format` file."""
    found = _ID.search(text)
    if not found:
        raise ValueError(f"not a format of a trace event: {text[:80]!r}")
    return int(found[1])


def unpacker(fields: Mapping[str, Field], *names: str) -> struct.Struct:
    """Returns a struct that unpacks these fields of a record, given in the order of the record.

    Raises `ValueError` if a field is missing, out of order or of an unknown size.
    """
    pattern, end = "=", 0
    for name in names:
        field = fields.get(name)
        if field is None or field.offset < end:
            raise ValueError(f"the kernel's record has no field {name} at the expected place")
        is_text = "char" in field.declaration and field.size > 1 and "__data_loc" not in field.declaration
        code = f"{field.size}s" if is_text else {1: "b", 2: "h", 4: "i", 8: "q"}.get(field.size)
        if code is None:
            raise ValueError(f"field {name} has {field.size} bytes")
        pattern += f"{field.offset - end}x" + (code if field.signed or is_text else code.upper())
        end = field.offset + field.size
    return struct.Struct(pattern)


def generated(fields: Mapping[str, Field]) -> Decoder:
    """Decodes signal/signal_generate."""
    layout = unpacker(fields, "common_flags", "common_pid", "sig", "code", "pid", "group", "result")
    unpack = layout.unpack_from

    def decode(time: int, page: bytes, start: int, end: int) -> Event:
        _check(layout, start, end)
        flags, sender, signal, code, target, group, result = unpack(page, start)
        return Generated(time, 0 if flags & _IN_INTERRUPT else sender, target, signal, code, group != 0, result)

    return decode


def delivered(fields: Mapping[str, Field]) -> Decoder:
    """Decodes signal/signal_deliver."""
    layout = unpacker(fields, "common_pid", "sig", "sa_handler")
    unpack = layout.unpack_from

    def decode(time: int, page: bytes, start: int, end: int) -> Event:
        _check(layout, start, end)
        return Delivered(time, *unpack(page, start))

    return decode


def new_task(fields: Mapping[str, Field]) -> Decoder:
    """Decodes task/task_newtask."""
    layout = unpacker(fields, "common_pid", "pid", "comm", "clone_flags")

    def decode(time: int, page: bytes, start: int, end: int) -> Event:
        _check(layout, start, end)
        parent, thread, name, flags = layout.unpack_from(page, start)
        return NewTask(time, parent, thread, _text(name), bool(flags & CLONE_THREAD))

    return decode


def execed(fields: Mapping[str, Field]) -> Decoder:
    """Decodes sched/sched_process_exec; the lower half of `filename` is the offset of the path."""
    layout = unpacker(fields, "filename", "pid", "old_pid")

    def decode(time: int, page: bytes, start: int, end: int) -> Event:
        _check(layout, start, end)
        place, thread, before = layout.unpack_from(page, start)
        path_start = start + (place & 0xFFFF)
        return Execed(time, thread, before, _text(page[path_start : min(end, path_start + (place >> 16))]))

    return decode


def ended(fields: Mapping[str, Field]) -> Decoder:
    """Decodes sched/sched_process_exit, which has no status."""
    layout = unpacker(fields, "common_pid")

    def decode(time: int, page: bytes, start: int, end: int) -> Event:
        _check(layout, start, end)
        (thread,) = layout.unpack_from(page, start)
        return Ended(time, thread, None)

    return decode


class Pages:
    """Parses pages, for one kernel's layout and one set of events."""

    def __init__(self, header_page: str, decoders: Mapping[int, Decoder]) -> None:
        """`header_page` is the text of events/header_page; decoders by the event's number. Raises `ValueError`."""
        fields = parse_fields(header_page)
        self._head = unpacker(fields, "timestamp", "commit")
        self._data = fields["data"].offset if "data" in fields else 0
        if not self._data:
            raise ValueError("the kernel's header_page has no field data")
        self._decoders = dict(decoders)

    def missed(self, page: bytes) -> bool:
        """Returns whether the kernel overwrote events before this page."""
        return len(page) >= self._data and bool(self._head.unpack_from(page)[1] & _MISSED_EVENTS)

    def events(self, page: bytes) -> list[Event]:
        """Parses the events of one page, oldest first; omits truncated and unknown ones."""
        decoders, events = self._decoders, []
        for time, start, end in self.records(page):
            decode = decoders.get(page[start] | page[start + 1] << 8)
            if decode:
                try:
                    events.append(decode(time, page, start, end))
                except ValueError:
                    continue
        return events

    def records(self, page: bytes) -> Iterator[tuple[int, int, int]]:
        """Yields the time, start and end of each record of a page."""
        if len(page) < self._data:
            return
        time, commit = self._head.unpack_from(page)
        base = time & _UPPER_TIME
        position, stop = self._data, min(len(page), self._data + (commit & _COMMIT_MASK))
        while position + 8 <= stop:
            head, word = _TWO_WORDS.unpack_from(page, position)
            kind, delta = head & 31, head >> _LENGTH_BITS
            if kind == _TIME_STAMP:
                time = base | (word << _DELTA_BITS) + delta
                position += 8
                continue
            if kind == _TIME_EXTEND:
                time += (word << _DELTA_BITS) + delta
                position += 8
                continue
            if kind == _PADDING and delta == 0:
                return
            time += delta
            start = position + 4
            if 0 < kind < _PADDING:
                position = start + kind * 4
            else:
                position = start + (word + 3 & ~3)
                start += 4
            if position <= start or position > stop:
                return
            if kind != _PADDING:
                yield time, start, position


def _check(layout: struct.Struct, start: int, end: int) -> None:
    if end - start < layout.size:
        raise ValueError("a record is shorter than its format")


def _text(data: bytes) -> str:
    return data.partition(b"\0")[0].decode("utf-8", "surrogateescape")
