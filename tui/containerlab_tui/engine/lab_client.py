"""The lab's requests beyond `api.Engine`: builds and imports images, creates containers.

A *mark* is the hash of everything that an image is made from; it is kept on the image as a label, so that one list
of images shows which must be built. Low-level client calls, one request each.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from containerlab_probes.errors import BadRequest
from containerlab_tui.engine.docker_client import translated

MARK_LABEL = "containerlab.mark"
REGISTRY = "docker.io"
"""What Podman puts in front of a name without a registry; Docker leaves it out."""


@dataclass(frozen=True, slots=True)
class BuiltImage:
    id: str
    mark: str


@dataclass(frozen=True, slots=True)
class MadeContainer:
    id: str
    name: str
    image_id: str
    state: str
    """As the engine names it: created, running, paused, restarting, removing, exited or dead."""


class LabClient:
    """One connection to one engine; for one thread at a time."""

    def __init__(self, endpoint: str) -> None:
        """`endpoint` as for `docker --host`. Raises Unreachable."""
        self.endpoint = endpoint
        with translated(endpoint, "connect"):
            self._api = docker.APIClient(base_url=endpoint, version="auto", timeout=60)

    def close(self) -> None:
        self._api.close()

    def images(self) -> dict[str, BuiltImage]:
        """Returns the marked images by tag, in one request. Podman's tags name the registry too."""
        with translated(self.endpoint, "list the images"):
            documents: list[dict[str, Any]] = self._api.images(filters={"label": MARK_LABEL})
        return {
            tag.removeprefix(f"{REGISTRY}/"): BuiltImage(document["Id"], document["Labels"][MARK_LABEL])
            for document in documents
            for tag in document["RepoTags"] or ()
        }

    def import_image(self, tar: Path, repository: str, mark: str) -> None:
        """Makes an image of one layer, tagged `latest`, from the tar of a root directory."""
        with translated(self.endpoint, f"import {tar}"):
            answer = self._api.import_image_from_file(
                str(tar), repository=repository, tag="latest", changes=[f"LABEL {MARK_LABEL}={mark}"]
            )
        if '"error"' in answer:
            raise BadRequest(f"Could not import {tar}: {answer.strip()}")

    def build(self, context: bytes, tag: str, base: str, mark: str) -> None:
        """Builds an image from the tar of its folder and on that base."""
        with translated(self.endpoint, f"build {tag}"):
            answers = self._api.build(
                fileobj=io.BytesIO(context),
                custom_context=True,
                tag=tag,
                buildargs={"BASE": base},
                labels={MARK_LABEL: mark},
                rm=True,
                forcerm=True,
                decode=True,
            )
            for answer in answers:
                if "error" in answer:
                    raise BadRequest(f"Could not build {tag}: {answer['error'].strip()}")

    def containers(self, label: str) -> dict[str, MadeContainer]:
        """Returns the containers with that label by name, stopped ones too, in one request."""
        with translated(self.endpoint, "list the containers"):
            documents: list[dict[str, Any]] = self._api.containers(all=True, filters={"label": label})
        made = (
            MadeContainer(each["Id"], each["Names"][0].removeprefix("/"), each["ImageID"], each["State"])
            for each in documents
        )
        return {each.name: each for each in made}

    def running(self) -> tuple[str, ...]:
        """Returns the ids of all running containers."""
        with translated(self.endpoint, "list the containers"):
            return tuple(each["Id"] for each in self._api.containers())

    def make(self, name: str, image: str, command: tuple[str, ...], tty: bool, label: str) -> str:
        """Creates a container without a network and returns its id. An empty command means the image's."""
        with translated(self.endpoint, f"create {name}"):
            answer = self._api.create_container(
                image=image,
                command=list(command) or None,
                name=name,
                labels={label: "1"},
                tty=tty,
                stdin_open=tty,
                host_config=self._api.create_host_config(network_mode="none"),
            )
        return str(answer["Id"])

    def start(self, container: str) -> None:
        with translated(self.endpoint, f"start {container[:12]}"):
            self._api.start(container)

    def execute(self, container: str, command: tuple[str, ...], detach: bool) -> None:
        """Runs another program in a container; waits for its exit unless detached."""
        with translated(self.endpoint, f"run {command[0]} in {container[:12]}"):
            started = self._api.exec_create(container, list(command))
            self._api.exec_start(started["Id"], detach=detach)

    def kill(self, container: str) -> None:
        """Sends SIGKILL; does nothing if the container has already stopped."""
        with translated(self.endpoint, f"kill {container[:12]}"):
            try:
                self._api.kill(container)
            except docker.errors.APIError as error:
                if error.status_code not in (404, 409):
                    raise

    def remove(self, container: str) -> None:
        with translated(self.endpoint, f"remove {container[:12]}"):
            self._api.remove_container(container, force=True, v=True)
