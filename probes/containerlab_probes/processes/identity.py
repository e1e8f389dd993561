"""Identifies a process by its number and start time, and opens a pidfd of exactly that process."""

import errno
import os

from containerlab_probes.errors import ContainerlabError, Denied, Gone
from containerlab_probes.kernel import procfs
from containerlab_probes.kernel.files import read_text
from containerlab_probes.kernel.os_errors import NO_SUCH_OBJECT, failure
from containerlab_probes.records import ProcessId


def identify(pid: int) -> ProcessId:
    """Returns the process that has this number on the host now. Raises `Gone`, `Denied` (hidden by hidepid)."""
    try:
        return ProcessId(pid, procfs.parse_stat(read_text(f"/proc/{pid}/stat")).started)
    except Gone as error:
        if _is_hidden(pid):
            raise Denied(
                f"Process {pid} is hidden from this user (/proc is mounted with hidepid); run this with sudo."
            ) from error
        raise


def _is_hidden(pid: int) -> bool:
    """Returns whether a process exists although /proc doesn't show it (man 5 proc, hidepid).

    pidfd_open finds every process.
    """
    try:
        os.close(os.pidfd_open(pid))
    except (OSError, OverflowError):
        return False
    return not os.path.exists(f"/proc/{pid}")


def open_pidfd(id: ProcessId) -> int:
    """Returns a pidfd (man 2 pidfd_open) of exactly this process; the caller closes it.

    The start time is compared after opening; from then on the descriptor can't refer to another process. Raises `Gone`,
    also for a reaped zombie, `Denied` (hidden by hidepid), and `Unsupported` (before Linux 5.3, or too many open
    files).
    """
    try:
        fd = os.pidfd_open(id.pid)
    except OverflowError as error:
        raise ended(id) from error
    except OSError as error:
        raise failure(
            error,
            f"open process {id.pid}",
            gone=NO_SUCH_OBJECT | {errno.EINVAL},  # EINVAL: a thread that is not a process leader
            missing="it has exited; nothing was sent",
            unsupported="this kernel has no pidfd_open (it came with Linux 5.3)",
        ) from error
    try:
        found = identify(id.pid)
    except (Gone, ValueError) as error:
        os.close(fd)
        raise ended(id) from error
    except ContainerlabError:
        os.close(fd)
        raise
    if found != id:
        os.close(fd)
        raise ended(id)
    return fd


def ended(id: ProcessId) -> Gone:
    """Returns the error for a process that has exited before it could be signalled."""
    return Gone(f"Process {id.pid} has exited; nothing was sent.")
