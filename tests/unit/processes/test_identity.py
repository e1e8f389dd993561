"""A process is identified by its number and start time, so a reused number is not mistaken for it."""

import errno
import os
import resource
import select
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from containerlab_probes.errors import Gone, Unsupported
from containerlab_probes.processes.identity import ended, identify, open_pidfd
from containerlab_probes.records import ProcessId

ME = identify(os.getpid())
NOBODY = 2**22 + 1
"""Above the largest process number that a kernel gives (PID_MAX_LIMIT)."""


@pytest.fixture
def child() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen((sys.executable, "-c", "input()"), stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def open_fds() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_process_is_its_number_and_its_start() -> None:
    with open("/proc/self/stat", encoding="ascii") as file:
        started = int(file.read().rpartition(")")[2].split()[19])
    assert identify(os.getpid()) == ProcessId(os.getpid(), started)
    with pytest.raises(Gone):
        identify(NOBODY)


def test_a_pidfd_is_of_that_process(child: "subprocess.Popen[bytes]") -> None:
    fd = open_pidfd(identify(child.pid))
    try:
        with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as file:
            assert f"Pid:\t{child.pid}\n" in file.read()
        assert not select.select([fd], [], [], 0)[0]
        child.kill()
        assert select.select([fd], [], [], 60)[0]
    finally:
        os.close(fd)


@pytest.mark.parametrize("shift", [-1, 1])
def test_another_process_with_the_number_is_refused(shift: int) -> None:
    """Its start may be later or, after the clock of the boot was read wrongly, earlier."""
    before = open_fds()
    with pytest.raises(Gone, match=f"Process {ME.pid} "):
        open_pidfd(ProcessId(ME.pid, ME.started + shift))
    assert open_fds() == before


@pytest.mark.parametrize("pid", [NOBODY, 2**31, 2**70])
def test_an_unused_pid_raises_gone(pid: int) -> None:
    with pytest.raises(Gone, match=str(pid)):
        open_pidfd(ProcessId(pid, 1))


def test_a_reaped_process_raises_gone(child: "subprocess.Popen[bytes]") -> None:
    id, before = identify(child.pid), open_fds()
    child.kill()
    child.wait()
    with pytest.raises(Gone):
        open_pidfd(id)
    assert open_fds() == before


def test_a_process_that_exits_between_the_two_readings_raises_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pidfd is there, its /proc entry no longer: what was opened is closed again."""
    other, before = os.pidfd_open(os.getpid()), open_fds()
    opened = iter([os.dup(other)])

    def open_once(pid: int) -> int:
        for fd in opened:
            return fd
        raise ProcessLookupError

    monkeypatch.setattr(os, "pidfd_open", open_once)
    with pytest.raises(Gone) as caught:
        open_pidfd(ProcessId(NOBODY, ME.started))
    assert isinstance(caught.value.__cause__, Gone)
    assert open_fds() == before
    os.close(other)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSYS, "Linux 5.3"),
        (errno.EMFILE, "ulimit -n"),
        (errno.ENFILE, "ulimit -n"),
    ],
)
def test_what_the_machine_lacks_is_said(monkeypatch: pytest.MonkeyPatch, code: int, words: str) -> None:
    monkeypatch.setattr(os, "pidfd_open", failing(code))
    with pytest.raises(Unsupported, match=words):
        open_pidfd(ME)


@pytest.mark.parametrize("code", [errno.ESRCH, errno.EINVAL])
def test_a_missing_process_was_sent_nothing(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """EINVAL: the number belongs to a thread that leads no process."""
    monkeypatch.setattr(os, "pidfd_open", failing(code))
    with pytest.raises(Gone, match="nothing was sent"):
        open_pidfd(ME)


def failing(code: int) -> Callable[[int], int]:
    def fail(pid: int) -> int:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("free", [0, 1])
def test_too_many_open_files_are_not_taken_for_an_exit(free: int) -> None:
    """Where one more may be opened, that is the pidfd, and the process can't be identified any more."""
    next_fd = os.dup(0)
    os.close(next_fd)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next_fd + free, hard))
    try:
        with pytest.raises(Unsupported, match="limit of open files"):
            open_pidfd(ME)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_sentence_says_that_nothing_was_sent() -> None:
    assert "nothing was sent" in str(ended(ME)) or "Nothing" in str(ended(ME))
    assert str(ME.pid) in str(ended(ME))
