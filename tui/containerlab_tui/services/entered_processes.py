"""Finds the processes that a session in a container leaves behind."""

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from containerlab_probes.errors import ContainerlabError
from containerlab_probes.kernel import procfs
from containerlab_probes.kernel.files import names_in, read_text
from containerlab_probes.processes.tree import read_process
from containerlab_probes.records import Process

SETTLE_S = 2.0
"""How long programs get to exit after the hangup of their terminal."""
READ_LIMIT = 50
"""Processes of which the command is read."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """How a session ended."""

    status: int | None
    """The exit status of its program; None: unknown, or it still runs."""
    left: tuple[Process, ...] = ()
    more: int = 0
    """Further processes that it left."""


def wait_for(read: Callable[[], T], is_done: Callable[[T], bool], limit_s: float) -> T:
    """Returns what `read` returns once `is_done` holds for it, or at the time limit."""
    deadline, pause_s = time.monotonic() + limit_s, 0.01
    while not is_done(value := read()) and time.monotonic() < deadline:
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.1)
    return value


def members_of_session(leader: int) -> frozenset[int]:
    """Returns the running processes of a session (man 2 setsid), as host PIDs."""
    found = set()
    for name in names_in("/proc", 1 << 22):
        if name.isdecimal():
            try:
                stat = procfs.parse_stat(read_text(f"/proc/{name}/stat"))
            except (ContainerlabError, ValueError):
                continue  # it has exited meanwhile
            if stat.session == leader and stat.state not in "ZX":
                found.add(stat.pid)
    return frozenset(found)


def left_behind(pids: Iterable[int]) -> tuple[tuple[Process, ...], int]:
    """Returns the processes with these host PIDs, and how many more could not be read."""
    wanted = sorted(pids)
    processes, unread = [], len(wanted[READ_LIMIT:])
    for pid in wanted[:READ_LIMIT]:
        try:
            processes.append(read_process(pid))
        except (ContainerlabError, ValueError):
            unread += os.path.exists(f"/proc/{pid}")
    return tuple(processes), unread
