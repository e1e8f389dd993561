"""Containers that attack what acts on them: links that move, a restart at the wrong moment, labels and arguments."""

import json
import os
import socket
import uuid
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from containerlab_probes.errors import ContainerlabError, Gone
from containerlab_probes.memory_records import IpcKind
from containerlab_probes.records import Process
from containerlab_tui.cli import main
from containerlab_tui.engine.docker_engine import DockerEngine
from containerlab_tui.model.inventory import Details
from containerlab_tui.services import signals
from containerlab_tui.services.inspection import inspector
from containerlab_tui.services.processes import see_processes
from containerlab_tui.services.stop import plan_stop, run_stop
from tests.support.docker import Containers, Docker, eventually
from tests.support.engine import UNRESTRICTED

BASE = "containerlab/base:latest"
SWAPS = r"""
import os, sys
os.makedirs("/srv/real")
links = [sys.argv[1], "../../../../../../.." + sys.argv[1], "/proc/1/root" + sys.argv[1]]
os.symlink("real", "/srv/in")
print("ready", flush=True)
for number in range(10_000_000):
    os.symlink(links[number // 2 % 3] if number % 2 else "/srv/real", "/srv/next")
    os.rename("/srv/next", "/srv/in")
"""
HANDLES = r"""
import ctypes, os, signal
for number in range(1, 32):
    if number not in (9, 17, 19):
        signal.signal(number, lambda number, frame: os.write(1, b"got %d\n" % number))
ctypes.CDLL(None).shmget(4711, 4096, 0o1600)
os.write(1, b"ready\n")
while True:
    signal.pause()
"""
COPIES = 25
STRANGER = 54321


@pytest.mark.skipif("DOCKER_HOST" in os.environ, reason="the socket of that engine is not this program's")
def test_another_user_reaches_neither_the_socket_nor_its_directory(engine_host: str) -> None:
    """Each is tried alone, because a directory above them may keep others out as well."""
    path = engine_host.removeprefix("unix://")
    held = os.open(path, os.O_PATH)
    attempts: tuple[Callable[[], object], ...] = (
        lambda: socket.socket(socket.AF_UNIX).connect(f"/proc/self/fd/{held}"),
        lambda: socket.socket(socket.AF_UNIX).connect(os.path.basename(path)),
        lambda: os.listdir("."),
    )

    def tried() -> int:
        """Returns the number of attempts that succeeded, as another user in that directory."""
        os.chdir(os.path.dirname(path))
        os.setgroups([])
        os.setgid(STRANGER)
        os.setuid(STRANGER)
        done = 0
        for attempt in attempts:
            with suppress(PermissionError):
                attempt()
                done += 1
        return done

    pid = os.fork()
    if pid == 0:
        os._exit(tried())
    os.close(held)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_copy_into_a_directory_that_becomes_a_link_stays_in_the_container(
    engine: DockerEngine, container: Containers, tmp_path: Path
) -> None:
    host = tmp_path / "host"
    host.mkdir()
    file = tmp_path / f"copied-{uuid.uuid4().hex}"
    file.write_text("for the container")
    name = container(BASE, "python3", "-c", SWAPS, str(host), ready="ready")
    copied = 0
    for _ in range(COPIES):
        try:
            engine.copy_into(name, str(file), "/srv/in")
            copied += 1
        except ContainerlabError:
            continue  # the link had no target inside the container at that moment
    assert list(host.iterdir()) == []
    assert not Path("/srv/real", file.name).exists()
    assert copied, "some copies went into the container"


@pytest.fixture
def drawn(docker: Docker, container: Containers, engine: DockerEngine) -> tuple[Details, Process]:
    """Returns what a screen showed of a container, with its PID 1, that was restarted afterwards."""
    name = container(BASE, "python3", "-c", HANDLES, options=("--stop-timeout=20",), ready="ready")
    details = engine.inspect(name)
    seen, reason = see_processes(engine, details)
    assert not reason
    docker("restart", "--time=0", name)
    eventually(lambda: docker.logs(name).count("ready") == 2, "it runs again", 60)
    return details, next(one for one in seen if one.pid == details.pid)


@pytest.mark.parametrize("number", [1, 9, 15])
def test_a_signal_to_a_process_of_the_run_before_a_restart_is_not_sent(
    engine: DockerEngine, docker: Docker, drawn: tuple[Details, Process], number: int
) -> None:
    """SIGTERM and SIGKILL go through the engine, which knows no runs: the new one must not get them."""
    details, init = drawn
    (one,) = signals.send(engine, details, (init,), number, policy=UNRESTRICTED, observe_s=0.1)
    assert one.error_status == Gone.exit_status
    with pytest.raises(Gone, match="Nothing sent"):
        signals.refresh(engine, details, init)
    assert docker.state(details.id, "State.Running") == "true"
    assert "got" not in docker.logs(details.id).rpartition("ready")[2]


def test_an_object_of_the_run_before_a_restart_is_not_removed(
    engine: DockerEngine, drawn: tuple[Details, Process]
) -> None:
    """The new run has an object with the same id and the same key."""
    details, _ = drawn

    def remove_before() -> None:
        with closing(inspector(engine, details, UNRESTRICTED)) as before:
            before.remove_ipc(IpcKind.SHM, "0")

    with pytest.raises(Gone):
        remove_before()
    with closing(inspector(engine, engine.inspect(details.id), UNRESTRICTED)) as now:
        assert [one.object.id for one in now.ipc().rows if one.object.kind is IpcKind.SHM] == ["0"]


def test_a_stop_that_was_planned_before_a_restart_watches_the_new_run(
    engine: DockerEngine, docker: Docker, container: Containers
) -> None:
    name = container("dockerapp1", ready="pid = 1")
    plan = plan_stop(engine, name)
    docker("restart", "--time=0", name)
    state = run_stop(engine, plan)
    now = state.plan.pid
    assert now != plan.pid
    assert {lane.id.pid for lane in state.lanes} >= {now}
    assert state.phase_1 is not None
    assert state.duration_s is not None


@pytest.fixture
def large(container: Containers) -> str:
    """Returns a container with 1,000 labels, and 128 KiB of arguments."""
    labels = [f"--label=label-{number:04}=\x1b]0;owned\x07{'v' * 100}" for number in range(1000)]
    arguments = [f"{number}\x1b[31m" + "a" * 32_700 for number in range(4)]
    program = "import signal; print('ready', flush=True); signal.pause()"
    return container(BASE, "python3", "-c", program, *arguments, options=tuple(labels), ready="ready")


COMMANDS = (("ps",), ("processes", "NAME"), ("forecast", "NAME"), ("doctor", "NAME"), ("ipc", "NAME"), ("maps", "NAME"))


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_thousand_labels_and_128_kib_of_arguments(
    large: str, engine_host: str, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in COMMANDS:
        arguments = [large if word == "NAME" else word for word in words]
        assert main(["--host", engine_host, *arguments, *(["--json"] if form == "json" else [])]) == 0, words
        out, err = capsys.readouterr()
        assert not any((ord(char) < 32 and char != "\n") or 0x7F <= ord(char) < 0xA0 for char in out + err), words
        if form == "json":
            json.loads(out)
        else:
            longest = max(map(len, out.splitlines()))
            assert longest < 20_000, f"{words}: a line of {longest} characters"
