"""Files of a container are reached below its root and never outside it."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from containerlab_probes.errors import BadRequest, Gone
from containerlab_probes.kernel import rootfs


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    """A directory that plays the container's root; a file of the same name lies outside it."""
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


def test_outside_is_not_reached(root: int, tmp_path: Path) -> None:
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


def test_loops_are_refused(root: int, tmp_path: Path) -> None:
    (tmp_path / "root/a").symlink_to("b")
    (tmp_path / "root/b").symlink_to("a")
    with pytest.raises(BadRequest, match="symbolic links"):
        rootfs.read_file(root, "/a")


@pytest.mark.parametrize("path", ["/proc/self/exe", "/proc/self/root/etc/passwd", "/proc/self/cwd", "/proc/self/fd/0"])
def test_magic_links_are_refused_for_what_they_are(path: str) -> None:
    """RESOLVE_NO_MAGICLINKS says ELOOP. RESOLVE_IN_ROOT alone says EXDEV, "not currently" safe (fs/namei.c)."""
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
def test_paths_that_are_none(root: int, path: str) -> None:
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
    with pytest.raises(Gone):
        rootfs.open_root(2**22 + 1)
