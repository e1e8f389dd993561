"""Reads the processes and the usage of a container from its cgroup (man 7 cgroups), versions 1 and 2."""

import os
from collections.abc import Iterable, Mapping
from itertools import islice

from containerlab_probes.errors import Gone, Unsupported
from containerlab_probes.kernel import procfs
from containerlab_probes.kernel.container_cgroups import own_paths
from containerlab_probes.kernel.files import read_list, read_text
from containerlab_probes.kernel.mounts import OwnMounts
from containerlab_probes.memory_records import Mount
from containerlab_probes.records import ContainerRun, MemoryRecord, PidsRecord, Usage

_MOUNTS = OwnMounts("cgroup", "cgroup2")
_NO_LIMIT = 1 << 62
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


def members(cgroups: Mapping[str, str], mounts: Iterable[Mount] | None = None) -> frozenset[int]:
    """Returns the PIDs in these cgroups and below: the path for each controller, in the order of preference.

    Version 2 counts and one hierarchy of version 1, the first that is mounted. `mounts`: default are those now.
    """
    found: set[int] = set()
    seen: set[bool] = set()
    known = tuple(_MOUNTS.now() if mounts is None else mounts)
    for controller, path in cgroups.items():
        version_2 = not controller
        directory = None if version_2 in seen else directory_of(path, known, controller)
        if directory is not None:
            seen.add(version_2)
            found |= members_below(directory)
    return frozenset(found)


def own_directories(text: str, mounts: Iterable[Mount], container: str) -> dict[str, str]:
    """Returns the visible directories of a container's own cgroups, by controller; the empty string is version 2.

    `text` is /proc/PID/cgroup of its PID 1. Raises ValueError for text that the kernel does not write.
    """
    known = tuple(mounts)
    paths = own_paths(procfs.parse_cgroups(text), container)
    found = {controller: directory_of(path, known, controller) for controller, path in paths.items()}
    return {controller: directory for controller, directory in found.items() if directory is not None}


def memory_record(run: ContainerRun, directories: Mapping[str, str] | None = None) -> MemoryRecord | None:
    """Returns the counters of the container's own memory cgroup; None if it has none, or none visible.

    Version 2: memory.events (Documentation/admin-guide/cgroup-v2.rst); version 1: memory.oom_control, which counts
    kills from Linux 4.13, and memory.failcnt (cgroup-v1/memory.rst). `directories`: as from `own_directories`.
    Raises `Gone`: the cgroup is removed with its last process.
    """
    found = directories_of(run) if directories is None else directories
    if (events := _first_file(found, {"": "memory.events"})) is not None:
        counts, limit = _table(read_text(events)), _limit(found[""], "memory.max")
        return MemoryRecord(counts.get("oom_kill", 0), counts.get("max", 0), "memory.events", limit)
    if (directory := found.get("memory")) is None:
        return None
    kills = _table(read_text(f"{directory}/memory.oom_control")).get("oom_kill", 0)
    hits = int(read_text(f"{directory}/memory.failcnt"))
    limit = _limit(directory, "memory.limit_in_bytes")
    return MemoryRecord(kills, hits, "memory.oom_control, memory.failcnt", limit)


def pids_record(run: ContainerRun, directories: Mapping[str, str] | None = None) -> PidsRecord | None:
    """Returns the counter of the container's own pids cgroup; None if it has none, or none visible.

    pids.events and pids.max have the same form in both versions (cgroup-v2.rst, cgroup-v1/pids.rst). Raises `Gone`.
    """
    found = directories_of(run) if directories is None else directories
    events = _first_file(found, {"": "pids.events", "pids": "pids.events"})
    if events is None:
        return None
    return PidsRecord(_table(read_text(events)).get("max", 0), _limit(os.path.dirname(events), "pids.max"))


class UsageReader:
    """Reads CPU time and memory of one container, a few files for each sample.

    On a host with both versions, each controller is in one of them; cpu.stat is also there without the controller.
    """

    def __init__(self, run: ContainerRun, directories: Mapping[str, str] | None = None) -> None:
        """Raises `Gone`, and `Unsupported` if the container's own cgroups have no accounting.

        `directories`: as from `own_directories`.
        """
        self._stat = f"/proc/{run.init.pid}/stat"
        self._started = run.init.started
        found = directories_of(run) if directories is None else directories
        self._cpu = _first_file(found, {"": "cpu.stat", "cpuacct": "cpuacct.usage"})
        self._memory = _first_file(found, {"": "memory.current", "memory": "memory.usage_in_bytes"})
        self._require_running()
        if self._cpu is None and self._memory is None:
            raise Unsupported("No cgroup of this container with CPU and memory accounting is visible.")

    def read(self) -> Usage:
        """Returns the usage so far. Raises `Gone` when the container has exited."""
        self._require_running()
        cpu_s, used = self._cpu_seconds(), self._memory_bytes()
        missing = ["CPU"] * (cpu_s is None) + ["memory"] * (used is None)
        unread = f"The cgroup of this container has no {missing[0]} accounting." if missing else ""
        return Usage(cpu_s, used, unread)

    def _require_running(self) -> None:
        if procfs.parse_stat(read_text(self._stat)).started != self._started:
            raise Gone("The container has exited.")

    def _cpu_seconds(self) -> float | None:
        """Reads cpu.stat (cgroup-v2.rst) or cpuacct.usage (cgroup-v1/cpuacct.rst)."""
        if self._cpu is None:
            return None
        text = read_text(self._cpu)
        return _table(text)["usage_usec"] / 1e6 if self._cpu.endswith("/cpu.stat") else int(text) / 1e9

    def _memory_bytes(self) -> int | None:
        """Reads memory.current (cgroup-v2.rst) or memory.usage_in_bytes (cgroup-v1/memory.rst)."""
        if self._memory is None:
            return None
        directory, name = os.path.split(self._memory)
        unused = "inactive_file" if name == "memory.current" else "total_inactive_file"
        try:
            used = int(read_text(self._memory))
            return max(0, used - _table(read_text(f"{directory}/memory.stat")).get(unused, 0))
        except Gone:
            if os.path.isdir(directory):
                return None  # the controller has been disabled
            raise


def directories_of(run: ContainerRun) -> dict[str, str]:
    """Returns the visible directories of the container's own cgroups now. Raises `Gone` and `Denied`."""
    return own_directories(read_text(f"/proc/{run.init.pid}/cgroup"), _MOUNTS.now(), run.id)


def _limit(directory: str, name: str) -> int | None:
    """Reads a limit; None: none. Version 1 has a number for that, the highest multiple of the page size."""
    text = read_text(f"{directory}/{name}").strip()
    return None if text == "max" or int(text) >= _NO_LIMIT else int(text)


def _first_file(directories: Mapping[str, str], names: Mapping[str, str]) -> str | None:
    """Returns the first file that exists; `names` has one for each controller, in the order of preference."""
    paths = (f"{directories[controller]}/{name}" for controller, name in names.items() if controller in directories)
    return next((path for path in paths if os.path.exists(path)), None)


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
