"""How many clients a container's servers have right now. Reads /proc only."""

import os
from collections.abc import Iterable, Sequence

from containerlab_probes.records import Process

_LISTEN = "0A"
_OPEN = frozenset(("01", "04", "05", "08"))
"""ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT (include/net/tcp_states.h): one end at least is still in use."""
_UNIX_LISTENS, _UNIX_STREAM, _UNIX_CONNECTED = 0x10000, "0001", "03"
"""__SO_ACCEPTCON, SOCK_STREAM and SS_CONNECTED as /proc/net/unix writes them (net/unix/af_unix.c)."""
PROCESS_LIMIT = 64


def clients_of(pid: int, seen: Sequence[Process]) -> int | None:
    """Connections that a process of the container has accepted, over TCP and stream sockets of the file system.

    `seen` are its processes: in the host's network only their sockets count. None where that can't be read.
    """
    own: set[str] | None = None
    try:
        if os.stat(f"/proc/{pid}/ns/net").st_ino == os.stat("/proc/self/ns/net").st_ino:
            own = _sockets(seen)
        accepted = [*_tcp(_rows(pid, "tcp") + _rows(pid, "tcp6")), *_unix(_rows(pid, "unix"))]
    except OSError:
        return None
    return sum(own is None or inode in own for inode in accepted)


def _rows(pid: int, name: str) -> list[list[str]]:
    with open(f"/proc/{pid}/net/{name}", encoding="utf-8", errors="replace") as file:
        return [line.split() for line in file.read().splitlines()[1:]]


def _tcp(rows: list[list[str]]) -> Iterable[str]:
    """The inodes of connections to a port that somebody listens on; one that no process holds any more has none."""
    listening = {row[1].rpartition(":")[2] for row in rows if row[3] == _LISTEN}
    for row in rows:
        if row[3] in _OPEN and row[9] != "0" and row[1].rpartition(":")[2] in listening:
            yield row[9]


def _unix(rows: list[list[str]]) -> Iterable[str]:
    """The accepted end bears the path of the socket that it was accepted from."""
    named = [row for row in rows if len(row) > 7]
    listening = {row[7] for row in named if int(row[3], 16) & _UNIX_LISTENS}
    for row in named:
        if row[4] == _UNIX_STREAM and row[5] == _UNIX_CONNECTED and row[7] in listening:
            yield row[6]


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
