"""Lends the user's terminal to a session in a container, restores it, and runs an attach session.

A session needs the terminal on standard input and output (with the UI suspended). It runs on the main thread, because
it handles signals.

Output of a container with a tty (`docker run --tty`) reaches the user's terminal unchanged, as with `docker attach`:
terminal programs need that. The terminal obeys it, and may answer it on its input. Afterwards its modes are reset and
those answers are discarded, so that nothing reads them as keys. Other output is made safe first.
"""

import codecs
import os
import select
import signal
import sys
import termios
import time
import tty as terminal_modes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from containerlab_probes.errors import ContainerlabError, Gone, Unsupported
from containerlab_probes.processes.membership import membership_of
from containerlab_probes.records import ContainerRun
from containerlab_probes.signals.send import send
from containerlab_tui.engine.api import AttachedStreams, Engine
from containerlab_tui.model.inventory import Details
from containerlab_tui.present.safe_text import safe_line, safe_lines
from containerlab_tui.services.input_writer import InputWriter
from containerlab_tui.services.processes import run_of

DETACH = b"\x1d"
"""Ctrl+]"""
DETACH_DOCKER = b"\x10\x11"
"""Ctrl+P Ctrl+Q, as in the docker client."""
_SAVE_TITLE, _RESTORE_TITLE = b"\x1b[22;0t", b"\x1b[23;0t"
_RESET = (
    b"\x18\x1b\\"  # ends a sequence or string that was not complete
    + b"".join(
        b"\x1b[?%dl" % mode
        for mode in (2026, 1047, 1, 9, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 2004, 2031, 2048)
    )  # synchronized output, alternate screen, cursor keys, mouse, focus, paste, and reports that nobody asked for
    + b"\x1b[=0;1u\x1b[>4;0m\x1b>\x1b F"  # plain keys and answers
    + b"\x1b[!p\x1b[4l\x1b[?7h\x1b7\x1b[r\x1b8\x1b(B\x0f\x1b[0m\x1b[?25h"  # margins, character set, colours, cursor
    + b"\x1b]104\x1b\\\x1b]110\x1b\\\x1b]111\x1b\\\x1b]112\x1b\\"  # the palette
    + _RESTORE_TITLE
)
"""Undoes what output can set in a terminal (xterm's ctlseqs; kitty's keyboard protocol)."""
_QUERY, _ANSWER = b"\x1b[5n", b"\x1b[0n"
"""Asks the terminal whether it works (DSR). The session's output can have asked that as well."""
_MODE_QUERY, _MODE_ANSWER = b"\x1b[?%d$p", b"\x1b[?%d;"
"""Asks for a mode that no terminal has (DECRQM), which some terminals do not answer."""
_NO_ANSWER_S, _QUIET_S, _LONGEST_S = 2.0, 1.0, 10.0
"""Limits of waiting: for the next answer, which may come over a slow link; after an answer to DSR; for all answers."""


def attach(engine: Engine, details: Details) -> int:
    """Attaches to the container's standard streams until its output ends or the user detaches.

    Returns its exit code, 0 after detaching. Ctrl+C is a signal to the program. Raises `Gone` (not running),
    `Unreachable`, `Denied`, `Unsupported` (no terminal).
    """
    if not details.pid:
        raise Gone(f"{details.name} is not running. Start it first.")
    terminal = user_terminal()
    streams = engine.attach(details.id)
    closes = details.open_input and not streams.tty and not engine.product.keeps_input
    try:
        say(_attached(details, streams.tty) + f" {engine.product.name} then closes its standard input." * closes)
        with restored(terminal):
            detached = _Attachment(engine, details, streams, terminal).run()
    finally:
        streams.close()
    if detached:
        left = f"{engine.product.name} has closed its standard input" if closes else "it keeps running"
        say(f"\nDetached from {safe_line(details.name, 80)}; {left}.")
        return 0
    code = engine.wait(details.id, 5.0)
    say(f"\n{safe_line(details.name, 80)} exited with code {code}. Press Enter.")
    with suppress(OSError):
        os.read(terminal, 1024)
    return code


def _attached(details: Details, has_tty: bool) -> str:
    name = safe_line(details.name, 80)
    keys = "Ctrl+] or Ctrl+P Ctrl+Q detaches."
    if has_tty:
        return f"Attached to {name}. Ctrl+C goes to its terminal as SIGINT. {keys} Its output is shown unfiltered."
    return f"Attached to {name}. Ctrl+C sends SIGINT to its PID 1. {keys}"


class _Attachment:
    """Connects the user's terminal to a container's streams."""

    def __init__(self, engine: Engine, details: Details, streams: AttachedStreams, terminal: int) -> None:
        self._engine, self._details, self._streams, self._terminal = engine, details, streams, terminal
        self._run = run_to_signal(engine, details)
        self._input = InputWriter(streams.write, say)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._half = False
        """Ctrl+P was the last key: with Ctrl+Q it detaches."""

    def run(self) -> bool:
        """Copies bytes both ways. Returns True if the user detached, False at the end of the output."""
        with _interrupts() as interrupted:
            if self._streams.tty:
                terminal_modes.setraw(self._terminal, termios.TCSADRAIN)  # keeps keys already typed
            else:
                _set_line_modes(self._terminal)
            try:
                return self._carry(interrupted)
            finally:
                self._input.close()

    def _carry(self, interrupted: int) -> bool:
        sources: list[int] = [self._terminal, self._streams.fileno(), interrupted]
        # Output that arrived with the engine's answer is already read, so select() does not report it.
        pending = getattr(self._streams, "pending", None)
        if pending is not None and pending() and not self._show(self._streams.read()):
            return False
        while True:
            ready = select.select(sources, [], [])[0]
            if interrupted in ready:
                os.read(interrupted, 1024)
                self._interrupt()
            if self._streams.fileno() in ready and not self._show(self._streams.read()):
                return False
            if self._terminal in ready:
                typed = os.read(self._terminal, 4096)
                if not typed:
                    sources.remove(self._terminal)
                elif self._type(typed):
                    return True

    def _show(self, data: bytes) -> bool:
        """Writes output to the terminal. Returns False at the end of the output."""
        if self._streams.tty:
            write_all(data)
        else:
            write_all(safe_lines(self._decoder.decode(data, final=not data)).encode("utf-8", "replace"))
        return bool(data)

    def _type(self, typed: bytes) -> bool:
        """Sends input to the program. Returns True if it contains the detach keys."""
        data = (DETACH_DOCKER[:1] if self._half else b"") + typed
        ends = [at for at in (data.find(DETACH), data.find(DETACH_DOCKER)) if at >= 0]
        data = data[: min(ends)] if ends else data
        self._half = not ends and data.endswith(DETACH_DOCKER[:1])
        data = data[:-1] if self._half else data
        if data:
            self._input.put(data)
        return bool(ends)

    def _interrupt(self) -> None:
        """Sends SIGINT on Ctrl+C, for a container without a tty."""
        try:
            if self._run is not None:
                send(self._run, self._run.init, signal.SIGINT)
            else:
                self._engine.kill(self._details.id, "SIGINT")
        except ContainerlabError as error:
            say(str(error))


def run_to_signal(engine: Engine, details: Details) -> ContainerRun | None:
    """Returns the run for signals through a pidfd, which do not affect the restart policy; None: use the engine.

    None also if nothing shows that PID 1 is the container's.
    """
    if not engine.local or os.geteuid() != 0:
        return None
    try:
        return membership_of(run_of(details)).run
    except ContainerlabError:
        return None


def user_terminal() -> int:
    """Returns the file descriptor of the terminal. Raises Unsupported if there is none."""
    try:
        fd = sys.stdin.fileno()
    except (OSError, ValueError) as error:
        raise Unsupported("This needs a terminal on standard input.") from error
    if not os.isatty(fd) or not sys.stdout.isatty():
        raise Unsupported("This needs a terminal on standard input and output.")
    return fd


def _set_line_modes(terminal: int) -> None:
    """Sets line editing with echo; the detach keys end a line at once and Ctrl+Z does nothing."""
    modes = termios.tcgetattr(terminal)
    modes[0] &= ~(termios.IXON | termios.IXOFF)
    characters = list(modes[6])
    disabled = bytes([os.fpathconf(terminal, "PC_VDISABLE")])
    characters[termios.VEOL], characters[termios.VEOL2] = DETACH, DETACH_DOCKER[1:]
    for key in (termios.VSUSP, termios.VSTART, termios.VSTOP, termios.VREPRINT, termios.VQUIT):
        characters[key] = disabled
    modes[6] = characters
    termios.tcsetattr(terminal, termios.TCSADRAIN, modes)


@contextmanager
def restored(terminal: int) -> Iterator[None]:
    """Restores the terminal afterwards: its modes, what output has set in it, and the foreground process group.

    Input that was not read by then is discarded. Ctrl+C does not end this program.
    """
    modes = termios.tcgetattr(terminal)
    before = {number: signal.signal(number, _nothing) for number in (signal.SIGINT, signal.SIGQUIT)}
    try:
        with suppress(OSError):
            write_all(_SAVE_TITLE)
        yield
    finally:
        # A killed program may leave its group in the foreground; then setting modes would suspend this program.
        before[signal.SIGTTOU] = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        with suppress(OSError):
            os.tcsetpgrp(terminal, os.getpgrp())
        with suppress(termios.error, OSError):
            _discard_answers(terminal)
        with suppress(termios.error):
            termios.tcsetattr(terminal, termios.TCSAFLUSH, modes)
        for number, handler in before.items():
            signal.signal(number, handler)


def _discard_answers(terminal: int) -> None:
    """Resets the terminal and reads its answers to the session's output, until it has answered the last question.

    Otherwise the screen or shell that reads the terminal next would take the answers for keys. A terminal answers in
    order. The last question has a random number, so the session's output can't have asked it.
    """
    terminal_modes.setraw(terminal, termios.TCSADRAIN)
    mode = 20_000 + int.from_bytes(os.urandom(2)) % 40_000
    is_console = os.environ.get("TERM") == "linux"  # it may print the end of a sequence that it does not know
    write_all(_RESET + _QUERY + (b"" if is_console else _MODE_QUERY % mode))
    deadline, wait_s, tail = time.monotonic() + _LONGEST_S, _NO_ANSWER_S, b""
    while time.monotonic() < deadline and select.select([terminal], [], [], wait_s)[0]:
        read = os.read(terminal, 4096)
        tail = tail[-16:] + read
        if not read or _MODE_ANSWER % mode in tail:
            return  # the rest of the answer comes with it, or is flushed
        if _ANSWER in tail:
            wait_s = _QUIET_S


def _nothing(_number: int, _frame: object) -> None:
    """Handles a signal by doing nothing. Not SIG_IGN, which child programs would inherit."""


@contextmanager
def _interrupts() -> Iterator[int]:
    """Yields a file descriptor that delivers a byte for each SIGINT."""
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    before = signal.signal(signal.SIGINT, lambda _number, _frame: os.write(writer, b"c") and None)
    try:
        yield reader
    finally:
        signal.signal(signal.SIGINT, before)
        os.close(reader)
        os.close(writer)


def write_all(data: bytes) -> None:
    sys.stdout.flush()
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]


def say(text: str) -> None:
    """Writes a line of this program, distinct from program output."""
    lines: Sequence[str] = safe_lines(text).split("\n")
    write_all("".join(f"\x1b[7m {line} \x1b[0m\r\n" if line else "\r\n" for line in lines).encode("utf-8", "replace"))
