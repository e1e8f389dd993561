"""Loads of real processes: rates, exited processes, unreadable values, and a missing psutil."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import psutil
import pytest

from containerlab_probes.errors import Denied, Gone, Unsupported
from containerlab_probes.processes import load
from containerlab_probes.processes.load import HostLoadReader, ProcessLoadReader, psutil_errors
from containerlab_probes.processes.tree import read_process
from containerlab_probes.records import Process, ProcessId, ProcessLoad
from tests.support.docker import eventually


@pytest.fixture
def started() -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    processes = []

    def start(*command: str) -> "subprocess.Popen[bytes]":
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        return processes[-1]

    yield start
    for one in processes:
        one.kill()
        one.communicate()


Start = Callable[..., "subprocess.Popen[bytes]"]


def load_of(process: Process, reader: ProcessLoadReader) -> ProcessLoad:
    (read,) = reader.read((process,))
    assert read.load is not None
    assert replace(read, load=None) == process
    return read.load


def test_the_first_reading_has_no_cpu_and_the_next_has(started: Start) -> None:
    busy = read_process(started("sh", "-c", "while :; do :; done").pid)
    reader = ProcessLoadReader()
    assert load_of(busy, reader).cpu_percent is None

    def percent() -> float | None:
        return load_of(busy, reader).cpu_percent

    # The machine may be busy, so any CPU time counts.
    assert 0 < (eventually(percent, "it has used CPU time between two readings") or 0) < 110


def test_a_rate_over_too_short_a_time_is_not_computed() -> None:
    now = [100.0]
    reader, me = ProcessLoadReader(lambda: now[0]), read_process(os.getpid())
    assert load_of(me, reader).cpu_percent is None
    now[0] += load.SHORTEST_RATE_S / 2
    assert load_of(me, reader).cpu_percent is None
    used = psutil.Process().cpu_times()
    while psutil.Process().cpu_times()[:2] == used[:2]:
        pass
    now[0] += load.SHORTEST_RATE_S
    percent = load_of(me, reader).cpu_percent
    assert percent is not None
    assert percent > 0
    now[0] += load.SHORTEST_RATE_S / 2
    assert load_of(me, reader).cpu_percent == percent


def test_memory_descriptors_and_io_match_the_kernel(started: Start) -> None:
    program = (
        "import os, sys\nfiles = [open('/dev/null') for _ in range(200)]\nprint('ready', flush=True)\nsys.stdin.read()"
    )
    with subprocess.Popen((sys.executable, "-c", program), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        found = load_of(read_process(child.pid), ProcessLoadReader())
        theirs = psutil.Process(child.pid)
        assert found.memory_bytes == theirs.memory_info().rss
        assert found.descriptors == theirs.num_fds() == 203
        io = theirs.io_counters()
        assert (found.read_bytes, found.written_bytes) == (io.read_bytes, io.write_bytes)
        child.kill()


def test_a_zombie_uses_nothing(started: Start) -> None:
    child = started("true")
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    zombie = read_process(child.pid)
    assert zombie.state == "Z"
    assert load_of(zombie, ProcessLoadReader()).memory_bytes == 0


def test_an_exited_process_has_no_load_and_the_others_have(started: Start) -> None:
    child, me = started("sleep", "1000"), read_process(os.getpid())
    seen = (read_process(child.pid), me)
    child.send_signal(signal.SIGKILL)
    child.wait()
    ended, alive = ProcessLoadReader().read(seen)
    assert ended.load is None
    assert alive.load is not None


def test_a_reused_pid_is_another_process() -> None:
    me = read_process(os.getpid())
    before = replace(me, id=ProcessId(me.pid, me.id.started - 1))
    assert ProcessLoadReader().read((before,))[0].load is None


def test_a_reading_that_takes_too_long_leaves_the_rest_unread() -> None:
    moments = iter((0.0, 0.5, 0.6, load.TIME_LIMIT_S + 0.1))
    seen = (read_process(os.getpid()), read_process(os.getppid()), read_process(1))
    read = ProcessLoadReader(lambda: next(moments)).read(seen)
    assert [one.load is None for one in read] == [False, True, True]


def test_descriptors_are_counted_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a kernel that does not report their number."""
    assert load._counted("/proc/self/fd") == psutil.Process().num_fds()
    monkeypatch.setattr(load, "DESCRIPTORS_LIMIT", 2)
    assert load._counted("/proc/self/fd") is None


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (psutil.NoSuchProcess(7), Gone),
        (psutil.ZombieProcess(7), Denied),
        (psutil.AccessDenied(7), Denied),
    ],
)
def test_errors_of_psutil_are_translated(theirs: psutil.Error, ours: type[Exception]) -> None:
    with pytest.raises(ours, match="7"), psutil_errors(7):
        raise theirs


def test_without_psutil_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    with pytest.raises(Unsupported, match="pip install psutil"):
        ProcessLoadReader().read((read_process(os.getpid()),))
    assert HostLoadReader().read() is None


def test_io_that_may_not_be_read_is_unknown_and_the_rest_is_known() -> None:
    """The user nobody can't read root's I/O counters, but its memory."""
    program = (
        "import os, sys\nfrom containerlab_probes.processes.load import ProcessLoadReader\n"
        "from containerlab_probes.processes.tree import read_process\n"
        "one = read_process(os.getppid())\nos.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "import psutil\nprint(*ProcessLoadReader().read((one,)))\n"
    )
    done = subprocess.run(
        (sys.executable, "-c", "import psutil\n" + program), capture_output=True, text=True, check=True
    )
    assert "read_bytes=None, written_bytes=None" in done.stdout
    assert "memory_bytes=None" not in done.stdout


def test_the_host() -> None:
    now = [100.0]
    reader = HostLoadReader(lambda: now[0])
    first = reader.read()
    assert first is not None
    assert first.cpu_percent is None
    assert first.memory_total == psutil.virtual_memory().total
    assert 0 < first.memory_bytes < first.memory_total
    now[0] += load.SHORTEST_RATE_S
    second = reader.read()
    assert second is not None
    assert second.cpu_percent is not None
    assert 0 <= second.cpu_percent <= 100
