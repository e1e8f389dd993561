"""The directory of a container's cgroup, for both versions and drivers, and the content of its files."""

import os
import subprocess
from pathlib import Path

import pytest

from containerlab_probes.errors import Gone, Unsupported
from containerlab_probes.kernel import cgroups, procfs
from containerlab_probes.kernel.cgroups import UsageReader, directory_of
from containerlab_probes.kernel.mounts import parse_mounts
from containerlab_probes.processes.identity import identify
from containerlab_probes.records import ContainerRun, MemoryRecord, Mount

ID = "d199ca63ec728782b4a3d16d889e8ff5c7251048115c6b51d6bec4d5f06f81cb"
MOUNTS_1 = """31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
MOUNTS_2 = "27 22 0:25 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"


@pytest.mark.parametrize(
    ("mounts", "path", "controller", "directory"),
    [
        (MOUNTS_1, f"/docker/{ID}", "memory", f"/sys/fs/cgroup/memory/docker/{ID}"),
        (MOUNTS_1, f"/docker/{ID}", "cpuacct", f"/sys/fs/cgroup/cpu,cpuacct/docker/{ID}"),
        (MOUNTS_1, f"/docker/{ID}", "", f"/sys/fs/cgroup/unified/docker/{ID}"),
        (MOUNTS_2, f"/docker/{ID}", "", f"/sys/fs/cgroup/docker/{ID}"),
        (MOUNTS_2, f"/system.slice/docker-{ID}.scope", "", f"/sys/fs/cgroup/system.slice/docker-{ID}.scope"),
        (MOUNTS_2, f"/docker/{ID}", "memory", None),
        (MOUNTS_2, f"/../{ID}", "", None),
        (MOUNTS_2.replace(" / ", f" /docker/{ID} "), f"/docker/{ID}", "", "/sys/fs/cgroup/."),
        (MOUNTS_2.replace(" / ", " /elsewhere "), f"/docker/{ID}", "", None),
        (MOUNTS_2.replace("/sys/fs/cgroup", r"/odd\040place"), "/a", "", "/odd place/a"),
    ],
)
def test_directories(mounts: str, path: str, controller: str, directory: str | None) -> None:
    assert directory_of(path, parse_mounts(mounts), controller) == directory


@pytest.fixture
def version_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the files of version 2, which stands for the cgroup of the container `ID`."""
    own = tmp_path / "docker" / ID
    own.mkdir(parents=True)
    (own / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n")
    (own / "memory.current").write_text("9000\n")
    (own / "memory.stat").write_text("anon 5000\nfile 4000\ninactive_file 3000\n")
    (own / "cgroup.procs").write_text("0\n1\n2\n")
    (own / "below/deeper").mkdir(parents=True)
    (own / "below/cgroup.procs").write_text("3\n")
    (own / "below/deeper/cgroup.procs").write_text("4\n")
    mount = Mount("0:25", "/", str(tmp_path), "cgroup2", "cgroup2")
    monkeypatch.setattr(cgroups, "_mounts", lambda: (mount,))
    monkeypatch.setattr(procfs, "parse_cgroups", lambda text: {"": f"/docker/{ID}/below", "memory": "/daemon"})
    return own


ME = ContainerRun(ID, identify(os.getpid()))


def test_usage_of_version_2(version_2: Path) -> None:
    reader = UsageReader(ME)
    used = reader.read()
    assert (used.cpu_seconds, used.memory_bytes) == (2.5, 6000)
    (version_2 / "memory.current").unlink()
    with pytest.raises(Unsupported):
        reader.read()
    (version_2 / "cpu.stat").unlink()
    with pytest.raises(Gone):
        reader.read()


def test_memory_counters_of_version_2(version_2: Path) -> None:
    assert cgroups.memory_record(ME) is None
    (version_2 / "memory.events").write_text("low 0\nhigh 0\nmax 252\noom 2\noom_kill 1\noom_group_kill 0\n")
    assert cgroups.memory_record(ME) == MemoryRecord(1, 252, "memory.events")


@pytest.mark.usefixtures("version_2")
def test_processes_of_cgroups_below_are_members() -> None:
    assert cgroups.members({"": f"/docker/{ID}"}) == {1, 2, 3, 4}
    assert cgroups.members({}) == set()


def test_members_are_those_of_version_2_and_of_one_hierarchy_of_version_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = []
    for pid, (controller, kind) in enumerate((("", "cgroup2"), ("memory", "cgroup"), ("freezer", "cgroup")), 1):
        directory = tmp_path / (controller or "unified") / "own"
        directory.mkdir(parents=True)
        (directory / "cgroup.procs").write_text(f"{pid}\n")
        mounts.append(Mount(f"0:{pid}", "/", str(directory.parent), kind, kind, options=f"rw,{controller}"))
    monkeypatch.setattr(cgroups, "_mounts", lambda: tuple(mounts))
    own = dict.fromkeys(("", "pids", "memory", "freezer"), "/own")
    assert cgroups.members(own) == {1, 2}, "pids isn't mounted"
    assert cgroups.members({"freezer": "/own"}) == {3}


@pytest.mark.usefixtures("version_2")
def test_the_cgroup_of_pid_1_is_not_the_containers_without_its_id() -> None:
    """The directory exists and is that of PID 1, but it is named after another container."""
    stranger = ContainerRun(ID[::-1], ME.init)
    assert cgroups.memory_record(stranger) is None
    with pytest.raises(Unsupported, match="No cgroup of this container"):
        UsageReader(stranger)


@pytest.mark.usefixtures("version_2")
def test_an_exited_container_raises_gone() -> None:
    process = subprocess.Popen(("sleep", "1000"))
    reader = UsageReader(ContainerRun(ID, identify(process.pid)))
    assert reader.read().memory_bytes == 6000
    process.kill()
    process.wait()
    with pytest.raises(Gone):
        reader.read()


def test_no_accounting_is_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "_mounts", lambda: ())
    with pytest.raises(Unsupported):
        UsageReader(ME)
