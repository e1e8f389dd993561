"""The command of an ssh connection, and what its messages mean. Real connections are in tests/engine/test_ssh.py."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from containerlab_probes.errors import ContainerlabError, Denied, Unreachable, Unsupported
from containerlab_tui.engine import http, ssh, ssh_errors
from containerlab_tui.engine.endpoint import Endpoint
from containerlab_tui.engine.errors import Explained, LoginRefused
from containerlab_tui.engine.ssh import OPTIONS, SshTarget, parse
from tests.support.docker import eventually

URL = "ssh://me@far:2222"


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("ssh://far", SshTarget("far")),
        ("ssh://me@Far:2222", SshTarget("Far", "me", 2222)),
        ("ssh://m%40e@far/", SshTarget("far", "m@e")),
        ("ssh://far/run/user/1000/docker.sock", SshTarget("far", socket="/run/user/1000/docker.sock")),
        ("ssh://me@[2001:DB8::1]:22", SshTarget("2001:DB8::1", "me", 22)),
    ],
)
def test_the_parts_of_an_address(url: str, target: SshTarget) -> None:
    assert parse(url) == target


def test_the_command_is_the_one_of_docker() -> None:
    assert parse("ssh://far").command() == ("ssh", *OPTIONS, "--", "far", "docker system dial-stdio")
    assert parse("ssh://me@-x:9/a b").command() == (
        "ssh", "-l", "me", "-p", "9", *OPTIONS, "--", "-x", "docker '--host=unix:///a b' system dial-stdio"
    )  # fmt: skip
    assert "BatchMode=yes" in OPTIONS
    assert parse(URL).example("docker", "version") == "ssh -l me -p 2222 far docker version"


@pytest.mark.parametrize(
    ("status", "said", "error", "words"),
    [
        (255, "No ED25519 host key is known for far and you have requested strict checking.\n"
              "Host key verification failed.", Unreachable, f"The host key of {URL} is not known. Run `ssh -l me"),
        (255, "@@@@\r\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\r\nHost key verification failed.\r\n",
         Unreachable, "is not the known one: somebody may be intercepting"),
        (255, "me@far: Permission denied (publickey,password).", LoginRefused, "asks for a password, which"),
        (255, "me@far: Permission denied (publickey,keyboard-interactive).", LoginRefused, "asks for a password"),
        (255, "me@far: Permission denied (publickey).", LoginRefused, "accepts none of your keys. A key with"),
        (255, "ssh: connect to host far port 2222: No route to host", Unreachable, "far port 2222: No route to host."),
        (255, "kex_exchange_identification: Connection closed by remote host\nConnection closed by 192.0.2.1 port 22",
         Unreachable, f"Could not connect to {URL}: Connection closed by 192.0.2.1 port 22."),
        (255, "/home/me/.ssh/config: line 1: Bad configuration option: x", Unreachable, "Bad configuration option: x."),
        (255, "", Unreachable, "`ssh -l me -p 2222 far docker version` may say more."),
        (127, "bash: line 1: docker: command not found", Unreachable, f"{URL} has no docker command."),
        (126, "sh: 1: docker: Permission denied", Unreachable, "has no docker command."),
        (1, "docker: 'system' is not a docker command.\nSee 'docker --help'", Unsupported, "18.09 or newer is needed"),
        (1, "unknown command: docker system dial-stdio", Unsupported, "18.09 or newer is needed"),
        (1, "permission denied while trying to connect to the Docker daemon socket", Denied, "engine's socket on ssh"),
        (1, "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?", Unreachable,
         f"No Docker engine answers on {URL}"),
        (1, "bad \x1b[2J\u202eend", Unreachable, r"bad \x1b[2J\u202eend."),
        (3, "", Unreachable, "`docker system dial-stdio` exited with status 3."),
        (-9, "", Unreachable, "exited with status -9."),
    ],
)  # fmt: skip
def test_what_a_failure_means(status: int, said: str, error: type[ContainerlabError], words: str) -> None:
    made = ssh_errors.ended(URL, parse(URL).example, status, said.encode(), answered=False)
    assert type(made) is error
    assert words in str(made)
    assert "\n" not in str(made)


def test_a_connection_that_worked_before_has_died() -> None:
    said = b"client_loop: send disconnect: Broken pipe\r\n"
    made = ssh_errors.ended(URL, parse(URL).example, 255, said, answered=True)
    assert str(made) == f"The ssh connection to {URL} died (client_loop: send disconnect: Broken pipe)."
    silent = ssh_errors.ended(URL, parse(URL).example, 255, b"\n", answered=True)
    assert str(silent) == f"The ssh connection to {URL} died."


def test_an_ssh_that_could_not_be_started() -> None:
    assert "ssh is not installed" in str(ssh_errors.not_started(URL, FileNotFoundError(2, "No such file")))
    assert "could not be started (Too many open files)" in str(
        ssh_errors.not_started(URL, OSError(24, "Too many open files"))
    )


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Returns a function that puts a script in the place of ssh."""

    def make(script: str) -> None:
        program = tmp_path / "ssh"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return make


ANSWER = r"printf 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}'"


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{threading.main_thread().native_id}/children").read_text().split())


@pytest.mark.parametrize("then", ["exec cat", "exec sleep 1000", "trap '' TERM; exec sleep 1000"])
def test_nothing_is_left_of_a_connection(
    fake: Callable[[str], None], then: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "LEFT_WITHIN_S", 0.05)
    fake(f"{ANSWER}; {then}")
    before, open_before = children(), set(os.listdir("/proc/self/fd"))
    assert http.get_json(Endpoint(URL), "/x", "ask") == {}
    eventually(lambda: children() == before, "ssh has ended and is no zombie")
    eventually(lambda: set(os.listdir("/proc/self/fd")) == open_before, "its descriptors are closed")


def test_what_is_written_before_the_end_arrives(fake: Callable[[str], None], tmp_path: Path) -> None:
    (tmp_path / "arrived").touch()
    fake(f"cat > {tmp_path}/arrived")
    connection = ssh.dial(URL)
    connection.sendall(b"x" * 100_000)
    connection.close()
    eventually(lambda: (tmp_path / "arrived").stat().st_size == 100_000, "all has arrived")


def test_messages_without_end_stop_nothing(fake: Callable[[str], None]) -> None:
    fake(f"yes 2>/dev/null | head -c 1000000 >&2; {ANSWER}; exec cat")
    assert http.get_json(Endpoint(URL), "/x", "ask") == {}


def test_an_end_without_failure_is_an_end(fake: Callable[[str], None]) -> None:
    fake("printf end")
    connection = ssh.dial(URL)
    assert connection.recv(100) == b"end"
    assert connection.recv(100) == b""
    connection.close()
    fake("printf end; exit 255")
    connection = ssh.dial(URL)
    assert connection.recv(100) == b"end"
    with pytest.raises(Explained, match=f"The ssh connection to {URL} died"):
        connection.recv(100)
    connection.close()
    fake("exit 255")
    connection = ssh.dial(URL)
    with pytest.raises(Explained, match=f"Could not connect to {URL}"):
        connection.sendall(b"x" * 10_000_000)
    connection.close()


LATE = """
from containerlab_tui.engine import ssh
class Response:
    def __init__(self):
        self.connection = ssh.dial("ssh://far")
    def __del__(self):  # as urllib3's responses, which io.IOBase closes
        self.connection.close()
kept = Response()
"""


def test_a_response_that_is_left_open_does_not_hold_the_end_of_the_program(fake: Callable[[str], None]) -> None:
    fake("exec cat")
    subprocess.run((sys.executable, "-c", LATE), check=True, timeout=60)
