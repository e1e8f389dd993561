"""Finds the child that a shell waits for before it runs a trap.

A shell defers a trap until the foreground command has exited, and runs it at once while it is in `wait`. Both look the
same in the masks. These differences were measured with dash, bash, busybox, mksh, posh, yash and zsh: a shell without
job control starts a background command with SIGINT and SIGQUIT ignored (POSIX, Asynchronous Lists), and most shells
give it /dev/null as standard input; dash and busybox are in rt_sigsuspend only in `wait`; in `X=$(command)` the shell
reads a pipe.
"""

import os
import signal
import stat
from enum import Enum

from containerlab_probes.errors import ContainerlabError
from containerlab_probes.kernel import procfs
from containerlab_probes.kernel.files import read_list, read_status
from containerlab_probes.kernel.libc import libc
from containerlab_probes.kernel.local import state_behind
from containerlab_probes.processes.dispositions import Call, Thread
from containerlab_probes.records import WITHOUT_ROOT

_SHELLS = frozenset(("sh", "dash", "ash", "bash", "rbash", "mksh", "lksh", "ksh", "ksh93", "zsh", "yash", "posh"))
_ASH = frozenset(("dash", "ash", "busybox"))
_TRAPS_DURING_SUBSTITUTION = frozenset(("zsh", "ksh", "ksh93"))
_NULL_INPUT = _ASH | {"mksh", "lksh", "yash"}
"""Shells that give each background command /dev/null, also in a pipeline (bash and zsh don't)."""
_INT, _QUIT = int(signal.SIGINT), int(signal.SIGQUIT)
_KCMP = {"x86_64": 312, "aarch64": 272}
_KCMP_FILE = 0
_NULL_DEVICE = os.makedev(1, 3)


class _Child(Enum):
    FOREGROUND = "foreground"
    BACKGROUND = "background"
    UNCLEAR = "unclear"


def shell_of(name: str, exe: str, argv: tuple[str, ...]) -> str | None:
    """Returns the name of the shell that a process runs, e.g. `dash`, from its file or else its name; None: no shell.

    busybox counts as a shell if it runs under a shell's name.
    """
    command_name = os.path.basename(argv[0]).removeprefix("-") if argv else name
    file = os.path.basename(exe.removesuffix(" (deleted)"))
    if not file and command_name.startswith("busybox"):
        file = command_name  # its file can't be read without root
    if file.startswith("busybox"):
        applet = argv[1] if command_name.startswith("busybox") and len(argv) > 1 else command_name
        return "busybox" if applet in ("sh", "ash", "hush") or name in ("sh", "ash") else None
    if file:
        return file if file in _SHELLS else None
    return next((one for one in (command_name, name) if one in _SHELLS), None)


def foreground_of(pid: int, shell: str, thread: Thread) -> tuple[tuple[int, ...], str]:
    """Returns the children for which a shell defers its traps, and a sentence if that is unknown.

    Both are empty if a trap runs at once. `thread` is the shell's leader. If only root can read its system call, each
    child counts that the shell didn't start in the background: a shell seldom does anything but wait for it.
    """
    if thread.call is Call.RUNNING or (thread.call is Call.UNREAD and thread.unread != WITHOUT_ROOT):
        return (), f"Whether shell {pid} waits for a foreground command is unknown."
    if thread.call is not Call.UNREAD and not _waits(shell, thread):
        return (), ""
    try:
        children = procfs.parse_pids(read_list(f"/proc/{pid}/task/{pid}/children"))
    except (ContainerlabError, ValueError):
        return (), f"The children of shell {pid} can't be read, so a foreground command isn't seen."
    kinds = {child: _kind(pid, shell, thread.status, child) for child in children}
    found = tuple(child for child, kind in kinds.items() if kind is _Child.FOREGROUND)
    if not found and _Child.UNCLEAR in kinds.values():
        return (), f"Whether the child of shell {pid} runs in the foreground or in the background is unknown."
    return found, ""


def _waits(shell: str, thread: Thread) -> bool:
    if thread.call is Call.SIGSUSPEND:
        return shell not in _ASH
    if thread.call is Call.READ and shell not in _TRAPS_DURING_SUBSTITUTION:
        # The builtin `read` takes its input byte by byte, command substitution in blocks.
        fd, count = thread.arguments[0], thread.arguments[2]
        return fd > 2 and count > 1
    return thread.call is Call.WAIT


def _kind(shell_pid: int, name: str, shell: procfs.Status, child: int) -> _Child | None:
    """Returns how the shell started a child; None: the child is exiting."""
    try:
        status = procfs.parse_status(read_status(f"/proc/{child}"))
    except (ContainerlabError, ValueError):
        return None
    if status.state in "ZX":
        return None
    if status.ignored & {_INT, _QUIT} - shell.ignored:  # mksh with a trap on SIGINT leaves only SIGQUIT ignored
        itself = name in _NULL_INPUT and _kind_by_input(shell_pid, child) is _Child.FOREGROUND
        return _Child.FOREGROUND if itself else _Child.BACKGROUND
    if name == "posh":  # it ignores nothing, but gives /dev/null
        kind = _kind_by_input(shell_pid, child)
        return _Child.FOREGROUND if kind is _Child.UNCLEAR else kind
    if _INT not in shell.ignored and not {_INT, _QUIT} <= status.caught | shell.ignored:
        return _Child.FOREGROUND
    return _kind_by_input(shell_pid, child)


def _kind_by_input(shell_pid: int, child: int) -> _Child:
    """Decides by standard input, for a child that handles SIGINT and SIGQUIT itself."""
    number = _KCMP.get(os.uname().machine)
    if number is None:
        return _Child.UNCLEAR
    same = int(libc.syscall(number, shell_pid, child, _KCMP_FILE, 0, 0))
    if same == 0:
        return _Child.FOREGROUND
    found = state_behind(f"/proc/{child}/fd/0")
    if found is None:
        return _Child.UNCLEAR
    if same > 0 and stat.S_ISCHR(found.mode) and found.device == _NULL_DEVICE:
        return _Child.BACKGROUND
    return _Child.UNCLEAR
