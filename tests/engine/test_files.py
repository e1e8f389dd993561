"""Mapped files of real containers: where each is stored, and that bytes are read from there and nowhere else."""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from containerlab_probes.client import ProbeClient
from containerlab_probes.errors import BadRequest, Gone
from containerlab_probes.memory_records import Backing, Mapping, Storage
from containerlab_probes.records import ProcessId
from tests.support.docker import Containers, Docker, eventually, hand_over

BASE = "containerlab/base:latest"

PROGRAM = r"""
import ctypes, mmap, os, signal, sys
def mapped(path, length=501, text=b"", shared=True):
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.ftruncate(fd, length)
    os.pwrite(fd, text or path.encode(), 0)
    memory = mmap.mmap(fd, length, mmap.MAP_SHARED if shared else mmap.MAP_PRIVATE)
    os.close(fd)
    return memory
kept = []
for directory in ("/srv", "/dev/shm", "/volume", "/bind", "/scratch", "/var/run/linked"):
    kept.append(mapped(directory + "/file"))
kept.append(mapped("/single"))
kept.append(mapped("/srv/private", shared=False))
kept.append(mapped("/srv/deleted"))
os.unlink("/srv/deleted")
anonymous = mmap.mmap(-1, 8192)
anonymous[:9] = b"anonymous"
memory_file = os.memfd_create("in memory")
os.ftruncate(memory_file, 300)
os.pwrite(memory_file, b"memfd", 0)
kept.append(mmap.mmap(memory_file, 300))
image = os.open("/etc/debian_version", os.O_RDONLY)
kept.append(mmap.mmap(image, 0, mmap.MAP_SHARED, mmap.PROT_READ))
libc = ctypes.CDLL(None)
libc.shmat.restype, libc.shmat.argtypes = ctypes.c_void_p, (ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
address = libc.shmat(libc.shmget(5678, 27, 0o1600), None, 0)
ctypes.memmove(address, b"segment", 7)
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
exec(sys.argv[1])
print("ready", flush=True)
while True:
    signal.pause()
"""


@dataclass
class Found:
    """A container's mappings, with its inspect data."""

    client: ProbeClient
    inspected: dict[str, Any]

    def __post_init__(self) -> None:
        self.mappings = self.client.maps()

    def at(self, path: str) -> Mapping:
        return next(one for one in self.mappings.mappings if one.path == path)

    def storage(self, path: str) -> Storage:
        return self.at(path).storage

    def backing(self, path: str) -> Backing | None:
        return self.storage(path).backing

    def read(self, path: str, offset: int = 0, length: int = 100) -> bytes:
        one = self.at(path)
        return self.client.read_mapping(one.id, one.range, offset, length).data


@pytest.fixture
def look(docker: Docker) -> Iterator[Callable[[str], Found]]:
    """Returns a function that reads the mappings of a container by name."""
    with contextlib.ExitStack() as clients:

        def make(name: str) -> Found:
            [inspected] = json.loads(docker("inspect", name))
            client = ProbeClient(docker.run_of(name))
            return Found(clients.enter_context(contextlib.closing(client)), inspected)

        yield make


Look = Callable[[str], Found]


@pytest.fixture
def full(docker: Docker, container: Containers, look: Look, bind_path: Path) -> Found:
    """Runs a container with every kind of mapping."""
    (bind_path / "bound").mkdir()
    (bind_path / "linked").mkdir()
    (bind_path / "single").touch()
    hand_over(bind_path)
    options = (
        *("--volume=/volume", f"--volume={bind_path}/bound:/bind", f"--volume={bind_path}/single:/single"),
        *(f"--volume={bind_path}/linked:/var/run/linked", "--tmpfs=/scratch"),
    )
    return look(container(BASE, "python3", "-c", PROGRAM, "", options=options, ready="ready"))


def test_storage_of_mappings(full: Found, bind_path: Path) -> None:
    expected = {
        "/srv/file": Backing.WRITABLE_LAYER,
        "/srv/private": Backing.WRITABLE_LAYER,
        "/srv/deleted": Backing.DELETED,
        "/dev/shm/file": Backing.TMPFS,
        "/scratch/file": Backing.TMPFS,
        "/volume/file": Backing.BIND,
        "/bind/file": Backing.BIND,
        "/single": Backing.BIND,
        "/run/linked/file": Backing.BIND,
        "/etc/debian_version": Backing.IMAGE,
        "/dev/zero": Backing.ANONYMOUS_SHARED,
        "/memfd:in memory": Backing.ANONYMOUS_SHARED,
        "/SYSV0000162e": Backing.SYSV,
    }
    assert {path: full.backing(path) for path in expected} == expected
    for path in expected:
        host_path = full.storage(path).host_path
        if host_path:
            assert Path(host_path).read_bytes()[:100] == full.read(path)
    assert full.storage("/bind/file").host_path == f"{bind_path}/bound/file"
    assert full.storage("/single").host_path == f"{bind_path}/single"
    assert full.storage("/run/linked/file").host_path == f"{bind_path}/linked/file"


def test_contents_of_mappings(full: Found) -> None:
    for path in ("/srv/file", "/srv/private", "/srv/deleted", "/dev/shm/file", "/scratch/file", "/volume/file"):
        assert full.read(path) == path.encode().ljust(100, b"\0")
        assert full.at(path).file_bytes == 501
    assert full.read("/dev/zero", 0, 12) == b"anonymous\0\0\0"
    assert full.read("/memfd:in memory", 0, 6) == b"memfd\0"
    assert full.read("/SYSV0000162e") == b"segment".ljust(27, b"\0")
    assert full.read("/srv/file", 498, 100) == b"\0\0\0"
    assert full.read("/srv/file", 501, 100) == b""


def test_shared_private_and_permissions(full: Found) -> None:
    assert (full.at("/srv/file").shared, full.at("/srv/file").permissions) == (True, "rw-s")
    assert (full.at("/srv/private").shared, full.at("/srv/private").permissions) == (False, "rw-p")
    assert (full.at("/etc/debian_version").shared, full.at("/etc/debian_version").permissions) == (True, "r--s")
    assert full.at("/srv/deleted").deleted
    assert full.at("/srv/file").container_pid == 1
    assert full.mappings.unread == ()


def test_sizes_are_those_that_stat_gives(docker: Docker, full: Found) -> None:
    paths = sorted({one.path for one in full.mappings.mappings if not one.deleted and one.path.startswith("/")})
    shown = docker("exec", full.inspected["Name"].lstrip("/"), "stat", "--format=%s %n", *paths)
    assert shown.splitlines() == [f"{full.at(path).file_bytes} {path}" for path in paths]
    assert len(paths) > 12


def test_processes_of_docker_exec_and_children(docker: Docker, container: Containers, look: Look) -> None:
    name = container("mmap-shm", ready="ready")
    docker("exec", name, "writer")
    docker("exec", "--detach", name, "holder")

    def holders() -> Found | None:
        found = look(name)
        return found if len([one for one in found.mappings.mappings if one.path == "/srv/shm.txt"]) == 2 else None

    found = eventually(holders, "the holder and its child have the file mapped")
    assert found is not None
    for path, backing in (
        ("/srv/shm.txt", Backing.WRITABLE_LAYER),
        ("/dev/zero", Backing.ANONYMOUS_SHARED),
        ("/dev/shm/containerlab", Backing.TMPFS),
    ):
        assert len({one.id for one in found.mappings.mappings if one.path == path}) == 2
        assert found.backing(path) is backing
    assert found.read("/srv/shm.txt", 0, 26) == b"abcdefghijklmnopqrstuvwxyz"
    eventually(lambda: found.read("/dev/zero", 0, 17) == b"the child's words", "the child has written")
    host_path = found.storage("/srv/shm.txt").host_path
    docker("stop", name)
    docker("start", name)
    assert docker("exec", name, "reader").startswith("a b c d e f g")
    assert host_path is not None
    assert Path(host_path).stat().st_size == 501


SAME_PATH = """
os.makedirs(os.path.dirname(SECRET), exist_ok=True)
kept.append(mapped(SECRET, text=b"the container's own"))
os.makedirs("/links")
os.symlink(SECRET, "/links/absolute")
os.symlink("../../../.." + SECRET, "/links/up")
kept.append(mapped("/links/absolute", text=b"the container's own"))
kept.append(mapped("/links/up", text=b"the container's own"))
"""
MOVED = """
for place in ("gone", "swapped"):
    os.makedirs("/trap/" + place)
    kept.append(mapped("/trap/" + place + "/secret", text=b"the container's own"))
os.unlink("/trap/gone/secret")
os.symlink(SECRET, "/trap/gone/secret")
os.rename("/trap/swapped", "/trap/away")
os.symlink(os.path.dirname(SECRET), "/trap/swapped")
"""


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Creates a file of the host that no container may make the program read."""
    path = tmp_path / "secret"
    path.write_text("the host's secret")
    return path


def trap(container: Containers, program: str, secret: Path) -> str:
    options = ("--tmpfs=/bind", "--tmpfs=/volume", "--tmpfs=/var/run/linked", "--tmpfs=/scratch")
    code = program.replace("SECRET", repr(str(secret)))
    return container(BASE, "python3", "-c", PROGRAM, code, options=options, ready="ready")


def test_a_path_that_the_host_has_too(container: Containers, look: Look, secret: Path) -> None:
    found = look(trap(container, SAME_PATH, secret))
    mappings = [one for one in found.mappings.mappings if one.path == str(secret)]
    assert len(mappings) == 3
    for one in mappings:
        window = found.client.read_mapping(one.id, one.range, 0, 19)
        assert window.data == b"the container's own"
    assert found.backing(str(secret)) is Backing.WRITABLE_LAYER
    host_path = found.storage(str(secret)).host_path
    assert host_path is not None
    assert host_path != str(secret)
    assert host_path.endswith(str(secret))
    assert secret.read_text() == "the host's secret"


def test_links_in_place_of_a_mapped_file(container: Containers, look: Look, secret: Path) -> None:
    found = look(trap(container, MOVED, secret))
    assert found.at("/trap/gone/secret").deleted
    assert found.backing("/trap/gone/secret") is Backing.DELETED
    assert found.backing("/trap/away/secret") is Backing.WRITABLE_LAYER
    for path in ("/trap/gone/secret", "/trap/away/secret"):
        assert found.read(path, 0, 19) == b"the container's own"


def test_deceptive_names(container: Containers, look: Look, secret: Path) -> None:
    program = r"""
for name in ("/srv/x (deleted)", "/srv/new\nline", "/srv/back\\012slash", "/srv/\x1b[31mred"):
    kept.append(mapped(name))
kept += [mapped("/SYSV00000001"), mapped("/memfd:x")]
os.unlink("/SYSV00000001"); os.unlink("/memfd:x")
"""
    found = look(trap(container, program, secret))
    for path in ("/srv/x (deleted)", "/srv/new\nline", "/srv/back\\012slash", "/srv/\x1b[31mred"):
        assert (found.at(path).deleted, found.backing(path)) == (False, Backing.WRITABLE_LAYER)
        assert found.read(path, 0, len(path)) == path.encode()
    for path in ("/SYSV00000001", "/memfd:x"):
        assert (found.at(path).deleted, found.backing(path)) == (True, Backing.DELETED)


def test_only_the_container_s_processes_are_read(container: Containers, look: Look, full: Found) -> None:
    other = look(container("mmap-shm", ready="ready"))
    one = full.at("/srv/file")
    with pytest.raises(Gone, match="does not belong to this container"):
        other.client.read_mapping(one.id, one.range, 0, 10)
    with pytest.raises(Gone, match="does not belong to this container"):
        full.client.read_mapping(ProcessId(one.id.pid, one.id.started + 1), one.range, 0, 10)
    with pytest.raises(Gone):
        full.client.read_mapping(one.id, "1000-2000", 0, 10)
    with pytest.raises(BadRequest):
        full.client.read_mapping(one.id, "../../root", 0, 10)


def test_a_container_from_scratch(container: Containers, look: Look) -> None:
    found = look(container("scratch-static"))
    assert {one.path for one in found.mappings.mappings} == {"/sleep"}
    assert found.backing("/sleep") is Backing.IMAGE
    assert found.read("/sleep", 0, 4) == b"\x7fELF"


def test_a_container_that_vanishes(docker: Docker, full: Found) -> None:
    one = full.at("/srv/file")
    docker("rm", "--force", "--volumes", full.inspected["Name"].lstrip("/"))
    with pytest.raises(Gone):
        full.client.read_mapping(one.id, one.range, 0, 10)
    with pytest.raises(Gone):
        full.client.maps()
