"""Namespaces of a process: their identity, a command that runs in them, a visit of one thread."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from containerlab_probes.errors import BadRequest
from containerlab_probes.kernel.libc import last_failure, libc
from containerlab_probes.kernel.os_errors import failure

_NSENTER_OPTIONS = {
    "cgroup": "--cgroup",
    "ipc": "--ipc",
    "mnt": "--mount",
    "net": "--net",
    "pid": "--pid",
    "user": "--user",
    "uts": "--uts",
}
"""Name in /proc/PID/ns -> option of nsenter (man 1 nsenter)."""
_CLONE_NEWIPC = 0x08000000


def _path(pid: int | str, kind: str) -> str:
    if kind not in _NSENTER_OPTIONS:
        raise BadRequest(f"Unknown namespace {kind!r}; use one of {', '.join(_NSENTER_OPTIONS)}.")
    return f"/proc/{pid}/ns/{kind}"


def namespace_inode(pid: int, kind: str) -> int:
    """Returns the inode of /proc/PID/ns/KIND, which identifies a namespace (man 7 namespaces).

    `pid` is the host's number; 0 stands for the calling thread. Raises `Gone`, `Denied`, `BadRequest` (unknown kind).
    """
    try:
        return os.stat(_path(pid or "thread-self", kind)).st_ino
    except OSError as error:
        raise failure(error, f"read the {kind} namespace of process {pid}") from error


def nsenter_command(pid: int, kinds: Iterable[str], argv: Sequence[str]) -> list[str]:
    """Returns the command line that runs `argv` in those namespaces of a process (`mnt`, `uts`, `ipc`, `net`, `pid` …).

    nsenter comes from the package util-linux and is found by PATH. Raises `BadRequest` for an unknown kind.
    """
    options = []
    for kind in kinds:
        _path(pid, kind)
        options.append(_NSENTER_OPTIONS[kind])
    return ["nsenter", "--target", str(pid), *options, "--", *argv]


@contextmanager
def visit_ipc(pid: int) -> Iterator[int]:
    """Moves the calling thread into the IPC namespace of a process and back (man 2 setns); yields its inode.

    Only this thread moves, so only a program with one thread should call this. Raises `Gone` and `Denied` before the
    visit. A thread that can't return exits the program, so that no later call runs in the wrong namespace.
    """
    home = os.open("/proc/thread-self/ns/ipc", os.O_RDONLY | os.O_CLOEXEC)
    try:
        what = f"enter the IPC namespace of process {pid}"
        try:
            there = os.open(f"/proc/{pid}/ns/ipc", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise failure(error, what) from error
        try:
            if libc.setns(there, _CLONE_NEWIPC) != 0:
                raise last_failure(what)
            inode = os.fstat(there).st_ino
        finally:
            os.close(there)
        try:
            yield inode
        finally:
            if libc.setns(home, _CLONE_NEWIPC) != 0:
                raise SystemExit(f"Could not return from the IPC namespace of process {pid}.")
    finally:
        os.close(home)
