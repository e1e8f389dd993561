"""Shell and attach sessions on a pseudoterminal: keys, signals, and restored terminal modes."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from containerlab_probes.errors import Gone, Unsupported
from containerlab_tui.model.entry import Entry
from containerlab_tui.services.enter import enter, look_up_shells
from tests.support.engine import UNRESTRICTED, ScriptedEngine, details
from tests.support.pseudoterminal import Pseudoterminal
from tests.ui.terminal_side import lent

ROOT = Path(__file__).parents[2]


class Pty(Pseudoterminal):
    """One call of `terminal` on a pseudoterminal (terminal_side.py)."""

    def __init__(self, *arguments: str) -> None:
        argv = (sys.executable, "-m", "tests.ui.terminal_side", *arguments)
        super().__init__(argv, os.environ | {"PYTHONPATH": str(ROOT)})
        self.see("modes are to be noted now")
        self._modes = self.modes()
        self.type("\r")

    def drain(self) -> None:
        """Reads what is there, so that the other side's echo never waits."""
        while select.select([self._fd], [], [], 0)[0]:
            self._take(os.read(self._fd, 65536))

    def restored(self) -> int:
        """Checks that the terminal is restored. Returns the exit status of the call."""
        self.see("the call is over")
        assert self.modes() == self._modes
        assert os.tcgetpgrp(self._fd) == self.pid
        self.type("\r")
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def attached() -> Iterator[Pty]:
    """Yields a terminal attached to a program without a tty."""
    side = Pty("attach")
    side.see("Ctrl+C sends SIGINT to its PID 1. Ctrl+] or Ctrl+P Ctrl+Q detaches.")
    side.see("program: ready ")
    yield side
    side.close()


@pytest.fixture
def attached_tty() -> Iterator[Pty]:
    """Yields a terminal attached to a program with a tty."""
    side = Pty("attach-tty")
    side.see("Ctrl+C goes to its terminal as SIGINT.")
    side.see("Its output is shown unfiltered.")
    side.see("program: ready ")
    yield side
    side.close()


@pytest.fixture
def isolated() -> Iterator[int]:
    """Yields the host PID of a process that is PID 1 in new namespaces, with host name `inside`, and can't trace."""
    kinds = ("--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child")
    script = "hostname inside && echo up && exec sleep 1000"
    command = ("unshare", *kinds, "setpriv", "--bounding-set=-sys_ptrace", "sh", "-c", script)
    outer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert outer.stdout is not None
    assert outer.stdout.readline() == "up\n"
    inner = int(Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()[0])
    yield inner
    outer.kill()
    outer.wait()
    outer.stdout.close()


def test_output_of_a_program_without_a_terminal_is_made_safe(attached: Pty) -> None:
    assert b"\x1b]" not in attached.see("\\x1b]0;owned\\x07 é")


def test_lines_reach_the_program_and_ctrl_c_signals_it(attached: Pty) -> None:
    attached.type("hello\n")
    attached.see("program: got b'hello\\n'")
    attached.type("\x03")
    attached.see("program: SIGINT")
    attached.type("still here\n")
    attached.see("program: got b'still here\\n'")


@pytest.fixture
def attacked(request: pytest.FixtureRequest) -> Iterator[Pty]:
    """Yields a terminal attached to a program that attacks it."""
    side = Pty(request.param)
    side.see("program: ready ")
    yield side
    side.close()


@pytest.mark.parametrize("attacked", ["attach-flood"], indirect=True)
def test_a_flood_of_output_neither_reaches_the_terminal_raw_nor_keeps_it(attacked: Pty) -> None:
    for _ in range(20):
        assert b"\x1b" not in attacked.see("flood flood ")
    attacked.type("\x1d")
    attacked.see("it keeps running.")
    assert attacked.restored() == 0


@pytest.mark.parametrize("attacked", ["attach-deaf"], indirect=True)
def test_a_program_that_never_reads_does_not_keep_the_terminal(attacked: Pty) -> None:
    for number in range(4000):  # 512 KB: more than its socket and the queue hold
        attacked.type("x" * 127 + "\n")
        if number % 8 == 0:
            attacked.drain()
    attacked.see("what is typed now is dropped")
    attacked.type("\x1d")
    attacked.see("it keeps running.")
    assert attacked.restored() == 0


@pytest.mark.parametrize("attacked", ["attach-closed"], indirect=True)
def test_a_program_that_closes_its_input_is_reported(attacked: Pty) -> None:
    attacked.type("hello\n")
    attacked.see("The container no longer accepts input")
    attacked.type("\x1d")
    attacked.see("it keeps running.")
    assert attacked.restored() == 0


@pytest.mark.parametrize("keys", ["\x1d", "\x10\x11"])
def test_detaching_restores_the_terminal(attached: Pty, keys: str) -> None:
    attached.type("half a line")
    attached.type(keys)
    attached.see("it keeps running.")
    assert attached.restored() == 0


@pytest.mark.parametrize("attacked", ["attach-podman"], indirect=True)
def test_podman_closes_the_input_when_a_client_leaves(attacked: Pty) -> None:
    attacked.type("\x1d")
    attacked.see("Podman has closed its standard input.")
    assert attacked.restored() == 0


def test_a_program_with_a_tty_gets_every_byte(attached_tty: Pty) -> None:
    attached_tty.see("\x1b]0;owned\x07 é")
    attached_tty.type("\x03")
    attached_tty.see("program: got b'\\x03'")
    attached_tty.type("\x10")
    attached_tty.type("x")
    attached_tty.see("program: got b'\\x10x'")
    attached_tty.type("\x10")
    attached_tty.type("\x11")
    attached_tty.see("it keeps running.")
    assert attached_tty.restored() == 0


def test_the_exit_of_the_program_ends_the_session(attached: Pty) -> None:
    attached.type("end\n")
    attached.see("exited with code 7. Press Enter.")
    attached.type("\r")
    assert attached.restored() == 7


def test_names_are_made_safe(attached: Pty) -> None:
    attached.type("\x1d")
    attached.see("Detached from lent\\x1b]0;x\\x07")


def test_a_shell_runs_in_the_namespaces_and_returns_its_status(isolated: int) -> None:
    side = Pty("enter", str(isolated))
    try:
        side.see("Risk: runs as root")
        side.type("echo $(hostname)-$((6 * 7))\n")
        side.see("inside-42")
        side.see("# ")
        side.type("\x03")
        side.see("^C")
        side.type("\n\n")  # bash may lose a key, and its prompt, while it handles the signal
        side.type("echo still-$((1 + 1))\n")
        side.see("still-2")
        side.type("exit 3\n")
        assert side.restored() == 3
    finally:
        side.close()


def test_the_end_of_the_container_restores_the_terminal(isolated: int) -> None:
    side = Pty("enter", str(isolated))
    try:
        side.type("echo ready-$((1 + 1))\n")
        side.see("ready-2")
        os.kill(isolated, signal.SIGKILL)
        assert side.restored() != 0
    finally:
        side.close()


def test_a_stopped_container_is_not_entered() -> None:
    with pytest.raises(Gone, match="is not running"):
        enter(ScriptedEngine(), lent(0), Entry(), UNRESTRICTED)


def test_without_a_terminal_the_call_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with pytest.raises(Unsupported, match="needs a terminal"):
            enter(ScriptedEngine(), lent(os.getpid()), Entry(), UNRESTRICTED)


@pytest.fixture
def jailed(tmp_path: Path) -> Iterator[int]:
    """Yields the PID of a process with an empty root directory."""
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


def shells_in(pid: int, wanted: str = "") -> tuple[str, ...]:
    return look_up_shells(ScriptedEngine(), details(pid=pid), wanted).found


def test_a_shell_is_searched_only_below_the_containers_root(jailed: int, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    shell = tmp_path / "bin/sh"
    shell.symlink_to(os.path.realpath("/bin/sh"))  # exists on the host, not in the container
    assert os.path.exists("/bin/sh")
    assert shells_in(jailed) == ()
    shell.unlink()
    shell.symlink_to("../../../../../../bin/sh")
    assert shells_in(jailed) == ()
    shell.unlink()
    shell.write_text("no program")
    assert shells_in(jailed) == ()
    shell.chmod(0o755)
    assert shells_in(jailed) == ("/bin/sh",)
    (tmp_path / "my-shell").write_text("")
    (tmp_path / "my-shell").chmod(0o755)
    assert shells_in(jailed, "/my-shell") == ("/my-shell", "/bin/sh")
    assert shells_in(jailed, "/none") == ("/bin/sh",)
    (tmp_path / "bin/bash").mkdir()
    assert shells_in(jailed) == ("/bin/sh",)
