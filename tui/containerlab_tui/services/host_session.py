"""A session with the host's tools: a program in a container's namespaces and cgroups, on a terminal made here."""

import errno
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import containerlab_probes.kernel
from containerlab_probes.errors import Denied, Gone, TimedOut
from containerlab_probes.kernel.cgroups import members_below
from containerlab_probes.kernel.confinement import parse_limits
from containerlab_probes.kernel.entrance import Request, Started, parse_report
from containerlab_probes.kernel.files import read_status
from containerlab_probes.records import ProcessId
from containerlab_tui.model.entry import Entry
from containerlab_tui.services.entered_processes import SETTLE_S, SessionEnd, left_behind, members_of_session, wait_for

_START_LIMIT_S = 30.0
_REPORT_BYTES = 16 * 1024
_READ_BYTES = 64 * 1024


def may_trace(pid: int) -> bool:
    """Returns whether programs of the container of PID 1 `pid` may have CAP_SYS_PTRACE. Raises `Gone`."""
    return parse_limits(read_status(f"/proc/{pid}")).allows_tracing


def namespaces_of(entry: Entry) -> tuple[str, ...]:
    """Returns the namespaces that an entry with the host's tools joins.

    A program with the host's files in the container's PID namespace could be traced by the container's root, who would
    get those files. So it joins that namespace only with full rights: what has more capabilities can't be traced.
    """
    kinds = ("uts", "ipc", "net")
    if entry.host_files:
        return (*kinds, "pid") if entry.full_rights else (*kinds, "cgroup", "user")
    inside = ("mnt", *kinds, "cgroup", "pid")
    return inside if entry.full_rights else (*inside, "user")


class HostSession:
    """A program that `kernel.entrance` runs."""

    def __init__(
        self,
        init: ProcessId,
        entry: Entry,
        command: tuple[str, ...],
        environment: Mapping[str, str],
        size: tuple[int, int],
    ) -> None:
        """Starts the program. `init` is the container's PID 1. Raises `Gone`, `Denied`, `Unsupported`, `TimedOut`."""
        if os.geteuid() != 0:
            raise Denied("The host's tools need root; run this with sudo, or enter inside the container's confinement.")
        self._master, slave = os.openpty()
        here, there = socket.socketpair()
        with here:
            try:
                self.resize(*size)
                self._launcher = subprocess.Popen(
                    [*_program("entrance"), str(there.fileno())],
                    stdin=slave, stdout=slave, stderr=slave, pass_fds=(there.fileno(),), cwd="/",
                    start_new_session=True,
                )  # fmt: skip
            except BaseException:
                self._hang_up()
                raise
            finally:
                os.close(slave)
                there.close()
            try:
                kinds = namespaces_of(entry)
                self._started = _start(
                    here, Request(init.pid, init.started, command, dict(environment), kinds, entry.full_rights)
                )
            except BaseException:
                self._hang_up()
                self._launcher.kill()
                with suppress(subprocess.TimeoutExpired):  # it may wait for a file system of the container
                    self._launcher.wait(SETTLE_S)
                raise
        os.set_blocking(self._master, False)
        self.exited: int | None = os.pidfd_open(self._launcher.pid)
        """Becomes readable when the program has exited."""

    def fileno(self) -> int:
        return self._master

    def pending(self) -> bool:
        return False

    def read(self) -> bytes:
        """Returns output; empty when no process has the terminal open (EIO)."""
        try:
            select.select([self._master], [], [])
            return os.read(self._master, _READ_BYTES)
        except OSError:
            return b""

    def write(self, data: bytes) -> None:
        """Writes keys. Raises BlockingIOError if the program does not read them."""
        try:
            written = os.write(self._master, data)
        except BlockingIOError:
            written = 0
        if written < len(data):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), written)

    def resize(self, rows: int, columns: int) -> None:
        """Sets the terminal's size; the kernel sends SIGWINCH (man 2 TIOCSWINSZ)."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def end(self, has_left: bool) -> SessionEnd:
        """Hangs up the terminal and returns how the session ended."""
        self._hang_up()
        status: int | None = None
        with suppress(subprocess.TimeoutExpired):
            status = self._launcher.wait(SETTLE_S)
        pids = wait_for(self._pids, lambda found: not found, SETTLE_S)
        if not pids and self._started.cgroup:
            wait_for(lambda: _removed(self._started.cgroup), bool, SETTLE_S)
        return SessionEnd(status, *left_behind(pids))

    def _pids(self) -> frozenset[int]:
        if self._started.cgroup:
            return frozenset(members_below(self._started.cgroup))
        return members_of_session(self._started.pid)

    def _hang_up(self) -> None:
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def close(self) -> None:
        self._hang_up()
        if self.exited is not None:
            os.close(self.exited)
            self.exited = None


def _program(name: str) -> list[str]:
    file = Path(containerlab_probes.kernel.__path__[0], f"{name}.py")
    return [sys.executable, "-I", "-S", "-X", "utf8", str(file)]


def _start(launcher: socket.socket, request: Request) -> Started:
    """Returns what the launcher reports. Raises its error, and `TimedOut` without a report."""
    launcher.settimeout(_START_LIMIT_S)
    try:
        launcher.sendall(request.line())
        line = launcher.recv(_REPORT_BYTES)
    except TimeoutError as error:
        raise TimedOut("The container could not be entered in time.") from error
    except OSError:
        line = b""
    if not line:
        raise Gone("The container could not be entered: it has exited.")
    return parse_report(line.decode("utf-8", "replace"))


def _removed(cgroup: str) -> bool:
    try:
        os.rmdir(cgroup)
    except OSError:
        return not os.path.exists(cgroup)
    return True
