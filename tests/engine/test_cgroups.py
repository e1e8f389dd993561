"""CPU, memory and members of real containers' cgroups, against what the engine says."""

import json
import os
from pathlib import Path

import pytest

from containerlab_probes.errors import Gone
from containerlab_probes.kernel import cgroups, procfs
from tests.support.docker import Containers, Docker, eventually

BASE = "containerlab/base:latest"
FILL = "import time; kept = bytearray(b'x') * 20_000_000; print('ready', flush=True); time.sleep(1000)"


def test_usage_agrees_with_the_engine(docker: Docker, container: Containers) -> None:
    name = container(BASE, "python3", "-c", FILL, options=("--memory=100m",), ready="ready")
    reader = cgroups.UsageReader(int(docker.state(name, "State.Pid")))
    used = reader.read()
    assert 20_000_000 < used.memory_bytes < 60_000_000
    theirs = json.loads(docker("stats", "--no-stream", "--format", "{{json .}}", name))["MemUsage"].split("MiB")[0]
    assert used.memory_bytes / 1024 / 1024 == pytest.approx(float(theirs), abs=1.0)
    busy = "import os, time\nwhile time.process_time() < 0.3: pass"
    before = reader.read().cpu_seconds
    docker("exec", name, "python3", "-c", busy)
    assert 0.25 <= reader.read().cpu_seconds - before < 10


def test_a_stopped_container_raises_gone_even_after_a_restart(docker: Docker, container: Containers) -> None:
    """The restarted container has the same cgroup, but the reader belongs to its earlier run."""
    name = container(BASE, "sleep", "1000")
    reader = cgroups.UsageReader(int(docker.state(name, "State.Pid")))
    assert reader.read().memory_bytes > 0
    docker("restart", "--time=0", name)
    with pytest.raises(Gone):
        reader.read()
    assert cgroups.UsageReader(int(docker.state(name, "State.Pid"))).read().cpu_seconds >= 0


def test_a_cgroup_below_belongs_to_the_container(docker: Docker, container: Containers) -> None:
    name = container(BASE, "dash", "-c", "sleep 993 & wait")
    pid = int(docker.state(name, "State.Pid"))
    members = eventually(lambda: found if len(found := cgroups.members(pid)) == 2 else None, "the child is there")
    assert members is not None
    paths = procfs.parse_cgroups(Path(f"/proc/{pid}/cgroup").read_text())
    found = (cgroups.directory_of(paths, cgroups._mounts(), one) for one in cgroups._MEMBERSHIP)
    below = Path(next(one for one in found if one)) / "below"
    below.mkdir()
    try:
        (below / "cgroup.procs").write_text(str(pid))
        assert cgroups.members(pid) == members
        assert cgroups.members(max(members)) == members
    finally:
        docker("rm", "--force", name)
        eventually(lambda: _removed(below), "the cgroup below is removed")


def _removed(directory: Path) -> bool:
    try:
        os.rmdir(directory)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
