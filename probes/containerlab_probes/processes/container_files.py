"""Reads files of a container as one of its processes sees them, in this process or, for an agent, in the agent's."""

import os
import stat

from containerlab_probes.errors import BadRequest, Gone
from containerlab_probes.kernel.files import names_in
from containerlab_probes.kernel.local import LocalMounts
from containerlab_probes.kernel.os_errors import failure
from containerlab_probes.kernel.rootfs import open_in_root, open_root, place_in_root, read_file
from containerlab_probes.kernel.user_ids import IdKind, id_map
from containerlab_probes.memory_records import FileState
from containerlab_probes.processes.identity import identify
from containerlab_probes.records import ProcessId

READ_LIMIT = 256 * 1024
"""Bytes that are read of one file."""
NAMES_LIMIT = 10_000
"""Names that are read of one directory."""


class ContainerFiles:
    """The files that one process sees. Each method raises `Gone`, `Denied`, `BadRequest` or `Unsupported`."""

    def __init__(self, id: ProcessId, local: LocalMounts | None = None) -> None:
        """With `local`, only files on these mounts are touched, and others raise `NotLocal`."""
        self._local, self._users = local, id_map(id.pid, IdKind.USER)
        self._root = open_root(id.pid)
        if identify(id.pid) != id:
            os.close(self._root)
            raise Gone(f"Process {id.pid} has exited.")

    def close(self) -> None:
        os.close(self._root)

    def read(self, path: str, limit: int = READ_LIMIT) -> bytes:
        """Returns the beginning of a regular file."""
        return read_file(self._root, path, min(limit, READ_LIMIT), local=self._local)

    def names(self, path: str) -> tuple[str, ...]:
        """Returns the names in a directory, at most NAMES_LIMIT."""
        place = place_in_root(self._root, path, self._local)
        try:
            fd = open_in_root(place, ".", os.O_RDONLY | os.O_DIRECTORY)
            try:
                return tuple(names_in(fd, NAMES_LIMIT))
            finally:
                os.close(fd)
        finally:
            os.close(place)

    def state(self, path: str) -> FileState:
        """Returns owner and permissions of a directory."""
        place = place_in_root(self._root, path, self._local)
        try:
            about, system = os.fstat(place), os.fstatvfs(place)
        except OSError as error:
            raise failure(error, f"read {path!r} in the container") from error
        finally:
            os.close(place)
        if not stat.S_ISDIR(about.st_mode):
            raise BadRequest(f"{path!r} in the container is not a directory.")
        return FileState(about.st_mode, self._users.inside(about.st_uid), bool(system.f_flag & os.ST_RDONLY))

    def is_program(self, path: str) -> bool:
        """Returns whether a path is a regular file that may be executed. Nothing is run."""
        place = place_in_root(self._root, path, self._local)
        try:
            mode = os.fstat(place).st_mode
        except OSError as error:
            raise failure(error, f"read {path!r} in the container") from error
        finally:
            os.close(place)
        return stat.S_ISREG(mode) and bool(mode & 0o111)


def passwd_of(init: ProcessId, local: LocalMounts | None = None) -> bytes:
    """Returns /etc/passwd as a process sees it. Raises as `ContainerFiles`."""
    files = ContainerFiles(init, local)
    try:
        return files.read("/etc/passwd")
    finally:
        files.close()
