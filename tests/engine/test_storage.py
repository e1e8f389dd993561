"""Where the bytes of mapped files are: the reported path on the host is the same file, on every engine.

Each expectation is compared with the file that the container itself sees: device, inode and bytes. The layer of an
overlay has another device, and a file that was copied up another inode: there, bytes written in the container have to
appear in the file on the host.
"""

import contextlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from containerlab_probes.client import ProbeClient
from containerlab_probes.kernel.host_mounts import HostMounts
from containerlab_probes.kernel.mounts import read_mounts
from containerlab_probes.kernel.overlay import LayerNames
from containerlab_probes.kernel.rootfs import open_in_root, open_root
from containerlab_probes.memory.mappings import container_mappings
from containerlab_probes.memory_records import Backing, Mapping, Storage
from containerlab_probes.processes.tree import list_processes
from containerlab_tui.engine.lab_client import REGISTRY
from tests.engine.marks import shares_ipc_of_host
from tests.engines import matrix, shared
from tests.support.docker import Containers, Docker, hand_over

BASE = "containerlab/base:latest"
ODD = " a\n,\\b:c (deleted)=é"
"""A name with what mountinfo, maps and the options of an overlay escape, or don't."""
ODD_BIND = " a\n,\\b é"

PROGRAM = r"""
import mmap, os, signal
kept = []
def mapped(path, shared=True):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    size = os.fstat(fd).st_size
    os.ftruncate(fd, size + 300)
    os.pwrite(fd, path.encode("utf-8", "surrogateescape"), size)
    kept.append(mmap.mmap(fd, 0, mmap.MAP_SHARED if shared else mmap.MAP_PRIVATE))
    os.close(fd)
def seen(path):
    fd = os.open(path, os.O_RDONLY)
    kept.append(mmap.mmap(fd, 0, mmap.MAP_SHARED, mmap.PROT_READ))
    os.close(fd)
def run():
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    print("ready", flush=True)
    while True:
        signal.pause()
"""

LAYERS = (
    "mkdir -p /l/again /l/whole; for n in lowest middle gone copied renamed; do echo 1 >/l/$n; done;"
    "echo 1 >/l/again/file; echo 1 >/l/whole/file; ln /l/lowest /l/linked",
    "echo 2 >/l/middle; rm -rf /l/again; mkdir /l/again; echo 2 >/l/again/file; rm /l/gone",
    "echo 3 >/l/upmost; echo 3 >/l/gone",
)
"""Commands whose results become three layers of an image: files that a later one replaces, deletes or makes again."""

IN_LAYERS = rf"""
for name in ("lowest", "middle", "gone", "upmost", "again/file"):
    seen("/l/" + name)
mapped("/l/copied")
import shutil
shutil.rmtree("/l/whole")
mapped("/l/whole/file")
os.rename("/l/renamed", "/l/new name"); mapped("/l/new name")
mapped("/srv/new"); mapped("/srv/private", shared=False)
mapped("/srv/one"); os.link("/srv/one", "/srv/two")
mapped("/srv/left"); os.link("/srv/left", "/srv/stays"); os.unlink("/srv/left")
mapped("/srv/deleted"); os.unlink("/srv/deleted")
seen("/etc/issue"); os.unlink("/etc/issue")
os.symlink("/srv/real", "/srv/link"); mapped("/srv/link/file")
mapped("/srv/" + {ODD!r})
os.chmod("/etc/debian_version", 0o600); seen("/etc/debian_version")
memory = os.memfd_create("memory"); os.ftruncate(memory, 300); kept.append(mmap.mmap(memory, 300))
""".replace('os.symlink("/srv/real"', 'os.mkdir("/srv/real"); os.symlink("/srv/real"')

EXPECTED_IN_LAYERS = {
    "/l/lowest": Backing.IMAGE,
    "/l/middle": Backing.IMAGE,
    "/l/gone": Backing.IMAGE,
    "/l/upmost": Backing.IMAGE,
    "/l/again/file": Backing.IMAGE,
    "/l/copied": Backing.WRITABLE_LAYER,
    "/l/whole/file": Backing.WRITABLE_LAYER,
    "/l/new name": Backing.WRITABLE_LAYER,
    "/srv/new": Backing.WRITABLE_LAYER,
    "/srv/private": Backing.WRITABLE_LAYER,
    "/srv/one": Backing.WRITABLE_LAYER,
    "/srv/real/file": Backing.WRITABLE_LAYER,
    f"/srv/{ODD}": Backing.WRITABLE_LAYER,
    "/etc/debian_version": Backing.WRITABLE_LAYER,
}
NO_PATH_IN_LAYERS = {
    "/srv/left": Backing.WRITABLE_LAYER,
    "/srv/deleted": Backing.DELETED,
    "/etc/issue": Backing.DELETED,
    "/memfd:memory": Backing.ANONYMOUS_SHARED,
}


def expected_in(found: "Mapped") -> dict[str, Backing]:
    """Returns what is expected of files in layers.

    vfs, btrfs and zfs copy the image for each container. The number of links of a file on FUSE may be old.
    """
    kind = found.storage("/l/lowest").filesystem
    if "overlay" not in kind:
        return dict.fromkeys(EXPECTED_IN_LAYERS, Backing.WRITABLE_LAYER) | NO_PATH_IN_LAYERS
    return EXPECTED_IN_LAYERS | NO_PATH_IN_LAYERS | ({} if kind == "overlay" else {"/srv/left": Backing.DELETED})


@dataclass
class Mapped:
    """The mappings of a container, and its root as this process may open it."""

    client: ProbeClient
    root: int
    layers: dict[str, str]
    """As the engine names them."""

    def __post_init__(self) -> None:
        found = self.client.maps(self.layers.get("UpperDir", ""), self.layers.get("LowerDir", ""))
        self.by_path = {one.path: one for one in found.mappings}

    def storage(self, path: str) -> Storage:
        return self.by_path[path].storage

    def read(self, one: Mapping) -> bytes:
        return self.client.read_mapping(one.id, one.range, 0, 65536).data

    def backings(self, expected: dict[str, Backing]) -> dict[str, Backing | None]:
        return {path: self.storage(path).backing for path in expected}

    def assert_is(self, path: str) -> None:
        """Fails unless the path on the host leads to the file that the container has at `path`."""
        host_path = self.storage(path).host_path
        assert host_path is not None, (path, self.storage(path))
        own = open_in_root(self.root, path, os.O_PATH | os.O_NOFOLLOW)
        try:
            theirs, ours = os.fstat(own), os.stat(host_path, follow_symlinks=False)
            assert ours.st_size == theirs.st_size
            assert Path(host_path).read_bytes() == self.read(self.by_path[path]), path
            if os.path.samestat(theirs, ours):
                return
            assert self.storage(path).filesystem in ("overlay", "fuse.fuse-overlayfs")
            assert theirs.st_dev != ours.st_dev
            if self.storage(path).backing is Backing.IMAGE:
                assert theirs.st_ino == ours.st_ino or self.storage(path).filesystem != "overlay"
            else:
                self._assert_written_through(path, Path(host_path))
        finally:
            os.close(own)

    def _assert_written_through(self, path: str, host_path: Path) -> None:
        token = secrets.token_bytes(16)
        fd = open_in_root(self.root, path, os.O_RDWR | os.O_NOFOLLOW)
        try:
            before = os.pread(fd, len(token), 0)
            os.pwrite(fd, token, 0)
            os.fsync(fd)  # FUSE may write later
            assert host_path.read_bytes()[: len(token)] == token, path
            os.pwrite(fd, before, 0)
        finally:
            os.close(fd)


@pytest.fixture
def opened(docker: Docker) -> Iterator[list[Mapped]]:
    """Yields a list; the clients in it are closed after the test."""
    made: list[Mapped] = []
    yield made
    for one in made:
        one.client.close()
        os.close(one.root)


def look(docker: Docker, name: str, opened: list[Mapped]) -> Mapped:
    run = docker.run_of(name)
    layers = json.loads(docker("inspect", "--format", "{{json .GraphDriver}}", name) or "null") or {}
    opened.append(Mapped(ProbeClient(run), open_root(run.init.pid), layers.get("Data") or {}))
    return opened[-1]


@pytest.fixture(scope="module")
def layered(docker: Docker, chosen_engine: matrix.Engine | None) -> Iterator[str]:
    """Yields an image of several layers, of which later ones hide what earlier ones have."""
    tag, image = "containerlab-test-layers", BASE
    started = shared.startable(chosen_engine)
    if isinstance(started, shared.PodmanWithImages):  # a commit would need the file /etc/containers/policy.json
        steps = [f"RUN {json.dumps(['sh', '-c', commands])}\n" for commands in LAYERS]
        with tempfile.TemporaryDirectory() as folder:  # a rootless Podman may not search pytest's folders
            Path(folder).chmod(0o755)
            Path(folder, "Dockerfile").write_text("".join(("ARG BASE\nFROM $BASE\n", *steps)))
            started.podman.build(Path(folder), f"{REGISTRY}/{tag}:latest", f"{REGISTRY}/{BASE}", "layers=many")
        yield f"{tag}:latest"
        docker.run("image", "rm", "--force", f"{tag}:latest")
        return
    for number, commands in enumerate(LAYERS):
        name = f"{tag}-{number}"
        docker("run", "--network=none", f"--name={name}", image, "sh", "-c", commands)
        image = f"{tag}:{number}"
        docker("commit", name, image)
        docker("rm", name)
    yield image
    for number in reversed(range(len(LAYERS))):
        docker.run("image", "rm", "--force", f"{tag}:{number}")


def start(container: Containers, image: str, program: str, *options: str) -> str:
    return container(image, "python3", "-c", f"{PROGRAM}{program}\nrun()", options=options, ready="ready")


def test_files_in_layers(docker: Docker, container: Containers, layered: str, opened: list[Mapped]) -> None:
    found = look(docker, start(container, layered, IN_LAYERS), opened)
    expected = expected_in(found)
    assert found.backings(expected) == expected
    for path in EXPECTED_IN_LAYERS:
        found.assert_is(path)
        assert found.storage(path).reason == ""
    assert [found.storage(path).host_path for path in NO_PATH_IN_LAYERS] == [None] * 4
    if expected["/srv/left"] is Backing.WRITABLE_LAYER:
        assert found.storage("/srv/left").reason == "Its name is deleted; it has another one."


def test_layers_without_a_mount_of_the_host(
    docker: Docker, container: Containers, layered: str, opened: list[Mapped]
) -> None:
    """As for an engine in another mount namespace: then an image's file is found in its layer."""
    name = start(container, layered, IN_LAYERS)
    found, run = look(docker, name, opened), docker.run_of(name)
    root = [mount for mount in read_mounts() if mount.point in ("/", "/tmp", "/var")]
    named = LayerNames(found.layers.get("UpperDir", ""), tuple(found.layers.get("LowerDir", "").split(":")))
    here = container_mappings(run, list_processes(run).processes, host=HostMounts(root), named=named)
    found.by_path = {one.path: one for one in here.mappings}
    expected = expected_in(found)
    assert found.backings(expected) == expected
    for path in EXPECTED_IN_LAYERS:
        found.assert_is(path)


MOUNTED = rf"""
for place in ("/named", "/anonymous", "/bind", "/bind/below", "/named/nested", "/scratch", "/dev/shm", "/odd"):
    mapped(place + "/file")
    mapped(place + "/" + {ODD!r})
mapped("/single"); seen("/only/file")
os.symlink("/named/file", "/srv/to-volume"); seen("/srv/to-volume")
mapped("/bind/left"); os.link("/bind/left", "/bind/stays"); os.unlink("/bind/left")
mapped("/dev/shm/left"); os.link("/dev/shm/left", "/dev/shm/stays"); os.unlink("/dev/shm/left")
mapped("/named/deleted"); os.unlink("/named/deleted")
for name in ("hosts", "hostname", "resolv.conf"):
    mapped("/etc/" + name)
"""


@pytest.fixture
def volume(docker: Docker) -> Iterator[str]:
    """Yields the name of a volume."""
    name = docker("volume", "create")
    yield name
    docker("volume", "rm", name)


@pytest.fixture
def mounted(docker: Docker, volume: str, container: Containers, opened: list[Mapped], bind_path: Path) -> Mapped:
    """Runs a container with every kind of mount."""
    folders = {name: bind_path / name for name in ("bind", "below", "nested", "only", ODD_BIND)}
    for folder in folders.values():
        folder.mkdir()
    (bind_path / "only/file").write_text("read only")
    (bind_path / "single").write_text("one")
    binds = {
        f"{volume}": "/named",
        f"{folders['nested']}": "/named/nested",
        f"{folders['bind']}": "/bind",
        f"{folders['below']}": "/bind/below",
        f"{folders['only']}": "/only:ro",
        f"{bind_path}/single": "/single",
        f"{folders[ODD_BIND]}": "/odd",
    }
    hand_over(bind_path)
    options = [f"--volume={source}:{target}" for source, target in binds.items()]
    name = start(container, BASE, MOUNTED, *options, "--volume=/anonymous", "--tmpfs=/scratch")
    return look(docker, name, opened)


def test_files_on_mounts(mounted: Mapped) -> None:
    places = ("/named", "/anonymous", "/bind", "/bind/below", "/named/nested", "/odd")
    bound = [f"{place}/{name}" for place in places for name in ("file", ODD)] + ["/single", "/only/file"]
    assert mounted.backings(dict.fromkeys(bound, Backing.BIND)) == dict.fromkeys(bound, Backing.BIND)
    for path in bound:
        mounted.assert_is(path)


def test_files_in_memory(mounted: Mapped) -> None:
    for place in ("/scratch", "/dev/shm"):
        for path in (f"{place}/file", f"{place}/{ODD}"):
            storage = mounted.storage(path)
            assert storage.backing is Backing.TMPFS
            if storage.host_path is None:
                assert storage.reason == "It is mounted only in the container."
            else:
                mounted.assert_is(path)


def test_names_that_are_deleted(mounted: Mapped) -> None:
    expected = {"/bind/left": Backing.BIND, "/dev/shm/left": Backing.TMPFS, "/named/deleted": Backing.DELETED}
    assert mounted.backings(expected) == expected
    assert mounted.storage("/bind/left").reason == "Its name is deleted; it has another one."


def test_files_that_the_engine_keeps(mounted: Mapped) -> None:
    for path in ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf"):
        storage = mounted.storage(path)
        if storage.point == "/":  # Podman mounts no resolv.conf without a network
            assert storage.backing is Backing.WRITABLE_LAYER
            mounted.assert_is(path)
        elif storage.host_path is not None:
            assert storage.backing is Backing.ENGINE
            mounted.assert_is(path)
        else:
            assert storage.backing is None
            assert storage.reason


CHROOT = r"""
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
secret = SECRET
for name in ("", "work", "merged"):
    os.makedirs(os.path.join(os.path.dirname(secret), name), exist_ok=True)
place = os.path.dirname(secret)
options = f"lowerdir=/usr,upperdir={place}/upper,workdir={place}/work".encode()
os.mkdir(place + "/upper")
done = libc.mount(b"overlay", (place + "/merged").encode(), b"overlay", 0, options)
assert done == 0, os.strerror(ctypes.get_errno())
os.chroot(place + "/merged")
os.chdir("/")
mapped("/secret")
"""


def test_an_overlay_of_the_container_over_the_host_s_paths(
    docker: Docker, container: Containers, opened: list[Mapped], tmp_path: Path
) -> None:
    """A container with CAP_SYS_ADMIN names layers by paths that lead elsewhere on the host."""
    (tmp_path / "upper").mkdir()
    (tmp_path / "upper/secret").write_text("the host's")
    program = CHROOT.replace("SECRET", repr(str(tmp_path / "secret")))
    rights = ("--cap-add=SYS_ADMIN", "--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined")
    found = look(docker, start(container, BASE, program, *rights, f"--tmpfs={tmp_path}"), opened)
    storage = found.storage(f"{tmp_path}/merged/secret")
    assert (storage.backing, storage.host_path) == (None, None)
    assert storage.reason == "None of the layers, as the host sees them, has it."


@shares_ipc_of_host
def test_shared_memory_of_the_host(docker: Docker, container: Containers, opened: list[Mapped]) -> None:
    path = f"/dev/shm/containerlab-test-{secrets.token_hex(4)}"
    try:
        found = look(docker, start(container, BASE, f"mapped({path!r})", "--ipc=host"), opened)
        assert (found.storage(path).backing, found.storage(path).host_path) == (Backing.TMPFS, path)
        found.assert_is(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
