"""The engines that the engine tests run on. Their programs come from the packages of Debian's suites."""

import re
import subprocess
from dataclasses import dataclass

PODMAN_PACKAGES = ("podman", "conmon", "runc", "crun", "catatonit", "netavark")
DOCKER_PACKAGES = ("docker.io", "containerd", "runc", "tini")
CLIENT = "docker-cli"
"""A package since Debian 13; in Debian 12 the client is in docker.io."""


@dataclass(frozen=True, slots=True)
class Engine:
    name: str
    suite: str
    packages: tuple[str, ...]
    min_api: str = ""
    """The oldest version of the API that the daemon accepts, if not its default."""

    @property
    def words(self) -> frozenset[str]:
        """The parts of the name, which several engines have in common: `podman`, `containerd`, `rootless`."""
        return frozenset(self.name.split("-"))

    @property
    def is_podman(self) -> bool:
        return "podman" in self.words

    @property
    def is_rootless(self) -> bool:
        return "rootless" in self.words

    def is_one_of(self, names: tuple[str, ...]) -> bool:
        """Returns whether a name is this engine's, a part of it, or its beginning (`docker-26`).

        Raises ValueError for a name that fits no engine.
        """
        for name in names:
            if not any(name in one.words or f"{one.name}-".startswith(f"{name}-") for one in ENGINES):
                raise ValueError(f"no engine of tests/engines/matrix.py is named {name!r}")
        return any(name in self.words or f"{self.name}-".startswith(f"{name}-") for name in names)


ENGINES = (
    Engine("docker-20", "bookworm", DOCKER_PACKAGES),
    Engine("docker-26", "trixie", (*DOCKER_PACKAGES, CLIENT)),
    Engine("docker-26-containerd", "trixie", (*DOCKER_PACKAGES, CLIENT)),
    Engine("docker-26-cgroup2", "trixie", (*DOCKER_PACKAGES, CLIENT)),
    Engine("docker-26-rootless", "trixie", (*DOCKER_PACKAGES, CLIENT)),
    Engine("docker-28", "sid", (*DOCKER_PACKAGES, CLIENT)),
    Engine("docker-28-containerd", "sid", (*DOCKER_PACKAGES, CLIENT), min_api="1.44"),
    Engine("podman-4", "bookworm", PODMAN_PACKAGES),
    Engine("podman-5", "trixie", PODMAN_PACKAGES),
    Engine("podman-5-rootless", "trixie", PODMAN_PACKAGES),
)


def find(name: str) -> Engine:
    """Returns the engine of that name. Raises ValueError with the names that exist."""
    for engine in ENGINES:
        if engine.name == name:
            return engine
    raise ValueError(f"no engine is named {name!r}; choose one of {', '.join(each.name for each in ENGINES)}")


def installed() -> Engine:
    """Returns the engine of this machine's dockerd, named by its version; without one, its name is `docker-`."""
    try:
        done = subprocess.run(("dockerd", "--version"), capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return Engine("docker-", "", ())
    version = re.search(r"version (\d+)", done.stdout)
    return Engine(f"docker-{version[1] if version else ''}", "", ())
