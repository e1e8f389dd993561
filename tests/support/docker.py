"""Shared by several tests: waiting for a named condition, and the docker client as a function."""

import os
import subprocess
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from containerlab_probes.processes.identity import identify
from containerlab_probes.records import ContainerRun
from containerlab_tui.engine.lab_client import REGISTRY

LABEL = "containerlab.test"

Answer = TypeVar("Answer")


def eventually(condition: Callable[[], Answer], what: str, within_s: float = 30.0) -> Answer:
    """Returns the first true result of the condition; fails with the condition's name at the time limit."""
    deadline = time.monotonic() + within_s
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {what}")
        time.sleep(0.02)  # between two looks


def plain(tag: str) -> str:
    """Returns the name of an image without the registry that Podman puts in front of it."""
    return tag.removeprefix(f"{REGISTRY}/")


def hand_over(folder: Path) -> None:
    """Gives all that is in a folder to the owner of the folder: root in the containers of a rootless engine."""
    about = folder.stat()
    for each in folder.rglob("*"):
        os.chown(each, about.st_uid, about.st_gid)


@dataclass(frozen=True, slots=True)
class Docker:
    """The docker client for one engine; ignores the contexts and settings of the user who runs the tests."""

    host: str
    config: str
    """An empty directory."""
    run_options: tuple[str, ...] = ()
    """For each container, before its own options."""

    def run(self, *arguments: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Runs `docker ARGUMENTS` and returns the result, whatever its status."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("DOCKER_")}
        return subprocess.run(
            ("docker", "--host", self.host, *arguments),
            env=environment | {"DOCKER_CONFIG": self.config},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def __call__(self, *arguments: str, timeout_s: float = 60.0) -> str:
        """Returns the output of `docker ARGUMENTS` without trailing white space; fails if docker fails."""
        done = self.run(*arguments, timeout_s=timeout_s)
        if done.returncode:
            raise AssertionError(f"docker {' '.join(arguments)}: status {done.returncode}: {done.stderr.strip()}")
        return done.stdout.strip()

    def remove(self, *names: str) -> None:
        """Removes those containers that exist. Kills them first: Podman would give them their grace period."""
        self.run("kill", *names, timeout_s=120)
        self.run("rm", "--force", "--volumes", *names, timeout_s=120)

    def logs(self, name: str) -> str:
        """Returns both output streams of the container so far."""
        done = self.run("logs", name)
        return done.stdout + done.stderr

    def says(self, name: str, text: str, within_s: float = 30.0) -> str:
        """Waits for a text in the container's log and returns the log."""
        return eventually(
            lambda: log if text in (log := self.logs(name)) else "", f"{name} says {text!r}", within_s=within_s
        )

    def run_of(self, name: str) -> ContainerRun:
        """Returns the current run of a container."""
        return ContainerRun(self.state(name, "Id"), identify(int(self.state(name, "State.Pid"))))

    def state(self, name: str, field_path: str = "State.Status") -> str:
        """Returns one field of inspect."""
        return self("inspect", "--format", f"{{{{.{field_path}}}}}", name)


@dataclass(slots=True)
class Containers:
    """Creates containers with unique names, and removes them all."""

    docker: Docker
    made: list[str] = field(default_factory=list)

    def __call__(
        self, image: str, *command: str, options: tuple[str, ...] = (), name: str = "", ready: str = ""
    ) -> str:
        """Runs an image of the project (any other, if it has a colon) in the background; returns the container's name.

        `ready`: wait for this text in its log.
        """
        name = name or f"test-{image.replace(':', '-').replace('/', '-')}-{uuid.uuid4().hex[:8]}"
        tag = image if ":" in image else f"containerlab/{image}:latest"
        self.made.append(name)
        self.docker(
            "run",
            "-d",
            "--network=none",
            f"--label={LABEL}",
            f"--name={name}",
            *self.docker.run_options,
            *options,
            tag,
            *command,
        )
        if ready:
            self.docker.says(name, ready)
        return name

    def remove(self) -> None:
        if self.made:
            self.docker.remove(*self.made)
            self.made.clear()
