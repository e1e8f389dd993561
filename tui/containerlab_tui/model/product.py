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
    kills_removed: bool
    """Whether a running container that is removed gets SIGKILL at once."""
    signals_without_grace: bool
    """Whether a stop with a grace period of 0 sends the stop signal before SIGKILL."""


DOCKER = Product("Docker", reports_signals=True, keeps_input=True, kills_removed=True, signals_without_grace=True)
PODMAN = Product("Podman", reports_signals=False, keeps_input=False, kills_removed=False, signals_without_grace=False)
"""A stop has only `die` and `cleanup`, and a `kill` event has no signal (podman libpod/events). Its conmon closes the
input, because Podman starts it without --leave-stdin-open (conmon src/conn_sock.c). A removal stops the
container first (podman libpod/runtime_ctr.go, removeContainer). With a grace period of 0 a stop only kills
(podman libpod/oci_conmon_common.go, StopContainer)."""
_SENDERS = frozenset(("runc", "crun", "podman", "conmon", "youki", "runsc"))


def sends_for_engine(sender: str) -> bool:
    """Returns whether a sender in the kernel trace, `NAME [PID]`, sends a container's signals for an engine.

    Podman and dockerd let an OCI runtime do that (podman libpod/oci_conmon_common.go). crun executes a copy of itself
    by its descriptor (crun src/libcrun/cloned_binary.c). The kernel then names the process after the number (fs/exec.c,
    alloc_bprm); seen with crun 1.21.
    """
    name = sender.partition(" ")[0]
    return name in _SENDERS or name.isdecimal()
