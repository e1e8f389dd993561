"""The user's terminal lent to a container, on a pseudoterminal: keys, signals, and that it comes back as it was."""

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from containerlab_probes.errors import Gone, Unsupported
from containerlab_tui.services import terminal
from containerlab_tui.services.policy import UNRESTRICTED
from containerlab_tui.services.terminal import find_shell, shell_command
from tests.ui.terminal_side import details

ROOT = Path(__file__).parents[2]


class Pty:
    """A program on a terminal, and what it wrote."""

    def __init__(self, *arguments: str) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:  # no code of ours runs in the child but this: the interpreter begins anew
            os.chdir(ROOT)
            os.execv(sys.executable, [sys.executable, "-m", "tests.ui.terminal_side", *arguments])  # noqa: S606
        self.written = b""
        self.see("modes are to be noted now")
        self._modes = termios.tcgetattr(self._fd)
        self.type("\r")

    def type(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def see(self, words: str, within_s: float = 20.0) -> None:
        """Read on until these words come; what stood before them is done with."""
        wanted, deadline = words.encode(), time.monotonic() + within_s
        while wanted not in self.written:
            left = deadline - time.monotonic()
            assert left > 0, f"never seen: {words!r} in {self.written!r}"
            if select.select([self._fd], [], [], left)[0]:
                try:
                    self.written += os.read(self._fd, 4096)
                except OSError as error:
                    raise AssertionError(f"ended before {words!r}: {self.written!r}") from error
        self.seen, self.written = self.written.split(wanted, 1)

    def back(self) -> int:
        """The terminal is as it was; what the call answered."""
        self.see("the call is over")
        assert termios.tcgetattr(self._fd) == self._modes
        assert os.tcgetpgrp(self._fd) == self.pid
        self.type("\r")
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self) -> None:
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(self._fd)


@pytest.fixture
def attached() -> Iterator[Pty]:
    """Attached to a program without a terminal of its own."""
    side = Pty("attach")
    side.see("Ctrl+C sends SIGINT to its PID 1. Ctrl+] or Ctrl+P Ctrl+Q detaches.")
    side.see("program: ready ")
    yield side
    side.close()


@pytest.fixture
def attached_tty() -> Iterator[Pty]:
    """Attached to a program that is said to have a terminal."""
    side = Pty("attach-tty")
    side.see("Ctrl+C goes to its terminal as SIGINT.")
    side.see("Its output is shown unfiltered.")
    side.see("program: ready ")
    yield side
    side.close()


@pytest.fixture
def apart() -> Iterator[int]:
    """The host PID of a process that is PID 1 of its own namespaces, named `inside`."""
    kinds = ("--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child")
    script = "hostname inside && echo up && exec sleep 1000"
    outer = subprocess.Popen(["unshare", *kinds, "sh", "-c", script], stdout=subprocess.PIPE, text=True)
    assert outer.stdout is not None
    assert outer.stdout.readline() == "up\n"
    inner = int(Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()[0])
    yield inner
    outer.kill()
    outer.wait()
    outer.stdout.close()


def test_output_of_a_program_without_a_terminal_is_made_safe(attached: Pty) -> None:
    attached.see("\\x1b]0;owned\\x07 é")
    assert b"\x1b]" not in attached.seen


def test_lines_go_to_the_program_and_ctrl_c_is_a_signal_to_it(attached: Pty) -> None:
    attached.type("hello\n")
    attached.see("program: got b'hello\\n'")
    attached.type("\x03")
    attached.see("program: SIGINT")
    attached.type("still here\n")
    attached.see("program: got b'still here\\n'")


@pytest.mark.parametrize("keys", ["\x1d", "\x10\x11"])
def test_detaching_gives_the_terminal_back(attached: Pty, keys: str) -> None:
    attached.type("half a line")
    attached.type(keys)
    attached.see("it runs on.")
    assert attached.back() == 0


def test_a_terminal_of_its_own_gets_every_byte(attached_tty: Pty) -> None:
    attached_tty.see("\x1b]0;owned\x07 é")
    attached_tty.type("\x03")
    attached_tty.see("program: got b'\\x03'")
    attached_tty.type("\x10")
    attached_tty.type("x")
    attached_tty.see("program: got b'\\x10x'")
    attached_tty.type("\x10")
    attached_tty.type("\x11")
    attached_tty.see("it runs on.")
    assert attached_tty.back() == 0


def test_the_end_of_the_program_is_waited_out(attached: Pty) -> None:
    attached.type("end\n")
    attached.see("has ended with exit code 7. Press enter.")
    attached.type("\r")
    assert attached.back() == 7


def test_names_are_made_safe(attached: Pty) -> None:
    attached.type("\x1d")
    attached.see("Detached from lent\\x1b]0;x\\x07")


def test_a_shell_is_in_the_namespaces_and_its_status_comes_back(apart: int) -> None:
    side = Pty("enter", str(apart))
    try:
        side.see("in its mount, uts, ipc, net and pid namespaces")
        side.type("echo $(hostname)-$((6 * 7))\n")
        side.see("inside-42")
        side.see("# ")
        side.type("\x03")
        side.see("^C")
        side.type("\n\n")  # bash may lose a key, and its prompt, while it comes back from the signal
        side.type("echo still-$((1 + 1))\n")
        side.see("still-2")
        side.type("exit 3\n")
        assert side.back() == 3
    finally:
        side.close()


def test_the_end_of_the_container_gives_the_terminal_back(apart: int) -> None:
    side = Pty("enter", str(apart))
    try:
        side.type("echo ready-$((1 + 1))\n")
        side.see("ready-2")
        os.kill(apart, signal.SIGKILL)
        assert side.back() != 0
    finally:
        side.close()


def test_a_container_that_does_not_run_is_not_entered() -> None:
    with pytest.raises(Gone, match="is not running"):
        terminal.enter(details(0), UNRESTRICTED)


def test_without_a_terminal_there_is_nothing_to_lend(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with pytest.raises(Unsupported, match="needs a terminal"):
            terminal.enter(details(os.getpid()), UNRESTRICTED)


@pytest.fixture
def jailed(tmp_path: Path) -> Iterator[int]:
    """The PID of a process whose root directory is an empty one."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.chroot(tmp_path)
        os.write(writer, b"x")
        signal.pause()
        os._exit(0)
    os.read(reader, 1)
    yield pid
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(reader)
    os.close(writer)


def test_an_image_without_a_shell_gets_the_hosts(jailed: int) -> None:
    assert find_shell(jailed) is None
    command, _ = shell_command(jailed, None)
    assert "--mount" not in command
    assert {"--uts", "--ipc", "--net", "--pid"} <= set(command)


def test_a_shell_is_looked_for_below_the_containers_root_only(jailed: int, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    shell = tmp_path / "bin/sh"
    shell.symlink_to(os.path.realpath("/bin/sh"))  # there on the host, not in the container
    assert os.path.exists("/bin/sh")
    assert find_shell(jailed) is None
    shell.unlink()
    shell.symlink_to("../../../../../../bin/sh")
    assert find_shell(jailed) is None
    shell.unlink()
    shell.write_text("no program")
    assert find_shell(jailed) is None
    shell.chmod(0o755)
    assert find_shell(jailed) == "/bin/sh"
    (tmp_path / "my-shell").write_text("")
    (tmp_path / "my-shell").chmod(0o755)
    assert find_shell(jailed, "/my-shell") == "/my-shell"
    assert find_shell(jailed, "/none") == "/bin/sh"
    (tmp_path / "bin/bash").mkdir()
    assert find_shell(jailed) == "/bin/sh"


def test_the_containers_environment_does_not_reach_a_program_of_the_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD", "/evil.so")
    command, environment = shell_command(1, "/bin/sh")
    assert command[-2:] == ["--", "/bin/sh"]
    assert "--mount" in command
    assert "LD_PRELOAD" not in environment
