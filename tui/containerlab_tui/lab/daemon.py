"""Starts, finds and stops the lab's dockerd, which has its own socket, data, log and containerd namespaces.

A daemon is identified by the data root in its command line, read after its pidfd was opened, so a stale pid file is
never mistaken for a daemon. Signals go through pidfds only.
"""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from containerlab_probes.errors import ContainerlabError, Denied, Gone, TimedOut, Unreachable, Unsupported
from containerlab_probes.processes.load import psutil_errors
from containerlab_tui import directories
from containerlab_tui.engine import http
from containerlab_tui.engine.endpoint import Endpoint

SOCKET_ROOM = 104 - len("exec/containerd/containerd-debug.sock")
"""Longest path of the runtime directory with a slash, in bytes: containerd refuses socket paths of more than 104
(containerd sys/socket_unix.go; unix(7) itself allows 107)."""
READY_WITHIN_S = 60.0
ENDED_WITHIN_S = 30.0
_LOG_END_BYTES = 64 * 1024
"""Bytes of the daemon's log that are searched for its last lines; containers can make it long."""
SYSTEM_PATHS = ("/usr/sbin", "/usr/local/sbin", "/sbin")


@dataclass(frozen=True, slots=True)
class Places:
    """The directories of the lab's daemon. `state` survives a reboot, `runtime` need not."""

    state: Path
    runtime: Path

    @property
    def data(self) -> Path:
        return self.state / "data"

    @property
    def pid_file(self) -> Path:
        return self.state / "docker.pid"

    @property
    def log(self) -> Path:
        return self.state / "dockerd.log"

    @property
    def socket(self) -> Path:
        return self.runtime / "docker.sock"


@dataclass(frozen=True, slots=True)
class Running:
    """A daemon that was alive when its pidfd was opened. The receiver closes the pidfd."""

    pid: int
    pidfd: int
    socket: str

    def ended(self, within_s: float = 0.0) -> bool:
        """Returns whether it exits within that time."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(within_s * 1000))


@contextmanager
def found(places: Places) -> Iterator[Running | None]:
    """Yields the lab's daemon if it runs, with the socket it was started with."""
    with _process(places.pid_file) as (pid, pidfd, arguments):
        if arguments and Path(arguments[0]).name == "dockerd" and _option(arguments, "data-root") == str(places.data):
            yield Running(pid, pidfd, _option(arguments, "host").removeprefix("unix://"))
        else:
            yield None


@contextmanager
def _process(pid_file: Path) -> Iterator[tuple[int, int, list[str]]]:
    """Yields the pid in a file, a pidfd of that process and its command line; pid 0 if there is none.

    The command line belongs to the pidfd: the process was still running after reading it. The pidfd is checked because
    psutil's is_running is true for a zombie too.
    """
    pidfd = -1
    try:
        pid = int(pid_file.read_text())
        pidfd = os.pidfd_open(pid)
        arguments = _command_line(pid)
        if Running(pid, pidfd, "").ended():
            pid, arguments = 0, []
    except (OSError, ValueError, OverflowError, Gone, Denied):
        pid, arguments = 0, []
    try:
        yield pid, pidfd, arguments
    finally:
        if pidfd >= 0:
            os.close(pidfd)


def _command_line(pid: int) -> list[str]:
    with psutil_errors(pid):
        import psutil

        return psutil.Process(pid).cmdline()


def _option(arguments: list[str], name: str) -> str:
    prefix = f"--{name}="
    return next((each.removeprefix(prefix) for each in arguments if each.startswith(prefix)), "")


def _find_program(name: str) -> str | None:
    return shutil.which(name, path=_search_path())


def ensure(places: Places, find_program: Callable[[str], str | None] = _find_program) -> bool:
    """Makes sure that the daemon runs and responds. Returns whether it was started. An unresponsive one is replaced.

    Raises Denied without root, Unsupported without dockerd, Unreachable with the end of its log if it exits.
    """
    with found(places) as running:
        if running is not None:
            if _answers(running, READY_WITHIN_S / 4):
                return False
            _end(running)
    _start(places, _program(places, find_program))
    return True


def _start(places: Places, program: str) -> None:
    for each in (places.state, places.runtime):
        directories.own(each, create=True)
    places.pid_file.unlink(missing_ok=True)  # its daemon has exited, or it names another process
    _clear_containerd(places)
    settings = places.state / "daemon.json"
    settings.write_text("{}\n")
    with places.log.open("wb") as log:
        process = subprocess.Popen(
            (program, *_arguments(places, settings)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=_environment(),
            start_new_session=True,
        )
    pidfd = os.pidfd_open(process.pid)
    try:
        running = Running(process.pid, pidfd, str(places.socket))
        if not _answers(running, READY_WITHIN_S):
            _end(running)
            raise Unreachable(f"The lab's engine did not start; its log {places.log} ends with: {last_words(places)}")
    finally:
        os.close(pidfd)
    places.socket.chmod(0o600)
    process.returncode = 0  # it keeps running: avoids the warning when the object is freed


def _clear_containerd(places: Places) -> None:
    """Stops the containerd of an exited dockerd and removes its pid file.

    It exits after its dockerd, with a delay; and a new dockerd takes any process with that number for its containerd,
    even a zombie, and waits for it in vain (moby libcontainerd/supervisor/remote_daemon.go).
    """
    pid_file = places.runtime / "exec" / "containerd" / "containerd.pid"
    with _process(pid_file) as (pid, pidfd, arguments):
        if pid and any(each.startswith(f"{pid_file.parent}/") for each in arguments):
            _end(Running(pid, pidfd, ""))
    pid_file.unlink(missing_ok=True)


def _program(places: Places, find_program: Callable[[str], str | None]) -> str:
    """Returns dockerd's path after checking the requirements."""
    if os.geteuid() != 0:
        raise Denied("The lab starts its own engine, which needs root. Run the same command with sudo.")
    program = find_program("dockerd")
    if program is None:
        raise Unsupported(
            "The lab needs dockerd, which is not installed: install the package docker.io "
            "(`apt-get install docker.io`; `make run` in a checkout does it) and try again."
        )
    size = len(os.fsencode(places.runtime)) + 1
    if size > SOCKET_ROOM:
        raise Unsupported(
            f"The path {places.runtime} has {size} bytes with its slash; sockets below it allow at most {SOCKET_ROOM}. "
            "Set XDG_RUNTIME_DIR to a shorter path."
        )
    return program


def _environment() -> dict[str, str]:
    """Returns a minimal environment: the daemon survives this session, and runc would write to its XDG_RUNTIME_DIR."""
    kept = {
        key: value for key, value in os.environ.items() if key.lower().endswith("_proxy") or key in ("HOME", "LANG")
    }
    return kept | {"PATH": _search_path()}


def _search_path() -> str:
    return os.pathsep.join((os.environ.get("PATH", "/usr/bin:/bin"), *SYSTEM_PATHS))


def _arguments(places: Places, settings: Path) -> Iterator[str]:
    """Yields dockerd's arguments: no bridge, no packet filter rules, nothing shared with another engine."""
    yield f"--config-file={settings}"
    yield f"--data-root={places.data}"
    yield f"--exec-root={places.runtime / 'exec'}"
    yield f"--pidfile={places.pid_file}"
    yield f"--host=unix://{places.socket}"
    yield "--group=root"
    yield "--containerd-namespace=containerlab"
    yield "--containerd-plugins-namespace=containerlab-plugins"
    yield from ("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false")
    yield "--log-level=warn"


def _answers(running: Running, within_s: float) -> bool:
    """Returns whether it responds within that time and before it exits."""
    deadline = time.monotonic() + within_s
    while not _ping(running.socket, max(deadline - time.monotonic(), 0.1)):
        if time.monotonic() > deadline or running.ended(0.02):
            return False
    return True


def _ping(path: str, limit_s: float) -> bool:
    try:
        http.get(Endpoint(f"unix://{path}"), "/_ping", "ping the engine", limit_s)
    except ContainerlabError:
        return False
    return True


def last_words(places: Places, lines: int = 4) -> str:
    """Returns the end of the daemon's log on one line."""
    try:
        with places.log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_END_BYTES))
            text = log.read(_LOG_END_BYTES).decode("utf-8", "replace")
    except OSError as error:
        return f"it can't be read ({error.strerror})"
    return " / ".join(line.strip() for line in text.splitlines()[-lines:]) or "it is empty"


def end(places: Places) -> bool:
    """Stops the daemon and all its containers. Returns whether there was one. Raises TimedOut."""
    with found(places) as running:
        if running is None:
            return False
        _end(running)
    for each in (places.pid_file, places.socket):
        each.unlink(missing_ok=True)
    return True


def _end(running: Running) -> None:
    for number, limit_s in ((signal.SIGTERM, ENDED_WITHIN_S), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(running.pidfd, number)
        if running.ended(limit_s):
            return
    raise TimedOut(f"The lab's engine (process {running.pid}) did not exit, even after SIGKILL.")
