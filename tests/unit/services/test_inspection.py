"""Removing an IPC object: only the one that was shown."""

import os
from dataclasses import replace

import pytest

from containerlab_probes.client import ProbeClient
from containerlab_probes.errors import BadRequest, Gone
from containerlab_probes.kernel.namespaces import namespace_inode
from containerlab_probes.memory_records import IpcKind, IpcObject, IpcSnapshot
from containerlab_probes.records import Dispositions, Process, ProcessId, ProcessList
from containerlab_tui.model.inventory import MountPoint
from containerlab_tui.present import ipc_text
from containerlab_tui.services.inspection import Inspector, is_same_object, sharing
from tests.support.engine import UNRESTRICTED, details

SEGMENT = IpcObject(IpcKind.SHM, "5", 5678, "", 27, 0, 0, 0o666, creator_pid=7, changed_at=100.0)
SET = replace(SEGMENT, kind=IpcKind.SEM)
FILE = replace(SEGMENT, kind=IpcKind.POSIX_SHM, id="a", key=None, creator_pid=0, inode=4)


def process(pid: int) -> Process:
    return Process(
        ProcessId(pid, 1), pid, 1, 0.0, "S", 0, "root", "app", ("app", str(pid)), threads=1, dispositions=Dispositions()
    )


class PlayedClient(ProbeClient):
    """An agent that has one object and records removals."""

    held: tuple[IpcObject, ...] = (SEGMENT,)
    unread = ""
    removed: tuple[str, ...] = ()  # replaced, not changed, so that each client has its own

    def ipc(self) -> IpcSnapshot:
        return IpcSnapshot(1, self.held)

    def processes(self) -> ProcessList:
        return ProcessList(tuple(process(pid) for pid in (7, 8)), self.unread)

    def remove_ipc(self, kind: IpcKind, object_id: str) -> None:
        self.removed += (f"{kind} {object_id}",)
        self.held = tuple(replace(one, removed=True) for one in self.held if one.attached)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (SEGMENT, replace(SEGMENT, attached=3, last_pid=9), True),
        (SEGMENT, replace(SEGMENT, key=5679), False),
        (SEGMENT, replace(SEGMENT, creator_pid=8), False),
        (SEGMENT, replace(SEGMENT, changed_at=101.0), False),
        (SET, replace(SET, changed_at=101.0), True),
        (SET, replace(SET, key=5679), False),
        (FILE, replace(FILE, changed_at=101.0, bytes=28), True),
        (FILE, replace(FILE, inode=5), False),
    ],
)
def test_an_object_is_recognised(one: IpcObject, other: IpcObject, same: bool) -> None:
    assert is_same_object(one, other) is same


def client_of(inspector: Inspector) -> PlayedClient:
    assert isinstance(inspector._client, PlayedClient)
    return inspector._client


def test_only_the_object_that_was_shown_is_removed() -> None:
    with Inspector(True, details(pid=os.getpid()), UNRESTRICTED, PlayedClient) as inspector:
        client = client_of(inspector)
        for shown in (replace(SEGMENT, creator_pid=8), replace(SEGMENT, changed_at=99.0)):
            with pytest.raises(Gone, match="shm 5 of app was replaced since it was shown"):
                inspector.remove_ipc(IpcKind.SHM, "5", shown)
        client.held = ()
        with pytest.raises(Gone, match="was replaced"):
            inspector.remove_ipc(IpcKind.SHM, "5", SEGMENT)
        assert not client.removed
        client.held = (SEGMENT,)
        assert inspector.remove_ipc(IpcKind.SHM, "5", replace(SEGMENT, attached=2)) is None
        client.held = (SEGMENT,)
        assert inspector.remove_ipc(IpcKind.SHM, "5") is None
        assert client.removed == ("shm 5", "shm 5")


def test_an_attached_segment_is_still_there() -> None:
    with Inspector(True, details(pid=os.getpid()), UNRESTRICTED, PlayedClient) as inspector:
        client_of(inspector).held = (replace(SEGMENT, attached=2, users=(7, 8)),)
        left = inspector.remove_ipc(IpcKind.SHM, "5")
        assert left is not None
        assert (left.removed, left.attached) == (True, 2)


def test_the_users_are_named() -> None:
    with Inspector(True, details(pid=os.getpid()), UNRESTRICTED, PlayedClient) as inspector:
        client_of(inspector).held = (replace(SEGMENT, attached=2, users=(8, 7)),)
        use = inspector.use_of(IpcKind.SHM, "5")
        assert (use.container, use.object.id) == ("app", "5")
        assert [(name, one.pid) for name, one in use.users] == [("app", 7), ("app", 8)]
        with pytest.raises(Gone, match="it does not exist"):
            inspector.use_of(IpcKind.SHM, "6")
        for kind, id in ((IpcKind.SHM, "one"), (IpcKind.POSIX_SHM, "../a"), (IpcKind.POSIX_MQ, "")):
            with pytest.raises(BadRequest):
                inspector.use_of(kind, id)


def test_containers_that_share_an_object() -> None:
    own = namespace_inode(os.getpid(), "ipc")
    here = details(pid=os.getpid())
    same, gone = replace(here, id="b" * 64, name="b"), replace(here, id="c" * 64, name="c", pid=0)
    mount = MountPoint("bind", "/srv/shm", "/dev/shm")
    volume = replace(here, id="d" * 64, name="d", mounts=(mount,))
    assert [one.name for one in sharing(own, here, (here, same, gone))] == ["b"]
    assert sharing(0, here, (same, gone, volume)) == []
    assert [one.name for one in sharing(0, replace(here, mounts=(mount,)), (same, volume))] == ["d"]


def test_users_that_may_be_missing_are_said_to_be() -> None:
    with Inspector(True, details(pid=os.getpid()), UNRESTRICTED, PlayedClient) as opened:
        client = opened._client
        assert isinstance(client, PlayedClient)
        client.held = (replace(SEGMENT, users=(7,), attached=2),)
        assert not opened.use_of(IpcKind.SHM, "5").is_partial
        client.unread = "Processes: the first 2 of 3 are listed."
        use = opened.use_of(IpcKind.SHM, "5")
        assert use.is_partial
        assert ipc_text.consequence(use).startswith("In use by 7 app 7 (app). There may be more users: not all could")
        assert client.unread in opened.ipc().snapshot.unread
        nobody = replace(use, users=())
        assert ipc_text.consequence(nobody).startswith("Attached 2 times, by no process that was read. There may be")
