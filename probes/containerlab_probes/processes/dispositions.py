"""Reads what one process does with signals, from /proc at one instant.

The masks of /proc/PID/status alone mislead: a thread in rt_sigtimedwait has unblocked its signals during the call, a
signalfd takes signals that look blocked, and a mask belongs to a thread, not to the process. Which thread takes a
signal follows kernel/signal.c (sig_ignored, complete_signal).
"""

import errno
import os
import signal
import sys
import time
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from containerlab_probes.errors import ContainerlabError, Denied, Gone
from containerlab_probes.kernel import procfs
from containerlab_probes.kernel.files import names_in, read_link, read_status, read_text, unreadable
from containerlab_probes.records import WITHOUT_ROOT, Dispositions


class Call(Enum):
    """The system call that a thread sleeps in, where it matters for signals."""

    SIGWAIT = "rt_sigtimedwait"
    SIGSUSPEND = "rt_sigsuspend or pause"
    WAIT = "wait4 or waitid"
    READ = "read"
    OTHER = "something else"
    RUNNING = "running"
    UNREAD = "unread"


_CALLS: dict[str, dict[int, Call]] = {
    "x86_64": {128: Call.SIGWAIT, 130: Call.SIGSUSPEND, 34: Call.SIGSUSPEND, 61: Call.WAIT, 247: Call.WAIT,
               0: Call.READ},
    "aarch64": {137: Call.SIGWAIT, 133: Call.SIGSUSPEND, 260: Call.WAIT, 95: Call.WAIT, 63: Call.READ},
}  # fmt: skip
"""arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h."""
_CALLS_32 = {177: Call.SIGWAIT, 421: Call.SIGWAIT, 179: Call.SIGSUSPEND, 72: Call.SIGSUSPEND, 29: Call.SIGSUSPEND,
             7: Call.WAIT, 114: Call.WAIT, 280: Call.WAIT, 284: Call.WAIT, 3: Call.READ}  # fmt: skip
"""32-bit programs on these machines; i386 and ARM use the same numbers here, except for waitid."""

_MACHINE = os.uname().machine
_ALL = frozenset(range(1, 65))
_NEVER_BLOCKED = frozenset((int(signal.SIGKILL), int(signal.SIGSTOP)))
_PAUSES_S = (0.0, 0.0003, 0.001, 0.003)
"""Pauses before each reading of a running thread: its system call is visible only when it sleeps."""
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PAGEMAP_ENTRY = 8
_PRESENT, _SWAPPED, _OF_FILE = 1 << 63, 1 << 62, 1 << 61
"""Bits of an entry of pagemap; the last one also stands for shared memory."""
_THREAD_LIMIT = 4096
"""Threads of one process that are read; it can have 30,000."""
_FD_LIMIT = 4096
"""Open files of one process that are searched for a signalfd; it can have a million."""


@dataclass(frozen=True, slots=True)
class Thread:
    """One thread at one instant."""

    status: procfs.Status
    call: Call
    arguments: tuple[int, ...] = ()
    waits_for: frozenset[int] = frozenset()
    """The set of a thread in rt_sigtimedwait."""
    unread: str = ""

    @property
    def is_alive(self) -> bool:
        """Whether the thread has not exited."""
        return self.status.state not in "ZX"


def read_threads(pid: int, status: procfs.Status, wait_for_sleep: bool) -> tuple[Thread, ...]:
    """Returns the threads of a process, the leader first. `status` is that of /proc/PID/status. Raises `Gone`.

    A running thread that blocks signals may be about to wait for them, so it is read again. With `wait_for_sleep` every
    running thread is read again.
    """
    if status.threads == 1 and status.state in "ZX":
        return (Thread(status, Call.OTHER),)
    tids = [pid] if status.threads == 1 else sorted(map(int, names_in(f"/proc/{pid}/task", _THREAD_LIMIT + 1)))
    threads: dict[int, Thread] = {}
    to_read = tids = tids[:_THREAD_LIMIT]
    for pause_s in _PAUSES_S:
        if pause_s:
            time.sleep(pause_s)
        for tid in to_read:
            try:
                known = None if pause_s or len(tids) > 1 else status
                threads[tid] = _read_thread(f"/proc/{pid}/task/{tid}", known)
            except Gone:
                threads.pop(tid, None)
        to_read = [
            tid
            for tid, thread in threads.items()
            if thread.call is Call.RUNNING and (wait_for_sleep or thread.status.blocked)
        ]
        if not to_read:
            break
    if pid not in threads:
        raise Gone(f"Process {pid} has exited.")
    found = [threads[tid] for tid in sorted(threads, key=lambda tid: (tid != pid, tid))]
    if len(tids) == _THREAD_LIMIT:
        reason = f"Process {pid} has at least {_THREAD_LIMIT:,} threads; those beyond are not read."
        found.append(Thread(found[0].status, Call.UNREAD, unread=reason))
    return tuple(found)


def dispositions_of(pid: int, threads: tuple[Thread, ...], awaits_signals: bool = False) -> Dispositions:
    """Returns what a process does with signals, from its threads. Raises `Gone`.

    `pending` covers the process and all its threads. `awaits_signals`: the program is one that takes signals without a
    handler, which matters if its system calls can't be read, or if it has just been woken in rt_sigtimedwait: then its
    masks show nothing either.
    """
    leader = threads[0].status
    if len(threads) == 1 and _is_plain(threads[0]) and not (awaits_signals and threads[0].call is Call.RUNNING):
        pending = leader.shared_pending | leader.thread_pending
        return _plain_dispositions(leader.caught, leader.ignored, pending, threads[0].call is Call.SIGSUSPEND)
    alive = [thread for thread in threads if thread.is_alive]
    blocked = frozenset.intersection(*(thread.status.blocked for thread in alive)) if alive else frozenset[int]()
    sigwait, contested = _waited_for(leader, alive)
    by_fd, fd_problem = _signalfds(pid) if any(thread.status.blocked for thread in alive) else (frozenset[int](), "")
    calls = {thread.call for thread in alive}
    hidden, assumed = _hidden(leader, alive, blocked, awaits_signals)
    unclear = contested | hidden
    if Call.RUNNING in calls or fd_problem:
        unclear |= blocked - by_fd
    sentences = [thread.unread for thread in alive if thread.unread]
    if Call.RUNNING in calls and (blocked or hidden):
        sentences.append(
            f"A thread of process {pid} was running each time, so the signals that it waits for are unknown."
        )
    if contested:
        sentences.append(f"Several threads of process {pid} may take the same signal, one of them in rt_sigtimedwait.")
    return Dispositions(
        caught=leader.caught,
        ignored=leader.ignored,
        blocked=blocked,
        pending=leader.shared_pending.union(*(thread.status.thread_pending for thread in alive)),
        sigwait=sigwait,
        signalfd=by_fd & blocked,
        in_sigsuspend=Call.SIGSUSPEND in calls,
        leader_blocked=leader.blocked,
        unclear=unclear - sigwait - _NEVER_BLOCKED,
        assumed=assumed,
        unread=tuple(dict.fromkeys([*sentences, fd_problem] if fd_problem else sentences)),
    )


def _hidden(
    leader: procfs.Status, alive: list[Thread], blocked: frozenset[int], awaits_signals: bool
) -> tuple[frozenset[int], frozenset[int]]:
    """Returns the signals that a thread may await unseen, and those of which the masks are believed without root.

    Without root no system call can be read. A signal that the main thread blocks is then usually awaited by another one
    (man 3 sigwait), or by a signalfd. A thread that was just woken in rt_sigtimedwait still shows the mask of the call.
    """
    unread = {thread.unread for thread in alive if thread.call is Call.UNREAD}
    open_to = _ALL - (leader.caught - blocked)
    if unread - {WITHOUT_ROOT}:
        return open_to, frozenset()
    if unread:
        hidden = open_to if awaits_signals else open_to & leader.blocked
        return hidden, open_to - hidden - _NEVER_BLOCKED
    woken = [thread.status for thread in alive if awaits_signals and thread.call is Call.RUNNING]
    masked = (open_to if one is leader else leader.blocked - one.blocked for one in woken)
    return frozenset[int]().union(*masked), frozenset()


def _is_plain(thread: Thread) -> bool:
    """Returns whether a process with this one thread blocks nothing, waits for nothing and could be read."""
    return thread.is_alive and not (thread.status.blocked or thread.waits_for or thread.call is Call.UNREAD)


@lru_cache(maxsize=1024)
def _plain_dispositions(
    caught: frozenset[int], ignored: frozenset[int], pending: frozenset[int], in_sigsuspend: bool
) -> Dispositions:
    """Returns the dispositions of a process with one thread that blocks no signal. Most processes are like that."""
    return Dispositions(caught=caught, ignored=ignored, pending=pending, in_sigsuspend=in_sigsuspend)


def _waited_for(leader: procfs.Status, alive: list[Thread]) -> tuple[frozenset[int], frozenset[int]]:
    """Returns the signals that threads in rt_sigtimedwait will take, and those that another thread may take instead.

    The kernel offers a signal to the leader first. A signal that the leader neither blocks nor waits for never reaches
    a thread that waits for it. A signal that is unblocked outside the call could still terminate the process; the code
    assumes that the program blocks the signals that it waits for (man 3 sigwait).
    """
    taken, contested = set(), set()
    for number in frozenset[int]().union(*(thread.waits_for for thread in alive)) - _NEVER_BLOCKED:
        by_leader = any(thread.status.pid == leader.pid and number in thread.waits_for for thread in alive)
        others_open = any(number not in thread.status.blocked | thread.waits_for for thread in alive)
        if by_leader or (number in leader.blocked and not others_open):
            taken.add(number)
        elif number in leader.blocked:
            contested.add(number)
    return frozenset(taken), frozenset(contested)


def _read_thread(base: str, status: procfs.Status | None) -> Thread:
    status = status or procfs.parse_status(read_status(base))
    if status.state in "ZX":
        return Thread(status, Call.OTHER)
    try:
        text = read_text(f"{base}/syscall", at_once=True)
        found = procfs.parse_syscall(text)
        if found is None:
            return Thread(status, Call.RUNNING)
        call = _call(found)
        if call is not Call.SIGWAIT:
            return Thread(status, call, found.arguments)
        waits_for = procfs.parse_sigset(_memory(base, found.arguments[0]))
        if read_text(f"{base}/syscall", at_once=True) != text:
            return Thread(status, Call.RUNNING)
        return Thread(status, call, found.arguments, waits_for)
    except Denied:
        reason = WITHOUT_ROOT
    except ValueError:
        reason = f"Could not read the system call of process {status.tgid}."
    return Thread(status, Call.UNREAD, unread=reason)


def _call(found: procfs.Syscall) -> Call:
    if found.number < 0:
        return Call.OTHER
    table = _CALLS_32 if 0 < found.stack < 1 << 32 else _CALLS.get(_MACHINE)
    if table is None:
        raise ValueError(f"no table of system calls for {_MACHINE}")
    return table.get(found.number, Call.OTHER)


def _memory(base: str, address: int) -> bytes:
    """Reads a set of signals in the memory of a thread. Raises ValueError for a page that belongs to a file.

    A page of a file may belong to a file system that never answers, and a reader that waits for one can't be killed
    (for /proc/PID/cmdline and environ the kernel itself reads such pages no more: mm/memory.c, FOLL_ANON).
    """
    path = f"{base}/mem"
    try:
        if not _is_anonymous(base, address):
            raise ValueError(f"no page of the process's own at {address:#x}")
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(fd, procfs.SIGSET_BYTES, address)
        finally:
            os.close(fd)
    except OverflowError as error:
        raise ValueError(f"not an address: {address:#x}") from error
    except OSError as error:
        if error.errno == errno.EIO:
            raise ValueError(f"no memory at {address:#x}") from error
        raise unreadable(error, path) from error


def _is_anonymous(base: str, address: int) -> bool:
    """Returns whether a set is in pages that are there and belong to no file (man 5 proc_pid_pagemap)."""
    try:
        fd = os.open(f"{base}/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # a kernel without it (CONFIG_PROC_PAGE_MONITOR)
        return False
    try:
        pages = {one // _PAGE for one in (address, address + procfs.SIGSET_BYTES - 1)}
        entries = [os.pread(fd, _PAGEMAP_ENTRY, page * _PAGEMAP_ENTRY) for page in pages]
    finally:
        os.close(fd)
    flags = [int.from_bytes(entry, sys.byteorder) for entry in entries]
    return all(one & (_PRESENT | _SWAPPED) and not one & _OF_FILE for one in flags)


def _signalfds(pid: int) -> tuple[frozenset[int], str]:
    """Returns the signals that the signalfds of a process cover (man 2 signalfd), and why some may be missing."""
    covered: set[int] = set()
    problem = ""
    try:
        fds = names_in(f"/proc/{pid}/fd", _FD_LIMIT + 1)
    except Denied:
        return frozenset(), WITHOUT_ROOT
    except ContainerlabError:
        return frozenset(), f"The open files of process {pid} can't be read, so a signalfd isn't seen."
    if len(fds) > _FD_LIMIT:
        problem = f"Process {pid} has more than {_FD_LIMIT} open files; a signalfd beyond these isn't seen."
    for fd in fds[:_FD_LIMIT]:
        try:
            if read_link(f"/proc/{pid}/fd/{fd}") == "anon_inode:[signalfd]":
                covered |= procfs.parse_signalfd(read_text(f"/proc/{pid}/fdinfo/{fd}")) or frozenset()
        except Gone:
            continue  # it was closed meanwhile
        except (ContainerlabError, ValueError):
            problem = problem or f"Open file {fd} of process {pid} can't be read, so a signalfd there isn't seen."
    return frozenset(covered), problem
