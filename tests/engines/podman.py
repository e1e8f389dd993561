"""Podman engines: `podman system service` with separate data, sockets and settings."""

import contextlib
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.engines import programs
from tests.engines.matrix import Engine
from tests.engines.service import AS_ROOTLESS, ROOTLESS, Service

SETTINGS = """[containers]
default_ulimits = ["nofile={files}", "nproc={processes}"]
netns = "none"
seccomp_profile = "{root}/usr/share/containers/seccomp.json"

[engine]
cgroup_manager = "cgroupfs"
conmon_path = ["{programs}/conmon"]
events_logger = "file"
helper_binaries_dir = ["{programs}"]
hooks_dir = []
image_copy_tmp_dir = "{state}/tmp"
infra_image = "containerlab/base:latest"
init_path = "{programs}/catatonit"
lock_type = "file"
runtime = "runc"

[engine.runtimes]
crun = ["{state}/bin/crun"]
runc = ["{state}/bin/runc"]

[network]
network_backend = "netavark"
network_config_dir = "{state}/networks"
"""
"""runc, because crun refuses a mixture of both versions of cgroups. Locks in files, because those in /dev/shm have one
name for all engines of a machine. No network: netavark would change the packet filter of this machine."""
FILES, PROCESSES = "16384:16384", "30000:30000"
"""Limits of containers and builds. Without them Podman asks for 1,048,576 each, which needs CAP_SYS_RESOURCE."""
RUNC = """#!/bin/sh
exec '{programs}/runc' --root='{runtime}/runc' "$@"
"""
"""Podman's option for this doesn't reach the process that cleans up after a container, which would find nothing."""
CRUN = """#!/bin/sh
exec unshare --mount sh -c 'umount --quiet /sys/fs/cgroup/unified; exec "$@"' sh \\
    '{programs}/crun' --root='{runtime}/crun' "$@"
"""
"""For tests that choose it. Without the mount of version 2, it finds version 1 of cgroups alone."""
STORAGE = """[storage]
driver = "overlay"
graphroot = "{state}/data"
rootless_storage_path = "{state}/data"
runroot = "{runtime}/run"

[storage.options.overlay]
ignore_chown_errors = "{rootless}"
"""
"""A rootless engine has one user id here, because others would have to be in this machine's /etc/subuid."""
POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}\n'


@dataclass(frozen=True, slots=True)
class Podman:
    """One engine. `state` holds its data, `runtime` its socket and what doesn't survive a reboot."""

    engine: Engine
    state: Path
    runtime: Path

    @property
    def host(self) -> str:
        """The address of its socket."""
        return f"unix://{self.runtime}/podman.sock"

    @property
    def _service(self) -> Service:
        return Service(self.host, self.runtime / "podman.pid", self.state / "podman.log")

    def up(self) -> str:
        """Starts the service unless it responds; returns its address."""
        if not self._service.responds():
            self._service.end()
            self._start()
        return self.host

    def _start(self) -> None:
        for each in (self.state, self.runtime):
            each.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("home/.config/containers", "tmp", "networks", "bin"):
            (self.state / name).mkdir(parents=True, exist_ok=True)
        made = programs.ensure(self.engine)
        for name, text in (("runc", RUNC), ("crun", CRUN)):
            script = self.state / "bin" / name
            script.write_text(text.format(programs=made, runtime=self.runtime))
            script.chmod(0o755)
        settings = SETTINGS.format(root=made.parent, programs=made, state=self.state, files=FILES, processes=PROCESSES)
        (self.state / "containers.conf").write_text(settings)
        rootless = str(self.engine.is_rootless).lower()
        storage = STORAGE.format(state=self.state, runtime=self.runtime, rootless=rootless)
        (self.state / "storage.conf").write_text(storage)
        (self.state / "registries.conf").write_text("unqualified-search-registries = []\n")
        (self.state / "home/.config/containers/policy.json").write_text(POLICY)
        if self.engine.is_rootless:
            for each in (self.state, self.runtime, *self.state.glob("home/**/"), *self.state.glob("*/")):
                os.chown(each, ROOTLESS, ROOTLESS)
        self._service.start(self._command("system", "service", "--time=0", self.host), self._environment())

    def down(self) -> None:
        """Removes all containers and ends the service. They survive a service that was killed."""
        if self._has_data():
            self.command("rm", "--all", "--force", "--time=0", "--volumes")
            self.command("pod", "rm", "--all", "--force")
        self._service.end()
        self._end_monitors()
        if self.engine.is_rootless:
            self.command("system", "migrate")  # ends the process that holds the user namespace

    def _end_monitors(self) -> None:
        """Kills what watches programs of `podman exec`: Podman 4 may leave it behind."""
        ours = bytes(self.state / "bin")
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                pidfd = os.pidfd_open(int(place.name))
                try:
                    words = (place / "cmdline").read_bytes().split(b"\0")
                    if words[0].endswith(b"/conmon") and any(each.startswith(ours) for each in words):
                        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                finally:
                    os.close(pidfd)

    def purge(self) -> None:
        """Ends everything and removes all data."""
        self.down()
        if self._has_data():
            self.command("system", "reset", "--force")
        for each in (self.state, self.runtime):
            shutil.rmtree(each, ignore_errors=True)

    def build(self, folder: Path, tag: str, base: str, label: str) -> None:
        """Builds an image from the files in a folder.

        The limits and the network of the settings don't count for a build, and the request of the Engine API can't name
        any limits.
        """
        settings = (f"--ulimit=nofile={FILES}", f"--ulimit=nproc={PROCESSES}", "--network=none")
        done = self.command(
            "build", *settings, f"--build-arg=BASE={base}", f"--label={label}", f"--tag={tag}", str(folder)
        )
        if done.returncode:
            raise RuntimeError(f"podman build {tag}: {done.stderr.strip()[-2000:]}")

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs `podman ARGUMENTS` on the same data, without the service."""
        return subprocess.run(
            self._command(*arguments),
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            cwd="/",
        )

    def _command(self, *arguments: str) -> tuple[str, ...]:
        return (
            *(AS_ROOTLESS if self.engine.is_rootless else ()),
            str(programs.ensure(self.engine) / "podman"),
            f"--tmpdir={self.runtime}/tmp",
            f"--volumepath={self.state}/volumes",
            *arguments,
        )

    def _environment(self) -> dict[str, str]:
        return {
            "CONTAINERS_CONF": f"{self.state}/containers.conf",
            "CONTAINERS_REGISTRIES_CONF": f"{self.state}/registries.conf",
            "CONTAINERS_STORAGE_CONF": f"{self.state}/storage.conf",
            "HOME": f"{self.state}/home",
            "PATH": f"{programs.ensure(self.engine)}:{os.defpath}:/usr/sbin:/sbin",
            "PODMAN_IGNORE_CGROUPSV1_WARNING": "1",
            "TMPDIR": f"{self.state}/tmp",
            "XDG_RUNTIME_DIR": str(self.runtime),
        }

    def _has_data(self) -> bool:
        return (self.state / "data").is_dir()
