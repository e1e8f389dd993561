"""A session with the host's tools in the namespaces of a process, without an engine."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from containerlab_probes.errors import Denied, Gone
from containerlab_probes.processes.identity import identify
from containerlab_probes.records import ProcessId
from containerlab_tui.model.entry import Entry, Way
from containerlab_tui.services.entered_processes import SessionEnd
from containerlab_tui.services.host_session import HostSession

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
HOST_FILES = Entry(Way.HOST_TOOLS, host_files=True)
ENVIRONMENT = {"PATH": os.environ["PATH"]}


@pytest.fixture
def remapped() -> Iterator[ProcessId]:
    """Yields PID 1 of new namespaces, in which root is user 100000 of the host."""
    kinds = ("--user", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child")
    outer = subprocess.Popen(
        ("unshare", *kinds, "sh", "-c", "echo up; exec sleep 1000"),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert outer.stdout is not None
    assert outer.stdout.readline() == "up\n"
    inner = int(Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()[0])
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{inner}/{name}").write_text("0 100000 1000")
    yield identify(inner)
    outer.kill()
    outer.wait()
    outer.stdout.close()


def run(init: ProcessId, entry: Entry, script: str) -> tuple[str, SessionEnd]:
    """Returns the output of a shell script in a session, and how it ended."""
    with closing(HostSession(init, entry, ("sh", "-c", script), ENVIRONMENT, (24, 80))) as session:
        output = b""
        while data := session.read():
            output += data
        return output.decode(), session.end(has_left=False)


def test_root_of_a_user_namespace_is_not_the_hosts(remapped: ProcessId) -> None:
    script = "readlink /proc/self/ns/user; cat /proc/self/uid_map; stat -c %u /proc/self/cwd/proc/self; exit 4"
    output, ended = run(remapped, HOST_FILES, script)
    assert os.readlink(f"/proc/{remapped.pid}/ns/user") in output
    assert "100000" in output
    assert ended == SessionEnd(4)


def test_full_rights_keep_the_hosts_user_namespace(remapped: ProcessId) -> None:
    output, _ = run(remapped, Entry(Way.HOST_TOOLS, full_rights=True), "readlink /proc/self/ns/user")
    assert output.strip() == os.readlink("/proc/self/ns/user")


def test_the_terminal_has_the_users_size(remapped: ProcessId) -> None:
    output, _ = run(remapped, HOST_FILES, "stty size")
    assert output.strip() == "24 80"


def test_a_container_that_may_trace_is_not_entered(remapped: ProcessId) -> None:
    with pytest.raises(Denied, match="may have CAP_SYS_PTRACE"):
        run(remapped, Entry(Way.HOST_TOOLS), "exit 0")


def test_another_process_with_the_number_of_pid_1_is_not_entered(remapped: ProcessId) -> None:
    other = ProcessId(remapped.pid, remapped.started - 1)
    with pytest.raises(Gone, match="it has exited"):
        run(other, Entry(Way.HOST_TOOLS), "exit 0")


def test_a_program_that_may_not_be_executed_is_named(remapped: ProcessId) -> None:
    with pytest.raises(Denied, match="Could not run /etc/passwd: not executable"):
        HostSession(remapped, HOST_FILES, ("/etc/passwd",), ENVIRONMENT, (24, 80))
