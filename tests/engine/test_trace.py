"""The kernel trace of real containers, and that nothing of it remains afterwards."""

import contextlib
import itertools
import os
import re
import select
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from containerlab_probes.processes.identity import identify
from containerlab_probes.records import ProcessId
from containerlab_probes.trace import ring_buffer, tracefs
from containerlab_probes.trace.tracer import Tracer
from containerlab_probes.trace_records import (
    LostEvents,
    SignalResult,
    Taken,
    TracedDelivery,
    TracedExec,
    TracedExit,
    TracedFork,
    TracedSignal,
    TraceRecord,
)
from tests.support.docker import Containers, Docker, eventually
from tests.support.kernel import send

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the kernel's trace needs root")

BASE = "containerlab/base:latest"
ANOTHER_NETWORK = ("unshare", "--net")
HANDLER = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *a: sys.exit(0))
print("ready", flush=True)
while True: signal.pause()
"""

LISTENS = """
import signal
for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2): signal.signal(number, lambda *a: None)
print("ready", flush=True)
while True: signal.pause()
"""


class Records:
    """The records of a tracer so far."""

    def __init__(self) -> None:
        self.seen: list[TraceRecord] = []
        self.tracer = Tracer()

    def take(self, records: tuple[TraceRecord, ...]) -> None:
        self.seen += records

    def of(self, pid: int) -> list[TraceRecord]:
        return [record for record in self.seen if not isinstance(record, LostEvents) and record.pid == pid]

    def deliveries(self, pid: int) -> list[TracedDelivery]:
        return [one for one in self.of(pid) if isinstance(one, TracedDelivery)]

    def one(self, is_meant: Callable[[TraceRecord], bool], what: str) -> TraceRecord:
        """Returns the first such record, once it has come."""
        return eventually(lambda: next((record for record in self.seen if is_meant(record)), None), what)  # type: ignore[return-value]

    def exit_of(self, pid: int) -> TracedExit:
        record = self.one(lambda one: isinstance(one, TracedExit) and one.pid == pid, f"the exit of {pid}")
        assert isinstance(record, TracedExit)
        return record

    def signal_to(self, pid: int, number: int) -> TracedSignal:
        record = self.one(
            lambda one: isinstance(one, TracedSignal) and (one.pid, one.signal) == (pid, number),
            f"signal {number} to {pid}",
        )
        assert isinstance(record, TracedSignal)
        return record


@contextmanager
def tracing(*ids: ProcessId) -> Iterator[Records]:
    records = Records()
    assert records.tracer.available() == ""
    records.tracer.watch(ids)
    records.tracer.start(records.take)
    try:
        yield records
    finally:
        records.tracer.close()


@pytest.fixture
def host_process() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Returns a function that starts processes outside of containers; they are killed after the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*argv: str, ready: str = "") -> subprocess.Popen[str]:
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        started.append(process)
        if ready:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == ready
        return process

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.communicate()


def init_of(docker: Docker, name: str) -> ProcessId:
    return docker.run_of(name).init


def instances() -> list[str]:
    """Returns this program's tracefs instances."""
    root = tracefs.open_tracefs()
    try:
        names = os.listdir(f"/proc/self/fd/{root}/instances")
    finally:
        os.close(root)
    return [name for name in names if tracefs.owner_of(name)]


_others: set[str] = set()
"""Instances that were there before the test: a stop that another test of this process still follows has one."""


@pytest.fixture(autouse=True)
def _know_the_others() -> None:
    _others.clear()
    _others.update(instances())


def instances_of(pid: int) -> list[str]:
    """Returns the instances that a process has created since the test began."""
    made = (name for name in instances() if name not in _others)
    return [name for name in made if (owner := tracefs.owner_of(name)) and owner.pid == pid]


@contextmanager
def somebody_tracing() -> Iterator[Callable[[], bool]]:
    """Creates an instance of another program that traces signals; returns whether it still does."""
    root = tracefs.open_tracefs()
    name = f"instances/somebody-{os.getpid()}"
    os.mkdir(name, dir_fd=root)
    switch = os.open(f"{name}/events/signal/enable", os.O_RDWR, dir_fd=root)
    os.write(switch, b"1")
    try:
        yield lambda: os.pread(switch, 8, 0) == b"1\n"
    finally:
        os.close(switch)
        os.rmdir(name, dir_fd=root)
        os.close(root)


def test_a_shell_as_pid_1_is_not_reached_and_then_killed_with_its_children(
    docker: Docker, container: Containers
) -> None:
    name = container(BASE, "dash", "-c", "echo ready; sleep 1000; true", ready="ready")
    init = init_of(docker, name)
    with tracing(init) as records:
        (child,) = records.tracer.watched - {init.pid}
        docker("exec", "-d", name, "sleep", "500")
        entered = records.one(
            lambda one: isinstance(one, TracedExec) and one.path.endswith("sleep"), "the exec'd sleep"
        )
        assert isinstance(entered, TracedExec)
        docker("stop", "-t", "1", name)
        ends = {pid: records.exit_of(pid) for pid in (init.pid, child, entered.pid)}
    term, kill = records.signal_to(init.pid, 15), records.signal_to(init.pid, 9)
    assert (term.result, term.sender_name, term.by_kernel) == (SignalResult.IGNORED, "runc", False)
    assert (kill.result, kill.sender_name, kill.by_kernel) == (SignalResult.QUEUED, "runc", False)
    assert 1.0 <= kill.at - term.at < 5.0
    assert not any(isinstance(one, TracedDelivery) and one.signal == 15 for one in records.seen)
    assert {end.ended_by for end in ends.values()} == {"SIGKILL"}
    for pid in (child, entered.pid):
        by_init = records.signal_to(pid, 9)
        assert (by_init.sender_pid, by_init.sender_name, by_init.by_kernel) == (init.pid, "dash", True)
        assert kill.at <= by_init.at <= ends[pid].at <= ends[init.pid].at + 0.001
    assert all(later.at > earlier.at - 0.02 for earlier, later in itertools.pairwise(records.seen))


def test_a_handler_takes_the_stop_signal(docker: Docker, container: Containers) -> None:
    init = init_of(docker, name := container(BASE, "python3", "-c", HANDLER, ready="ready"))
    with tracing(init) as records:
        docker("stop", "-t", "10", name)
        assert records.exit_of(init.pid).ended_by == 0
    assert [
        (type(one), getattr(one, "taken", None)) for one in records.of(init.pid) if not isinstance(one, TracedExec)
    ] == [(TracedSignal, None), (TracedDelivery, Taken.HANDLER), (TracedExit, None)]


def test_a_blocked_signal_is_queued_once_and_not_delivered(docker: Docker, container: Containers) -> None:
    code = "import signal, time; signal.pthread_sigmask(0, {10}); print('ready', flush=True); time.sleep(1000)"
    init = init_of(
        docker, container(BASE, "python3", "-c", f"import signal; signal.signal(10, print); {code}", ready="ready")
    )
    with tracing(init) as records:
        send(init, 10)
        send(init, 10)
        eventually(lambda: len(records.of(init.pid)) == 2, "both signals")
    assert [one.result for one in records.of(init.pid) if isinstance(one, TracedSignal)] == [
        SignalResult.QUEUED,
        SignalResult.ALREADY_PENDING,
    ]


def test_children_threads_and_a_thread_that_runs_another_program(docker: Docker, container: Containers) -> None:
    code = """
import os, signal, sys, threading, time
signal.signal(signal.SIGUSR1, lambda *a: None)
print("ready", flush=True)
signal.pause()
if os.fork() == 0:
    other = threading.Thread(target=time.sleep, args=(1000,), daemon=True); other.start()
    signal.pthread_kill(other.ident, signal.SIGUSR1)
    threading.Thread(target=lambda: os.execv("/bin/sleep", ["sleep", "1000"])).start()
    time.sleep(1000)
os.wait()
time.sleep(1000)
"""
    init = init_of(docker, container(BASE, "python3", "-c", code, ready="ready"))
    with tracing(init) as records:
        send(init, signal.SIGUSR1)
        fork = records.one(lambda one: isinstance(one, TracedFork), "the fork")
        assert isinstance(fork, TracedFork)
        assert fork.parent_pid == init.pid
        records.one(lambda one: isinstance(one, TracedExec) and one.pid == fork.pid, "the exec by a thread")
        to_thread = records.signal_to(fork.pid, signal.SIGUSR1)
        assert (to_thread.sender_pid, to_thread.group, to_thread.code) == (fork.pid, False, -6)
        os.kill(fork.pid, signal.SIGTERM)
        assert records.signal_to(fork.pid, signal.SIGTERM).sender_pid == os.getpid()
        assert records.exit_of(fork.pid).ended_by == "SIGTERM"


def test_an_alarm_comes_from_nobody(docker: Docker, container: Containers) -> None:
    code = """
import signal
signal.signal(signal.SIGALRM, lambda *a: None)
print("ready", flush=True)
while True: signal.setitimer(signal.ITIMER_REAL, 0.1); signal.pause()
"""
    init = init_of(docker, container(BASE, "python3", "-c", code, ready="ready"))
    with tracing(init) as records:
        assert records.signal_to(init.pid, signal.SIGALRM).by_kernel


def test_names_and_paths_forge_nothing(docker: Docker, container: Containers) -> None:
    forged = "\n bash-1 [000] d..1. 9999.000000: signal_generate: sig=9 errno=0 code=0 comm=x pid=1 grp=1 res=0\n"
    code = f"""
import ctypes, os, shutil, signal
path = "/tmp/" + {forged!r}
ctypes.CDLL(None).prctl(15, b"\\n x-1 [000] d..")
shutil.copy("/bin/sleep", path)
signal.signal(10, lambda *a: None); print("ready", flush=True); signal.pause()
os.kill(1, 10)
os.execv(path, ["sleep", "1000"])
"""
    init = init_of(docker, container(BASE, "python3", "-c", code, ready="ready"))
    with tracing(init) as records:
        send(init, 10)
        execed = records.one(lambda one: isinstance(one, TracedExec), "the exec")
        assert isinstance(execed, TracedExec)
        assert execed.path == "/tmp/" + forged
        assert {one.signal for one in records.seen if isinstance(one, TracedSignal)} == {10}


def test_exits_have_the_time_that_a_pidfd_shows(docker: Docker, container: Containers) -> None:
    code = (
        "import os, signal, sys\n"
        + "for i in range(9): os.fork() or signal.pause()\nprint('ready', flush=True); signal.pause()"
    )
    init = init_of(docker, container(BASE, "python3", "-c", code, ready="ready"))
    with tracing(init) as records:
        seen: dict[int, float] = {}
        for pid in records.tracer.watched - {init.pid}:
            fd = os.pidfd_open(pid)
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            os.kill(pid, signal.SIGTERM)
            poll.poll(10_000)
            seen[pid] = time.time()
            os.close(fd)
        later = [seen[pid] - records.exit_of(pid).at for pid in seen]
    assert len(later) == 9
    assert min(later) > -0.001
    assert statistics.median(later) < 0.005


def test_two_tracers_and_another_user_of_tracing_do_not_disturb_each_other(
    docker: Docker, container: Containers
) -> None:
    first, second = (init_of(docker, container(BASE, "python3", "-c", LISTENS, ready="ready")) for _ in range(2))
    with somebody_tracing() as is_enabled:
        with tracing(first) as one, tracing(second) as two:
            assert len(instances_of(os.getpid())) == 2
            one.tracer.watch([second, ProcessId(second.pid, second.started + 1)])
            send(second, 10)
            seen = one.signal_to(second.pid, 10)
            assert replace(seen, at=0) == replace(two.signal_to(second.pid, 10), at=0)
            assert abs(seen.at - time.time()) < 5
            eventually(lambda: two.deliveries(second.pid), "its delivery")
            two.tracer.close()
            send(first, 12)
            send(second, 12)
            one.signal_to(second.pid, 12)
            one.signal_to(first.pid, 12)
            assert len(two.of(second.pid)) == 2
        assert is_enabled()
        assert instances_of(os.getpid()) == []


BUSY = """
import os, signal, sys, time
total, rate = int(sys.argv[1]), int(sys.argv[2])
signal.signal(signal.SIGUSR1, lambda *a: None)
signal.signal(signal.SIGUSR2, lambda *a: None)
print("ready", flush=True)
signal.pause()
began = time.monotonic()
for sent in range(total):
    if sent % 100 == 0:
        time.sleep(max(0, began + sent / rate - time.monotonic()))
    os.kill(1, signal.SIGUSR1)
child = os.fork()
if child == 0:
    while True: signal.pause()
print("done", child, flush=True)
while True: signal.pause()
"""


def test_ten_thousand_signals_a_second_take_less_than_half_a_core(docker: Docker, container: Containers) -> None:
    name = container(BASE, "python3", "-c", BUSY, "20000", "10000", ready="ready")
    init = init_of(docker, name)
    with tracing(init) as records:
        began, cpu = time.monotonic(), time.process_time()
        send(init, signal.SIGUSR2)
        fork = records.one(lambda one: isinstance(one, TracedFork), "the fork after the signals")
        took, cpu = time.monotonic() - began, time.process_time() - cpu
    lost = sum(one.count or 0 for one in records.seen if isinstance(one, LostEvents))
    received = [one for one in records.of(init.pid) if getattr(one, "signal", 0) == signal.SIGUSR1]
    assert len(received) + lost >= 40_000
    assert sum(isinstance(one, TracedSignal) for one in received) == 20_000 or lost
    assert cpu < 0.5 * max(took, 2.0)
    assert fork.at >= received[-1].at


def test_lost_events_are_counted_and_missed_processes_are_followed(docker: Docker, container: Containers) -> None:
    """The reader pauses until the buffers have overrun."""
    name = container(BASE, "python3", "-c", BUSY, "60000", "1000000", ready="ready")
    init = init_of(docker, name)
    with tracing(init) as records:
        take = records.take

        def stand_still(batch: tuple[TraceRecord, ...]) -> None:
            docker.says(name, "done", within_s=30)
            records.take = take  # type: ignore[method-assign]
            take(batch)

        records.tracer.close()
        records.tracer = Tracer()
        records.tracer.watch([init])
        records.tracer.start(stand_still)
        send(init, signal.SIGUSR2)
        records.one(lambda one: isinstance(one, LostEvents), "the loss")
        (child,) = eventually(lambda: records.tracer.watched - {init.pid}, "the child that was forked meanwhile")
        send(identify(child), signal.SIGUSR2)
        records.signal_to(child, signal.SIGUSR2)
    lost = sum(one.count or 0 for one in records.seen if isinstance(one, LostEvents))
    received = [one for one in records.of(init.pid) if getattr(one, "signal", 0) == signal.SIGUSR1]
    assert lost > 0
    assert len(received) + lost >= 120_000


TRACES = """
import os, signal, sys
from containerlab_probes.processes.tree import identify
from containerlab_probes.trace.tracer import Tracer
tracer = Tracer()
tracer.watch([identify(int(sys.argv[1]))])
tracer.start(lambda records: "print" in sys.argv and print(*records, sep="\\n", flush=True))
print("ready", flush=True)
if "wait" in sys.argv: signal.pause()
"""


def test_a_killed_program_leaves_what_the_next_start_removes(
    host_process: Callable[..., subprocess.Popen[str]],
) -> None:
    killed = host_process(sys.executable, "-c", TRACES, str(os.getpid()), "wait", ready="ready")
    alive = host_process(sys.executable, "-c", TRACES, str(os.getpid()), "wait", ready="ready")
    assert len(instances_of(killed.pid)) == 1
    killed.kill()
    eventually(lambda: tracefs.started(killed.pid) is None, "only its zombie is left")
    assert Path(f"/proc/{killed.pid}").exists()
    root = tracefs.open_tracefs()
    others = f"instances/containerlab-tui-{killed.pid}"
    os.mkdir(others, dir_fd=root)
    try:
        with tracing():
            assert instances_of(killed.pid) == []
            assert len(instances_of(alive.pid)) == 1
        os.stat(others, dir_fd=root)
    finally:
        os.rmdir(others, dir_fd=root)
        os.close(root)


@pytest.mark.parametrize(
    "end", ["", "import signal; signal.signal(15, lambda *a: sys.exit(1)); os.kill(os.getpid(), 15)"]
)
def test_the_end_of_the_interpreter_removes_it(end: str) -> None:
    mounts = Path("/proc/self/mountinfo").read_text()
    done = subprocess.Popen((sys.executable, "-c", TRACES + end, str(os.getpid())), stdout=subprocess.DEVNULL)
    done.wait(timeout=20)
    assert done.returncode == bool(end)
    assert instances_of(done.pid) == []
    assert [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if "tracefs" in line] == [
        line for line in mounts.splitlines() if "tracefs" in line
    ]


def test_it_is_removed_although_a_child_holds_copies_of_its_descriptors() -> None:
    """As between fork and execve, when close-on-exec descriptors are still open in the child."""
    read, write = os.pipe()
    with tracing():
        child = os.fork()
        if child == 0:
            os.close(write)
            os.read(read, 1)
            os._exit(0)
        timer = threading.Timer(0.1, os.close, (write,))
        timer.start()
    timer.join()
    os.waitpid(child, 0)
    os.close(read)
    assert instances_of(os.getpid()) == []


def test_an_error_in_the_callback_ends_the_trace_and_removes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: failed.append(args.exc_type))

    def fail(records: tuple[TraceRecord, ...]) -> None:
        raise KeyError(records[0])

    tracer = Tracer()
    tracer.watch([identify(os.getpid())])
    tracer.start(fail)
    subprocess.run(("true",), check=True)
    eventually(lambda: failed == [KeyError], "the error is reported")
    assert not instances_of(os.getpid())
    tracer.close()


def says(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, timeout=20, check=True).stdout.strip()


def test_without_root_the_error_is_a_sentence() -> None:
    # Root until all is imported: the checkout may be in root's home, which nobody else can read.
    code = (
        "import os; from containerlab_probes.trace.tracer import Tracer; tracer = Tracer(); "
        "os.setgroups([]); os.setgid(65534); os.setuid(65534); print(tracer.available())"
    )
    said = says(sys.executable, "-c", code)
    assert re.fullmatch(r"Could not use the kernel trace: it needs root \(CAP_SYS_ADMIN.*sudo\.", said)


def test_without_the_connector_exits_have_no_status(
    host_process: Callable[..., subprocess.Popen[str]],
) -> None:
    victim = host_process("sleep", "1000")
    tracer = subprocess.Popen(
        (*ANOTHER_NETWORK, sys.executable, "-c", TRACES, str(victim.pid), "print", "wait"),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert tracer.stdout is not None
        assert tracer.stdout.readline() == "ready\n"
        victim.kill()
        lines = iter(tracer.stdout.readline, "")
        assert "ended_by=None" in next(line for line in lines if "TracedExit" in line)
    finally:
        tracer.kill()
        tracer.communicate()


def test_a_mounted_tracefs_is_used_as_it_is() -> None:
    code = """
import os
from containerlab_probes.trace.tracefs import open_tracefs
print(os.readlink(f"/proc/self/fd/{open_tracefs()}"))
"""
    command = 'mount -t tracefs tracefs /sys/kernel/tracing && exec "$@"'
    assert says("unshare", "--mount", "sh", "-c", command, "sh", sys.executable, "-c", code) == "/sys/kernel/tracing"


def test_pages_agree_with_the_kernels_text() -> None:
    """Parses the same buffers that the kernel prints as text."""
    instance = tracefs.Instance(4242)
    try:
        instance.prepare()
        decoders = {}
        for event, make in (
            ("signal/signal_generate", ring_buffer.generated),
            ("task/task_newtask", ring_buffer.new_task),
        ):
            text = instance.read(f"events/{event}/format")
            decoders[ring_buffer.parse_id(text)] = make(ring_buffer.parse_fields(text))
            instance.enable(event)
        instance.open_buffers()
        # Each sleep is a new task, and sets the events apart.
        subprocess.run(("sh", "-c", "trap : USR1; for i in 1 2 3; do sleep 0.02; kill -USR1 $$; done"), check=True)
        instance.write("tracing_on", "0")
        printed = instance.read("trace")
        pages = ring_buffer.Pages(instance.read("../../events/header_page"), decoders)
        events = sorted(event for cpu in instance.pages() for page in cpu for event in pages.events(page))
    finally:
        instance.close()
    signals = re.findall(
        r"(\d+)\.(\d{6}): signal_generate: sig=(\d+) errno=\S+ code=(-?\d+) .* pid=(\d+) grp=(\d) res=(\d)", printed
    )
    tasks = re.findall(r"(\d+)\.(\d{6}): task_newtask: pid=(\d+)", printed)
    assert sum(int(one[2]) == 10 for one in signals) >= 3
    assert [
        (round(one.time, -3) // 1000, one.signal, one.code, one.target, int(one.group), one.result)
        for one in events
        if isinstance(one, ring_buffer.Generated)
    ] == [(int(a + b), *map(int, rest)) for a, b, *rest in signals]
    assert [(round(one.time, -3) // 1000, one.thread) for one in events if isinstance(one, ring_buffer.NewTask)] == [
        (int(a + b), int(pid)) for a, b, pid in tasks
    ]


SENDS = """
import os, signal, sys
from signal import SIGHUP, SIGINT, SIGKILL, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH
started, begin = os.pipe()

def child(act):
    pid = os.fork()
    if pid == 0:
        act()
        os._exit(7)
    return pid

def waits():
    signal.signal(SIGINT, signal.SIG_DFL)
    os.write(begin, b"x")
    while True: signal.pause()

def tells_init():
    for number in (SIGUSR1, SIGUSR2, SIGTERM, SIGHUP, SIGHUP, SIGWINCH): os.kill(1, number)

for number in (SIGUSR1, SIGHUP): signal.signal(number, lambda *a: None)
signal.signal(SIGUSR2, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [SIGHUP, SIGWINCH])
print("ready", flush=True)
signal.pause()
for number in (SIGTERM, SIGINT, SIGKILL):
    pid = child(waits)
    os.read(started, 1)
    os.kill(pid, number)
    os.waitpid(pid, 0)
os.waitpid(child(tells_init), 0)
signal.sigwait([SIGWINCH])
signal.pthread_sigmask(signal.SIG_UNBLOCK, [SIGHUP])
os.kill(1, SIGUSR1)
sys.exit(3)
"""
"""Signals that are caught, ignored, blocked (one of them twice, one awaited), at their default action in PID 1 and in
children, SIGKILL, and from outside, in a separate PID namespace."""
NOT_COMPARED = frozenset((signal.SIGCHLD, signal.SIGURG))
"""strace is the parent that hears of a child's end first, so this SIGCHLD is another than without it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One line of strace, or one of our records, in host PIDs."""

    what: str
    pid: int
    signal: str
    sender: int | None
    at: float = field(compare=False)

    @property
    def by(self) -> int | None:
        """Returns the process that caused it: only one process's actions are ordered."""
        return self.sender if self.what == "sent" else self.pid


def strace_saw(folder: Path, pid_of: dict[int, int]) -> list[Seen]:
    """Parses strace's lines: kill(2) calls, deliveries (`---`), exits (`+++`). `pid_of`: container PID -> host PID."""
    seen = []
    for file in folder.glob("log.*"):
        own = int(file.suffix[1:])
        if own not in pid_of.values():
            continue  # unshare itself
        for line in file.read_text().splitlines():
            at, _, text = line.partition(" ")
            if found := re.match(r"kill\((\d+), (SIG\w+)\) += 0", text):
                seen.append(Seen("sent", pid_of[int(found[1])], found[2], own, float(at)))
            elif found := re.match(r"--- (SIG\w+) \{.*si_pid=(\d+)", text):
                sender = pid_of.get(int(found[2]), os.getpid())
                seen.append(Seen("taken", own, found[1], sender, float(at)))
            elif found := re.match(r"\+\+\+ (?:killed by|exited with) (\w+)", text):
                seen.append(Seen("ended", own, found[1], None, float(at)))
    return sorted(seen, key=lambda one: one.at)


def tracer_saw(records: list[TraceRecord]) -> list[Seen]:
    seen = []
    senders: dict[tuple[int, int], int] = {}
    for record in records:
        if getattr(record, "signal", 0) in NOT_COMPARED:
            continue
        match record:
            case TracedSignal():
                senders[record.pid, record.signal] = record.sender_pid
                if record.code == 0:
                    name = signal.Signals(record.signal).name
                    seen.append(Seen("sent", record.pid, name, record.sender_pid, record.at))
            case TracedDelivery() if record.signal != signal.SIGKILL:  # strace can't stop for that one
                sender = senders[record.pid, record.signal]
                seen.append(Seen("taken", record.pid, signal.Signals(record.signal).name, sender, record.at))
            case TracedExit():
                seen.append(Seen("ended", record.pid, str(record.ended_by), None, record.at))
    return seen


def test_signals_agree_with_strace(host_process: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    strace = host_process(
        "strace", "-q", "-ttt", "-ff", "-e", "trace=kill", "-e", "signal=!CHLD,URG", "-o", str(tmp_path / "log"),
        "unshare", "--pid", "--fork", "--kill-child", sys.executable, "-c", SENDS, ready="ready",
    )  # fmt: skip
    (unshare,) = map(int, Path(f"/proc/{strace.pid}/task/{strace.pid}/children").read_text().split())
    (init,) = map(int, Path(f"/proc/{unshare}/task/{unshare}/children").read_text().split())
    with tracing(identify(init)) as records:
        os.kill(init, signal.SIGUSR1)
        assert records.exit_of(init).ended_by == 3
    strace.wait(timeout=20)
    children = [record.pid for record in records.seen if isinstance(record, TracedFork)]
    theirs = strace_saw(tmp_path, dict(enumerate((init, *children), 1)))
    ours = [one for one in tracer_saw(records.seen) if (one.what, one.sender) != ("sent", os.getpid())]
    assert [len([one for one in theirs if one.what == what]) for what in ("sent", "taken", "ended")] == [10, 8, 5]
    apart = []
    for pid in (init, *children):
        done, saw = ([one for one in both if one.by == pid] for both in (ours, theirs))
        assert done == saw
        apart += [abs(one.at - other.at) for one, other in zip(done, saw, strict=True)]
    assert len(apart) == len(ours) == len(theirs)
    assert statistics.median(apart) < 0.005, apart
