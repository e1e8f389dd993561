"""Pages of the ring buffer: a recorded one, constructed ones and random ones."""

import base64
import contextlib
import struct
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containerlab_probes.trace import ring_buffer
from containerlab_probes.trace.ring_buffer import (
    Decoder,
    Delivered,
    Ended,
    Event,
    Execed,
    Field,
    Generated,
    NewTask,
    Pages,
    parse_fields,
    parse_id,
)

HEADER_PAGE = """\
	field: u64 timestamp;	offset:0;	size:8;	signed:0;
	field: local_t commit;	offset:8;	size:8;	signed:1;
	field: int overwrite;	offset:8;	size:1;	signed:1;
	field: char data;	offset:16;	size:4080;	signed:0;
"""
COMMON = """\
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

"""
GENERATE = f"""\
name: signal_generate
ID: 261
format:
{COMMON}	field:int sig;	offset:8;	size:4;	signed:1;
	field:int errno;	offset:12;	size:4;	signed:1;
	field:int code;	offset:16;	size:4;	signed:1;
	field:char comm[16];	offset:20;	size:16;	signed:0;
	field:pid_t pid;	offset:36;	size:4;	signed:1;
	field:int group;	offset:40;	size:4;	signed:1;
	field:int result;	offset:44;	size:4;	signed:1;

print fmt: "sig=%d errno=%d code=%d comm=%s pid=%d grp=%d res=%d", REC->sig
"""
DELIVER = f"""\
name: signal_deliver
ID: 260
format:
{COMMON}	field:int sig;	offset:8;	size:4;	signed:1;
	field:int errno;	offset:12;	size:4;	signed:1;
	field:int code;	offset:16;	size:4;	signed:1;
	field:unsigned long sa_handler;	offset:24;	size:8;	signed:0;
	field:unsigned long sa_flags;	offset:32;	size:8;	signed:0;
"""
NEW_TASK = f"""\
name: task_newtask
ID: 205
format:
{COMMON}	field:pid_t pid;	offset:8;	size:4;	signed:1;
	field:char comm[16];	offset:12;	size:16;	signed:0;
	field:u64 clone_flags;	offset:32;	size:8;	signed:0;
	field:short oom_score_adj;	offset:40;	size:2;	signed:1;
"""
EXEC = f"""\
name: sched_process_exec
ID: 365
format:
{COMMON}	field:__data_loc char[] filename;	offset:8;	size:4;	signed:0;
	field:pid_t pid;	offset:12;	size:4;	signed:1;
	field:pid_t old_pid;	offset:16;	size:4;	signed:1;
"""
EXIT = f"""\
name: sched_process_exit
ID: 369
format:
{COMMON}	field:char comm[16];	offset:8;	size:16;	signed:0;
	field:pid_t pid;	offset:24;	size:4;	signed:1;
	field:int prio;	offset:28;	size:4;	signed:1;
	field:bool group_dead;	offset:32;	size:1;	signed:0;
"""
FORMATS: tuple[tuple[str, Callable[[Mapping[str, Field]], Decoder]], ...] = (
    (GENERATE, ring_buffer.generated),
    (DELIVER, ring_buffer.delivered),
    (NEW_TASK, ring_buffer.new_task),
    (EXEC, ring_buffer.execed),
    (EXIT, ring_buffer.ended),
)
REAL = base64.b85decode(
    "uV<jFBLV;b-~a#s000003;+NC%>V!ZA2k2~H#GnNaCvlSZ*Bkp00000000000000006_o%000000000000000XkiWqZ2=?zH#GnN6aWkWH#GnNH"
    "#GnNFLiTrFJftKFLP)Bj6Z|{1pxs8H#GnN3IG5A0000000000b7%kn000000000000000H#GnN0RR91000003XlK*1OWj7H#GnN3IG5A000000000"
    "0b7%knz`epLxK#iE0000400000X<ZWlaRC4TH#GnNb7%kn000000000000000H#GnNcmMzZ0RR91"
)
"""The page of `sh -c "trap : USR1; kill -USR1 $$; exit 3"`, started by Python, on a 6.18 kernel (x86-64)."""


PAGES = Pages(HEADER_PAGE, {parse_id(text): make(parse_fields(text)) for text, make in FORMATS})


def page(*pieces: bytes, time: int = 1_000_000, flags: int = 0) -> bytes:
    data = b"".join(pieces)
    return (struct.pack("<QQ", time, len(data) | flags) + data).ljust(4096, b"\xa5")


def record(payload: bytes, delta: int = 0) -> bytes:
    """Returns a data event in the kernel's layout: in words, with the length in the header if it fits."""
    payload = payload.ljust(-(-len(payload) // 4) * 4, b"\0")
    if len(payload) <= 112:
        return struct.pack("<I", delta << 5 | len(payload) // 4) + payload
    return struct.pack("<II", delta << 5, len(payload) + 4) + payload


def extend(ticks: int) -> bytes:
    return struct.pack("<II", (ticks & (1 << 27) - 1) << 5 | 30, ticks >> 27)


def stamp(time: int) -> bytes:
    return struct.pack("<II", (time & (1 << 27) - 1) << 5 | 31, time >> 27 & 0xFFFFFFFF)


def discarded(length: int, delta: int = 1) -> bytes:
    return struct.pack("<II", delta << 5 | 29, length) + bytes(length - 4)


def a_signal(sig: int = 15, target: int = 7, sender: int = 5, flags: int = 0, code: int = 0, result: int = 0) -> bytes:
    head = struct.pack("<HBBiiii16s", 261, flags, 0, sender, sig, 0, code, b"sh")
    return head + struct.pack("<iii", target, 1, result)


def an_exec(path: bytes, thread: int = 7) -> bytes:
    return struct.pack("<HBBiIii", 365, 0, 0, thread, (len(path) + 1) << 16 | 20, thread, thread) + path + b"\0"


def test_a_real_page() -> None:
    assert PAGES.events(REAL) == [
        NewTask(2352243304367, 13599, 13623, "python", False),
        Execed(2352247003834, 13623, 13623, "/usr/bin/sh"),
        Generated(2352247798966, 13623, 13623, 10, 0, True, 0),
        Delivered(2352247800118, 13623, 10, 0x55B829C2BDC0),
        Ended(2352247839777, 13623, None),
    ]
    assert not PAGES.missed(REAL)


@pytest.mark.parametrize(
    ("pieces", "times"),
    [
        ((record(a_signal(), 5), record(a_signal(), 7)), [1_000_005, 1_000_012]),
        ((extend(1 << 40), record(a_signal())), [1_000_000 + (1 << 40)]),
        ((stamp(5 << 30), record(a_signal(), 3)), [(5 << 30) + 3]),
        ((discarded(24, 4), record(a_signal(), 2)), [1_000_006]),
        ((record(a_signal()), bytes([29, 0, 0, 0]) + bytes(4), record(a_signal())), [1_000_000]),
        ((record(an_exec(b"/" + b"x" * 300), 9),), [1_000_009]),
        ((record(b"\xff\xff" + bytes(20), 1), record(a_signal(), 1)), [1_000_002]),
        ((record(a_signal()[:20], 1), record(a_signal(), 1)), [1_000_002]),
    ],
    ids=["deltas", "extended", "absolute", "discarded", "padded", "long", "unknown event", "too short for its format"],
)
def test_times(pieces: tuple[bytes, ...], times: list[int]) -> None:
    assert [event.time for event in PAGES.events(page(*pieces))] == times


def test_a_signal_from_an_interrupt_has_no_sender() -> None:
    assert PAGES.events(page(record(a_signal(sender=5, flags=0x08)))) == [Generated(10**6, 0, 7, 15, 0, True, 0)]
    assert PAGES.events(page(record(a_signal(sender=5, flags=0x01)))) == [Generated(10**6, 5, 7, 15, 0, True, 0)]


def test_a_path_cannot_forge_a_record() -> None:
    path = b"/tmp/a\n bash-1 [000] d..1. 1.0: signal_generate: sig=9 errno=0 code=0 comm=x pid=7 grp=1 res=0\xff"
    (event,) = PAGES.events(page(record(an_exec(path))))
    assert event == Execed(10**6, 7, 7, path.decode("utf-8", "surrogateescape"))


def test_missed_events_are_reported() -> None:
    assert PAGES.missed(page(record(a_signal()), flags=1 << 31))
    assert len(PAGES.events(page(record(a_signal()), flags=1 << 31 | 1 << 30))) == 1


@pytest.mark.parametrize(
    "text",
    [
        GENERATE.replace("int code", "int kode"),
        GENERATE.replace("size:4;	signed:1;", "size:3;	signed:1;"),
        GENERATE.replace("pid_t pid;	offset:36", "pid_t pid;	offset:12"),
    ],
    ids=["missing", "size", "order"],
)
def test_an_unknown_format_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"code|common_flags|common_pid|pid"):
        ring_buffer.generated(parse_fields(text))


@pytest.mark.parametrize(
    "make", [ring_buffer.generated, ring_buffer.delivered, ring_buffer.new_task], ids=lambda one: one.__name__
)
@given(data=st.data())
def test_a_damaged_format_raises_only_value_error(
    make: Callable[[Mapping[str, Field]], Decoder], data: st.DataObject
) -> None:
    text = data.draw(st.sampled_from((GENERATE, NEW_TASK)))
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    damaged = text[:start] + data.draw(st.text("field:int pid;\toffset:0123456789;size:4 signed:1;[]\n")) + text[end:]
    with contextlib.suppress(ValueError):
        parse_id(damaged)
    with contextlib.suppress(ValueError):
        make(parse_fields(damaged))


def test_fields_may_have_other_offsets() -> None:
    text = NEW_TASK.replace("u64 clone_flags;	offset:32", "unsigned long clone_flags;	offset:40").replace(
        "offset:40;	size:2", "offset:48;	size:2"
    )
    fields: Mapping[str, Field] = parse_fields(text)
    data = struct.pack("<HBBii16s12xQ", 205, 0, 0, 3, 4, b"java", 0x10000)
    assert ring_buffer.new_task(fields)(1, data, 0, len(data)) == NewTask(1, 3, 4, "java", True)


@given(st.binary(max_size=4096))
def test_random_pages_are_never_read_beyond_their_end(data: bytes) -> None:
    for _, start, end in PAGES.records(data):
        assert 16 < start < end <= len(data)
    PAGES.events(data)
    PAGES.missed(data)


@given(st.binary(max_size=512), st.integers(0, 1 << 60))
def test_random_bytes_in_a_valid_frame(data: bytes, time: int) -> None:
    PAGES.events(page(data, time=time))


events = st.lists(
    st.tuples(
        st.integers(0, (1 << 27) - 1),
        st.integers(1, 64), st.integers(1, 1 << 22), st.integers(1, 1 << 22), st.integers(-7, 128), st.integers(0, 4),
    ),
    max_size=60,
)  # fmt: skip


@given(events)
def test_written_records_are_read(written: list[tuple[int, int, int, int, int, int]]) -> None:
    pieces, expected, time = [], list[Event](), 1_000_000
    for delta, sig, target, sender, code, result in written:
        time += delta
        pieces.append(record(a_signal(sig, target, sender, 0, code, result), delta))
        expected.append(Generated(time, sender, target, sig, code, True, result))
    assert PAGES.events(page(*pieces)) == expected
