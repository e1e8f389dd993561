"""Counts the clients that are connected to a container's servers. Reads /proc only."""

import itertools
import os
import re
from collections.abc import Iterable, Sequence

from containerlab_probes.errors import ContainerlabError, Unsupported
from containerlab_probes.kernel.files import lines_of, names_in, read_text
from containerlab_probes.records import Process
from containerlab_probes.signals.forecast import without_root

_LISTEN = "0A"
_OPEN = frozenset(("01", "04", "05", "08"))
"""ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT (include/net/tcp_states.h): at least one end is still in use."""
_UNIX_LISTENS, _UNIX_STREAM, _UNIX_CONNECTED = 0x10000, "0001", "03"
"""__SO_ACCEPTCON, SOCK_STREAM and SS_CONNECTED as /proc/net/unix writes them (net/unix/af_unix.c)."""
PROCESS_LIMIT = 64
DESCRIPTOR_LIMIT = 65_536
"""Open files of one process that are compared; it can have a million."""
ROWS_LIMIT = 200_000
"""Sockets of one kind in a namespace; with more, the clients are not counted."""
SOCKETS_BYTES = 64 * 1024 * 1024
_TCP_ROW = re.compile(r" *\d+: ([0-9A-F]+:[0-9A-F]{4}) \S+ ([0-9A-F]{2}) \S+ \S+ \S+ +\d+ +\d+ (\d+)")
"""Local address, state, inode."""
_UNIX_ROW = re.compile(r"[0-9a-f]+: [0-9A-F]+ [0-9A-F]+ ([0-9A-F]{8}) ([0-9A-F]{4}) ([0-9A-F]{2}) +(\d+) (\S+)")
"""Flags, type, state, inode, path. The kernel doesn't escape the path, so a program can forge rows."""


def clients_of(pid: int, seen: Sequence[Process]) -> int | None:
    """Counts connections that the container has accepted over TCP and named Unix stream sockets.

    `seen` are its processes: in the host's network namespace only their sockets count. None if /proc
    can't be read, or lists too many.
    """
    own: set[str] | None = None
    try:
        # Unlike ns/net, everybody may read net/; each network namespace has its own files there (fs/proc/proc_net.c).
        if os.stat(f"/proc/{pid}/net/dev").st_ino == os.stat("/proc/self/net/dev").st_ino:
            if without_root(seen):
                return None
            own = _sockets(seen)
        tcp = [row for name in ("tcp", "tcp6") for row in _rows(pid, name, _TCP_ROW)] if _tcp_in_use(pid) > 1 else []
        accepted = [*_tcp(tcp), *_unix(_rows(pid, "unix", _UNIX_ROW))]
    except (ContainerlabError, OSError):
        return None
    return sum(own is None or inode in own for inode in accepted)


def _tcp_in_use(pid: int) -> int:
    """Counts TCP sockets in the network namespace, listeners included.

    Cheaper than reading all of them, for which the kernel walks the hash table of the whole machine.
    """
    found = 0
    for name in ("sockstat", "sockstat6"):
        lines = read_text(f"/proc/{pid}/net/{name}").split("\n")
        found += sum(int(line.split()[2]) for line in lines if line.startswith(("TCP: inuse ", "TCP6: inuse ")))
    return found


def _rows(pid: int, name: str, row: re.Pattern[str]) -> list[tuple[str, ...]]:
    """Returns the matching rows. Raises `Unsupported` if there are more than ROWS_LIMIT."""
    rows = _matches(lines_of(f"/proc/{pid}/net/{name}", SOCKETS_BYTES), row)
    if len(rows) > ROWS_LIMIT:
        raise Unsupported(f"The container has more than {ROWS_LIMIT:,} sockets.")
    return rows


def _matches(lines: Iterable[str], row: re.Pattern[str]) -> list[tuple[str, ...]]:
    found = (match.groups() for line in lines if (match := row.match(line)))
    return list(itertools.islice(found, ROWS_LIMIT + 1))


def _tcp(rows: list[tuple[str, ...]]) -> Iterable[str]:
    """Yields the inodes of connections to a listening port; a connection that no process holds has inode 0."""
    listening = {address.rpartition(":")[2] for address, state, _ in rows if state == _LISTEN}
    for address, state, inode in rows:
        if state in _OPEN and inode != "0" and address.rpartition(":")[2] in listening:
            yield inode


def _unix(rows: list[tuple[str, ...]]) -> Iterable[str]:
    """Yields the inodes of accepted sockets: an accepted socket has the same path as its listener."""
    listening = {path for flags, _, _, _, path in rows if int(flags, 16) & _UNIX_LISTENS}
    for _, kind, state, inode, path in rows:
        if kind == _UNIX_STREAM and state == _UNIX_CONNECTED and path in listening:
            yield inode


def _sockets(seen: Sequence[Process]) -> set[str]:
    found: set[str] = set()
    for process in seen[:PROCESS_LIMIT]:
        place = f"/proc/{process.pid}/fd"
        try:
            for fd in names_in(place, DESCRIPTOR_LIMIT):
                target = os.readlink(f"{place}/{fd}")
                if target.startswith("socket:["):
                    found.add(target[8:-1])
        except (ContainerlabError, OSError):
            continue
    return found
