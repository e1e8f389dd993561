"""Creates, configures, reads and removes a private instance of the kernel's tracing.

An instance has separate buffers, clock, filters and switches, so other tracing is not affected (kernel document
trace/ftrace, "Instances"). Its name contains its process; if that process has exited, the next run removes the
instance.
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
from containerlab_probes.kernel.files import names_in, read_descriptor, read_text
from containerlab_probes.kernel.libc import libc
from containerlab_probes.kernel.os_errors import failure
from containerlab_probes.records import ProcessId

_MOUNTED = "/sys/kernel/tracing"
"""The older place below debugfs is not used, because an access would mount it."""
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
"""The same numbers on every architecture (include/uapi/asm-generic/unistd.h); since Linux 5.2."""
_FSOPEN_CLOEXEC = _FSMOUNT_CLOEXEC = 1
_FSCONFIG_CMD_CREATE = 6

_PREFIX = "containerlab-tui"
_NAME = re.compile(rf"{_PREFIX}\.([1-9][0-9]{{0,9}})\.([0-9]{{1,19}})\.[0-9]{{1,9}}")
_PAGE_LIMIT = 65536
"""Larger than any default sub-buffer; a read returns at most one sub-buffer."""
_PAGES_AT_ONCE = 1024
"""Pages read from one CPU in one turn, four full buffers: events may arrive faster than they are read."""
_NAMES = 65_536
"""Entries of a directory of tracefs."""
_BUFFERS_KB = 16384
"""For all buffers together."""
_CPU_KB = (64, 1024)
"""Minimum and maximum for one CPU. 1 MiB holds about one second at 10,000 signals a second."""


_REMOVE_TRIES, _REMOVE_PAUSE_S = 100, 0.01


def started(pid: int) -> int | None:
    """Returns the start of a process in clock ticks after boot; None: no such process, or only its zombie."""
    try:
        seen = procfs.parse_stat(read_text(f"/proc/{pid}/stat"))
    except Gone:
        return None
    return None if seen.state in "ZX" and seen.threads <= 1 else seen.started


def owner_of(name: str) -> ProcessId | None:
    """Returns the process that created an instance, from its name; None: another program's instance."""
    found = _NAME.fullmatch(name)
    return ProcessId(int(found[1]), int(found[2])) if found else None


def leftovers(names: Iterable[str], started: Callable[[int], int | None]) -> list[str]:
    """Returns the instances of this program whose processes no longer run."""
    owners = ((name, owner_of(name)) for name in names)
    return [name for name, owner in owners if owner and started(owner.pid) != owner.started]


def open_tracefs() -> int:
    """Opens the root of tracefs; the caller closes the descriptor.

    If tracefs isn't mounted, it is opened through a detached mount (man 2 fsmount) that disappears with its descriptor.
    Raises `Denied` without root (CAP_SYS_ADMIN), `Unsupported` if the kernel has no tracefs.
    """
    with contextlib.suppress(OSError):
        fd = os.open(_MOUNTED, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if _is_dir("instances", fd):
            return fd
        os.close(fd)
    return _detached_mount()


def check_events(events: Iterable[str]) -> None:
    """Raises `Denied` or `Unsupported` if tracefs can't be opened or lacks one of these events."""
    root = open_tracefs()
    try:
        if not all(_is_dir(f"events/{event}", root) for event in events):
            raise Unsupported("Could not use the kernel trace: this kernel lacks a required event.")
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
        unsupported="this kernel has no tracefs, or lacks a required event",
    )


def sweep() -> None:
    """Removes the instances that earlier runs of this program left behind. Raises as `open_tracefs`."""
    root = open_tracefs()
    try:
        _remove_leftovers(root)
    except OSError as error:
        raise refused(error) from error
    finally:
        os.close(root)


def _remove_leftovers(root: int) -> None:
    for name in leftovers(names_in(f"/proc/self/fd/{root}/instances", _NAMES), started):
        with contextlib.suppress(OSError):  # busy: it is being read; a later run removes it
            os.rmdir(f"instances/{name}", dir_fd=root)


class Instance:
    """One instance and its buffers. Not shared between threads."""

    def __init__(self, number: int) -> None:
        """Creates instance `number` of this process, and removes those of earlier runs. Raises as `open_tracefs`."""
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
        """Sets the monotonic clock, wake-up of the reader at the first event, and buffer sizes by CPU count."""
        cpus = len(self._cpus())
        minimum, maximum = _CPU_KB
        for name, value in (
            ("tracing_on", "0"),
            ("trace_clock", "mono"),
            ("buffer_percent", "0"),
            ("trace_options", "norecord-cmd"),
            ("buffer_size_kb", str(max(minimum, min(maximum, _BUFFERS_KB // cpus)))),
        ):
            self.write(name, value)

    def enable(self, event: str, only: str = "") -> None:
        """Traces an event, filtered by `only` (kernel document trace/events, "Event filtering")."""
        if only:
            self.write(f"events/{event}/filter", only)
        self.write(f"events/{event}/enable", "1")

    def open_buffers(self) -> list[int]:
        """Starts tracing; returns one descriptor for each CPU, for poll."""
        for cpu in self._cpus():
            self._buffers.append(self._open(f"per_cpu/{cpu}/trace_pipe_raw", os.O_RDONLY | os.O_NONBLOCK))
        self.write("tracing_on", "1")
        return list(self._buffers)

    def pages(self) -> list[list[bytes]]:
        """Returns the pages that can be read now: a list for each CPU, in the order of `open_buffers`."""
        return [self._drain(fd) for fd in self._buffers]

    def _drain(self, fd: int) -> list[bytes]:
        pages: list[bytes] = []
        with contextlib.suppress(BlockingIOError):
            while len(pages) < _PAGES_AT_ONCE and (page := os.read(fd, _PAGE_LIMIT)):
                pages.append(page)
        return pages

    def overrun(self) -> int:
        """Returns the number of events that were overwritten before they were read, since the start."""
        total = 0
        for cpu in self._cpus():
            total += sum(
                map(int, re.findall(r"^(?:overrun|dropped events): (\d+)$", self.read(f"per_cpu/{cpu}/stats"), re.M))
            )
        return total

    def read(self, name: str) -> str:
        """Reads one of the instance's files. Raises as `open_tracefs`."""
        fd = self._open(name, os.O_RDONLY)
        try:
            return read_descriptor(fd).decode("utf-8", "replace")
        except OSError as error:
            raise refused(error) from error
        finally:
            os.close(fd)

    def write(self, name: str, value: str) -> None:
        """Writes one of the instance's files. Raises as `open_tracefs`."""
        fd = self._open(name, os.O_WRONLY)
        try:
            os.write(fd, value.encode())
        except OSError as error:
            raise refused(error) from error
        finally:
            os.close(fd)

    def close(self) -> None:
        """Removes the instance and its contents. May be called again."""
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
        """Retries while a child that this program has just forked still has copies of the descriptors, until its
        execve.
        """
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
        names = names_in(f"/proc/self/fd/{self._root}/instances/{self.name}/per_cpu", _NAMES)
        return sorted((name for name in names if re.fullmatch(r"cpu\d+", name)), key=lambda name: int(name[3:]))

    def _open(self, name: str, flags: int) -> int:
        try:
            return os.open(f"instances/{self.name}/{name}", flags | os.O_CLOEXEC, dir_fd=self._root)
        except OSError as error:
            raise refused(error) from error
