"""What objects and files survive: process exit, restart, removal, host reboot."""

import pytest

from containerlab_probes.memory_records import Backing, IpcKind
from containerlab_tui.model.survival import Answer, Survival, survival_of_file, survival_of_ipc

SYSTEM_V = (IpcKind.SHM, IpcKind.SEM, IpcKind.MSG)
POSIX = (IpcKind.POSIX_SHM, IpcKind.POSIX_SEM, IpcKind.POSIX_MQ)
SHORT = {Answer.YES: "y", Answer.NO: "n", Answer.UNKNOWN: "?"}


def four(survival: Survival) -> str:
    return "".join(
        SHORT[answer] for answer in (survival.process_exit, survival.stop_start, survival.remove, survival.host_reboot)
    )


@pytest.mark.parametrize("kind", IpcKind)
@pytest.mark.parametrize(
    ("mode", "answers", "word"),
    [
        ("private", "ynnn", "last process"),
        ("", "ynnn", "last process"),
        ("none", "ynnn", "last process"),
        ("shareable", "ynnn", "joined"),
        ("host", "yyyn", "of the host"),
        ("container:db", "yyyn", "container db"),
        ("ns:/proc/7/ns/ipc", "y???", "unknown"),
    ],
)
def test_ipc_objects_by_mode(kind: IpcKind, mode: str, answers: str, word: str) -> None:
    survival = survival_of_ipc(kind, mode)
    assert four(survival) == answers
    assert word in survival.reason


@pytest.mark.parametrize("mode", ["private", "host", "container:db", "shareable"])
def test_a_segment_marked_for_removal_survives_nothing(mode: str) -> None:
    survival = survival_of_ipc(IpcKind.SHM, mode, removed=True)
    assert four(survival) == "nnnn"
    assert "removal" in survival.reason


def test_the_reason_names_the_storage() -> None:
    assert "/dev/shm" in survival_of_ipc(IpcKind.POSIX_SHM, "private").reason
    assert "/dev/shm" in survival_of_ipc(IpcKind.POSIX_SEM, "host").reason
    assert "/dev/shm" not in survival_of_ipc(IpcKind.SHM, "private").reason
    assert "/dev/shm" not in survival_of_ipc(IpcKind.POSIX_MQ, "private").reason


@pytest.mark.parametrize(
    ("backing", "answers", "word"),
    [
        (Backing.IMAGE, "yyyy", "image"),
        (Backing.WRITABLE_LAYER, "yyny", "writable layer"),
        (Backing.VOLUME, "yyyy", "volume"),
        (Backing.BIND, "yyyy", "file of the host"),
        (Backing.TMPFS, "ynnn", "tmpfs"),
        (Backing.ENGINE, "y?ny", "the engine keeps"),
        (Backing.ANONYMOUS_SHARED, "nnnn", "Anonymous memory"),
        (Backing.SYSV, "ynnn", "IPC namespace"),
        (Backing.DELETED, "nnnn", "Deleted file"),
        (None, "????", "unknown"),
    ],
)
def test_files_by_backing(backing: Backing | None, answers: str, word: str) -> None:
    survival = survival_of_file(backing, path="/data/file", ipc_mode="private")
    assert four(survival) == answers
    assert word in survival.reason


@pytest.mark.parametrize(
    ("backing", "path", "mode", "filesystem", "answers"),
    [
        (Backing.TMPFS, "/dev/shm/a", "private", "tmpfs", "ynnn"),
        (Backing.TMPFS, "/dev/shm/a", "host", "tmpfs", "yyyn"),
        (Backing.TMPFS, "/dev/shm/a", "container:db", "tmpfs", "yyyn"),
        (Backing.TMPFS, "/run/a", "host", "tmpfs", "ynnn"),
        (Backing.TMPFS, "/dev/shmoo/a", "host", "tmpfs", "ynnn"),
        (Backing.SYSV, "/SYSV0000162e", "host", "", "yyyn"),
        (Backing.SYSV, "/SYSV0000162e", "container:db", "", "yyyn"),
        (Backing.BIND, "/run/host/a", "private", "tmpfs", "yyyn"),
        (Backing.VOLUME, "/vol/a", "private", "tmpfs", "y??n"),
        (Backing.BIND, "/run/host/a", "private", "ramfs", "yyyn"),
        (Backing.VOLUME, "/vol/a", "private", "ramfs", "y??n"),
        (Backing.BIND, "/host/a", "private", "ext4", "yyyy"),
        (Backing.ENGINE, "/etc/hosts", "private", "ext4", "y?ny"),
        (Backing.ENGINE, "/etc/hosts", "private", "tmpfs", "y?nn"),
        (Backing.ENGINE, "/etc/hosts", "private", "ramfs", "y?nn"),
        (Backing.DELETED, "/dev/shm/a", "host", "tmpfs", "nnnn"),
    ],
)
def test_files_by_place(backing: Backing, path: str, mode: str, filesystem: str, answers: str) -> None:
    assert four(survival_of_file(backing, path=path, ipc_mode=mode, filesystem=filesystem)) == answers


@pytest.mark.parametrize("filesystem", ["tmpfs", "ramfs"])
def test_a_bind_mount_in_memory_names_the_file_system(filesystem: str) -> None:
    assert f"a {filesystem} of the host" in survival_of_file(Backing.BIND, filesystem=filesystem).reason
    assert f"a {filesystem}, perhaps" in survival_of_file(Backing.VOLUME, filesystem=filesystem).reason


def test_changes_in_a_private_mapping_are_lost() -> None:
    shared = survival_of_file(Backing.IMAGE)
    private = survival_of_file(Backing.IMAGE, shared=False)
    assert four(shared) == four(private)
    assert private.reason.startswith(shared.reason)
    assert "private mapping" in private.reason
    assert "private mapping" not in survival_of_file(None, shared=False).reason


def test_a_container_that_is_removed_when_it_stops() -> None:
    layer = survival_of_file(Backing.WRITABLE_LAYER, auto_remove=True)
    assert four(layer) == "ynny"
    assert "--rm" in layer.reason
    assert four(survival_of_file(Backing.VOLUME, auto_remove=True)) == "yyyy"
    assert four(survival_of_file(Backing.ENGINE, auto_remove=True)) == "ynny"


def test_the_reason_of_an_unknown_backing_is_said() -> None:
    assert survival_of_file(None, reason="Nothing shows it.").reason == "Backing storage unknown. Nothing shows it."
    assert survival_of_file(None).reason == "Backing storage unknown."
    assert "Nothing" not in survival_of_file(Backing.BIND, reason="Nothing shows it.").reason


@pytest.mark.parametrize("kind", IpcKind)
@pytest.mark.parametrize("mode", ["private", "none"])
def test_the_reason_names_the_removal_of_the_container(kind: IpcKind, mode: str) -> None:
    stays, goes = (survival_of_ipc(kind, mode, auto_remove=removed).reason for removed in (False, True))
    assert goes.startswith(stays.rstrip("."))
    assert ("removed" in goes, "removed" in stays) == (True, False)


@pytest.mark.parametrize("auto_remove", [False, True])
def test_a_mapping_survives_what_its_ipc_object_survives(auto_remove: bool) -> None:
    for backing, path, kind in (
        (Backing.SYSV, "/SYSV00000000", IpcKind.SHM),
        (Backing.TMPFS, "/dev/shm/a", IpcKind.POSIX_SHM),
    ):
        mapping = survival_of_file(backing, path=path, ipc_mode="private", auto_remove=auto_remove)
        assert mapping == survival_of_ipc(kind, "private", auto_remove=auto_remove)


@pytest.mark.parametrize("kind", IpcKind)
def test_without_an_ipc_namespace_the_place_is_dev_for_posix_files_alone(kind: IpcKind) -> None:
    in_dev = kind in (IpcKind.POSIX_SHM, IpcKind.POSIX_SEM)
    assert ("private /dev," in survival_of_ipc(kind, "none").reason) is in_dev
    assert "private /dev," not in survival_of_ipc(kind, "private").reason


def test_a_mapping_is_shared_and_a_container_stays_unless_said_otherwise() -> None:
    assert survival_of_file(Backing.IMAGE) == survival_of_file(Backing.IMAGE, shared=True)
    assert survival_of_file(Backing.SYSV) == survival_of_file(Backing.SYSV, ipc_mode="", auto_remove=False)
    assert survival_of_ipc(IpcKind.SHM, "") == survival_of_ipc(IpcKind.SHM, "", removed=False, auto_remove=False)
