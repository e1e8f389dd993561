"""Segments of this machine, read: through the process that has one attached, or attached read-only for the reading."""

import mmap
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import pytest
import sysv_ipc

from containerlab_probes.errors import Gone
from containerlab_probes.memory.mappings import read_maps
from containerlab_probes.memory.snapshot import open_segment, read
from containerlab_probes.memory_records import IpcKind
from containerlab_probes.processes.identity import identify

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="/proc/PID/map_files needs root; make test uses sudo")

ME = identify(os.getpid())
TEXT = b"in the segment"


@pytest.fixture
def segment() -> Iterator[sysv_ipc.SharedMemory]:
    """Holds TEXT; this process has it attached."""
    made = sysv_ipc.SharedMemory(None, sysv_ipc.IPC_CREX, mode=0o600, size=4096)
    made.write(TEXT)
    yield made
    made.remove()


def range_of(inode: int) -> str:
    return next(line.range for line in read_maps(ME.pid) if line.inode == inode)


def test_an_attached_segment_is_read_where_it_is_attached(segment: sysv_ipc.SharedMemory) -> None:
    before = segment.last_pid
    window = read(ME, [ME], IpcKind.SHM, str(segment.id), offset=3, length=3)
    assert (window.data, window.total) == (TEXT[3:6], 4096)
    fd = open_segment(ME, range_of(segment.id), segment.id)
    assert os.pread(fd, len(TEXT), 0) == TEXT
    os.close(fd)
    assert segment.last_pid == before


def test_another_mapping_at_the_range_is_not_the_segment(segment: sysv_ipc.SharedMemory) -> None:
    """As when the process has detached it, and mapped something else there, since its mappings were read."""
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(Gone, match=f"detached segment {segment.id + 1}"):
        open_segment(ME, range_of(segment.id), segment.id + 1)
    with mmap.mmap(-1, 4096):  # on the same device
        anonymous = next(line for line in read_maps(ME.pid) if line.path == "/dev/zero")
        with pytest.raises(Gone):
            open_segment(ME, anonymous.range, segment.id)
    with tempfile.TemporaryFile() as file:  # the same number on another device
        file.write(TEXT)
        file.flush()
        inode = os.fstat(file.fileno()).st_ino
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ):
            range_ = range_of(inode)
            with pytest.raises(Gone):
                open_segment(ME, range_, inode)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_segment_that_may_only_be_read_is_attached_for_reading(segment: sysv_ipc.SharedMemory) -> None:
    """Root may write everything; without CAP_IPC_OWNER the kernel refuses shmat(2) unless it is read-only."""
    segment.mode = 0o400
    segment.detach()
    program = (
        "import sys; from containerlab_probes.memory.sysv import read_by_attaching;"
        f"sys.stdout.buffer.write(read_by_attaching(int(sys.argv[1]), 0, {len(TEXT)}).data)"
    )
    command = ("setpriv", "--bounding-set=-ipc_owner", sys.executable, "-c", program, str(segment.id))
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.stdout, done.stderr) == (TEXT, b"")
