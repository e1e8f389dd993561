"""What one process does with signals, read from /proc at one instant.

The masks of /proc/PID/status alone mislead: a thread in rt_sigtimedwait has opened its mask for the time of
the call, a signalfd takes signals that look blocked, and a mask belongs to a thread, not to the process.
The rules for who takes a signal are those of kernel/signal.c (sig_ignored, complete_signal).
"""

import errno
import os
import platform
import signal
import time
from dataclasses import dataclass
from enum import Enum

from containerlab_probes.errors import ContainerlabError, Denied, Gone
from containerlab_probes.kernel import procfs
from containerlab_probes.kernel.files import names_in, read_link, read_text, unreadable
from containerlab_probes.records import Dispositions


class Call(Enum):
    """What a thread sleeps in, as far as signals care."""

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
"""Programs of 32 bits on such a machine; i386 and ARM have the same numbers here but for waitid."""

_ALL = frozenset(range(1, 65))
_NEVER_BLOCKED = frozenset((int(signal.SIGKILL), int(signal.SIGSTOP)))
_PAUSES_S = (0.0, 0.0003, 0.001, 0.003)
"""Before each look at a thread that is running: what it will sleep in shows only when it does."""
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
    def alive(self) -> bool:
        return self.status.state not in "ZX"


def read_threads(pid: int, status: procfs.Status, patient: bool) -> tuple[Thread, ...]:
    """The threads of a process, the leader first. `status` is that of /proc/PID/status. Raises `Gone`.

    A running thread that blocks signals may be about to await them: it is looked at again. With `patient`
    every running thread is.
    """
    if status.threads == 1 and status.state in "ZX":
        return (Thread(status, Call.OTHER),)
    tids = [pid] if status.threads == 1 else sorted(map(int, names_in(f"/proc/{pid}/task")))
    threads: dict[int, Thread] = {}
    look_at = tids
    for pause_s in _PAUSES_S:
        if pause_s:
            time.sleep(pause_s)
        for tid in look_at:
            try:
                known = None if pause_s or len(tids) > 1 else status
                threads[tid] = _read_thread(f"/proc/{pid}/task/{tid}", known)
            except Gone:
                threads.pop(tid, None)
        look_at = [
            tid for tid, thread in threads.items() if thread.call is Call.RUNNING and (patient or thread.status.blocked)
        ]
        if not look_at:
            break
    if pid not in threads:
        raise Gone(f"Process {pid} has ended.")
    return tuple(threads[tid] for tid in sorted(threads, key=lambda tid: (tid != pid, tid)))


def dispositions_of(pid: int, threads: tuple[Thread, ...]) -> Dispositions:
    """What a process does with signals, put together from its threads. Raises `Gone`.

    `pending` is what waits in the queue of the process or in that of any thread.
    """
    leader = threads[0].status
    alive = [thread for thread in threads if thread.alive]
    blocked = frozenset.intersection(*(thread.status.blocked for thread in alive)) if alive else frozenset[int]()
    sigwait, contested = _awaited(leader, alive)
    by_fd, fd_problem = _signalfds(pid) if any(thread.status.blocked for thread in alive) else (frozenset[int](), "")
    calls = {thread.call for thread in alive}
    unsure = set(contested)
    if Call.UNREAD in calls:
        unsure |= _ALL - (leader.caught - blocked)
    if Call.RUNNING in calls or fd_problem:
        unsure |= blocked - by_fd
    sentences = [thread.unread for thread in alive if thread.unread]
    if Call.RUNNING in calls and blocked:
        sentences.append(f"A thread of process {pid} was running each time: what it waits for when idle isn't known.")
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
        unsure=frozenset(unsure) - sigwait - _NEVER_BLOCKED,
        unread=tuple(dict.fromkeys([*sentences, fd_problem] if fd_problem else sentences)),
    )


def _awaited(leader: procfs.Status, alive: list[Thread]) -> tuple[frozenset[int], frozenset[int]]:
    """What threads in rt_sigtimedwait will take, and what one of them or another thread may take.

    The kernel offers a signal to the leader first. One that the leader neither blocks nor awaits never gets
    as far as a thread that waits for it. A signal that isn't blocked outside of the call would end the
    process in spite of it; that the program blocks what it waits for is taken for granted (man 3 sigwait).
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
    status = status or procfs.parse_status(read_text(f"{base}/status"))
    if status.state in "ZX":
        return Thread(status, Call.OTHER)
    try:
        text = read_text(f"{base}/syscall")
        found = procfs.parse_syscall(text)
        if found is None:
            return Thread(status, Call.RUNNING)
        call = _call(found)
        if call is not Call.SIGWAIT:
            return Thread(status, call, found.arguments)
        waits_for = procfs.parse_sigset(_memory(f"{base}/mem", found.arguments[0]))
        if read_text(f"{base}/syscall") != text:
            return Thread(status, Call.RUNNING)
        return Thread(status, call, found.arguments, waits_for)
    except Denied:
        reason = f"The system call that process {status.tgid} sleeps in can't be read without root (CAP_SYS_PTRACE)."
    except ValueError:
        reason = f"The system call that process {status.tgid} sleeps in can't be read."
    return Thread(status, Call.UNREAD, unread=reason)


def _call(found: procfs.Syscall) -> Call:
    if found.number < 0:
        return Call.OTHER
    table = _CALLS_32 if 0 < found.stack < 1 << 32 else _CALLS.get(platform.machine())
    if table is None:
        raise ValueError(f"no table of system calls for {platform.machine()}")
    return table.get(found.number, Call.OTHER)


def _memory(path: str, address: int) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(fd, procfs.SIGSET_BYTES, address)
        finally:
            os.close(fd)
    except OverflowError as error:
        raise ValueError(f"no address: {address:#x}") from error
    except OSError as error:
        if error.errno == errno.EIO:
            raise ValueError(f"no memory at {address:#x}") from error
        raise unreadable(error, path) from error


def _signalfds(pid: int) -> tuple[frozenset[int], str]:
    """Returns the signals that the signalfds of a process cover (man 2 signalfd), and why some may be missing."""
    covered: set[int] = set()
    problem = ""
    try:
        fds = names_in(f"/proc/{pid}/fd", _FD_LIMIT + 1)
    except ContainerlabError:
        return frozenset(), f"The open files of process {pid} can't be read without root, so a signalfd isn't seen."
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
