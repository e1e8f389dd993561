"""Files of a container: read here where no read can block, otherwise through an agent within one time limit."""

import os
from pathlib import Path

import pytest

from containerlab_probes.errors import Unanswered
from containerlab_probes.file_client import FileClient
from containerlab_probes.kernel.local import LocalMounts, NotLocal
from containerlab_probes.memory_records import FileState
from containerlab_probes.processes.container_files import ContainerFiles
from containerlab_probes.processes.identity import identify
from containerlab_probes.records import ProcessId
from containerlab_tui.doctor.gather_files import ContainerReader

ME = identify(os.getpid())


class Refusing(FileClient):
    """An agent that must not be asked."""

    def read(self, id: ProcessId, path: str, limit: int) -> bytes:
        raise AssertionError(path)


class Silent(FileClient):
    """An agent whose container does not answer."""

    asked = 0

    def read(self, id: ProcessId, path: str, limit: int) -> bytes:
        Silent.asked += 1
        raise Unanswered("no answer")


def test_local_files_need_no_agent(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("text")
    with ContainerReader(ME, Refusing) as reader, reader.view(ME) as view:
        assert view.text(str(file)) == "text"
        assert view.data(str(file), 2) == b"te"
        assert view.text(str(tmp_path / "none")) is None
        assert view.names(str(tmp_path)) == ("file",)
        assert view.state(str(tmp_path)) == FileState(tmp_path.stat().st_mode, os.getuid(), read_only=False)
        assert reader.unread == ()


def test_other_files_come_through_the_agent() -> None:
    with ContainerReader(ME) as reader, reader.view(ME) as view:
        text = view.text("/proc/sys/kernel/ostype")
        assert text == "Linux\n"
        assert "ostype" in view.names("/proc/sys/kernel")


def test_what_does_not_answer_is_asked_once_and_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("text")
    Silent.asked = 0
    with ContainerReader(ME, Silent) as reader, reader.view(ME) as view:
        assert view.text("/proc/sys/kernel/ostype") is None
        assert view.text("/proc/sys/kernel/osrelease") is None
        assert view.text(str(file)) == "text"
    assert Silent.asked == 1
    assert len(reader.unread) == 1


def test_a_mount_of_another_device_is_not_touched() -> None:
    files = ContainerFiles(ME, LocalMounts(ME.pid))
    with pytest.raises(NotLocal, match="/proc/version"):
        files.read("/proc/version")
    files.close()


def test_the_time_of_a_client_is_for_all_its_questions() -> None:
    client = FileClient(ME, time_limit_s=0.001)
    for _ in range(2):
        with pytest.raises(Unanswered):
            client.read(ME, "/etc/passwd", 10)
    client.close()
