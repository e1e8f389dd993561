"""Where the bytes of a mapping are stored."""

import pytest

from containerlab_probes.kernel.mounts import parse_mounts
from containerlab_probes.memory.backing import Volumes, backing_of, host_path_of, mount_of
from containerlab_probes.records import Backing, Mapping, Mount, ProcessId

MOUNTINFO = r"""109 61 0:50 / / rw,relatime master:3 - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w
111 109 0:54 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755
125 111 0:58 / /dev/shm rw,nosuid,nodev,noexec,relatime - tmpfs shm rw,size=65536k
126 109 254:0 /tmp/app.py /t.py ro,relatime - ext4 /dev/vda rw
127 109 254:0 /srv/docker/volumes/vol/_data /vol rw,relatime master:1 - ext4 /dev/vda rw
128 109 254:0 /srv/docker/containers/6a/hosts /etc/hosts rw,relatime - ext4 /dev/vda rw
129 109 254:0 /home/a\040b\011c\012d\134e /run/data rw,relatime - ext4 /dev/vda rw
130 109 0:70 / /tmp rw - tmpfs tmpfs rw
"""
MOUNTS = tuple(parse_mounts(MOUNTINFO))
VOLUMES: Volumes = {
    "/t.py": ("bind", "/tmp/app.py"),
    "/vol/": ("volume", "/srv/docker/volumes/vol/_data"),
    "/var/run/data": ("bind", "/home/a b\tc\nd\\e"),
}


def mapping(path: str, device: str = "00:32", deleted: bool = False) -> Mapping:
    return Mapping(ProcessId(7, 8), 1, 4096, 8192, "rw-s", 0, device, 9, path, deleted, 100)


CASES = [
    (mapping("/plain.bin"), True, Backing.WRITABLE_LAYER, "/upper/plain.bin"),
    (mapping("/usr/bin/python"), False, Backing.IMAGE, "/merged/usr/bin/python"),
    (mapping("/usr/bin/python"), None, None, None),
    (mapping("/usr/bin/python", "fe:00"), False, Backing.IMAGE, "/merged/usr/bin/python"),
    (mapping("/vol/a/b", "fe:00"), None, Backing.VOLUME, "/srv/docker/volumes/vol/_data/a/b"),
    (mapping("/vol/a/b", "fe:00"), True, Backing.VOLUME, "/srv/docker/volumes/vol/_data/a/b"),
    (mapping("/t.py", "fe:00"), None, Backing.BIND, "/tmp/app.py"),
    (mapping("/run/data/x", "fe:00"), None, Backing.BIND, "/home/a b\tc\nd\\e/x"),
    (mapping("/etc/hosts", "fe:00"), None, None, None),
    (mapping("/dev/shm/sh", "00:3a"), None, Backing.TMPFS, None),
    (mapping("/tmp/x", "00:46"), None, Backing.TMPFS, None),
    (mapping("/volume/x"), False, Backing.IMAGE, "/merged/volume/x"),
    (mapping("/vol/x", "00:99"), None, None, None),
    (mapping("/dev/zero", "00:01", deleted=True), None, Backing.ANONYMOUS_SHARED, None),
    (mapping("/memfd:a\nb", "00:01", deleted=True), None, Backing.ANONYMOUS_SHARED, None),
    (mapping("[anon_shmem:name]", "00:01"), None, Backing.ANONYMOUS_SHARED, None),
    (mapping("/SYSV0000162e", "00:01", deleted=True), None, Backing.SYSV, None),
    (mapping("/plain.bin", deleted=True), False, Backing.DELETED, None),
    (mapping("/dev/shm/a", "00:3a", deleted=True), None, Backing.DELETED, None),
    (mapping("anon_inode:[io_uring]", "00:0f"), None, None, None),
    # Misleading names that a container gives to its deleted files.
    (mapping("/SYSV0000162e", deleted=True), False, Backing.DELETED, None),
    (mapping("/memfd:x", "00:3a", deleted=True), None, Backing.DELETED, None),
    (mapping("/SYSV0000162e\n", "00:01", deleted=True), None, Backing.DELETED, None),
]


@pytest.mark.parametrize(("one", "in_upper", "backing", "host_path"), CASES)
def test_where_bytes_are_stored(
    one: Mapping, in_upper: bool | None, backing: Backing | None, host_path: str | None
) -> None:
    assert backing_of(one, MOUNTS, VOLUMES, in_upper) is backing
    assert host_path_of(one, backing, MOUNTS, VOLUMES, merged_dir="/merged", upper_dir="/upper") == host_path


def test_without_directories_there_is_no_host_path() -> None:
    for backing in (Backing.IMAGE, Backing.WRITABLE_LAYER):
        assert host_path_of(mapping("/a"), backing, MOUNTS, {}, merged_dir="", upper_dir="") is None


def test_a_mount_that_covers_another() -> None:
    below, above = Mount("0:5", "/", "/data", "ext4", "a"), Mount("0:6", "/", "/data", "tmpfs", "b")
    assert mount_of(mapping("/data/x", "00:05"), (MOUNTS[0], below, above)) == below
    assert mount_of(mapping("/data/x", "00:06"), (MOUNTS[0], below, above)) == above


def test_a_tmpfs_that_the_engine_mounted_for_a_volume() -> None:
    assert backing_of(mapping("/tmp/x", "00:46"), MOUNTS, {"/tmp": ("tmpfs", "")}, None) is Backing.TMPFS
    assert backing_of(mapping("/tmp/x", "00:46"), MOUNTS, {"/tmp": ("bind", "/run")}, None) is Backing.BIND


@pytest.mark.parametrize(
    ("root", "source", "backing"),
    [
        ("/srv/data", "/srv/data", Backing.BIND),
        ("/data", "/mnt/disk/data", Backing.BIND),
        ("/@rootfs/srv/data", "/srv/data", Backing.BIND),
        ("/@rootfs/srv/data", "/srv/other", None),
        ("/@rootfs/srv/data", "/ata", None),
        ("/@rootfs/srv/data", "/", None),
    ],
)
def test_a_bind_mount_whose_target_was_a_link_is_found_by_its_source(
    root: str, source: str, backing: Backing | None
) -> None:
    mounts = parse_mounts(f"70 60 0:50 {root} /run/data rw - btrfs /dev/vda rw\n")
    found = backing_of(mapping("/run/data/x", "00:32"), mounts, {"/var/run/data": ("bind", source)}, None)
    assert found is backing
