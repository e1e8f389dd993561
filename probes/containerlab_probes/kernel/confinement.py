"""Reads what confines a process, and confines the calling process likewise (man 7 capabilities, man 2 prctl)."""

import ctypes
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

from containerlab_probes.kernel.libc import last_failure, libc
from containerlab_probes.kernel.user_namespaces import forbid_user_namespaces
from containerlab_probes.memory_records import Mount

SYS_PTRACE = 19
"""CAP_SYS_PTRACE (include/uapi/linux/capability.h)."""
_PR_SET_DUMPABLE, _PR_CAPBSET_READ, _PR_CAPBSET_DROP = 4, 23, 24
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 38, 47, 4
_CAPABILITY_VERSION_3 = 0x20080522
_STATUS = re.compile(r"^(CapBnd|NoNewPrivs|Seccomp):[ \t]*([0-9a-f]+)$", re.MULTILINE)
_CONTAINER = re.compile(r"[0-9a-f]{64}")
_MARKED = ("pids", "name=systemd", "")
"""Hierarchies where a cgroup can be added below another without further settings, the best first."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a process's privileges."""

    bounding: int
    """The capabilities that it can ever have, one bit for each."""
    no_new_privileges: bool
    is_filtered: bool = False
    """Whether it has a seccomp filter."""

    @property
    def allows_tracing(self) -> bool:
        """Returns whether it may have CAP_SYS_PTRACE."""
        return bool(self.bounding >> SYS_PTRACE & 1)


def parse_limits(status: str) -> Limits:
    """Parses /proc/PID/status. Raises ValueError for text that the kernel does not write."""
    found = dict(_STATUS.findall(status))
    if "CapBnd" not in found:
        raise ValueError("not a text of /proc/PID/status: CapBnd is missing")
    return Limits(int(found["CapBnd"], 16), found.get("NoNewPrivs") == "1", found.get("Seccomp") == "2")


def cgroup_directories(paths: dict[str, str], mounts: Iterable[Mount]) -> dict[str, str]:
    """Returns the directory of the cgroup of a process in each mounted hierarchy, by one controller's name.

    `paths` is the content of /proc/PID/cgroup. The name is the empty string for version 2.
    """
    found: dict[str, str] = {}
    for mount in mounts:
        if mount.filesystem not in ("cgroup", "cgroup2"):
            continue
        names = [""] if mount.filesystem == "cgroup2" else [one for one in mount.options.split(",") if one in paths]
        name = next((one for one in _MARKED if one in names), names[0] if names else None)
        path = paths.get(name) if name is not None else None
        if name is None or path is None or name in found or "/.." in path:
            continue
        if f"{path}/".startswith(f"{mount.root.rstrip('/')}/"):
            found[name] = os.path.normpath(os.path.join(mount.point, os.path.relpath(path, mount.root)))
    return found


def add_cgroup(directories: dict[str, str], name: str) -> str:
    """Creates a cgroup below one of these, and puts it into `directories` in its parent's place.

    Every process that starts in it stays in it, so it lists them all. A hierarchy where the container has a cgroup is
    preferred. Returns the new directory; empty if none can be created.
    """
    for hierarchy in sorted(_MARKED, key=lambda one: _CONTAINER.search(directories.get(one, "")) is None):
        if hierarchy in directories:
            made = os.path.join(directories[hierarchy], name)
            try:
                os.mkdir(made)
            except OSError:
                continue
            directories[hierarchy] = made
            return made
    return ""


def hide_from_tracers() -> None:
    """Makes the calling process undumpable until it executes a program.

    Others can't trace it or open its files through /proc then, unless they have CAP_SYS_PTRACE (man 2 ptrace).
    """
    _prctl("hide the process", _PR_SET_DUMPABLE, 0)


def drop_to(limits: Limits) -> None:
    """Gives up all capabilities outside the bounding set of `limits`, forever. Raises `Denied`.

    The seccomp filter of another process can't be taken over. Where `limits` has one, new user namespaces are
    forbidden: in one, the process would have all capabilities.
    """
    if limits.is_filtered:
        forbid_user_namespaces()
    number = 0
    while (held := libc.prctl(_PR_CAPBSET_READ, number, 0, 0, 0)) >= 0:
        if held and not limits.bounding >> number & 1:
            _prctl("drop a capability", _PR_CAPBSET_DROP, number)
        number += 1
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    held_now = (ctypes.c_uint32 * 6)()
    if libc.capget(header, held_now) != 0:
        raise last_failure("read the capabilities")
    low, high = (held_now[1] & limits.bounding, held_now[4] & limits.bounding >> 32)
    # effective, permitted and inheritable of the first 32 capabilities, then of the others
    if libc.capset(header, (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)) != 0:
        raise last_failure("drop the capabilities")
    if limits.no_new_privileges:
        _prctl("forbid new privileges", _PR_SET_NO_NEW_PRIVS, 1)


def _prctl(what: str, option: int, value: int) -> None:
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise last_failure(what)
