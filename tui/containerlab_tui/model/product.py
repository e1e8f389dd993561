"""The program that an engine is, and what its Engine API leaves out."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Product:
    """An engine's program."""

    name: str
    """As in sentences: Docker, Podman."""
    reports_signals: bool
    """Whether its events include a stop and each signal that it sends."""
    keeps_input: bool
    """Whether the standard input of a container without a terminal stays open when an attached client leaves."""


DOCKER = Product("Docker", reports_signals=True, keeps_input=True)
PODMAN = Product("Podman", reports_signals=False, keeps_input=False)
"""A stop has only `die` and `cleanup`, and a `kill` event has no signal (podman libpod/events). Its conmon closes the
input, because Podman starts it without --leave-stdin-open (conmon src/conn_sock.c)."""
