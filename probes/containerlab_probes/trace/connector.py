"""Reads the kernel's process connector, which reports the exit of every thread on the machine with its status.

The tracepoint of an exit does not report the status. The connector does, with the same clock (CLOCK_MONOTONIC) and
before a pidfd becomes readable (kernel/exit.c). It needs CAP_NET_ADMIN and the host's network namespace.

Sources: include/uapi/linux/cn_proc.h, connector.h, netlink.h, filter.h.
"""

import contextlib
import ctypes
import errno
import os
import socket
import struct
import sys

from containerlab_probes.errors import ContainerlabError
from containerlab_probes.kernel.os_errors import failure
from containerlab_probes.trace.ring_buffer import Ended

_NETLINK_CONNECTOR = 11
_CN_IDX_PROC = _CN_VAL_PROC = 1
_LISTEN, _IGNORE = 1, 2
_NLMSG_DONE = 3
_EVENT_NONE, _EVENT_EXIT = 0, 0x80000000
_SO_ATTACH_FILTER, _SO_RCVBUFFORCE = 26, 33
_EXITS_AT_ONCE = 65_536
"""Exits read in one turn: they may come faster than they are read."""
_BUFFER_BYTES = 1 << 20

_NETLINK = struct.Struct("=IHHII")
"""struct nlmsghdr: length, type, flags, sequence, port."""
_CONNECTOR = struct.Struct("=IIIIHH")
"""struct cn_msg: idx, val, seq, ack, len, flags."""
_EVENT = struct.Struct("=IIQ")
"""struct proc_event: what, cpu, time stamp."""
_EXIT = struct.Struct("=III")
"""struct exit_proc_event: thread, process, status."""
_HEADS = _NETLINK.size + _CONNECTOR.size
_BODY = _HEADS + _EVENT.size

_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
"""Classic BPF: BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K."""


def parse(message: bytes) -> tuple[Ended, ...]:
    """Parses the thread exits in one datagram; omits other events and truncated ones."""
    found = []
    position = 0
    while position + _BODY + _EXIT.size <= len(message):
        length = _NETLINK.unpack_from(message, position)[0]
        idx, val = _CONNECTOR.unpack_from(message, position + _NETLINK.size)[:2]
        what, _, time = _EVENT.unpack_from(message, position + _HEADS)
        if length < _BODY + _EXIT.size:
            break
        if (idx, val, what) == (_CN_IDX_PROC, _CN_VAL_PROC, _EVENT_EXIT):
            thread, _, status = _EXIT.unpack_from(message, position + _BODY)
            found.append(Ended(time, thread, status))
        position += length + 3 & ~3
    return tuple(found)


class Connector:
    """A socket that reports only thread exits: the kernel filters all other events."""

    def __init__(self) -> None:
        """Raises `Denied` without CAP_NET_ADMIN, `Unsupported` if the kernel or network namespace has no connector."""
        try:
            self._socket = socket.socket(
                socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, _NETLINK_CONNECTOR
            )
        except OSError as error:
            raise _refused(error) from error
        try:
            self._filter()
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
            self._socket.bind((0, _CN_IDX_PROC))
            self._ask(_LISTEN)
            self._socket.recv(4096)
        except OSError as error:
            self._socket.close()
            raise _refused(error) from error

    def fileno(self) -> int:
        """Returns the descriptor, for poll."""
        return self._socket.fileno()

    def read(self) -> tuple[list[Ended], bool]:
        """Returns the exits since the last call, and whether events were lost. Does not wait."""
        found: list[Ended] = []
        lost = False
        while len(found) < _EXITS_AT_ONCE:
            try:
                message, (port, _) = self._socket.recvfrom(8192)
            except BlockingIOError:
                return found, lost
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                lost = True
                continue
            if port == 0:
                found.extend(parse(message))
        return found, lost

    def close(self) -> None:
        """Stops listening."""
        with contextlib.suppress(OSError):
            self._ask(_IGNORE)
        self._socket.close()

    def _ask(self, operation: int) -> None:
        request = struct.pack("=I", operation)
        body = _CONNECTOR.pack(_CN_IDX_PROC, _CN_VAL_PROC, 0, 0, len(request), 0) + request
        self._socket.send(_NETLINK.pack(_NETLINK.size + len(body), _NLMSG_DONE, 0, 0, os.getpid()) + body)

    def _filter(self) -> None:
        """Filters all but exits and the answer to the request. BPF loads words as if they were big-endian."""

        def as_loaded(what: int) -> int:
            return int.from_bytes(what.to_bytes(4, sys.byteorder), "big")

        program = b"".join(
            struct.pack("=HBBI", *instruction)
            for instruction in (
                (_LOAD_WORD, 0, 0, _HEADS),
                (_JUMP_IF_EQUAL, 2, 0, as_loaded(_EVENT_EXIT)),
                (_JUMP_IF_EQUAL, 1, 0, as_loaded(_EVENT_NONE)),
                (_RETURN, 0, 0, 0),
                (_RETURN, 0, 0, 0xFFFFFFFF),
            )
        )
        code = ctypes.create_string_buffer(program, len(program))
        self._socket.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
        )


def _refused(error: OSError) -> ContainerlabError:
    return failure(
        error,
        "watch for process exits",
        gone=(),
        denied="the process connector needs root (CAP_NET_ADMIN); run this with sudo",
        unsupported="it needs CONFIG_PROC_EVENTS and the network namespace of the host",
    )
