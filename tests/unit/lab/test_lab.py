"""The lab's parts that need no engine: marks, places, and how the lab's daemon is recognised."""

import io
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from containerlab_probes.errors import BadRequest, Denied, Unsupported
from containerlab_tui.lab import base, daemon, image_folders, images
from containerlab_tui.lab.demonstrations import DEMONSTRATIONS
from containerlab_tui.lab.lab import Lab
from containerlab_tui.lab.lock import locked
from containerlab_tui.lab.progress import Progress, Steps


@pytest.fixture
def places(tmp_path: Path) -> daemon.Places:
    for name in ("state", "runtime"):
        (tmp_path / name).mkdir()
    return daemon.Places(tmp_path / "state", tmp_path / "runtime")


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with the lab."""
    process = subprocess.Popen((sys.executable, "-c", "input()"), stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.wait()
    if process.stdin:
        process.stdin.close()


def found(places: daemon.Places) -> bool:
    with daemon.found(places) as running:
        return running is not None


def test_every_image_has_a_folder_and_a_demonstration() -> None:
    assert len(image_folders.names()) == 10
    assert {each.image for each in DEMONSTRATIONS} == set(image_folders.names())
    assert len({each.name for each in DEMONSTRATIONS}) == len(DEMONSTRATIONS) == 11


def test_a_context_is_reproducible() -> None:
    data = image_folders.context("systemv-shm")
    assert data == image_folders.context("systemv-shm")
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getnames() == ["Dockerfile", "reader", "serve", "waiter", "writer"]
        assert {item.mtime for item in tar} == {0}


def test_a_mark_changes_with_the_folder_and_with_the_base(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "Dockerfile").write_text("FROM scratch\n")
    first = image_folders.mark("one", "base", tmp_path)
    assert first == image_folders.mark("one", "base", tmp_path)
    assert first != image_folders.mark("one", "another base", tmp_path)
    (tmp_path / "one" / "Dockerfile").write_text("FROM scratch\nCMD []\n")
    assert first != image_folders.mark("one", "base", tmp_path)


def test_marks_differ() -> None:
    assert len(set(images.marks().values())) == len(image_folders.names())


@pytest.mark.parametrize(
    ("release", "suite", "components"),
    [
        ({"ID": "debian", "VERSION_CODENAME": "trixie"}, "trixie", False),
        ({"ID": "ubuntu", "VERSION_CODENAME": "noble"}, "noble", True),
        ({"ID": "fedora", "VERSION_CODENAME": ""}, "bookworm", False),
        ({"ID": "debian"}, "bookworm", False),
    ],
)
def test_the_base_has_the_hosts_release(release: dict[str, str], suite: str, components: bool) -> None:
    recipe = base.recipe(lambda: release)
    assert recipe[-1] == suite
    assert ("--components=main,universe" in recipe) is components


def test_a_missing_mmdebstrap_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unsupported, match="apt-get install mmdebstrap"):
        base.tar(tmp_path, lambda line: None)


def fake_program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_the_base_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_program(
        tmp_path,
        "mmdebstrap",
        f"echo 'I: working' >&2; echo >> {tmp_path}/calls; for last; do :; done; echo tar > $last",
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    said = list[str]()
    first = base.tar(tmp_path / "cache", said.append)
    assert said == ["working"]
    assert first.read_text() == "tar\n"
    assert base.tar(tmp_path / "cache", said.append) == first
    assert (tmp_path / "calls").read_text() == "\n"


def test_a_failed_base_leaves_nothing_and_gives_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_program(tmp_path, "mmdebstrap", "for last; do :; done; echo half > $last; echo 'E: no space' >&2; exit 25")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(Unsupported, match="E: no space"):
        base.tar(tmp_path / "cache", lambda line: None)
    assert list((tmp_path / "cache").glob("*.tar")) == []


def test_without_a_pid_file_there_is_no_daemon(places: daemon.Places) -> None:
    assert not found(places)


@pytest.mark.parametrize("text", ["", "words", "-1", "0", "999999999", "99999999999999999999999"])
def test_a_bad_pid_file_is_not_a_daemon(places: daemon.Places, text: str) -> None:
    places.pid_file.write_text(text)
    assert not found(places)


def test_another_process_with_the_pid_is_left_alone(places: daemon.Places, stranger: "subprocess.Popen[bytes]") -> None:
    places.pid_file.write_text(str(stranger.pid))
    assert not found(places)
    assert daemon.end(places) is False
    assert stranger.poll() is None


def pretended_daemon(data_root: Path) -> "subprocess.Popen[bytes]":
    """A process whose command line is that of a dockerd on this data root."""
    return subprocess.Popen(
        ("dockerd", "-c", "print(flush=True); input()", f"--data-root={data_root}", "--host=unix:///there/docker.sock"),
        executable=sys.executable,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def test_a_daemon_is_identified_by_its_data_root(places: daemon.Places, tmp_path: Path) -> None:
    for data_root, expected in ((places.data, True), (tmp_path / "other", False)):
        with pretended_daemon(data_root) as process:
            assert process.stdout
            assert process.stdout.readline() == b"\n"
            places.pid_file.write_text(str(process.pid))
            with daemon.found(places) as running:
                assert (running is not None) is expected
                if running:
                    assert (running.pid, running.socket) == (process.pid, "/there/docker.sock")
            process.kill()
            process.wait()
            assert not found(places)


def test_the_endpoint_is_the_running_daemons(places: daemon.Places) -> None:
    lab = Lab(places.state, places.runtime)
    assert lab.endpoint == f"unix://{places.socket}"
    with pretended_daemon(places.data) as process:
        assert process.stdout
        process.stdout.readline()
        places.pid_file.write_text(str(process.pid))
        assert lab.endpoint == "unix:///there/docker.sock"
        process.kill()


def test_a_missing_dockerd_is_named(places: daemon.Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(Unsupported, match=r"apt-get install docker\.io"):
        daemon.ensure(places, lambda name: None)


def test_a_too_long_socket_path_is_reported_before_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    runtime = tmp_path / ("r" * 100)
    with pytest.raises(Unsupported, match="XDG_RUNTIME_DIR"):
        daemon.ensure(daemon.Places(tmp_path / "state", runtime), lambda name: "/usr/sbin/dockerd")
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("which", ["state", "runtime"])
def test_a_link_in_place_of_the_labs_directories_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (tmp_path / which).symlink_to(target)
    monkeypatch.setattr("shutil.which", lambda name, path: "/bin/false")
    monkeypatch.setattr(daemon, "SOCKET_ROOM", 200)
    with pytest.raises((BadRequest, Denied)):
        daemon.ensure(daemon.Places(tmp_path / "state", tmp_path / "runtime"))
    assert list(target.iterdir()) == []


@pytest.mark.parametrize("action", ["up", "down"])
def test_the_lab_needs_root(places: daemon.Places, monkeypatch: pytest.MonkeyPatch, action: str) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Denied, match="sudo"):
        getattr(Lab(places.state, places.runtime), action)()


def test_down_without_a_lab_does_nothing(tmp_path: Path) -> None:
    assert Lab(tmp_path / "none", tmp_path / "neither").down(purge=True) is False
    assert list(tmp_path.iterdir()) == []


def test_the_lock_is_exclusive_and_reports_waiting(tmp_path: Path) -> None:
    waiting, order = threading.Event(), list[str]()

    def second() -> None:
        with locked(tmp_path / "lock", waiting.set):
            order.append("second")

    thread = threading.Thread(target=second)
    with locked(tmp_path / "lock", lambda: order.append("waited")):
        thread.start()
        assert waiting.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_steps_count_and_notes_do_not() -> None:
    reported = list[Progress]()
    steps = Steps(reported.append, 3)
    steps.note("a")
    steps.done("b")
    steps.skip(2, "c")
    assert reported == [Progress(0, 3, "a"), Progress(1, 3, "b"), Progress(3, 3, "c")]
    Steps(None, 1).done("nobody listens")


def test_only_the_end_of_the_daemons_log_is_read(tmp_path: Path) -> None:
    places = daemon.Places(tmp_path, tmp_path)
    assert daemon.last_words(places).startswith("it can't be read")
    places.log.write_text("")
    assert daemon.last_words(places) == "it is empty"
    with places.log.open("w") as log:
        log.write("x" * daemon._LOG_END_BYTES + "\n")
        log.writelines(f"line {number}\n" for number in range(20_000))
    assert daemon.last_words(places) == "line 19996 / line 19997 / line 19998 / line 19999"
