"""An engine whose containers have their own cgroups in version 2 only, on a machine with hierarchies of version 1.

In version 1, PID 1 of each container is then in the cgroups of the daemon, together with everything else that was
started there. The daemon gets a memory cgroup of version 1, so that a mistake reaches nothing but the daemon and what
the test has put beside it.
"""

import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from containerlab_probes.kernel.mounts import read_mounts
from containerlab_tui.lab import daemon
from containerlab_tui.lab.parallel import lab_client
from tests.support.docker import Docker, eventually

IMAGE = "containerlab/links"
"""Only links to directories below /usr, which `OPTIONS` mounts."""
OPTIONS = ("--volume=/usr:/usr:ro",)

WRAPPER = """#!/bin/sh
set -e
echo $$ >{memory}/cgroup.procs
exec unshare --mount sh -c '
set -e
umount --recursive /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec {dockerd} "$@"' sh "$@"
"""
"""Starts dockerd with the same number, where only the hierarchy of version 2 is mounted."""


@dataclass(frozen=True, slots=True)
class UnifiedEngine:
    docker: Docker
    pid: int
    """The daemon."""
    memory: Path
    """The daemon's memory cgroup of version 1."""


def reason_against() -> str:
    """Returns why such an engine can't be started here; empty if it can."""
    if _memory_mount() is None or not any(mount.filesystem == "cgroup2" for mount in read_mounts()):
        return "this machine has not both versions of cgroups, with memory in version 1"
    return ""


def _memory_mount() -> Path | None:
    hierarchies = (mount for mount in read_mounts() if mount.filesystem == "cgroup")
    return next((Path(mount.point) for mount in hierarchies if "memory" in mount.options.split(",")), None)


@contextmanager
def unified_engine(place: Path, config: Path) -> Iterator[UnifiedEngine]:
    """Starts the engine with its data below `place`, a short path; ends it and its containers afterwards."""
    mount = _memory_mount()
    assert mount is not None
    memory = mount / f"containerlab-test-{os.getpid()}"
    memory.mkdir()
    places = daemon.Places(place / "state", place / "run")
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PATH", str(_wrapper(place, memory)), prepend=os.pathsep)
            daemon.ensure(places)
        host = f"unix://{places.socket}"
        _import_image(place, host)
        with daemon.found(places) as running:
            assert running is not None
            engine = UnifiedEngine(Docker(host, str(config)), running.pid, memory)
        yield engine
        for container in engine.docker("ps", "--all", "--quiet").split():
            engine.docker("rm", "--force", container)
    finally:
        daemon.end(places)
        eventually(lambda: _removed(memory), "the daemon's cgroup is empty", 60)


def _wrapper(place: Path, memory: Path) -> Path:
    """Returns a directory with a program `dockerd` that starts the real one."""
    dockerd = shutil.which("dockerd", path=os.pathsep.join((os.environ["PATH"], *daemon.SYSTEM_PATHS)))
    assert dockerd is not None
    program = place / "bin/dockerd"
    program.parent.mkdir(parents=True)
    program.write_text(WRAPPER.format(memory=memory, dockerd=dockerd))
    program.chmod(0o755)
    return program.parent


def _import_image(place: Path, host: str) -> None:
    tar = place / "links.tar"
    with tarfile.open(tar, "w") as file:
        for name in ("bin", "lib", "lib64", "sbin"):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, f"usr/{name}"
            file.addfile(link)
        for name in ("tmp", "usr"):
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, 0o755
            file.addfile(directory, io.BytesIO())
    with lab_client(host) as opened:
        opened.import_image(tar, IMAGE, "links")


def _removed(cgroup: Path) -> bool:
    try:
        cgroup.rmdir()
    except OSError:
        return False
    return True
