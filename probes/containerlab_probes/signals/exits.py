"""Reports the exits of processes, through pidfds."""

import contextlib
import fcntl
import os
import resource
import select
import struct
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

from containerlab_probes.errors import ContainerlabError, Gone
from containerlab_probes.kernel import procfs
from containerlab_probes.kernel.files import read_text
from containerlab_probes.processes.identity import open_pidfd
from containerlab_probes.records import ProcessId
from containerlab_probes.signals.names import name_of

SHARE_OF_FILES = 4
"""One watch opens at most the limit of open files (ulimit -n) divided by this."""


@dataclass(frozen=True, slots=True)
class Exit:
    """The exit of one process."""

    id: ProcessId
    at: float
    """Epoch seconds at which the kernel reported it."""
    ended_by: int | str | None
    """Exit code, or the name of the signal; None if the kernel does not report it."""


class ExitWatch:
    """Waits for processes to exit, through pidfds that are opened before any signal is sent.

    One thread waits; any thread may add, wake and close. The next `wait` reports a process that had already exited when
    it was added, without its status. It watches as many processes as `SHARE_OF_FILES` allows: of a container with more,
    those added first.
    """

    def __init__(self, ids: Iterable[ProcessId] = ()) -> None:
        """Raises as `open_pidfd`, except `Gone`."""
        self._most = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // SHARE_OF_FILES
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
        """Watches one more process, unless the watch is full."""
        if self._closed or len(self._watched) >= self._most:
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
        """Returns the exits since the last call; waits for one, without limit if `timeout_s` is None.

        Empty after the time, or after a call of `wake` or `close`.
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
        """Makes the `wait` in progress, or else the next one, return at once."""
        if not self._closed:
            os.eventfd_write(self._bell, 1)

    def close(self) -> None:
        """Stops watching; a `wait` in another thread returns. May be called again."""
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
        ended = Exit(id, at, _exit_status(fd, id))
        self._poll.unregister(fd)
        os.close(fd)
        return ended


_PIDFD_GET_INFO = 0xC040FF0B
"""_IOWR(0xFF, 11, struct pidfd_info) with the structure's first 64 bytes (include/uapi/linux/pidfd.h)."""
_PIDFD_INFO_EXIT = 0x8
_PIDFD_INFO = struct.Struct("=QQ11Ii")
"""Mask, cgroup, eleven ids, exit code."""


def _exit_status(fd: int, id: ProcessId) -> int | str | None:
    """Reads the status from the zombie or, once the process has been reaped, from the pidfd (Linux 6.15)."""
    status = _reaped_status(fd)
    if status is None:
        status = _zombie_status(id)
    if status is None:
        status = _reaped_status(fd)
    return None if status is None else ended_by(status)


def ended_by(status: int) -> int | str:
    """Returns the exit code, or the name of the signal, for a status of waitpid."""
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
    """Reads the status of a zombie. The kernel shows 0 to a reader that may not trace it, so that 0 does not count."""
    try:
        stat = procfs.parse_stat(read_text(f"/proc/{id.pid}/stat"))
        if stat.started != id.started or stat.state not in "ZX":
            return None
        if not stat.exit_code:
            os.readlink(f"/proc/{id.pid}/ns/pid")
    except (ContainerlabError, OSError, ValueError):
        return None
    return stat.exit_code
