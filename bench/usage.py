"""CPU time and memory of a process and everything below it, from /proc (man 5 proc)."""

import os
import re
import socket
import struct
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the third on; None: it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None


def family(pid: int) -> list[int]:
    """The process and its descendants."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := _stat(int(name))):
            children.setdefault(int(fields[1]), []).append(int(name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def cpu_s(pids: list[int], ended_children: bool = True) -> float:
    """Seconds of CPU, those of children that were waited for included."""
    total = 0
    for pid in pids:
        fields = _stat(pid)
        if fields:
            total += sum(int(value) for value in fields[11 : 15 if ended_children else 13])
    return total / TICKS


def peak_mb(pids: list[int]) -> float:
    """The sum of their highest resident sizes, in MB."""
    total = 0
    for pid in pids:
        try:
            found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))
        except OSError:
            continue
        total += int(found.group(1)) if found else 0
    return total * 1024 / 1e6


def peer_pid(path: str) -> int:
    """The process that listens at a Unix socket (SO_PEERCRED, man 7 unix)."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        return int(struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])
