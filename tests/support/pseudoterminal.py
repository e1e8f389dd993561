"""The user's terminal in a test: a program on a pseudoterminal, whose other side the test is."""

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence


class Pseudoterminal:
    """Starts a program as a terminal would, types keys, reads its output and answers the terminal's questions."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], answers: Mapping[bytes, bytes]) -> None:
        """`answers`: what the terminal sends back for each question in the output."""
        self._answers = dict(answers)
        self.pid, self._fd = pty.fork()
        if self.pid == 0:  # the child runs nothing else before exec
            os.execve(argv[0], list(argv), dict(environment))  # noqa: S606
        self.written = b""
        """Output that `see` has not passed yet."""
        self._asked = b""

    def type(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def see(self, words: str, within_s: float = 60.0) -> bytes:
        """Reads until these words appear. Returns the output before them."""
        wanted, deadline = words.encode(), time.monotonic() + within_s
        while wanted not in self.written:
            left = deadline - time.monotonic()
            assert left > 0, f"timed out waiting for {words!r} in {self.written!r}"
            if select.select([self._fd], [], [], left)[0]:
                try:
                    self._take(os.read(self._fd, 4096))
                except OSError as error:
                    raise AssertionError(f"ended before {words!r}: {self.written!r}") from error
        before, self.written = self.written.split(wanted, 1)
        return before

    def _take(self, data: bytes) -> None:
        self.written += data
        self._asked = self._asked[-16:] + data
        for question, answer in self._answers.items():
            for _ in range(self._asked.count(question)):
                os.write(self._fd, answer)
            self._asked = self._asked.replace(question, b"")

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def modes(self) -> list[object]:
        return list(termios.tcgetattr(self._fd))

    def close(self) -> None:
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(self._fd)
