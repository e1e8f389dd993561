"""Reads the files of one container: in this process where no read can block, otherwise through a probe agent.

A file system of a container may never answer (FUSE, a dead NFS server), and a process that waits for it can't always be
killed. So such files have one time limit for the whole container, and the reader says what did not answer.
"""

import os
import posixpath
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, TypeVar

from containerlab_probes.errors import ContainerlabError, Unanswered
from containerlab_probes.kernel.local import LocalMounts, NotLocal
from containerlab_probes.kernel.namespaces import namespace_inode
from containerlab_probes.memory_records import FileState
from containerlab_probes.processes.container_files import READ_LIMIT, ContainerFiles
from containerlab_probes.records import ProcessId

if TYPE_CHECKING:
    from containerlab_probes.file_client import FileClient

Result = TypeVar("Result")


def file_client(init: ProcessId) -> "FileClient":
    """Returns a client for the files of a container; imports it only now, because it is rarely needed."""
    from containerlab_probes.file_client import FileClient

    return FileClient(init)


class _Files(Protocol):
    """The files that one process sees."""

    def read(self, path: str, limit: int) -> bytes: ...
    def names(self, path: str) -> tuple[str, ...]: ...
    def state(self, path: str) -> FileState: ...
    def is_program(self, path: str) -> bool: ...


class _AgentFiles:
    """The same, through the container's agent."""

    def __init__(self, client: "FileClient", id: ProcessId) -> None:
        self._client, self._id = client, id

    def read(self, path: str, limit: int) -> bytes:
        return self._client.read(self._id, path, limit)

    def names(self, path: str) -> tuple[str, ...]:
        return self._client.names(self._id, path)

    def state(self, path: str) -> FileState:
        return self._client.state(self._id, path)

    def is_program(self, path: str) -> bool:
        return self._client.is_program(self._id, path)


class ContainerReader:
    """Reads files of the processes of one container. Close it to end its agent, if it started one."""

    def __init__(self, init: ProcessId, client: "Callable[[ProcessId], FileClient]" = file_client) -> None:
        """`init` is the container's PID 1. Nothing is started or read yet."""
        self.unread: tuple[str, ...] = ()
        """Sentences about what did not answer."""
        self._init, self._make = init, client
        self._client: FileClient | None = None
        self._local: dict[int, LocalMounts | None] = {}

    def __enter__(self) -> "ContainerReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            self._client.close()

    def view(self, id: ProcessId) -> "View":
        """Returns the files as a process sees them. Raises as `ContainerFiles`."""
        return View(self, id)

    def ask(self, id: ProcessId, direct: ContainerFiles | None, question: Callable[[_Files], Result]) -> Result:
        """Returns the answer to a question about files. Raises as `ContainerFiles`, and `Unanswered`."""
        if direct is not None:
            try:
                return question(direct)
            except NotLocal:
                pass
        if self.unread:
            raise Unanswered(self.unread[0])
        if self._client is None:
            self._client = self._make(self._init)
        try:
            return question(_AgentFiles(self._client, id))
        except Unanswered:
            self.unread = ("A file system in the container does not answer, so some of its files were not read.",)
            raise

    def local(self, pid: int) -> LocalMounts | None:
        """Returns the mounts of a process whose files can't block; None if none is known. Raises `Gone`, `Denied`."""
        namespace = namespace_inode(pid, "mnt")
        if namespace not in self._local:
            try:
                self._local[namespace] = LocalMounts(pid)
            except NotLocal:
                self._local[namespace] = None
        return self._local[namespace]


class View:
    """The files of a container as one of its processes sees them."""

    def __init__(self, reader: ContainerReader, id: ProcessId) -> None:
        self._reader, self._id = reader, id
        local = reader.local(id.pid)
        self._direct = None if local is None else ContainerFiles(id, local)
        self._directory: str | None = None

    def __enter__(self) -> "View":
        return self

    def __exit__(self, *_: object) -> None:
        if self._direct is not None:
            self._direct.close()

    def absolute(self, path: str) -> str:
        """Resolves a path against the process's working directory, inside the container."""
        if path.startswith("/"):
            return path
        if self._directory is None:
            try:
                self._directory = os.readlink(f"/proc/{self._id.pid}/cwd")
            except OSError:
                self._directory = "/"
        return posixpath.join(self._directory, path)

    def data(self, path: str, limit: int = READ_LIMIT) -> bytes | None:
        """Returns the beginning of a file; None if it can't be read."""
        try:
            return self._reader.ask(self._id, self._direct, lambda files: files.read(self.absolute(path), limit))
        except ContainerlabError:
            return None

    def text(self, path: str) -> str | None:
        """Returns the beginning of a file; None if it can't be read or isn't text."""
        data = self.data(path)
        return None if data is None or b"\0" in data[:4096] else data.decode("utf-8", "replace")

    def names(self, directory: str) -> tuple[str, ...]:
        """Returns the names in a directory; none if it can't be read."""
        try:
            return self._reader.ask(self._id, self._direct, lambda files: files.names(self.absolute(directory)))
        except ContainerlabError:
            return ()

    def state(self, directory: str) -> FileState | None:
        """Returns owner and permissions of a directory; None if they can't be read."""
        try:
            return self._reader.ask(self._id, self._direct, lambda files: files.state(self.absolute(directory)))
        except ContainerlabError:
            return None

    def is_program(self, path: str) -> bool:
        """Returns whether a path is a regular file that may be executed; False if it can't be read."""
        try:
            return self._reader.ask(self._id, self._direct, lambda files: files.is_program(self.absolute(path)))
        except ContainerlabError:
            return False
