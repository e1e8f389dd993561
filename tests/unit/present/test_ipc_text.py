"""The words about an IPC object and its removal."""

from dataclasses import replace

import pytest

from containerlab_probes.memory_records import IpcKind, IpcObject
from containerlab_probes.records import Dispositions, Process, ProcessId
from containerlab_tui.model.views import IpcUse
from containerlab_tui.present import ipc_text

SEGMENT = IpcObject(IpcKind.SHM, "5", 0, "", 27, 0, 0, 0o600)
FILE = replace(SEGMENT, kind=IpcKind.POSIX_SHM, id="a", name="/a", key=None)


def user(pid: int) -> tuple[str, Process]:
    id = ProcessId(pid, 1)
    return "web", Process(id, pid, 1, 0.0, "S", 0, "root", "app", ("app",), threads=1, dispositions=Dispositions())


def use(object: IpcObject, *pids: int) -> IpcUse:
    return IpcUse("web", object, tuple(user(pid) for pid in pids))


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (use(SEGMENT), "No process of a container uses it. Its contents are lost."),
        (use(SEGMENT, 7), "In use by 7 app (web). It is marked for removal now and destroyed on the last detach."),
        (
            use(replace(SEGMENT, attached=2)),
            "Attached 2 times outside the containers. It is marked for removal now and destroyed on the last detach.",
        ),
        (
            use(replace(SEGMENT, attached=1)),
            "Attached once outside the containers. It is marked for removal now and destroyed on the last detach.",
        ),
        (use(FILE, 7), "In use by 7 app (web). Its name is removed now; they keep it until they close it."),
        (
            use(replace(SEGMENT, kind=IpcKind.SEM, of_host=True)),
            "It belongs to the host, not to web alone. No process of a container uses it. "
            "Its contents are lost, and a process that waits on it gets an error.",
        ),
    ],
)
def test_what_a_removal_does(one: IpcUse, words: str) -> None:
    assert ipc_text.consequence(one) == words


def test_many_users_are_counted() -> None:
    words = ipc_text.consequence(use(SEGMENT, *range(2, 9)))
    assert words.startswith("In use by 2 app (web), 3 app (web), 4 app (web), 5 app (web) and 3 more.")


def test_the_question_names_the_owner() -> None:
    assert ipc_text.question(use(FILE)) == "Remove posix shm /a of web?"
    assert ipc_text.question(use(replace(SEGMENT, of_host=True))) == "Remove segment 5 of the host?"


@pytest.mark.parametrize(
    ("one", "left", "words"),
    [
        (use(SEGMENT), None, "Removed segment 5 of web."),
        (use(SEGMENT, 7), replace(SEGMENT, removed=True, attached=1),
         "Marked segment 5 of web for removal; 1 process is still attached."),
        (use(SEGMENT, 7, 8), replace(SEGMENT, removed=True, attached=2),
         "Marked segment 5 of web for removal; 2 processes are still attached."),
        (use(SEGMENT), replace(SEGMENT, removed=True, attached=2),
         "Marked segment 5 of web for removal; 2 attachments are left, outside the containers."),
        (use(FILE, 7), None, "Removed the name of posix shm /a of web; 1 process is still using it."),
        (use(FILE), None, "Removed posix shm /a of web."),
    ],
)  # fmt: skip
def test_the_result_is_said_as_it_is(one: IpcUse, left: IpcObject | None, words: str) -> None:
    assert ipc_text.result(one, left) == words


def test_a_segment_marked_before() -> None:
    one = use(replace(SEGMENT, removed=True, attached=1), 7)
    assert ipc_text.already_marked(one) == "Segment 5 is already marked for removal; 1 process is still attached."
