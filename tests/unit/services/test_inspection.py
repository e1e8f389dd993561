"""Removing an IPC object: only the one that was shown."""

import os
from dataclasses import replace

import pytest

from containerlab_probes.client import ProbeClient
from containerlab_probes.errors import Gone
from containerlab_probes.records import IpcKind, IpcObject, IpcSnapshot
from containerlab_tui.services.inspection import Inspector, is_same_object
from tests.support.engine import UNRESTRICTED, details

SEGMENT = IpcObject(IpcKind.SHM, "5", 5678, "", 27, 0, 0, 0o666, creator_pid=7, changed_at=100.0)
SET = replace(SEGMENT, kind=IpcKind.SEM)
FILE = replace(SEGMENT, kind=IpcKind.POSIX_SHM, id="a", key=None, creator_pid=0, inode=4)


class PlayedClient(ProbeClient):
    """An agent that has one object and records removals."""

    held: tuple[IpcObject, ...] = (SEGMENT,)
    removed: tuple[str, ...] = ()  # replaced, not changed, so that each client has its own

    def ipc(self) -> IpcSnapshot:
        return IpcSnapshot(1, self.held)

    def remove_ipc(self, kind: IpcKind, object_id: str) -> None:
        self.removed += (f"{kind} {object_id}",)


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
        inspector.remove_ipc(IpcKind.SHM, "5", replace(SEGMENT, attached=2))
        inspector.remove_ipc(IpcKind.SHM, "5")
        assert client.removed == ("shm 5", "shm 5")
