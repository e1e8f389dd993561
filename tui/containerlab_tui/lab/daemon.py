"""The lab's dockerd: started, found again, ended. It has its own socket, data, log and containerd namespaces.

A daemon is known by its command line, which names the lab's data root, read after its pidfd was opened: a pid file
that was left behind, or whose number now belongs to somebody else, is no daemon. Nothing here signals a number.
"""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from containerlab_probes.errors import ContainerlabError, Denied, Gone, TimedOut, Unreachable, Unsupported
from containerlab_probes.processes.load import psutil_errors
from containerlab_tui.engine import http
from containerlab_tui.engine.endpoint import Endpoint

SOCKET_ROOM = 104 - len("exec/containerd/containerd-debug.sock")
"""Bytes that the runtime directory's path and a slash may have: containerd refuses socket paths of more than 104
(containerd sys/socket_unix.go; unix(7) itself allows 107)."""
READY_WITHIN_S = 60.0
ENDED_WITHIN_S = 30.0
SYSTEM_PATHS = ("/usr/sbin", "/usr/local/sbin", "/sbin")


@dataclass(frozen=True, slots=True)
class Places:
    """Where the lab's daemon keeps what it has. `state` outlives a reboot, `runtime` need not."""

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
    """A daemon that was alive when its pidfd was opened. The pidfd is closed by whoever got this."""

    pid: int
    pidfd: int
    socket: str

    def ended(self, within_s: float = 0.0) -> bool:
        """Whether it has ended, or does within that time."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(within_s * 1000))


@contextmanager
def found(places: Places) -> Iterator[Running | None]:
    """The lab's daemon if it runs. Its socket is the one it was started with, wherever the lab would put it now."""
    with _process(places.pid_file) as (pid, pidfd, arguments):
        if arguments and Path(arguments[0]).name == "dockerd" and _option(arguments, "data-root") == str(places.data):
            yield Running(pid, pidfd, _option(arguments, "host").removeprefix("unix://"))
        else:
            yield None


@contextmanager
def _process(pid_file: Path) -> Iterator[tuple[int, int, list[str]]]:
    """The pid that a file names, a pidfd of that process and its command line; 0 for the pid where there is none.

    The command line belongs to the pidfd: that process was still there after it was read. psutil's is_running says so
    of a zombie too, so the pidfd is asked.
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


def ensure(places: Places) -> bool:
    """Have the daemon running and answering; whether it had to be started. One that doesn't answer is replaced.

    Raises Denied without root, Unsupported without dockerd, Unreachable with the daemon's last words where it ends.
    """
    with found(places) as running:
        if running is not None:
            if _answers(running, READY_WITHIN_S / 4):
                return False
            _end(running)
    _start(places)
    return True


def _start(places: Places) -> None:
    program = _program(places)
    for each in (places.state, places.runtime):
        each.mkdir(parents=True, exist_ok=True, mode=0o700)
    places.pid_file.unlink(missing_ok=True)  # its daemon has ended, or it names a stranger
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
            raise Unreachable(f"The lab's engine did not start; its log {places.log} ends: {last_words(places)}")
    finally:
        os.close(pidfd)
    places.socket.chmod(0o600)
    process.returncode = 0  # it is meant to live on: no warning from the object's end


def _clear_containerd(places: Places) -> None:
    """End the containerd of a dockerd that has ended, and remove its pid file.

    It dies with its dockerd, but not at once; and dockerd takes any process with that number for its containerd, a
    zombie too, and waits for it in vain (moby libcontainerd/supervisor/remote_daemon.go).
    """
    pid_file = places.runtime / "exec" / "containerd" / "containerd.pid"
    with _process(pid_file) as (pid, pidfd, arguments):
        if pid and any(each.startswith(f"{pid_file.parent}/") for each in arguments):
            _end(Running(pid, pidfd, ""))
    pid_file.unlink(missing_ok=True)


def _program(places: Places) -> str:
    """dockerd's path, after a look at what would stand in its way."""
    if os.geteuid() != 0:
        raise Denied("The lab starts an engine of its own, which needs root: run the same command with sudo.")
    program = shutil.which("dockerd", path=_search_path())
    if program is None:
        raise Unsupported(
            "The lab needs dockerd, which is not installed: install the package docker.io "
            "(`apt-get install docker.io`; `make run` in a checkout does it) and try again."
        )
    size = len(os.fsencode(places.runtime)) + 1
    if size > SOCKET_ROOM:
        raise Unsupported(
            f"The path {places.runtime} has {size} bytes with its slash, and sockets below it allow {SOCKET_ROOM}: "
            "set XDG_RUNTIME_DIR to a directory with a shorter name."
        )
    return program


def _environment() -> dict[str, str]:
    """Little: the daemon outlives its starter's session, and runc puts files below an XDG_RUNTIME_DIR that it gets."""
    kept = {
        key: value for key, value in os.environ.items() if key.lower().endswith("_proxy") or key in ("HOME", "LANG")
    }
    return kept | {"PATH": _search_path()}


def _search_path() -> str:
    return os.pathsep.join((os.environ.get("PATH", "/usr/bin:/bin"), *SYSTEM_PATHS))


def _arguments(places: Places, settings: Path) -> Iterator[str]:
    """No bridge and no packet filter rules; nothing shared with another engine of this host."""
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
    """Whether it answers before it ends and before that time is over."""
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
    """The end of the daemon's log on one line."""
    try:
        text = places.log.read_text(errors="replace")
    except OSError as error:
        return f"it can't be read ({error.strerror})"
    return " / ".join(line.strip() for line in text.splitlines()[-lines:]) or "it is empty"


def end(places: Places) -> bool:
    """End the daemon and with it what its containers still run; whether there was one. Raises TimedOut."""
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
    raise TimedOut(f"The lab's engine (process {running.pid}) does not end, not even on SIGKILL.")
