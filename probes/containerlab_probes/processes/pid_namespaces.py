"""Finds the processes of a PID namespace (man 7 pid_namespaces)."""

import errno
import fcntl
import os
import threading
from collections.abc import Iterable
from contextlib import ExitStack

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
            self._add(present - self._chains.keys(), namespace)
            return {int(key[0]) for key, chain in self._chains.items() if namespace in chain}

    def _add(self, keys: Iterable[tuple[str, int]], namespace: int) -> None:
        """Reads the PID namespaces of processes: one look suffices for those in `namespace` or this program's.

        An open file keeps `namespace` alive, so that its inode can't become that of another one meanwhile.
        """
        chains = {os.stat("/proc/self/ns/pid").st_ino: tuple[int, ...]()}
        with ExitStack() as kept:
            for key in keys:
                try:
                    inode = os.stat(f"/proc/{key[0]}/ns/pid").st_ino
                    if inode == namespace and inode not in chains:
                        fd = os.open(f"/proc/{key[0]}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
                        kept.callback(os.close, fd)
                        if (kept_chain := _chain_of(fd)) is not None:
                            chains[os.fstat(fd).st_ino] = kept_chain
                except OSError:
                    continue
                chain = chains[inode] if inode in chains else namespace_chain(int(key[0]))
                if chain is not None:
                    self._chains[key] = chain


def namespace_chain(pid: int) -> tuple[int, ...] | None:
    """Returns the PID namespaces of a process, from its own up to but without this program's; None: can't be read."""
    try:
        fd = os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _chain_of(fd)
    finally:
        os.close(fd)


def _chain_of(fd: int) -> tuple[int, ...] | None:
    """Returns what `namespace_chain` does, for an open file of a PID namespace."""
    chain, parents = list[int](), list[int]()
    try:
        own = os.stat("/proc/self/ns/pid").st_ino
        while (found := os.fstat(parents[-1] if parents else fd).st_ino) != own:
            chain.append(found)
            parents.append(fcntl.ioctl(parents[-1] if parents else fd, _NS_GET_PARENT))
    except OSError as error:
        if error.errno != errno.EPERM:
            return None
    finally:
        for parent in parents:
            os.close(parent)
    return tuple(chain)
