"""Processes compared with ps and psutil; dispositions from threads; shells and their foreground children."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from containerlab_probes.errors import Gone
from containerlab_probes.kernel import procfs
from containerlab_probes.kernel.asking import spares_init_when_main_thread_blocks
from containerlab_probes.kernel.files import read_status
from containerlab_probes.processes import membership, tree
from containerlab_probes.processes.dispositions import Call, Thread, dispositions_of
from containerlab_probes.processes.pid_namespaces import PidNamespaces, namespace_chain
from containerlab_probes.processes.shell_foreground import foreground_of, shell_of
from containerlab_probes.processes.tree import list_processes, process_ids, read_process
from containerlab_probes.records import WITHOUT_ROOT, ContainerRun, Dispositions, Process, ProcessId
from tests.support.docker import eventually
from tests.support.kernel import container_processes, namespaced

TERM = 15
T = frozenset({TERM})
NONE: frozenset[int] = frozenset()


@pytest.fixture
def run() -> Iterator[ContainerRun]:
    """PID 1 of a separate PID namespace with two children, one of them with a child."""
    with namespaced("sleep 1000 & sh -c 'sleep 1000; true' & wait", processes=4) as made:
        below = psutil.Process(made.init.pid).children(recursive=True)
        eventually(lambda: sorted(one.name() for one in below) == ["sh", "sleep", "sleep"], "each has its program")
        yield made


def test_the_tree_matches_psutil(run: ContainerRun) -> None:
    seen = container_processes(run)
    theirs = psutil.Process(run.init.pid)
    assert {one.pid for one in seen} == {run.init.pid, *(one.pid for one in theirs.children(recursive=True))}
    assert seen[0].id == run.init
    for position, one in enumerate(seen[1:], 1):
        assert one.parent_pid in {earlier.pid for earlier in seen[:position]}
    for one in seen:
        their = psutil.Process(one.pid)
        assert one.parent_pid == their.ppid()
        assert list(one.argv) == their.cmdline()
        assert (one.name, one.uid, one.user, one.threads) == (
            their.name(), their.uids().effective, their.username(), their.num_threads(),
        )  # fmt: skip
        assert one.exe == their.exe()
        assert one.started_at == pytest.approx(their.create_time(), abs=1.5)
    siblings = [one.pid for one in seen if one.parent_pid == run.init.pid]
    assert siblings == sorted(siblings)


def test_numbers_and_masks_match_ps(run: ContainerRun) -> None:
    eventually(lambda: all(one.state == "S" for one in container_processes(run)), "all of them sleep")
    for one in container_processes(run):
        line = subprocess.run(
            ("ps", "-o", "ppid=,stat=,nlwp=,caught=,ignored=,blocked=", "-p", str(one.pid)),
            capture_output=True, text=True, check=True,
        ).stdout.split()  # fmt: skip
        assert (one.parent_pid, one.state, one.threads) == (int(line[0]), line[1][0], int(line[2]))
        found = one.dispositions
        assert [procfs.parse_mask(mask) for mask in line[3:]] == [found.caught, found.ignored, found.blocked]


def test_container_pids_match_the_namespace(run: ContainerRun) -> None:
    numbers = [one.container_pid for one in container_processes(run)]
    assert numbers[0] == 1
    assert sorted(numbers) == [1, 2, 3, 4]
    assert [one.namespace_init for one in container_processes(run)] == [True, False, False, False]


def test_another_process_with_the_same_pid_raises_gone(run: ContainerRun) -> None:
    with pytest.raises(Gone):
        container_processes(replace(run, init=ProcessId(run.init.pid, run.init.started - 1)))
    for pid in (0, 2**22 + 1):
        with pytest.raises(Gone):
            read_process(pid)


def test_a_process_that_vanishes_is_left_out(run: ContainerRun, monkeypatch: pytest.MonkeyPatch) -> None:
    real = PidNamespaces.members
    monkeypatch.setattr(PidNamespaces, "members", lambda self, inode: real(self, inode) | {2**22 + 1})
    assert len(container_processes(run)) == 4


def test_each_process_costs_few_reads(run: ContainerRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may have 10,000. stat is read twice: its start time shows that all is about one process."""
    asked = list[str]()

    def noting(real: Callable[..., object]) -> Callable[..., object]:
        def note(path: object, *more: object, **named: object) -> object:
            asked.append(str(path))
            return real(path, *more, **named)

        return note

    monkeypatch.setattr(membership, "_namespaces", PidNamespaces())
    for name in ("open", "stat", "readlink", "getpgid", "getsid"):
        monkeypatch.setattr(os, name, noting(getattr(os, name)))
    seen = container_processes(run)
    assert len(seen) == 4
    for one in seen[1:]:
        if shell_of(one.name, one.exe, one.argv) is None:
            names = Counter(path.removeprefix(f"/proc/{one.pid}/") for path in asked if str(one.pid) in path.split("/"))
            names["ns/pid"] = min(names["ns/pid"], 1)
            assert names == Counter(("stat", "stat", "status", "cmdline", "exe", f"task/{one.pid}/syscall", "ns/pid"))
    members = {str(one.pid) for one in seen}
    opened = [path for path in asked if path.endswith("/ns/pid") and path.split("/")[2] in members]
    assert len(opened) == 4 + 2, "one look at each, one more at PID 1, and one file that keeps the namespace"


def test_members_of_a_namespace_are_those_whose_chain_has_it() -> None:
    with namespaced("sleep 1000 & unshare --pid --fork sleep 1000 & wait", processes=4) as run:
        namespace = os.stat(f"/proc/{run.init.pid}/ns/pid").st_ino
        members = PidNamespaces().members(namespace)
        assert members == {pid for pid in psutil.pids() if namespace in (namespace_chain(pid) or ())}
        assert len(members) == 4


def test_a_group_is_orphaned_unless_a_parent_is_in_the_same_session_but_another_group() -> None:
    jobs = "set -m; sleep 1000 & setsid sh -c 'sleep 1001; true' & wait"
    with namespaced(f'exec bash -c "{jobs}"', processes=4) as run:
        eventually(lambda: "setsid" not in {one.name for one in container_processes(run)}, "setsid has run its command")
        orphaned = {one.command: one.orphaned_group for one in container_processes(run)[1:]}
    assert orphaned == {"sleep 1000": False, "sh -c sleep 1001; true": True, "sleep 1001": True}


def test_a_parent_outside_the_container_may_hold_a_group() -> None:
    """Only members that are listed count, but their parents may be anywhere."""
    with subprocess.Popen(("bash", "-c", "set -m; sleep 1000 & wait"), start_new_session=True) as shell:
        try:
            (child,) = eventually(lambda: psutil.Process(shell.pid).children(), "the job is there")
            stat = procfs.parse_stat(Path(f"/proc/{child.pid}/stat").read_text())
            assert tree._groups_held({child.pid: stat}) == {stat.group}
            alone = replace(stat, parent=1)
            assert tree._groups_held({child.pid: alone}) == set()
        finally:
            os.killpg(child.pid, signal.SIGKILL)
            shell.kill()


def test_later_processes_are_found_too(run: ContainerRun) -> None:
    """The cached list of /proc must neither hide a new process nor keep an old one."""
    before = {one.id for one in container_processes(run)}
    entered = subprocess.Popen(("nsenter", "--target", str(run.init.pid), "--pid", "--", "sleep", "1000"))
    try:
        after = eventually(
            lambda: found if len(found := {one.id for one in container_processes(run)}) == 5 else set(), "five"
        )
        assert before < after
    finally:
        for id in after - before:
            os.kill(id.pid, signal.SIGKILL)
        entered.wait()
    assert {one.id for one in container_processes(run)} == before


def test_a_parent_that_exited_meanwhile_does_not_break_the_order(run: ContainerRun) -> None:
    one, two = container_processes(run)[1:3]
    circle = [replace(one, parent_pid=two.pid), replace(two, parent_pid=one.pid)]
    assert set(tree._in_tree_order(circle, run.init)) == set(circle)


def python(code: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        (sys.executable, "-S", "-c", f"import os, signal, threading, time\n{code}"), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_threads_of_a_real_process() -> None:
    """One thread waits for SIGTERM, one does not block SIGUSR1, all block SIGUSR2, which is pending."""
    process = python(
        "signal.pthread_sigmask(signal.SIG_BLOCK, {10, 12, 15})\n"
        "def unblock(): signal.pthread_sigmask(signal.SIG_UNBLOCK, {10}); signal.pause()\n"
        "for work in (unblock, lambda: signal.sigwait({15})): threading.Thread(target=work, daemon=True).start()\n"
        "os.kill(os.getpid(), 12)\nprint('ready', flush=True)\ntime.sleep(1000)"
    )
    try:

        def at_rest() -> Process | None:
            seen = read_process(process.pid)
            found = seen.dispositions
            return seen if found.sigwait and found.in_sigsuspend and not found.unread else None

        seen = eventually(at_rest, "all threads sleep")
        assert seen is not None
        found = seen.dispositions
        assert (seen.threads, found.sigwait, found.pending) == (3, T, frozenset({12}))
        assert 12 in found.blocked
        assert not {10, 15} & found.blocked
        assert {10, 12, 15} <= found.leader_blocked
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("number", "asked"), [(15, True), (1, False)])
def test_the_kernel_is_tested_for_an_init_whose_main_thread_blocks_a_signal(number: int, asked: bool) -> None:
    """Not where there is a handler (SIGHUP here) or every thread blocks the signal."""
    code = (
        "import signal, sys, threading, time\nsignal.signal(1, print)\n"
        f"signal.pthread_sigmask(signal.SIG_BLOCK, {{10, {number}}})\n"
        f"def other(): signal.pthread_sigmask(signal.SIG_UNBLOCK, {{{number}}}); time.sleep(1000)\n"
        "threading.Thread(target=other, daemon=True).start()\ntime.sleep(1000)"
    )
    outer = subprocess.Popen(("unshare", "--pid", "--fork", "--kill-child", sys.executable, "-S", "-c", code))

    def at_rest() -> Process | None:
        children = psutil.Process(outer.pid).children()
        seen = read_process(children[0].pid) if children else None
        found = seen.dispositions if seen else Dispositions()
        return seen if number in found.leader_blocked - found.blocked else None

    try:
        init = eventually(at_rest, "only the main thread blocks the signal")
        assert init is not None
        assert init.namespace_init
        assert init.spared_by_kernel is (spares_init_when_main_thread_blocks() if asked else None)
        assert (init.spared_by_kernel is not None) is asked
    finally:
        outer.kill()
        outer.wait()


def test_blocked_signals_of_a_busy_thread_are_unclear() -> None:
    process = python("signal.pthread_sigmask(signal.SIG_BLOCK, {15})\nprint('ready', flush=True)\nwhile True: pass")
    try:
        found = read_process(process.pid).dispositions
        assert found.unclear == T
        assert "running" in found.unread[0]
    finally:
        process.kill()
        process.communicate()


def status(pid: int = 7, blocked: frozenset[int] = NONE, **fields: object) -> procfs.Status:
    known: dict[str, object] = {
        "pid": pid, "tgid": 7, "parent": 1, "state": "S", "uid": 0, "threads": 2, "namespace_pids": (pid,),
        "thread_pending": NONE, "shared_pending": NONE, "ignored": NONE, "caught": NONE,
    }  # fmt: skip
    return procfs.Status(blocked=blocked, **(known | fields))  # type: ignore[arg-type]


def thread(pid: int, blocked: frozenset[int] = NONE, waits: bool = False, state: str = "S") -> Thread:
    one = status(pid, blocked, state=state)
    return Thread(one, Call.SIGWAIT, waits_for=T) if waits else Thread(one, Call.OTHER)


@pytest.mark.parametrize(
    ("threads", "sigwait", "blocked", "unclear"),
    [
        ([thread(7, waits=True)], T, NONE, NONE),
        ([thread(7, T), thread(8, waits=True)], T, NONE, NONE),
        ([thread(7, T), thread(8, T, waits=True)], T, T, NONE),
        ([thread(7), thread(8, waits=True)], NONE, NONE, NONE),
        ([thread(7, waits=True), thread(8)], T, NONE, NONE),
        ([thread(7, T), thread(8, waits=True), thread(9)], NONE, NONE, T),
        ([thread(7, T), thread(8)], NONE, NONE, NONE),
        ([thread(7, T), thread(8, T)], NONE, T, NONE),
        ([thread(7, T, state="Z"), thread(8, waits=True)], T, NONE, NONE),
        ([thread(7, NONE, state="Z"), thread(8, T)], NONE, T, NONE),
    ],
)
def test_which_thread_takes_a_signal(
    threads: list[Thread], sigwait: frozenset[int], blocked: frozenset[int], unclear: frozenset[int]
) -> None:
    """Thread 7 is the main thread."""
    found = dispositions_of(2**22 + 1, tuple(threads))
    assert (found.sigwait, found.blocked) == (sigwait, blocked)
    assert found.unclear >= unclear
    assert TERM in found.unclear or not unclear


WAITS_IN_A_FILE = """
import ctypes, mmap, signal, sys, tempfile
mask = (1 << 14).to_bytes(8, sys.byteorder)
with tempfile.TemporaryFile() as file:
    file.write(mask.rjust(2 * mmap.PAGESIZE, bytes(1)))
    file.flush()
    kind = {"private": mmap.MAP_PRIVATE, "shared": mmap.MAP_SHARED, "own": mmap.MAP_PRIVATE}[sys.argv[1]]
    held = mmap.mmap(file.fileno(), 2 * mmap.PAGESIZE, kind)
where = 2 * mmap.PAGESIZE - 8
if sys.argv[1] == "own":
    held[where] = held[where]
set_at = ctypes.addressof(ctypes.c_char.from_buffer(held, where))
signal.pthread_sigmask(signal.SIG_BLOCK, {15})
print(flush=True)
ctypes.CDLL(None).sigwaitinfo(ctypes.c_void_p(set_at), None)
"""


def read_when_waiting(pid: int) -> Dispositions | None:
    """Returns what a process does with signals once it waits for them, whether or not the set could be read."""
    found = read_process(pid).dispositions
    return found if found.sigwait or any("system call" in reason for reason in found.unread) else None


@pytest.mark.parametrize(("kind", "is_read"), [("own", True), ("private", False), ("shared", False)])
def test_no_memory_of_a_file_is_read(kind: str, is_read: bool) -> None:
    """Its file system may never answer, and what waits for it can't be killed. `own`: written, so it is a copy."""
    with subprocess.Popen((sys.executable, "-S", "-c", WAITS_IN_A_FILE, kind), stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"\n"
            found = eventually(lambda: read_when_waiting(child.pid), "it waits")
            assert found is not None
            unread = (f"Could not read the system call of process {child.pid}.",)
            assert (found.sigwait, found.unread) == ((T, ()) if is_read else (NONE, unread))
        finally:
            child.kill()


def test_no_thread_can_wait_for_kill_and_stop() -> None:
    waiting = Thread(status(), Call.SIGWAIT, waits_for=frozenset({9, 15, 19}))
    assert dispositions_of(os.getpid(), (waiting,)).sigwait == T


@pytest.mark.parametrize(
    ("name", "exe", "argv", "shell"),
    [
        ("sh", "/usr/bin/dash", ("sh", "-c", "x"), "dash"),
        ("entrypoint.sh", "/usr/bin/bash", ("/bin/bash", "/entrypoint.sh"), "bash"),
        ("sh", "/bin/busybox", ("sh",), "busybox"),
        ("busybox", "/bin/busybox", ("busybox", "sh", "-c", "x"), "busybox"),
        ("sleep", "/bin/busybox", ("sleep", "9"), None),
        ("sh", "/usr/bin/python3.11", ("sh",), None),
        ("app", "/usr/bin/app", ("app",), None),
        ("bash", "", ("-bash",), "bash"),
        ("run.sh", "", ("/bin/sh", "run.sh"), "sh"),
        ("dash", "/usr/bin/dash (deleted)", (), "dash"),
    ],
)
def test_shells(name: str, exe: str, argv: tuple[str, ...], shell: str | None) -> None:
    assert shell_of(name, exe, argv) == shell


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox sh"])
@pytest.mark.parametrize(
    ("body", "waits"),
    [
        ("sleep 1000; true", True),
        ("sleep 1000 | cat; true", True),
        ("x=$(sleep 1000); true", True),
        ("(sleep 1000; true); true", True),
        ("sleep 999 & sleep 1000; wait", True),
        ("sleep 1000 & wait", False),
        ("sleep 1000 <&0 & wait $!", False),
        ("sleep 1000 | cat & wait", False),
        ("sleep 1000 & read x", False),
    ],
)
def test_the_foreground_child_of_a_shell(shell: str, body: str, waits: bool) -> None:
    script = f"trap 'exit 3' TERM; {body}"
    process = subprocess.Popen((*shell.split(), "-c", script), stdin=subprocess.PIPE, start_new_session=True)
    try:
        eventually(
            lambda: "sleep" in {child.name() for child in psutil.Process(process.pid).children(recursive=True)},
            "the command runs",
        )
        eventually(
            lambda: bool(read_process(process.pid).dispositions.foreground) is waits,
            "the foreground child of the shell",
        )
        process.terminate()
        if waits:
            foreground = eventually(
                lambda: read_process(process.pid).dispositions.foreground, "the shell keeps waiting"
            )
            for pid in foreground:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        assert process.wait(10) == 3
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def masked(pid: int = 7, call: Call = Call.UNREAD, **fields: frozenset[int]) -> Thread:
    """Returns a thread of which only the masks can be read."""
    return Thread(status(pid, **fields), call, unread=WITHOUT_ROOT if call is Call.UNREAD else "")


def test_without_root_a_signal_that_nothing_shows_to_be_awaited_counts_as_not_awaited() -> None:
    found = dispositions_of(7, (masked(caught=frozenset({2})),))
    assert (found.unclear, found.assumed) == (NONE, frozenset(range(1, 65)) - {2, 9, 19})
    assert found.unread == (WITHOUT_ROOT,)


@pytest.mark.parametrize(
    ("threads", "awaits"),
    [
        ((masked(),), True),  # tini: nothing shows what it waits for
        ((masked(call=Call.RUNNING),), True),  # it has just been woken in rt_sigtimedwait
        ((masked(blocked=T),), False),  # a signalfd can't be seen
        ((masked(blocked=T), masked(8)), False),  # the other thread may await it
    ],
)
def test_without_root_a_signal_that_may_be_awaited_is_unclear(threads: tuple[Thread, ...], awaits: bool) -> None:
    found = dispositions_of(7, threads, awaits)
    assert 15 in found.unclear
    assert 15 not in found.assumed


@pytest.mark.parametrize(
    ("threads", "is_unclear"),
    [
        (
            (masked(call=Call.OTHER, blocked=T), masked(8, call=Call.RUNNING)),
            True,
        ),  # it has just been woken in rt_sigtimedwait
        ((masked(call=Call.OTHER), masked(8, call=Call.RUNNING)), False),  # the main thread takes it
    ],
)
def test_a_running_thread_may_await_only_what_its_mask_leaves_open(
    threads: tuple[Thread, ...], is_unclear: bool
) -> None:
    assert (15 in dispositions_of(7, threads, awaits_signals=True).unclear) is is_unclear


def test_what_root_cannot_read_either_is_unclear() -> None:
    """A set of signals in a page of a file, a machine without a table of system calls, more threads than are read."""
    unread = Thread(status(caught=frozenset({2})), Call.UNREAD, unread="Could not read the system call of process 7.")
    found = dispositions_of(7, (unread,))
    assert (found.unclear, found.assumed) == (frozenset(range(1, 65)) - {2, 9, 19}, NONE)


def test_without_root_a_signal_that_only_other_threads_block_goes_to_the_main_thread() -> None:
    found = dispositions_of(7, (masked(), masked(8, blocked=T)))
    assert 15 not in found.unclear
    assert 15 in found.assumed


def test_without_root_a_shell_waits_for_a_child_that_it_did_not_start_in_the_background() -> None:
    with subprocess.Popen(("sleep", "1000")) as child:
        try:
            here = Thread(procfs.parse_status(read_status(f"/proc/{os.getpid()}")), Call.UNREAD, unread=WITHOUT_ROOT)
            assert foreground_of(os.getpid(), "bash", here) == ((child.pid,), "")
        finally:
            child.kill()


@pytest.mark.parametrize(("argv", "shell"), [(("busybox", "sh"), "busybox"), (("/bin/sh",), "sh"), (("x",), None)])
def test_without_root_the_command_line_names_the_shell(argv: tuple[str, ...], shell: str | None) -> None:
    assert shell_of("x", "", argv) == shell


def test_an_unreadable_shell_gives_a_reason() -> None:
    assert foreground_of(7, "dash", Thread(status(), Call.RUNNING))[1]
    assert foreground_of(7, "dash", Thread(status(), Call.UNREAD, unread="No table of system calls."))[1]
    assert foreground_of(2**22 + 1, "dash", Thread(status(), Call.WAIT))[1]
    assert foreground_of(7, "dash", Thread(status(), Call.SIGSUSPEND)) == ((), "")
    assert foreground_of(7, "bash", Thread(status(), Call.OTHER)) == ((), "")


def test_more_processes_than_are_listed(run: ContainerRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """PID 1 is always among them, and the list says that it is partial."""
    every = container_processes(run)
    assert process_ids(run) == (tuple(sorted((one.id for one in every), key=lambda id: id.pid)), "")
    monkeypatch.setattr(tree, "PROCESSES_LIMIT", 2)
    found = list_processes(run)
    assert [one.id for one in found.processes] == [one.id for one in sorted(every, key=lambda one: one.pid)[:2]]
    assert found.unread == f"Processes: the first 2 of {len(every)} are listed."
    ids, unread = process_ids(run)
    assert ids == tuple(one.id for one in found.processes)
    assert unread == f"Processes: the first 2 of {len(every)} are searched."


def test_a_listing_of_processes_ends_in_time(run: ContainerRun) -> None:
    every = container_processes(run)
    found = list_processes(run, within_s=0.0)
    assert [one.id for one in found.processes] == [run.init]
    assert found.unread == f"Processes: the first 1 of {len(every)} are listed; reading took too long."


def test_long_command_lines_of_many_processes_are_not_all_kept(
    run: ContainerRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes that fork share the memory of their arguments; whoever lists them would not."""
    every = container_processes(run)
    monkeypatch.setattr(tree, "TEXT_BYTES", 0)
    found = list_processes(run)
    assert [one.id for one in found.processes] == [run.init]
    assert found.unread == (
        f"Processes: the first 1 of {len(every)} are listed; their command lines are too long for more."
    )


def test_pid_1_is_read_first_whatever_its_number() -> None:
    assert tree._in_reading_order({9, 4, 7, 5}, ProcessId(7, 1)) == [7, 4, 5, 9]


def test_reading_from_several_threads(run: ContainerRun) -> None:
    expected = {one.id for one in container_processes(run)}
    seen: list[set[ProcessId]] = []
    workers = [
        threading.Thread(target=lambda: seen.append({one.id for one in container_processes(run)})) for _ in range(8)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(10)
    assert seen == [expected] * 8


def test_a_signalfd_is_searched_for_in_a_limited_number_of_open_files() -> None:
    program = (
        "import os, resource, signal\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (5000, 5000))\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {15})\n"
        "for _ in range(4200): os.dup(0)\n"
        "print('ready', flush=True)\n"
        "signal.sigwait({10})\n"
    )
    child = subprocess.Popen((sys.executable, "-c", program), stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        found = read_process(child.pid).dispositions
        assert any("more than 4096 open files" in reason for reason in found.unread)
        assert TERM in found.unclear
    finally:
        child.kill()
        child.wait()
