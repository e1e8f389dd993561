"""POSIX objects: the layouts of their files, valid names, and real objects of the C library."""

import ctypes
import os
import stat
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containerlab_probes.errors import BadRequest, Gone
from containerlab_probes.memory import posix
from containerlab_probes.memory_records import IpcKind, IpcObject, Semaphore
from containerlab_probes.processes.identity import identify

libc = ctypes.CDLL(None, use_errno=True)
libc.sem_open.restype = ctypes.c_void_p
NAME = f"containerlab-unit-{os.getpid()}"


@given(st.integers(0, 0x7FFFFFFF), st.integers(0, 0xFFFFFFFF))
def test_semaphores_as_glibc_lays_them_out(value: int, waiters: int) -> None:
    data = (value | waiters << 32).to_bytes(8, "little") + bytes(24)
    assert posix.parse_semaphore(data) == Semaphore(value, waiters, 0, 0)


@given(st.binary(max_size=40))
def test_any_bytes_can_be_parsed_as_a_semaphore(data: bytes) -> None:
    assert (posix.parse_semaphore(data) is None) == (len(data) < 8)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"QSIZE:129        NOTIFY:2     SIGNO:0     NOTIFY_PID:8260\n", 129),
        (b"QSIZE:0          NOTIFY:0     SIGNO:0     NOTIFY_PID:0\n", 0),
        (b"", None),
        (b"\xff", None),
        (b"NOTIFY:2", None),
    ],
)
def test_queues(data: bytes, size: int | None) -> None:
    assert posix.parse_queue(data) == size


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "/etc/passwd", "a\0b"])
@pytest.mark.parametrize("kind", [IpcKind.POSIX_SHM, IpcKind.POSIX_MQ])
def test_names_of_other_files_are_refused(kind: IpcKind, name: str) -> None:
    with pytest.raises(BadRequest):
        posix.file_name(kind, name)


def test_file_names() -> None:
    assert posix.file_name(IpcKind.POSIX_SEM, "a") == "sem.a"
    assert posix.file_name(IpcKind.POSIX_SHM, "..a") == "..a"
    with pytest.raises(BadRequest):
        posix.file_name(IpcKind.POSIX_SEM, "../a")
    with pytest.raises(BadRequest):
        posix.file_name(IpcKind.SHM, "1")


def find(kind: IpcKind, name: str) -> IpcObject | None:
    found, _, _ = posix.objects(identify(os.getpid()))
    return next((item.object for item in found if (item.object.kind, item.object.id) == (kind, name)), None)


@pytest.fixture
def name() -> Iterator[str]:
    yield NAME
    libc.sem_unlink(NAME.encode())
    libc.shm_unlink(NAME.encode())


def test_a_semaphore_of_the_c_library(name: str) -> None:
    assert libc.sem_open(name.encode(), os.O_CREAT | os.O_EXCL, 0o640, 41)
    found = find(IpcKind.POSIX_SEM, name)
    assert found is not None
    assert (found.name, found.mode, found.semaphores) == ("/" + name, 0o640, (Semaphore(41, 0, 0, 0),))
    posix.remove(identify(os.getpid()), IpcKind.POSIX_SEM, name)
    assert find(IpcKind.POSIX_SEM, name) is None
    with pytest.raises(Gone, match=name):
        posix.remove(identify(os.getpid()), IpcKind.POSIX_SEM, name)


def test_shared_memory_of_the_c_library(name: str) -> None:
    fd = libc.shm_open(name.encode(), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    os.pwrite(fd, b"tail", 1 << 20)
    os.close(fd)
    found = find(IpcKind.POSIX_SHM, name)
    assert found is not None
    assert (found.bytes, found.mode, found.key) == ((1 << 20) + 4, 0o600, None)
    window = posix.read(identify(os.getpid()), IpcKind.POSIX_SHM, name, (1 << 20) - 2, 10)
    assert (window.data, window.total) == (b"\0\0tail", (1 << 20) + 4)


@pytest.mark.parametrize("kind_of_file", ["link", "fifo", "directory"])
def test_only_regular_files_are_objects(name: str, kind_of_file: str) -> None:
    path, me = f"/dev/shm/{name}", identify(os.getpid())
    make = {"link": lambda: os.symlink("/etc/passwd", path), "fifo": lambda: os.mkfifo(path)}
    make.get(kind_of_file, lambda: os.mkdir(path))()
    try:
        assert find(IpcKind.POSIX_SHM, name) is None
        with pytest.raises(Gone):
            posix.read(me, IpcKind.POSIX_SHM, name, 0, 10)
        with pytest.raises(Gone):
            posix.remove(me, IpcKind.POSIX_SHM, name)
        assert os.path.lexists(path)
    finally:
        (os.rmdir if stat.S_ISDIR(os.lstat(path).st_mode) else os.unlink)(path)


def test_limits_and_room() -> None:
    _, limits, _ = posix.objects(identify(os.getpid()))
    with open("/proc/sys/fs/mqueue/queues_max", encoding="ascii") as file:
        assert limits["mq_queues_max"] == int(file.read())
    room = os.statvfs("/dev/shm")
    assert limits["dev_shm_bytes"] == room.f_blocks * room.f_frsize
    assert 0 <= limits["dev_shm_free"] <= limits["dev_shm_bytes"]
