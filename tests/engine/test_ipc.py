"""IPC objects of real containers, System V and POSIX, compared with the system's own tools."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from containerlab_probes.client import OverviewClient, ProbeClient
from containerlab_probes.errors import BadRequest, Gone, Unsupported
from containerlab_probes.kernel.namespaces import namespace_inode, nsenter_command
from containerlab_probes.memory_records import WINDOW_LIMIT, IpcKind, IpcObject, IpcSnapshot, Overview
from containerlab_probes.records import ContainerRun
from tests.engine.marks import needs_cgroups, shares_ipc_of_host
from tests.support.docker import Containers, Docker, eventually

BASE = "containerlab/base:latest"
LETTERS = b"abcdefghijklmnopqrstuvwxyz\0"

POSIX_PROGRAM = r"""
import ctypes, mmap, os, signal
libc = ctypes.CDLL(None, use_errno=True)
libc.sem_open.restype = ctypes.c_void_p
class Attributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_long) for name in ("flags", "messages", "size", "now", "a", "b", "c", "d")]
fd = libc.shm_open(b"/shared", os.O_CREAT | os.O_RDWR, 0o640)
os.ftruncate(fd, 5000)
memory = mmap.mmap(fd, 5000)
memory[:5] = b"hello"
os.close(fd)
held = os.open("/dev/shm/only-open", os.O_CREAT | os.O_RDWR, 0o600)
assert libc.sem_open(b"/door", os.O_CREAT, 0o600, 3)
queue = libc.mq_open(b"/letters", os.O_CREAT | os.O_RDWR, 0o600, ctypes.byref(Attributes(0, 4, 64)))
assert queue >= 0, ctypes.get_errno()
assert libc.mq_send(queue, b"x" * 11, ctypes.c_size_t(11), 0) == 0
for name, target in (("absolute", SECRET), ("up", "../.." + SECRET), ("shared-link", "shared")):
    os.symlink(target, "/dev/shm/" + name)
os.mkfifo("/dev/shm/pipe")
os.mkdir("/dev/shm/directory")
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
print("ready", flush=True)
while True:
    signal.pause()
"""


@pytest.fixture
def probe(docker: Docker) -> Iterator[Callable[[str], ProbeClient]]:
    """Returns a function that starts a client for a container by name."""
    with contextlib.ExitStack() as clients:

        def make(name: str) -> ProbeClient:
            client = ProbeClient(docker.run_of(name))
            return clients.enter_context(contextlib.closing(client))

        yield make


Probe = Callable[[str], ProbeClient]


def object_of(snapshot: IpcSnapshot, kind: IpcKind, id: str = "") -> IpcObject:
    [found] = [one for one in snapshot.objects if one.kind is kind and id in ("", one.id)]
    return found


def with_waiter(docker: Docker, container: Containers) -> str:
    """Runs a container with all objects of `writer`, and a process that has attached the segment and waits."""
    name = container("systemv-shm", ready="ready")
    docker("exec", name, "writer")
    docker("exec", "--detach", name, "waiter")
    return name


def waiting(client: ProbeClient) -> IpcSnapshot:
    """Returns the snapshot once the process waits."""

    def look() -> IpcSnapshot | None:
        snapshot = client.ipc()
        [member] = [*object_of(snapshot, IpcKind.SEM).semaphores[1:]]
        return snapshot if member.waiting_for_increase else None

    snapshot = eventually(look, "the waiter waits for the second semaphore")
    assert snapshot is not None
    return snapshot


def in_namespace(client: ProbeClient, *argv: str) -> str:
    """Returns the output of a host program that runs in a container's IPC namespace."""
    command = nsenter_command(client.run.init.pid, ("ipc",), argv)
    return subprocess.run(command, capture_output=True, text=True, check=True, env={"LC_ALL": "C", **os.environ}).stdout


def test_system_v_objects_with_their_users(docker: Docker, container: Containers, probe: Probe) -> None:
    client = probe(with_waiter(docker, container))
    snapshot = waiting(client)
    [waiter] = [process for process in client.processes().processes if "waiter" in process.command]

    assert snapshot.namespace == namespace_inode(client.run.init.pid, "ipc") != namespace_inode(0, "ipc")
    assert snapshot.unread == ()
    segment = object_of(snapshot, IpcKind.SHM)
    assert (segment.key, segment.bytes, segment.mode, segment.attached, segment.removed) == (5678, 27, 0o666, 1, False)
    assert (segment.users, segment.last_pid) == ((waiter.pid,), waiter.pid)
    assert segment.creator_pid not in (0, waiter.pid)
    semaphores = object_of(snapshot, IpcKind.SEM)
    assert [(one.value, one.waiting_for_increase, one.waiting_for_zero) for one in semaphores.semaphores] == [
        (1, 0, 0),
        (0, 1, 0),
    ]
    queue = object_of(snapshot, IpcKind.MSG)
    assert (queue.bytes, queue.messages, queue.key) == (len("first messagesecond message"), 2, 5678)


def test_the_same_as_lsipc_and_ipcs(docker: Docker, container: Containers, probe: Probe) -> None:
    client = probe(with_waiter(docker, container))
    snapshot = waiting(client)

    def lsipc(option: str, name: str) -> list[dict[str, str]]:
        return list(json.loads(in_namespace(client, "lsipc", option, "--json", "--bytes", "--numeric-perms"))[name])

    for row in lsipc("--shmems", "sharedmemory"):
        segment = object_of(snapshot, IpcKind.SHM, str(row["id"]))
        assert segment.key == int(row["key"], 16)
        assert segment.mode == int(row["perms"], 8)
        assert (segment.bytes, segment.attached) == (int(row["size"]), int(row["nattch"]))
        assert (segment.creator_pid, segment.last_pid) == (int(row["cpid"]), int(row["lpid"]))
    for row in lsipc("--semaphores", "semaphores"):
        assert len(object_of(snapshot, IpcKind.SEM, str(row["id"])).semaphores) == int(row["nsems"])
    for row in lsipc("--queues", "messages"):
        queue = object_of(snapshot, IpcKind.MSG, str(row["id"]))
        assert (queue.bytes, queue.messages) == (int(row["usedbytes"]), int(row["msgs"]))
    limits = json.loads(in_namespace(client, "lsipc", "--json", "--bytes"))["ipclimits"]
    shown = {row["resource"].lower(): int(row["limit"]) for row in limits}
    assert len(shown.keys() & snapshot.limits.keys()) == 10
    for name in shown.keys() & snapshot.limits.keys():
        assert snapshot.limits[name] == shown[name], name
    members = in_namespace(client, "ipcs", "-s", "-i", object_of(snapshot, IpcKind.SEM).id)
    rows = [line.split() for line in members.splitlines() if line[:1].isdigit()]
    assert [[*map(int, row[1:])] for row in rows] == [
        [one.value, one.waiting_for_increase, one.waiting_for_zero, one.last_pid]
        for one in object_of(snapshot, IpcKind.SEM).semaphores
    ]


def test_reading_an_attached_segment_leaves_no_trace(docker: Docker, container: Containers, probe: Probe) -> None:
    client = probe(with_waiter(docker, container))
    before = object_of(waiting(client), IpcKind.SHM)
    window = client.read_ipc(IpcKind.SHM, before.id, 0, WINDOW_LIMIT)
    assert (window.data, window.total, window.offset) == (LETTERS, 27, 0)
    assert client.read_ipc(IpcKind.SHM, before.id, 24, 2).data == b"yz"
    assert client.read_ipc(IpcKind.SHM, before.id, 4096, 2).data == b""
    assert object_of(client.ipc(), IpcKind.SHM) == before


def test_a_segment_that_nobody_has_attached(docker: Docker, container: Containers, probe: Probe) -> None:
    name = container("systemv-shm", ready="ready")
    docker("exec", name, "writer")
    client = probe(name)
    segment = object_of(client.ipc(), IpcKind.SHM)
    assert (segment.attached, segment.users) == (0, ())
    assert client.read_ipc(IpcKind.SHM, segment.id, 1, 3).data == b"bcd"
    assert object_of(client.ipc(), IpcKind.SHM).attached == 0
    with pytest.raises(Gone):
        client.read_ipc(IpcKind.SHM, "77", 0, 1)
    for kind in (IpcKind.SEM, IpcKind.MSG):
        with pytest.raises(BadRequest, match="no bytes"):
            client.read_ipc(kind, "0", 0, 1)


def test_removing_system_v_objects(docker: Docker, container: Containers, probe: Probe) -> None:
    name = with_waiter(docker, container)
    client = probe(name)
    for one in waiting(client).objects:
        client.remove_ipc(one.kind, one.id)
        if one.kind is IpcKind.SHM:
            marked = object_of(client.ipc(), IpcKind.SHM)
            assert (marked.removed, marked.key, len(marked.users)) == (True, 0, 1)
            assert client.read_ipc(IpcKind.SHM, one.id, 0, 26).data == LETTERS[:26]
    eventually(lambda: not client.ipc().objects, "the waiter exits with its set: no objects are left")


def test_segments_of_a_private_namespace_are_destroyed_with_the_container(
    docker: Docker, container: Containers, probe: Probe
) -> None:
    name = with_waiter(docker, container)
    client = probe(name)
    waiting(client)
    agent = client._agent
    assert agent is not None
    docker("stop", name)
    agent.process.wait(10)
    with pytest.raises(Gone):
        client.ipc()
    docker("start", name)
    assert probe(name).ipc().objects == ()


def posix_container(container: Containers, secret: Path) -> str:
    program = POSIX_PROGRAM.replace("SECRET", repr(str(secret)))
    return container(BASE, "python3", "-c", program, options=("--shm-size=16m",), ready="ready")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Creates a file of the host that no container may make the program read."""
    path = tmp_path / "secret"
    path.write_text("the host's secret")
    return path


def test_posix_objects(docker: Docker, container: Containers, probe: Probe, secret: Path) -> None:
    client = probe(posix_container(container, secret))
    snapshot, pid = client.ipc(), client.run.init.pid
    shown = {(one.kind, one.id): one for one in snapshot.objects}
    assert set(shown) == {
        (IpcKind.POSIX_SHM, "shared"),
        (IpcKind.POSIX_SHM, "only-open"),
        (IpcKind.POSIX_SEM, "door"),
        (IpcKind.POSIX_MQ, "letters"),
    }
    shared = shown[IpcKind.POSIX_SHM, "shared"]
    assert (shared.name, shared.bytes, shared.mode, shared.attached, shared.users) == (
        *("/shared", 5000, 0o640, 1, (pid,)),
    )
    only_open = shown[IpcKind.POSIX_SHM, "only-open"]
    assert (only_open.attached, only_open.users) == (0, (pid,))
    door = shown[IpcKind.POSIX_SEM, "door"]
    assert ([one.value for one in door.semaphores], door.users) == ([3], (pid,))
    letters = shown[IpcKind.POSIX_MQ, "letters"]
    assert (letters.bytes, letters.users, letters.attached) == (11, (pid,), None)
    assert snapshot.limits["dev_shm_bytes"] == 16 << 20
    assert 0 < snapshot.limits["dev_shm_free"] < 16 << 20
    window = client.read_ipc(IpcKind.POSIX_SHM, "shared", 0, 8)
    assert (window.data, window.total) == (b"hello\0\0\0", 5000)


def test_links_and_fifos_are_never_followed(docker: Docker, container: Containers, probe: Probe, secret: Path) -> None:
    client = probe(posix_container(container, secret))
    for name in ("absolute", "up", "shared-link", "pipe", "directory"):
        with pytest.raises(Gone):
            client.read_ipc(IpcKind.POSIX_SHM, name, 0, 100)
        with pytest.raises(Gone):
            client.remove_ipc(IpcKind.POSIX_SHM, name)
    for name in (f"../..{secret}", "..", "/etc/passwd"):
        with pytest.raises(BadRequest):
            client.read_ipc(IpcKind.POSIX_SHM, name, 0, 100)
    assert secret.read_text() == "the host's secret"


def test_removing_posix_objects(docker: Docker, container: Containers, probe: Probe, secret: Path) -> None:
    client = probe(posix_container(container, secret))
    for one in client.ipc().objects:
        client.remove_ipc(one.kind, one.id)
    assert client.ipc().objects == ()


def test_a_dev_shm_that_is_a_link_to_the_host(
    docker: Docker, container: Containers, probe: Probe, secret: Path
) -> None:
    program = f"rm -rf /dev/shm; ln -s {secret.parent} /dev/shm && echo ready && exec sleep 1000"
    name = container(BASE, "sh", "-c", program, options=("--ipc=none",), ready="ready")
    snapshot = probe(name).ipc()
    assert snapshot.objects == ()
    assert len(snapshot.unread) == 1
    assert "shared memory and semaphores can't be listed" in snapshot.unread[0]
    with pytest.raises(Gone):
        probe(name).read_ipc(IpcKind.POSIX_SHM, secret.name, 0, 100)


def test_a_segment_of_2_gib_is_read_in_windows(docker: Docker, container: Containers, probe: Probe) -> None:
    size = 2 << 30
    program = (
        "import ctypes, signal, sys\nlibc = ctypes.CDLL(None)\n"
        "libc.shmat.restype, libc.shmdt.argtypes = ctypes.c_void_p, (ctypes.c_void_p,)\n"
        f"segment = libc.shmget(99, ctypes.c_size_t({size}), 0o1600)\naddress = libc.shmat(segment, None, 0)\n"
        f"ctypes.memmove(address, b'head', 4); ctypes.memmove(address + {size - 4}, b'tail', 4)\n"
        "if sys.argv[1:]: libc.shmdt(address)\n"
        "print('ready', flush=True)\nwhile True: signal.pause()\n"
    )

    def figures(client: ProbeClient) -> tuple[int, int]:
        """Returns the agent's peak memory in KiB, and the segment's resident bytes."""
        assert client._agent is not None
        status = Path(f"/proc/{client._agent.process.pid}/status").read_text()
        peak = int(status.partition("VmHWM:")[2].split()[0])
        row = in_namespace(client, "cat", "/proc/sysvipc/shm").splitlines()[1].split()
        return peak, int(row[14])

    for detached in ((), ("detach",)):
        name = container(BASE, "python3", "-c", program, *detached, ready="ready")
        client = probe(name)
        segment = object_of(client.ipc(), IpcKind.SHM)
        assert (segment.bytes, segment.attached) == (size, 0 if detached else 1)
        client.read_ipc(IpcKind.SHM, segment.id, 0, WINDOW_LIMIT)
        peak, resident = figures(client)
        assert client.read_ipc(IpcKind.SHM, segment.id, 0, 4).data == b"head"
        for number in range(1, 200):
            window = client.read_ipc(IpcKind.SHM, segment.id, number * (10 << 20), WINDOW_LIMIT)
            assert (window.data, window.total) == (bytes(WINDOW_LIMIT), size)
        assert client.read_ipc(IpcKind.SHM, segment.id, size - 4, 100).data == b"tail"
        assert figures(client)[0] < peak + 1024
        assert figures(client)[1] == resident == 2 * os.sysconf("SC_PAGE_SIZE")


def test_namespaces_that_containers_share(docker: Docker, container: Containers, probe: Probe) -> None:
    donor = container("systemv-shm", options=("--ipc=shareable",), ready="ready")
    joined = container("systemv-shm", options=(f"--ipc=container:{donor}",), ready="ready")
    docker("exec", donor, "writer")
    docker("exec", "--detach", donor, "waiter")
    waiting(probe(donor))
    ours, theirs = probe(joined).ipc(), probe(donor).ipc()
    assert ours.namespace == theirs.namespace
    assert object_of(ours, IpcKind.SHM).id == object_of(theirs, IpcKind.SHM).id
    assert object_of(ours, IpcKind.SHM).users == ()
    assert len(object_of(theirs, IpcKind.SHM).users) == 1
    docker("stop", donor)
    assert object_of(probe(joined).ipc(), IpcKind.SHM).key == 5678


@shares_ipc_of_host
def test_the_host_s_namespace(docker: Docker, container: Containers, probe: Probe) -> None:
    name = container("systemv-shm", options=("--ipc=host",), ready="ready")
    assert probe(name).ipc().namespace == namespace_inode(0, "ipc")


def test_limits_are_the_container_s(docker: Docker, container: Containers, probe: Probe) -> None:
    options = ("--sysctl=kernel.shmmax=1234567", "--sysctl=kernel.sem=11 222 33 44", "--sysctl=fs.mqueue.msg_max=7")
    limits = probe(container("systemv-shm", options=options, ready="ready")).ipc().limits
    assert limits["shmmax"] == 1234567
    assert [limits[name] for name in ("semmsl", "semmns", "semopm", "semmni")] == [11, 222, 33, 44]
    assert limits["mq_msg_max"] == 7


def test_a_container_from_scratch(docker: Docker, container: Containers, probe: Probe) -> None:
    client = probe(container("scratch-static"))
    snapshot = client.ipc()
    assert (snapshot.objects, snapshot.unread) == ((), ())
    assert snapshot.limits["dev_shm_bytes"] in (64 << 20, 64_000 << 10), "the defaults of Docker and Podman"
    assert [process.container_pid for process in client.processes().processes] == [1]


def test_an_agent_killed_and_a_container_gone_between_questions(
    docker: Docker, container: Containers, probe: Probe
) -> None:
    name = container("systemv-shm", ready="ready")
    client = probe(name)
    first = client.ipc()
    assert client._agent is not None
    process = client._agent.process
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert client.ipc() == first
    docker("rm", "--force", name)
    for _ in range(2):
        with pytest.raises(Gone):
            client.ipc()
        with pytest.raises(Gone):
            client.read_ipc(IpcKind.SHM, "0", 0, 1)


def test_an_overview_of_many(docker: Docker, container: Containers, probe: Probe, secret: Path) -> None:
    full, posix, empty, scratch = (
        *(with_waiter(docker, container), posix_container(container, secret)),
        *(container("systemv-shm", ready="ready"), container("scratch-static")),
    )
    runs = [docker.run_of(name) for name in (full, posix, empty, scratch)]
    with contextlib.closing(OverviewClient()) as client:
        answers = client.overview(runs)
        for run, objects, size in zip(runs, (3, 4, 0, 0), (27 + 27, 5000 + 32 + 11, 0, 0), strict=True):
            assert answers[run.id] == Overview(namespace_inode(run.init.pid, "ipc"), objects, size)
        docker("rm", "--force", full)
        again = client.overview(runs)
        assert isinstance(again[runs[0].id], Gone)
        assert again[runs[1].id] == answers[runs[1].id]


@needs_cgroups
def test_an_overview_refuses_the_pid_1_of_another_container(docker: Docker, container: Containers) -> None:
    """Its PID 1 may have exited meanwhile, and another container's have got the number: the cgroup tells."""
    stranger = ContainerRun("f" * 64, docker.run_of(container("scratch-static")).init)
    with contextlib.closing(OverviewClient()) as client:
        assert isinstance(client.overview([stranger])[stranger.id], Unsupported)
