"""Parsers for /proc: recorded texts, round trips, and only ValueError for garbage."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from containerlab_probes.kernel import procfs

STAT = (
    "7475 (sh) S 7450 7475 7475 0 -1 4194560 187 0 0 0 0 0 0 0 20 0 1 0 143238 2654208 231 18446744073709551615 1 1 0 0"
    " 0 0 0 0 65538 1 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 1792\n"
)
STATUS = """Name:\tsh
Umask:\t0022
State:\tS (sleeping)
Tgid:\t7475
Ngid:\t0
Pid:\t7475
PPid:\t7450
TracerPid:\t0
Uid:\t1000\t5\t1000\t5
Gid:\t0\t0\t0\t0
FDSize:\t64
Groups:\t0 
NStgid:\t7475\t1
NSpid:\t7475\t1
Threads:\t1
SigQ:\t0/96231
SigPnd:\t0000000000000200
ShdPnd:\t0000000000004000
SigBlk:\t8000000000000001
SigIgn:\t0000000000001000
SigCgt:\t0000000000010002
"""  # noqa: W291 (as the kernel writes it)

PARSERS: tuple[Callable[[str], object], ...] = (
    procfs.parse_stat,
    procfs.parse_status,
    procfs.parse_mask,
    procfs.parse_syscall,
    procfs.parse_signalfd,
    procfs.parse_cgroups,
    procfs.parse_pids,
    procfs.parse_command_line,
    procfs.parse_users,
)
any_text = st.text(st.characters(codec="utf-8") | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF))
masks = st.frozensets(st.integers(1, 64))


def as_mask(numbers: frozenset[int]) -> int:
    return sum(1 << number - 1 for number in numbers)


def test_stat() -> None:
    assert procfs.parse_stat(STAT) == procfs.Stat(7475, "sh", "S", 7450, 7475, 7475, 1, 143238, 1792)


@given(any_text)
@example(") S 1 2 3")
@example("a\nb (c) R 1 (")
@example("")
def test_a_name_may_contain_anything(name: str) -> None:
    found = procfs.parse_stat(STAT.replace("(sh)", f"({name})"))
    assert (found.name, found.state, found.started) == (name, "S", 143238)


def test_status() -> None:
    assert procfs.parse_status(STATUS) == procfs.Status(
        pid=7475,
        tgid=7475,
        parent=7450,
        state="S",
        uid=5,
        threads=1,
        namespace_pids=(7475, 1),
        thread_pending=frozenset({10}),
        shared_pending=frozenset({15}),
        blocked=frozenset({1, 64}),
        ignored=frozenset({13}),
        caught=frozenset({2, 17}),
    )


def test_status_without_pid_namespaces() -> None:
    text = "\n".join(line for line in STATUS.split("\n") if not line.startswith("NS"))
    assert procfs.parse_status(text).namespace_pids == (7475,)
    assert procfs.parse_namespace_pids(text) == (0,)


def test_the_numbers_in_each_namespace_alone() -> None:
    assert procfs.parse_namespace_pids(STATUS) == (7475, 1)
    assert procfs.parse_namespace_pids(STATUS.replace("Name:\tsh", "Name:\tNSpid:\t5")) == (7475, 1)


@pytest.mark.parametrize("key", ["State", "Tgid", "Pid", "PPid", "Uid", "Threads", "SigPnd", "SigCgt"])
def test_status_without_a_required_line(key: str) -> None:
    text = "\n".join(line for line in STATUS.split("\n") if not line.startswith(f"{key}:"))
    with pytest.raises(ValueError, match=key):
        procfs.parse_status(text)


@pytest.mark.parametrize("name", ["x\\nSigCgt:\\t0", "State:\tZ", "Tgid:\t1", "NSpid:\t5"])
def test_a_name_can_not_forge_a_line_of_status(name: str) -> None:
    """The kernel escapes line ends in the name, so only the real line begins with its key."""
    assert procfs.parse_status(STATUS.replace("Name:\tsh", f"Name:\t{name}")) == procfs.parse_status(STATUS)


def test_lines_of_status_in_another_order() -> None:
    lines = STATUS.split("\n")
    uid = next(line for line in lines if line.startswith("Uid:"))
    lines.remove(uid)
    with pytest.raises(ValueError, match="another order"):
        procfs.parse_status("\n".join([lines[0], uid, *lines[1:]]))


@given(masks)
def test_masks_round_trip(numbers: frozenset[int]) -> None:
    assert procfs.parse_mask(f"{as_mask(numbers):016x}") == numbers
    assert procfs.parse_sigset(as_mask(numbers).to_bytes(8, sys.byteorder)) == numbers
    assert procfs.parse_signalfd(f"pos:\t0\nflags:\t02\nmnt_id:\t15\nsigmask:\t{as_mask(numbers):016x}\n") == numbers


@given(st.tuples(masks, masks, masks, masks, masks))
def test_the_masks_of_status_round_trip(numbers: tuple[frozenset[int], ...]) -> None:
    text = STATUS
    for key, mask in zip(("SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt"), numbers, strict=True):
        text = re.sub(rf"(?m)^{key}:\t\w+$", f"{key}:\t{as_mask(mask):016x}", text)
    status = procfs.parse_status(text)
    assert (
        status.thread_pending, status.shared_pending, status.blocked, status.ignored, status.caught
    ) == numbers  # fmt: skip


@pytest.mark.parametrize("text", ["", "xyz", "-1", "1" * 17])
def test_an_invalid_mask(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        procfs.parse_mask(text)


@pytest.mark.parametrize("data", [b"", b"1234567", b"123456789"])
def test_a_sigset_has_eight_bytes(data: bytes) -> None:
    with pytest.raises(ValueError, match="8 bytes"):
        procfs.parse_sigset(data)


def test_fdinfo_of_other_files() -> None:
    assert procfs.parse_signalfd("pos:\t0\nflags:\t0100002\nmnt_id:\t15\n") is None


def test_syscall() -> None:
    assert procfs.parse_syscall("running\n") is None
    assert procfs.parse_syscall("-1 0x7ffd8def00b0 0x7f1\n") == procfs.Syscall(-1, (), 0x7FFD8DEF00B0)
    found = procfs.parse_syscall("128 0x7ffefe712170 0x0 0x0 0x8 0x0 0x1 0x7ffefe712100 0x7f00\n")
    assert found == procfs.Syscall(128, (0x7FFEFE712170, 0, 0, 8, 0, 1), 0x7FFEFE712100)


@given(st.integers(-1, 600), st.lists(st.integers(0, (1 << 64) - 1), min_size=8, max_size=8))
def test_system_calls_round_trip(number: int, values: list[int]) -> None:
    """The form that fs/proc/base.c writes: number, six arguments, stack pointer, program counter."""
    line = " ".join([str(number), *(f"{value:#x}" for value in values)])
    assert procfs.parse_syscall(f"{line}\n") == procfs.Syscall(number, tuple(values[:6]), values[6])


@pytest.mark.parametrize("text", ["", "running now", "1 2", "128 0x1 0x2 0x3", "x 0x1 0x2"])
def test_an_invalid_syscall(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        procfs.parse_syscall(text)


def test_cgroups() -> None:
    text = "12:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc:def\n0::/x\n"
    assert procfs.parse_cgroups(text) == {
        "cpu": "/docker/abc",
        "cpuacct": "/docker/abc",
        "name=systemd": "/docker/abc:def",
        "": "/x",
    }


@given(st.lists(st.integers(0, 4194304)))
def test_pids(pids: list[int]) -> None:
    assert procfs.parse_pids("\n".join(map(str, pids))) == tuple(pid for pid in pids if pid)


@given(st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1), min_size=1))
def test_command_lines_round_trip(argv: list[str]) -> None:
    assert procfs.parse_command_line("".join(f"{one}\0" for one in argv)) == tuple(argv)


@pytest.mark.parametrize(
    ("data", "argv"),
    [
        ("", ()),
        ("sh\0-c\0\0", ("sh", "-c", "")),
        ("nginx: master process nginx", ("nginx: master process nginx",)),
        ("postgres: writer\0\0\0\0\0\0", ("postgres: writer",)),
        ("a\0\0b\0", ("a", "", "b")),
    ],
)
def test_command_lines(data: str, argv: tuple[str, ...]) -> None:
    assert procfs.parse_command_line(data) == argv


def test_users() -> None:
    text = (
        "root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:\n# none\n+nis\nbad:x:one:0::/:\nöl:x:1000:1000::/:\n:x:7:7::/:"
    )
    assert procfs.parse_users(text) == {0: "root", 1000: "öl"}


@pytest.mark.parametrize("parse", PARSERS, ids=lambda parse: parse.__name__)
@given(text=any_text | st.text("0123456789abcdefx:/ ()\n\t-,"))
def test_garbage_raises_only_value_error(parse: Callable[[str], object], text: str) -> None:
    with contextlib.suppress(ValueError):
        parse(text)


@pytest.mark.parametrize("parse", [procfs.parse_stat, procfs.parse_status], ids=["stat", "status"])
@given(data=st.data())
def test_a_damaged_text_raises_only_value_error(parse: Callable[[str], object], data: st.DataObject) -> None:
    text = STAT if parse is procfs.parse_stat else STATUS
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    with contextlib.suppress(ValueError):
        parse(text[:start] + data.draw(any_text) + text[end:])


def test_this_process() -> None:
    me = Path(f"/proc/{os.getpid()}")
    stat = procfs.parse_stat((me / "stat").read_text())
    status = procfs.parse_status((me / "status").read_text())
    assert (stat.pid, stat.parent, stat.group, stat.session) == (os.getpid(), os.getppid(), os.getpgid(0), os.getsid(0))
    assert (status.pid, status.tgid, status.uid) == (os.getpid(), os.getpid(), os.geteuid())
    assert signal.SIGPIPE in status.ignored


def test_a_handler_and_a_command_line_of_a_real_process() -> None:
    program = "import signal, sys; signal.signal(signal.SIGUSR2, print); print('ready', flush=True); signal.pause()"
    argv = (sys.executable, "-c", program)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        about = Path(f"/proc/{child.pid}")
        assert procfs.parse_command_line((about / "cmdline").read_text()) == argv
        assert signal.SIGUSR2 in procfs.parse_status((about / "status").read_text()).caught
        child.kill()


def test_the_start_time_alone() -> None:
    text = "7 (a) b) S 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 1"
    assert procfs.parse_started(text) == procfs.parse_stat(text).started == 4711
    with pytest.raises(ValueError, match="not a line"):
        procfs.parse_started("7 (a) S 1")
