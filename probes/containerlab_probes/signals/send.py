"""Sends a signal to exactly one process, never to a later one with the same PID."""

import os
import signal

from containerlab_probes.errors import BadRequest
from containerlab_probes.kernel.os_errors import failure
from containerlab_probes.processes.identity import ended, open_pidfd
from containerlab_probes.records import ProcessId
from containerlab_probes.signals.names import name_of


def send(id: ProcessId, number: int) -> None:
    """Sends a signal to exactly this process (man 2 pidfd_send_signal).

    Raises `Gone`, `Denied` (another user's process), `BadRequest` (no such signal) or `Unsupported`.
    """
    fd = open_pidfd(id)
    try:
        signal.pidfd_send_signal(fd, number)
    except ProcessLookupError as error:
        raise ended(id) from error
    except PermissionError as error:
        raise failure(
            error,
            f"send {name_of(number)} to process {id.pid}",
            denied="it belongs to another user; run this with sudo",
        ) from error
    except (OSError, OverflowError) as error:
        raise BadRequest(f"No such signal: {number}.") from error
    finally:
        os.close(fd)
