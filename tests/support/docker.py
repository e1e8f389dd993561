"""What several tests share: waiting for a named condition, and the docker client as a function."""

import os
import subprocess
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

LABEL = "containerlab.test"

Answer = TypeVar("Answer")


def eventually(condition: Callable[[], Answer], what: str, within_s: float = 10.0) -> Answer:
    """The first answer of the condition that counts as true; fails with the condition's name when time is up."""
    deadline = time.monotonic() + within_s
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {what}")
        time.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Docker:
    """The docker client on one engine, deaf to the contexts and settings of whoever runs the tests."""

    host: str
    config: str
    """An empty directory."""

    def run(self, *arguments: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """`docker ARGUMENTS`, whatever comes of it."""
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
        """What `docker ARGUMENTS` printed, without the white space at its end; fails if docker did."""
        done = self.run(*arguments, timeout_s=timeout_s)
        if done.returncode:
            raise AssertionError(f"docker {' '.join(arguments)}: status {done.returncode}: {done.stderr.strip()}")
        return done.stdout.strip()

    def logs(self, name: str) -> str:
        """Both streams of the container so far."""
        done = self.run("logs", name)
        return done.stdout + done.stderr

    def says(self, name: str, text: str, within_s: float = 10.0) -> str:
        """The container's log once it has that text."""
        return eventually(
            lambda: log if text in (log := self.logs(name)) else "", f"{name} says {text!r}", within_s=within_s
        )

    def state(self, name: str, field_path: str = "State.Status") -> str:
        """One field of inspect."""
        return self("inspect", "--format", f"{{{{.{field_path}}}}}", name)


@dataclass(slots=True)
class Containers:
    """Makes containers with names of their own, and removes them all."""

    docker: Docker
    made: list[str] = field(default_factory=list)

    def __call__(
        self, image: str, *command: str, options: tuple[str, ...] = (), name: str = "", ready: str = ""
    ) -> str:
        """`docker run -d` of an image of the project (or any other, if it has a colon); the container's name.

        `ready` is a text in its log to wait for.
        """
        name = name or f"test-{image.replace(':', '-').replace('/', '-')}-{uuid.uuid4().hex[:8]}"
        tag = image if ":" in image else f"containerlab/{image}:latest"
        self.made.append(name)
        self.docker("run", "-d", "--network=none", f"--label={LABEL}", f"--name={name}", *options, tag, *command)
        if ready:
            self.docker.says(name, ready)
        return name

    def remove(self) -> None:
        if self.made:
            self.docker.run("rm", "--force", "--volumes", *self.made)
            self.made.clear()
