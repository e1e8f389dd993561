"""A private instance of the kernel's tracing: made, set up, read page by page, and removed.

An instance has buffers, clock, filters and switches of its own, so nobody else's tracing is touched (kernel
document trace/ftrace, "Instances"). Its name says whose it is; one whose process is gone is removed by the next.
"""

import contextlib
import ctypes
import errno
import os
import re
import stat
import time
from collections.abc import Callable, Iterable

from containerlab_probes.errors import ContainerlabError, Gone, Unsupported
from containerlab_probes.kernel import procfs
from containerlab_probes.kernel.files import read_text
from containerlab_probes.kernel.libc import libc
from containerlab_probes.kernel.os_errors import failure
from containerlab_probes.records import ProcessId

_MOUNTED = "/sys/kernel/tracing"
"""Not the older place below debugfs: to look there would mount it."""
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
"""The same numbers on every architecture (include/uapi/asm-generic/unistd.h); since Linux 5.2."""
_FSOPEN_CLOEXEC = _FSMOUNT_CLOEXEC = 1
_FSCONFIG_CMD_CREATE = 6

_PREFIX = "containerlab-tui"
_NAME = re.compile(rf"{_PREFIX}\.([1-9][0-9]{{0,9}})\.([0-9]{{1,19}})\.[0-9]{{1,9}}")
_PAGE_LIMIT = 65536
"""More than any sub-buffer is by default; a read gives one of them at the most."""
_BUFFERS_KB = 16384
_CPU_KB = (64, 1024)
"""All buffers together, and the least and most for one CPU. 1 MiB is about a second of 10,000 signals in one."""


_REMOVE_TRIES, _REMOVE_PAUSE_S = 100, 0.01


def started(pid: int) -> int | None:
    """When this process began, clock ticks after boot; None: there is no such process, or only its zombie."""
    try:
        seen = procfs.parse_stat(read_text(f"/proc/{pid}/stat"))
    except Gone:
        return None
    return None if seen.state in "ZX" and seen.threads <= 1 else seen.started


def owner_of(name: str) -> ProcessId | None:
    """The process that made an instance of this name; None: it isn't one of this program's."""
    found = _NAME.fullmatch(name)
    return ProcessId(int(found[1]), int(found[2])) if found else None


def leftovers(names: Iterable[str], started: Callable[[int], int | None]) -> list[str]:
    """The instances whose makers, of this program, no longer run."""
    owners = ((name, owner_of(name)) for name in names)
    return [name for name, owner in owners if owner and started(owner.pid) != owner.started]


def open_tracefs() -> int:
    """A descriptor of the root of tracefs; the caller closes it.

    Where it isn't mounted it is reached by a mount that is attached nowhere (man 2 fsmount) and gone with its
    descriptor. Raises `Denied` without root (CAP_SYS_ADMIN), `Unsupported` where the kernel has no tracefs.
    """
    with contextlib.suppress(OSError):
        fd = os.open(_MOUNTED, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if _is_dir("instances", fd):
            return fd
        os.close(fd)
    return _detached_mount()


def check_events(events: Iterable[str]) -> None:
    """Raises `Denied` or `Unsupported` where tracefs can't be reached or has not all of these events."""
    root = open_tracefs()
    try:
        if not all(_is_dir(f"events/{event}", root) for event in events):
            raise Unsupported("Could not use the kernel trace: this kernel lacks the events that are needed.")
    finally:
        os.close(root)


def _is_dir(name: str, fd: int) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=fd).st_mode)
    except OSError:
        return False


def _detached_mount() -> int:
    context = libc.syscall(_FSOPEN, b"tracefs", _FSOPEN_CLOEXEC)
    if context < 0:
        raise refused(ctypes.get_errno())
    try:
        if libc.syscall(_FSCONFIG, context, _FSCONFIG_CMD_CREATE, None, None, 0) < 0:
            raise refused(ctypes.get_errno())
        fd = int(libc.syscall(_FSMOUNT, context, _FSMOUNT_CLOEXEC, 0))
        if fd < 0:
            raise refused(ctypes.get_errno())
        return fd
    finally:
        os.close(context)


def refused(error: OSError | int) -> ContainerlabError:
    """Returns the error for a call to tracefs that failed."""
    return failure(
        error,
        "use the kernel trace",
        gone=(),
        denied="it needs root (CAP_SYS_ADMIN, and no kernel lockdown); run this with sudo",
        unsupported="this kernel has no tracefs, or not the events that are needed",
    )


def sweep() -> None:
    """Remove the instances of this program's earlier runs that could not do so themselves. Raises as `open_tracefs`."""
    root = open_tracefs()
    try:
        _remove_leftovers(root)
    except OSError as error:
        raise refused(error) from error
    finally:
        os.close(root)


def _remove_leftovers(root: int) -> None:
    for name in leftovers(os.listdir(f"/proc/self/fd/{root}/instances"), started):
        with contextlib.suppress(OSError):  # busy: somebody reads it; another run's turn
            os.rmdir(f"instances/{name}", dir_fd=root)


class Instance:
    """One instance and its buffers. Not shared between threads."""

    def __init__(self, number: int) -> None:
        """Make it, number `number` of this process, and remove what earlier runs left. Raises as `open_tracefs`."""
        self._root = open_tracefs()
        self._buffers: list[int] = []
        pid = os.getpid()
        self.name = f"{_PREFIX}.{pid}.{started(pid) or 0}.{number}"
        try:
            _remove_leftovers(self._root)
            os.mkdir(f"instances/{self.name}", mode=0o700, dir_fd=self._root)
        except OSError as error:
            os.close(self._root)
            raise refused(error) from error

    def prepare(self) -> None:
        """Monotonic clock, a reader that is woken by the first event, and buffers in proportion to the machine."""
        cpus = len(self._cpus())
        least, most = _CPU_KB
        for name, value in (
            ("tracing_on", "0"),
            ("trace_clock", "mono"),
            ("buffer_percent", "0"),
            ("trace_options", "norecord-cmd"),
            ("buffer_size_kb", str(max(least, min(most, _BUFFERS_KB // cpus)))),
        ):
            self.write(name, value)

    def enable(self, event: str, only: str = "") -> None:
        """Trace this event, only where the filter holds (kernel document trace/events, "Event filtering")."""
        if only:
            self.write(f"events/{event}/filter", only)
        self.write(f"events/{event}/enable", "1")

    def open_buffers(self) -> list[int]:
        """One descriptor a CPU, for poll; tracing begins."""
        for cpu in self._cpus():
            self._buffers.append(self._open(f"per_cpu/{cpu}/trace_pipe_raw", os.O_RDONLY | os.O_NONBLOCK))
        self.write("tracing_on", "1")
        return list(self._buffers)

    def pages(self) -> list[list[bytes]]:
        """What can be read now, a list a CPU, in the order of `open_buffers`."""
        return [self._drain(fd) for fd in self._buffers]

    def _drain(self, fd: int) -> list[bytes]:
        pages = []
        with contextlib.suppress(BlockingIOError):
            while page := os.read(fd, _PAGE_LIMIT):
                pages.append(page)
        return pages

    def overrun(self) -> int:
        """How many events were overwritten before they were read, since the beginning."""
        total = 0
        for cpu in self._cpus():
            total += sum(
                map(int, re.findall(r"^(?:overrun|dropped events): (\d+)$", self.read(f"per_cpu/{cpu}/stats"), re.M))
            )
        return total

    def read(self, name: str) -> str:
        """The text of one of the instance's files. Raises as `open_tracefs`."""
        fd = self._open(name, os.O_RDONLY)
        try:
            parts = []
            while part := os.read(fd, 65536):
                parts.append(part)
        except OSError as error:
            raise refused(error) from error
        finally:
            os.close(fd)
        return b"".join(parts).decode("utf-8", "replace")

    def write(self, name: str, value: str) -> None:
        """Write one of the instance's files. Raises as `open_tracefs`."""
        fd = self._open(name, os.O_WRONLY)
        try:
            os.write(fd, value.encode())
        except OSError as error:
            raise refused(error) from error
        finally:
            os.close(fd)

    def close(self) -> None:
        """Remove it, with all that is in it. May be called again."""
        if self._root < 0:
            return
        with contextlib.suppress(ContainerlabError):
            self.write("tracing_on", "0")
        for fd in self._buffers:
            os.close(fd)
        self._buffers.clear()
        self._remove()
        os.close(self._root)
        self._root = -1

    def _remove(self) -> None:
        """It is busy while a child of ours that was just forked has not yet come to execve, which closes its copies."""
        for _ in range(_REMOVE_TRIES):
            try:
                os.rmdir(f"instances/{self.name}", dir_fd=self._root)
            except OSError as error:
                if error.errno != errno.EBUSY:
                    return
                time.sleep(_REMOVE_PAUSE_S)
            else:
                return

    def _cpus(self) -> list[str]:
        names = os.listdir(f"/proc/self/fd/{self._root}/instances/{self.name}/per_cpu")
        return sorted((name for name in names if re.fullmatch(r"cpu\d+", name)), key=lambda name: int(name[3:]))

    def _open(self, name: str, flags: int) -> int:
        try:
            return os.open(f"instances/{self.name}/{name}", flags | os.O_CLOEXEC, dir_fd=self._root)
        except OSError as error:
            raise refused(error) from error
