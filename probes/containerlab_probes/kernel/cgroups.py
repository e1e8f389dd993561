"""Reads the processes and the usage of a container from its cgroup (man 7 cgroups), versions 1 and 2."""

import os
from collections.abc import Iterable, Mapping
from itertools import islice

from containerlab_probes.errors import Gone, Unsupported
from containerlab_probes.kernel import procfs
from containerlab_probes.kernel.container_cgroups import own_paths
from containerlab_probes.kernel.files import read_list, read_text
from containerlab_probes.kernel.mounts import OwnMounts
from containerlab_probes.records import ContainerRun, MemoryRecord, Mount, Usage

_MOUNTS = OwnMounts("cgroup", "cgroup2")
CGROUPS_LIMIT = 4096
"""Cgroups of one container; its programs may make many, nested deeply."""


def directory_of(path: str, mounts: Iterable[Mount], controller: str) -> str | None:
    """Returns the directory of a cgroup; None if that hierarchy, or this part of it, isn't mounted.

    `controller` is as in /proc/PID/cgroup.
    """
    if "/.." in path:
        return None
    for mount in mounts:
        if controller in _controllers(mount) and f"{path}/".startswith(f"{mount.root.rstrip('/')}/"):
            return os.path.join(mount.point, os.path.relpath(path, mount.root))
    return None


def members(cgroups: Mapping[str, str]) -> frozenset[int]:
    """Returns the PIDs in these cgroups and below: the path for each controller, in the order of preference.

    Version 2 counts and one hierarchy of version 1, the first that is mounted.
    """
    found: set[int] = set()
    seen: set[bool] = set()
    for controller, path in cgroups.items():
        version_2 = not controller
        directory = None if version_2 in seen else directory_of(path, _mounts(), controller)
        if directory is not None:
            seen.add(version_2)
            found |= members_below(directory)
    return frozenset(found)


def memory_record(run: ContainerRun) -> MemoryRecord | None:
    """Returns the counters of the container's own memory cgroup; None if it has none, or none visible.

    Version 2: memory.events (Documentation/admin-guide/cgroup-v2.rst); version 1: memory.oom_control, which counts
    kills from Linux 4.13, and memory.failcnt (cgroup-v1/memory.rst). Raises `Gone`: the cgroup is removed with its last
    process.
    """
    directories = _own_directories(run)
    directory = directories.get("memory")
    if directory is not None:
        kills = _table(read_text(f"{directory}/memory.oom_control")).get("oom_kill", 0)
        hits = int(read_text(f"{directory}/memory.failcnt"))
        return MemoryRecord(kills, hits, "memory.oom_control, memory.failcnt")
    directory = directories.get("")
    if directory is None or not os.path.exists(f"{directory}/memory.events"):
        return None
    events = _table(read_text(f"{directory}/memory.events"))
    return MemoryRecord(events.get("oom_kill", 0), events.get("max", 0), "memory.events")


class UsageReader:
    """Reads CPU time and memory of one container, a few files for each sample."""

    def __init__(self, run: ContainerRun) -> None:
        """Raises `Gone`, and `Unsupported` if the container's own cgroups have no accounting."""
        self._stat = f"/proc/{run.init.pid}/stat"
        self._started = run.init.started
        directories = _own_directories(run)
        cpu, memory, unified = (directories.get(one) for one in ("cpuacct", "memory", ""))
        self._version_1 = cpu is not None and memory is not None
        if not self._version_1:
            cpu = memory = unified
        if cpu is None or memory is None:
            raise Unsupported("No cgroup of this container with CPU and memory accounting is visible.")
        self._cpu, self._memory = cpu, memory

    def read(self) -> Usage:
        """Returns the usage so far. Raises `Gone` when the container has exited."""
        if procfs.parse_stat(read_text(self._stat)).started != self._started:
            raise Gone("The container has exited.")
        return self._read_1() if self._version_1 else self._read_2()

    def _read_1(self) -> Usage:
        """Reads the files of version 1 (Documentation/admin-guide/cgroup-v1/memory.rst)."""
        seconds = int(read_text(f"{self._cpu}/cpuacct.usage")) / 1e9
        used = int(read_text(f"{self._memory}/memory.usage_in_bytes"))
        stat = _table(read_text(f"{self._memory}/memory.stat"))
        return Usage(seconds, max(0, used - stat.get("total_inactive_file", 0)))

    def _read_2(self) -> Usage:
        """Reads the files of version 2 (Documentation/admin-guide/cgroup-v2.rst)."""
        seconds = _table(read_text(f"{self._cpu}/cpu.stat"))["usage_usec"] / 1e6
        try:
            used = int(read_text(f"{self._memory}/memory.current"))
        except Gone as error:
            if os.path.isdir(self._memory):
                raise Unsupported("The memory controller is not enabled for this container.") from error
            raise
        stat = _table(read_text(f"{self._memory}/memory.stat"))
        return Usage(seconds, max(0, used - stat.get("inactive_file", 0)))


def _own_directories(run: ContainerRun) -> dict[str, str]:
    """Returns the visible directories of the container's own cgroups, by controller."""
    paths = own_paths(procfs.parse_cgroups(read_text(f"/proc/{run.init.pid}/cgroup")), run.id)
    found = {controller: directory_of(path, _mounts(), controller) for controller, path in paths.items()}
    return {controller: directory for controller, directory in found.items() if directory is not None}


def _mounts() -> tuple[Mount, ...]:
    return _MOUNTS.now()


def _controllers(mount: Mount) -> frozenset[str]:
    """Returns the controllers of a hierarchy as /proc/PID/cgroup names them; only "" for version 2."""
    if mount.filesystem == "cgroup2":
        return frozenset(("",))
    return frozenset(mount.options.split(",")) if mount.filesystem == "cgroup" else frozenset()


def members_below(directory: str) -> set[int]:
    """Returns the PIDs of a cgroup and of those below it, CGROUPS_LIMIT cgroups at most.

    A cgroup that is removed meanwhile had no processes left.
    """
    found: set[int] = set()
    waiting = [directory]
    for _ in range(CGROUPS_LIMIT):
        if not waiting:
            break
        place = waiting.pop()
        try:
            found.update(procfs.parse_pids(read_list(f"{place}/cgroup.procs")))
            # Two links are the directory's entry and its `.`; each further one is a cgroup below.
            if os.stat(place).st_nlink > 2:
                with os.scandir(place) as entries:
                    below = islice((entry.name for entry in entries if entry.is_dir()), CGROUPS_LIMIT)
                    waiting += [f"{place}/{name}" for name in below]
        except (Gone, Unsupported, FileNotFoundError):  # a threaded cgroup: its processes are listed in its domain
            continue
    return found


def _table(text: str) -> dict[str, int]:
    """Parses a flat keyed file, which has a name and a number on each line."""
    return {name: int(value) for name, _, value in (line.partition(" ") for line in text.split("\n")) if value}
