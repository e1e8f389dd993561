"""The engine protocol on a real engine: its responses, changes and refusals."""

import json
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from containerlab_probes.errors import (
    BadRequest,
    ContainerlabError,
    Denied,
    Gone,
    TimedOut,
    Unreachable,
    Unsupported,
)
from containerlab_tui.engine.api import AttachedStreams, Engine, ExecRequest, RunRequest
from containerlab_tui.engine.connection import connect
from containerlab_tui.engine.container_list import snapshot
from containerlab_tui.engine.docker_engine import DockerEngine
from containerlab_tui.engine.endpoint import Endpoint
from containerlab_tui.engine.streams import Demultiplexer
from containerlab_tui.model.product import PODMAN
from tests.engine.marks import needs_cgroups, needs_users
from tests.support.docker import Docker, eventually, plain

BASE = "containerlab/base:latest"


Run = Callable[..., str]


@pytest.fixture
def run(engine: DockerEngine) -> Iterator[Run]:
    """Returns a function that runs a shell command line in the base image. Containers are removed after the test."""
    made: list[str] = []

    def run(script: str = "exec sleep 1000", **fields: object) -> str:
        name = f"test-engine-{uuid.uuid4().hex[:8]}"
        given = {"network": "none", "stop_timeout_s": 1, **fields}
        request = RunRequest(BASE, ("sh", "-c", script), name=name, **given)  # type: ignore[arg-type]
        made.append(engine.run(request))
        return made[-1]

    yield run
    for id in made:
        with suppress(Gone):
            engine.remove(id, force=True, volumes=True)


def log_of(engine: Engine, id: str) -> bytes:
    return b"".join(engine.logs(id, follow=False))


def test_version_of_the_engine(engine: DockerEngine, engine_host: str, docker: Docker) -> None:
    version = engine.version()
    assert engine.endpoint == engine_host
    assert engine.local
    info = json.loads(docker("info", "--format", "{{json .}}"))
    assert version.version == info["ServerVersion"]
    assert version.api >= (1, 24)


def test_the_list_is_one_and_the_same_from_three_ways(engine: DockerEngine, engine_host: str, run: Run) -> None:
    id = run(labels={"colour": "grün"})
    listed = {one.id: one for one in engine.containers()}[id]
    assert (listed.state, plain(listed.image), listed.labels["colour"]) == ("running", BASE, "grün")
    assert listed.command.startswith("sh -c")
    assert abs(listed.created - time.time()) < 60
    first = snapshot(Endpoint(engine_host))
    assert first is not None
    assert {one.id: one for one in first}[id].name == listed.name
    alone = engine.container(id)
    assert alone is not None
    assert alone.name == listed.name
    assert engine.container("0" * 64) is None


def test_inspect_returns_the_requested_settings(engine: DockerEngine, run: Run, bind_path: Path) -> None:
    id = run(
        "exec sleep 1000",
        ipc_mode="shareable",
        shm_bytes=1 << 20,
        init=True,
        stop_signal="37",
        stop_timeout_s=42,
        environment={"A": "b=c"},
        volumes=(f"{bind_path}:/mnt:ro",),
    )
    found = engine.inspect(id)
    assert (found.state, found.ipc_mode, found.shm_bytes, found.init) == ("running", "shareable", 1 << 20, True)
    assert (found.stop_signal, found.stop_signal_source) == ("SIGRTMIN+3", "container")
    assert (found.stop_timeout_s, found.stop_timeout_source) == (42, "container")
    assert found.argv == ("sh", "-c", "exec sleep 1000")
    assert "A=b=c" in found.environment
    (mount,) = found.mounts
    assert (mount.kind, mount.source, mount.target) == ("bind", str(bind_path), "/mnt")
    assert Path(f"/proc/{found.pid}/ns/pid").exists()
    assert found.started_at is not None
    assert abs(found.started_at - time.time()) < 60
    assert found.finished_at is None
    assert engine.inspect(found.name) == engine.inspect(id[:12]) == found


def test_the_default_stop_is_sigterm_and_ten_seconds(engine: DockerEngine, run: Run) -> None:
    found = engine.inspect(run(stop_timeout_s=None, start=False))
    assert (found.stop_signal, found.stop_signal_source) == ("SIGTERM", "default")
    assert (found.stop_timeout_s, found.stop_timeout_source) == (10, "default")
    assert (found.state, found.pid, found.started_at) == ("created", 0, None)


@needs_cgroups
def test_a_container_is_paused_and_resumed(engine: DockerEngine, run: Run) -> None:
    id = run()
    engine.pause(id)
    assert engine.inspect(id).state == "paused"
    engine.unpause(id)
    assert engine.inspect(id).state == "running"


def test_the_life_of_a_container(engine: DockerEngine, run: Run) -> None:
    id = run("trap 'exit 3' TERM; while :; do sleep 0.1; done", stop_timeout_s=20)
    name = f"test-engine-{uuid.uuid4().hex[:8]}"
    engine.rename(id, name)
    assert engine.inspect(id).name == name
    assert engine.stop(id)
    assert not engine.stop(id), "it was not running"
    ended = engine.inspect(id)
    assert (ended.state, ended.pid) == ("exited", 0)
    engine.start(id)
    engine.start(id)
    engine.restart(id, timeout_s=0)
    assert engine.inspect(id).state == "running"
    engine.kill(id, "SIGKILL")
    assert engine.wait(id, 10) == 137
    engine.remove(id)
    with pytest.raises(Gone):
        engine.inspect(id)


def test_a_restart_sends_the_stop_signal_first(engine: DockerEngine, run: Run) -> None:
    id = run("trap 'echo trapped; exit 3' TERM; echo ready; while :; do sleep 0.1; done", stop_timeout_s=20)
    eventually(lambda: b"ready" in log_of(engine, id), "the trap is set")
    engine.restart(id)
    assert b"trapped" in log_of(engine, id)


def test_a_stop_waits_as_long_as_the_container_is_allowed(engine: DockerEngine, run: Run) -> None:
    id = run("trap '' TERM; while :; do sleep 0.1; done", stop_timeout_s=2)
    began = time.monotonic()
    assert engine.stop(id)
    assert time.monotonic() - began >= 2
    assert engine.inspect(id).exit_code == 137


def test_a_stop_with_a_chosen_signal_is_done_or_refused_but_not_forgotten(engine: DockerEngine, run: Run) -> None:
    id = run("trap 'exit 7' USR1; echo ready; while :; do sleep 0.1; done")
    eventually(lambda: b"ready" in log_of(engine, id), "the trap is set")
    if engine.product is PODMAN or engine.version().api < (1, 42):
        with pytest.raises(Unsupported, match="takes no signal" if engine.product is PODMAN else r"1\.42"):
            engine.stop(id, signal="SIGUSR1")
        assert engine.inspect(id).state == "running"
    else:
        engine.stop(id, signal="SIGUSR1")
        assert engine.inspect(id).exit_code == 7


@pytest.mark.parametrize(
    ("error", "words", "ask"),
    [
        (Gone, "nosuch", lambda engine, id: engine.inspect("nosuch")),
        (Gone, r"'\.\./images'", lambda engine, id: engine.inspect("../images")),
        (Gone, "from nosuch: ", lambda engine, id: engine.run(RunRequest("nosuch"))),
        (BadRequest, "not running|not paused", lambda engine, id: engine.unpause(id)),
        (BadRequest, "SIGNONE", lambda engine, id: engine.kill(id, "SIGNONE")),
        (BadRequest, "running", lambda engine, id: engine.remove(id)),
        (BadRequest, "created but did not start", lambda engine, id: bad_program(engine)),
        (TimedOut, "timed out", lambda engine, id: engine.wait(id, 0.2)),
    ],
)
def test_a_refusal_is_one_sentence_of_the_right_kind(
    engine: DockerEngine,
    run: Run,
    error: type[ContainerlabError],
    words: str,
    ask: Callable[[DockerEngine, str], object],
) -> None:
    id = run()
    with pytest.raises(error, match=words) as caught:
        ask(engine, id)
    assert type(caught.value) is error
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def bad_program(engine: DockerEngine) -> None:
    name = f"test-engine-{uuid.uuid4().hex[:8]}"
    try:
        engine.run(RunRequest(BASE, ("/nosuch",), name=name))
    finally:
        engine.remove(name, force=True)


def test_log_bytes_are_unchanged(engine: DockerEngine, run: Run) -> None:
    id = run(r"printf 'a\033[31m\303\274\n'; seq 1 20000; printf end")
    engine.wait(id, 20)
    expected = b"a\x1b[31m\xc3\xbc\n" + b"".join(b"%d\n" % number for number in range(1, 20001)) + b"end"
    assert log_of(engine, id) == expected
    assert not list(engine.logs(id, follow=False, since=time.time() + 60))


@pytest.mark.not_on("podman-4", reason="Podman 4 joins an unfinished line to the one before")
def test_the_last_lines_of_a_log(engine: DockerEngine, run: Run) -> None:
    id = run("seq 1 20; printf end")
    engine.wait(id, 20)
    assert b"".join(engine.logs(id, follow=False, tail=2)) == b"20\nend"
    (stamped,) = engine.logs(id, follow=False, tail=1, timestamps=True)
    assert stamped.startswith(b"20")
    assert stamped.endswith(b"Z end")


def test_a_terminals_log_has_no_frames(engine: DockerEngine, run: Run) -> None:
    id = run("seq 1 3", tty=True)
    engine.wait(id, 10)
    assert log_of(engine, id) == b"1\r\n2\r\n3\r\n"


def test_following_a_log_ends_with_close_and_with_the_container(engine: DockerEngine, run: Run) -> None:
    id = run("echo started; exec sleep 1000")
    stream = engine.logs(id, follow=True)
    pieces: list[bytes] = []
    thread = threading.Thread(target=lambda: pieces.extend(stream), daemon=True)
    thread.start()
    eventually(lambda: pieces, "the first line")
    stream.close()
    thread.join(5)
    assert not thread.is_alive()
    assert pieces == [b"started\n"]
    stream.close()

    follower = engine.clone()
    rest: list[bytes] = []
    thread = threading.Thread(target=lambda: rest.extend(follower.logs(id, follow=True)), daemon=True)
    thread.start()
    eventually(lambda: rest, "the first line")
    engine.kill(id, "SIGKILL")
    thread.join(10)
    assert not thread.is_alive()


def read_until(streams: AttachedStreams, *ends: bytes, within_s: float = 10.0) -> bytes:
    """Reads until all of `ends` have come, in any order: the two streams are not ordered."""
    data, deadline = b"", time.monotonic() + within_s
    while not all(end in data for end in ends):
        if not select.select([streams], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise AssertionError(f"no {ends!r} within {within_s} s, but {data!r}")
        piece = streams.read()
        if not piece:
            break
        data += piece
    return data


@pytest.mark.parametrize("tty", [False, True])
def test_attached_streams_carry_both_ways(engine: DockerEngine, run: Run, tty: bool) -> None:
    id = run('while read word; do echo "out $word"; echo "err $word" >&2; done; exit 5', stdin=True, tty=tty)
    streams = engine.attach(id)
    assert streams.tty == tty
    streams.write(b"one\n")
    data = read_until(streams, b"out one", b"err one")
    assert data.count(b"one") == (3 if tty else 2), "a terminal echoes what is written"
    engine.kill(id, "SIGKILL")
    read_until(streams, b"never comes")
    assert streams.read() == b"", "the end of the output"
    streams.close()
    streams.close()
    with pytest.raises(Gone):
        streams.write(b"too late\n")


@pytest.mark.not_on("podman", reason="Podman closes the standard input of a container without a terminal then")
def test_leaving_attached_streams_leaves_the_container(engine: DockerEngine, run: Run) -> None:
    id = run("exec cat", stdin=True)
    streams = engine.attach(id)
    ended: list[bytes] = []
    thread = threading.Thread(target=lambda: ended.append(streams.read()), daemon=True)
    thread.start()
    streams.close()
    thread.join(5)
    assert ended == [b""]
    again = engine.attach(id)
    again.write(b"still open\n")
    read_until(again, b"still open")
    again.close()
    assert engine.inspect_raw(id)["Config"]["StdinOnce"] is False


def test_only_running_containers_can_be_attached_to(engine: DockerEngine, run: Run) -> None:
    with pytest.raises(BadRequest, match="created"):
        engine.attach(run(start=False))


@needs_users
def test_a_program_is_executed_on_a_terminal(engine: DockerEngine, run: Run) -> None:
    id = run()
    script = "read word; stty size; echo got $word as $(id -u) $MARK; exit 7"
    streams = engine.execute(id, ExecRequest(("sh", "-c", script), "1000", {"MARK": "m"}, 33, 111))
    assert streams.tty
    eventually(lambda: streams.state().is_running, "it runs")
    streams.resize(34, 112)
    streams.write(b"one\x10\n")
    data = read_until(streams, b"as 1000 m")
    assert b"34 112" in data
    assert b"got one\x10" in data, "Ctrl+P is an ordinary key"
    eventually(lambda: not streams.state().is_running, "it has exited")
    assert streams.state().exit_code == 7
    with pytest.raises(ContainerlabError):
        streams.resize(1, 1)
    streams.close()


def test_only_in_running_containers_programs_are_executed(engine: DockerEngine, run: Run) -> None:
    with pytest.raises(BadRequest, match=r"Could not enter .*running"):
        engine.execute(run(start=False), ExecRequest(("sh",)))
    with pytest.raises(Gone):
        engine.execute("no-such-container", ExecRequest(("sh",)))


@pytest.mark.parametrize("size", range(1, 12))
def test_frames_may_come_in_pieces_of_any_size(size: int) -> None:
    stream = b"".join(
        struct.pack(">BxxxL", number, len(data)) + data
        for number, data in ((1, b"hello"), (2, b""), (2, b"x" * 20), (1, b"\x00\x01"))
    )
    frames = Demultiplexer()
    pieces = [frames.feed(stream[at : at + size]) for at in range(0, len(stream), size)]
    assert b"".join(pieces) == b"hello" + b"x" * 20 + b"\x00\x01"


@pytest.mark.parametrize("length", [0, 1, 511, 512, 200_000])
def test_a_file_arrives_with_its_bytes_and_mode(
    engine: DockerEngine, run: Run, docker: Docker, tmp_path: Path, length: int
) -> None:
    file = tmp_path / "fïle with spaces"
    file.write_bytes(os.urandom(length))
    file.chmod(0o751)
    id = run()
    engine.copy_into(id, str(file), "/tmp")
    back = tmp_path / "back"
    docker("cp", f"{id}:/tmp/{file.name}", str(back))
    assert back.read_bytes() == file.read_bytes()
    assert back.stat().st_mode & 0o7777 == 0o751


def test_bad_files_and_directories_are_refused(engine: DockerEngine, run: Run, tmp_path: Path) -> None:
    id = run()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    file = tmp_path / "file"
    file.touch()
    for wrong in (fifo, tmp_path, Path("/dev/null")):
        with pytest.raises(BadRequest, match="not a regular file"):
            engine.copy_into(id, str(wrong), "/")
    with pytest.raises(Gone):
        engine.copy_into(id, str(tmp_path / "nosuch"), "/")
    with pytest.raises(Gone):
        engine.copy_into(id, str(file), "/nosuch")
    with pytest.raises(Gone, match="Could not copy file to / in nosuch: "):
        engine.copy_into("nosuch", str(file), "/")
    with pytest.raises(BadRequest):
        engine.copy_into(id, str(file), "/etc/passwd")


def test_an_engine_can_be_used_after_it_was_closed(engine_host: str, run: Run) -> None:
    engine, id = connect(engine_host), run()
    for _ in range(2):
        engine.rename(id, f"test-engine-{uuid.uuid4().hex[:8]}")
        engine.close()


def test_images_are_tags(engine: DockerEngine) -> None:
    tags = engine.images()
    assert BASE in {plain(tag) for tag in tags}
    assert list(tags) == sorted(tags)


@pytest.mark.parametrize("url", ["unix:///nosuch/docker.sock", "tcp://127.0.0.1:9"])
def test_a_missing_engine_is_named(url: str) -> None:
    with pytest.raises(Unreachable, match=url):
        connect(url)


def test_a_socket_that_may_not_be_opened_and_one_that_nobody_listens_on(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    with pytest.raises(Unreachable, match="refused"):
        snapshot(Endpoint(f"unix://{path}"))
    with pytest.raises((Unreachable, Denied), match=str(path)):
        connect(f"unix://{path}")


def test_a_server_that_is_not_an_engine_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            connection.recv(1000)
            connection.sendall(b"SSH-2.0\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with pytest.raises(Unreachable, match="not a Docker engine"):
            snapshot(Endpoint(f"unix://{path}"))
        thread.join(5)


def test_the_first_list_loads_no_client_library() -> None:
    code = (
        "import sys; from containerlab_tui.engine import api, container_list, events, parse\n"
        "print(sorted({'docker', 'requests', 'textual'} & sys.modules.keys()))"
    )
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
