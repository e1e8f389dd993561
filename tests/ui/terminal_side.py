"""Runs on the other side of a pseudoterminal in the tests: one call of services.terminal or services.enter.

`python -m tests.ui.terminal_side attach|attach-tty|attach-flood|attach-deaf|attach-closed|enter PID` joins a small
program, or enters the namespaces of a process. It exits with the status that the call returned.
"""

import os
import socket
import subprocess
import sys
from pathlib import Path

from containerlab_probes.errors import ContainerlabError, Gone
from containerlab_tui.model.entry import Entry, Way
from containerlab_tui.model.inventory import Details
from containerlab_tui.model.product import DOCKER, PODMAN, Product
from containerlab_tui.services import enter, terminal
from tests.support.docker import eventually
from tests.support.engine import UNRESTRICTED, details

FLOOD = r"""
import os, time
os.write(1, b"program: ready ")
line = b"\x1b]0;owned\x07\x1b[?1000h" + b"flood " * 1000 + b"\n"
ends = time.monotonic() + 60
while time.monotonic() < ends:
    os.write(1, line)
"""
DEAF = r"""
import os, time
os.write(1, b"program: ready ")
time.sleep(60)
"""
CLOSED = r"""
import os, socket, time
socket.socket(fileno=os.dup(0)).shutdown(socket.SHUT_RD)
os.write(1, b"program: ready ")
time.sleep(60)
"""
PROGRAM = r"""
import os, signal
signal.signal(signal.SIGINT, lambda *_: os.write(1, b"program: SIGINT\n"))
os.write(1, b"program: ready \x1b]0;owned\x07 \xc3\xa9\n")
while data := os.read(0, 100):
    os.write(1, b"program: got " + repr(data).encode() + b"\n")
    if b"end" in data:
        raise SystemExit(7)
"""


class Streams:
    """One end of a socket pair, in place of the engine's attached streams."""

    def __init__(self, end: socket.socket, tty: bool) -> None:
        self._end, self.tty = end, tty

    def fileno(self) -> int:
        return self._end.fileno()

    def read(self) -> bytes:
        return self._end.recv(4096)

    def write(self, data: bytes) -> None:
        try:
            self._end.sendall(data)
        except OSError as error:  # as engine.streams
            raise Gone("The container no longer accepts input.") from error

    def close(self) -> None:
        self._end.close()


class Engine:
    """The part of an engine that attaching uses."""

    local = True

    def __init__(self, tty: bool, program: str = PROGRAM, product: Product = DOCKER) -> None:
        self.product = product
        here, there = socket.socketpair()
        self._streams = Streams(here, tty)
        command = ("unshare", "--pid", "--fork", "--kill-child", sys.executable, "-c", program)
        self.program = subprocess.Popen(command, stdin=there.fileno(), stdout=there.fileno(), start_new_session=True)
        there.close()
        children = Path(f"/proc/{self.program.pid}/task/{self.program.pid}/children")
        self.pid = int(eventually(children.read_text, "the program is PID 1 of its namespace"))

    def attach(self, container: str) -> Streams:
        return self._streams

    def wait(self, container: str, timeout_s: float) -> int:
        return self.program.wait(timeout_s)


def lent(pid: int, tty: bool = False) -> Details:
    """Returns a running container with this PID 1 and a hostile name."""
    return details(name="lent\x1b]0;x\x07", pid=pid, tty=tty, open_input=True)


class Inspected:
    """The part of an engine that entering with the host's tools uses."""

    local = True

    def __init__(self, answer: Details) -> None:
        self._answer = answer

    def inspect(self, container: str) -> Details:
        return self._answer


def _enter(subject: Details) -> int:
    visit = enter.enter(Inspected(subject), subject, Entry(Way.HOST_TOOLS), UNRESTRICTED)  # type: ignore[arg-type]
    print("\n".join(visit.sentences), flush=True)
    return visit.status


def main(what: str, pid: str = "0") -> int:
    """Makes the call."""
    print("modes are to be noted now", flush=True)
    os.read(0, 100)
    try:
        if what == "enter":
            return _enter(lent(int(pid)))
        attackers = {"attach-flood": FLOOD, "attach-deaf": DEAF, "attach-closed": CLOSED}
        product = PODMAN if what == "attach-podman" else DOCKER
        engine = Engine(what == "attach-tty", attackers.get(what, PROGRAM), product)
        try:
            return terminal.attach(engine, lent(engine.pid, engine._streams.tty))  # type: ignore[arg-type]
        finally:
            engine.program.kill()
            engine.program.wait()
    except ContainerlabError as error:
        print(f"error: {error}", flush=True)
        return 99


if __name__ == "__main__":
    status = main(*sys.argv[1:])
    print("the call is over", flush=True)
    os.read(0, 100)
    sys.exit(status)
