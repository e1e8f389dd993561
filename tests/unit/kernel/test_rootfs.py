"""Files of a container are opened below its root and never outside it."""

import ctypes
import errno
import fcntl
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from containerlab_probes.errors import BadRequest, ContainerlabError, Denied, Gone, Unsupported
from containerlab_probes.kernel import rootfs


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    """A directory that stands for the container's root; a file with the same name is outside it."""
    inside = tmp_path / "root"
    (inside / "etc").mkdir(parents=True)
    (inside / "etc/passwd").write_text("inside")
    (tmp_path / "secret").write_text("outside")
    fd = os.open(inside, os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


@pytest.mark.parametrize("path", ["/etc/passwd", "etc/passwd", "/../../etc/passwd", "/etc/../etc/./passwd"])
def test_paths_start_at_the_root(root: int, path: str) -> None:
    assert rootfs.read_file(root, path) == b"inside"


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../../../etc/passwd"])
def test_symbolic_links_stay_inside(root: int, tmp_path: Path, target: str) -> None:
    (tmp_path / "root/link").symlink_to(target)
    assert rootfs.read_file(root, "/link") == b"inside"


def test_files_outside_the_root_are_not_opened(root: int, tmp_path: Path) -> None:
    (tmp_path / "root/link").symlink_to(tmp_path / "secret")
    for path in ("/link", "/../secret", str(tmp_path / "secret")):
        with pytest.raises(Gone):
            rootfs.read_file(root, path)


def test_only_regular_files_are_read(root: int, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "root/fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "root/socket"))
    for path in ("/fifo", "/socket", "/etc"):
        with pytest.raises(BadRequest, match="regular"):
            rootfs.read_file(root, path)


def refused(root: int, path: str, flags: int | None = None) -> str:
    """The sentence of a refusal to open or, without flags, to read."""
    with pytest.raises(ContainerlabError) as caught:
        rootfs.read_file(root, path) if flags is None else rootfs.open_in_root(root, path, flags)
    return str(caught.value)


def test_a_refusal_names_the_path_and_the_reason(root: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "'/none'" in refused(root, "/none")
    assert "no such file" in refused(root, "/none", os.O_RDONLY)
    assert r"'a\x00b'" in refused(root, "a\0b")
    assert "'/etc'" in refused(root, "/etc")
    with pytest.raises(Unsupported, match="'/etc/passwd'"):
        rootfs.read_file(root, "/etc/passwd", offset=-1)
    monkeypatch.setattr(rootfs, "libc", WithoutOpenat2())
    assert "openat2" in refused(root, "/etc/passwd")


class WithoutOpenat2:
    """The C library on a kernel before Linux 5.6."""

    def syscall(self, number: int, *arguments: object) -> int:
        ctypes.set_errno(errno.ENOSYS)
        return -1


def test_loops_are_refused(root: int, tmp_path: Path) -> None:
    (tmp_path / "root/a").symlink_to("b")
    (tmp_path / "root/b").symlink_to("a")
    with pytest.raises(BadRequest, match="symbolic links"):
        rootfs.read_file(root, "/a")


@pytest.mark.parametrize("path", ["/proc/self/exe", "/proc/self/root/etc/passwd", "/proc/self/cwd", "/proc/self/fd/0"])
def test_magic_links_are_refused_for_what_they_are(path: str) -> None:
    """RESOLVE_NO_MAGICLINKS gives ELOOP. RESOLVE_IN_ROOT alone gives EXDEV, "not currently" safe (fs/namei.c)."""
    slash = os.open("/", os.O_PATH)
    try:
        with pytest.raises(BadRequest, match="Too many levels of symbolic links"):
            os.close(rootfs.open_in_root(slash, path))
    finally:
        os.close(slash)


def test_reads_are_bounded_and_windowed(root: int) -> None:
    assert rootfs.read_file(root, "/etc/passwd", limit=3) == b"ins"
    assert rootfs.read_file(root, "/etc/passwd", limit=3, offset=2) == b"sid"


@pytest.mark.parametrize("path", ["", "a\0b", "x" * 5000])
def test_invalid_paths(root: int, path: str) -> None:
    with pytest.raises(BadRequest):
        rootfs.read_file(root, path)


def test_the_root_of_a_process() -> None:
    fd = rootfs.open_root(os.getpid())
    try:
        opened = rootfs.open_in_root(fd, str(Path(__file__).resolve()))
        assert os.path.samestat(os.fstat(opened), os.stat(__file__))
        os.close(opened)
    finally:
        os.close(fd)
    with pytest.raises(Gone, match=rf"process {2**22 + 1}\b.*exited"):
        rootfs.open_root(2**22 + 1)


NOBODY = 65534


@contextmanager
def nobody() -> Iterator[None]:
    """Runs the block with the rights of an ordinary user."""
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes an ordinary user's rights for a while, which needs root")


def flags_of(fd: int) -> int:
    """The flags of an open file, which is closed."""
    try:
        assert not os.get_inheritable(fd)
        return fcntl.fcntl(fd, fcntl.F_GETFL)
    finally:
        os.close(fd)


def test_what_is_opened_has_the_flags_that_were_asked_for(root: int) -> None:
    assert flags_of(rootfs.open_root(os.getpid())) & os.O_PATH
    assert flags_of(rootfs.open_in_root(root, "/etc/passwd")) & os.O_PATH
    opened = flags_of(rootfs.open_in_root(root, "/etc/passwd", os.O_RDWR | os.O_NONBLOCK))
    assert opened & (os.O_PATH | os.O_RDWR | os.O_NONBLOCK) == os.O_RDWR | os.O_NONBLOCK
    assert flags_of(rootfs.open_file(root, "/etc/passwd")) & (os.O_PATH | os.O_NONBLOCK) == os.O_NONBLOCK


def test_beside_o_path_what_the_kernel_refuses_there_is_left_out(root: int, tmp_path: Path) -> None:
    (tmp_path / "root/link").symlink_to("etc/passwd")
    assert flags_of(rootfs.open_in_root(root, "/etc/passwd", os.O_PATH | os.O_NONBLOCK | os.O_APPEND)) & os.O_PATH
    with pytest.raises(BadRequest, match="Not a directory"):
        rootfs.open_in_root(root, "/etc/passwd", os.O_PATH | os.O_DIRECTORY)
    link = rootfs.open_in_root(root, "/link", os.O_PATH | os.O_NOFOLLOW)
    assert stat.S_ISLNK(os.fstat(link).st_mode)
    os.close(link)


@as_root
@pytest.mark.parametrize("mode", [0o000, 0o600])
def test_without_the_right_to_read_it_is_denied(root: int, tmp_path: Path, mode: int) -> None:
    (tmp_path / "root/etc/passwd").chmod(mode)
    with nobody(), pytest.raises(Denied, match=r"'/etc/passwd'.*: not permitted; run this with sudo"):
        rootfs.read_file(root, "/etc/passwd")


@as_root
def test_each_refusal_of_the_kernel_is_a_denial(root: int, tmp_path: Path) -> None:
    with nobody(), pytest.raises(Denied):  # EPERM: only the owner may ask for this
        rootfs.open_in_root(root, "/etc/passwd", os.O_RDONLY | os.O_NOATIME)
    (tmp_path / "root/etc").chmod(0o700)
    with nobody(), pytest.raises(Denied):  # EACCES
        rootfs.open_in_root(root, "/etc/passwd")
    with nobody(), pytest.raises(Denied, match=r"process 1: it needs root \(CAP_SYS_PTRACE\)"):
        rootfs.open_root(1)


def test_an_error_of_reading_is_named(root: int) -> None:
    with pytest.raises(Unsupported, match="Invalid argument"):
        rootfs.read_file(root, "/etc/passwd", offset=-1)


def test_nothing_stays_open(root: int, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "root/fifo")
    before = len(os.listdir("/proc/self/fd"))
    rootfs.read_file(root, "/etc/passwd")
    for path, offset in (("/fifo", 0), ("/none", 0), ("/etc/passwd", -1)):
        with pytest.raises((BadRequest, Gone, Unsupported)):
            rootfs.read_file(root, path, offset=offset)
    assert len(os.listdir("/proc/self/fd")) == before


def opened_once(root: int, path: str) -> bool:
    """Whether one call of openat2 (RESOLVE_IN_ROOT) opens the path; False: it gives EAGAIN."""
    how = (ctypes.c_uint64 * 3)(os.O_PATH, 0, 0x10)
    fd = libc.syscall(437, root, path.encode(), how, ctypes.sizeof(how))
    if fd < 0:
        assert ctypes.get_errno() == errno.EAGAIN
        return False
    os.close(fd)
    return True


libc = ctypes.CDLL(None, use_errno=True)
RENAMER = (
    "import os, sys; os.chdir(sys.argv[1]); print(flush=True)\nwhile True: os.rename('a', 'b'); os.rename('b', 'a')"
)


def test_a_rename_at_the_wrong_moment_is_no_failure(root: int, tmp_path: Path) -> None:
    """openat2 gives EAGAIN where `..` meets a rename anywhere on the machine (fs/namei.c, handle_dots)."""
    (tmp_path / "a").mkdir()
    path, met = "/etc/.." * 5 + "/etc/passwd", 0
    with subprocess.Popen((sys.executable, "-c", RENAMER, str(tmp_path)), stdout=subprocess.PIPE) as renaming:
        try:
            assert renaming.stdout is not None
            renaming.stdout.readline()
            for _ in range(200_000):
                met += not opened_once(root, path)
                os.close(rootfs.open_in_root(root, path))
                if met >= 30:
                    return
        finally:
            renaming.kill()
    pytest.skip(f"only {met} calls met a rename: too few processors")
