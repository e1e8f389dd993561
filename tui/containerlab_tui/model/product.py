"""The program that an engine is, and what its Engine API leaves out."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Product:
    """An engine's program."""

    name: str
    """As in sentences: Docker, Podman."""
    reports_signals: bool
    """Whether its events include a stop and each signal that it sends."""


DOCKER = Product("Docker", reports_signals=True)
PODMAN = Product("Podman", reports_signals=False)
"""A stop has only `die` and `cleanup`, and a `kill` event has no signal (podman libpod/events)."""
