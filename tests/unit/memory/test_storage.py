"""Where mapped files are stored, by mount tables as engines leave them.

The tables are recorded; `@` is the directory of the test, which has their layers and mounts as plain directories.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from containerlab_probes.kernel.host_mounts import HostMounts
from containerlab_probes.kernel.local import CachedState, state_behind
from containerlab_probes.kernel.mounts import parse_mounts
from containerlab_probes.kernel.overlay import LayerNames
from containerlab_probes.memory.storage import MappedFile, MountTable, StorageFinder
from containerlab_probes.memory_records import Backing, Storage

ID = "6a" * 32
HOST = "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"

COMMON = f"""111 109 0:54 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755
110 109 0:53 / /proc rw,nosuid - proc proc rw
126 109 254:0 @/src/app.py /t.py ro,relatime - ext4 /dev/vda rw
127 109 254:0 @/volumes/vol/_data /vol rw,relatime master:1 - ext4 /dev/vda rw
128 109 254:0 @/containers/{ID}/hosts /etc/hosts rw,relatime - ext4 /dev/vda rw
129 109 254:0 @/b\\040c\\011d\\134e,f /run/data rw,relatime - ext4 /dev/vda rw
130 109 0:70 / /tmp rw - tmpfs tmpfs rw
131 109 0:71 / /mnt rw - ext4 /dev/vdz rw
132 109 0:72 / /huge rw - hugetlbfs none rw
133 109 254:0 @/gone//deleted /gone rw - ext4 /dev/vda rw
"""
"""The mounts that a container of any engine can have."""

DOCKER_20 = """109 61 0:50 / / rw,relatime master:3 - overlay overlay rw,lowerdir=@/overlay2/l/AAA:@/overlay2/l/BBB,\
upperdir=@/overlay2/up/diff,workdir=@/overlay2/up/work
"""
DOCKER_20_DEEP = """109 61 0:50 / / rw,relatime - overlay overlay rw,lowerdir=l/AAA:l/BBB,upperdir=up/diff,\
workdir=up/work
"""
CONTAINERD = """109 61 0:50 / / rw,relatime - overlay overlay rw,lowerdir=@/snapshots/2/fs:@/snapshots/1/fs,\
upperdir=@/snapshots/3/fs,workdir=@/snapshots/3/work
"""
CONTAINERD_DEEP = """109 61 0:50 / / rw,relatime - overlay overlay rw,lowerdir=2/fs:1/fs,\
upperdir=@/snapshots/3/fs,workdir=@/snapshots/3/work,index=off
"""
CONTAINERD_EACH = """109 61 0:50 / / rw,relatime - overlay overlay rw,lowerdir+=@/snapshots/2/fs,\
lowerdir+=@/snapshots/1/fs,upperdir=@/snapshots/3/fs,workdir=@/snapshots/3/work
"""
PODMAN = """109 61 0:50 / / rw,relatime - overlay overlay rw,lowerdir=@/overlay/l/AAA:@/overlay/l/BBB,\
upperdir=@/overlay/up/diff,workdir=@/overlay/up/work,metacopy=on,volatile,uuid=on
"""
ROOTLESS = """109 61 0:50 / / rw,relatime - overlay overlay rw,lowerdir=@/overlay/l/AAA:@/overlay/l/BBB,\
upperdir=@/overlay/up/diff,workdir=@/overlay/up/work,userxattr
"""
SNAPSHOTS = ("snapshots/3/fs", "snapshots/2/fs", "snapshots/1/fs")


@dataclass(frozen=True)
class Engine:
    """The mount of a container's root, the mounts of the host, and the directories of the layers, the top first."""

    root: str
    host: str
    layers: tuple[str, str, str]
    merged: str
    """Where the host has the merged directory; empty: nowhere that this program sees."""


def overlay2(name: str) -> tuple[str, str, str]:
    return f"{name}/up/diff", f"{name}/a/diff", f"{name}/b/diff"


ENGINES = {
    "docker-20": Engine(DOCKER_20, "40 27 0:50 / @/overlay2/up/merged rw - overlay overlay rw\n",
                        overlay2("overlay2"), "overlay2/up/merged"),
    "docker-20-deep": Engine(DOCKER_20_DEEP, "40 27 0:50 / @/overlay2/up/merged rw - overlay overlay rw\n",
                             overlay2("overlay2"), "overlay2/up/merged"),
    "containerd": Engine(CONTAINERD, f"40 27 0:50 / @/rootfs/{ID} rw - overlay overlay rw\n",
                         SNAPSHOTS, f"rootfs/{ID}"),
    "containerd-deep": Engine(CONTAINERD_DEEP, "", SNAPSHOTS, ""),
    "containerd-each": Engine(CONTAINERD_EACH, "", SNAPSHOTS, ""),
    "podman": Engine(PODMAN, "40 27 0:50 / @/overlay/up/merged rw - overlay overlay rw\n",
                     overlay2("overlay"), "overlay/up/merged"),
    "rootless": Engine(ROOTLESS, "", overlay2("overlay"), ""),
}  # fmt: skip


class Container:
    """A container's files and mount table in a directory."""

    def __init__(self, folder: Path, root: str, host: str, named: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.table = MountTable(parse_mounts(self._here(root + COMMON)))
        upper, *lowers = (self._here(one) for one in named or ("",))
        self.finder = StorageFinder(
            ID, HostMounts(parse_mounts(HOST + self._here(host))), LayerNames(upper, tuple(lowers))
        )

    def _here(self, text: str) -> str:
        return text.replace("@", str(self.folder))

    def file(self, place: str) -> CachedState:
        """Makes a file and returns its state."""
        path = self.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(place)
        state = state_behind(str(path))
        assert state is not None
        return state

    def of(self, path: str, mount: int, state: CachedState, deleted: bool = False, device: str = "00:32") -> Storage:
        shown = replace(state, mount=mount, on_device=state.on_device if mount != 109 else 50)
        return self.finder.of(MappedFile(path, deleted, device, shown), self.table)

    def path(self, place: str) -> str:
        return str(self.folder / place)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Container]]:
    made: list[Container] = []

    def one(root: str, host: str, named: tuple[str, ...] = ()) -> Container:
        made.append(Container(tmp_path, root, host, named))
        return made[-1]

    yield one
    for container in made:
        container.finder.close()


Make = Callable[..., Container]


@pytest.fixture(params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> Engine:
    return ENGINES[request.param]


def with_layers(make: Make, engine: Engine, tmp_path: Path) -> Container:
    """Makes the layers' directories, and Docker's and Podman's short links to the lower ones."""
    for place in (*engine.layers, engine.merged):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
    if "/diff" in engine.layers[0]:
        links = tmp_path / engine.layers[0].split("/")[0] / "l"
        links.mkdir()
        (links / "AAA").symlink_to("../a/diff")
        (links / "BBB").symlink_to("../b/diff")
    return make(engine.root, engine.host)


def test_files_in_layers(make: Make, engine: Engine, tmp_path: Path) -> None:
    container = with_layers(make, engine, tmp_path)
    upper, *_ = engine.layers
    states = [(layer, container.file(f"{layer}/d/{number}")) for number, layer in enumerate(engine.layers)]
    for number, (layer, state) in enumerate(states):
        backing = Backing.WRITABLE_LAYER if layer == upper else Backing.IMAGE
        found = container.of(f"/d/{number}", 109, state)
        assert found == Storage(backing, container.path(f"{layer}/d/{number}"), "overlay", "/")


def test_an_image_s_file_is_shown_where_the_host_has_it_merged(make: Make, engine: Engine, tmp_path: Path) -> None:
    container = with_layers(make, engine, tmp_path)
    state = container.file(f"{engine.layers[2]}/a")
    if engine.merged:
        os.link(container.path(f"{engine.layers[2]}/a"), container.path(f"{engine.merged}/a"))
    shown = MappedFile("/a", False, "00:32", replace(state, mount=109))
    found = container.finder.of(shown, container.table)
    place = f"{engine.merged}/a" if engine.merged else f"{engine.layers[2]}/a"
    assert found == Storage(Backing.IMAGE, container.path(place), "overlay", "/")


def test_another_file_in_the_layers_is_not_reported(make: Make, engine: Engine, tmp_path: Path) -> None:
    container = with_layers(make, engine, tmp_path)
    state = container.file(f"{engine.layers[0]}/a")
    found = container.of("/a", 109, replace(state, born=(1, 1)))
    assert (found.backing, found.host_path) == (None, None)
    assert found.reason == "None of the layers, as the host sees them, has it."


def test_layers_that_are_not_here(make: Make, tmp_path: Path) -> None:
    """An engine in another mount namespace or on another machine: the names lead nowhere."""
    container = make(ENGINES["containerd"].root, "")
    found = container.of("/a", 109, container.file("a"))
    assert (found.backing, found.host_path) == (None, None)
    assert found.reason == f"The directory {tmp_path}/snapshots/3/fs of its layers cannot be opened on the host."


def test_a_link_of_the_container_in_its_layer_is_not_followed(make: Make, tmp_path: Path) -> None:
    container = with_layers(make, ENGINES["containerd"], tmp_path)
    state = container.file("secret/file")
    (tmp_path / "snapshots/3/fs/d").symlink_to(tmp_path / "secret")
    (tmp_path / "snapshots/3/fs/file").symlink_to(tmp_path / "secret/file")
    for path in ("/d/file", "/file", "/../../../secret/file", str(tmp_path / "secret/file")):
        assert container.of(path, 109, state).host_path is None


MOUNTED = [
    ("/t.py", 126, "src/app.py", Backing.BIND, "ext4"),
    ("/vol/a/b", 127, "volumes/vol/_data/a/b", Backing.BIND, "ext4"),
    ("/etc/hosts", 128, f"containers/{ID}/hosts", Backing.ENGINE, "ext4"),
    ("/run/data/x\ny", 129, "b c\td\\e,f/x\ny", Backing.BIND, "ext4"),
]


@pytest.mark.parametrize(("path", "mount", "place", "backing", "kind"), MOUNTED)
def test_files_on_mounts(make: Make, path: str, mount: int, place: str, backing: Backing, kind: str) -> None:
    container = make(DOCKER_20, "")
    state = container.file(place)
    point = container.table.mount_of(MappedFile(path, False, "fe:00", replace(state, mount=mount)))
    assert point is not None
    assert container.of(path, mount, state) == Storage(backing, container.path(place), kind, point.point)
    by_path = replace(state, mount=0)  # before Linux 5.8
    assert container.finder.of(MappedFile(path, False, "fe:00", by_path), container.table).host_path == container.path(
        place
    )


def test_the_mount_is_the_one_of_the_file_and_not_of_its_path(make: Make) -> None:
    container = make(DOCKER_20, "")
    state = container.file("volumes/vol/_data/x")
    assert container.of("/vol/x", 127, state).host_path == container.path("volumes/vol/_data/x")
    assert container.of("/vol/x", 130, state).backing is None
    assert container.of("/vol/x", 999, state).reason == "Its mount is not among those of the container."


def test_files_in_memory(make: Make, tmp_path: Path) -> None:
    container = make(DOCKER_20, "")
    state = container.file("x")
    only = "It is mounted only in the container."
    assert container.of("/tmp/x", 130, state) == Storage(Backing.TMPFS, None, "tmpfs", "/tmp", only)
    assert container.of("/huge/x", 132, state) == Storage(Backing.TMPFS, None, "hugetlbfs", "/huge", only)
    (tmp_path / "run").mkdir()
    on_host = make(DOCKER_20, "41 27 0:70 / @/run rw - tmpfs tmpfs rw\n")
    assert on_host.of("/tmp/x", 130, on_host.file("run/x")) == Storage(
        Backing.BIND, on_host.path("run/x"), "tmpfs", "/tmp"
    )


def test_dev_shm_is_shared_memory_wherever_it_is_mounted(make: Make, tmp_path: Path) -> None:
    """Podman mounts it on the host; with --ipc=host it is the host's own."""
    shm = "134 111 0:74 / /dev/shm rw - tmpfs shm rw,size=64000k\n"
    (tmp_path / "shm").mkdir()
    container = make(DOCKER_20 + shm, "42 27 0:74 / @/shm rw - tmpfs shm rw\n")
    found = container.of("/dev/shm/x", 134, container.file("shm/x"))
    assert found == Storage(Backing.TMPFS, container.path("shm/x"), "tmpfs", "/dev/shm")
    alone = make(DOCKER_20 + shm, "")
    assert alone.of("/dev/shm/x", 134, alone.file("shm/x")).reason == "It is mounted only in the container."


def test_what_has_no_place_says_why(make: Make) -> None:
    container = make(DOCKER_20, "")
    state = container.file("x")
    reasons = {
        ("/mnt/x", 131): "Its file system (ext4) is not mounted where this program runs.",
        ("/proc/x", 110): "It is a file of proc: the kernel makes its bytes.",
        ("/gone/x", 133): "No mount of the host shows this file.",
        ("/elsewhere", 127): "The process has another root directory.",
    }
    for (path, mount), reason in reasons.items():
        found = container.of(path, mount, state)
        assert (found.backing, found.host_path, found.reason) == (None, None, reason)
    device = container.of("/dev/dri", 111, replace(state, mode=0o020666))
    assert (device.backing, device.reason) == (None, "It is a device, which stores no bytes in a file.")
    ring = container.of("anon_inode:[io_uring]", 0, state)
    assert (ring.backing, ring.reason) == (None, "It is an object of the kernel, not a file.")


def test_files_after_the_time_limit_are_unknown(make: Make) -> None:
    container = make(DOCKER_20, "")
    with closing(StorageFinder(ID, HostMounts(()), until=0.0)) as late:
        found = late.of(MappedFile("/x", False, "00:32", container.file("x")), container.table)
    assert found == Storage(reason="Reading took too long.")


VFS = "109 61 254:0 @/vfs/dir/77aa / rw,relatime - ext4 /dev/vda rw\n"
BTRFS = "109 61 0:50 /@sub/btrfs/subvolumes/77aa / rw,relatime - btrfs /dev/vdb rw,subvolid=9,subvol=/@sub/x\n"
ZFS = "109 61 0:50 / / rw,relatime - zfs tank/docker/77aa rw,xattr\n"


@pytest.mark.parametrize(
    ("root", "host", "place"),
    [
        (VFS, "", "vfs/dir/77aa/d/x"),
        (BTRFS, "40 27 0:50 /@sub @/pool rw - btrfs /dev/vdb rw\n", "pool/btrfs/subvolumes/77aa/d/x"),
        (ZFS, "40 27 0:50 / @/zfs/graph/77aa rw - zfs tank/docker/77aa rw\n", "zfs/graph/77aa/d/x"),
    ],
)
def test_a_root_that_is_a_copy_of_the_image(make: Make, root: str, host: str, place: str) -> None:
    container = make(root, host)
    state = container.file(place)
    found = container.finder.of(MappedFile("/d/x", False, "fe:00", replace(state, mount=109)), container.table)
    kind = next(mount.filesystem for mount in parse_mounts(root))
    assert found == Storage(Backing.WRITABLE_LAYER, container.path(place), kind, "/")
    volume = container.file("volumes/vol/_data/x")
    assert container.of("/vol/x", 127, volume).backing is Backing.BIND


FUSE = "109 61 0:50 / / rw,relatime - fuse.fuse-overlayfs fuse-overlayfs rw,user_id=0,group_id=0\n"
FUSE_HOST = "40 27 0:50 / @/merged rw - fuse.fuse-overlayfs fuse-overlayfs rw\n"


def test_a_fuse_overlay_has_the_layers_that_the_engine_names(make: Make) -> None:
    layers = ("@/up/diff", "@/a/diff")
    named, unseen = make(FUSE, FUSE_HOST, layers), make(FUSE, "", layers)
    state = named.file("up/diff/x")
    named.file("a/diff/y")
    kind = "fuse.fuse-overlayfs"
    assert named.of("/x", 109, state) == Storage(Backing.WRITABLE_LAYER, named.path("up/diff/x"), kind, "/")
    assert named.of("/y", 109, state) == Storage(Backing.IMAGE, named.path("merged/y"), kind, "/")
    assert unseen.of("/y", 109, state) == Storage(Backing.IMAGE, named.path("a/diff/y"), kind, "/")
    assert unseen.of("/z", 109, state).reason == "None of the layers that the engine names has it."
    unnamed = make(FUSE, FUSE_HOST)
    found = unnamed.of("/x", 109, state)
    assert (found.backing, found.host_path) == (None, unnamed.path("merged/x"))
    assert found.reason == (
        "fuse.fuse-overlayfs doesn't tell the kernel its layers, and the engine names none that can be opened."
    )


def test_deleted_names(make: Make, tmp_path: Path) -> None:
    container = with_layers(make, ENGINES["docker-20"], tmp_path)
    state = container.file("overlay2/up/diff/x")
    other = "Its name is deleted; it has another one."
    gone = replace(state, links=0)
    for path, mount, backing in (
        ("/x", 109, Backing.WRITABLE_LAYER),
        ("/vol/x", 127, Backing.BIND),
        ("/tmp/x", 130, Backing.TMPFS),
    ):
        assert container.of(path, mount, gone, deleted=True).backing is Backing.DELETED
        found = container.of(path, mount, state, deleted=True)
        assert (found.backing, found.host_path, found.reason) == (backing, None, other)
    fuse = make(FUSE, FUSE_HOST, ("@/up/diff", "@/a/diff"))
    assert fuse.of("/x", 109, state, deleted=True).backing is Backing.DELETED, "a cached number of links may be old"
    image = container.file("overlay2/a/diff/lib")
    assert container.of("/lib", 109, image, deleted=True).backing is Backing.DELETED, "the image still has it"


@pytest.mark.parametrize(
    ("path", "device", "deleted", "backing"),
    [
        ("/dev/zero", "00:01", True, Backing.ANONYMOUS_SHARED),
        ("/memfd:a\nb", "00:01", True, Backing.ANONYMOUS_SHARED),
        ("[anon_shmem:name]", "00:01", False, Backing.ANONYMOUS_SHARED),
        ("/SYSV0000162e", "00:01", True, Backing.SYSV),
        ("/SYSV0000162e\n", "00:01", True, Backing.DELETED),
        # Misleading names that a container gives to its deleted files.
        ("/SYSV0000162e", "00:32", True, Backing.DELETED),
        ("/memfd:x", "00:46", True, Backing.DELETED),
    ],
)
def test_memory_without_a_file(make: Make, path: str, device: str, deleted: bool, backing: Backing) -> None:
    container = make(DOCKER_20, "")
    assert container.finder.of(MappedFile(path, deleted, device, None), container.table).backing is backing


def test_a_container_whose_pid_1_changed_its_root() -> None:
    """Its mountinfo shows mount points below that root, while maps shows paths below the root of the namespace."""
    table = MountTable(parse_mounts(DOCKER_20 + COMMON), "/new root")
    assert table.root is not None
    assert (table.root.point, table.root.filesystem) == ("/new root", "overlay")
    found = table.mount_of(MappedFile("/new root/vol/x", False, "fe:00", None))
    assert found is not None
    assert (found.id, found.point) == (127, "/new root/vol")


def test_a_mount_that_covers_another(make: Make) -> None:
    both = "140 109 0:5 / /data rw - ext4 a rw\n141 109 0:6 / /data rw - tmpfs b rw\n"
    table = MountTable(parse_mounts(DOCKER_20 + both))
    for device, number in (("00:05", 140), ("00:06", 141)):
        found = table.mount_of(MappedFile("/data/x", False, device, None))
        assert found is not None
        assert found.id == number
    assert table.mount_of(MappedFile("/data/x", False, "00:07", None)) is None
    under = table.mount_of(MappedFile("/x", False, "fe:00", None))
    assert under is not None, "older kernels show the device below an overlay"
    assert under.filesystem == "overlay"
