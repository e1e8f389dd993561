"""Entering a container on a real engine: what a hostile shell reaches, and what the user gets."""

import io
import os
import re
import shlex
import signal
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from containerlab_probes.processes.identity import identify
from containerlab_tui.model.entry import Entry, Way
from containerlab_tui.services.host_session import HostSession
from tests.engine.marks import needs_cgroups, needs_users, shares_pids
from tests.support.docker import Containers, Docker, eventually
from tests.support.kernel import container_processes
from tests.support.pseudoterminal import Pseudoterminal
from tests.support.screens import PROGRAM, OpenUi, environment

WAYS = {"confined": (), "host-tools": ("--host-tools",)}
AWAKE = "print('a' 'wake')"
"""Prints a word that isn't in the command, which is shown as well."""
UNTIL_SLEEP = "until read c </proc/$!/comm && [ $c = sleep ]; do :; done"
"""Waits in a shell until its last child has become `sleep`."""
HOSTILE = """#!/usr/bin/env python3
import ctypes, errno, fcntl, glob, os, signal, sys, termios, time

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def attempt(act):
    try:
        act()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"

def steal(text):
    for byte in text.encode():
        fcntl.ioctl(0, termios.TIOCSTI, bytes([byte]))

def mount(kind, at, options):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(kind, at, kind, 0, options):
        raise OSError(ctypes.get_errno(), "mount")

def unshare(flags):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags):
        raise OSError(ctypes.get_errno(), "unshare")

say("descriptors", *[number for number in range(1024) if attempt(lambda: os.fstat(number)) == "done"])
say("mount", attempt(lambda: mount(b"cgroup", b"/mnt", b"pids")), attempt(lambda: mount(b"proc", b"/mnt", None)))
agents = glob.glob("/sys/fs/cgroup/*/release_agent") + ["/mnt/release_agent"]
say("agents", *{attempt(lambda: os.open(path, os.O_WRONLY)) for path in agents})
say("namespace", attempt(lambda: unshare(0x10000000 | 0x00020000)))
say("in it", attempt(lambda: mount(b"proc", b"/mnt", None)), attempt(lambda: mount(b"cgroup", b"/mnt", b"pids")))
say("pattern", attempt(lambda: os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY)))
reader, writer = os.pipe()
if os.fork() == 0:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.setpgid(0, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    parent = os.getppid()
    os.write(writer, b"x")
    while os.getppid() == parent:
        time.sleep(0.01)
    with open("/tmp/tries", "w") as tries:
        for _ in range(2000):
            tries.write(attempt(lambda: steal("touch /tmp/stolen\\n")) + "\\n")
            tries.flush()
            attempt(lambda: os.write(1, b"output of a left-over child\\n"))
            time.sleep(0.05)
    sys.exit()
os.read(reader, 1)
say("asks \\x1b[5n\\x1b[c\\x1b[6n\\x1b]0;title")
attempt(lambda: steal("touch /tmp/stolen\\n"))
sys.exit(5)
"""
"""A shell that tries to reach the host and the terminal behind it, and leaves a child that goes on trying."""

Enter = Callable[..., Pseudoterminal]


@pytest.fixture
def enter(engine_host: str, tmp_path: Path) -> Iterator[Enter]:
    """Returns a function that enters a container on a terminal; then `cat` shows what is typed there."""
    made: list[Pseudoterminal] = []

    def begin(*words: str, knows_modes: bool = True, slow_s: float = 0.0) -> Pseudoterminal:
        line = shlex.join((PROGRAM, "--host", engine_host, "enter", *words))
        terminal = Pseudoterminal(
            ("/bin/sh", "-c", f"{line}; echo status $?; exec cat"),
            environment(tmp_path) | {"TERM": "xterm", "SHELL": "/bin/sh"},
            knows_modes,
            slow_s,
        )
        made.append(terminal)
        return terminal

    yield begin
    for terminal in made:
        terminal.close()


def put(docker: Docker, name: str, path: str, text: str) -> None:
    """Writes an executable file into a container."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo(path.rpartition("/")[2])
        entry.size, entry.mode = len(text.encode()), 0o755
        archive.addfile(entry, io.BytesIO(text.encode()))
    subprocess.run(
        ("docker", "--host", docker.host, "cp", "-", f"{name}:{path.rpartition('/')[0]}"),
        input=packed.getvalue(), check=True, timeout=60,
    )  # fmt: skip


ATTACK = """
import os, time
own = os.listdir("/proc")
hidden, seen = set(), set()
print("ready", flush=True)
while not os.path.exists("/tmp/stop"):
    for pid in set(os.listdir("/proc")) - set(own):
        for name in ("exe", "root", "cwd"):
            try:
                found = os.stat(f"/proc/{pid}/{name}")
            except PermissionError:
                hidden.add(pid)
            except OSError:
                pass
            else:
                seen.add(f"{found.st_dev}:{found.st_ino}")
print("hidden", len(hidden), "seen", *seen, flush=True)
time.sleep(1000)
"""
"""A program of the container that looks for a way to the host's files through each process that appears."""


def added_cgroups(id: str) -> list[Path]:
    """Returns the cgroups below those of a container that entering has added."""
    folders = (Path(folder) for folder, _, _ in os.walk("/sys/fs/cgroup"))  # rglob fails if one vanishes meanwhile
    return [folder for folder in folders if folder.name.startswith("containerlab-enter-") and id in str(folder)]


@pytest.mark.parametrize("way", WAYS)
def test_a_hostile_shell_reaches_neither_the_host_nor_the_terminal(
    way: str, enter: Enter, container: Containers, docker: Docker
) -> None:
    name = container("dockerapp1")
    put(docker, name, "/usr/bin/bash", HOSTILE)
    terminal = enter(name, *WAYS[way])
    terminal.see("descriptors ")
    assert terminal.see("\r\n") == b"0 1 2"
    terminal.see("mount ")
    assert terminal.see("\r\n") == b"EPERM EPERM"
    terminal.see("agents ")
    assert set(terminal.see("\r\n").split()) <= {b"EROFS", b"ENOENT", b"EACCES", b"EPERM"}
    terminal.see("namespace ")
    allowed = way == "confined" and not docker.run("exec", name, "unshare", "--user", "--mount", "true").returncode
    assert terminal.see("\r\n") == (b"done" if allowed else b"EPERM"), "as for any program of the container"
    terminal.see("in it ")
    assert terminal.see("\r\n") == b"EPERM EPERM"
    terminal.see("pattern ")
    assert terminal.see("\r\n") in (b"EROFS", b"EACCES")  # EACCES: its root is not the host's
    terminal.see(f"Left {name}: exit status 5.")
    terminal.see("1 process is left: ")
    assert b"python3" in terminal.see("status 5\r\n")
    tries = eventually(
        lambda: found if len(found := docker("exec", name, "cat", "/tmp/tries").split()) > 5 else [], "it has tried"
    )
    assert set(tries) <= {"EIO", "EPERM"}
    terminal.type("end\n")
    assert terminal.see("end\r\nend\r\n") == b""  # echoed, and copied by cat: nothing else was typed or written
    assert not os.path.exists("/tmp/stolen")


@pytest.mark.parametrize(("knows_modes", "slow_s"), [(True, 0.7), (False, 0.4)])
def test_answers_of_the_terminal_are_not_typed(
    knows_modes: bool, slow_s: float, enter: Enter, container: Containers
) -> None:
    name = container("dockerapp1")
    asks = "print('\x1b[5n\x1b[c\x1b[6n\x1b[c as' 'ked \x1bP$q unfinished', flush=True)"
    terminal = enter(name, "--", "python3", "-c", asks, knows_modes=knows_modes, slow_s=slow_s)
    terminal.see("asked")
    terminal.see("\x18\x1b\\")  # ends what is unfinished
    terminal.see("\r\nstatus 0\r\n")
    terminal.type("end\n")
    assert b"".join(terminal.see("end\r\nend\r\n").split()) == b""


def test_what_enters_cannot_be_traced_before_it_is_the_program(container: Containers, docker: Docker) -> None:
    name = container("dockerapp1", "python3", "-c", ATTACK, ready="ready")
    init = identify(int(docker.state(name, "State.Pid")))
    slow = {"PATH": "a:" * 3_000 + "/usr/bin"}  # so that it looks for the program for a while
    for _ in range(3):
        with closing(HostSession(init, Entry(Way.HOST_TOOLS), ("true",), slow, (24, 80))) as session:
            while session.read():
                pass
            assert session.end(has_left=False).status == 0
    docker("exec", name, "touch", "/tmp/stop")
    words = docker.says(name, "hidden ").split("hidden ")[1].split()
    assert int(words[0]) >= 3
    hosts = {f"{found.st_dev}:{found.st_ino}" for found in (os.stat("/"), os.stat("/proc/self/exe"))}
    assert not hosts & set(words[2:])
    assert len(words) > 2  # the program is seen once it runs in the container's files


@pytest.mark.parametrize(
    ("options", "words", "reason"),
    [
        (("--cap-add=SYS_PTRACE",), (), "The container may have CAP_SYS_PTRACE"),
        pytest.param(
            ("--pid=host",), ("--host-files",), "The container shares the host's PID namespace", marks=shares_pids
        ),
    ],
)
def test_what_the_container_could_take_over_needs_full_rights(
    options: tuple[str, ...], words: tuple[str, ...], reason: str, enter: Enter, container: Containers
) -> None:
    name = container("dockerapp1", options=options)
    terminal = enter(name, "--host-tools", *words, "--", "true")
    terminal.see(reason)
    terminal.see("enter inside its confinement, or with full rights.")
    terminal.see("status 4")
    terminal = enter(name, "--host-tools", "--full-rights", *words, "--", "true")
    terminal.see("Risk: ")
    terminal.see("status 0")


@pytest.mark.parametrize("way", WAYS)
def test_size_and_signals_reach_the_session(way: str, enter: Enter, container: Containers, docker: Docker) -> None:
    name = container("dockerapp1")
    program = (
        "import os, signal\n"
        "awaited = (signal.SIGWINCH, signal.SIGINT)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, awaited)\n"  # a handler that prints may interrupt itself
        "print('ready', os.getsid(0) == os.getpid(), os.tcgetpgrp(0) == os.getpgrp(), flush=True)\n"
        "while True:\n"
        "    came = signal.Signals(signal.sigwait(awaited)).name\n"
        "    print(came, *os.get_terminal_size(), flush=True)\n"
    )
    terminal = enter(name, *WAYS[way], "--", "python3", "-c", program)
    terminal.see("ready True True")
    terminal.resize(33, 111)
    terminal.see("SIGWINCH 111 33")
    terminal.type("\x03")
    terminal.see("SIGINT 111 33")
    terminal.type("\x1d")
    terminal.see(f"Left {name}.")
    eventually(lambda: len(container_processes(docker.run_of(name))) == 1, "the hangup has ended it", 60)


@needs_users
def test_the_session_has_the_rights_of_the_containers_pid_1(enter: Enter, container: Containers) -> None:
    options = ("--cap-drop=ALL", "--cap-add=CHOWN", "--security-opt=no-new-privileges", "--user=1000")
    name = container("dockerapp1", options=options)
    rights = ("sh", "-c", "grep -hE '^(Uid|CapBnd|CapEff|NoNewPrivs|Seccomp):' /proc/self/status")

    def found(*words: str) -> dict[str, list[str]]:
        terminal = enter(name, *words, "--", *rights)
        terminal.see("Uid:")
        lines = terminal.see(f"Left {name}").decode().replace("Uid:", "")
        return {"Uid": lines.split("\r\n")[0].split()} | {
            key: values.split() for line in lines.split("\r\n")[1:] for key, _, values in (line.partition(":"),)
        }

    confined, host_tools = found(), found("--host-tools")
    assert confined["Uid"][0] == "1000"
    assert (confined["CapBnd"], confined["NoNewPrivs"], confined["Seccomp"]) == (["0000000000000001"], ["1"], ["2"])
    assert host_tools["Uid"][0] == "0"
    assert (host_tools["CapBnd"], host_tools["NoNewPrivs"]) == (["0000000000000001"], ["1"])
    assert host_tools["Seccomp"] == ["2"]
    assert host_tools["CapEff"] == ["0000000000000001"]
    full = found("--host-tools", "--full-rights")
    assert full["NoNewPrivs"] == ["0"]
    assert int(full["CapEff"][0], 16) >> 21 & 1  # CAP_SYS_ADMIN


@needs_cgroups
def test_the_session_is_in_the_cgroups_of_the_container(enter: Enter, container: Containers, docker: Docker) -> None:
    name = container("scratch-static", options=("--cgroupns=host",))  # with its own, it sees other paths than the host
    id = docker("inspect", "--format", "{{.Id}}", name)
    terminal = enter(name, "--host-tools", "--host-files", "--", "sh", "-c", "cat /proc/self/cgroup; echo no more")
    terminal.see("container's.")
    own = re.findall(r"\d+:[^\s:]*:/\S*", terminal.see("no more").decode())
    init = Path(f"/proc/{docker.state(name, 'State.Pid')}/cgroup")
    joined = [pair for pair in zip(own, init.read_text().splitlines(), strict=True) if id in pair[1]]
    assert joined
    for line, wanted in joined:  # the others are the daemon's
        assert line.partition("/containerlab-enter-")[0] == wanted
    assert sum("/containerlab-enter-" in line for line in own) == 1
    terminal.see("status 0")
    assert added_cgroups(id) == []


def test_a_child_that_leaves_the_session_is_named(enter: Enter, container: Containers, docker: Docker) -> None:
    name = container("dockerapp1")
    terminal = enter(name, "--host-tools", "--", "sh", "-c", "trap '' HUP; setsid sleep 1234 & " + UNTIL_SLEEP)
    terminal.see("1 process is left: sleep 1234 (host PID ")
    assert terminal.see(").").isdigit()
    terminal.see("status 0")
    id = docker("inspect", "--format", "{{.Id}}", name)
    has_cgroup = id in Path(f"/proc/{docker.state(name, 'State.Pid')}/cgroup").read_text()
    assert len(added_cgroups(id)) == has_cgroup
    docker("rm", "--force", name)
    eventually(lambda: added_cgroups(id) == [], "its cgroup is removed")


def test_leaving_does_not_wait_for_a_program_that_ignores_it(enter: Enter, container: Containers) -> None:
    name = container("dockerapp1")
    program = f"import signal; [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 3, 15)]; {AWAKE}; signal.pause()"
    terminal = enter(name, "--host-tools", "--", "python3", "-c", program)
    modes = terminal.see("awake")
    assert b"Risk: " in modes
    terminal.type("x" * 3000 + "\x03\x1d")
    terminal.see(f"Left {name}; its program may still run.")
    terminal.see("1 process is left: python3")


def test_the_terminal_is_restored_when_this_program_is_ended(enter: Enter, container: Containers) -> None:
    name = container("dockerapp1")
    terminal = enter(name, "--host-tools", "--", "python3", "-c", f"print('\x1b[?1000h'); {AWAKE}; input()")
    modes = terminal.modes()
    terminal.see("awake")
    assert terminal.modes() != modes
    children = Path(f"/proc/{terminal.pid}/task/{terminal.pid}/children").read_text().split()
    os.kill(int(children[0]), 15)
    terminal.see("\x1b[?1000l")
    terminal.see("status 143")
    assert terminal.modes() == modes


def test_this_program_can_be_suspended_and_resumed(enter: Enter, container: Containers) -> None:
    name = container("dockerapp1")
    terminal = enter(name, "--", "python3", "-c", f"{AWAKE}; input(); print('re' 'sumed')")
    modes = terminal.modes()
    terminal.see("awake")
    raw = terminal.modes()
    program = int(Path(f"/proc/{terminal.pid}/task/{terminal.pid}/children").read_text().split()[0])
    os.kill(program, signal.SIGTSTP)
    eventually(lambda: " T " in Path(f"/proc/{program}/stat").read_text(), "it is suspended")
    assert terminal.modes() == modes
    os.kill(program, signal.SIGCONT)
    eventually(lambda: terminal.modes() == raw, "it has taken the terminal again")
    terminal.type("\r")
    terminal.see("resumed")
    terminal.see("status 0")


def test_a_program_that_does_not_exist_is_one_sentence(enter: Enter, container: Containers, docker: Docker) -> None:
    name = container("scratch-static")
    terminal = enter(name, "--host-tools", "--", "no-such-program")
    terminal.see("Could not run no-such-program: no such program.")
    terminal.see("status 3")
    terminal = enter(name)
    terminal.see("The image has no shell: name one of its programs, or enter with the host's files.")
    terminal.see("status 4")
    assert added_cgroups(docker("inspect", "--format", "{{.Id}}", name)) == []


def test_the_screens_ask_once_and_come_back_after_a_hostile_shell(
    open_ui: OpenUi, container: Containers, docker: Docker
) -> None:
    name = container("dockerapp1", name=f"ent-{os.getpid()}")
    put(docker, name, "/usr/bin/bash", HOSTILE)
    screen = open_ui(120, 40)
    screen.filter(name)
    screen.press("e")
    screen.shows("(•) inside its confinement", "/bin/bash")
    screen.press("Enter")
    left: set[str] = set()

    def names_another() -> bool:
        found = set(re.findall(r"1 process is left: python3 /bin/bash .host PID (\d+)", screen.text()))
        is_new = not found <= left
        left.update(found)
        return is_new

    screen.until(names_another, "the process that was left is named")
    screen.row_shows(name, "●")
    screen.press("e")
    screen.until(names_another, "the process that the second session left is named")
    screen.row_shows(name, "●")
    assert docker.state(name) == "running"
    assert "(•)" not in screen.text()
    screen.press("?")
    screen.shows("Enter with a shell or a program")
