"""The user's terminal in a test: a program on a pseudoterminal, whose other side the test is."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence

LONG_S = 60.0
"""For what happens at once, on a busy machine."""
_WHAT = b"\x1b[c"
_ANSWERS = {_WHAT: b"\x1b[?62;4c", b"\x1b[6n": b"\x1b[1;1R", b"\x1b[5n": b"\x1b[0n"}
_QUESTIONS = re.compile(rb"\x1b\[(?:c|6n|5n|\?(?P<mode>\d+)\$p)")


class Pseudoterminal:
    """Starts a program as a terminal would, types keys, reads its output and answers the terminal's questions."""

    def __init__(
        self, argv: Sequence[str], environment: Mapping[str, str], knows_modes: bool = True, slow_s: float = 0.0
    ) -> None:
        """`knows_modes`: it answers DECRQM. `slow_s`: how long it takes to tell what it is (DA)."""
        self._knows_modes, self._slow_s = knows_modes, slow_s
        self.pid, self._fd = pty.fork()
        if self.pid == 0:  # the child runs nothing else before exec
            os.execve(argv[0], list(argv), dict(environment))  # noqa: S606
        self.written = b""
        """Output that `see` has not passed yet."""
        self._asked = b""

    def type(self, keys: str) -> None:
        assert select.select([], [self._fd], [], LONG_S)[1], "the other side no longer reads"
        os.write(self._fd, keys.encode())

    def see(self, words: str, within_s: float = LONG_S) -> bytes:
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
        self._asked += data
        end = 0
        for question in _QUESTIONS.finditer(self._asked):
            end = question.end()
            self._answer(question)
        self._asked = self._asked[end:][-16:]

    def _answer(self, question: re.Match[bytes]) -> None:
        """Answers in order, as a terminal does."""
        if question["mode"]:
            if self._knows_modes:
                os.write(self._fd, b"\x1b[?%b;0$y" % question["mode"])
            return
        if question[0] == _WHAT:
            time.sleep(self._slow_s)  # a slow terminal
        os.write(self._fd, _ANSWERS[question[0]])

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
