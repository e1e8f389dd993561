"""Podman as `api.Engine`: what its Docker API does otherwise than Docker's."""

import contextlib
from dataclasses import replace
from typing import Any

from containerlab_probes.errors import ContainerlabError, Gone
from containerlab_tui.engine import parse
from containerlab_tui.engine.container_paths import path_of, shown
from containerlab_tui.engine.docker_engine import STOP_SLACK_S, DockerEngine, Params
from containerlab_tui.model.inventory import ENDED, Details
from containerlab_tui.model.product import PODMAN

LONGEST_S = 2**31 - 1
"""No limit: Podman takes no negative time (podman pkg/api/handlers/compat; since 5 a stop does)."""


class PodmanEngine(DockerEngine):
    """One Podman service for one thread."""

    product = PODMAN
    default_stop_timeout_s = parse.DEFAULT_STOP_TIMEOUT_S  # Podman 4 would take 0 s

    def inspect(self, container: str) -> Details:
        details = super().inspect(container)
        if details.state in ENDED:
            return replace(details, asked_to_stop=self._asked_to_stop(details.id))
        if details.restart_policy != "no":
            return replace(details, restart_disarmed=self._asked_to_stop(details.id))
        return details

    def _asked_to_stop(self, container: str) -> bool | None:
        """Returns what only Podman's own API tells; None: unknown."""
        try:
            own: dict[str, Any] = self._json(f"/libpod{path_of(container, 'json')}", f"inspect {shown(container)}")
        except ContainerlabError:
            return None  # removed meanwhile, or not reported: the rest is known
        return parse.asked_to_stop(own, self._version)

    def _time(self, timeout_s: int | None, limit_s: float | None) -> int:
        """Returns the time that counts: a restart without one sends SIGKILL at once."""
        return LONGEST_S if limit_s is None else int(limit_s - STOP_SLACK_S)

    def _require_directory(self, container: str, directory: str, what: str) -> None:
        """Raises `Gone` if the directory isn't there: a copy would make it."""
        with contextlib.suppress(Gone):
            self._open("HEAD", path_of(container, "archive"), what, {"path": directory}).close()
            return
        self._json(path_of(container, "json"), what)  # the container itself may be gone
        raise Gone(f"Could not {what}: there is no such directory.")

    def _until_now(self, offset_s: float) -> Params:
        """Asks for no stream: with `until`, Podman stops reading its file of events as soon as that time has passed."""
        return {"stream": "false"}
