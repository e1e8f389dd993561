"""Finds the processes of a PID namespace (man 7 pid_namespaces)."""

import errno
import fcntl
import os
import threading
from collections.abc import Iterable

_NS_GET_PARENT = 0xB702
"""_IO(0xb7, 2) (include/uapi/linux/nsfs.h)."""


class PidNamespaces:
    """Remembers the PID namespaces of each process, because a process never moves to another one.

    The key is the PID and the inode of its directory in /proc, which a later process of the same number doesn't share.
    So one listing of /proc serves all containers.
    """

    def __init__(self) -> None:
        self._chains: dict[tuple[str, int], tuple[int, ...]] = {}
        self._lock = threading.Lock()

    def members(self, namespace: int) -> set[int]:
        """Returns the PIDs in a PID namespace, given by its inode, and in those below it."""
        with self._lock, os.scandir("/proc") as entries:
            present = {(entry.name, entry.inode()) for entry in entries if entry.name.isdecimal()}
            for gone in self._chains.keys() - present:
                del self._chains[gone]
            for key in present - self._chains.keys():
                chain = namespace_chain(int(key[0]))
                if chain is not None:
                    self._chains[key] = chain
            return {int(key[0]) for key, chain in self._chains.items() if namespace in chain}


def namespace_chain(pid: int) -> tuple[int, ...] | None:
    """Returns the PID namespaces of a process, from its own up to but without this program's; None: can't be read."""
    try:
        own = os.stat("/proc/self/ns/pid").st_ino
        if os.stat(f"/proc/{pid}/ns/pid").st_ino == own:
            return ()
        fds = [os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)]
    except OSError:
        return None
    chain = []
    try:
        while (found := os.fstat(fds[-1]).st_ino) != own:
            chain.append(found)
            fds.append(fcntl.ioctl(fds[-1], _NS_GET_PARENT))
    except OSError as error:
        if error.errno != errno.EPERM:
            return None
    finally:
        _close_all(fds)
    return tuple(chain)


def _close_all(fds: Iterable[int]) -> None:
    for fd in fds:
        os.close(fd)
