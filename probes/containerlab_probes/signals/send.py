"""Signals: their names and numbers, and how one is sent to a process that is still the one that was meant."""

import contextlib
import errno
import fcntl
import os
import re
import select
import signal
import struct
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

from containerlab_probes.errors import BadRequest, Denied, Gone, Unsupported
from containerlab_probes.kernel import procfs
from containerlab_probes.records import Effect, ProcessId

SIGKILL = int(signal.SIGKILL)

_RTMIN, _RTMAX = int(signal.SIGRTMIN), int(signal.SIGRTMAX)
_NAMES = {int(one): one.name for one in signal.Signals} | {
    number: f"SIGRTMIN+{number - _RTMIN}" for number in range(_RTMIN + 1, _RTMAX)
}
_NUMBERS = {name: number for number, name in _NAMES.items()} | {
    "SIGIOT": 6,
    "SIGCLD": int(signal.SIGCHLD),
    "SIGPOLL": int(signal.SIGIO),
}
_REAL_TIME = re.compile(r"SIG(RTMIN|RTMAX)(?:([+-])([0-9]{1,2}))?")

_DUMPS_CORE = frozenset(
    (signal.SIGQUIT, signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV,
     signal.SIGXCPU, signal.SIGXFSZ, signal.SIGSYS)
)  # fmt: skip
_STOPS = frozenset((signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU))
_NOTHING = frozenset((signal.SIGCHLD, signal.SIGURG, signal.SIGWINCH))


def all_signals() -> tuple[int, ...]:
    """Every signal that this kernel lets a program use, in ascending order.

    32 and 33 (up to SIGRTMIN) are missing: the C library keeps them for itself (man 7 signal).
    """
    return tuple(sorted(_NAMES))


def name_of(number: int) -> str:
    """The name of a signal: `SIGTERM`, `SIGRTMIN+3`; what has no name is given as `32`."""
    return _NAMES.get(number, str(number))


def number_of(text: str) -> int:
    """The number of a signal given as `SIGUSR1`, `usr1`, `10`, `rtmin+3` or `SIGRTMAX-1`.

    Raises `BadRequest` for everything else, naming what comes near.
    """
    name = text.strip().upper()
    if re.fullmatch(r"[0-9]{1,3}", name):
        number = int(name)
        if 1 <= number <= _RTMAX:
            return number
        raise BadRequest(f"There is no signal {number}: signals go from 1 to {_RTMAX}.")
    name = name if name.startswith("SIG") else f"SIG{name}"
    if name in _NUMBERS:
        return _NUMBERS[name]
    found = _REAL_TIME.fullmatch(name)
    if found:
        number = {"RTMIN": _RTMIN, "RTMAX": _RTMAX}[found[1]] + int((found[2] or "+") + (found[3] or "0"))
        if _RTMIN <= number <= _RTMAX:
            return number
        raise BadRequest(f"There is no signal {text!r}: real-time signals go from RTMIN to RTMIN+{_RTMAX - _RTMIN}.")
    import difflib  # costs milliseconds that only a mistake is worth

    shorts = [known.removeprefix("SIG") for known in _NUMBERS]
    near = difflib.get_close_matches(name.removeprefix("SIG"), shorts, n=3)
    hint = f"did you mean {' or '.join(f'SIG{one}' for one in near)}?" if near else "`kill -l` lists them."
    raise BadRequest(f"There is no signal {text!r}; {hint}")


def default_action(number: int) -> Effect:
    """What a signal at its default action does to a process (man 7 signal, include/linux/signal.h)."""
    if number in _DUMPS_CORE:
        return Effect.DUMPS_CORE
    if number in _STOPS:
        return Effect.STOPS
    if number in _NOTHING:
        return Effect.NOTHING
    return Effect.CONTINUES if number == signal.SIGCONT else Effect.TERMINATES


def open_pidfd(id: ProcessId) -> int:
    """A pidfd (man 2 pidfd_open) of exactly this process; the caller closes it.

    The start time is compared after opening: from then on the descriptor can't come to mean another
    process. Raises `Gone`, also for a zombie that has been reaped, and `Unsupported` before Linux 5.3.
    """
    try:
        fd = os.pidfd_open(id.pid)
    except (OSError, OverflowError) as error:
        code = getattr(error, "errno", None)
        if code == errno.ENOSYS:
            raise Unsupported("This kernel has no pidfd_open (it came with Linux 5.3).") from error
        if code in (errno.EMFILE, errno.ENFILE):
            raise Unsupported("Too many processes to watch: the limit of open files (ulimit -n) is reached.") from error
        raise _gone(id) from error
    try:
        with open(f"/proc/{id.pid}/stat", encoding="utf-8", errors="surrogateescape") as file:
            started = procfs.parse_stat(file.read()).started
    except (OSError, ValueError) as error:
        os.close(fd)
        raise _gone(id) from error
    if started != id.started:
        os.close(fd)
        raise _gone(id)
    return fd


def send(id: ProcessId, number: int) -> None:
    """Send a signal to exactly this process (man 2 pidfd_send_signal).

    Raises `Gone`, `Denied` (another user's process), `BadRequest` (no such signal) or `Unsupported`.
    """
    fd = open_pidfd(id)
    try:
        signal.pidfd_send_signal(fd, number)
    except ProcessLookupError as error:
        raise _gone(id) from error
    except PermissionError as error:
        raise Denied(
            f"{name_of(number)} can't be sent to process {id.pid}: it belongs to another user; run this with sudo."
        ) from error
    except (OSError, OverflowError) as error:
        raise BadRequest(f"The kernel has no signal {number}.") from error
    finally:
        os.close(fd)


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of one process."""

    id: ProcessId
    at: float
    """Epoch seconds, taken when the kernel reported it."""
    ended_by: int | str | None
    """Exit code, or the name of the signal; None where the kernel doesn't tell."""


class ExitWatch:
    """Sees processes end, through pidfds that are opened before anything is sent to them.

    One thread waits; any thread may add, wake and close. A process that had already ended when it was
    added is reported by the next `wait`, without saying how it ended.
    """

    def __init__(self, ids: Iterable[ProcessId] = ()) -> None:
        """Raises as `open_pidfd`, but for `Gone`."""
        self._poll = select.epoll()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll.register(self._bell, select.EPOLLIN)
        self._watched: dict[int, ProcessId] = {}
        self._early: list[Exit] = []
        self._waiting = threading.Lock()
        self._closed = False
        try:
            for id in ids:
                self.add(id)
        except BaseException:
            self.close()
            raise

    def add(self, id: ProcessId) -> None:
        """Watch one more process."""
        if self._closed:
            return
        try:
            fd = open_pidfd(id)
        except Gone:
            self._early.append(Exit(id, time.time(), None))
            self.wake()
            return
        self._watched[fd] = id
        self._poll.register(fd, select.EPOLLIN)

    def wait(self, timeout_s: float | None = None) -> tuple[Exit, ...]:
        """The processes that have ended since the last call; waits for one, for ever where no time is given.

        Empty when the time is over, or `wake` or `close` was called.
        """
        with self._waiting:
            if self._closed:
                return ()
            ready = self._poll.poll(0 if self._early else timeout_s)
            at = time.time()
            fds = [fd for fd, _ in ready if fd in self._watched]
            if len(fds) < len(ready):
                with contextlib.suppress(BlockingIOError):
                    os.eventfd_read(self._bell)
            early, self._early = self._early, []
            return (*early, *(self._ended(fd, at) for fd in fds))

    def wake(self) -> None:
        """Make the `wait` that is under way, or else the next one, return at once."""
        if not self._closed:
            os.eventfd_write(self._bell, 1)

    def close(self) -> None:
        """Stop watching; a `wait` in another thread returns. May be called again."""
        self.wake()
        self._closed = True
        with self._waiting:
            if not self._poll.closed:
                self._poll.close()
                for fd in (self._bell, *self._watched):
                    os.close(fd)
                self._watched.clear()

    def _ended(self, fd: int, at: float) -> Exit:
        id = self._watched.pop(fd)
        ended = Exit(id, at, _how_it_ended(fd, id))
        self._poll.unregister(fd)
        os.close(fd)
        return ended


_PIDFD_GET_INFO = 0xC040FF0B
"""_IOWR(0xFF, 11, struct pidfd_info) with the structure's first 64 bytes (include/uapi/linux/pidfd.h)."""
_PIDFD_INFO_EXIT = 0x8
_PIDFD_INFO = struct.Struct("=QQ11Ii")
"""mask, cgroup, eleven ids, exit code."""


def _how_it_ended(fd: int, id: ProcessId) -> int | str | None:
    """From the pidfd once the process has been reaped (Linux 6.15), from its zombie until then."""
    status = _reaped_status(fd)
    if status is None:
        status = _zombie_status(id)
    if status is None:
        status = _reaped_status(fd)
    return None if status is None else ended_by(status)


def ended_by(status: int) -> int | str:
    """What a status as waitpid gives it says: the exit code, or the name of the signal."""
    return name_of(os.WTERMSIG(status)) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _reaped_status(fd: int) -> int | None:
    info = bytearray(_PIDFD_INFO.pack(_PIDFD_INFO_EXIT, *[0] * 13))
    try:
        fcntl.ioctl(fd, _PIDFD_GET_INFO, info)
    except OSError:
        return None
    fields = _PIDFD_INFO.unpack(info)
    return int(fields[-1]) if fields[0] & _PIDFD_INFO_EXIT else None


def _zombie_status(id: ProcessId) -> int | None:
    """The kernel shows 0 to a reader that may not trace the process; such a 0 proves nothing."""
    try:
        with open(f"/proc/{id.pid}/stat", encoding="utf-8", errors="surrogateescape") as file:
            stat = procfs.parse_stat(file.read())
        if stat.started != id.started or stat.state not in "ZX":
            return None
        if not stat.exit_code:
            os.readlink(f"/proc/{id.pid}/ns/pid")
    except (OSError, ValueError):
        return None
    return stat.exit_code


def _gone(id: ProcessId) -> Gone:
    return Gone(f"Process {id.pid} has ended; nothing was sent.")
