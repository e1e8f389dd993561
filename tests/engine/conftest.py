"""A real engine for the tests that need one: that of DOCKER_HOST, one that --engine names, or the installed one.

All but the first are private, and belong to all test runs of this user (tests/engines/shared.py).
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from containerlab_tui import directories
from containerlab_tui.engine.connection import connect
from containerlab_tui.engine.docker_engine import DockerEngine
from containerlab_tui.lab import daemon, images
from containerlab_tui.lab.lab import Lab
from containerlab_tui.lab.lock import locked
from containerlab_tui.lab.progress import Steps
from tests.engine import servers
from tests.engine.commands_support import Command
from tests.engines import matrix, shared
from tests.engines.service import ROOTLESS
from tests.support.docker import Containers, Docker
from tests.support.screens import PROGRAM, OpenUi, Screen, environment


def pytest_configure(config: pytest.Config) -> None:
    """Describes the marker."""
    config.addinivalue_line("markers", "not_on(*engines, reason): the test can't apply to these engines")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skips tests that can't apply to the chosen engine, with their reasons."""
    marked = [(item, mark) for item in items for mark in item.iter_markers("not_on")]
    engine = chosen(config) or matrix.installed() if marked else None
    for item, mark in marked:
        if engine and engine.is_one_of(mark.args):
            item.add_marker(pytest.mark.skip(reason=mark.kwargs["reason"]))


def chosen(config: pytest.Config) -> matrix.Engine | None:
    """Returns the engine that --engine names; None without it."""
    name: str = config.getoption("--engine")
    if not name:
        return None
    if "DOCKER_HOST" in os.environ:
        raise pytest.UsageError("--engine starts an engine, and DOCKER_HOST names another: use one of them")
    try:
        return matrix.find(name)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error


@pytest.fixture(scope="session", autouse=True)
def chosen_engine(pytestconfig: pytest.Config) -> matrix.Engine | None:
    """Returns the chosen engine, None for the installed one. Whatever starts a daemon starts this engine then."""
    named = chosen(pytestconfig)
    if named:
        shared.prepare(named)
    return named


@pytest.fixture(scope="session")
def base_cache() -> Path:
    """Returns where the base of the images is kept, so that a lab of the same user finds it."""
    return shared.base_cache()


@pytest.fixture(scope="session")
def engine_host(base_cache: Path, chosen_engine: matrix.Engine | None) -> Iterator[str]:
    """Yields the address of an engine that has the project's images and no demonstration containers."""
    if host := os.environ.get("DOCKER_HOST"):
        with locked(directories.state_dir(create=True) / "images.lock", lambda: None):
            images.ensure(host, base_cache, Steps(None, images.steps()))
        yield host
    else:
        with shared.used(chosen_engine) as host:
            yield host


@pytest.fixture(scope="module")
def engine(engine_host: str) -> Iterator[DockerEngine]:
    """Yields the program's own client of that engine."""
    with closing(connect(engine_host)) as made:
        yield made


@pytest.fixture
def command(
    engine_host: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Command:
    """Runs the command line with a separate history of stops."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return Command(engine_host, capsys)


@pytest.fixture(scope="session")
def docker(engine_host: str, tmp_path_factory: pytest.TempPathFactory, chosen_engine: matrix.Engine | None) -> Docker:
    """Returns a docker client for that engine.

    The Docker API of Podman 4 records a grace period of 0 s if none is asked for.
    """
    options = ("--stop-timeout=10",) if chosen_engine and chosen_engine.is_one_of(("podman-4",)) else ()
    return Docker(engine_host, str(tmp_path_factory.mktemp("docker-config")), options)


@pytest.fixture
def container(docker: Docker) -> Iterator[Containers]:
    """Returns a function that creates containers; they are removed after the test."""
    containers = Containers(docker)
    yield containers
    containers.remove()


@pytest.fixture
def bind_path(chosen_engine: matrix.Engine | None, tmp_path: Path) -> Iterator[Path]:
    """Yields a folder for bind mounts; the user of a rootless engine can't reach `tmp_path`.

    `hand_over` gives files below it to that user.
    """
    if chosen_engine is None or not chosen_engine.is_rootless:
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="cl-", dir="/var/tmp") as made:
        os.chown(made, ROOTLESS, ROOTLESS)
        yield Path(made)


@pytest.fixture
def open_ui(engine_host: str, tmp_path: Path) -> Iterator[OpenUi]:
    """Returns a function that starts the UI on the engine; its settings and history are in `tmp_path`."""
    opened: list[Screen] = []

    def begin(columns: int, rows: int) -> Screen:
        opened.append(Screen(columns, rows))
        opened[-1].run(f"{PROGRAM} --host {engine_host}", environment(tmp_path))
        return opened[-1]

    yield begin
    for screen in opened:
        screen.close()


@pytest.fixture(scope="session")
def servers_image(engine_host: str, base_cache: Path) -> str:
    """Returns the tag of an image with many of Debian's servers, inits and shells."""
    return servers.ensure(engine_host, base_cache)


@pytest.fixture
def names(docker: Docker) -> Iterator[list[str]]:
    """Yields a list for the names of containers that a test creates; they are removed afterwards."""
    made: list[str] = []
    yield made
    if made:
        docker.remove(*made)


@pytest.fixture
def own_daemon(engine_host: str) -> Iterator[daemon.Places]:
    """Starts a daemon that a test may kill, with one small image."""
    folder = Path(tempfile.mkdtemp(prefix="cl-"))
    places = daemon.Places(folder / "state", folder / "run")
    lab = Lab(places.state, places.runtime, folder / "base")
    try:
        daemon.ensure(places)
        image = "containerlab/scratch-static:latest"
        saved = subprocess.run(("docker", "-H", engine_host, "save", image), capture_output=True, check=True)
        host = f"unix://{places.socket}"
        subprocess.run(("docker", "-H", host, "load"), input=saved.stdout, capture_output=True, check=True)
        yield places
    finally:
        lab.down(purge=True)
        shutil.rmtree(folder)
