"""Messages of the process connector."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from containerlab_probes.trace.connector import parse
from containerlab_probes.trace.ring_buffer import Ended

EXIT, FORK = 0x80000000, 1


def message(what: int, thread: int, status: int, time: int = 5, idx: int = 1) -> bytes:
    event = struct.pack("=IIQIIIIII", what, 0, time, thread, thread, status, 17, 1, 1)
    return (
        struct.pack("=IHHII", 36 + len(event), 3, 0, 0, 0) + struct.pack("=IIIIHH", idx, 1, 0, 0, len(event), 0) + event
    )


def test_an_exit() -> None:
    assert parse(message(EXIT, 42, 9, time=77)) == (Ended(77, 42, 9),)


def test_other_events_are_omitted() -> None:
    assert parse(message(FORK, 42, 9)) == ()
    assert parse(message(EXIT, 42, 9, idx=2)) == ()


@given(st.lists(st.tuples(st.sampled_from((EXIT, FORK)), st.integers(1, 1 << 22), st.integers(0, 0xFFFF)), max_size=8))
def test_several_exits_in_one_datagram(exits: list[tuple[int, int, int]]) -> None:
    data = b"".join(message(*one) for one in exits)
    assert parse(data) == tuple(Ended(5, thread, status) for what, thread, status in exits if what == EXIT)


@given(st.binary(max_size=300), st.integers(0, 300))
def test_random_bytes(data: bytes, cut: int) -> None:
    parse(data)
    parse((message(EXIT, 1, 0) + data)[:cut])
