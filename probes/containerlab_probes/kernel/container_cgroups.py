"""Finds a container's own cgroup by its id, in the text of /proc/PID/cgroup. No I/O.

The engine need not create a cgroup for a container in every hierarchy, or in any: then PID 1 is in the cgroup of the
daemon, or of the shell that started it. So only a path with the full id is the container's.
"""

import re
from collections.abc import Mapping

_ENGINES = "docker|libpod|libpod-payload|cri-containerd|crio|nerdctl"
"""Prefixes of a container's cgroup. Not libpod-conmon and crio-conmon, which are the cgroups of its monitor on the host
(podman libpod/oci_conmon_linux.go, cri-o internal/oci/runtime_oci.go)."""
_NAME = re.compile(rf"(?:(?:{_ENGINES})-|[^:]*:(?:{_ENGINES}):)?([0-9a-f]{{64}})(?:\.scope)?")
"""`ID` (cgroupfs; kubepods, too), `PREFIX-ID.scope` (systemd), `PREFIX-ID` (podman, CRI-O) and `SLICE:PREFIX:ID`, which
is what runc makes of a systemd path without systemd (opencontainers/runc, docs/systemd.md)."""


def own_paths(paths: Mapping[str, str], container: str) -> dict[str, str]:
    """Returns the cgroup of a container in each hierarchy whose path has its full id.

    `paths` is the parsed /proc/PID/cgroup of one of its processes. Cgroups below the container's are its own, too: they
    are cut off.
    """
    found = {}
    for controller, path in paths.items():
        parts = path.split("/")
        for position, part in enumerate(parts, 1):
            if _container_of(part) == container:
                found[controller] = "/".join(parts[:position])
                break
    return found


def is_within(path: str, cgroup: str) -> bool:
    """Returns whether a path is that cgroup or one below it."""
    return f"{path}/".startswith(f"{cgroup}/")


def containers_in(paths: Mapping[str, str]) -> frozenset[str]:
    """Returns the ids of all containers in these paths."""
    parts = (part for path in paths.values() for part in path.split("/"))
    return frozenset(found for part in parts if (found := _container_of(part)))


def _container_of(part: str) -> str | None:
    """Returns the id of the container that has a cgroup of this name; None for any other cgroup."""
    found = _NAME.fullmatch(part)
    return found[1] if found else None
