"""A program in a real terminal (tmux) as a user has it: what the screen shows, and the keyboard."""

import os
import re
import shlex
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from tests.support.docker import eventually
from tests.support.terminal import Terminal

PROGRAM = str(Path(sys.executable).with_name("containerlab-tui"))
LONG_S = 60.0
"""For what happens at once, on a busy machine."""
FORECAST = re.compile("TERM [◆⊘]")
"""The effect of the stop signal in a container's row. It comes after the first frame: from then on keys are read."""

Answer = TypeVar("Answer")
OpenUi = Callable[[int, int], "Screen"]
"""Starts the UI on the engine, in a terminal with so many columns and rows."""


def short_name() -> str:
    """Returns a container's name that is short enough for the narrowest table."""
    return f"key-{uuid.uuid4().hex[:6]}"


def environment(home: Path) -> dict[str, str]:
    """Returns the environment of a program in the terminal, with separate settings and history."""
    return {
        "PATH": os.environ["PATH"], "TERM": "tmux-256color", "LANG": "C.UTF-8",
        "HOME": str(home), "XDG_STATE_HOME": str(home),
    }  # fmt: skip


class Screen:
    """A terminal. Each wait that fails shows the screen as it is then."""

    def __init__(self, columns: int, rows: int) -> None:
        self.terminal = Terminal(columns, rows)

    def close(self) -> None:
        self.terminal.close()

    def run(self, command: str, environment: Mapping[str, str]) -> None:
        """Starts a program as the terminal's only process."""
        self.terminal.run(command, environment)

    def run_below_shell(self, command: str, environment: Mapping[str, str]) -> None:
        """Starts a command below a shell without job control, which prints its status: "ended with 0"."""
        line = f"{command}; echo ended with $?; exec sleep 600"
        self.run(f"sh -c {shlex.quote(line)}", environment)

    @property
    def pid(self) -> int:
        """The PID of the program that the terminal runs."""
        return self.terminal.pid

    def asks(self, format: str) -> str:
        """Returns a format of tmux for this terminal (man tmux, FORMATS)."""
        return "\n".join(self.terminal.ask(f"display-message -p -t program '{format}'"))

    @property
    def has_ended(self) -> bool:
        """Whether the program that the terminal runs has exited."""
        return self.asks("#{pane_dead}") == "1"

    # what it shows

    def text(self) -> str:
        """Returns the lines that the screen shows now."""
        return "\n".join(self.terminal.screen())

    def until(self, condition: Callable[[], Answer], what: str, within_s: float = LONG_S) -> Answer:
        """Returns the first true result of a condition; fails with its name and the screen at the time limit."""
        try:
            return eventually(condition, what, within_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; the screen:\n{self.text()}") from None

    def shows(self, *texts: str) -> str:
        """Waits until the screen shows all the texts, and returns it."""
        return self.until(lambda: seen if all(text in (seen := self.text()) for text in texts) else "", f"{texts}")

    def shows_any(self, texts: Iterable[str]) -> None:
        self.until(lambda: any(text in self.text() for text in texts), f"one of {texts}")

    def matches(self, pattern: str) -> None:
        """Waits until a line matches."""
        self.until(lambda: re.search(pattern, self.text()), pattern)

    def hides(self, text: str) -> None:
        """Waits until the screen no longer shows the text."""
        self.until(lambda: text not in self.text(), f"{text} is no longer shown")

    # the keyboard

    def press(self, *keys: str) -> None:
        """Presses keys by their names in tmux (man tmux, KEY BINDINGS)."""
        for key in keys:
            self.terminal.press(key)

    def type(self, text: str) -> None:
        """Types a text."""
        self.terminal.press(f"-l -- {shlex.quote(text)}")

    def fill(self, text: str) -> None:
        """Types a text into the empty line that has the focus, and waits until it shows the text alone."""
        self.type(text)
        self.until(lambda: any(line.strip(" │▊▎┃") == text for line in self.terminal.screen()), f"{text} is typed")

    # the list of containers

    def rows(self) -> list[str]:
        """Returns the rows of the running containers."""
        return [line for line in self.terminal.screen() if re.search(r"● +\S", line)]

    def row(self, name: str) -> str:
        """Returns the row of a container."""
        here = re.compile(rf"\S +{re.escape(name)}\b")  # behind a glyph, so it isn't the filter's line
        return next((line for line in self.terminal.screen() if here.search(line)), "")

    def row_shows(self, name: str, *texts: str) -> None:
        """Waits until the row of a container shows all the texts."""
        self.until(lambda: (row := self.row(name)) and all(text in row for text in texts), f"{name}: {texts}")

    def filter(self, text: str, count: int = 1) -> None:
        """Filters the list to the running containers whose names begin with a text, once one of them has a forecast."""
        self.until(lambda: FORECAST.search(self.row(text)), f"the forecast for {text}")
        self.press("/")
        self.fill(text)
        self.press("Enter")
        self.until(lambda: len(rows := self.rows()) == count and all(text in row for row in rows), f"{text} alone")
