"""Text of /proc -> values (man 5 proc). Pure: nothing here opens a file.

Every parser takes the text as it was read (bytes that are no UTF-8 as surrogate escapes) and raises
`ValueError` where the text is not what the kernel writes.
"""

import re
import sys
from dataclasses import dataclass

_STATUS_LINE = re.compile(r"^(\w+):[ \t]*(.*)$", re.MULTILINE)
_STATUS_KEYS = (
    "State", "Tgid", "Pid", "PPid", "Uid", "Threads", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt",
)  # fmt: skip
SIGSET_BYTES = 8
"""Size of the kernel's sigset_t: 64 signals (include/uapi/asm-generic/signal.h)."""


@dataclass(frozen=True, slots=True)
class Stat:
    """/proc/PID/stat, as far as it is used."""

    pid: int
    name: str
    """comm, with whatever a program put there: blanks, parentheses, line ends."""
    state: str
    parent: int
    group: int
    session: int
    threads: int
    started: int
    """Clock ticks after boot."""
    exit_code: int | None
    """As waitpid gives it; 0 where the reader may not see it, None where the kernel doesn't tell."""


@dataclass(frozen=True, slots=True)
class Status:
    """/proc/PID/status or /proc/PID/task/TID/status, as far as it is used."""

    pid: int
    tgid: int
    parent: int
    state: str
    uid: int
    """The effective one."""
    threads: int
    namespace_pids: tuple[int, ...]
    """The PID in each namespace, the reader's first, the process's own last."""
    thread_pending: frozenset[int]
    shared_pending: frozenset[int]
    blocked: frozenset[int]
    ignored: frozenset[int]
    caught: frozenset[int]


@dataclass(frozen=True, slots=True)
class Syscall:
    """/proc/PID/syscall of a thread that sleeps: where in the kernel it does."""

    number: int
    """-1: it sleeps, but not in a system call (a page fault, say)."""
    arguments: tuple[int, ...]
    stack: int


def parse_stat(text: str) -> Stat:
    """The fields of /proc/PID/stat; comm ends at the last parenthesis, as nothing after it holds one."""
    opening, closing = text.find("("), text.rfind(")")
    fields = text[closing + 1 :].split()
    if opening < 1 or closing < opening or len(fields) < 20 or len(fields[0]) != 1:
        raise ValueError(f"no line of /proc/PID/stat: {text[:80]!r}")
    exit_code = int(fields[49]) if len(fields) > 49 else None
    parent, group, session = (int(field) for field in fields[1:4])
    name = text[opening + 1 : closing]
    return Stat(
        int(text[:opening]), name, fields[0], parent, group, session, int(fields[17]), int(fields[19]), exit_code
    )


def parse_status(text: str) -> Status:
    """The fields of /proc/PID/status. A kernel without PID namespaces writes no NSpid: then it is the PID alone."""
    lines = dict(_STATUS_LINE.findall(text))
    missing = [key for key in _STATUS_KEYS if not lines.get(key)]
    if missing:
        raise ValueError(f"no text of /proc/PID/status: {missing[0]} is missing")
    pid = int(lines["Pid"])
    uids = lines["Uid"].split()
    if len(uids) != 4:
        raise ValueError(f"no text of /proc/PID/status: Uid {lines['Uid']!r}")
    return Status(
        pid=pid,
        tgid=int(lines["Tgid"]),
        parent=int(lines["PPid"]),
        state=lines["State"][0],
        uid=int(uids[1]),
        threads=int(lines["Threads"]),
        namespace_pids=tuple(int(one) for one in lines.get("NSpid", "").split()) or (pid,),
        thread_pending=parse_mask(lines["SigPnd"]),
        shared_pending=parse_mask(lines["ShdPnd"]),
        blocked=parse_mask(lines["SigBlk"]),
        ignored=parse_mask(lines["SigIgn"]),
        caught=parse_mask(lines["SigCgt"]),
    )


def parse_mask(text: str) -> frozenset[int]:
    """A signal mask as /proc writes it, 16 hexadecimal digits, bit 0 for signal 1."""
    return signals_of(int(text.strip(), 16))


def signals_of(mask: int) -> frozenset[int]:
    """The signals whose bits are set in a mask of up to 64 bits."""
    if mask == 0:
        return frozenset()
    if not 0 < mask < 1 << 64:
        raise ValueError(f"no signal mask: {mask:#x}")
    return frozenset(bit + 1 for bit in range(mask.bit_length()) if mask >> bit & 1)


def parse_sigset(data: bytes) -> frozenset[int]:
    """The kernel's sigset_t as it lies in memory, in the machine's byte order."""
    if len(data) != SIGSET_BYTES:
        raise ValueError(f"a sigset_t has {SIGSET_BYTES} bytes, not {len(data)}")
    return signals_of(int.from_bytes(data, sys.byteorder))


def parse_syscall(text: str) -> Syscall | None:
    """/proc/PID/syscall; None: the thread was running at that instant."""
    fields = text.split()
    if fields == ["running"]:
        return None
    if len(fields) not in (3, 9):
        raise ValueError(f"no line of /proc/PID/syscall: {text[:80]!r}")
    numbers = tuple(int(field, 16) for field in fields[1:])
    return Syscall(int(fields[0]), numbers[:-2], numbers[-2])


def parse_signalfd(fdinfo: str) -> frozenset[int] | None:
    """The mask in /proc/PID/fdinfo/FD of a signalfd; None where the text is that of another kind of file."""
    found = re.search(r"^sigmask:[ \t]*([0-9a-fA-F]+)$", fdinfo, re.MULTILINE)
    return parse_mask(found.group(1)) if found else None


def parse_cgroups(text: str) -> dict[str, str]:
    """/proc/PID/cgroup: the path of each controller (man 7 cgroups).

    A named hierarchy of version 1 has its `name=…`, the one of version 2 the empty string.
    """
    paths: dict[str, str] = {}
    for line in text.split("\n"):
        if line:
            number, _, rest = line.partition(":")
            controllers, colon, path = rest.partition(":")
            if not number.isdecimal() or not colon or not path.startswith("/"):
                raise ValueError(f"no line of /proc/PID/cgroup: {line[:80]!r}")
            paths.update(dict.fromkeys(controllers.split(","), path))
    return paths


def parse_pids(text: str) -> tuple[int, ...]:
    """PIDs between blanks, as in cgroup.procs and in children; 0 (outside the reader's PID namespace) is left out."""
    return tuple(pid for pid in map(int, text.split()) if pid > 0)


def parse_command_line(data: str) -> tuple[str, ...]:
    """/proc/PID/cmdline: arguments, each ended by a NUL.

    A program that wrote a title over its arguments leaves a row of NULs behind; those are no arguments.
    """
    ended = data.removesuffix("\0")
    if ended.endswith("\0\0"):
        ended = ended.rstrip("\0")
    return tuple(ended.split("\0")) if data.strip("\0") or ended else ()


def parse_users(passwd: str) -> dict[int, str]:
    """Names by uid, from /etc/passwd (man 5 passwd). The first line of a uid counts; others are skipped."""
    users: dict[int, str] = {}
    for line in passwd.split("\n"):
        fields = line.split(":")
        if len(fields) >= 4 and fields[0] and re.fullmatch(r"[0-9]{1,10}", fields[2]):
            users.setdefault(int(fields[2]), fields[0])
    return users
