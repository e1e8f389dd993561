"""Runs one program in the namespaces and cgroups of a container's PID 1, with at most that process's capabilities.

This is a separate program (`python -I -S FILE DESCRIPTOR`), because its caller has threads and entering a PID namespace
needs a fork. Its standard streams are the session's pseudoterminal. The descriptor is a socket: the caller writes one
line of JSON, the request, and gets one: the program's PID and the cgroup that lists its descendants, or why it could
not start. It waits outside the container and exits with the program's status.

A container could take over what it can trace. So this process stays outside the container's PID namespace, and its
child can't be traced before it has executed the program, unless the container may have CAP_SYS_PTRACE. A program with
the host's files must not be visible in the container with rights that the container has as well. What would break this
is refused, unless full rights are asked for.
"""

import contextlib
import errno
import fcntl
import json
import os
import signal
import sys
import termios
from dataclasses import asdict, dataclass
from io import FileIO
from os.path import dirname
from typing import NoReturn

if not __package__:
    sys.path.insert(0, dirname(dirname(dirname(__file__))))

from containerlab_probes.errors import BY_KIND, ContainerlabError, Denied
from containerlab_probes.kernel import confinement, procfs
from containerlab_probes.kernel.confinement import Limits
from containerlab_probes.kernel.files import read_status, read_text
from containerlab_probes.kernel.libc import last_failure, libc
from containerlab_probes.kernel.mounts import read_mounts
from containerlab_probes.kernel.os_errors import failure
from containerlab_probes.kernel.rootfs import open_root

CANNOT_RUN = 127
"""Exit status if the program could not be started, as of a shell."""
_MOST_FILES = 1 << 20
_OTHERWISE = "enter inside its confinement, or with full rights."


@dataclass(frozen=True, slots=True)
class Request:
    """Which program to run, and where."""

    pid: int
    """PID 1 of the container, as the host sees it."""
    started: int
    """Its start time in clock ticks, so that no other process is taken for it."""
    argv: tuple[str, ...]
    environment: dict[str, str]
    namespaces: tuple[str, ...]
    """Names in /proc/PID/ns. `mnt` includes the root directory."""
    full_rights: bool
    """Keep all capabilities, and ignore no_new_privs of PID 1."""

    def line(self) -> bytes:
        """Returns it as a line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"


def parse_request(line: bytes) -> Request:
    """Parses what `Request.line` returned."""
    fields = json.loads(line)
    return Request(**fields | {name: tuple(fields[name]) for name in ("argv", "namespaces")})


@dataclass(frozen=True, slots=True)
class Started:
    """A program that runs."""

    pid: int
    """As the host sees it. It leads a session."""
    cgroup: str
    """Directory of the cgroup that lists it and all its descendants; empty if none could be created."""


def parse_report(line: str) -> Started:
    """Parses the line that the caller gets. Raises the error in it."""
    found = json.loads(line)
    if "error" in found:
        raise BY_KIND[found["kind"]](found["error"])
    return Started(found["pid"], found["cgroup"])


@dataclass(frozen=True, slots=True)
class _Opened:
    """Everything of PID 1 that is opened before its namespaces are entered."""

    limits: Limits
    root: int
    namespaces: dict[str, int]
    """Name in /proc/PID/ns -> descriptor; only those that differ from this process's."""
    cgroups: tuple[int, ...]
    """Descriptors of cgroup.procs."""
    marked: str


def main(descriptor: int) -> int:
    """Enters, waits and returns the program's exit status."""
    os.set_inheritable(descriptor, False)
    marked = ""
    with os.fdopen(descriptor, "r+b", buffering=0) as caller:
        try:
            confinement.hide_from_tracers()
            request = parse_request(_line(caller))
            target = _open(request)
            marked = target.marked
            child = _fork(request, target)
        except ContainerlabError as error:
            _remove(marked)
            caller.write(json.dumps({"error": str(error), "kind": error.kind}).encode() + b"\n")
            return CANNOT_RUN
        caller.write(json.dumps({"pid": child, "cgroup": marked}).encode() + b"\n")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):  # the pseudoterminal ends with the session
        os.dup2(nothing, stream)
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    _remove(marked)
    return status if status >= 0 else 128 - status


def _remove(cgroup: str) -> None:
    """Removes the added cgroup unless processes are left in it."""
    with contextlib.suppress(OSError):
        os.rmdir(cgroup)


def _line(caller: FileIO) -> bytes:
    data = b""
    while not data.endswith(b"\n") and (part := caller.read(65536)):
        data += part
    return data


def _open(request: Request) -> _Opened:
    """Opens what the child needs. Raises `Gone`, also if the process is another one by now, and `Denied`."""
    pid = request.pid
    root = open_root(pid)
    namespaces: dict[str, int] = {}
    for kind in request.namespaces:
        path = f"/proc/{pid}/ns/{kind}"
        try:
            if os.stat(path).st_ino != os.stat(f"/proc/self/ns/{kind}").st_ino:
                namespaces[kind] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise failure(error, f"open the {kind} namespace of process {pid}") from error
    limits = confinement.parse_limits(read_status(f"/proc/{pid}"))
    paths = procfs.parse_cgroups(read_text(f"/proc/{pid}/cgroup"))
    if procfs.parse_stat(read_text(f"/proc/{pid}/stat")).started != request.started:
        raise failure(errno.ESRCH, f"enter the container of process {pid}", missing="it has exited")
    if not request.full_rights:
        _refuse_tracers(request, limits, "pid" in namespaces or _shares_pids(pid))
    directories = confinement.cgroup_directories(paths, read_mounts())
    marked = confinement.add_cgroup(directories, f"containerlab-enter-{os.getpid()}")
    cgroups = []
    for directory in directories.values():
        try:
            cgroups.append(os.open(f"{directory}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC))
        except OSError as error:
            raise failure(error, f"open the cgroup {directory}") from error
    return _Opened(limits, root, namespaces, tuple(cgroups), marked)


def _shares_pids(pid: int) -> bool:
    """Returns whether a process is in this process's PID namespace."""
    return os.stat(f"/proc/{pid}/ns/pid").st_ino == os.stat("/proc/self/ns/pid").st_ino


def _refuse_tracers(request: Request, limits: Limits, is_visible: bool) -> None:
    """Raises Denied if the container could take over the program. `is_visible`: it sees the program's PID."""
    if is_visible and limits.allows_tracing:
        raise Denied(f"The container may have CAP_SYS_PTRACE, so it could take over what enters it: {_OTHERWISE}")
    if is_visible and "mnt" not in request.namespaces:
        raise Denied(f"The container shares the host's PID namespace, so it could get the host's files: {_OTHERWISE}")


def _fork(request: Request, target: _Opened) -> int:
    """Returns the PID of a child that becomes the program, once it has executed it. Raises its error."""
    pid_namespace = target.namespaces.pop("pid", None)
    if pid_namespace is not None:
        _join("pid", pid_namespace)
    reader, writer = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        _become(request, target, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as answers:
        answer = answers.read(65536)
    if answer:
        os.waitpid(child, 0)
        kind, _, sentence = answer.decode().partition(" ")
        raise BY_KIND[kind](sentence)
    return child


def _become(request: Request, target: _Opened, answers: int) -> NoReturn:
    try:
        _prepare(request, target)
        os.closerange(3, answers)
        os.closerange(answers + 1, _MOST_FILES)
        _execute(request)
    except ContainerlabError as error:
        os.write(answers, f"{error.kind} {error}".encode("utf-8", "replace"))
    except OSError as error:
        os.write(answers, f"{Denied.kind} {failure(error, 'enter the container')}".encode("utf-8", "replace"))
    finally:
        os._exit(CANNOT_RUN)


def _execute(request: Request) -> NoReturn:
    """Executes the program, found by the PATH of its environment. Raises the error if it can't be executed.

    os.execvpe would do the same, but imports a module: from here on that would be a file of the container.
    """
    name = request.argv[0]
    folders = [""] if "/" in name else [f"{one}/" for one in request.environment.get("PATH", "").split(":") if one]
    refusal = OSError(errno.ENOENT, "")
    for folder in folders:
        try:
            os.execve(f"{folder}{name}", request.argv, request.environment)  # noqa: S606  # nosec B606 # no shell on purpose
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                refusal = error
    raise failure(refusal, f"run {name}", missing="no such program", denied="not executable")


def _prepare(request: Request, target: _Opened) -> None:
    """Enters everything and drops the rights, in the child."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    for cgroup in target.cgroups:
        try:
            os.write(cgroup, b"0")  # the writer
        except OSError as error:
            raise failure(error, "join a cgroup of the container") from error
    user = target.namespaces.pop("user", None)
    for kind, namespace in target.namespaces.items():
        _join(kind, namespace)
    if "mnt" in request.namespaces:
        os.fchdir(target.root)
        os.chroot(".")
    os.chdir("/")
    if user is not None:  # the last one: it takes away the host's rights
        _join("user", user)
    with contextlib.suppress(PermissionError):  # a user namespace may forbid it (man 7 user_namespaces)
        os.setgroups(())
    os.setgid(0)
    os.setuid(0)
    os.umask(0o022)
    for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    if not request.full_rights:
        confinement.drop_to(target.limits)


def _join(kind: str, namespace: int) -> None:
    if libc.setns(namespace, 0) != 0:
        raise last_failure(f"enter the {kind} namespace of the container")


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
