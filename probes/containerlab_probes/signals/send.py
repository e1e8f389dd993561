"""Sends a signal to exactly one process of a container, never to a later one with the same PID, nor to any other."""

import os
import signal

from containerlab_probes.errors import BadRequest
from containerlab_probes.kernel.os_errors import failure
from containerlab_probes.processes.identity import ended, open_pidfd
from containerlab_probes.processes.membership import require_target
from containerlab_probes.records import ContainerRun, ProcessId
from containerlab_probes.signals.names import name_of


def send(run: ContainerRun, id: ProcessId, number: int) -> None:
    """Sends a signal to exactly this process of a container (man 2 pidfd_send_signal).

    Whether it belongs to the container is checked here again, whoever asks: what is read below /proc/PID while the
    pidfd still refers to a living process is about that process. Raises `Gone` (also for a process outside of the
    container), `Denied` (another user's process), `BadRequest` (no such signal) or `Unsupported`.
    """
    fd = open_pidfd(id)
    try:
        require_target(run, id.pid)
        signal.pidfd_send_signal(fd, number)
    except ProcessLookupError as error:
        raise ended(id) from error
    except PermissionError as error:
        raise failure(
            error,
            f"send {name_of(number)} to process {id.pid}",
            denied="it belongs to another user, which needs root (CAP_KILL); run this with sudo",
        ) from error
    except (OSError, OverflowError) as error:
        raise BadRequest(f"No such signal: {number}.") from error
    finally:
        os.close(fd)
