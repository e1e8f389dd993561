"""Which processes belong to a container, and which of them may be signalled: real processes, made-up cgroups."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from containerlab_probes.errors import Denied, Gone, Unsupported
from containerlab_probes.kernel import cgroups
from containerlab_probes.kernel.namespaces import namespace_inode
from containerlab_probes.processes import membership
from containerlab_probes.processes.identity import identify
from containerlab_probes.processes.membership import membership_of, require_target
from containerlab_probes.records import ContainerRun, ProcessId
from tests.support.kernel import NO_CONTAINER, container_processes, namespaced, running

ID, OTHER = "a1" * 32, "b2" * 32
NOBODY = 2**22 + 1
DAEMON = {"memory": "/engines-test", "pids": "/", "": "/"}

Place = Callable[[int, str], None]


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Place:
    """Returns a function that puts a process into a cgroup of version 2; all others are in that of the daemon."""
    known: dict[int, str] = {}
    monkeypatch.setattr(membership, "_paths", lambda pid: DAEMON | ({"": known[pid]} if pid in known else {}))

    def members(own: dict[str, str]) -> frozenset[int]:
        return frozenset(pid for pid, path in known.items() if f"{path}/".startswith(f"{own.get('', '/none')}/"))

    monkeypatch.setattr(cgroups, "members", members)
    return known.__setitem__


@pytest.fixture
def alone() -> Iterator[ContainerRun]:
    """A container with its own PID namespace and two processes."""
    with namespaced("sleep 1000 & wait", processes=2) as run:
        yield replace(run, id=ID)


@pytest.fixture
def stranger() -> Iterator[ProcessId]:
    with running() as process:
        yield process.id


def refused(run: ContainerRun, pid: int) -> None:
    with pytest.raises(Gone, match=f"Process {pid} does not belong to this container"):
        require_target(run, pid)


def listed(run: ContainerRun) -> dict[int, int]:
    """Returns the processes with their numbers in the container."""
    return {one.pid: one.container_pid for one in container_processes(run)}


def test_without_a_cgroup_the_pid_namespace_decides(place: Place, alone: ContainerRun, stranger: ProcessId) -> None:
    """PID 1 is in the daemon's cgroup, as the stranger is."""
    assert sorted(listed(alone).values()) == [1, 2]
    for pid in listed(alone):
        require_target(alone, pid)
    for pid in (stranger.pid, os.getpid(), 1):
        refused(alone, pid)


def test_a_process_that_left_the_cgroup_stays_in_the_namespace(place: Place, alone: ContainerRun) -> None:
    place(alone.init.pid, f"/docker/{ID}")
    assert sorted(listed(alone).values()) == [1, 2]
    for pid in listed(alone):
        require_target(alone, pid)


def test_a_process_below_the_namespace_belongs_to_it(place: Place) -> None:
    with namespaced("unshare --pid --fork sleep 1000 & wait", processes=3) as run:
        for pid in listed(run):
            require_target(run, pid)
        assert len(listed(run)) == 3


def test_a_process_of_the_host_in_the_cgroup_is_listed_but_no_target(
    place: Place, alone: ContainerRun, stranger: ProcessId
) -> None:
    """The engine's runtime is such a process while it starts a program in the container."""
    place(alone.init.pid, f"/docker/{ID}/init")
    place(stranger.pid, f"/docker/{ID}")
    assert listed(alone)[stranger.pid] == 0
    refused(alone, stranger.pid)


def test_a_process_of_another_namespace_in_the_cgroup_is_no_target(place: Place, alone: ContainerRun) -> None:
    """Its number in its own namespace says nothing about the container's."""
    with namespaced("exec sleep 1000") as other:
        place(alone.init.pid, f"/docker/{ID}")
        place(other.init.pid, f"/docker/{ID}")
        assert listed(alone)[other.init.pid] == 0
        refused(alone, other.init.pid)


def test_with_the_hosts_pids_the_cgroup_decides(place: Place, stranger: ProcessId) -> None:
    with running() as init, running() as child:
        run = ContainerRun(ID, init.id)
        place(init.pid, f"/system.slice/docker-{ID}.scope")
        place(child.pid, f"/system.slice/docker-{ID}.scope/below")
        assert listed(run) == {init.pid: init.pid, child.pid: child.pid}
        require_target(run, init.pid)
        require_target(run, child.pid)
        refused(run, stranger.pid)


def test_with_the_pids_of_another_container_the_cgroup_decides(place: Place) -> None:
    with namespaced("sleep 1000 & sleep 1000 & wait", processes=3) as owner:
        first, *others = listed(owner)
        joined = ContainerRun(ID, identify(others[0]))
        place(others[0], f"/docker/{ID}")
        assert listed(joined) == {others[0]: listed(owner)[others[0]]}
        require_target(joined, others[0])
        refused(joined, others[1])
        refused(joined, first)


@pytest.mark.parametrize("path", ["/", "/engines-test", f"/docker/{OTHER}", f"/machine.slice/libpod-conmon-{ID}.scope"])
def test_a_process_of_the_host_is_no_pid_1_without_the_id(place: Place, path: str) -> None:
    """Its number may have been that of PID 1 before, or the engine may be wrong about it."""
    with running() as process:
        place(process.pid, path)
        run = ContainerRun(ID, process.id)
        for ask in (membership_of, container_processes):
            with pytest.raises(Unsupported, match=f"Nothing shows that process {process.pid} belongs"):
                ask(run)
        with pytest.raises(Unsupported):
            require_target(run, process.pid)


def test_pid_1_of_another_container_is_not_ours(place: Place, alone: ContainerRun) -> None:
    """It has the number that ours had before a restart."""
    place(alone.init.pid, f"/docker/{OTHER}")
    with pytest.raises(Unsupported):
        membership_of(alone)
    place(alone.init.pid, f"/docker/{OTHER}/docker/{ID}")
    assert membership_of(alone).owns_namespace


def test_the_container_that_this_program_runs_in_is_not_another(place: Place, alone: ContainerRun) -> None:
    """Without its own cgroups, a container that was started in there stays in its cgroup."""
    place(alone.init.pid, f"/docker/{OTHER}/x")
    place(os.getpid(), f"/docker/{OTHER}")
    assert membership_of(alone).owns_namespace


def test_a_container_cannot_claim_the_processes_of_another_by_a_cgroup_of_its_name(
    place: Place, alone: ContainerRun, stranger: ProcessId
) -> None:
    place(alone.init.pid, f"/machine.slice/libpod-{ID}.scope")
    with running() as init:
        run = ContainerRun(OTHER, init.id)
        place(init.pid, f"/docker/{OTHER}")
        place(alone.init.pid, f"/docker/{ID}/docker-{OTHER}.scope")
        assert listed(run) == {init.pid: init.pid}
        refused(run, alone.init.pid)


def test_pid_1_that_has_exited_has_no_processes(place: Place, alone: ContainerRun) -> None:
    earlier = replace(alone, init=ProcessId(alone.init.pid, alone.init.started - 1))
    for run in (earlier, replace(alone, init=ProcessId(NOBODY, 1))):
        for ask in (membership_of, lambda run: require_target(run, alone.init.pid)):
            with pytest.raises(Gone, match="exited"):
                ask(run)


def test_a_target_that_has_exited_raises_gone(place: Place, alone: ContainerRun) -> None:
    with pytest.raises(Gone):
        require_target(alone, NOBODY)
    with running() as init:
        place(init.pid, f"/docker/{ID}")
        with pytest.raises(Gone):
            require_target(ContainerRun(ID, init.id), NOBODY)


def test_the_readers_own_namespace_is_never_a_containers(place: Place) -> None:
    """In a container whose PID 1 this program is below, every process would belong to it."""
    code = (
        "import os, sys\n"
        "from containerlab_probes.processes.identity import identify\n"
        "from containerlab_probes.processes.membership import membership_of\n"
        "from containerlab_probes.records import ContainerRun\n"
        f"membership_of(ContainerRun('{NO_CONTAINER}', identify(1)))\n"
    )
    done = subprocess.run(
        ("unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", code),
        capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert "Unsupported: Nothing shows that process 1 belongs to this container" in done.stderr


def test_a_real_process_in_no_containers_cgroup(alone: ContainerRun, stranger: ProcessId) -> None:
    """Nothing is made up here: the namespace decides."""
    assert membership_of(alone).cgroups == {}
    require_target(alone, alone.init.pid)
    refused(alone, stranger.pid)


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Namespaces can't be read, as for a user without privileges."""

    def denied(pid: int, kind: str) -> int:
        if pid:
            raise Denied("It needs root.")
        return namespace_inode(pid, kind)

    monkeypatch.setattr(membership, "namespace_inode", denied)


@pytest.mark.usefixtures("unreadable")
def test_without_privileges_the_cgroup_decides(place: Place, alone: ContainerRun, stranger: ProcessId) -> None:
    with pytest.raises(Denied, match="run this with sudo"):
        membership_of(alone)
    place(alone.init.pid, f"/docker/{ID}")
    place(stranger.pid, f"/docker/{ID}")
    place(NOBODY, f"/docker/{ID}")
    assert listed(alone) == {alone.init.pid: 1, stranger.pid: 0}
    require_target(alone, alone.init.pid)
    refused(alone, stranger.pid)
    with namespaced("exec sleep 1000") as other:
        refused(alone, other.init.pid)


def test_version_2_comes_first(monkeypatch: pytest.MonkeyPatch, alone: ContainerRun) -> None:
    paths = dict.fromkeys(("devices", "name=systemd", "memory", "pids", "blkio", ""), f"/docker/{ID}")
    monkeypatch.setattr(membership, "_paths", lambda pid: paths)
    assert list(membership_of(alone).cgroups) == ["", "pids", "memory", "name=systemd", "devices", "blkio"]


def test_the_namespace_is_that_of_pid_1(place: Place, alone: ContainerRun) -> None:
    found = membership_of(alone)
    assert (found.namespace, found.level) == (namespace_inode(alone.init.pid, "pid"), 1)
