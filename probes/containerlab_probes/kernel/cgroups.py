"""Reads the processes and the usage of a container from its cgroup (man 7 cgroups), versions 1 and 2."""

import functools
import os
import re
from collections.abc import Iterable

from containerlab_probes.errors import Gone, Unsupported
from containerlab_probes.kernel import procfs
from containerlab_probes.kernel.files import read_text
from containerlab_probes.kernel.mounts import read_mounts
from containerlab_probes.records import MemoryRecord, Mount, Usage

_CONTAINER = re.compile(r".*[0-9a-f]{64}[^/]*")
"""A path up to the last part that names a container: its programs may have made cgroups below."""
_MEMBERSHIP = ("pids", "memory", "cpuacct", "freezer", "name=systemd", "")
"""Hierarchies that list a container's processes, the most reliable first; the empty string is version 2."""


def directory_of(paths: dict[str, str], mounts: Iterable[Mount], controller: str) -> str | None:
    """Returns the directory of a container for one controller; None if that hierarchy isn't mounted.

    `paths` is the content of /proc/PID/cgroup of one of its processes. Also None for the root cgroup.
    """
    path = paths.get(controller)
    if path is None or path == "/" or "/.." in path:
        return None
    found = _CONTAINER.match(path)
    path = found[0] if found else path
    for mount in mounts:
        if controller in _controllers(mount) and f"{path}/".startswith(f"{mount.root.rstrip('/')}/"):
            return os.path.join(mount.point, os.path.relpath(path, mount.root))
    return None


def members(pid: int) -> frozenset[int]:
    """Returns the PIDs in the cgroup of the container that `pid` belongs to, and in those below it.

    Empty if it is in the root cgroup, or no hierarchy is visible. Raises `Gone`.
    """
    paths = procfs.parse_cgroups(read_text(f"/proc/{pid}/cgroup"))
    for controller in _MEMBERSHIP:
        directory = directory_of(paths, _mounts(), controller)
        if directory is not None:
            return frozenset(members_below(directory))
    return frozenset()


def memory_record(pid: int) -> MemoryRecord | None:
    """Returns the counters of the memory cgroup of the container that `pid` belongs to; None if it isn't visible.

    Version 2: memory.events (Documentation/admin-guide/cgroup-v2.rst); version 1: memory.oom_control, which counts
    kills from Linux 4.13, and memory.failcnt (cgroup-v1/memory.rst). Raises `Gone`: the cgroup is removed with its last
    process.
    """
    paths = procfs.parse_cgroups(read_text(f"/proc/{pid}/cgroup"))
    directory = directory_of(paths, _mounts(), "memory")
    if directory is not None:
        kills = _table(read_text(f"{directory}/memory.oom_control")).get("oom_kill", 0)
        hits = int(read_text(f"{directory}/memory.failcnt"))
        return MemoryRecord(kills, hits, "memory.oom_control, memory.failcnt")
    directory = directory_of(paths, _mounts(), "")
    if directory is None or not os.path.exists(f"{directory}/memory.events"):
        return None
    events = _table(read_text(f"{directory}/memory.events"))
    return MemoryRecord(events.get("oom_kill", 0), events.get("max", 0), "memory.events")


class UsageReader:
    """Reads CPU time and memory of one container, a few files for each sample."""

    def __init__(self, init_pid: int) -> None:
        """`init_pid` is PID 1 as the host sees it. Raises `Gone`, and `Unsupported` without accounting."""
        self._stat = f"/proc/{init_pid}/stat"
        self._started = procfs.parse_stat(read_text(self._stat)).started
        paths = procfs.parse_cgroups(read_text(f"/proc/{init_pid}/cgroup"))
        cpu, memory = (directory_of(paths, _mounts(), one) for one in ("cpuacct", "memory"))
        unified = directory_of(paths, _mounts(), "")
        self._version_1 = cpu is not None and memory is not None
        if not self._version_1:
            cpu = memory = unified
        if cpu is None or memory is None:
            raise Unsupported("No cgroup with CPU and memory accounting is visible for this container.")
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


@functools.cache
def _mounts() -> tuple[Mount, ...]:
    return tuple(mount for mount in read_mounts() if mount.filesystem in ("cgroup", "cgroup2"))


def _controllers(mount: Mount) -> frozenset[str]:
    """Returns the controllers of a hierarchy as /proc/PID/cgroup names them; only "" for version 2."""
    if mount.filesystem == "cgroup2":
        return frozenset(("",))
    return frozenset(mount.options.split(",")) if mount.filesystem == "cgroup" else frozenset()


def members_below(directory: str) -> set[int]:
    """Returns the PIDs of a cgroup and of those below it. A cgroup that is removed meanwhile had no processes left."""
    found: set[int] = set()
    try:
        found.update(procfs.parse_pids(read_text(f"{directory}/cgroup.procs")))
        # Two links are the directory's entry and its `.`; each further one is a cgroup below.
        below = os.stat(directory).st_nlink > 2
        names = [entry.name for entry in os.scandir(directory) if entry.is_dir()] if below else []
    except (Gone, Unsupported, FileNotFoundError):  # a threaded cgroup: its processes are listed in its domain
        return found
    for name in names:
        found |= members_below(f"{directory}/{name}")
    return found


def _table(text: str) -> dict[str, int]:
    """Parses a flat keyed file, which has a name and a number on each line."""
    return {name: int(value) for name, _, value in (line.partition(" ") for line in text.split("\n")) if value}
