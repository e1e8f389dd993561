"""Removes kernel state that a killed run of this program left."""

import contextlib

from containerlab_probes.errors import ContainerlabError


def sweep() -> None:
    """Removes trace instances that provably belong to a dead run of this program; cheap if there are none."""
    from containerlab_probes.trace import tracefs

    with contextlib.suppress(ContainerlabError):
        tracefs.sweep()
