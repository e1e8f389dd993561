"""Decides which processes belong to a container: the one place for everything that lists or signals processes.

A process belongs to a container if it is in the container's own PID namespace (or one below it), or in a cgroup whose
path has the container's full id. The cgroup of PID 1 alone says nothing: it may be that of the engine's daemon.
"""

import os
from contextlib import suppress
from dataclasses import dataclass

from containerlab_probes.errors import Denied, Gone, Unsupported
from containerlab_probes.kernel import cgroups, procfs
from containerlab_probes.kernel.container_cgroups import containers_in, is_within, own_paths
from containerlab_probes.kernel.files import read_status, read_text
from containerlab_probes.kernel.namespaces import namespace_inode
from containerlab_probes.processes.identity import identify
from containerlab_probes.processes.pid_namespaces import PidNamespaces, namespace_chain
from containerlab_probes.records import ContainerRun, ProcessId

_HIERARCHIES = ("", "pids", "memory", "cpuacct", "freezer", "name=systemd")
"""Hierarchies that list a container's processes, the most reliable first; the empty string is version 2."""
_namespaces = PidNamespaces()


@dataclass(frozen=True, slots=True)
class Membership:
    """What the processes of one run of a container have in common."""

    run: ContainerRun
    level: int
    """The number of PID namespaces above that of PID 1, from the reader's on."""
    namespace: int
    """The inode of PID 1's PID namespace; 0: it could not be read."""
    owns_namespace: bool
    """Whether this namespace is the container's alone: not the reader's, not another container's."""
    cgroups: dict[str, str]
    """The paths with the container's id, by controller, in the order of preference."""

    def pids(self) -> dict[int, bool]:
        """Returns the PIDs of the processes that belong to the container now, and whether each is in PID 1's namespace.

        A process in the container's cgroup need not be in the namespace: the engine's runtime, while it starts a
        program in the container, is not.
        """
        named = cgroups.members(self.cgroups) | {self.run.init.pid}
        if self.owns_namespace:
            inside = _namespaces.members(self.namespace)
            return {pid: pid in inside for pid in named | inside}
        found = {}
        for pid in named:
            with suppress(Gone):
                found[pid] = self._is_inside(pid)
        return found

    def is_target(self, pid: int) -> bool:
        """Returns whether a process belongs to the container and is in PID 1's PID namespace. Raises `Gone`."""
        if not self._is_inside(pid):
            return False
        if self.owns_namespace:
            return True
        paths = _paths(pid)
        return any(one in paths and is_within(paths[one], own) for one, own in self.cgroups.items())

    def _is_inside(self, pid: int) -> bool:
        """Returns whether a process is in PID 1's PID namespace or below, and so has a number there. Raises `Gone`."""
        if not self.namespace:  # unreadable without root; then the cgroup decides, and this is about the number alone
            return len(_numbers(pid)) > self.level
        if self.namespace == namespace_inode(0, "pid"):
            return True
        return self.namespace in (namespace_chain(pid) or ())


def membership_of(run: ContainerRun) -> Membership:
    """Returns what decides for this run of a container.

    Raises `Gone` if PID 1 has exited, `Unsupported` if nothing shows that PID 1 is the container's, `Denied`.
    """
    init = run.init
    try:
        numbers, paths, namespace = _numbers(init.pid), _paths(init.pid), _namespace(init.pid)
    except Gone:
        _require(init)  # it may be hidden
        raise
    named = own_paths(paths, run.id)
    is_alone = numbers[-1] == 1 and namespace not in (0, namespace_inode(0, "pid"))
    owns_namespace = is_alone and (bool(named) or not _is_of_another(paths))
    _require(init)  # all that was read is about this process
    if not named and not namespace:
        raise Denied(
            f"Could not check that process {init.pid} is PID 1 of this container without root (CAP_SYS_PTRACE); "
            "run this with sudo."
        )
    if not named and not owns_namespace:
        raise Unsupported(
            f"Nothing shows that process {init.pid} belongs to this container: "
            "it shares its PID namespace, and its cgroup is not named after the container."
        )
    ordered = [one for one in _HIERARCHIES if one in named] + [one for one in named if one not in _HIERARCHIES]
    return Membership(run, len(numbers) - 1, namespace, owns_namespace, {one: named[one] for one in ordered})


def require_target(run: ContainerRun, pid: int) -> None:
    """Raises `Gone` unless `Membership.is_target` holds now, and as `membership_of`."""
    if not membership_of(run).is_target(pid):
        raise Gone(f"Process {pid} does not belong to this container, or no longer does; nothing was sent.")


def _require(init: ProcessId) -> None:
    if identify(init.pid) != init:
        raise Gone(f"PID 1 of the container (process {init.pid}) has exited.")


def _is_of_another(paths: dict[str, str]) -> bool:
    """Returns whether these are cgroups of another container: its PID 1 may have got the number of ours.

    A container that this program itself runs in doesn't count.
    """
    found = containers_in(paths)
    return bool(found and found - containers_in(_paths(os.getpid())))


def _namespace(pid: int) -> int:
    """Returns the inode of a process's PID namespace; 0: it can't be read."""
    try:
        return namespace_inode(pid, "pid")
    except Denied:
        return 0


def _numbers(pid: int) -> tuple[int, ...]:
    return procfs.parse_namespace_pids(read_status(f"/proc/{pid}"))


def _paths(pid: int) -> dict[str, str]:
    return procfs.parse_cgroups(read_text(f"/proc/{pid}/cgroup"))
