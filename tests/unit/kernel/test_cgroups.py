"""The directory of a container's cgroup, for both versions and drivers, and the content of its files."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from containerlab_probes.errors import Gone, Unsupported
from containerlab_probes.kernel.cgroups import (
    UsageReader,
    directory_of,
    members,
    memory_record,
    own_directories,
    pids_record,
)
from containerlab_probes.kernel.mounts import parse_mounts
from containerlab_probes.memory_records import Mount
from containerlab_probes.processes.identity import identify
from containerlab_probes.records import ContainerRun, MemoryRecord, PidsRecord, Usage

ID = "d199ca63ec728782b4a3d16d889e8ff5c7251048115c6b51d6bec4d5f06f81cb"
USER = "/user.slice/user-1000.slice/user@1000.service/user.slice"
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
        (MOUNTS_2, f"{USER}/docker-{ID}.scope", "", f"/sys/fs/cgroup{USER}/docker-{ID}.scope"),
        (MOUNTS_2.replace(" / ", f" {USER} "), f"{USER}/libpod-{ID}.scope", "", f"/sys/fs/cgroup/libpod-{ID}.scope"),
        (MOUNTS_2, f"/docker/{ID}", "memory", None),
        (MOUNTS_2, f"/../{ID}", "", None),
        (MOUNTS_2.replace(" / ", f" /docker/{ID} "), f"/docker/{ID}", "", "/sys/fs/cgroup/."),
        (MOUNTS_2.replace(" / ", " /elsewhere "), f"/docker/{ID}", "", None),
        (MOUNTS_2.replace("/sys/fs/cgroup", r"/odd\040place"), "/a", "", "/odd place/a"),
    ],
)
def test_directories(mounts: str, path: str, controller: str, directory: str | None) -> None:
    assert directory_of(path, parse_mounts(mounts), controller) == directory


USER = "/user.slice/user-1000.slice/user@1000.service"
FILES_1 = {
    "cpuacct/cpuacct.usage": "1500000000\n",
    "memory/memory.usage_in_bytes": "8000\n",
    "memory/memory.stat": "cache 4000\ninactive_file 1\ntotal_inactive_file 2000\n",
    "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
    "memory/memory.failcnt": "77\n",
    "memory/memory.limit_in_bytes": "33554432\n",
    "pids/pids.events": "max 4\n",
    "pids/pids.max": "40\n",
}
CPU_2 = {"unified/cpu.stat": "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\nnr_periods 0\n"}
FILES_2 = {
    **CPU_2,
    "unified/memory.current": "9000\n",
    "unified/memory.stat": "anon 5000\nfile 4000\ninactive_file 3000\n",
    "unified/memory.events": "low 0\nhigh 0\nmax 252\noom 2\noom_kill 1\noom_group_kill 0\n",
    "unified/memory.max": "67108864\n",
    "unified/pids.events": "max 5\n",
    "unified/pids.max": "50\n",
}
COUNTS_1 = (MemoryRecord(3, 77, "memory.oom_control, memory.failcnt", 32 << 20), PidsRecord(4, 40))
COUNTS_2 = (MemoryRecord(1, 252, "memory.events", 64 << 20), PidsRecord(5, 50))
ME = ContainerRun(ID, identify(os.getpid()))


@dataclass(frozen=True, slots=True)
class Tree:
    """A written tree of cgroup files, with one folder for each hierarchy."""

    place: Path
    kinds: tuple[str, ...]

    def write(self, path: str, files: Mapping[str, str]) -> None:
        """Writes files, named HIERARCHY/FILE, into the cgroup `path` of their hierarchies."""
        for name, text in files.items():
            kind, _, file = name.partition("/")
            directory = self.place / kind / path.strip("/")
            directory.mkdir(parents=True, exist_ok=True)
            (directory / file).write_text(text)

    @property
    def mounts(self) -> tuple[Mount, ...]:
        return tuple(
            Mount(f"0:{number}", "/", str(self.place / kind), "cgroup2", "cgroup2")
            if kind == "unified"
            else Mount(f"0:{number}", "/", str(self.place / kind), "cgroup", "cgroup", f"rw,{kind}")
            for number, kind in enumerate(self.kinds, 25)
        )

    def own(self, text: str) -> dict[str, str]:
        return own_directories(text, self.mounts, ID)


HYBRID = ("cpuacct", "memory", "pids", "unified")


@pytest.mark.parametrize(
    ("kinds", "path", "text", "files", "usage", "counts"),
    [
        # version 2: cgroupfs, systemd, rootless, with a cgroup below that the container has made
        (("unified",), f"/docker/{ID}", "0::{}", FILES_2, Usage(2.5, 6000), COUNTS_2),
        (("unified",), f"/system.slice/docker-{ID}.scope", "0::{}", FILES_2, Usage(2.5, 6000), COUNTS_2),
        (("unified",), f"{USER}/user.slice/docker-{ID}.scope", "0::{}", FILES_2, Usage(2.5, 6000), COUNTS_2),
        (("unified",), f"{USER}/user.slice/libpod-{ID}.scope", "0::{}/container", FILES_2, Usage(2.5, 6000), COUNTS_2),
        # version 1 alone, and both: version 2 is then without controllers
        (HYBRID[:-1], f"/docker/{ID}", "3:cpuacct:{0}\n4:memory:{0}\n8:pids:{0}", FILES_1, Usage(1.5, 6000), COUNTS_1),
        (
            HYBRID,
            f"/system.slice/docker-{ID}.scope",
            "3:cpuacct:{0}\n4:memory:{0}\n8:pids:{0}\n0::{0}",
            FILES_1 | CPU_2,
            Usage(2.5, 6000),
            COUNTS_1,
        ),
        # both, and both have files of this container: version 2 comes first, in whatever order the kernel names them
        (HYBRID, f"/docker/{ID}", "3:cpuacct:{0}\n4:memory:{0}\n0::{0}", FILES_1 | FILES_2, Usage(2.5, 6000), COUNTS_2),
        (HYBRID, f"/docker/{ID}", "0::{0}\n4:memory:{0}\n3:cpuacct:{0}", FILES_1 | FILES_2, Usage(2.5, 6000), COUNTS_2),
        # both, the engine uses version 2: PID 1 is in the daemon's cgroups of version 1
        (HYBRID, f"/docker/{ID}", "8:pids:/\n4:memory:/daemon\n0::{}", FILES_1 | FILES_2, Usage(2.5, 6000), COUNTS_2),
    ],
)  # fmt: skip
def test_usage_and_counters_of_a_written_tree(
    tmp_path: Path,
    kinds: tuple[str, ...],
    path: str,
    text: str,
    files: Mapping[str, str],
    usage: Usage,
    counts: tuple[MemoryRecord, PidsRecord],
) -> None:
    tree = Tree(tmp_path, kinds)
    tree.write("/daemon", {**FILES_1, "memory/memory.usage_in_bytes": "1\n"})
    tree.write(path, files)
    own = tree.own(text.format(path))
    assert UsageReader(ME, own).read() == usage
    assert (memory_record(ME, own), pids_record(ME, own)) == counts


@pytest.fixture
def version_2(tmp_path: Path) -> Tree:
    """A cgroup of version 2, of the container `ID`, and cgroups below it."""
    tree, own = Tree(tmp_path, ("unified",)), f"/docker/{ID}"
    tree.write(own, {**FILES_2, "unified/cgroup.procs": "0\n1\n2\n"})
    tree.write(f"{own}/below", {"unified/cgroup.procs": "3\n"})
    tree.write(f"{own}/below/deeper", {"unified/cgroup.procs": "4\n"})
    return tree


TEXT_2 = f"4:memory:/daemon\n0::/docker/{ID}/below\n"


def test_a_limit_that_is_not_set(version_2: Tree, tmp_path: Path) -> None:
    unlimited = {"unified/memory.max": "max\n", "unified/pids.max": "max\n"}
    version_2.write(f"/docker/{ID}", unlimited)
    assert memory_record(ME, version_2.own(TEXT_2)) == MemoryRecord(1, 252, "memory.events")
    assert pids_record(ME, version_2.own(TEXT_2)) == PidsRecord(5, None)
    version_1 = Tree(tmp_path / "1", HYBRID)
    version_1.write(f"/docker/{ID}", {**FILES_1, "memory/memory.limit_in_bytes": "9223372036854771712\n"})
    memory = memory_record(ME, version_1.own(f"4:memory:/docker/{ID}\n"))
    assert memory is not None
    assert memory.limit_bytes is None


@pytest.mark.parametrize("when", ["from the start", "later"])
def test_without_the_memory_controller_the_cpu_is_read(version_2: Tree, when: str) -> None:
    """Version 2 counts CPU time without a controller; memory needs one, which the engine may not have enabled."""
    own = version_2.own(TEXT_2)
    reader = UsageReader(ME, own)
    for name in ("memory.current", "memory.stat", "memory.events", "memory.max", "pids.events", "pids.max"):
        os.unlink(f"{own['']}/{name}")
    if when == "from the start":
        reader = UsageReader(ME, own)
    assert reader.read() == Usage(2.5, None, "The cgroup of this container has no memory accounting.")
    assert (memory_record(ME, own), pids_record(ME, own)) == (None, None)


def test_without_a_cgroup_for_cpu_the_memory_is_read(tmp_path: Path) -> None:
    tree = Tree(tmp_path, HYBRID)
    tree.write(f"/docker/{ID}", FILES_1)
    own = tree.own(f"3:cpuacct:/\n4:memory:/docker/{ID}\n0::/\n")
    assert UsageReader(ME, own).read() == Usage(None, 6000, "The cgroup of this container has no CPU accounting.")


def test_a_removed_cgroup_raises_gone(version_2: Tree) -> None:
    own = version_2.own(TEXT_2)
    reader = UsageReader(ME, own)
    shutil.rmtree(own[""])
    with pytest.raises(Gone):
        reader.read()
    assert (memory_record(ME, own), pids_record(ME, own)) == (None, None)


def test_processes_of_cgroups_below_are_members(version_2: Tree) -> None:
    assert members({"": f"/docker/{ID}"}, version_2.mounts) == {1, 2, 3, 4}
    assert members({}, version_2.mounts) == set()
    assert members({"": f"/docker/{ID}"}, ()) == set()


def test_members_are_those_of_version_2_and_of_one_hierarchy_of_version_1(tmp_path: Path) -> None:
    tree = Tree(tmp_path, ("unified", "memory", "freezer"))
    for pid, kind in enumerate(tree.kinds, 1):
        tree.write("/own", {f"{kind}/cgroup.procs": f"{pid}\n"})
    own = dict.fromkeys(("", "pids", "memory", "freezer"), "/own")
    assert members(own, tree.mounts) == {1, 2}, "pids isn't mounted"
    assert members({"freezer": "/own"}, tree.mounts) == {3}


def test_the_cgroup_of_pid_1_is_not_the_containers_without_its_id(version_2: Tree) -> None:
    """The directory exists and is that of PID 1, but it is named after another container."""
    stranger = ContainerRun(ID[::-1], ME.init)
    own = own_directories(TEXT_2, version_2.mounts, stranger.id)
    assert own == {}
    assert (memory_record(stranger, own), pids_record(stranger, own)) == (None, None)
    with pytest.raises(Unsupported, match="No cgroup of this container"):
        UsageReader(stranger, own)


def test_an_exited_container_raises_gone(version_2: Tree) -> None:
    process = subprocess.Popen(("sleep", "1000"))
    run, own = ContainerRun(ID, identify(process.pid)), version_2.own(TEXT_2)
    reader = UsageReader(run, own)
    assert reader.read().memory_bytes == 6000
    process.kill()
    process.wait()
    with pytest.raises(Gone):
        reader.read()
    with pytest.raises(Gone):
        UsageReader(run, {})


LATER = """
import os, subprocess
from containerlab_probes.kernel import cgroups
point = "/sys/fs/cgroup"
mine = {"": "/"}
subprocess.run(("umount", "--recursive", point), check=True)
seen = [os.getpid() in cgroups.members(mine)]
subprocess.run(("mount", "-t", "cgroup2", "cgroup2", point), check=True)
seen.append(os.getpid() in cgroups.members({"": open("/proc/self/cgroup").read().split("0::")[1].split("\\n")[0]}))
subprocess.run(("umount", point), check=True)
seen.append(os.getpid() in cgroups.members(mine))
print(seen)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_mount_after_the_start_is_seen() -> None:
    """In a separate mount namespace, so nothing of this machine's mounts changes."""
    command = ("unshare", "--mount", "--propagation=private", sys.executable, "-c", LATER)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[False, True, False]\n"
