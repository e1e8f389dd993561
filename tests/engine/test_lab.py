"""The private engine: up, down, after a crash, for two commands at once. Each test has a separate lab."""

import os
import select
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from containerlab_probes.errors import Unreachable
from containerlab_tui.lab import daemon
from containerlab_tui.lab.demonstrations import DEMONSTRATIONS
from containerlab_tui.lab.lab import Lab
from containerlab_tui.lab.progress import Progress
from tests.engine.marks import starts_a_daemon
from tests.support.docker import Docker

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab needs root; make test uses sudo"),
    starts_a_daemon,
]


@pytest.fixture
def root() -> Iterator[Path]:
    """Creates a directory with a short name: socket paths are limited."""
    with tempfile.TemporaryDirectory(prefix="lab-") as name:
        yield Path(name)


@pytest.fixture
def lab(root: Path, base_cache: Path) -> Iterator[Lab]:
    made = Lab(root / "state" / "lab", root / "run" / "lab", base_cache)
    yield made
    made.down(purge=True)


@pytest.fixture
def places(lab: Lab, root: Path) -> daemon.Places:
    """Returns where that lab's daemon keeps its files."""
    return daemon.Places(root / "state" / "lab", root / "run" / "lab")


@pytest.fixture
def client(lab: Lab, root: Path) -> Docker:
    """Returns a docker client for that lab, which need not be up yet."""
    return Docker(lab.endpoint, str(root))


def pid_of(lab: Lab) -> int:
    pid = lab.status().pid
    assert pid is not None
    return pid


def kill(pid: int) -> None:
    """Sends SIGKILL and waits for the exit."""
    pidfd = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        assert select.select([pidfd], [], [], 10)[0]
    finally:
        os.close(pidfd)


def test_up_status_down(lab: Lab, client: Docker, root: Path) -> None:
    before = lab.status()
    assert not before.running
    assert {state for _, state in before.containers} == {"missing"}
    reported = list[Progress]()
    assert lab.up(reported.append) == lab.endpoint == client.host
    assert (reported[0].step, reported[-1].step) == (0, reported[-1].total)
    assert [each.step for each in reported] == sorted(each.step for each in reported)

    status = lab.status()
    assert status.running
    assert all(current for _, current in status.images)
    states = dict(status.containers)
    assert states.pop("supervisor-v1") in ("exited", "running")  # it exits soon, but not at a fixed time
    assert set(states.values()) == {"running"}
    assert client("network", "ls", "--format", "{{.Name}}").split() == ["host", "none"]
    socket = Path(lab.endpoint.removeprefix("unix://"))
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    assert_demonstrations_can_be_seen(client)

    pid = pid_of(lab)
    assert lab.down() is True
    assert not Path(f"/proc/{pid}/exe").exists()
    assert not lab.status().running
    assert lab.down() is False
    assert lab.down(purge=True) is False
    assert not (root / "state" / "lab").exists()
    assert not (root / "run" / "lab").exists()


def assert_demonstrations_can_be_seen(client: Docker) -> None:
    assert client.state("shell-bash", "Config.Cmd") == "[bash]"
    assert "python3 shell_form.py" in client("exec", "shell-bash", "ps", "-e", "-o", "args=")
    assert len(client("exec", "systemv-shm", "cat", "/proc/sysvipc/shm").splitlines()) == 2
    assert client("exec", "systemv-shm", "pgrep", "-f", "waiter")
    assert client("exec", "mmap-shm", "pgrep", "-f", "holder")
    assert client("exec", "mmap-shm", "stat", "--format=%s", "/srv/shm.txt") == "501"
    assert client("wait", "supervisor-v1") == "0"


def test_a_second_up_does_only_what_is_missing(lab: Lab, client: Docker) -> None:
    lab.up()
    client("wait", "supervisor-v1")
    ids = {each.name: client.state(each.name, "Id") for each in DEMONSTRATIONS}
    started = client.state("dockerapp1", "State.StartedAt")
    client("kill", "dockerapp2")
    client("rm", "--force", "dockerapp3")
    reported = list[Progress]()
    pid = pid_of(lab)
    lab.up(reported.append)
    done = [each.text for each in reported if each.text.startswith(("image ", "container "))]
    assert sorted(done) == ["container dockerapp2", "container dockerapp3"]
    assert pid_of(lab) == pid
    after = {each.name: client.state(each.name, "Id") for each in DEMONSTRATIONS}
    assert {name for name in ids if ids[name] != after[name]} == {"dockerapp3"}
    assert client.state("dockerapp1", "State.StartedAt") == started
    assert client.state("dockerapp2") == client.state("dockerapp3") == "running"
    assert client.state("supervisor-v1") == "exited"


def test_up_after_the_daemon_was_killed(lab: Lab, client: Docker) -> None:
    lab.up()
    first = pid_of(lab)
    kill(first)
    assert not lab.status().running
    assert Path(lab.endpoint.removeprefix("unix://")).is_socket()
    lab.up()
    assert pid_of(lab) != first
    states = dict(lab.status().containers)
    del states["supervisor-v1"]
    assert set(states.values()) == {"running"}


def test_purge_after_the_daemon_was_killed(lab: Lab, client: Docker, root: Path) -> None:
    lab.up(demonstrations=False)
    client("run", "-d", "--network=none", "--name=left", "containerlab/dockerapp1:latest")
    program = int(client.state("left", "State.Pid"))
    kill(pid_of(lab))
    assert Path(f"/proc/{program}/exe").exists()
    lab.down(purge=True)
    assert not (root / "state" / "lab").exists()
    assert not Path(f"/proc/{program}/exe").exists()
    assert str(root) not in Path("/proc/self/mountinfo").read_text()


def test_another_process_with_the_daemons_pid_is_left_alone(places: daemon.Places) -> None:
    with subprocess.Popen((sys.executable, "-c", "input()"), stdin=subprocess.PIPE) as stranger:
        places.state.mkdir(parents=True)
        places.pid_file.write_text(str(stranger.pid))
        assert daemon.ensure(places) is True
        with daemon.found(places) as running:
            assert running is not None
            assert running.pid != stranger.pid
        assert daemon.end(places) is True
        assert stranger.poll() is None
        stranger.kill()


def test_two_ups_at_once_make_one_lab(lab: Lab, root: Path, base_cache: Path, client: Docker) -> None:
    twin = Lab(root / "state" / "lab", root / "run" / "lab", base_cache)
    with ThreadPoolExecutor(2) as pool:
        endpoints = [future.result() for future in [pool.submit(each.up) for each in (lab, twin)]]
    assert endpoints[0] == endpoints[1]
    assert pid_of(lab) == pid_of(twin)
    names = client("ps", "--all", "--format", "{{.Names}}").split()
    assert sorted(names) == sorted(each.name for each in DEMONSTRATIONS)


def test_the_longest_allowed_path_works(root: Path, lab: Lab) -> None:
    room = daemon.SOCKET_ROOM - len(f"{root}/") - 1
    places = daemon.Places(root / "state" / "lab", root / ("r" * room))
    assert daemon.ensure(places) is True
    assert daemon.ensure(places) is False
    assert daemon.end(places) is True


def test_a_daemon_that_does_not_start_is_quoted(lab: Lab, root: Path) -> None:
    data = root / "state" / "lab" / "data"
    data.parent.mkdir(parents=True)
    data.write_text("a file where a directory has to be")
    with pytest.raises(Unreachable, match=r"its log .*dockerd\.log ends with: .*data"):
        lab.up()
    assert not lab.status().running
    data.unlink()


def test_the_daemon_keeps_running_after_its_starter_exits(places: daemon.Places) -> None:
    program = (
        "import sys; from pathlib import Path; from containerlab_tui.lab import daemon;"
        "daemon.ensure(daemon.Places(*map(Path, sys.argv[1:])))"
    )
    subprocess.run((sys.executable, "-c", program, str(places.state), str(places.runtime)), check=True, timeout=120)
    with daemon.found(places) as running:
        assert running is not None
        assert os.getsid(running.pid) == running.pid
