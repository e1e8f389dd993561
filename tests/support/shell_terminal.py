"""A terminal in which a shell starts the program: its modes, and the program's process."""

import os
import termios
from collections.abc import Mapping
from pathlib import Path

from tests.support.screens import Screen

RESTORED = "0 0 1"
"""Not the alternate screen, no mouse reports, a visible cursor."""
TAKEN = "1 1 0"


class ShellTerminal(Screen):
    """A tmux terminal with a shell."""

    def __init__(self) -> None:
        super().__init__(100, 30)

    def run_shell(self, environment: Mapping[str, str]) -> None:
        """Runs an interactive shell, with job control."""
        self.run("bash --norc --noediting -i", {**environment, "PS1": "shell> "})
        self.shows("shell>")

    def enter(self, line: str) -> None:
        """Types a command line."""
        self.type(line)
        self.press("Enter")

    def modes(self) -> str:
        """Returns the modes of the screen, the mouse and the cursor."""
        return self.asks("#{alternate_on} #{?mouse_any_flag,1,#{?mouse_standard_flag,1,0}} #{cursor_flag}")

    def settings(self) -> str:
        """Returns the terminal's line settings."""
        fd = os.open(self.asks("#{pane_tty}"), os.O_RDONLY | os.O_NOCTTY)
        try:
            return repr(termios.tcgetattr(fd))
        finally:
            os.close(fd)

    def child(self) -> int:
        """Returns the PID of the program, the child of the shell."""
        below = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return int(self.until(lambda: below.read_text().split(), "the program runs")[0])


def state(pid: int) -> str:
    """Returns a process's state, one letter (man 5 proc_pid_stat)."""
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0].decode()
