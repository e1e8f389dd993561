"""Runs a shell or an attach session on the user's terminal.

Both functions need the terminal on standard input and output (with the UI suspended) and restore its modes. They run
on the main thread, because they handle signals.

Output of a container with a tty (`docker run --tty`) reaches the user's terminal unchanged, as with `docker attach`:
terminal programs need that. Other output is made safe first.
"""

import codecs
import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import termios
import tty as terminal_modes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from containerlab_probes.errors import BadRequest, ContainerlabError, Gone, Unsupported
from containerlab_probes.kernel.namespaces import nsenter_command
from containerlab_probes.kernel.rootfs import open_in_root, open_root
from containerlab_probes.processes.identity import identify
from containerlab_probes.records import ProcessId
from containerlab_probes.signals.send import send
from containerlab_tui.engine.api import AttachedStreams, Engine
from containerlab_tui.model.inventory import Details
from containerlab_tui.present.safe_text import safe_line, safe_lines
from containerlab_tui.services.policy import Operation, Policy

SHELLS = ("/bin/bash", "/usr/bin/bash", "/bin/sh", "/usr/bin/sh", "/bin/ash", "/busybox/sh")
"""Searched in this order."""
NAMESPACES = ("uts", "ipc", "net", "pid")
"""Always entered; for a shell of the image, the mount namespace comes first."""

DETACH = b"\x1d"
"""Ctrl+]"""
DETACH_DOCKER = b"\x10\x11"
"""Ctrl+P Ctrl+Q, as in the docker client."""
_CLEAN = "\x1b[0m\x1b[?25h"
"""Resets colours and shows the cursor."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def find_shell(pid: int, wanted: str = "") -> str | None:
    """Returns the first shell in a running container's image, as a path in the container; None if it has none.

    `pid` is PID 1 on the host; `wanted` is tried first. Raises `Gone`, `Denied`, `Unsupported`.
    """
    root = open_root(pid)
    try:
        for path in (wanted, *SHELLS) if wanted else SHELLS:
            if path.startswith("/") and _is_program(root, path):
                return path
        return None
    finally:
        os.close(root)


def _is_program(root: int, path: str) -> bool:
    try:
        fd = open_in_root(root, path)
    except (Gone, BadRequest):
        return False
    try:
        mode = os.fstat(fd).st_mode
        return stat.S_ISREG(mode) and bool(mode & 0o111)
    finally:
        os.close(fd)


def enter(details: Details, policy: Policy, shell: str = "") -> int:
    """Runs a shell in the container's mount, uts, ipc, net and pid namespaces. Returns its exit status.

    If the image has no shell, the host's shell runs without the mount namespace. Unlike with `docker exec`, the shell
    has the privileges of this program's user, not the container's. Raises `Gone` (not running), `Denied`, `Unsupported`
    (no terminal, no nsenter).
    """
    policy.require(Operation.ENTER, f"enter {details.name}")
    if not details.pid:
        raise Gone(f"{details.name} is not running. Start it first.")
    terminal = _terminal()
    nsenter = shutil.which("nsenter")
    if nsenter is None:
        raise Unsupported("nsenter is missing: install the package util-linux.")
    found = find_shell(details.pid, shell)
    command, environment = shell_command(details.pid, found)
    _say(f"Entering {safe_line(details.name, 80)}: {_entered(found)} Type `exit` to come back.")
    with _restored(terminal):
        done = subprocess.run([nsenter, *command[1:]], env=environment, check=False)
    _say(f"Left {safe_line(details.name, 80)}.")
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def shell_command(pid: int, found: str | None) -> tuple[list[str], dict[str, str]]:
    """Returns the command line and environment for a shell in the namespaces of a process.

    The container's environment is not used: nsenter is a program of the host.
    """
    kept = {key: value for key, value in os.environ.items() if key in ("TERM", "COLORTERM", "LANG", "LC_ALL")}
    if found is not None:
        environment = kept | {"PATH": _PATH, "HOME": "/root", "SHELL": found}
        return nsenter_command(pid, ("mnt", *NAMESPACES), [found]), environment
    own = os.environ.get("SHELL", "")
    host = own if own.startswith("/") and os.access(own, os.X_OK) else "/bin/sh"
    return nsenter_command(pid, NAMESPACES, [host]), dict(os.environ)


def _entered(found: str | None) -> str:
    if found is not None:
        return f"{found} in its mount, uts, ipc, net and pid namespaces, with the privileges of the host's root."
    return (
        "its image has no shell, so the host's shell runs in its uts, ipc, net and pid namespaces."
        " Files and the output of ps are the host's."
    )


def attach(engine: Engine, details: Details) -> int:
    """Attaches to the container's standard streams until its output ends or the user detaches.

    Returns its exit code, 0 after detaching. Ctrl+C is a signal to the program. Raises `Gone` (not running),
    `Unreachable`, `Denied`, `Unsupported` (no terminal).
    """
    if not details.pid:
        raise Gone(f"{details.name} is not running. Start it first.")
    terminal = _terminal()
    streams = engine.attach(details.id)
    try:
        _say(_attached(details, streams.tty))
        with _restored(terminal):
            detached = _Attachment(engine, details, streams, terminal).run()
    finally:
        streams.close()
    if detached:
        _say(f"\nDetached from {safe_line(details.name, 80)}; it keeps running.")
        return 0
    code = engine.wait(details.id, 5.0)
    _say(f"\n{safe_line(details.name, 80)} exited with code {code}. Press Enter.")
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
        self._id = _identity(engine, details)
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
            return self._carry(interrupted)

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
            _write_all(data)
        else:
            _write_all(safe_lines(self._decoder.decode(data, final=not data)).encode("utf-8", "replace"))
        return bool(data)

    def _type(self, typed: bytes) -> bool:
        """Sends input to the program. Returns True if it contains the detach keys."""
        data = (DETACH_DOCKER[:1] if self._half else b"") + typed
        ends = [at for at in (data.find(DETACH), data.find(DETACH_DOCKER)) if at >= 0]
        data = data[: min(ends)] if ends else data
        self._half = not ends and data.endswith(DETACH_DOCKER[:1])
        data = data[:-1] if self._half else data
        if data:
            try:
                self._streams.write(data)
            except ContainerlabError as error:
                _say(str(error))
        return bool(ends)

    def _interrupt(self) -> None:
        """Sends SIGINT on Ctrl+C, for a container without a tty."""
        try:
            if self._id is not None:
                send(self._id, signal.SIGINT)
            else:
                self._engine.kill(self._details.id, "SIGINT")
        except ContainerlabError as error:
            _say(str(error))


def _identity(engine: Engine, details: Details) -> ProcessId | None:
    """Returns PID 1 for signals through a pidfd, which do not affect the restart policy; None: use the engine."""
    if not engine.local or os.geteuid() != 0:
        return None
    try:
        return identify(details.pid)
    except ContainerlabError:
        return None


def _terminal() -> int:
    """Returns the file descriptor of the terminal. Raises Unsupported if there is none."""
    try:
        fd = sys.stdin.fileno()
    except (OSError, ValueError) as error:
        raise Unsupported("This needs a terminal on standard input.") from error
    if not os.isatty(fd):
        raise Unsupported("This needs a terminal on standard input.")
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
def _restored(terminal: int) -> Iterator[None]:
    """Restores the terminal's modes and foreground process group afterwards; Ctrl+C does not end this program."""
    modes = termios.tcgetattr(terminal)
    before = {number: signal.signal(number, _nothing) for number in (signal.SIGINT, signal.SIGQUIT)}
    try:
        yield
    finally:
        # A killed shell leaves its group in the foreground; without this, setting modes would suspend this program.
        before[signal.SIGTTOU] = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        with suppress(OSError):
            os.tcsetpgrp(terminal, os.getpgrp())
        with suppress(termios.error):
            termios.tcsetattr(terminal, termios.TCSAFLUSH, modes)
        for number, handler in before.items():
            signal.signal(number, handler)
        with suppress(OSError):
            _write_all(_CLEAN.encode())


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


def _write_all(data: bytes) -> None:
    sys.stdout.flush()
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]


def _say(text: str) -> None:
    """Writes a line of this program, distinct from program output."""
    lines: Sequence[str] = text.split("\n")
    _write_all("".join(f"\x1b[7m {line} \x1b[0m\r\n" if line else "\r\n" for line in lines).encode("utf-8", "replace"))
