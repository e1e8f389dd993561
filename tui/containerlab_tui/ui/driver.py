"""The terminal driver: restores the terminal at every exit but SIGKILL, and around a suspension (Ctrl+Z, fg).

Textual restores the terminal when it exits on its own, and after an exception. A signal that ends the process, or
suspends it, is turned into that here.
"""

import errno
import os
import signal
import termios
import threading
from types import FrameType

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver

ENDING = (
    signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM,
    signal.SIGABRT, signal.SIGVTALRM, signal.SIGPROF, signal.SIGPOLL, signal.SIGPWR, signal.SIGXCPU, signal.SIGSTKFLT,
)  # fmt: skip
"""Signals whose default action terminates the process (man 7 signal), except SIGKILL, those that Python ignores, and
those that report a fault of the program itself (SIGSEGV): Python cannot run a handler after a fault."""

LATEST_S = 3.0
"""The UI has this long to exit after such a signal; then the terminal is restored without it."""

_RESTORE = (
    b"\x1b[?2004l\x1b[?7h\x1b[?2048l\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[<u\x1b[?1049l\x1b[?25h\x1b[?1004l"
)
"""Undoes what LinuxDriver.start_application_mode writes; the same sequences as in stop_application_mode."""


class TerminalDriver(LinuxDriver):
    """Textual's driver with handlers for the signals that end, suspend and resume the process."""

    def __init__(
        self, app: App[object], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._has_terminal = False
        self._suspension_asked = False
        for number in ENDING:
            signal.signal(number, self._end)
        signal.signal(signal.SIGTSTP, self._take_tstp)
        signal.signal(signal.SIGCONT, self._take_cont)

    # the terminal

    def start_application_mode(self) -> None:
        """Takes the terminal, once: a second start would save the modes of the UI as those to restore."""
        if self._has_terminal:
            return
        _wait_for_foreground(self.fileno)
        super().start_application_mode()  # type: ignore[no-untyped-call]  # Textual gives it no types
        self._has_terminal = self._can_write()

    def stop_application_mode(self) -> None:
        """Restores the terminal."""
        if self._has_terminal:
            self._has_terminal = False
            super().stop_application_mode()

    def write(self, data: str) -> None:
        """Writes to the terminal. Drops the text if the terminal has vanished, instead of waiting for a dead thread."""
        if self._can_write():
            super().write(data)

    def close(self) -> None:
        """Ends the thread that writes."""
        if self._can_write():
            super().close()

    def _can_write(self) -> bool:
        return self._writer_thread is not None and self._writer_thread.is_alive()

    # exits

    def _end(self, number: int, _frame: FrameType | None) -> None:
        """Ends the UI with status 128 + the signal's number, as a shell reports it."""
        status = 128 + number
        latest = threading.Timer(LATEST_S, self._end_now, (status,))
        latest.daemon = True
        latest.start()
        if not self._auto_restart:  # the terminal is lent to a shell or an attach session, which unwinds
            raise SystemExit(status)
        try:
            self._loop.call_soon_threadsafe(self._app.exit, status, status)
        except RuntimeError:  # the event loop has ended, and with it the UI
            raise SystemExit(status) from None

    def _end_now(self, status: int) -> None:
        """Restores the terminal and ends the process, although the UI does not respond."""
        writing = threading.Thread(target=self._restore, daemon=True)
        writing.start()
        writing.join(1.0)  # a terminal that takes no output must not keep the process
        os._exit(status)

    def _restore(self) -> None:
        try:
            if self._has_terminal and self.attrs_before is not None:
                termios.tcsetattr(self.fileno, termios.TCSANOW, self.attrs_before)
            if self._file is not None:
                os.write(self._file.fileno(), _RESTORE)
        except (OSError, termios.error):
            return

    # suspension

    def _take_tstp(self, _number: int, _frame: FrameType | None) -> None:
        """Suspends the process when the UI thread is between two callbacks: now, it may hold the writer's lock."""
        if not self._auto_restart:
            self._suspend_process()
        elif not self._suspension_asked:
            self._suspension_asked = True
            self._loop.call_soon_threadsafe(self._suspend)

    def _suspend(self) -> None:
        self._suspension_asked = False
        self.suspend_application_mode()
        self._must_signal_resume = True
        self._suspend_process()
        self.resume_application_mode()

    def _suspend_process(self) -> None:
        """Returns when the process is resumed, or at once if no shell could resume it.

        With the default action the kernel discards SIGTSTP for an orphaned process group (setpgid(2)): a terminal
        whose only program is this one would otherwise hang.
        """
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._take_tstp)

    def _take_cont(self, _number: int, _frame: FrameType | None) -> None:
        if self._auto_restart:
            self._loop.call_soon_threadsafe(self._resume)

    def _resume(self) -> None:
        """Takes the terminal again. After a SIGSTOP, which nothing could handle, the shell has changed its modes."""
        if self._has_terminal:
            self.suspend_application_mode()
        self.resume_application_mode()
        self._app.refresh(layout=True)


def _wait_for_foreground(terminal: int) -> None:
    """Returns when this process may set the terminal's modes: in the background, trying that suspends it (SIGTTOU)."""
    while True:
        try:
            termios.tcsetattr(terminal, termios.TCSANOW, termios.tcgetattr(terminal))
        except termios.error as error:
            if error.args[0] == errno.EINTR:  # SIGCONT: resumed, perhaps in the background again
                continue
        return
