"""Reads windows: limited parts of objects that may be large."""

import os
import stat

from containerlab_probes.errors import BadRequest, Unsupported
from containerlab_probes.kernel.os_errors import failure
from containerlab_probes.memory_records import WINDOW_LIMIT, Window


def check_window(offset: int, length: int) -> None:
    """Raises `BadRequest` unless the offset and length of a window are valid."""
    if not 0 <= offset < 1 << 63:
        raise BadRequest(f"The offset of a window must be from 0 to 2**63, not {offset}.")
    if not 0 < length <= WINDOW_LIMIT:
        raise BadRequest(f"The length of a window must be from 1 to {WINDOW_LIMIT}, not {length}.")


def read_window(fd: int, offset: int, length: int, what: str) -> Window:
    """Reads a window of an open file; it is empty past the end of the file.

    A hole in a tmpfs file reads as zeros and stays a hole. Raises `BadRequest` (the window) and `Unsupported` (not a
    regular file, or not readable).
    """
    check_window(offset, length)
    try:
        state = os.fstat(fd)
        if not stat.S_ISREG(state.st_mode):
            raise Unsupported(f"Could not read {what}: it is not a regular file.")
        data = os.pread(fd, length, offset)
    except OSError as error:
        raise failure(error, f"read {what}") from error
    return Window(offset, data, state.st_size)
