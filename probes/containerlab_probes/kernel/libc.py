"""The C library, and its errno made into one of this project's errors."""

import ctypes
import errno
import os

from containerlab_probes.errors import ContainerlabError, Denied, Gone, Unsupported

libc = ctypes.CDLL(None, use_errno=True)

_GONE = {errno.ENOENT, errno.ESRCH, errno.EIDRM}
_DENIED = {errno.EPERM, errno.EACCES}


def failure(code: int, asked: str, gone: frozenset[int] = frozenset()) -> ContainerlabError:
    """The error for an errno. `asked` is a clause without its full stop; `gone` holds the further values that
    mean "no such thing" for this call (EINVAL for the System V calls, for one).
    """
    words = os.strerror(code)
    if code in _GONE or code in gone:
        return Gone(f"{asked}: it does not exist, or no longer does.")
    if code in _DENIED:
        return Denied(f"{asked}: not permitted ({words}); it needs root or the capabilities SYS_ADMIN and SYS_PTRACE.")
    return Unsupported(f"{asked}: {words}.")


def last_failure(asked: str, gone: frozenset[int] = frozenset()) -> ContainerlabError:
    """The error for the errno of the last call through `libc` on this thread."""
    return failure(ctypes.get_errno(), asked, gone)
