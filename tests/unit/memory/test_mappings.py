"""Lines of /proc/PID/maps, and the mappings of processes."""

import mmap
import os
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containerlab_probes import codec
from containerlab_probes.errors import BadRequest, Gone
from containerlab_probes.memory import mappings
from containerlab_probes.memory.mappings import parse_maps, read_mapping
from containerlab_probes.memory_records import Backing, Mapping, Mappings, Storage
from containerlab_probes.processes.identity import identify
from containerlab_probes.processes.tree import read_process
from containerlab_probes.records import ContainerRun, ProcessId
from tests.support.kernel import running

SELF = ContainerRun("a" * 64, identify(os.getpid()))
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


def mapping(path: str, device: str = "00:32", deleted: bool = False) -> Mapping:
    return Mapping(ProcessId(7, 8), 1, 4096, 8192, "rw-s", 0, device, 9, path, deleted, 100)


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
        found = mappings.container_mappings(SELF, [process, process])
        late = mappings.container_mappings(SELF, [process], until=0.0)
    assert sum(one.shared for one in found.mappings) == mappings.MAPPINGS_LIMIT
    (sentence,) = found.unread
    assert re.fullmatch(r"Shared mappings: the first 32,000 of 80,0\d\d are listed\.", sentence)
    assert [one for one in found.mappings if not one.shared], "many shared mappings hide no private one"
    assert len({id(one.path) for one in found.mappings if one.path == str(file)}) == 1
    assert len(late.mappings) == 255
    assert late.unread == ("Mappings: 255 of more than 256 are listed; reading took too long.",)


def test_different_long_paths_are_listed_up_to_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    me = read_process(os.getpid())
    paths = {one.path for one in mappings.container_mappings(SELF, [me]).mappings if not one.shared}
    limit = sum(map(len, paths)) - 1
    monkeypatch.setattr(mappings, "PATHS_BYTES", limit)
    found = mappings.container_mappings(SELF, [me])
    private = {one.path for one in found.mappings if not one.shared}
    assert 0 < sum(map(len, private)) <= limit
    listed = sum(not one.shared for one in found.mappings)
    assert any(one.startswith(f"Private mappings: the first {listed} of ") for one in found.unread), found.unread


def test_storages_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    me = read_process(os.getpid())
    whole = mappings.container_mappings(SELF, [me])
    assert any(one.storage.host_path for one in whole.mappings)
    monkeypatch.setattr(mappings, "STORAGES_BYTES", 0)
    found = mappings.container_mappings(SELF, [me])
    reasons = {one.storage.reason for one in found.mappings}
    assert reasons == {"The container has too many and too long mount points."}


STORED = st.builds(
    Storage,
    st.none() | st.sampled_from(Backing),
    st.none() | st.sampled_from(["/0", "/upper/0", "/upper/1", "/other", "0", ""]),
    reason=st.sampled_from(["", "why"]),
)


@given(st.lists(st.tuples(st.integers(0, 3), STORED), max_size=8))
def test_packed_mappings_are_the_same(which: list[tuple[int, Storage]]) -> None:
    rows = [replace(mapping(f"/{number}", deleted=number == 3), storage=stored) for number, stored in which]
    made = Mappings(tuple(rows), ("why",))
    assert codec.unpack(codec.pack(made)) == made


def test_files_of_one_mount_are_packed_with_one_storage() -> None:
    rows = [
        replace(mapping(f"/srv/{name}"), storage=Storage(Backing.WRITABLE_LAYER, f"/upper/srv/{name}", "overlay", "/"))
        for name in ("a", "b", "c/d")
    ]
    packed = codec.pack(Mappings(tuple(rows)))
    assert [one.host_path for one in packed.storages] == ["/upper"]
    assert codec.unpack(packed).mappings == tuple(rows)
