"""Podman as `api.Engine`: what its Docker API does otherwise than Docker's."""

import contextlib
from dataclasses import replace
from typing import Any

from containerlab_probes.errors import ContainerlabError, Gone, Unsupported
from containerlab_tui.engine import parse
from containerlab_tui.engine.container_paths import path_of, shown
from containerlab_tui.engine.docker_engine import REMOVE_S, DockerEngine, Params, longest_stop_s
from containerlab_tui.model.inventory import ENDED, Details
from containerlab_tui.model.product import PODMAN

LONGEST_S = 2**31 - 1
"""Stands for no limit: a restart takes no negative time, nor does a stop before Podman 5 (pkg/api/handlers/compat)."""


class PodmanEngine(DockerEngine):
    """One Podman service for one thread."""

    product = PODMAN
    _event_types = ("container", "system")  # the latter for ROTATED
    _default_grace_s = parse.DEFAULT_STOP_TIMEOUT_S  # Podman 4 would take 0 s

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

    def stop(self, container: str, timeout_s: int | None = None, signal: str | None = None) -> bool:
        if signal is not None:  # it would be ignored (podman pkg/api/handlers/compat/containers_stop.go)
            raise Unsupported("Podman takes no signal for a stop.")
        return super().stop(container, timeout_s)

    def _sent_time(self, timeout_s: int | None, grace_s: int) -> int:
        """Returns a time in any case: a restart takes a missing one as 0 s."""
        return LONGEST_S if grace_s < 0 else grace_s

    def _longest_removal_s(self, container: str, force: bool) -> float | None:
        """Adds a stop, which the removal of a running container begins with."""
        longest_s = longest_stop_s(self._grace_s(container, None)) if force else 0
        return None if longest_s is None else REMOVE_S + longest_s

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
