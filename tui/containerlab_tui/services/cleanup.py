"""What a run of the program that was killed has left in the kernel."""

import contextlib

from containerlab_probes.errors import ContainerlabError


def sweep() -> None:
    """Remove it, as far as it is provably this program's and may be touched; cheap where there is nothing."""
    from containerlab_probes.trace import tracefs

    with contextlib.suppress(ContainerlabError):
        tracefs.sweep()
