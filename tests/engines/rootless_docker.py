"""Docker in a user namespace, without rootlesskit.

Root writes the ids of the namespace, so that they need not be in /etc/subuid of this machine. Without a network there
is nothing else that rootlesskit would have to do; dockerd only asks whether it is there.
"""

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from containerlab_probes.errors import ContainerlabError
from containerlab_tui.lab import images
from containerlab_tui.lab.parallel import in_parallel, lab_client
from containerlab_tui.lab.progress import Steps
from tests.engines import programs
from tests.engines.matrix import Engine
from tests.engines.service import AS_ROOTLESS, ROOTLESS, Service

IDS = f"0 {ROOTLESS} 1\n1 1000000 65536\n"
"""Root in there is the engine's user; all others are ids that nobody has."""
START = """#!/bin/sh
# Starts dockerd with the same process id in new user and mount namespaces.
set -e
outside=$(readlink /proc/$$/ns/user)
( (
    until [ "$(readlink /proc/$$/ns/user)" != "$outside" ]; do sleep 0.05; done
    cat '{ids}' >/proc/$$/uid_map
    cat '{ids}' >/proc/$$/gid_map
) & )
exec {user} unshare --user --mount sh -c '
until grep -q 1000000 /proc/self/gid_map; do sleep 0.05; done
mount -t tmpfs none /run
exec dockerd "$@"' sh "$@"
"""


@dataclass(frozen=True, slots=True)
class RootlessDocker:
    """One engine with the project's images. A folder that its user can reach holds `state` and `runtime`."""

    engine: Engine
    state: Path
    runtime: Path
    cache: Path

    @property
    def _service(self) -> Service:
        return Service(f"unix://{self.runtime}/docker.sock", self.state / "started.pid", self.state / "dockerd.log")

    def up(self) -> str:
        """Starts the daemon unless it responds, builds missing images and returns its address."""
        if not self._service.responds():
            self._service.end()
            self._start()
        images.ensure(self._service.host, self.cache, Steps(None, images.steps()))
        return self._service.host

    def _start(self) -> None:
        made = programs.ensure(self.engine)
        folders = (self.state, self.runtime, self.state / "home", self.runtime / "rootlesskit", self.state / "bin")
        for each in folders:
            each.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.chown(each, ROOTLESS, ROOTLESS)
        asked_for = self.state / "bin/rootlesskit-docker-proxy"
        asked_for.unlink(missing_ok=True)
        asked_for.symlink_to(made / "docker-proxy")
        (self.state / "ids").write_text(IDS)
        (self.state / "daemon.json").write_text("{}")
        start = self.state / "start"
        start.write_text(START.format(ids=self.state / "ids", user=" ".join(AS_ROOTLESS)))
        start.chmod(0o755)
        environment = {
            "HOME": f"{self.state}/home",
            "PATH": f"{made}:{self.state}/bin:{os.defpath}:/usr/sbin:/sbin",
            "ROOTLESSKIT_STATE_DIR": f"{self.runtime}/rootlesskit",
            "XDG_RUNTIME_DIR": str(self.runtime),
        }
        self._service.start((str(start), *self._arguments()), environment)

    def _arguments(self) -> tuple[str, ...]:
        return (
            "--rootless",
            f"--config-file={self.state}/daemon.json",
            f"--data-root={self.state}/data",
            f"--exec-root={self.runtime}/exec",
            f"--pidfile={self.runtime}/docker.pid",
            "-H",
            self._service.host,
            "--group=root",
            *("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"),
            "--log-level=warn",
        )

    def down(self, purge: bool = False) -> None:
        """Kills all containers and ends the daemon."""
        if self._service.responds():
            with contextlib.suppress(ContainerlabError):  # the daemon ends them, only more slowly
                with lab_client(self._service.host) as opened:
                    running = opened.running()
                in_parallel(self._service.host, running, lambda own, container: own.kill(container))
        self._service.end()
        if purge:
            for each in (self.state, self.runtime):
                shutil.rmtree(each, ignore_errors=True)
