"""Lines of /proc/PID/maps, and where the bytes of a mapping are stored."""

import mmap
import os
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containerlab_probes import codec
from containerlab_probes.errors import BadRequest, Gone
from containerlab_probes.kernel.mounts import parse_mounts
from containerlab_probes.memory import mappings
from containerlab_probes.memory.mappings import (
    Volumes,
    backing_of,
    host_path_of,
    mount_of,
    parse_maps,
    paths_in_upper,
    read_mapping,
)
from containerlab_probes.processes.identity import identify
from containerlab_probes.processes.tree import read_process
from containerlab_probes.records import Backing, Mapping, Mappings, Mount, ProcessId
from tests.support.kernel import running

MAPS = r"""00400000-0041f000 r--p 0001f000 00:32 1475104                            /usr/bin/python3.11
30f33000-30fed000 rw-p 00000000 00:00 0                                  [heap]
7fb6c826e000-7fb6c826f000 rw-s 00000000 00:32 1525592                    /gone (deleted)
7fb6c826f000-7fb6c8270000 rw-s 00000000 00:32 1525565                    /odd (deleted)\012
7fb6c8270000-7fb6c8272000 rw-s 00000000 00:01 1026                       /dev/zero (deleted)
7fb6c82ba000-7fb6c8520000 rw-p 00000000 00:00 0
7fb6c8755000-7fb6c8762000 rw-p 00000000 00:00 0~
7fb6c8889000-7fb6c888a000 rw-s 00000000 00:01 1030                       [anon_shmem:name]
7fb6c888a000-7fb6c888b000 rw-s 00000000 00:0f 1031                       anon_inode:[io_uring]
7fb6c888b000-7fb6c888c000 rw-p 00000000 103:02 7                         / leading and trailing~
7fb6c888f000-7fb6c8890000 rw-s 00000000 00:32 1525432                    /plain.bin
7fb6c8890000-7fb6c8891000 rw-s 00000000 00:01 0                          /SYSV0000162e (deleted)
7ffdd8afa000-7ffdd8b1b000 rw-p 00000000 00:00 0                          [stack]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
""".replace("~", " ")


def test_maps_lines() -> None:
    lines = parse_maps(MAPS)
    assert [(line.path, line.deleted) for line in lines] == [
        ("/usr/bin/python3.11", False),
        ("/gone", True),
        ("/odd (deleted)\n", False),
        ("/dev/zero", True),
        ("[anon_shmem:name]", False),
        ("anon_inode:[io_uring]", False),
        ("/ leading and trailing ", False),
        ("/plain.bin", False),
        ("/SYSV0000162e", True),
    ]
    first = lines[0]
    assert (first.start, first.end, first.permissions) == (0x400000, 0x41F000, "r--p")
    assert (first.offset, first.device, first.inode, first.range) == (0x1F000, "00:32", 1475104, "400000-41f000")
    assert first.device_number == os.makedev(0, 50)
    assert lines[6].device_number == os.makedev(0x103, 2)


def test_a_truncated_last_line_is_omitted() -> None:
    assert [line.path for line in parse_maps(MAPS[:60])] == []


NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@given(NAMES.filter(lambda name: "\\012" not in name), st.booleans())
def test_any_path_is_read_back(name: str, deleted: bool) -> None:
    if name.endswith(" (deleted)"):
        return
    shown = ("/" + name).replace("\n", "\\012") + (" (deleted)" if deleted else "")
    text = f"7f0000000000-7f0000001000 rw-s 00000000 00:32 12{' ' * 20}{shown}\n"
    [line] = parse_maps(text)
    assert (line.path, line.deleted) == ("/" + name, deleted)


@given(st.text(alphabet="0123456789abcdef-rwxsp :/\\\n()deleted"))
def test_any_text_is_parsed(text: str) -> None:
    for line in parse_maps(text):
        assert line.path
        assert line.start >= 0


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


def test_lookups_stay_below_the_upper_directory(tmp_path: Path) -> None:
    upper, outside = tmp_path / "upper", tmp_path / "outside"
    upper.mkdir()
    outside.write_text("host")
    (upper / "file").write_text("x")
    (upper / "absolute").symlink_to(outside)
    (upper / "up").symlink_to("..")
    os.mkfifo(upper / "pipe")
    (upper / "gone").write_text("x")
    paths = ["/file", "/absolute", "/up/outside", "/../outside", str(outside), "/pipe", "/none", "relative", "[x]"]
    found = paths_in_upper([*map(mapping, paths), mapping("/gone", deleted=True)], str(upper))
    assert found == frozenset({"/file"})
    assert paths_in_upper([mapping("/file")], str(tmp_path / "none")) is None


def own_range(path: str) -> str:
    return next(line.range for line in mappings.read_maps(os.getpid()) if line.path == path)


def test_windows_of_a_file_of_this_process(tmp_path: Path) -> None:
    me, path = identify(os.getpid()), tmp_path / "mapped"
    path.write_bytes(bytes(range(256)) * 40)
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        range_ = own_range(str(path))
        window = read_mapping(me, range_, 250, 10)
        assert (window.offset, window.total, window.data) == (250, 10240, memory[250:260])
        assert read_mapping(me, range_, 10235, 100).data == memory[10235:]
        assert read_mapping(me, range_, 20000, 100).data == b""
        path.unlink()
        assert read_mapping(me, range_, 0, 4).data == memory[:4]
        with pytest.raises(Gone):
            read_mapping(ProcessId(me.pid, me.started + 1), range_, 0, 4)
    with pytest.raises(Gone):
        read_mapping(me, range_, 0, 4)


@pytest.mark.parametrize("range_", ["", "1", "../../fd/0", "0-1/../../root", "10-zz", "1-2-3", "1-2\n"])
def test_an_invalid_range(range_: str) -> None:
    with pytest.raises(BadRequest):
        read_mapping(identify(os.getpid()), range_, 0, 4)


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, 0), (0, 65537), (1 << 63, 1)])
def test_an_invalid_window(offset: int, length: int) -> None:
    with pytest.raises(BadRequest):
        read_mapping(identify(os.getpid()), "1-2", offset, length)


def test_a_device_is_not_read() -> None:
    with (
        open("/dev/zero", "rb") as file,
        mmap.mmap(file.fileno(), 4096, mmap.MAP_PRIVATE, mmap.PROT_READ),
        pytest.raises(BadRequest, match="device"),
    ):
        read_mapping(identify(os.getpid()), own_range("/dev/zero"), 0, 4)


@pytest.mark.parametrize("name", ["a (deleted)", "new\nline", "back\\012slash", "b (deleted)\n", "\udcff"])
@pytest.mark.parametrize("deleted", [False, True])
def test_ambiguous_names_in_maps(name: str, deleted: bool) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, name)
        fd = os.open(path, os.O_RDWR | os.O_CREAT)
        os.write(fd, b"x")
        with mmap.mmap(fd, 0):
            os.close(fd)
            if deleted:
                os.unlink(path)
            lines = [line for line in mappings.read_maps(os.getpid()) if line.path.startswith(directory)]
            assert [mappings._resolve_ambiguity(os.getpid(), line) for line in lines if line.is_ambiguous] in (
                [(path, deleted)],
                [],
            )
            assert [(line.path, line.deleted) for line in lines if not line.is_ambiguous] in ([(path, deleted)], [])
            assert len(lines) == 1


MANY = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.ftruncate(fd, 4096)
for _ in range(int(sys.argv[2])):
    assert libc.mmap(None, 4096, 3, 1, fd, 0) not in (None, (1 << 64) - 1)
"""


def test_the_first_of_many_mappings_are_listed(tmp_path: Path) -> None:
    file = tmp_path / "file"
    with running(MANY, str(file), "40000") as process:
        found = mappings.container_mappings(identify(os.getpid()), [process, process])
        late = mappings.container_mappings(identify(os.getpid()), [process], until=0.0)
    assert sum(one.shared for one in found.mappings) == mappings.MAPPINGS_LIMIT
    (sentence,) = found.unread
    assert re.fullmatch(r"Shared mappings: the first 32,000 of 80,0\d\d are listed\.", sentence)
    assert [one for one in found.mappings if not one.shared], "many shared mappings hide no private one"
    assert len({id(one.path) for one in found.mappings if one.path == str(file)}) == 1
    assert len(late.mappings) == 255
    assert late.unread == ("Mappings: 255 of more than 256 are listed; reading took too long.",)


def test_different_long_paths_are_listed_up_to_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    me = read_process(os.getpid())
    paths = {one.path for one in mappings.container_mappings(me.id, [me]).mappings if not one.shared}
    limit = sum(map(len, paths)) - 1
    monkeypatch.setattr(mappings, "PATHS_BYTES", limit)
    found = mappings.container_mappings(me.id, [me])
    private = {one.path for one in found.mappings if not one.shared}
    assert 0 < sum(map(len, private)) <= limit
    listed = sum(not one.shared for one in found.mappings)
    assert any(one.startswith(f"Private mappings: the first {listed} of ") for one in found.unread), found.unread


@given(st.lists(st.integers(0, 3), max_size=8), st.sets(st.integers(0, 3)))
def test_packed_mappings_are_the_same(which: list[int], above: set[int]) -> None:
    paths = [f"/{number}" for number in range(4)]
    made = Mappings(tuple(mapping(paths[one], deleted=one == 3) for one in which), (), ("why",))
    upper = frozenset(paths[one] for one in above)
    assert codec.unpack(codec.pack(made, upper)) == (made, upper & {one.path for one in made.mappings})
    assert codec.unpack(codec.pack(made, None)) == (made, None)
