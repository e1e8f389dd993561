"""Processes beside a container whose own cgroups are in version 2 only: neither listed nor signalled."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from containerlab_probes.errors import Gone
from containerlab_probes.kernel import cgroups
from containerlab_probes.processes.identity import identify
from containerlab_probes.records import ContainerRun
from containerlab_probes.signals.send import send
from tests.engine.commands_support import Command
from tests.engine.marks import starts_a_daemon
from tests.engine.unified_engine import IMAGE, OPTIONS, UnifiedEngine, reason_against, unified_engine
from tests.support.docker import eventually

pytestmark = [
    pytest.mark.skipif(bool(reason_against()), reason=reason_against()),
    starts_a_daemon,
]

USR2 = 12
WAITS = ("/usr/bin/dash", "-c", "sleep 1001 & exec sleep 1002")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UnifiedEngine]:
    with (
        tempfile.TemporaryDirectory(prefix="u-", dir="/tmp") as place,
        unified_engine(Path(place), tmp_path_factory.mktemp("docker-config")) as started,
    ):
        yield started


@pytest.fixture
def command(engine: UnifiedEngine, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(engine.docker.host, capsys)


@pytest.fixture
def stranger(engine: UnifiedEngine) -> Iterator["subprocess.Popen[bytes]"]:
    """A process beside the daemon, in its cgroup; SIGUSR2 would kill it."""
    with subprocess.Popen(("sleep", "1000")) as process:
        (engine.memory / "cgroup.procs").write_text(str(process.pid))
        yield process
        process.kill()


def run(engine: UnifiedEngine, *options: str) -> ContainerRun:
    """Returns a new container with two processes; without another option it has no network."""
    network = () if "--network=host" in options else ("--network=none",)
    id = engine.docker("run", "--detach", *network, *OPTIONS, *options, IMAGE, *WAITS)
    started = ContainerRun(id, identify(int(engine.docker.state(id, "State.Pid"))))
    beside = (engine.memory / "cgroup.procs").read_text().split()
    assert {str(started.init.pid), str(engine.pid)} <= set(beside), "PID 1 is in the daemon's cgroup"
    return started


def listed(command: Command, container: str) -> list[int]:
    return [one["pid"] for one in command.asks("processes", container)["processes"]]


@pytest.mark.parametrize("options", [(), ("--pid=host",), ("--network=host", "--ipc=host", "--cgroupns=host")])
def test_a_process_beside_the_daemon_is_neither_listed_nor_signalled(
    engine: UnifiedEngine, command: Command, stranger: "subprocess.Popen[bytes]", options: tuple[str, ...]
) -> None:
    container = run(engine, *options)
    init, child = eventually(
        lambda: found if len(found := listed(command, container.id)) == 2 else [], "PID 1 and its child, and no other"
    )
    assert init == container.init.pid
    eventually(lambda: Path(f"/proc/{child}/cmdline").read_bytes() == b"sleep\x001001\0", "the child runs sleep")
    sent = command("signal", container.id, "USR2", "--all", "--json")
    assert (sent.status, sent.err) == (0, "")
    assert [one["pid"] for one in sent.document["sent"]] == [init, child]
    assert "terminated by SIGUSR2" in sent.document["sent"][1]["observed"]
    assert stranger.poll() is None
    assert engine.docker("version", "--format", "{{.Server.Version}}"), "the daemon responds"


def test_the_sender_refuses_a_process_beside_the_daemon(
    engine: UnifiedEngine, stranger: "subprocess.Popen[bytes]"
) -> None:
    container = run(engine)
    for pid in (stranger.pid, engine.pid):
        with pytest.raises(Gone, match=f"Process {pid} does not belong to this container"):
            send(container, identify(pid), USR2)
    assert stranger.poll() is None
    assert engine.docker("version", "--format", "{{.Server.Version}}"), "the daemon responds"


@pytest.mark.usefixtures("stranger")
def test_the_memory_of_the_daemon_is_not_the_containers(engine: UnifiedEngine) -> None:
    container = run(engine)
    assert cgroups.memory_record(container) is None
    used = cgroups.UsageReader(container).read()
    assert (used.memory_bytes, used.unread) == (None, "The cgroup of this container has no memory accounting.")


def test_processes_stay_listed_where_a_container_shares_the_namespace_of_another(
    engine: UnifiedEngine, command: Command
) -> None:
    """The one that owns the namespace has both as its processes, because its exit kills both."""
    owner = run(engine)
    joined = run(engine, f"--pid=container:{owner.id}")
    eventually(lambda: len(listed(command, owner.id)) == 4, "two processes of each")
    assert len(listed(command, joined.id)) == 2
    assert set(listed(command, joined.id)) < set(listed(command, owner.id))
    assert "no process 1 " in command.fails(3, "signal", joined.id, "USR2", "--pid=1")
    sent = command.asks("signal", joined.id, "CONT")["sent"]
    assert [one["pid"] for one in sent] == [joined.init.pid], "without --pid it is the container's own PID 1"
