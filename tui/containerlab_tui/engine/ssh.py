"""Reaches an engine over ssh as the docker CLI does (docker/cli cli/connhelper): `ssh HOST docker system dial-stdio`.

The user's own ssh does the work, with its configuration, agent, known hosts and jump hosts. Each connection is one ssh
process with a socket of this program as its standard input and output. ssh asks for nothing (BatchMode), because the
terminal belongs to the UI; what it would have asked for becomes a sentence.
"""

import os
import shlex
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from containerlab_tui.engine import ssh_errors
from containerlab_tui.engine.errors import Explained

CONNECT_TIMEOUT_S = 20
"""ssh's own limit for a connection; below the limit for an answer, so that ssh says what is wrong."""
OPTIONS = (
    "-T",
    "-o", "BatchMode=yes",
    "-o", f"ConnectTimeout={CONNECT_TIMEOUT_S}",
    "-o", "ServerAliveInterval=15",
    "-o", "ServerAliveCountMax=3",
)  # fmt: skip
"""Without the last two a stream whose network went away would wait forever."""
ENDED_WITHIN_S = 10.0
"""ssh exits soon after it has closed its output."""
LEFT_WITHIN_S = 2.0
"""What ssh gets after the end of its input to pass on what it has read; then it is terminated."""
MESSAGE_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class SshTarget:
    """The parts of an ssh:// URL."""

    host: str
    user: str = ""
    port: int | None = None
    socket: str = ""
    """The engine's socket on that host; empty: what `docker` uses there."""

    def command(self) -> tuple[str, ...]:
        """Returns the ssh command of one connection. `--`: a host that begins with a hyphen is not an option."""
        docker = ["docker", f"--host=unix://{self.socket}"] if self.socket else ["docker"]
        return ("ssh", *self._where(), *OPTIONS, "--", self.host, shlex.join([*docker, "system", "dial-stdio"]))

    def example(self, *words: str) -> str:
        """Returns a command line with which the user can try the connection."""
        return shlex.join(("ssh", *self._where(), self.host, *words))

    def _where(self) -> tuple[str, ...]:
        return (*(("-l", self.user) if self.user else ()), *(("-p", str(self.port)) if self.port else ()))


def parse(url: str) -> SshTarget:
    """Returns the parts of `ssh://[USER@]HOST[:PORT][/SOCKET]`, which `endpoint` has checked."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    # urlsplit makes the host lower case, but aliases in ssh's configuration may have capitals.
    at = parts.netloc.rpartition("@")[2]
    start = at.lower().find(host)
    path = unquote(parts.path)
    return SshTarget(
        at[start : start + len(host)], unquote(parts.username or ""), parts.port, path if path.strip("/") else ""
    )


def dial(url: str) -> socket.socket:
    """Starts one connection and returns its socket; only its first answer shows whether ssh has got through.

    Raises Explained if ssh can't be started.
    """
    target = parse(url)
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)  # ssh must never wait for somebody to read its messages
    try:
        process = subprocess.Popen(
            target.command(), stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=writer, start_new_session=True
        )  # Ctrl+C in this terminal must not reach it
    except OSError as error:
        ours.close()
        os.close(reader)
        raise Explained(ssh_errors.not_started(url, error)) from error
    finally:
        theirs.close()
        os.close(writer)
    return SshSocket(ours, process, reader, url)


class SshSocket(socket.socket):
    """A socket to an ssh process. Reading and writing raise Explained when ssh has failed."""

    def __init__(self, stream: socket.socket, process: "subprocess.Popen[bytes]", messages: int, url: str) -> None:
        """Takes over the socket and the descriptor from which ssh's messages are read."""
        super().__init__(fileno=stream.detach())
        self._process, self._messages, self._url = process, messages, url
        self._answered = self._left = False

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        try:
            data = super().recv(size, flags)
        except ConnectionError as error:
            raise self._reason(error) from error
        self._check(len(data), size)
        return data

    def recv_into(self, buffer: bytearray | memoryview, nbytes: int = 0, flags: int = 0, /) -> int:  # type: ignore[override]
        try:
            count = super().recv_into(buffer, nbytes, flags)
        except ConnectionError as error:
            raise self._reason(error) from error
        self._check(count, len(buffer))
        return count

    def sendall(self, data: bytes, flags: int = 0, /) -> None:  # type: ignore[override]
        try:
            super().sendall(data, flags)
        except ConnectionError as error:
            raise self._reason(error) from error

    def shutdown(self, how: int, /) -> None:
        if how != socket.SHUT_RD:
            self._leave()
        super().shutdown(how)

    def _real_close(self) -> None:
        """Closes the descriptor, when nothing reads from it any more (CPython's Lib/socket.py)."""
        self._leave()
        super()._real_close()  # type: ignore[misc]

    def _check(self, count: int, wanted: int) -> None:
        if count:
            self._answered = True
        elif wanted and (failure := self._failure()) is not None:
            raise failure

    def _reason(self, error: ConnectionError) -> OSError:
        """Returns what ssh says, or an error like that one."""
        return self._failure() or type(error)(*error.args)

    def _failure(self) -> Explained | None:
        """Returns why ssh has ended; None if the engine or this program closed the connection."""
        if self._left:
            return None
        try:
            status = self._process.wait(ENDED_WITHIN_S)
        except subprocess.TimeoutExpired:
            return None
        if not status:
            return None
        said = b""
        with suppress(OSError):
            said = os.read(self._messages, MESSAGE_BYTES)
        target = parse(self._url)
        return Explained(ssh_errors.ended(self._url, target.example, status, said, answered=self._answered))

    def _leave(self) -> None:
        """Lets ssh pass on what was written, then ends it, in another thread: nobody waits for that."""
        if self._left:
            return
        self._left = True
        if sys.is_finalizing():  # starting a thread would wait forever; the end of its input ends ssh, too
            return
        threading.Thread(target=_end, args=(self._process, self._messages), name="ssh-end", daemon=True).start()


def _end(process: "subprocess.Popen[bytes]", messages: int) -> None:
    for end in (process.terminate, process.kill):
        try:
            process.wait(LEFT_WITHIN_S)
            break
        except subprocess.TimeoutExpired:
            end()
    else:
        process.wait()
    os.close(messages)
