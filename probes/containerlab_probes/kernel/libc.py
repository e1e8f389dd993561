"""The C library, for calls that Python has no function for."""

import ctypes
from collections.abc import Collection

from containerlab_probes.errors import ContainerlabError
from containerlab_probes.kernel.os_errors import NO_SUCH_OBJECT, failure

libc = ctypes.CDLL(None, use_errno=True)


def last_failure(what: str, gone: Collection[int] = NO_SUCH_OBJECT) -> ContainerlabError:
    """Returns the error for the last call through `libc` on this thread that failed; see `failure`."""
    return failure(ctypes.get_errno(), what, gone=gone)
