"""Streams to and from an engine: output frames, event documents, attached standard streams, a file upload.

A container without a terminal has its standard output and error in frames: one byte that names the stream, three
zeros, four bytes of length, big-endian, then that many bytes (Engine API, "Attach to a container").
"""

import json
import os
import socket
import stat
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from containerlab_probes.errors import BadRequest, Gone
from containerlab_probes.kernel.os_errors import failure
from containerlab_tui.engine.errors import Explained

HEADER_BYTES = 8
LENGTH = struct.Struct(">I")
CHUNK_BYTES = 64 * 1024
DOCUMENT_BYTES = 4 * 1024 * 1024
"""Limit of one event; it carries all labels of its container."""


class Demultiplexer:
    """Turns frames into output; input chunks may have any size."""

    def __init__(self) -> None:
        self._header = bytearray()
        self._left = 0

    def feed(self, data: bytes) -> bytes:
        """Returns the output (both streams, in order) in these bytes."""
        out, at, end = list[bytes](), 0, len(data)
        while at < end:
            if self._left:
                part = data[at : at + self._left]
                out.append(part)
                at += len(part)
                self._left -= len(part)
            elif not self._header and end - at >= HEADER_BYTES:  # the usual case: a container writes many short lines
                (self._left,) = LENGTH.unpack_from(data, at + 4)
                at += HEADER_BYTES
            else:
                part = data[at : at + HEADER_BYTES - len(self._header)]
                self._header += part
                at += len(part)
                if len(self._header) == HEADER_BYTES:
                    (self._left,) = LENGTH.unpack_from(self._header, 4)
                    self._header.clear()
        return b"".join(out)


def output(chunks: Iterable[bytes], tty: bool) -> Iterator[bytes]:
    """Yields the output bytes of a log or attach stream."""
    frames = Demultiplexer()
    for chunk in chunks:
        data = chunk if tty else frames.feed(chunk)
        if data:
            yield data


def json_documents(chunks: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Yields the documents of a stream that has one on each line; leaves out one of more than DOCUMENT_BYTES."""
    rest = bytearray()
    too_long = False
    for chunk in chunks:
        for line in chunk.splitlines(keepends=True):
            rest += b"" if too_long else line
            if not line.endswith(b"\n"):
                if len(rest) > DOCUMENT_BYTES:
                    rest, too_long = bytearray(), True
                continue
            if rest.strip():
                yield json.loads(rest)
            rest, too_long = bytearray(), False


class Attached:
    """api.AttachedStreams over a hijacked connection."""

    def __init__(self, connection: socket.socket, tty: bool) -> None:
        self.tty = tty
        self._connection = connection
        self._frames = Demultiplexer()

    def _plain(self, data: bytes) -> bytes:
        return data if self.tty else self._frames.feed(data)

    def fileno(self) -> int:
        return self._connection.fileno()

    def pending(self) -> bool:
        """Returns whether `read` has output that select() does not report: TLS decrypts whole records."""
        held = getattr(self._connection, "pending", None)
        return held is not None and held() > 0

    def read(self) -> bytes:
        """Blocks until there is output; empty at the end and after `close`. Raises the error of a failed ssh."""
        while True:
            try:
                raw = self._connection.recv(CHUNK_BYTES)
            except Explained as failure:
                raise failure.error from failure
            except OSError:
                return b""
            if not raw:
                return b""
            if data := self._plain(raw):
                return data

    def write(self, data: bytes) -> None:
        """Writes input. Raises Gone if the container no longer reads it."""
        try:
            self._connection.sendall(data)
        except OSError as error:
            raise Gone("The container no longer accepts input: it has exited or closed its standard input.") from error

    def close(self) -> None:
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()


@contextmanager
def tar_of(local_file: str) -> Iterator[Iterator[bytes]]:
    """Yields a tar stream of one regular file with its mode, owned by root, read while sending.

    A link is refused, also in the path: a container that has the directory could have put it there meanwhile, to be
    given another file of the host. Raises BadRequest for anything but a regular file, Denied and Gone where it can't be
    opened.
    """
    try:
        descriptor = os.open(local_file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise failure(error, f"read {local_file}", missing="no such file", denied="no permission to read it") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise BadRequest(f"{local_file} is not a regular file; only regular files can be copied.")
        if os.readlink(f"/proc/self/fd/{descriptor}") != os.path.abspath(local_file):
            raise BadRequest(f"{local_file} is a link or has just been moved; name the file itself.")
        yield _tar(descriptor, os.path.basename(local_file), status)
    finally:
        os.close(descriptor)


def _tar(descriptor: int, name: str, status: os.stat_result) -> Iterator[bytes]:
    import tarfile

    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = status.st_size, stat.S_IMODE(status.st_mode), int(status.st_mtime)
    yield entry.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
    left = status.st_size
    while left:
        data = os.read(descriptor, min(left, CHUNK_BYTES))
        if not data:
            raise BadRequest(f"{name} became shorter during the copy; the copy is incomplete.")
        left -= len(data)
        yield data
    yield b"\0" * (-status.st_size % tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE)
