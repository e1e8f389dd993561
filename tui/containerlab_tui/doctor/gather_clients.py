"""How many clients a container's servers have right now. Reads /proc only."""

import os
import re
from collections.abc import Iterable, Sequence

from containerlab_probes.records import Process

_LISTEN = "0A"
_OPEN = frozenset(("01", "04", "05", "08"))
"""ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT (include/net/tcp_states.h): one end at least is still in use."""
_UNIX_LISTENS, _UNIX_STREAM, _UNIX_CONNECTED = 0x10000, "0001", "03"
"""__SO_ACCEPTCON, SOCK_STREAM and SS_CONNECTED as /proc/net/unix writes them (net/unix/af_unix.c)."""
PROCESS_LIMIT = 64
_TCP_ROW = re.compile(r" *\d+: ([0-9A-F]+:[0-9A-F]{4}) \S+ ([0-9A-F]{2}) \S+ \S+ \S+ +\d+ +\d+ (\d+)")
"""Local address, state, inode."""
_UNIX_ROW = re.compile(r"[0-9a-f]+: [0-9A-F]+ [0-9A-F]+ ([0-9A-F]{8}) ([0-9A-F]{4}) ([0-9A-F]{2}) +(\d+) (\S+)")
"""Flags, type, state, inode, path. The path stands there raw, so a program may forge rows of its own."""


def clients_of(pid: int, seen: Sequence[Process]) -> int | None:
    """Connections that a process of the container has accepted, over TCP and stream sockets of the file system.

    `seen` are its processes: in the host's network only their sockets count. None where that can't be read.
    """
    own: set[str] | None = None
    try:
        if os.stat(f"/proc/{pid}/ns/net").st_ino == os.stat("/proc/self/ns/net").st_ino:
            own = _sockets(seen)
        tcp = [row for name in ("tcp", "tcp6") for row in _rows(pid, name, _TCP_ROW)] if _tcp_in_use(pid) > 1 else []
        accepted = [*_tcp(tcp), *_unix(_rows(pid, "unix", _UNIX_ROW))]
    except OSError:
        return None
    return sum(own is None or inode in own for inode in accepted)


def _tcp_in_use(pid: int) -> int:
    """TCP sockets in its network namespace; one that listens and one that it accepted make two.

    To read them all takes milliseconds: the kernel goes through the hash table of the whole machine.
    """
    found = 0
    for name in ("sockstat", "sockstat6"):
        with open(f"/proc/{pid}/net/{name}", encoding="ascii") as file:
            found += sum(int(line.split()[2]) for line in file if line.startswith(("TCP: inuse ", "TCP6: inuse ")))
    return found


def _rows(pid: int, name: str, row: re.Pattern[str]) -> list[tuple[str, ...]]:
    with open(f"/proc/{pid}/net/{name}", encoding="utf-8", errors="replace", newline="\n") as file:
        return _matches(file, row)


def _matches(lines: Iterable[str], row: re.Pattern[str]) -> list[tuple[str, ...]]:
    return [found.groups() for line in lines if (found := row.match(line))]


def _tcp(rows: list[tuple[str, ...]]) -> Iterable[str]:
    """The inodes of connections to a port that somebody listens on; one that no process holds any more has none."""
    listening = {address.rpartition(":")[2] for address, state, _ in rows if state == _LISTEN}
    for address, state, inode in rows:
        if state in _OPEN and inode != "0" and address.rpartition(":")[2] in listening:
            yield inode


def _unix(rows: list[tuple[str, ...]]) -> Iterable[str]:
    """The accepted end bears the path of the socket that it was accepted from."""
    listening = {path for flags, _, _, _, path in rows if int(flags, 16) & _UNIX_LISTENS}
    for _, kind, state, inode, path in rows:
        if kind == _UNIX_STREAM and state == _UNIX_CONNECTED and path in listening:
            yield inode


def _sockets(seen: Sequence[Process]) -> set[str]:
    found: set[str] = set()
    for process in seen[:PROCESS_LIMIT]:
        place = f"/proc/{process.pid}/fd"
        try:
            for fd in os.listdir(place):
                target = os.readlink(f"{place}/{fd}")
                if target.startswith("socket:["):
                    found.add(target[8:-1])
        except OSError:
            continue
    return found
