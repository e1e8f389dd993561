"""Parsers for the text of /proc (man 5 proc). No I/O.

Every parser takes the text as it was read (bytes that are not UTF-8 as surrogate escapes) and raises `ValueError` for
text that the kernel does not write.
"""

import re
import sys
from dataclasses import dataclass
from functools import lru_cache

_STATUS_KEYS = {
    "State": r"(\S).*", "Tgid": r"(\d+)", "Pid": r"(\d+)", "PPid": r"(\d+)", "Uid": r"\d+\s+(\d+)\s+\d+\s+\d+",
    "Threads": r"(\d+)", "SigPnd": "(.+)", "ShdPnd": "(.+)", "SigBlk": "(.+)", "SigIgn": "(.+)", "SigCgt": "(.+)",
}  # fmt: skip
"""The lines of /proc/PID/status that are used, in the kernel's order (fs/proc/array.c)."""
_STATUS = re.compile(
    r"\n" + r"\n(?:.*\n)*?".join(rf"{key}:[ \t]*{value}" for key, value in _STATUS_KEYS.items()) + "$", re.MULTILINE
)
"""One pattern for all lines is three times as fast as one search for all keys."""
_NAMESPACE_PIDS = re.compile(r"\nNSpid:([\t 0-9]+)$", re.MULTILINE)
SIGSET_BYTES = 8
"""Size of the kernel's sigset_t: 64 signals (include/uapi/asm-generic/signal.h)."""


@dataclass(frozen=True, slots=True)
class Stat:
    """The fields of /proc/PID/stat that are used."""

    pid: int
    name: str
    """comm, which may contain anything: blanks, parentheses, line ends."""
    state: str
    parent: int
    group: int
    session: int
    threads: int
    started: int
    """Clock ticks after boot."""
    exit_code: int | None
    """The status as waitpid returns it; 0 if the reader may not see it, None if the kernel has no such field."""


@dataclass(frozen=True, slots=True)
class Status:
    """The fields of /proc/PID/status or /proc/PID/task/TID/status that are used."""

    pid: int
    tgid: int
    parent: int
    state: str
    uid: int
    """The effective one."""
    threads: int
    namespace_pids: tuple[int, ...]
    """The PID in each namespace, from the reader's to the process's own."""
    thread_pending: frozenset[int]
    shared_pending: frozenset[int]
    blocked: frozenset[int]
    ignored: frozenset[int]
    caught: frozenset[int]


@dataclass(frozen=True, slots=True)
class Syscall:
    """/proc/PID/syscall of a sleeping thread: the system call that it sleeps in."""

    number: int
    """-1: it sleeps outside a system call (for example in a page fault)."""
    arguments: tuple[int, ...]
    stack: int


def parse_stat(text: str) -> Stat:
    """Parses /proc/PID/stat. comm ends at the last parenthesis, because no later field contains one."""
    opening, closing = text.find("("), text.rfind(")")
    fields = text[closing + 1 :].split()
    if opening < 1 or closing < opening or len(fields) < 20 or len(fields[0]) != 1:
        raise ValueError(f"not a line of /proc/PID/stat: {text[:80]!r}")
    exit_code = int(fields[49]) if len(fields) > 49 else None
    parent, group, session = (int(field) for field in fields[1:4])
    name = text[opening + 1 : closing]
    return Stat(
        int(text[:opening]), name, fields[0], parent, group, session, int(fields[17]), int(fields[19]), exit_code
    )


def parse_started(text: str) -> int:
    """Parses only the start time in /proc/PID/stat, for a second look at a process."""
    try:
        return int(text[text.rfind(")") + 1 :].split(None, 20)[19])
    except IndexError as error:
        raise ValueError(f"not a line of /proc/PID/stat: {text[:80]!r}") from error


def parse_status(text: str) -> Status:
    """Parses /proc/PID/status. Without NSpid (a kernel without PID namespaces) `namespace_pids` is the PID alone."""
    found = _STATUS.search(text)
    if not found:
        missing = [key for key in _STATUS_KEYS if not re.search(rf"^{key}:[ \t]*\S", text, re.MULTILINE)]
        problem = f"{missing[0]} is missing" if missing else "its lines are in another order"
        raise ValueError(f"not a text of /proc/PID/status: {problem}")
    state, tgid, pid, parent, uid, threads, thread_pending, shared_pending, blocked, ignored, caught = found.groups()
    return Status(
        pid=int(pid),
        tgid=int(tgid),
        parent=int(parent),
        state=state,
        uid=int(uid),
        threads=int(threads),
        namespace_pids=_namespace_pids(text) or (int(pid),),
        thread_pending=parse_mask(thread_pending),
        shared_pending=parse_mask(shared_pending),
        blocked=parse_mask(blocked),
        ignored=parse_mask(ignored),
        caught=parse_mask(caught),
    )


def parse_namespace_pids(text: str) -> tuple[int, ...]:
    """Parses only `Status.namespace_pids` in /proc/PID/status; (0,) without NSpid."""
    return _namespace_pids(text) or (0,)


def _namespace_pids(text: str) -> tuple[int, ...]:
    found = _NAMESPACE_PIDS.search(text)
    return tuple(map(int, found[1].split())) if found else ()


def parse_mask(text: str) -> frozenset[int]:
    """Parses a signal mask of /proc: 16 hexadecimal digits, bit 0 for signal 1."""
    return signals_of(int(text.strip(), 16))


@lru_cache(maxsize=1024)
def signals_of(mask: int) -> frozenset[int]:
    """Returns the signals whose bits are set in a mask of at most 64 bits."""
    if mask == 0:
        return frozenset()
    if not 0 < mask < 1 << 64:
        raise ValueError(f"not a signal mask: {mask:#x}")
    return frozenset(bit + 1 for bit in range(mask.bit_length()) if mask >> bit & 1)


def parse_sigset(data: bytes) -> frozenset[int]:
    """Parses the kernel's sigset_t as it is in memory, in the machine's byte order."""
    if len(data) != SIGSET_BYTES:
        raise ValueError(f"a sigset_t has {SIGSET_BYTES} bytes, not {len(data)}")
    return signals_of(int.from_bytes(data, sys.byteorder))


def parse_syscall(text: str) -> Syscall | None:
    """Parses /proc/PID/syscall. None: the thread was running at that instant."""
    fields = text.split()
    if fields == ["running"]:
        return None
    if len(fields) not in (3, 9):
        raise ValueError(f"not a line of /proc/PID/syscall: {text[:80]!r}")
    numbers = tuple(int(field, 16) for field in fields[1:])
    return Syscall(int(fields[0]), numbers[:-2], numbers[-2])


def parse_signalfd(fdinfo: str) -> frozenset[int] | None:
    """Returns the mask in /proc/PID/fdinfo/FD of a signalfd; None for another kind of file."""
    found = re.search(r"^sigmask:[ \t]*([0-9a-fA-F]+)$", fdinfo, re.MULTILINE)
    return parse_mask(found.group(1)) if found else None


def parse_cgroups(text: str) -> dict[str, str]:
    """Parses /proc/PID/cgroup: the path of each controller (man 7 cgroups).

    The key is `name=…` for a named hierarchy of version 1, and the empty string for version 2.
    """
    paths: dict[str, str] = {}
    for line in text.split("\n"):
        if line:
            number, _, rest = line.partition(":")
            controllers, colon, path = rest.partition(":")
            if not number.isdecimal() or not colon or not path.startswith("/"):
                raise ValueError(f"not a line of /proc/PID/cgroup: {line[:80]!r}")
            paths.update(dict.fromkeys(controllers.split(","), path))
    return paths


def parse_pids(text: str) -> tuple[int, ...]:
    """Parses PIDs between blanks, as in cgroup.procs and children. Omits 0 (outside the reader's PID namespace)."""
    return tuple(pid for pid in map(int, text.split()) if pid > 0)


def parse_command_line(data: str) -> tuple[str, ...]:
    """Parses /proc/PID/cmdline: arguments, each followed by a NUL.

    A program that overwrote its arguments with a title leaves trailing NULs; those are not arguments.
    """
    arguments = data.removesuffix("\0")
    if arguments.endswith("\0\0"):
        arguments = arguments.rstrip("\0")
    return tuple(arguments.split("\0")) if data.strip("\0") or arguments else ()


USER_NAME_LIMIT = 256
"""Characters of a user's name (LOGIN_NAME_MAX); each process carries one."""


def parse_users(passwd: str) -> dict[int, str]:
    """Parses /etc/passwd (man 5 passwd) and returns names by uid. The first line of a uid counts, without
    names of more than USER_NAME_LIMIT characters.
    """
    users: dict[int, str] = {}
    for line in passwd.split("\n"):
        fields = line.split(":")
        if len(fields) >= 4 and 0 < len(fields[0]) <= USER_NAME_LIMIT and re.fullmatch(r"[0-9]{1,10}", fields[2]):
            users.setdefault(int(fields[2]), fields[0])
    return users
