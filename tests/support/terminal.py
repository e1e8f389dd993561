"""Runs a program in a terminal of a given size and reads its screen: a private tmux server in control mode.

A command in control mode takes a fraction of a millisecond (man tmux, CONTROL MODE), so frequent reading is cheap.
"""

import itertools
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping
from typing import IO, cast

_numbers = itertools.count(1)


class Terminal:
    """A private tmux server with at most one program in it."""

    def __init__(self, columns: int, rows: int) -> None:
        name = f"bench-{os.getpid()}-{next(_numbers)}"  # a server that is just ending may still hold its socket
        size = ("-x", str(columns), "-y", str(rows))
        self._tmux = ("tmux", "-L", name, "-f", "/dev/null")
        subprocess.run((*self._tmux, "new-session", "-d", "-s", "idle", *size, "sleep 1000000"), check=True)
        self._client = subprocess.Popen(
            (*self._tmux, "-C", "attach-session", "-t", "idle", "-f", "ignore-size,no-output"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._in = cast(IO[bytes], self._client.stdin)
        self._out = cast(IO[bytes], self._client.stdout)
        self._answer()
        self._size = " ".join(size)
        for option in (
            "-g status off",
            "-g default-terminal tmux-256color",
            "-s escape-time 0",
            "-g remain-on-exit on",
        ):
            self.ask(f"set-option {option}")
        self.pid = 0
        """The program's PID."""

    def ask(self, command: str) -> list[str]:
        """Runs one tmux command and returns its output lines."""
        self._in.write(command.encode() + b"\n")
        self._in.flush()
        return self._answer()

    def _answer(self) -> list[str]:
        lines = list[str]()
        began = ""
        for raw in self._out:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            if not began:
                began = line.removeprefix("%begin ") if line.startswith("%begin ") else ""
            elif line in (f"%end {began}", f"%error {began}"):
                return lines
            else:
                lines.append(line)
        raise RuntimeError("tmux has ended")

    def run(self, command: str, environment: Mapping[str, str]) -> float:
        """Starts a program; returns the time just before (time.monotonic)."""
        words = ["exec", "env", "-i", *(f"{key}={value}" for key, value in environment.items()), *shlex.split(command)]
        line = shlex.quote(shlex.join(words))
        at = time.monotonic()
        self.ask(f"new-session -d -s program {self._size} {line}")
        self.pid = int(self.ask("display-message -p -t program '#{pane_pid}'")[0])
        return at

    def screen(self, styles: bool = False) -> list[str]:
        return self.ask(f"capture-pane -p {'-e ' if styles else ''}-t program")

    def press(self, key: str) -> None:
        self.ask(f"send-keys -t program {key}")

    def wait(self, condition: Callable[[], bool], limit_s: float, every_s: float) -> float | None:
        """Returns when a condition was first seen to hold; None: not within the time limit."""
        end = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() > end:
                return None
            time.sleep(every_s)  # between two looks
        return time.monotonic()

    def end_program(self) -> None:
        self.ask("kill-session -t program")
        self.wait(lambda: not os.path.exists(f"/proc/{self.pid}"), 5, 0.02)

    def close(self) -> None:
        subprocess.run((*self._tmux, "kill-server"), stderr=subprocess.DEVNULL, timeout=10, check=False)
        self._client.wait(10)
