"""One engine for all test runs of this user: the last run ends it; data stay for the next one.

Each run holds a shared lock while it uses the engine. A keeper, a process in a separate session, waits for all of
them to go: it ends the engine also after tests that were killed.
"""

import fcntl
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from containerlab_tui import directories
from containerlab_tui.engine.lab_client import MARK_LABEL, REGISTRY
from containerlab_tui.lab import base, image_folders, images
from containerlab_tui.lab.lab import Lab
from containerlab_tui.lab.lock import locked
from containerlab_tui.lab.parallel import lab_client
from tests.engines import docker, programs
from tests.engines.matrix import Engine, find
from tests.engines.podman import Podman
from tests.engines.rootless_docker import RootlessDocker

INSTALLED = "tests"
"""The name of the engine that the dockerd of this machine makes."""


class Startable(Protocol):
    """What starts and ends an engine. Both may be repeated."""

    def up(self) -> str:
        """Starts the engine and returns its address."""
        ...

    def down(self, purge: bool = False) -> None:
        """Ends the engine and all its containers; `purge` removes its data too."""
        ...


@dataclass(frozen=True, slots=True)
class DockerInLab:
    """An engine that the lab starts: with the first dockerd in PATH."""

    lab: Lab
    state: Path

    def up(self) -> str:
        return self.lab.up(demonstrations=False)

    def down(self, purge: bool = False) -> None:
        self.lab.down(purge)
        docker.clean(self.state)


@dataclass(frozen=True, slots=True)
class PodmanWithImages:
    """Podman with the project's images."""

    podman: Podman
    cache: Path

    def up(self) -> str:
        host = self.podman.up()
        with lab_client(host) as opened:
            there = {tag: image.mark for tag, image in opened.images().items()}
            if there.get(images.BASE) != base.mark():
                opened.import_image(base.tar(self.cache, print), base.REPOSITORY, base.mark())
                there = {}
        for tag, mark in images.marks().items():
            if there.get(tag) != mark:
                self._build(tag, mark)
        return host

    def _build(self, tag: str, mark: str) -> None:
        name = tag.removeprefix("containerlab/").removesuffix(":latest")
        with tempfile.TemporaryDirectory() as folder:
            with tarfile.open(fileobj=io.BytesIO(image_folders.context(name))) as tar:
                tar.extractall(folder, filter="data")
            Path(folder).chmod(0o755)
            self.podman.build(Path(folder), f"{REGISTRY}/{tag}", f"{REGISTRY}/{images.BASE}", f"{MARK_LABEL}={mark}")

    def down(self, purge: bool = False) -> None:
        if purge:
            self.podman.purge()
        else:
            self.podman.down()


def base_cache() -> Path:
    """Returns where the base of the images is kept, so that a lab of the same user finds it."""
    return directories.state_dir(create=True) / "base"


def startable(engine: Engine | None) -> Startable:
    """Returns the engine with the places of its data; None means the installed dockerd."""
    name = engine.name if engine else INSTALLED
    state, runtime = directories.state_dir(create=True) / name, directories.runtime_dir(create=True) / name
    if engine and engine.is_rootless:  # its user must reach it
        place = Path("/var/tmp") / f"containerlab-{hashlib.sha256(bytes(state)).hexdigest()[:8]}"
        state, runtime = place / "state", place / "run"
        if not engine.is_podman:
            return RootlessDocker(engine, state, runtime, base_cache())
    if engine and engine.is_podman:
        return PodmanWithImages(Podman(engine, state, runtime), base_cache())
    return DockerInLab(Lab(state, runtime, base_cache()), state)


def prepare(engine: Engine) -> Path:
    """Downloads the engine's programs; returns their folder, with Docker the first in this process's PATH."""
    place = directories.own(directories.state_dir(create=True) / f"{engine.name}.programs", create=True)
    with locked(place / "lock", lambda: None):
        folder = programs.ensure(engine) if engine.is_podman else docker.prepare(engine, place)
    if not engine.is_podman:
        os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return folder


@contextmanager
def used(engine: Engine | None) -> Iterator[str]:
    """Yields the address of the running engine with the project's images."""
    name = engine.name if engine else INSTALLED
    state, started = directories.state_dir(create=True), startable(engine)
    with _users(name).open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        with locked(state / f"{name}.starting", lambda: None):
            _start_keeper(name)
            host = started.up()
        try:
            yield host
        finally:
            fcntl.flock(users, fcntl.LOCK_UN)
            _end_unused(name, wait=False)


def purge(engine: Engine) -> None:
    """Removes the engine's data when no run uses it any more."""
    with _users(engine.name).open("a") as users:
        fcntl.flock(users, fcntl.LOCK_EX)
        startable(engine).down(purge=True)


def _users(name: str) -> Path:
    return directories.state_dir(create=True) / f"{name}.users"


def _end_unused(name: str, wait: bool) -> None:
    """Ends the engine if no run uses it; `wait`: when no run uses it any more."""
    with _users(name).open("a") as users:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return  # another run still uses it, or the keeper ends it
        startable(None if name == INSTALLED else find(name)).down()


def _start_keeper(name: str) -> None:
    """Starts a process that ends the engine after its last user."""
    process = subprocess.Popen(
        (sys.executable, "-m", "tests.engines.shared", name),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
        start_new_session=True,
    )
    process.returncode = 0  # it waits for the end of this process: avoids the warning when the object is freed


if __name__ == "__main__":
    _end_unused(sys.argv[1], wait=True)
