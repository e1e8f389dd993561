"""CPU, memory and members of real containers' cgroups, against what the engine says."""

import json
import os
from functools import partial
from pathlib import Path

import pytest

from containerlab_probes.errors import Gone
from containerlab_probes.kernel import cgroups
from containerlab_probes.records import ContainerRun, PidsRecord
from tests.engine.commands_support import Command
from tests.engine.marks import needs_accounting, needs_cgroups
from tests.support.docker import Containers, Docker, eventually
from tests.support.kernel import container_processes

BASE = "containerlab/base:latest"
BUSY = """import time
while time.process_time() < 0.3: pass
print('done', flush=True)
time.sleep(1000)"""
FORKS = """import os, time
try:
    while True:
        if not os.fork(): time.sleep(1000)
except BlockingIOError:
    print('refused', flush=True)
    time.sleep(1000)"""
FILL = "import time; kept = bytearray(b'x') * 20_000_000; print('ready', flush=True); time.sleep(1000)"


@needs_accounting
def test_memory_agrees_with_the_engine(docker: Docker, container: Containers) -> None:
    name = container(BASE, "python3", "-c", FILL, options=("--memory=100m",), ready="ready")
    used = cgroups.UsageReader(docker.run_of(name)).read().memory_bytes
    assert used is not None
    assert 20_000_000 < used < 60_000_000
    theirs = json.loads(docker("stats", "--no-stream", "--format", "{{json .}}", name))["MemUsage"].split("MiB")[0]
    assert used / 1024 / 1024 == pytest.approx(float(theirs), abs=1.0)


@needs_cgroups
def test_cpu_time_is_that_of_the_containers_programs(docker: Docker, container: Containers) -> None:
    """Also where version 2 has no controllers: the kernel counts CPU time without one."""
    reader = cgroups.UsageReader(docker.run_of(container(BASE, "python3", "-c", BUSY, ready="done")))
    used = reader.read().cpu_seconds
    assert used is not None
    assert 0.3 <= used < 10


@needs_cgroups
def test_what_is_unread_is_explained(docker: Docker, container: Containers) -> None:
    used = cgroups.UsageReader(docker.run_of(container(BASE, "sleep", "1000"))).read()
    assert (used.memory_bytes is None) == ("no memory accounting" in used.unread)


@needs_cgroups
def test_a_stopped_container_raises_gone_even_after_a_restart(docker: Docker, container: Containers) -> None:
    """The restarted container has the same cgroup, but the reader belongs to its earlier run."""
    name = container(BASE, "sleep", "1000")
    reader = cgroups.UsageReader(docker.run_of(name))
    assert reader.read().cpu_seconds is not None
    docker("restart", "--time=0", name)
    with pytest.raises(Gone):
        reader.read()
    assert cgroups.UsageReader(docker.run_of(name)).read().cpu_seconds is not None


@needs_accounting
def test_refused_processes_are_counted(docker: Docker, container: Containers, command: Command) -> None:
    name = container(BASE, "python3", "-c", FORKS, options=("--pids-limit=20",), ready="refused")
    assert cgroups.pids_record(docker.run_of(name)) == PidsRecord(1, 20)
    document = command.asks("why", name)
    assert "were refused once in this run" in document["sentence"]
    assert "cgroup: a new process or thread was refused once at the limit of 20 (pids.events)" in document["evidence"]


@needs_cgroups
def test_a_cgroup_in_a_slice_is_the_containers(docker: Docker, container: Containers) -> None:
    """Named as below the services of a user, where a rootless engine has its containers."""
    parent = f"/containerlab-{os.getpid()}.slice/user@1000.service"
    name = container(BASE, "python3", "-c", BUSY, options=(f"--cgroup-parent={parent}",), ready="done")
    run = docker.run_of(name)
    own = cgroups.directories_of(run)
    try:
        assert own
        assert all(f"{parent}/" in directory and run.id in directory for directory in own.values())
        assert pids(run) == {run.init.pid}
        used = cgroups.UsageReader(run).read().cpu_seconds
        assert used is not None
        assert used >= 0.3
    finally:
        docker("rm", "--force", name)
        for directory in {Path(each).parent for each in own.values()}:
            for each in (directory / "conmon", directory, directory.parent):  # Podman may leave conmon's
                eventually(partial(_removed, each), f"{each} is empty")


@needs_cgroups
def test_a_cgroup_below_belongs_to_the_container(docker: Docker, container: Containers) -> None:
    name = container(BASE, "dash", "-c", "sleep 993 & wait", options=("--pid=host",))
    run = docker.run_of(name)
    members = eventually(lambda: found if len(found := pids(run)) == 2 else None, "the child is there")
    assert members is not None
    below = Path(next(iter(cgroups.directories_of(run).values()))) / "below"
    below.mkdir()
    try:
        (below / "cgroup.procs").write_text(str(run.init.pid))
        assert pids(run) == members
    finally:
        docker("rm", "--force", name)
        eventually(lambda: _removed(below), "the cgroup below is removed")


def pids(run: ContainerRun) -> set[int]:
    return {one.pid for one in container_processes(run)}


def _removed(directory: Path) -> bool:
    try:
        os.rmdir(directory)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
