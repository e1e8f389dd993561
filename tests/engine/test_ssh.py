"""An engine over ssh: everything that goes through the engine, and a sentence for each way in which ssh fails."""

import os
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from containerlab_probes.errors import ContainerlabError, Denied, Unreachable, Unsupported
from containerlab_tui.engine.api import EventStream, ExecRequest, RunRequest
from containerlab_tui.engine.connection import connect
from containerlab_tui.engine.container_list import snapshot
from containerlab_tui.engine.docker_engine import DockerEngine
from containerlab_tui.engine.endpoint import Endpoint
from containerlab_tui.engine.errors import LoginRefused
from tests.engine.commands_support import Command
from tests.engine.test_docker_engine import BASE, read_until
from tests.support.docker import Containers, Docker, eventually, plain
from tests.support.ssh_server import ADDRESS, SshServer, ssh_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with ssh_server(tmp_path_factory.mktemp("ssh")) as started, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(started.bin), prepend=os.pathsep)
        yield started


@pytest.fixture(scope="module")
def engine(server: SshServer, engine_host: str) -> Iterator[DockerEngine]:
    made = connect(server.url(engine_host))
    yield made
    made.close()


@pytest.fixture
def running(engine: DockerEngine, docker: Docker) -> Iterator[str]:
    """Yields the id of a container that echoes its input and exits on SIGTERM with 3."""
    script = "trap 'echo bye; exit 3' TERM; echo ready; while :; do read line && echo got $line || sleep 0.1; done"
    request = RunRequest(BASE, ("sh", "-c", script), f"test-ssh-{uuid.uuid4().hex[:8]}", network="none", stdin=True)
    id = engine.run(request)
    yield id
    docker.remove(id)  # not over ssh: a test may have ended the connection that the next question would use


def test_the_list_and_the_details(server: SshServer, engine_host: str, engine: DockerEngine, running: str) -> None:
    assert not engine.local
    assert running in {one.id for one in engine.containers()}
    assert running in {one.id for one in snapshot(Endpoint(server.url(engine_host)))}
    assert engine.inspect(running).state == "running"
    assert engine.version().version
    assert BASE in {plain(tag) for tag in engine.images()}


def test_live_events_and_logs(engine: DockerEngine, running: str) -> None:
    events = engine.clone().events()
    actions: list[str] = []
    reader = threading.Thread(target=lambda: actions.extend(one.action for one in events), daemon=True)
    reader.start()
    logs = engine.clone().logs(running, follow=True)
    lines: list[bytes] = []
    follower = threading.Thread(target=lambda: lines.extend(logs), daemon=True)
    follower.start()
    eventually(lambda: b"ready" in b"".join(lines), "the first line of the log")
    engine.rename(running, f"test-ssh-{uuid.uuid4().hex[:8]}")
    eventually(lambda: "rename" in actions, "the event")
    assert engine.stop(running, timeout_s=20)
    follower.join(30)
    assert b"bye" in b"".join(lines)
    eventually(lambda: "die" in actions, "the end")
    events.close()
    reader.join(30)
    assert not reader.is_alive()
    reported = {"kill", "die"} if engine.product.reports_signals else {"die"}
    assert reported <= {event.action for event in engine.past_events(running, 0)}
    assert engine.wait(running, 10) == 3


def test_attached_streams_programs_and_a_copy(
    engine: DockerEngine, running: str, docker: Docker, tmp_path: Path
) -> None:
    attached = engine.attach(running)
    attached.write(b"one\n")
    read_until(attached, b"got one", within_s=30)
    attached.close()
    executed = engine.execute(running, ExecRequest(("sh", "-c", "read x; stty size; exit 7"), rows=20, columns=90))
    executed.resize(33, 111)
    executed.write(b"\n")
    read_until(executed, b"33 111", within_s=30)
    eventually(lambda: not executed.state().is_running, "it has exited")
    assert executed.state().exit_code == 7
    executed.close()
    file, back = tmp_path / "file", tmp_path / "back"
    file.write_bytes(os.urandom(300_000))
    engine.copy_into(running, str(file), "/tmp")
    docker("cp", f"{running}:/tmp/file", str(back))
    assert back.read_bytes() == file.read_bytes()


def test_questions_share_connections_and_closed_streams_leave_none(engine: DockerEngine, server: SshServer) -> None:
    engine.containers()
    before = len(server.sessions())
    for _ in range(5):
        twin = engine.clone()
        twin.containers()
        twin.close()
    assert len(server.sessions()) == before
    stream = engine.clone().events()
    assert len(server.sessions()) <= before + 1
    stream.close()
    eventually(lambda: len(server.sessions()) <= before, "its ssh has ended")


def test_a_connection_that_dies_is_a_sentence(engine: DockerEngine, server: SshServer, running: str) -> None:
    events, attached = engine.clone().events(), engine.attach(running)
    server.end_sessions()
    with pytest.raises(Unreachable, match=r"The ssh connection to ssh://root@127\.0\.0\.1:\d+\S* died"):
        list(events)
    with pytest.raises(Unreachable, match="died"):
        read_until(attached, b"never", within_s=30)
    attached.close()
    eventually(lambda: answers(engine), "a request has a new connection")


def answers(engine: DockerEngine) -> bool:
    """Returns whether the engine answers; an idle connection that has just died may be tried first."""
    try:
        return bool(engine.containers())
    except Unreachable:
        return False


@dataclass(frozen=True, slots=True)
class Fault:
    """A server, and what is wrong with it or its client."""

    error: type[ContainerlabError]
    words: str
    lines: tuple[str, ...] = ()
    """Of the server's configuration."""
    docker: str = ""
    """A script in place of the docker command of that host."""
    break_it: Callable[[SshServer], object] = lambda server: None
    url: str = ""
    """Instead of the server's address."""


def other_key(server: SshServer) -> None:
    """Makes another key the known one."""
    key = (server.folder / "user_key.pub").read_text()
    (server.folder / "known_hosts").write_text(f"[{ADDRESS}]:{server.port} {key}")


FAULTS = {
    "unknown host key": Fault(
        Unreachable,
        r"The host key of ssh://\S+ is not known. Run `ssh -l root -p \d+ 127.0.0.1` once",
        break_it=lambda server: (server.folder / "known_hosts").unlink(),
    ),
    "changed host key": Fault(Unreachable, "is not the known one: somebody may be intercepting", break_it=other_key),
    "password": Fault(
        LoginRefused, "asks for a password, which cannot be typed here",
        ("PubkeyAuthentication no", "PasswordAuthentication yes"),
    ),
    "no key": Fault(
        LoginRefused, "accepts none of your keys", ("AuthorizedKeysFile none", "PasswordAuthentication no",
        "KbdInteractiveAuthentication no"),
    ),
    "no docker": Fault(Unreachable, "has no docker command. Install", ("SetEnv PATH=/nonexistent",)),
    "old docker": Fault(
        Unsupported, "too old for ssh://; Docker 18.09",
        docker="echo \"docker: 'system dial-stdio' is not a docker command.\" >&2; exit 1",
    ),
    "no rights": Fault(
        Denied, "No permission to open the engine's socket on ssh://",
        docker="echo 'Got permission denied while trying to connect to the Docker daemon socket' >&2; exit 1",
    ),
    "noise": Fault(Unreachable, "is not a Docker engine", docker="echo Welcome; cat"),
    "nothing said": Fault(Unreachable, "`docker system dial-stdio` exited with status 9", docker="exit 9"),
    "dies early": Fault(Unreachable, "Could not connect to ssh://", docker="kill -9 $PPID"),
    "no name": Fault(Unreachable, "Could not resolve hostname no-such-host.invalid", url="ssh://no-such-host.invalid"),
    "nothing listens": Fault(Unreachable, "port 9: Connection refused", url="ssh://root@127.0.0.1:9"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_each_failure_of_ssh_has_its_sentence(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = FAULTS[name]
    lines = fault.lines
    if fault.docker:
        program = tmp_path / "docker"
        program.write_text(f"#!/bin/sh\n{fault.docker}\n")
        program.chmod(0o755)
        lines = (f"SetEnv PATH={tmp_path}:/usr/bin:/bin",)
    with ssh_server(tmp_path, *lines) as server:
        monkeypatch.setenv("PATH", str(server.bin), prepend=os.pathsep)
        fault.break_it(server)
        for ask in (connect, lambda url: snapshot(Endpoint(url))):
            with pytest.raises(ContainerlabError, match=fault.words) as raised:
                ask(fault.url or server.url())
            assert type(raised.value) is fault.error
            assert "Traceback" not in str(raised.value)


def test_a_daemon_that_is_down_on_that_host(server: SshServer) -> None:
    with pytest.raises(Unreachable, match=r"No Docker engine answers on ssh://.*/nosuch\.sock: ssh and docker work"):
        connect(server.url("unix:///nosuch.sock"))


def test_ssh_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unreachable, match="ssh is not installed"):
        connect("ssh://host")


def test_a_context_names_a_host_for_ssh(
    server: SshServer, engine_host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    url = server.url(engine_host)
    elsewhere = "unix:///elsewhere"
    made = ("docker", "context", "create", "far", "--docker", f"host={elsewhere}")
    subprocess.run(made, check=True, capture_output=True)
    for written in tmp_path.glob("contexts/meta/*/meta.json"):  # the client of Docker 20.10 refuses a socket's path
        written.write_text(written.read_text().replace(elsewhere, url))
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    engine = connect()
    assert engine.endpoint == url
    engine.containers()
    engine.close()


@pytest.fixture
def command(
    server: SshServer, engine_host: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Command:  # fmt: skip
    """Runs the command line on the engine behind the server, with a separate history of stops."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return Command(server.url(engine_host), capsys)


def test_a_stop_has_both_phases_and_a_verdict(command: Command, container: Containers) -> None:
    name = container(BASE, "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done", ready="ready")
    answer = command("stop", name, "--timeout", "2", "--json")
    assert answer.status == 1
    stop = answer.document
    assert (stop["verdict"], stop["exit_code"]) == ("killed", 137)
    reported = [event["kind"] for event in stop["events"] if event["kind"] in ("requested", "signal", "died")]
    assert reported in (["requested", "signal", "signal", "died"], ["requested", "died"]), "Podman reports no signals"
    assert stop["phase_2"]["started"] == stop["phase_1"]["ended"]
    assert "killed after" in command("why", name).out


def test_what_needs_the_kernel_of_that_host_says_so(command: Command, container: Containers) -> None:
    name = container(BASE, "sleep", "1000")
    for words in ("processes", "forecast", "ipc", "maps"):
        assert "another machine" in command.fails(4, words, name)
    assert "another machine" in command("doctor", name).out


def test_a_control_master_of_the_users_configuration(server: SshServer, engine_host: str, running: str) -> None:
    server.configure(f"ControlMaster auto\nControlPath {server.folder}/%C\nControlPersist 30")
    where = ("-p", str(server.port), f"root@{ADDRESS}")
    try:
        engine, streams = connect(server.url(engine_host)), list[EventStream]()
        while subprocess.run(("ssh", "-O", "check", *where), capture_output=True, check=False).returncode:
            assert len(streams) < 20, "no master"
            streams.append(engine.clone().events())  # the first ones may use idle connections of other tests
        sessions = len(server.sessions())
        stream, logs = engine.clone().events(), engine.clone().logs(running, follow=True)
        assert running in {one.id for one in engine.containers()}
        assert len(server.sessions()) == sessions, "one connection for all"
        assert next(iter(logs)) == b"ready\n"
        logs.close()
        for one in (*streams, stream):
            one.close()
        # Events of other tests' containers that had arrived come first; then the closed stream ends.
        assert running not in {one.container for one in stream}
        assert list(engine.clone().logs(running, follow=False)) == [b"ready\n"], "the master goes on"
    finally:
        subprocess.run(("ssh", "-O", "exit", *where), check=True, capture_output=True)
        server.configure()
        engine.close()
