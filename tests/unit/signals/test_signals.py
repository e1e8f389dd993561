"""Names of signals, sending to exactly one process, and exits of processes."""

import contextlib
import errno
import os
import re
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containerlab_probes.errors import BadRequest, ContainerlabError, Denied, Gone, Unsupported
from containerlab_probes.processes import membership
from containerlab_probes.processes.identity import identify
from containerlab_probes.records import ContainerRun, Effect, ProcessId
from containerlab_probes.signals import exits, names, send
from tests.support.docker import eventually
from tests.support.kernel import NO_CONTAINER, running

CONTAINER = "c" * 64


def test_names_match_kill() -> None:
    """bash counts real-time signals up from SIGRTMIN in the lower half and down from SIGRTMAX in the upper."""
    listed = subprocess.run(("bash", "-c", "kill -l"), capture_output=True, text=True, check=True).stdout
    theirs = {int(number): name for number, name in re.findall(r"(\d+)\) (\S+)", listed)}
    assert set(theirs) == set(names.all_signals())
    for number, name in theirs.items():
        assert names.number_of(name) == number
        if "SIGRTMAX-" not in name:
            assert names.name_of(number) == name


@pytest.mark.parametrize("number", names.all_signals())
def test_names_round_trip(number: int) -> None:
    name = names.name_of(number)
    for text in (name, name.lower(), name.removeprefix("SIG"), f" {name.removeprefix('SIG').lower()} ", str(number)):
        assert names.number_of(text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [("usr1", 10), ("rtmin+3", 37), ("SIGRTMAX-1", 63), ("RTMIN", 34), ("rtmax", 64), ("iot", 6), ("SIGCLD", 17),
     ("poll", 29), ("32", 32), ("SIGRTMAX-30", 34), ("rtmin+0", 34)],
)  # fmt: skip
def test_numbers(text: str, number: int) -> None:
    assert names.number_of(text) == number


@pytest.mark.parametrize(
    ("text", "hint"),
    [("SIGTREM", "SIGTERM"), ("usr", "SIGUSR"), ("0", "from 1 to 64"), ("65", "from 1 to 64"), ("rtmin+31", "RTMIN+30"),
     ("rtmax+1", "RTMIN+30"), ("rtmin-1", "RTMIN+30"), ("", "kill -l"), ("sig", "kill -l"), ("²", "kill -l")],
)  # fmt: skip
def test_an_unknown_signal_gives_a_hint(text: str, hint: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(hint)):
        names.number_of(text)


@given(st.text())
def test_any_text_is_a_signal_or_a_bad_request(text: str) -> None:
    with contextlib.suppress(BadRequest):
        assert 1 <= names.number_of(text) <= 64


def test_default_actions_match_the_manual() -> None:
    """The table of man 7 signal."""
    by_action = {
        Effect.TERMINATES: "HUP INT KILL PIPE ALRM TERM USR1 USR2 STKFLT IO PROF PWR VTALRM RTMIN RTMAX RTMIN+3",
        Effect.DUMPS_CORE: "QUIT ILL TRAP ABRT BUS FPE SEGV SYS XCPU XFSZ",
        Effect.STOPS: "STOP TSTP TTIN TTOU",
        Effect.NOTHING: "CHLD URG WINCH",
        Effect.CONTINUES: "CONT",
    }
    expected = {names.number_of(name): action for action, listed in by_action.items() for name in listed.split()}
    assert expected == {number: names.default_action(number) for number in expected}
    assert {number for number in names.all_signals() if number < 32} <= set(expected)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(("sleep", "1000"))
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def run(sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch) -> ContainerRun:
    """A container in the PID namespace of this test, whose PID 1 is the sleeper."""
    paths = {sleeper.pid: f"/docker/{CONTAINER}"}
    monkeypatch.setattr(membership, "_paths", lambda pid: {"": paths.get(pid, "/")})
    return ContainerRun(CONTAINER, identify(sleeper.pid))


def test_send(sleeper: subprocess.Popen[bytes], run: ContainerRun) -> None:
    send.send(run, run.init, signal.SIGUSR1)
    assert sleeper.wait(10) == -signal.SIGUSR1


def test_a_process_outside_of_the_container_is_not_signalled(run: ContainerRun) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with running() as stranger, pytest.raises(Gone, match=f"Process {stranger.pid} does not belong"):
        send.send(run, stranger.id, signal.SIGKILL)
    assert len(os.listdir("/proc/self/fd")) == before


def test_without_a_container_nothing_is_signalled(sleeper: subprocess.Popen[bytes]) -> None:
    """No cgroup has the id and the process is in this test's PID namespace."""
    for container in (NO_CONTAINER, ""):
        with pytest.raises(Unsupported, match="Nothing shows"):
            send.send(ContainerRun(container, identify(sleeper.pid)), identify(sleeper.pid), signal.SIGKILL)
    assert sleeper.poll() is None


def test_a_reused_pid_is_not_signalled(sleeper: subprocess.Popen[bytes], run: ContainerRun) -> None:
    with pytest.raises(Gone):
        send.send(run, ProcessId(run.init.pid, run.init.started - 1), signal.SIGKILL)
    assert sleeper.poll() is None


def test_an_exited_process_raises_gone(sleeper: subprocess.Popen[bytes], run: ContainerRun) -> None:
    sleeper.kill()
    sleeper.wait()
    with pytest.raises(Gone):
        send.send(run, run.init, signal.SIGTERM)
    for pid in (0, -1, 2**22 + 1, 2**40):
        with pytest.raises(Gone):
            send.send(run, ProcessId(pid, 1), signal.SIGTERM)


@pytest.mark.parametrize("number", [-1, 65, 2**40])
def test_no_such_signal(run: ContainerRun, number: int) -> None:
    with pytest.raises(BadRequest, match=f"No such signal: {number}"):
        send.send(run, run.init, number)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (PermissionError(errno.EPERM, "no"), Denied, "send SIGTERM to process {}: it belongs to another user"),
        (ProcessLookupError(errno.ESRCH, "no"), Gone, "Process {} has exited"),
    ],
)
def test_a_signal_that_the_kernel_refuses(
    run: ContainerRun, monkeypatch: pytest.MonkeyPatch, error: OSError, kind: type[ContainerlabError], words: str
) -> None:
    def refuse(fd: int, number: int) -> None:
        raise error

    monkeypatch.setattr(signal, "pidfd_send_signal", refuse)
    with pytest.raises(kind, match=words.format(run.init.pid)):
        send.send(run, run.init, signal.SIGTERM)


def test_another_user_s_process_is_denied(sleeper: subprocess.Popen[bytes], run: ContainerRun) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        try:
            send.send(run, run.init, signal.SIGTERM)
        except ContainerlabError as error:
            os._exit(error.exit_status)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 4
    assert sleeper.poll() is None


def start(script: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(("sh", "-c", f"read x; {script}"), stdin=subprocess.PIPE)


@pytest.mark.parametrize(
    ("script", "ended_by"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", "SIGTERM"), ("kill -38 $$", "SIGRTMIN+4")]
)
@pytest.mark.parametrize("reaped", [False, True])
def test_the_status_of_an_exit(script: str, ended_by: int | str, reaped: bool) -> None:
    """It is read from the zombie before the parent has waited, and from the pidfd afterwards."""
    process = start(script)
    watch = exits.ExitWatch((identify(process.pid),))
    assert watch.wait(0) == ()
    before = time.time()
    process.communicate(b"\n") if reaped else (process.stdin and process.stdin.close())
    (ended,) = watch.wait(10)
    assert (ended.id.pid, ended.ended_by) == (process.pid, ended_by)
    assert before <= ended.at <= time.time()
    watch.close()
    process.wait()


def test_an_exit_is_seen_within_a_few_milliseconds() -> None:
    process = start("exit 3")
    with subprocess.Popen(("true",)) as warm_up:
        warm_up.wait()
    watch = exits.ExitWatch((identify(process.pid),))
    seen: list[exits.Exit] = []
    thread = threading.Thread(target=lambda: seen.extend(watch.wait(10)))
    thread.start()
    process.communicate(b"\n")
    waited = time.time()
    thread.join(10)
    watch.close()
    assert abs(seen[0].at - waited) < 0.1


def test_several_exits_and_an_early_one() -> None:
    early = start("true")
    gone = identify(early.pid)
    early.communicate(b"\n")
    others = [start(f"exit {number}") for number in (1, 2, 3)]
    watch = exits.ExitWatch([gone, *(identify(process.pid) for process in others[:2])])
    watch.add(identify(others[2].pid))
    for process in others:
        process.communicate(b"\n")
    ended: list[exits.Exit] = []

    def all_seen() -> bool:
        ended.extend(watch.wait(0.1))
        return len(ended) == 4

    eventually(all_seen, "four exits")
    watch.close()
    expected = {process.pid: number for number, process in enumerate(others, 1)} | {early.pid: None}
    assert {one.id.pid: one.ended_by for one in ended} == expected


def test_a_watch_leaves_files_for_the_rest_of_the_program() -> None:
    """A container may have more processes than this program may open files. Nothing is said to have exited then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (most * exits.SHARE_OF_FILES, hard))
    try:
        watch = exits.ExitWatch()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    children = [start("exit 0") for _ in range(most + 1)]
    for child in children:
        watch.add(identify(child.pid))
    assert watch.wait(0) == ()
    for child in children:
        child.communicate(b"\n")
    ended: set[int] = set()

    def all_but_one() -> bool:
        ended.update(one.id.pid for one in watch.wait(0.1))
        return len(ended) == most

    eventually(all_but_one, "the exits of those added first")
    assert ended == {child.pid for child in children[:-1]}
    watch.add(ProcessId(children[0].pid, 1))
    assert watch.wait(0.1)[0].ended_by is None, "there is room again"
    watch.close()


@pytest.mark.parametrize("end", ["wake", "close"])
def test_another_thread_can_interrupt_a_wait(sleeper: subprocess.Popen[bytes], end: str) -> None:
    before = len(os.listdir("/proc/self/fd"))
    watch = exits.ExitWatch((identify(sleeper.pid),))
    answers: list[tuple[exits.Exit, ...]] = []
    thread = threading.Thread(target=lambda: answers.append(watch.wait(None)))
    thread.start()
    getattr(watch, end)()
    thread.join(10)
    assert answers == [()]
    watch.close()
    watch.close()
    watch.wake()
    assert watch.wait(None) == ()
    assert len(os.listdir("/proc/self/fd")) == before
