"""Translates an errno into one of this program's errors, in one place.

An errno is the same kind of error for every call. Calls differ in the sentence and in the errnos that mean that the
object no longer exists: EINVAL for a System V object, ENODEV for a file of a cgroup.
"""

import errno
import os
from collections.abc import Collection

from containerlab_probes.errors import BadRequest, ContainerlabError, Denied, Gone, Unsupported

NO_SUCH_OBJECT = frozenset({errno.ENOENT, errno.ESRCH, errno.EIDRM, errno.ENODEV})
_NOT_PERMITTED = frozenset({errno.EPERM, errno.EACCES})
_NO_SUCH_PATH = frozenset({errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EISDIR, errno.ENXIO})
"""The path itself is wrong: a loop of links or a magic link, a directory or a device where a file is expected."""
_TOO_MANY_FILES = frozenset({errno.EMFILE, errno.ENFILE})

_NO_SUCH_FEATURE = frozenset({errno.ENOSYS, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.ECONNREFUSED})


def failure(
    error: OSError | int,
    what: str,
    *,
    gone: Collection[int] = NO_SUCH_OBJECT,
    missing: str = "it does not exist, or no longer does",
    denied: str = "it needs root (CAP_SYS_ADMIN and CAP_SYS_PTRACE); run this with sudo",
    unsupported: str = "",
) -> ContainerlabError:
    """Returns the error for a system call that failed; `what` completes "Could not …".

    `gone` holds the errnos that mean "no such object" for this call. The other texts are reasons without a full stop:
    `missing` for those, `denied` for a missing privilege, `unsupported` where the kernel lacks what was asked for.
    """
    code = error if isinstance(error, int) else error.errno or 0
    reason = os.strerror(code)
    if code in _NOT_PERMITTED:
        return Denied(f"Could not {what}: {denied}.")
    if code in gone:
        return Gone(f"Could not {what}: {missing}.")
    if code in _NO_SUCH_PATH:
        return BadRequest(f"Could not {what}: {reason}.")
    if code in _TOO_MANY_FILES:
        return Unsupported(f"Could not {what}: the limit of open files (ulimit -n) is reached.")
    lacking = unsupported and code in _NO_SUCH_FEATURE | NO_SUCH_OBJECT
    return Unsupported(f"Could not {what}: {unsupported if lacking else reason}.")
