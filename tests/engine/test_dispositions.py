"""Signals to processes of real containers: the prediction, the signal, and its result."""

import contextlib
import signal
import subprocess
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from containerlab_probes.errors import Gone
from containerlab_probes.kernel.asking import spares_init_when_main_thread_blocks
from containerlab_probes.kernel.namespaces import namespace_inode
from containerlab_probes.processes.identity import identify
from containerlab_probes.processes.tree import read_process
from containerlab_probes.records import Delivery, Effect, Forecast, Process
from containerlab_probes.signals.exits import ExitWatch
from containerlab_probes.signals.forecast import forecast
from containerlab_probes.signals.names import name_of
from containerlab_tui.engine.docker_engine import DockerEngine
from containerlab_tui.model.product import PODMAN
from containerlab_tui.services.processes import see_processes
from tests.engine.marks import needs_users, shares_pids
from tests.support.docker import Containers, Docker, eventually
from tests.support.kernel import container_processes, send

BASE = "containerlab/base:latest"
TERM = int(signal.SIGTERM)

HEAR = "def hear(*a): os.write(1, b'heard\\n')"  # print would fail in a handler that interrupts print
BLOCK = "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})"
OPEN = "signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})"
WAIT_IN_THREAD = f"""
    def waiter():
        {BLOCK}
        signal.sigwait({{signal.SIGTERM}}); print('heard', flush=True)
    thread = threading.Thread(target=waiter, daemon=True); thread.start()
    """
SLEEP_IN_THREAD = f"""
    def other():
        {OPEN}
        time.sleep(1000)
    threading.Thread(target=other, daemon=True).start()
    """
SIGNALFD = """
    libc = ctypes.CDLL(None)
    mask = (ctypes.c_ulong * 16)(1 << 14)
    fd = libc.signalfd(-1, mask, 0)
    """


def python(*parts: str) -> tuple[str, ...]:
    head = "import ctypes, os, signal, sys, threading, time"
    code = "\n".join([head, *(textwrap.dedent(part) for part in parts)])
    return ("python3", "-c", code)


READY = "print('ready', flush=True)"
SLEEP = "time.sleep(1000)"


@dataclass(frozen=True)
class Case:
    """A program, the predicted effect of SIGTERM on it, and the effect that must be seen."""

    name: str
    command: tuple[str, ...]
    delivery: Delivery
    effect: Effect
    then: str
    """`heard` (it prints so), `nothing` (it keeps running, nothing is pending), `waits` (pending), or its exit code."""
    init: bool = False
    """Run it as the child of Docker's init: it is not PID 1 then, and the case is about it."""
    number: int = TERM
    kernels_differ: bool = False
    """Some kernels discard the signal, as it stands here; others terminate PID 1."""

    def here(self) -> "Case":
        """Returns the case with this machine's kernel behaviour."""
        if not self.kernels_differ or spares_init_when_main_thread_blocks():
            return self
        return replace(self, delivery=Delivery.DEFAULT, effect=Effect.TERMINATES, then="143")


CASES = (
    Case("caught", python(HEAR, "signal.signal(15, hear)", READY, "while True: signal.pause()"),
         Delivery.HANDLER, Effect.PROGRAM_DECIDES, "heard"),
    Case("ignored", python("signal.signal(15, signal.SIG_IGN)", READY, SLEEP),
         Delivery.IGNORED, Effect.NOTHING, "nothing"),
    Case("PID 1 at the default action", python(READY, SLEEP), Delivery.DROPPED, Effect.NOTHING, "nothing"),
    Case("a child at the default action", python(READY, SLEEP),
         Delivery.DEFAULT, Effect.TERMINATES, "143", init=True),
    Case("blocked by all", python(BLOCK, READY, SLEEP), Delivery.PENDING, Effect.NOTHING, "waits"),
    Case("blocked by all, threads", python(BLOCK, "threading.Thread(target=time.sleep, args=(1000,)).start()",
                                           READY, SLEEP),
         Delivery.PENDING, Effect.NOTHING, "waits"),
    Case("blocked and ignored", python("signal.signal(15, signal.SIG_IGN)", BLOCK, READY, SLEEP),
         Delivery.PENDING, Effect.NOTHING, "waits"),
    Case("blocked by the leader only, PID 1", python(BLOCK, SLEEP_IN_THREAD, READY, SLEEP),
         Delivery.DROPPED, Effect.NOTHING, "nothing", kernels_differ=True),
    Case("blocked by the leader only, PID 1, core",
         tuple(part.replace("SIGTERM", "SIGQUIT") for part in python(BLOCK, SLEEP_IN_THREAD, READY, SLEEP)),
         Delivery.DROPPED, Effect.NOTHING, "nothing", number=signal.SIGQUIT),
    Case("a child at the default action, core", python(READY, SLEEP),
         Delivery.DEFAULT, Effect.DUMPS_CORE, "131", init=True, number=signal.SIGQUIT),
    Case("real time", python(HEAR, "signal.signal(37, hear)", READY, "while True: signal.pause()"),
         Delivery.HANDLER, Effect.PROGRAM_DECIDES, "heard", number=37),
    Case("ignored by default", python(READY, SLEEP), Delivery.DEFAULT, Effect.NOTHING, "nothing", init=True,
         number=signal.SIGWINCH),
    Case("blocked by the leader only, child", python(BLOCK, SLEEP_IN_THREAD, READY, SLEEP),
         Delivery.DEFAULT, Effect.TERMINATES, "143", init=True),
    Case("sigwait", python(BLOCK, READY, "signal.sigwait({15})", "print('heard', flush=True)", SLEEP),
         Delivery.SIGWAIT, Effect.PROGRAM_DECIDES, "heard"),
    Case("sigwait in a thread", python(BLOCK, WAIT_IN_THREAD, READY, SLEEP),
         Delivery.SIGWAIT, Effect.PROGRAM_DECIDES, "heard"),
    Case("sigwait in a thread, ignored", python("signal.signal(15, signal.SIG_IGN)", BLOCK, WAIT_IN_THREAD, READY,
                                                SLEEP),
         Delivery.SIGWAIT, Effect.PROGRAM_DECIDES, "heard"),
    Case("sigwait in a thread, open leader, PID 1", python(WAIT_IN_THREAD, READY, SLEEP),
         Delivery.DROPPED, Effect.NOTHING, "nothing"),
    Case("sigwait in a thread, open leader, child", python(WAIT_IN_THREAD, READY, SLEEP),
         Delivery.DEFAULT, Effect.TERMINATES, "143", init=True),
    Case("sigwait in the leader, open thread", python(BLOCK, SLEEP_IN_THREAD, READY, "signal.sigwait({15})",
                                                      "print('heard', flush=True)", SLEEP),
         Delivery.SIGWAIT, Effect.PROGRAM_DECIDES, "heard", init=True),
    Case("signalfd", python(BLOCK, SIGNALFD, READY, "os.read(fd, 128); print('heard', flush=True)", SLEEP),
         Delivery.SIGNALFD, Effect.PROGRAM_DECIDES, "heard"),
    Case("signalfd, not blocked", python(SIGNALFD, READY, SLEEP),
         Delivery.DEFAULT, Effect.TERMINATES, "143", init=True),
    Case("dash without a trap", ("dash", "-c", "echo ready; sleep 1000; true"),
         Delivery.DROPPED, Effect.NOTHING, "nothing"),
    Case("trap with wait", ("dash", "-c", "trap 'echo heard' TERM; sleep 1000 & echo ready; wait; sleep 1000"),
         Delivery.HANDLER, Effect.PROGRAM_DECIDES, "heard"),
    Case("trap with wait, bash", ("bash", "-c", "trap 'echo heard' TERM; sleep 1000 & echo ready; wait; sleep 1000"),
         Delivery.HANDLER, Effect.PROGRAM_DECIDES, "heard"),
    Case("trap with wait, bash, input kept",
         ("bash", "-c", "trap 'echo heard' TERM; sleep 1000 <&0 & echo ready; wait $!; sleep 1000"),
         Delivery.HANDLER, Effect.PROGRAM_DECIDES, "heard"),
    Case("trap with wait, bash, a program that sets its own SIGINT",
         ("bash", "-c", "trap 'echo heard' TERM; python3 -c 'import signal,time\n"
                        "for n in (2, 3): signal.signal(n, print)\nprint(\"ready\", flush=True)\ntime.sleep(1000)' &"
                        " wait; sleep 1000"),
         Delivery.HANDLER, Effect.PROGRAM_DECIDES, "heard"),
)  # fmt: skip

SHELLS = ("dash", "bash")
DEFERRED = {
    "a command": "trap 'echo heard' TERM; echo ready; sleep 1000; sleep 999",
    "a pipeline": "trap 'echo heard' TERM; echo ready; sleep 1000 | cat; sleep 999",
    "a substitution": "trap 'echo heard' TERM; echo ready; x=$(sleep 1000); sleep 999",
    "beside a background command": "trap 'echo heard' TERM; sleep 998 & echo ready; sleep 1000; sleep 999",
    "a program that sets its own SIGINT": (
        "trap 'echo heard' TERM; python3 -c 'import signal,time\nfor n in (2, 3): signal.signal(n, print)\n"
        'print("ready", flush=True)\ntime.sleep(1000)\'; sleep 999'
    ),
}


def processes_of(docker: Docker, name: str) -> tuple[Process, ...]:
    return container_processes(docker.run_of(name))


def of(processes: tuple[Process, ...], container_pid: int) -> Process:
    return next(process for process in processes if process.container_pid == container_pid)


def expect(process: Process, processes: tuple[Process, ...], number: int = TERM) -> Forecast:
    children = tuple(one for one in processes if one.parent_pid == process.pid)
    return forecast(process, number, children)


def settled(look: Callable[[], Forecast], delivery: Delivery) -> Forecast:
    """Returns the prediction once it is as expected, or the last one. Programs print `ready` just before they block."""
    last = look()

    def there() -> bool:
        nonlocal last
        last = look()
        return last.delivery is delivery

    with contextlib.suppress(AssertionError):
        eventually(there, f"the forecast is {delivery}")
    return last


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_predicted_effects_come_true(docker: Docker, container: Containers, case: Case) -> None:
    case = case.here()
    name = container(BASE, *case.command, options=("--init",) if case.init else (), ready="ready")

    def look() -> tuple[Process, Forecast]:
        seen = processes_of(docker, name)
        chosen = next(one for one in seen if one.container_pid != 1) if case.init else of(seen, 1)
        return chosen, expect(chosen, seen, case.number)

    made = settled(lambda: look()[1], case.delivery)
    assert (made.delivery, made.effect) == (case.delivery, case.effect), made.evidence
    chosen = look()[0]
    assert made.evidence
    with_exit = ExitWatch((chosen.id,))
    try:
        send(chosen.id, case.number)
        if case.then == "heard":
            docker.says(name, "heard")
        elif case.then == "nothing":
            eventually(lambda: case.number not in read_process(chosen.pid).dispositions.pending, "it has been taken")
            assert identify(chosen.pid) == chosen.id
            assert read_process(chosen.pid).state not in "ZX"
        elif case.then == "waits":
            now = read_process(chosen.pid)
            assert now.id == chosen.id
            assert case.number in now.dispositions.pending
        else:
            assert [one.ended_by for one in with_exit.wait(10)] == [name_of(case.number)]
            assert docker("wait", name) == case.then
    finally:
        with_exit.close()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("form", DEFERRED)
def test_a_trap_waits_for_the_foreground(docker: Docker, container: Containers, shell: str, form: str) -> None:
    name = container(BASE, shell, "-c", DEFERRED[form], ready="ready")
    made = settled(lambda: expect(of(seen := processes_of(docker, name), 1), seen), Delivery.DEFERRED)
    assert made.delivery is Delivery.DEFERRED, made.evidence
    init = of(processes_of(docker, name), 1)
    send(init.id, TERM)
    foreground = init.dispositions.foreground
    assert foreground
    assert f"process {foreground[0]} (" in made.evidence
    eventually(lambda: read_process(init.pid).dispositions.foreground == foreground, "the shell waits on")
    assert "heard" not in docker.logs(name)
    for child in foreground:
        with contextlib.suppress(Gone):
            send(identify(child), signal.SIGKILL)
    docker.says(name, "heard")


@pytest.mark.parametrize(("traps", "at_once"), [("EXIT", True), ("EXIT TERM", False)])
def test_bash_with_a_trap_on_exit_is_unknown_for_a_reason(
    docker: Docker, container: Containers, traps: str, at_once: bool
) -> None:
    """The masks are the same and the outcomes differ: nothing that can be read distinguishes the two."""
    script = f"trap 'echo heard' {traps}; echo ready; sleep 1000; sleep 999"
    name = container(BASE, "bash", "-c", script, ready="ready")
    made = settled(lambda: expect(of(seen := processes_of(docker, name), 1), seen), Delivery.UNKNOWN)
    assert made.delivery is Delivery.UNKNOWN, made.evidence
    init = of(processes_of(docker, name), 1)
    send(init.id, TERM)
    if not at_once:
        assert "heard" not in docker.logs(name)
        send(identify(init.dispositions.foreground[0]), signal.SIGKILL)
    docker.says(name, "heard")


def test_an_init_takes_signals_that_seem_neither_handled_nor_blocked(
    engine: DockerEngine, docker: Docker, container: Containers
) -> None:
    """tini, Docker's init, waits for signals; catatonit, Podman's, reads a signalfd."""
    delivery = Delivery.SIGNALFD if engine.product is PODMAN else Delivery.SIGWAIT
    name = container(BASE, "sleep", "1000", options=("--init",))

    def look() -> Forecast:
        seen = processes_of(docker, name)
        return expect(of(seen, 1), seen)

    assert settled(look, delivery).delivery is delivery
    init = of(processes_of(docker, name), 1)
    if delivery is Delivery.SIGWAIT:
        assert TERM in init.dispositions.sigwait
        assert TERM not in init.dispositions.caught | init.dispositions.blocked
    eventually(lambda: len(processes_of(docker, name)) == 2, "the init has started its program")
    send(init.id, TERM)
    assert docker("wait", name) == "143"


def test_kill_reaches_an_init_without_handlers(docker: Docker, container: Containers) -> None:
    name = container(BASE, "sleep", "1000")
    run, seen = docker.run_of(name), processes_of(docker, name)
    made = expect(seen[0], seen, signal.SIGKILL)
    assert (made.delivery, made.effect) == (Delivery.DEFAULT, Effect.TERMINATES)
    watch = ExitWatch((seen[0].id,))
    send(seen[0].id, signal.SIGKILL)
    assert [one.ended_by for one in watch.wait(10)] == ["SIGKILL"]
    watch.close()
    with pytest.raises(Gone):
        eventually(lambda: container_processes(run) == (), "the container is removed")


def test_stopped_and_resumed(docker: Docker, container: Containers) -> None:
    unblock = "signal.pthread_sigmask(signal.SIG_SETMASK, ())"  # Podman's init blocks SIGTSTP and leaves it blocked
    name = container(BASE, *python(unblock, READY, SLEEP), options=("--init",), ready="ready")

    def child() -> Process:
        return next(one for one in processes_of(docker, name) if one.container_pid != 1)

    program = child()
    for number in (signal.SIGTSTP, signal.SIGSTOP):
        assert expect(program, (), number).effect is Effect.STOPS
        send(program.id, number)
        eventually(lambda: child().state == "T", "the program is suspended")
        if number == signal.SIGTSTP:
            send(program.id, signal.SIGCONT)
            eventually(lambda: child().state == "S", "the program resumes")
    assert expect(child(), ()).delivery is Delivery.PENDING
    send(program.id, TERM)
    assert TERM in child().dispositions.pending
    assert expect(child(), (), signal.SIGCONT).effect is Effect.CONTINUES
    send(program.id, signal.SIGCONT)
    assert docker("wait", name) == "143"


def test_job_control_does_not_stop_an_orphaned_group(docker: Docker, container: Containers) -> None:
    name = container(BASE, "dash", "-c", "sleep 1000 & wait")
    seen = eventually(
        lambda: all_ if len(all_ := processes_of(docker, name)) == 2 else (), "the shell has started its child"
    )
    assert expect(seen[1], seen, signal.SIGTSTP).effect is Effect.NOTHING
    send(seen[1].id, signal.SIGTSTP)
    eventually(lambda: signal.SIGTSTP not in read_process(seen[1].pid).dispositions.pending, "it has been taken")
    assert read_process(seen[1].pid).state == "S"


def test_exec_is_seen_after_the_tree_and_takes_its_own_signals(docker: Docker, container: Containers) -> None:
    name = container(BASE, "dash", "-c", "sleep 1000 & wait")
    eventually(lambda: len(processes_of(docker, name)) == 2, "the shell has started its child")
    docker("exec", "-d", name, "dash", "-c", "sleep 998; true")
    seen = eventually(
        lambda: all_ if len(all_ := processes_of(docker, name)) == 4 else (),
        "the exec'ed shell and its child are there",
    )
    assert [process.command for process in seen] == [
        "dash -c sleep 1000 & wait", "sleep 1000", "dash -c sleep 998; true", "sleep 998",
    ]  # fmt: skip
    entered = seen[2]
    assert entered.parent_pid not in {process.pid for process in seen}
    assert seen[3].parent_pid == entered.pid
    made = expect(entered, seen)
    assert (made.delivery, made.effect) == (Delivery.DEFAULT, Effect.TERMINATES)
    watch = ExitWatch((entered.id,))
    send(entered.id, TERM)
    assert [one.ended_by for one in watch.wait(10)] == ["SIGTERM"]
    watch.close()


def test_a_process_entered_by_nsenter_is_listed(docker: Docker, container: Containers) -> None:
    """It is in the PID namespace, but not in the cgroup."""
    name = container(BASE, "sleep", "1000")
    pid = docker.state(name, "State.Pid")
    entered = subprocess.Popen(("nsenter", "--target", pid, "--pid", "--", "sleep", "997"))
    try:
        seen = eventually(
            lambda: all_ if len(all_ := processes_of(docker, name)) == 2 else (), "the process that entered is there"
        )
        assert seen[1].command == "sleep 997"
        assert seen[1].container_pid > 1
    finally:
        docker("rm", "--force", name)
        entered.wait(10)


def test_nested_pid_namespace_and_cgroup(docker: Docker, container: Containers) -> None:
    """A process in a nested namespace has the number that the container gives it, and its init is protected."""
    name = container(BASE, "sleep", "1000")
    pid = docker.state(name, "State.Pid")
    # The owner of a PID namespace below another one must be in the user namespace of that, or below it.
    is_rootless = namespace_inode(int(pid), "user") != namespace_inode(0, "user")
    user = ("--user",) if is_rootless else ()
    inner = subprocess.Popen(
        ("nsenter", "--target", pid, *user, "--pid", "--", "unshare", "--pid", "--fork", "--kill-child", "sleep", "996")
    )
    try:
        seen = eventually(
            lambda: all_ if len(all_ := processes_of(docker, name)) == 3 else (), "the nested process is there"
        )
        nested = seen[2]
        assert (nested.command, nested.namespace_init) == ("sleep 996", True)
        assert nested.container_pid > 1
        assert expect(nested, seen).delivery is Delivery.DROPPED
        send(nested.id, TERM)
        assert read_process(nested.pid).container_pid == 1
    finally:
        docker("rm", "--force", name)
        inner.wait(10)


@shares_pids
def test_the_cgroup_decides_with_the_host_s_pids(docker: Docker, container: Containers) -> None:
    name = container(BASE, "dash", "-c", "sleep 995 & wait", options=("--pid=host",))
    seen = eventually(
        lambda: all_ if len(all_ := processes_of(docker, name)) == 2 else (), "the shell has started its child"
    )
    assert [process.container_pid for process in seen] == [process.pid for process in seen]
    made = expect(seen[0], seen)
    assert (made.delivery, made.effect) == (Delivery.DEFAULT, Effect.TERMINATES)
    send(seen[0].id, TERM)
    assert docker("wait", name) == "143"


@shares_pids
def test_a_guest_in_another_container_s_namespace(docker: Docker, container: Containers) -> None:
    """The host lists its guest, which would be killed with it; the guest lists only itself and isn't protected."""
    host = container(BASE, "sleep", "1000")
    guest = container(BASE, "sleep", "994", options=(f"--pid=container:{host}",))
    assert [one.command for one in processes_of(docker, host)] == ["sleep 1000", "sleep 994"]
    (alone,) = processes_of(docker, guest)
    assert alone.command == "sleep 994"
    assert alone.container_pid > 1
    assert expect(alone, ()).delivery is Delivery.DEFAULT
    send(alone.id, TERM)
    assert docker("wait", guest) == "143"


def test_a_zombie_is_listed_without_effect(docker: Docker, container: Containers) -> None:
    name = container(BASE, *python("if os.fork() == 0: os._exit(3)", READY, SLEEP), ready="ready")
    zombie = eventually(
        lambda: [one for one in processes_of(docker, name) if one.state == "Z"], "the child is a zombie"
    )[0]
    assert zombie.argv == ()
    assert expect(zombie, ()).delivery is Delivery.IGNORED
    watch = ExitWatch((zombie.id,))
    assert [one.ended_by for one in watch.wait(10)] == [3]
    watch.close()


@needs_users
def test_users_are_the_container_s(engine: DockerEngine, container: Containers) -> None:
    """Also where only an agent may read the names: a rootless engine mounts the files in its own mount namespace."""
    for option, expected in (("--user=games", (5, "games")), ("--user=4242", (4242, "4242"))):
        name = container(BASE, "sleep", "1000", options=(option,))
        (process,), reason = see_processes(engine, engine.inspect(name))
        assert (process.uid, process.user, reason) == (*expected, "")
