"""A terminal in which a shell starts the program: its modes, and the program's process."""

import os
import termios
from collections.abc import Mapping
from pathlib import Path

from tests.support.docker import eventually
from tests.support.terminal import Terminal

RESTORED = "0 0 1"
"""Not the alternate screen, no mouse reports, a visible cursor."""
TAKEN = "1 1 0"
ENVIRONMENT = {"PATH": os.environ["PATH"], "TERM": "tmux-256color", "LANG": "C.UTF-8", "PS1": "shell> "}


class ShellTerminal:
    """A tmux terminal with a shell."""

    def __init__(self) -> None:
        self.terminal = Terminal(100, 30)

    def close(self) -> None:
        self.terminal.close()

    def run(self, command: str, environment: Mapping[str, str]) -> None:
        """Runs a command below a shell without job control, which prints its status."""
        self.terminal.run(f"sh -c '{command}; echo ended with $?; exec sleep 600'", ENVIRONMENT | dict(environment))

    def run_shell(self, environment: Mapping[str, str]) -> None:
        """Runs an interactive shell, with job control."""
        self.terminal.run("bash --norc --noediting -i", ENVIRONMENT | dict(environment))
        self.shows("shell>")

    def type(self, line: str) -> None:
        self.terminal.press(f"-l '{line}'")
        self.terminal.press("Enter")

    def modes(self) -> str:
        """Returns the modes of the screen, the mouse and the cursor."""
        flags = "#{alternate_on} #{?mouse_any_flag,1,#{?mouse_standard_flag,1,0}} #{cursor_flag}"
        return self.terminal.ask(f"display-message -p -t program '{flags}'")[0]

    def settings(self) -> str:
        """Returns the terminal's line settings."""
        fd = os.open(self.terminal.ask("display-message -p -t program '#{pane_tty}'")[0], os.O_RDONLY | os.O_NOCTTY)
        try:
            return repr(termios.tcgetattr(fd))
        finally:
            os.close(fd)

    def text(self) -> str:
        return "\n".join(self.terminal.screen())

    def shows(self, text: str, within_s: float = 30.0) -> None:
        try:
            eventually(lambda: text in self.text(), text, within_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; the screen:\n{self.text()}") from error

    def pid(self) -> int:
        """Returns the PID of the program, the child of the shell."""
        below = Path(f"/proc/{self.terminal.pid}/task/{self.terminal.pid}/children")
        return int(eventually(lambda: below.read_text().split(), "the program runs")[0])


def state(pid: int) -> str:
    """Returns a process's state, one letter (man 5 proc_pid_stat)."""
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0].decode()
