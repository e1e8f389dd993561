"""A real engine on TCP with TLS: everything works through it, and what is missing has its sentence."""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from containerlab_probes.errors import BadRequest, ContainerlabError, Denied, Gone, Unreachable
from containerlab_tui.engine.api import ExecRequest, RunRequest
from containerlab_tui.engine.connection import connect
from containerlab_tui.engine.container_list import snapshot
from containerlab_tui.engine.docker_engine import DockerEngine
from containerlab_tui.engine.endpoint import resolve
from containerlab_tui.lab import daemon
from tests.engine.test_docker_engine import read_until
from tests.support.certificates import authority
from tests.support.docker import eventually

IMAGE = "containerlab/base:latest"
OTHERS = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy", "ALL_PROXY")


@dataclass(frozen=True, slots=True)
class TlsEngine:
    url: str
    files: Path
    """The client's ca.pem, cert.pem and key.pem."""

    def environ(self, **more: str) -> dict[str, str]:
        """Returns the variables with which `docker` finds the engine."""
        return {
            "DOCKER_HOST": self.url, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(self.files), **more,
        }  # fmt: skip


@pytest.fixture(scope="module")
def tls_engine(engine_host: str) -> Iterator[TlsEngine]:
    """Starts a daemon on TCP with TLS that wants client certificates, with one image."""
    folder = Path(tempfile.mkdtemp(prefix="cl-"))
    places = daemon.Places(folder / "state", folder / "run")
    files = authority(folder / "ca").sign(folder / "files", "DNS:localhost,IP:127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PATH", str(_dockerd(folder, files, url)), prepend=os.pathsep)
            daemon.ensure(places)
        saved = subprocess.run(("docker", "-H", engine_host, "save", IMAGE), capture_output=True, check=True)
        host = f"unix://{places.socket}"
        subprocess.run(("docker", "-H", host, "load"), input=saved.stdout, capture_output=True, check=True)
        yield TlsEngine(url, files)
    finally:
        daemon.end(places)
        shutil.rmtree(folder, ignore_errors=True)


def _dockerd(folder: Path, files: Path, url: str) -> Path:
    """Returns a directory with a program `dockerd` that starts the real one, also on TCP."""
    real = shutil.which("dockerd", path=os.pathsep.join((os.environ["PATH"], *daemon.SYSTEM_PATHS)))
    program = folder / "bin" / "dockerd"
    program.parent.mkdir()
    names = (("tlscacert", "ca"), ("tlscert", "cert"), ("tlskey", "key"))
    options = " ".join(f"--{option}={files}/{name}.pem" for option, name in names)
    program.write_text(f'#!/bin/sh\nexec {real} "$@" --host={url} --tlsverify {options}\n')
    program.chmod(0o755)
    return program.parent


@pytest.fixture
def in_environment(tls_engine: TlsEngine, monkeypatch: pytest.MonkeyPatch) -> TlsEngine:
    for name, value in tls_engine.environ().items():
        monkeypatch.setenv(name, value)
    for name in OTHERS:  # they are for other programs
        monkeypatch.setenv(name, "http://127.0.0.1:9" if "proxy" in name.lower() else "/nosuch")
    return tls_engine


@pytest.fixture
def engine(in_environment: TlsEngine) -> Iterator[DockerEngine]:
    made = connect()
    yield made
    made.close()


def test_everything_works_over_tls(engine: DockerEngine, in_environment: TlsEngine, tmp_path: Path) -> None:
    script = "trap 'echo bye; exit 3' TERM; while :; do read line && echo got $line || sleep 0.1; done"
    id = engine.run(RunRequest(IMAGE, ("sh", "-c", script), network="none", stdin=True))
    try:
        assert not engine.local
        assert id in {one.id for one in snapshot()}
        events = engine.clone().events()
        actions: list[str] = []
        reader = threading.Thread(target=lambda: actions.extend(one.action for one in events), daemon=True)
        reader.start()
        attached = engine.attach(id)
        attached.write(b"one\n")
        read_until(attached, b"got one", within_s=30)
        attached.close()
        executed = engine.execute(id, ExecRequest(("sh", "-c", "read x; exit 7")))
        executed.resize(33, 111)
        executed.write(b"\n")
        eventually(lambda: executed.state().exit_code == 7, "it has exited")
        executed.close()
        file = tmp_path / "file"
        file.write_bytes(os.urandom(100_000))
        engine.copy_into(id, str(file), "/tmp")
        assert engine.stop(id, timeout_s=20)
        assert engine.wait(id, 10) == 3
        assert b"bye" in b"".join(engine.logs(id, follow=False))
        eventually(lambda: {"kill", "die"} <= set(actions), "the events")
        events.close()
        reader.join(30)
        assert not reader.is_alive()
    finally:
        with suppress(Gone):
            engine.remove(id, force=True)


def test_a_context_with_tls(tls_engine: TlsEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    names = (("ca", "ca.pem"), ("cert", "cert.pem"), ("key", "key.pem"))
    files = ",".join(f"{name}={tls_engine.files}/{file}" for name, file in names)
    create = ("docker", "context", "create", "far", "--docker", f"host={tls_engine.url},{files}")
    subprocess.run(create, check=True, capture_output=True)
    assert resolve(context="far").shown == f"{tls_engine.url} (context 'far')"
    engine = connect(context="far")
    assert engine.version().version
    engine.close()


def refusal(tls_engine: TlsEngine, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]) -> ContainerlabError:
    """Returns the error of connecting with these variables, and checks that the first list has the same."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ContainerlabError) as raised:
        connect()
    with pytest.raises(ContainerlabError) as first:
        snapshot()
    assert type(first.value) is type(raised.value)
    return raised.value


def test_what_a_real_engine_refuses(tls_engine: TlsEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ca.pem").write_bytes((tls_engine.files / "ca.pem").read_bytes())
    error = refusal(tls_engine, monkeypatch, tls_engine.environ(DOCKER_CERT_PATH=str(tmp_path)))
    assert isinstance(error, Denied)
    assert "it wants a client certificate that it trusts" in str(error)
    foreign = authority(tmp_path / "ca").sign(tmp_path / "theirs", "IP:127.0.0.1")
    error = refusal(tls_engine, monkeypatch, tls_engine.environ(DOCKER_CERT_PATH=str(foreign)))
    assert isinstance(error, Unreachable)
    assert "is not trusted: no authority in ca.pem signed it" in str(error)
    error = refusal(tls_engine, monkeypatch, {"DOCKER_HOST": tls_engine.url, "DOCKER_TLS_VERIFY": ""})
    assert isinstance(error, Unreachable)
    assert "the engine expects TLS on this port. Set DOCKER_TLS_VERIFY=1" in str(error)


@pytest.mark.parametrize(("version", "words"), [("1.99", "too new"), ("1.10", "too old"), ("new", "is not a version")])
def test_an_api_version_that_the_engine_lacks(
    in_environment: TlsEngine, version: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_API_VERSION", version)
    with pytest.raises(BadRequest, match=f"DOCKER_API_VERSION is .*{words}"):
        connect()
    with pytest.raises(BadRequest, match="DOCKER_API_VERSION"):
        snapshot()
