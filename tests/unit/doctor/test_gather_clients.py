"""Connections counted from /proc/net."""

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containerlab_tui.doctor import gather_clients

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 100 1 0000 100 0 0 10 0
   1: 0100007F:1F40 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 101 1 0000 20 4 30 10 -1
   2: 0100007F:9C40 0100007F:1F40 01 00000000:00000000 00:00000000 00000000     0        0 102 1 0000 20 4 30 10 -1
   3: 0100007F:1F40 0100007F:9C42 05 00000000:00000000 00:00000000 00000000     0        0 103 1 0000 20 4 30 10 -1
   4: 0100007F:1F40 0100007F:9C44 06 00000000:00000000 03:00000000 00000000     0        0 0 3 0000
   5: 0100007F:1F40 0100007F:9C46 05 00000000:00000000 00:00000000 00000000     0        0 0 1 0000 20 4 30 10 -1
"""
UNIX = """\
Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 200 /run/s.sock
0000000000000000: 00000003 00000000 00000000 0001 03 201 /run/s.sock
0000000000000000: 00000003 00000000 00000000 0001 03 202
0000000000000000: 00000003 00000000 00000000 0002 03 203 /run/other
"""


def test_accepted_tcp_connections_are_counted() -> None:
    assert list(gather_clients._tcp(gather_clients._matches(TCP.split("\n"), gather_clients._TCP_ROW))) == [
        "101",
        "103",
    ]


def test_accepted_unix_connections_are_counted() -> None:
    assert list(gather_clients._unix(gather_clients._matches(UNIX.split("\n"), gather_clients._UNIX_ROW))) == ["201"]


def test_a_path_may_hold_anything(tmp_path: Path) -> None:
    name = str(tmp_path / "x")[-60:] + "\na b c zz d e f g\n\x1c0: 1 2"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0" + name)
        assert gather_clients.clients_of(os.getpid(), ()) is not None


@given(st.text(max_size=200))
def test_any_line_is_parsed(text: str) -> None:
    for row in (gather_clients._TCP_ROW, gather_clients._UNIX_ROW):
        gather_clients._matches(text.split("\n"), row)
    list(gather_clients._unix(gather_clients._matches([f"0: 1 2 00010000 0001 01 5 {text}"], gather_clients._UNIX_ROW)))


def test_an_exited_process_has_no_clients() -> None:
    assert gather_clients.clients_of(2**22 + 1, ()) is None


def test_in_the_host_network_only_own_sockets_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tmp_path / "s"))
        server.listen()
        client.connect(str(tmp_path / "s"))
        with server.accept()[0] as accepted:
            inode = Path(f"/proc/self/fd/{accepted.fileno()}").readlink().name.removeprefix("socket:[").rstrip("]")
            monkeypatch.setattr(gather_clients, "_sockets", lambda seen: {inode})
            assert gather_clients.clients_of(os.getpid(), ()) == 1
            monkeypatch.setattr(gather_clients, "_sockets", lambda seen: set())
            assert gather_clients.clients_of(os.getpid(), ()) == 0
