"""Measures CPU time and memory of a process and its descendants."""

import re
import socket
import struct
from contextlib import suppress
from pathlib import Path

import psutil


def family(pid: int) -> list[int]:
    """Returns the process and its descendants; only the number if it has exited."""
    found = [pid]
    with suppress(psutil.NoSuchProcess):
        found += [child.pid for child in psutil.Process(pid).children(recursive=True)]
    return found


def cpu_s(pids: list[int], ended_children: bool = True) -> float:
    """Returns seconds of CPU, including waited-for children."""
    total = 0.0
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            times = psutil.Process(pid).cpu_times()
            total += times.user + times.system
            total += times.children_user + times.children_system if ended_children else 0
    return total


def peak_mb(pids: list[int]) -> float:
    """Returns the sum of their peak resident sizes, in MB. psutil has only the current size."""
    total = 0
    for pid in pids:
        try:
            found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))
        except OSError:
            continue
        total += int(found.group(1)) if found else 0
    return total * 1024 / 1e6


def peer_pid(path: str) -> int:
    """Returns the process that listens at a Unix socket (SO_PEERCRED, man 7 unix)."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        return int(struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])
