"""Tables of /proc/sysvipc, recorded and generated; then real objects of this kernel."""

# ruff: noqa: E501 - lines as the kernel prints them

import contextlib
import errno
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sysv_ipc
from hypothesis import given
from hypothesis import strategies as st

from containerlab_probes.errors import BadRequest, Denied, Gone, Unsupported
from containerlab_probes.memory import sysv
from containerlab_probes.memory_records import IpcKind

SHM = """\
       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap
      5678          0   644                    27  7344  7345      2     0     0     0     0 1795508466          0 1795508466                  4096                     0
         0      32769  1600            2147483648  7344     0      1  1000  1000     0     0          0          0 1795508470                     0                     0
-559038737          5  3777                    10     1     2      0     1     2     3     4          5          6          7                     0                     0
"""
SEM = """\
       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime
      5679          3   600          4     0     7     0     0          0 1795508466
"""
MSG = """\
       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime
      5680          0   640          10          2   100   101     0     0     0     0         50         40         30
      5681          1   640           0          0   100   101     0     0     0     0         50         60         30
"""


def test_segments() -> None:
    plain, removed, negative = sysv.segments(SHM)
    assert (plain.kind, plain.id, plain.key, plain.bytes, plain.mode) == (IpcKind.SHM, "0", 5678, 27, 0o644)
    assert (plain.creator_pid, plain.last_pid, plain.attached, plain.removed) == (7344, 7345, 2, False)
    assert plain.changed_at == 1795508466.0
    assert (removed.id, removed.bytes, removed.mode, removed.removed) == ("32769", 1 << 31, 0o600, True)
    assert (removed.owner, removed.group, removed.key) == (1000, 1000, 0)
    assert (negative.key, negative.mode, negative.removed) == (0xDEADBEEF, 0o777, True)


def test_semaphore_sets() -> None:
    [(found, count)] = sysv.semaphore_sets(SEM)
    assert (found.kind, found.id, found.key, found.bytes, found.mode, count) == (IpcKind.SEM, "3", 5679, None, 0o600, 4)
    assert (found.creator_pid, found.group, found.attached) == (0, 7, None)


def test_queues_name_their_later_user() -> None:
    sent, received = sysv.queues(MSG)
    assert (sent.kind, sent.bytes, sent.messages, sent.last_pid) == (IpcKind.MSG, 10, 2, 100)
    assert received.last_pid == 101


def test_columns_that_a_kernel_adds_or_lacks() -> None:
    old = "\n".join(line[:-44] for line in SHM.splitlines())
    assert "rss" not in old
    assert sysv.segments(old) == sysv.segments(SHM)
    with pytest.raises(Unsupported, match="nattch"):
        sysv.segments(SHM.replace("nattch", "others"))


@pytest.mark.parametrize("text", ["a b\n1\n", "a b\n1 2 3\n", "a\nx\n", "perms\n9\n"])
def test_an_invalid_table_is_refused(text: str) -> None:
    with pytest.raises(Unsupported):
        sysv.parse_table(text)


def test_an_empty_table() -> None:
    assert sysv.parse_table("") == sysv.parse_table(SHM.splitlines()[0] + "\n") == []
    assert sysv.segments(SHM.splitlines()[0]) == []


@given(
    st.lists(
        st.tuples(
            st.integers(-(1 << 31), (1 << 31) - 1),
            st.integers(0, (1 << 31) - 1),
            st.integers(0, 0o3777),
            st.integers(0, (1 << 63) - 1),
            st.lists(st.integers(0, 1 << 31), min_size=10, max_size=10),
        )
    )
)
def test_printed_tables_are_parsed(rows: list[tuple[int, int, int, int, list[int]]]) -> None:
    header = SHM.splitlines()[0][:-44]
    form = "%10d %10d  %4o %21u %5d %5d  %5d %5d %5d %5d %5d %10d %10d %10d"
    text = "\n".join([header, *(form % (*row[:4], *row[4]) for row in rows)])
    found = sysv.segments(text)
    assert len(found) == len(rows)
    for segment, (key, shmid, perms, size, rest) in zip(found, rows, strict=True):
        assert (segment.key, segment.id, segment.bytes) == (key % (1 << 32), str(shmid), size)
        assert (segment.mode, segment.removed) == (perms & 0o777, bool(perms & 0o1000))
        assert (segment.creator_pid, segment.last_pid, segment.attached, segment.owner) == tuple(rest[:4])


@given(st.text(alphabet=" \n0123456789-abckeyperms"))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        rows = sysv.parse_table(text)
    except Unsupported:
        return
    assert all(isinstance(cell, int) for row in rows for cell in row.values())


def test_limits_of_this_kernel() -> None:
    limits = sysv.limits()
    with open("/proc/sys/kernel/sem", encoding="ascii") as file:
        assert [limits[name] for name in ("semmsl", "semmns", "semopm", "semmni")] == [*map(int, file.read().split())]
    assert set(limits) == {
        *("shmmax", "shmall", "shmmni", "msgmax", "msgmnb", "msgmni"),
        *("semmsl", "semmns", "semopm", "semmni"),
    }


@pytest.mark.parametrize("kind", [IpcKind.SHM, IpcKind.SEM, IpcKind.MSG])
def test_a_missing_object_raises_gone(kind: IpcKind) -> None:
    with pytest.raises(Gone, match=f"{kind} 2147483647"):
        sysv.remove(kind, (1 << 31) - 1)
    with pytest.raises(Gone):
        sysv.read_by_attaching((1 << 31) - 1, 0, 10)
    with pytest.raises(Gone):
        sysv.members((1 << 31) - 1, 1)
    with pytest.raises(BadRequest):
        sysv.remove(IpcKind.POSIX_SHM, 1)


@pytest.fixture
def segment() -> Iterator[int]:
    """The id of a segment of 1 MiB without a key (IPC_PRIVATE), with a word in its middle."""
    memory = sysv_ipc.SharedMemory(sysv_ipc.IPC_PRIVATE, sysv_ipc.IPC_CREAT, mode=0o600, size=1 << 20)
    memory.write(b"middle", 1 << 19)
    memory.detach()
    yield int(memory.id)
    with contextlib.suppress(sysv_ipc.ExistentialError):
        sysv_ipc.remove_shared_memory(memory.id)


def row_of(segment: int) -> dict[str, int]:
    text = Path("/proc/sysvipc/shm").read_text(encoding="ascii")
    return next(row for row in sysv.parse_table(text) if row["shmid"] == segment)


def test_reading_a_private_segment_by_its_id_allocates_no_page(segment: int) -> None:
    assert row_of(segment)["rss"] == os.sysconf("SC_PAGE_SIZE")
    assert sysv.read_by_attaching(segment, 0, 10).data == bytes(10)
    window = sysv.read_by_attaching(segment, 1 << 19, 6)
    assert (window.data, window.total) == (b"middle", 1 << 20)
    assert sysv.read_by_attaching(segment, 1 << 20, 6).data == b""
    assert (row_of(segment)["rss"], row_of(segment)["nattch"]) == (os.sysconf("SC_PAGE_SIZE"), 0)


def test_a_segment_is_attached_read_only(segment: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks the kernel's permissions of the mapping while it exists."""
    attach, permissions = sysv_ipc.attach, list[str]()

    def observed(*arguments: int) -> object:
        memory = attach(*arguments)
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
        permissions.extend(line.split()[1] for line in lines if line.startswith(f"{memory.address:x}-"))
        return memory

    monkeypatch.setattr(sysv_ipc, "attach", observed)
    sysv.read_by_attaching(segment, 0, 10)
    assert permissions == ["r--s"]


def test_private_objects_are_removed_by_their_ids(segment: int) -> None:
    semaphore = sysv_ipc.Semaphore(None, sysv_ipc.IPC_CREX)
    queue = sysv_ipc.MessageQueue(None, sysv_ipc.IPC_CREX)
    for kind, id in ((IpcKind.SHM, segment), (IpcKind.SEM, semaphore.id), (IpcKind.MSG, queue.id)):
        sysv.remove(kind, id)
        with pytest.raises(Gone, match=f"Could not remove {kind} {id}"):
            sysv.remove(kind, id)


@pytest.mark.parametrize(
    ("theirs", "ours", "words"),
    [
        (sysv_ipc.ExistentialError("x"), Gone, "does not exist"),
        (ValueError("Invalid id, address, or flags"), Gone, "does not exist"),
        (OSError(errno.EIDRM, "removed"), Gone, "does not exist"),
        (sysv_ipc.PermissionsError("x"), Denied, "needs root"),
        (MemoryError("x"), Unsupported, "Cannot allocate memory"),
        (OSError(errno.EMFILE, "x"), Unsupported, "limit of open files"),
    ],
)
def test_errors_of_sysv_ipc_are_translated(theirs: Exception, ours: type[Exception], words: str) -> None:
    with pytest.raises(ours, match=f"Could not read it: .*{words}"), sysv.sysv_ipc_errors("read it"):
        raise theirs


def test_without_sysv_ipc_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sysv_ipc", None)
    with pytest.raises(Unsupported, match="pip install sysv-ipc"):
        sysv.read_by_attaching(0, 0, 10)
    with pytest.raises(Unsupported, match="pip install sysv-ipc"):
        sysv.remove(IpcKind.SHM, 0)


LARGER = """
import ctypes, sys
from containerlab_probes.memory import sysv
libc = ctypes.CDLL(None, use_errno=True)
number = libc.semget(0, 32_000, 0o600)
assert number >= 0, ctypes.get_errno()
try:
    for _ in range(200):
        assert len(sysv.members(number, 1)) == 1
    print("whole", flush=True)
finally:
    libc.semctl(number, 0, 0, 0)
"""


def test_a_set_that_was_replaced_by_a_larger_one_writes_over_no_memory() -> None:
    """The kernel writes as many values as the set has now, so the length of a table read before says nothing."""
    environment = os.environ | {"PYTHONPATH": ":".join(sys.path), "PYTHONMALLOC": "malloc"}
    done = subprocess.run((sys.executable, "-c", LARGER), capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout) == (0, "whole\n"), done.stderr


def test_the_first_rows_of_a_long_table() -> None:
    lines = ["key shmid", *(f"0 {number}" for number in range(5))]
    assert sysv.first_rows(iter(lines), 2) == ("key shmid\n0 0\n0 1", 5)
    assert sysv.first_rows(iter(lines), 9) == ("\n".join(lines), 5)
    assert sysv.first_rows(iter(()), 9) == ("", 0)


def test_objects_over_the_limit_are_counted(segment: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysv, "OBJECTS_LIMIT", 0)
    found, unread = sysv.objects()
    assert [one for one in found if one.kind is IpcKind.SHM] == []
    assert any(re.fullmatch(r"Segments: the first 0 of [0-9,]+ are listed\.", one) for one in unread)
    assert sysv.totals()[0] >= 1
