"""`why` on real containers: each way in which one stops, and the cases that can't be distinguished afterwards."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest

from containerlab_probes.kernel import cgroups
from containerlab_probes.trace.tracer import Tracer
from containerlab_tui.engine.connection import connect
from containerlab_tui.model.stop import Verdict
from containerlab_tui.services.ending import why
from containerlab_tui.services.history import History
from containerlab_tui.services.stop import plan_stop, run_stop
from tests.engine.commands_support import Command, has, is_moment
from tests.engine.marks import needs_accounting
from tests.support.docker import Containers, Docker, eventually
from tests.support.engine import ScriptedEngine
from tests.support.kernel import send

BASE = "containerlab/base:latest"
reported = pytest.mark.not_on(
    "podman", reason="Podman reports neither stops nor signals: tests/engine/test_podman.py has what it explains"
)
SMALL = ("--memory=32m",)
ALLOCATES = "x = bytearray(b'x') * 200_000_000"
CHILD_ALLOCATES = f'import subprocess, sys, time\nsubprocess.run(["python3", "-c", {ALLOCATES!r}])\n'
FILLS_SHM = """
import mmap
file = open("/dev/shm/x", "w+b")
file.truncate(4 << 20)
view = mmap.mmap(file.fileno(), 4 << 20)
for place in range(0, 4 << 20, 4096): view[place] = 1
"""


def python(code: str) -> tuple[str, ...]:
    return "python3", "-c", code


def shell(code: str) -> tuple[str, ...]:
    return "dash", "-c", code


@dataclass(frozen=True, slots=True)
class Row:
    """A container that exits on its own, and the expected explanation."""

    program: tuple[str, ...]
    code: int
    cause: str
    sure: bool
    words: str
    options: tuple[str, ...] = ()


BY_THEMSELVES = (
    Row(shell("exit 3"), 3, "exited", True, "It exited on its own with 3."),
    Row(shell("exit 137"), 137, "unknown", False, "or PID 1 exited with 137"),
    Row(shell("exit 143"), 143, "exited", False, "143 was chosen by the program"),
    Row(shell("sleep 1000 & kill -9 $!; wait $!"), 137, "unknown", False, "as a shell does after its child was killed"),
    Row(shell("kill -TERM $$"), 143, "exited", False, "after SIGTERM terminated its child", ("--init",)),
    Row(python(FILLS_SHM), 135, "exited", False, "SIGBUS: often a file on /dev/shm", ("--shm-size=1m",)),
    Row(python("import os; os.abort()"), 139, "exited", False, "PID 1 called abort()"),
    Row(shell('python3 -c "import os; os.abort()"; exit $?'), 134, "exited", False, "SIGABRT in a child"),
)  # fmt: skip
OUT_OF_MEMORY = (
    Row(python(ALLOCATES), 137, "out-of-memory", True, "It reached its memory limit of 32 MiB", SMALL),
    Row(python(CHILD_ALLOCATES + "sys.exit(3)"), 3, "exited", False, "other than PID 1 was killed", SMALL),
    Row(shell(f'python3 -c "{ALLOCATES}"; exit $?'), 137, "out-of-memory", True, "a child whose code 137 PID 1",
        SMALL),
)  # fmt: skip


def exited(docker: Docker, container: Containers, row: Row) -> str:
    name = container(BASE, *row.program, options=row.options)
    assert docker("wait", name) == str(row.code)
    return name


def reported_end(docker: Docker, make: Callable[[], str], lacks_memory: bool) -> str:
    """Returns a container that has exited; its lack of memory is what the engine has reported.

    Docker 28 (containerd 2, cgroup v1) misses one of about six that a container exits with: with an exit code alone,
    the cause is unknown.
    """
    for _ in range(10):
        name = make()
        if not lacks_memory or docker.state(name, "State.OOMKilled") == "true":
            return name
    raise AssertionError("the engine reported no lack of memory of 10 containers")


@reported
@pytest.mark.parametrize(
    "rows", [pytest.param(BY_THEMSELVES, id="exits"), pytest.param(OUT_OF_MEMORY, id="memory", marks=needs_accounting)]
)
def test_containers_that_exited_on_their_own(
    docker: Docker, container: Containers, command: Command, rows: tuple[Row, ...]
) -> None:
    for row in rows:
        name = reported_end(docker, partial(exited, docker, container, row), row.options == SMALL)
        document = command.asks("why", name)
        has(document, "container cause sure sentence evidence exit_code finished removed before")
        assert (document["cause"], document["sure"], document["exit_code"]) == (row.cause, row.sure, row.code), document
        assert row.words in document["sentence"]
        is_moment(document["finished"])
        assert any("no kill event" in one or "oom event" in one for one in document["evidence"]), document
        assert ("inspect: ShmSize 1 MiB" in document["evidence"]) == (row.code == 135)
        assert ("cgroup: removed with the container" in " ".join(document["evidence"])) == (row.options == SMALL)


STAYS = shell("trap : TERM; echo ready; while :; do sleep 1000 & wait; done")
ENDS = shell("trap 'exit 5' TERM; echo ready; sleep 1000 & wait")


def _outside_kill(docker: Docker, name: str) -> None:
    send(docker.run_of(name).init, signal.SIGKILL)


@reported
@pytest.mark.parametrize(
    ("program", "act", "cause", "sure", "words"),
    [
        (STAYS, ("stop", "-t", "1"), "stop-killed", True, "It was stopped with SIGTERM, did not exit within 1."),
        (ENDS, ("stop",), "stopped", True, "It was stopped with SIGTERM and exited on its own 0."),
        (ENDS, ("kill", "-s", "TERM"), "signalled", True, "after docker kill sent SIGTERM"),
        (STAYS, ("kill",), "killed", True, "through Docker (docker kill)"),
        (STAYS, None, "unknown", False, "something other than Docker sent SIGKILL (a kill on the host"),
    ],
)
def test_containers_stopped_by_others(
    docker: Docker,
    container: Containers,
    command: Command,
    program: tuple[str, ...],
    act: tuple[str, ...] | None,
    cause: str,
    sure: bool,
    words: str,
) -> None:
    name = container(BASE, *program, ready="ready")
    if act is None:
        _outside_kill(docker, name)
    else:
        docker(*act, name)
    docker("wait", name)
    document = command.asks("why", name)
    assert (document["cause"], document["sure"]) == (cause, sure), document
    assert words in document["sentence"], document
    assert "docker stop" not in document["sentence"] or cause == "stopped"


@reported
@needs_accounting
def test_a_child_killed_out_of_memory_is_not_the_reason(
    docker: Docker, container: Containers, command: Command
) -> None:
    """The running container's cgroup counts the killed child; after a stop, that is not taken for the reason."""
    name = container(
        BASE,
        *python(CHILD_ALLOCATES + 'print("continued", flush=True)\ntime.sleep(1000)'),
        options=SMALL,
        ready="continued",
    )
    running = command.asks("why", name)
    assert running["cause"] == "running"
    assert "1 process was killed in this run (out of memory); PID 1 kept running." in running["sentence"]
    assert "cgroup: 1 killed (out of memory)" in running["evidence"][-1]
    spared = cgroups.memory_record(docker.run_of(container(BASE, "sleep", "1000")))
    assert spared is not None
    assert (spared.oom_kills, spared.limit_hits) == (0, 0)
    docker("stop", "-t", "1", name)
    assert docker.state(name, "State.OOMKilled") == "true"
    document = command.asks("why", name)
    assert (document["cause"], document["sure"]) == ("stop-killed", True), document
    assert "A process other than PID 1 was killed (out of memory)" in document["sentence"]


@reported
@needs_accounting
def test_out_of_memory_while_it_is_being_stopped(docker: Docker, container: Containers, command: Command) -> None:
    """Its handler allocates too much: the engine's events and a watched stop give the same explanation."""
    code = f"import signal, time\ndef handle(*_):\n    {ALLOCATES}\nsignal.signal(15, handle)\nprint(1, flush=True)\n"

    def stopped(stop: Callable[[str], object]) -> str:
        name = container(BASE, *python(f"{code}time.sleep(1000)"), options=SMALL, ready="1")
        stop(name)
        return name

    def watched(name: str) -> None:
        assert command("stop", name).status == 1

    for stop in (partial(docker, "stop"), watched):
        make = partial(stopped, stop)
        document = command.asks("why", reported_end(docker, make, lacks_memory=True))
        assert (document["cause"], document["sure"], document["exit_code"]) == ("out-of-memory", True, 137), document
    assert "It reached its memory limit during a stop with SIGTERM" in document["sentence"]


@reported
def test_why_a_container_runs_again(docker: Docker, container: Containers, command: Command) -> None:
    looping = container(BASE, *shell("exit 3"), options=("--restart=on-failure:1",))
    by_policy = container(BASE, *shell("[ -e /x ] || { touch /x; exit 4; }; sleep 1000"), options=("--restart=always",))
    name = container(BASE, *ENDS, ready="ready")
    docker("restart", "-t", "5", name)
    found = command.asks("why", name)
    assert "started by docker restart" in found["sentence"]
    assert (found["before"]["cause"], found["before"]["exit_code"]) == ("stopped", 5)
    docker("kill", name)
    docker("wait", name)
    docker("start", name)
    found = command.asks("why", name)
    assert "not by its restart policy" in found["sentence"]
    assert (found["before"]["cause"], found["exit_code"]) == ("killed", None)
    eventually(lambda: docker.state(by_policy, "RestartCount") == "1", "the policy has acted")
    eventually(lambda: docker.state(by_policy) == "running", "it runs again")
    found = command.asks("why", by_policy)
    assert "Its restart policy (always) has restarted it once" in found["sentence"]
    assert (found["before"]["cause"], found["before"]["exit_code"]) == ("exited", 4)
    eventually(lambda: docker.state(looping) == "exited", "the policy has given up")
    assert command.asks("why", looping)["exit_code"] == 3


@reported
def test_a_container_that_failed_to_start(docker: Docker, container: Containers, command: Command) -> None:
    with pytest.raises(AssertionError):
        container(BASE, "no-such-program")
    name = container.made[-1]
    document = command.asks("why", name)
    assert document["cause"] == "never-started"
    assert "no-such-program" in document["sentence"]
    assert "The command was not found." in document["sentence"]


@reported
@pytest.mark.parametrize(
    ("options", "program", "act", "cause", "words"),
    [
        ((), STAYS, ("rm", "-f"), "killed", "docker rm -f, or docker kill and a later removal"),
        (("--rm",), ENDS, ("stop",), "stopped", "exited on its own"),
    ],
)
def test_a_removed_container_is_explained(
    docker: Docker,
    container: Containers,
    command: Command,
    options: tuple[str, ...],
    program: tuple[str, ...],
    act: tuple[str, ...],
    cause: str,
    words: str,
) -> None:
    name = container(BASE, *program, options=options, ready="ready")
    id = docker.state(name, "Id")
    docker(*act, name)
    eventually(lambda: docker.run("inspect", name).returncode, "it has been removed")
    document = command.asks("why", name)
    assert (document["cause"], document["removed"], document["container"]) == (cause, True, name)
    assert document["sentence"].startswith(f"{name} has been removed.")
    assert words in document["sentence"]
    assert command.asks("why", id[:12])["sentence"] == document["sentence"]


def test_a_recorded_stop_is_explained_after_container_and_events_are_gone(
    docker: Docker, container: Containers, command: Command
) -> None:
    name = container(BASE, *STAYS, ready="ready")
    command("stop", name, "--timeout", "1")
    docker("rm", name)
    forgetful = ScriptedEngine(past=())
    _, ending = why(forgetful, name, History())
    assert (ending.cause, ending.removed, ending.exit_code) == ("stop-killed", True, 137)
    assert "did not exit within 1 s" in ending.sentence
    assert "no-such-container" in command.fails(3, "why", "no-such-container")


@pytest.mark.parametrize("from_outside", [True, False])
def test_the_sender_is_named_if_it_was_seen(
    engine_host: str, docker: Docker, container: Containers, command: Command, from_outside: bool
) -> None:
    reason = Tracer().available()
    assert not reason, f"this test needs the kernel trace: {reason}"
    name = container(BASE, *STAYS, ready="ready")
    engine = connect(engine_host)
    try:
        plan = plan_stop(engine, name, timeout_s=5 if from_outside else 1)
        killer = _on_first_signal(lambda: _outside_kill(docker, name)) if from_outside else (lambda state: None)
        state = run_stop(engine, plan, killer, History())
    finally:
        engine.close()
    assert state.verdict is Verdict.KILLED
    document = command.asks("why", name)
    if from_outside:
        assert document["cause"] == "killed", document
        assert f"[{os.getpid()}]" in document["sentence"]
    else:
        assert document["cause"] == "stop-killed"
        assert any("PID 1's SIGKILL came from runc [" in one for one in document["evidence"]), document


def _on_first_signal(act: Callable[[], None]) -> Callable[[object], None]:
    """Calls `act` once, when the stop signal has been seen."""
    done: list[bool] = []

    def look(state: object) -> None:
        if not done and getattr(state, "phase_1", None) is not None:
            done.append(True)
            act()

    return look
