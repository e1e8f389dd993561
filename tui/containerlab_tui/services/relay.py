"""Connects the user's terminal to the terminal of a session: keys one way, output the other, size and signals too.

Nothing of the session has the user's terminal open: it gets keys only, and leaves nothing but output.
"""

import fcntl
import os
import select
import signal
import struct
import termios
import time
import tty as terminal_modes
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from containerlab_probes.errors import ContainerlabError
from containerlab_tui.services.terminal import DETACH, write_all

_PENDING_BYTES = 64 * 1024
"""Keys kept for a program that does not read them; later ones are dropped."""
_WRITE_BYTES = 1024
"""Written at once where select(2) reports room, so that writing does not block."""
_LAST_S, _QUIET_S = 2.0, 0.2
"""How long output is still shown after the session's program has exited: at most, and after the last of it."""
_KEYS = {signal.SIGINT: b"\x03", signal.SIGQUIT: b"\x1c"}
"""Signals for this program that a terminal makes of keys: the session's terminal makes signals of them again."""
_ENDING = frozenset({signal.SIGTERM, signal.SIGHUP})


class SessionTerminal(Protocol):
    """The near end of a session's terminal."""

    def fileno(self) -> int: ...

    def read(self) -> bytes:
        """Returns output; empty at the end."""

    def pending(self) -> bool:
        """Returns whether `read` has output that select(2) does not report."""

    def write(self, data: bytes) -> None: ...

    def resize(self, rows: int, columns: int) -> None: ...


def size_of(terminal: int) -> tuple[int, int]:
    """Returns the rows and columns of a terminal; zeros if it does not know them (man 2 TIOCGWINSZ)."""
    rows, columns, _, _ = struct.unpack("HHHH", fcntl.ioctl(terminal, termios.TIOCGWINSZ, bytes(8)))
    return rows, columns


class Relay:
    """One session on the user's terminal."""

    def __init__(self, terminal: int, session: SessionTerminal, exited: int | None = None) -> None:
        """`exited` is a descriptor that becomes readable when the session's program exits; None: its output ends."""
        self._terminal, self._session, self._exited = terminal, session, exited
        self._modes = termios.tcgetattr(terminal)
        self._unsent = b""
        self._ended_by: int | None = None

    def run(self) -> bool:
        """Relays until the session ends. Returns True if the user left it (Ctrl+], or a signal to this program).

        A signal that ends this program ends the session first; see `raise_signal`.
        """
        with _signals() as signals:
            self._take_terminal()
            return self._relay(signals)

    def raise_signal(self) -> None:
        """Raises the signal that ended the session, if one did. Call it once the terminal is restored."""
        if self._ended_by is not None:
            signal.raise_signal(self._ended_by)

    def _take_terminal(self) -> None:
        terminal_modes.setraw(self._terminal, termios.TCSADRAIN)  # keeps keys already typed
        rows, columns = size_of(self._terminal)
        if rows and columns:
            with suppress(ContainerlabError, OSError):  # it has not started yet, or has just exited
                self._session.resize(rows, columns)

    def _relay(self, signals: int) -> bool:
        sources = [self._terminal, self._session.fileno(), signals]
        sources += [] if self._exited is None else [self._exited]
        while True:
            targets = [self._session.fileno()] if self._unsent else []
            # Output that arrived with an earlier read is not reported by select().
            ready, writable, _ = select.select(sources, targets, [], 0 if self._session.pending() else None)
            if signals in ready and self._signalled(os.read(signals, 1024)):
                return True
            if self._terminal in ready and self._type(os.read(self._terminal, 4096), sources):
                return True
            if writable:
                self._send()
            if (self._session.fileno() in ready or self._session.pending()) and not self._show():
                return False
            if self._exited in ready:
                self._show_rest()
                return False

    def _show(self) -> bool:
        data = self._session.read()
        write_all(data)
        return bool(data)

    def _show_rest(self) -> None:
        """Shows output that was written before the program exited; a process that it left may go on writing."""
        deadline = time.monotonic() + _LAST_S
        while time.monotonic() < deadline:
            if not self._session.pending() and not select.select([self._session.fileno()], [], [], _QUIET_S)[0]:
                return
            if not self._show():
                return

    def _type(self, typed: bytes, sources: list[int]) -> bool:
        """Keeps keys for the session. Returns True if the user leaves."""
        if not typed:
            sources.remove(self._terminal)
        keys, leaves, _ = typed.partition(DETACH)
        self._unsent = (self._unsent + keys)[:_PENDING_BYTES]
        return bool(leaves)

    def _send(self) -> None:
        part, self._unsent = self._unsent[:_WRITE_BYTES], self._unsent[_WRITE_BYTES:]
        try:
            self._session.write(part)
        except BlockingIOError as error:
            self._unsent = part[error.characters_written :] + self._unsent
        except (ContainerlabError, OSError):
            self._unsent = b""  # it has exited; its output ends next

    def _signalled(self, numbers: bytes) -> bool:
        """Passes signals on. Returns True if one of them ends the session."""
        for number in numbers:
            if number in _ENDING:
                self._ended_by = number
                return True
            if number == signal.SIGTSTP:
                self._suspend()
            elif number in _KEYS:
                self._unsent = (self._unsent + _KEYS[signal.Signals(number)])[:_PENDING_BYTES]
        self._take_terminal()  # after SIGWINCH and SIGCONT
        return False

    def _suspend(self) -> None:
        with suppress(termios.error):
            termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._modes)
        os.kill(os.getpid(), signal.SIGSTOP)


@contextmanager
def _signals() -> Iterator[int]:
    """Yields a descriptor that delivers the number of each signal for the session, one byte each."""
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def note(number: int, _frame: object) -> None:
        with suppress(BlockingIOError):
            os.write(writer, bytes([number]))

    handled = (signal.SIGWINCH, signal.SIGCONT, signal.SIGTSTP, *_KEYS, *_ENDING)
    before = {number: signal.signal(number, note) for number in handled}
    try:
        yield reader
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)
