"""Paths on the host of files that are known by file system and path inside it."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from containerlab_probes.kernel.host_mounts import HostMounts
from containerlab_probes.kernel.local import CachedState, state_behind
from containerlab_probes.kernel.mounts import parse_mounts

TABLE = """27 1 254:0 / / rw - ext4 /dev/vda rw
30 27 254:1 / @/covered rw - ext4 /dev/vdb rw
31 27 254:0 @/a @/again rw - ext4 /dev/vda rw
32 27 254:0 @/a/one @/single rw - ext4 /dev/vda rw
33 27 0:70 /sub @/tmp rw - tmpfs tmpfs rw
34 27 0:80 / @/fuse rw - fuse.sshfs x rw
35 34 254:0 / @/fuse/root rw - ext4 /dev/vda rw
37 27 0:6 / @/dev rw - devtmpfs devtmpfs rw
38 37 0:91 / @/dev/shm rw - tmpfs tmpfs rw
36 27 0:90 / @/nfs rw - nfs4 server:/x rw
"""
"""Mounts of a host; `@` is the directory of the test."""


@pytest.fixture
def host(tmp_path: Path) -> HostMounts:
    for name in ("a/d", "covered", "again/d", "tmp", "other"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "a/d/file").write_text("x")
    (tmp_path / "a/one").write_text("one")
    (tmp_path / "again/d").rmdir()
    return HostMounts(parse_mounts(TABLE.replace("@", str(tmp_path))))


def shown(path: Path) -> CachedState:
    state = state_behind(str(path))
    assert state is not None
    return state


def test_the_same_file_of_the_host(host: HostMounts, tmp_path: Path) -> None:
    file = tmp_path / "a/d/file"
    assert host.path_of("254:0", str(file), shown(file)) == str(file)
    assert host.path_of("254:0", str(file), replace(shown(file), inode=1)) is None
    assert host.path_of("254:0", str(file), replace(shown(file), on_device=1)) is None
    assert host.path_of("254:0", str(file), None) is None
    assert host.path_of("254:0", f"{file}//deleted", shown(file)) is None
    assert host.path_of("254:9", str(file), shown(file)) is None


def test_a_covered_path_is_not_the_host_s(host: HostMounts, tmp_path: Path) -> None:
    (tmp_path / "covered/file").write_text("x")
    hidden = tmp_path / "covered/file"
    assert host.path_of("254:0", str(hidden), shown(hidden)) is None
    assert host.path_of("254:1", "/file", shown(hidden)) == str(hidden)


def test_a_directory_and_a_file_that_are_mounted_alone(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("x")
    (tmp_path / "one").write_text("x")
    text = f"33 1 0:70 /sub {tmp_path} rw - tmpfs tmpfs rw\n34 1 0:70 /sub/x {tmp_path}/one rw - tmpfs tmpfs rw\n"
    alone = HostMounts(parse_mounts(text))
    assert alone.path_of("0:70", "/sub/kept", shown(tmp_path / "kept")) == str(tmp_path / "kept")
    assert alone.path_of("0:70", "/sub/x", shown(tmp_path / "one")) == str(tmp_path / "one")
    assert alone.path_of("0:70", "/other/kept", shown(tmp_path / "kept")) is None
    assert alone.points_of("0:70") == [str(tmp_path), f"{tmp_path}/one"]
    assert alone.points_of("0:71") == []


def test_links_on_the_way_are_not_followed(host: HostMounts, tmp_path: Path) -> None:
    file = tmp_path / "a/d/file"
    (tmp_path / "other/link").symlink_to(tmp_path / "a/d")
    (tmp_path / "other/file").symlink_to(file)
    for path in ("other/link/file", "other/file"):
        assert host.path_of("254:0", str(tmp_path / path), shown(file)) is None
    assert host.path_of("0:70", "/sub/../a/d/file", shown(file)) is None


def test_what_may_block_is_not_opened(host: HostMounts, tmp_path: Path) -> None:
    """A FUSE or NFS server may never answer: then the mount table alone tells the path."""
    assert host.may_open(str(tmp_path / "a/d"))
    for name in ("fuse/x", "fuse", "fuse/root/x", "nfs/x"):
        assert not host.may_open(str(tmp_path / name))
    assert not host.may_open("relative")
    assert host.path_of("0:80", "/a/b", None) == f"{tmp_path}/fuse/a/b"
    assert host.path_of("0:90", "/a/b", None) == f"{tmp_path}/nfs/a/b"
    assert not (tmp_path / "fuse").exists()


def test_a_mount_below_a_tree_of_the_kernel(host: HostMounts, tmp_path: Path) -> None:
    (tmp_path / "dev/shm").mkdir(parents=True)
    (tmp_path / "dev/shm/x").write_text("x")
    assert host.path_of("0:91", "/x", shown(tmp_path / "dev/shm/x")) == f"{tmp_path}/dev/shm/x"


def test_a_path_that_is_missing_is_not_reported(host: HostMounts, tmp_path: Path) -> None:
    state = shown(tmp_path / "a/d/file")
    assert host.path_of("254:0", str(tmp_path / "a/d/none"), state) is None
    assert host.path_of("254:1", "/none/file", state) is None
    before = len(os.listdir("/proc/self/fd"))
    assert host.path_of("254:0", str(tmp_path / "a/d/file"), state)
    assert len(os.listdir("/proc/self/fd")) == before
