"""A container that tries to control the terminal: no screen passes its control characters or runs its text."""

import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from containerlab_probes.errors import Gone
from containerlab_probes.records import ProcessId
from containerlab_probes.signals.send import send
from containerlab_tui.cli import main
from containerlab_tui.engine.docker_engine import connect
from containerlab_tui.services.stop import plan_stop, run_stop
from tests.support.docker import Containers, Docker, eventually
from tests.support.terminal import Terminal

TITLE = "\x1b]2;stolen\x07"
CLIPBOARD = "\x1b]52;c;c3RvbGVu\x07"
EVIL = f"{TITLE}{CLIPBOARD}\x1b[2J\x1bP+q\x1b\\\x1b_apc\x1b\\\x9b31m\x1b]2;open [@click=app.quit]x[/] [red]close[/]"
PROGRAM = """
import ctypes, mmap, os, signal, sys, time
evil = sys.argv[1]
ctypes.CDLL(None).prctl(15, b"[/]\\x1b]2;st\\x07", 0, 0, 0)
path = "/srv/" + evil.replace("/", "|")[:200]
with open(path, "wb+") as file:
    file.write(evil.encode() * 40)
    file.truncate(8192)
    held = mmap.mmap(file.fileno(), 4096)
libc = ctypes.CDLL(None)
libc.shmat.restype = ctypes.c_void_p
segment = libc.shmget(4711, 4096, 0o1666)
at = libc.shmat(segment, None, 0)
ctypes.memmove(at, evil.encode()[:200], len(evil.encode()[:200]))
os.write(1, b"\\x1b[31mred\\x1b[0m " + evil.encode() + b"\\nready\\n")
while True:
    signal.pause()
"""


@pytest.fixture
def hostile(container: Containers) -> str:
    options = (f"--label=evil={EVIL}", f"--env=EVIL={EVIL}", "--stop-timeout=0")
    return container(
        "dockerapp1", "python3", "-c", PROGRAM, EVIL, options=options, name=f"hos-{uuid.uuid4().hex[:6]}", ready="ready"
    )


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal(120, 40)
    yield made
    made.close()


def test_no_screen_passes_control_characters(
    hostile: str, engine_host: str, terminal: Terminal, docker: Docker, tmp_path: Path
) -> None:
    environment = {"PATH": os.environ["PATH"], "TERM": "tmux-256color", "LANG": "C.UTF-8", "HOME": str(tmp_path)}
    terminal.ask("set-option -s set-clipboard on")
    program = str(Path(sys.executable).with_name("containerlab-tui"))
    terminal.run(f"{program} --host {engine_host}", environment)

    def shows(text: str) -> None:
        eventually(lambda: text in "\n".join(terminal.screen()), f"{text} on:\n" + "\n".join(terminal.screen()))

    shows(hostile)
    shows("TERM ⊘ discarded")  # the forecasts come after the first frame: from then on the keyboard is read
    for key in ("/", f"-l {hostile}", "Enter"):
        terminal.press(key)
    eventually(lambda: "\n".join(terminal.screen()).count("●") == 1, "it alone is listed")
    for key, seen in (("p", "USER"), ("g", "RESULT"), ("i", "segment"), ("f", "shared"), ("l", "ready"), ("y", "Id")):
        terminal.press(key)
        shows(seen)
    terminal.press("s")
    shows("Signal to")
    terminal.press("Escape")
    shows("NAME")
    terminal.press("x")
    shows("Grace period")
    terminal.press("Escape")
    shows("NAME")
    terminal.press("i")
    shows("segment")

    def opened() -> bool:
        terminal.press("Enter")  # to the tab, then into the object
        return "00000000" in "\n".join(terminal.screen())

    eventually(opened, "the bytes")
    assert terminal.ask("display-message -p -t program '#{pane_dead}'") == ["0"], "it still runs"
    assert "stolen" not in "".join(terminal.ask("display-message -p -t program '#{pane_title}'"))
    assert terminal.ask("list-buffers") == [], "nothing was written to the clipboard"
    raw = "\n".join(terminal.screen())
    assert not any(ord(char) < 32 and char != "\n" for char in raw)


@pytest.mark.parametrize(
    "words", [("ps",), ("processes", "NAME"), ("ipc", "NAME"), ("maps", "NAME"), ("doctor", "NAME"),
              ("ipc", "read", "NAME", "shm", "0"), ("forecast", "NAME")]
)  # fmt: skip
def test_no_command_prints_it(
    hostile: str, engine_host: str, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--host", engine_host, *(hostile if word == "NAME" else word for word in words)]) == 0
    out, err = capsys.readouterr()
    assert out
    bad = [char for char in out + err if (ord(char) < 32 and char != "\n") or 0x7F <= ord(char) < 0xA0]
    assert bad == []


def test_a_container_that_vanishes_before_the_stop(docker: Docker, container: Containers, engine_host: str) -> None:
    name = container("dockerapp1", ready="pid = 1")
    engine = connect(engine_host)
    plan = plan_stop(engine, name)
    docker("rm", "--force", name)
    with pytest.raises(Gone):
        run_stop(engine, plan)
    assert main(["--host", engine_host, "stop", name]) == 3


def test_a_reused_pid_gets_no_signal(docker: Docker, container: Containers) -> None:
    name = container("dockerapp1", ready="pid = 1")
    run = docker.run_of(name)
    with pytest.raises(Gone):
        send(run, ProcessId(run.init.pid, run.init.started - 1), 10)
    assert "SIGUSR1" not in docker.logs(name)
