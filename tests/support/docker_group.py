"""The program as a user in the docker group has it: `python -m tests.support.docker_group SOCKET`, started as root.

The process becomes a user without rights who is in the group of the socket, and then answers each line on its standard
input with one line of JSON; with words after the socket, it runs them as a command of containerlab-tui instead. The
socket of a rootless engine belongs to its user alone: there it becomes that user.
"""

import importlib
import json
import os
import pkgutil
import shutil
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import containerlab_probes
import containerlab_tui
from containerlab_probes.signals.names import number_of
from containerlab_tui.cli import main
from containerlab_tui.doctor.programs import catalogue
from containerlab_tui.engine.connection import connect
from containerlab_tui.present import doctor_documents, documents
from containerlab_tui.services.diagnosis import doctor
from containerlab_tui.services.processes import forecasts, see_processes
from tests.support.pseudoterminal import Pseudoterminal

NOBODY = 65534
GROUP = 64999
"""Stands for the group docker."""

Answer = dict[str, object]
_ENVIRONMENT = os.environ | {
    "PYTHONPATH": ":".join((str(Path(__file__).parents[2]), *sys.path)), "HOME": "/nonexistent",
}  # fmt: skip


class _Relay(socketserver.ThreadingUnixStreamServer):
    """Passes connections on to an engine: its own socket may be open to root alone, in a folder of root."""

    daemon_threads = True

    def __init__(self, engine: str, user: int) -> None:
        self.engine = engine
        self.folder = tempfile.mkdtemp(prefix="cl-")
        self.path = f"{self.folder}/docker.sock"
        os.chmod(self.folder, 0o711)  # noqa: S103  anybody may reach the socket
        super().__init__(self.path, _Connection)
        os.chown(self.path, user, GROUP)
        os.chmod(self.path, 0o660)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def server_close(self) -> None:
        super().server_close()
        shutil.rmtree(self.folder)


class _Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _Relay)
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect(self.server.engine)
            back = threading.Thread(target=_copy, args=(engine, self.request))
            back.start()
            _copy(self.request, engine)
            back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return  # the other end has closed


class DockerGroup:
    """A child process of such a user. Its methods may be called from several threads."""

    def __init__(self, engine_host: str) -> None:
        """Starts it for the engine at a Unix socket."""
        self._lock = threading.Lock()
        path = engine_host.removeprefix("unix://")
        owner = os.stat(path).st_uid
        self.is_owner = owner != 0
        """Whether it is the user of a rootless engine, who may read all about processes of that user."""
        self._relay = _Relay(path, owner)
        self._child = subprocess.Popen(
            self._command(()), env=_ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )  # fmt: skip

    def close(self) -> None:
        """Ends the child."""
        assert self._child.stdin
        assert self._child.stdout
        self._child.stdin.close()
        self._child.wait(60)
        self._child.stdout.close()
        self._relay.shutdown()
        self._relay.server_close()

    def doctor(self, container: str) -> Answer:
        """Returns the document of `doctor NAME`."""
        return self._ask("doctor", container)

    def forecast(self, container: str) -> Answer:
        """Returns the document of `forecast NAME`."""
        return self._ask("forecast", container)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs a command of containerlab-tui as that user."""
        return subprocess.run(
            self._command(words), env=_ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip

    def at_terminal(self, *words: str) -> Pseudoterminal:
        """Starts a command of containerlab-tui as that user at a terminal."""
        return Pseudoterminal(self._command(words), _ENVIRONMENT | {"TERM": "xterm"})

    def _command(self, words: tuple[str, ...]) -> tuple[str, ...]:
        return (sys.executable, "-m", "tests.support.docker_group", self._relay.path, *words)

    def _ask(self, *words: str) -> Answer:
        assert self._child.stdin
        assert self._child.stdout
        with self._lock:
            self._child.stdin.write(" ".join(words) + "\n")
            self._child.stdin.flush()
            answer: Answer = json.loads(self._child.stdout.readline() or '{"error": "the child has exited"}')
        assert "error" not in answer, answer
        return answer


@contextmanager
def docker_group(engine_host: str) -> Iterator[DockerGroup]:
    """Yields such a child and ends it."""
    with closing(DockerGroup(engine_host)) as made:
        yield made


def drop_rights(group: int, user: int = NOBODY) -> None:
    """Becomes a user whose only right is this group."""
    os.setgroups([group])
    os.setgid(user)
    os.setuid(user)


def _answer(host: str, question: str, container: str) -> Answer:
    with closing(connect(host)) as engine:
        if question == "doctor":
            return doctor_documents.document(doctor(engine, container))
        details = engine.inspect(container)
        seen, unread = see_processes(engine, details)
        return documents.forecasts(container, forecasts(seen, number_of(details.stop_signal)), unread)


def _load_all() -> None:
    """Imports what an answer may need: the folders of the program and of Python may be closed to other users."""
    for package in (containerlab_probes, containerlab_tui):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if (
                not module.name.startswith(("containerlab_tui.ui", "containerlab_tui.lab"))
                and "__main__" not in module.name
            ):
                importlib.import_module(module.name)
    importlib.import_module("configparser")
    importlib.import_module("encodings.utf_16_le")
    importlib.import_module("encodings.idna")
    catalogue.entries()


if __name__ == "__main__":
    _load_all()
    about = os.stat(sys.argv[1])
    drop_rights(about.st_gid, about.st_uid or NOBODY)
    if sys.argv[2:]:
        sys.exit(main(["--host", f"unix://{sys.argv[1]}", *sys.argv[2:]]))
    for line in sys.stdin:
        try:
            found = _answer(f"unix://{sys.argv[1]}", *line.split())
        except Exception as error:  # noqa: BLE001  the test says which
            found = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(found), flush=True)
