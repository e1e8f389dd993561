"""Sending chosen signals to real processes of this user: their targets, routes and observed results."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest

from containerlab_probes.errors import ContainerlabError, Denied, Gone, Unreachable
from containerlab_probes.processes.tree import read_process
from containerlab_probes.records import ContainerRun, Delivery, Dispositions, Process, ProcessId
from containerlab_probes.trace_records import SignalResult, Taken, TracedDelivery, TracedSignal
from containerlab_tui.services import signals
from containerlab_tui.services.signals import Deliver, Sent, Target, refresh, select, send_by_engine
from tests.support.docker import eventually
from tests.support.engine import UNRESTRICTED, ScriptedEngine, details
from tests.support.kernel import PlayedTrace, container_processes, namespaced, running
from tests.support.kernel import send as send_to

TERM, KILL, USR1, STOP, CONT = signal.SIGTERM, signal.SIGKILL, signal.SIGUSR1, signal.SIGSTOP, signal.SIGCONT
SHORT_S = 0.0
"""For a process that is known to keep running: no wait."""
LONG_S = 60.0
"""For a process that is known to exit: the wait ends with it."""
BLIND = "no trace in this test"


def deliver_to_any(run: ContainerRun, id: ProcessId, number: int) -> None:
    """Signals a process of this test, which is in no container."""
    send_to(id, number)


send = partial(signals.send, policy=UNRESTRICTED, deliver=deliver_to_any)


@pytest.fixture
def idle() -> Iterator[Process]:
    with running() as process:
        yield process


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


def sent(
    engine: ScriptedEngine,
    target: Process,
    number: int,
    *,
    init: int = 1,
    observe_s: float = LONG_S,
    trace: str = BLIND,
) -> Sent:
    (one,) = send(
        engine,
        details(pid=init),
        (target,),
        number,
        policy=UNRESTRICTED,
        record=PlayedTrace(BLIND).record,
        observe_s=observe_s,
    )
    return one


# who


def made(pid: int, parent: int) -> Process:
    return Process(
        ProcessId(pid, pid), pid, parent, 0.0, "S", 0, "root", "app", ("app",), threads=1, dispositions=Dispositions()
    )


FAMILY = tuple(made(*pair) for pair in ((1, 0), (2, 1), (3, 2), (4, 1), (5, 3), (6, 0)))


@pytest.mark.parametrize(
    ("root", "target", "pids"),
    [
        (2, Target.PROCESS, (2,)),
        (2, Target.CHILDREN, (3, 5)),
        (2, Target.TREE, (2, 3, 5)),
        (1, Target.TREE, (1, 2, 3, 4, 5)),
        (1, Target.CHILDREN, (2, 3, 4, 5)),
        (6, Target.CHILDREN, ()),
        (6, Target.TREE, (6,)),
    ],
)
def test_targets(root: int, target: Target, pids: tuple[int, ...]) -> None:
    chosen = select(FAMILY, FAMILY[root - 1], target)
    assert tuple(one.pid for one in chosen) == pids


# which way


def test_a_signal_goes_through_a_pidfd_and_the_exit_is_seen(engine: ScriptedEngine, idle: Process) -> None:
    one = sent(engine, idle, USR1)
    assert (one.route, one.error, one.observed, one.signal) == ("pidfd", "", "terminated by SIGUSR1", USR1)
    assert one.forecast is not None
    assert one.forecast.delivery is Delivery.DEFAULT
    assert engine.calls == []


@pytest.mark.parametrize(("stop_signal", "number"), [("SIGTERM", KILL), ("SIGTERM", TERM), ("SIGUSR1", USR1)])
def test_a_signal_that_stops_the_container_goes_through_the_engine(
    engine: ScriptedEngine, idle: Process, stop_signal: str, number: int
) -> None:
    engine.allow("kill", then=lambda: os.kill(idle.pid, number))
    about = details(pid=idle.pid, stop_signal=stop_signal)
    (one,) = send(engine, about, (idle,), number, record=PlayedTrace(BLIND).record, observe_s=LONG_S)
    assert (one.route, one.error) == ("engine", "")
    assert one.observed == f"terminated by {signal.Signals(number).name}"
    assert engine.calls == [("kill", about.id, signal.Signals(number).name)]


def test_the_stop_signal_to_another_process_does_not_go_through_the_engine(
    engine: ScriptedEngine, idle: Process
) -> None:
    assert sent(engine, idle, TERM, init=1).route == "pidfd"
    assert engine.calls == []


def refuse(error: ContainerlabError) -> Deliver:
    def deliver(run: ContainerRun, id: ProcessId, number: int) -> None:
        raise error

    return deliver


def test_without_permission_for_pid_1_the_engine_sends(engine: ScriptedEngine, idle: Process) -> None:
    engine.allow("kill")
    about = details(pid=idle.pid)
    (one,) = send(
        engine, about, (idle,), USR1,
        deliver=refuse(Denied("no")), record=PlayedTrace(BLIND).record, observe_s=SHORT_S,
    )  # fmt: skip
    assert (one.route, one.error) == ("engine", "")
    assert engine.calls == [("kill", about.id, "SIGUSR1")]


@pytest.mark.parametrize("error", [Denied("not permitted"), Gone("It has ended.")])
def test_a_target_that_cannot_be_signalled_keeps_the_others(
    engine: ScriptedEngine, idle: Process, error: ContainerlabError
) -> None:
    order: list[int] = []

    def deliver(run: ContainerRun, id: ProcessId, number: int) -> None:
        order.append(id.pid)
        if id != idle.id:
            raise error

    with running() as other:
        both = send(
            engine, details(pid=1), (other, idle), USR1,
            deliver=deliver, record=PlayedTrace(BLIND).record, observe_s=SHORT_S,
        )  # fmt: skip
        assert order == [idle.pid, other.pid], "the last of the list gets it first"
        assert [one.id for one in both] == [other.id, idle.id]
    assert [one.error for one in both] == [str(error), ""]
    assert [one.error_status for one in both] == [error.exit_status, 0]
    assert [one.observed for one in both] == [None, "still running"]


def test_the_list_is_shown_before_the_result_is_known(engine: ScriptedEngine, idle: Process) -> None:
    shown: list[tuple[Sent, ...]] = []
    trace = PlayedTrace(BLIND)
    result = send(engine, details(pid=1), (idle,), USR1, shown.append, record=trace.record, observe_s=LONG_S)
    assert [one.observed for one in shown[0]] == [None]
    assert len(shown) == 1
    assert result[0].observed is not None
    assert (trace.started, trace.closed, trace.ids) == (1, 1, [idle.id])


# what is seen of it


@pytest.mark.parametrize(
    ("code", "number", "words"),
    [
        ("signal.pthread_sigmask(0, {10})", USR1, "still running, SIGUSR1 pending"),
        ("signal.signal(10, signal.SIG_IGN)", USR1, "still running"),
    ],
)
def test_results_of_a_process_that_keeps_running(engine: ScriptedEngine, code: str, number: int, words: str) -> None:
    with running(code) as process:
        assert sent(engine, process, number, init=1, observe_s=SHORT_S).observed == words


def test_a_process_that_is_suspended(engine: ScriptedEngine, idle: Process) -> None:
    def deliver(run: ContainerRun, id: ProcessId, number: int) -> None:
        os.kill(id.pid, number)
        eventually(lambda: read_process(id.pid).state == "T", "it is suspended")

    (one,) = send(
        engine, details(pid=1), (idle,), STOP,
        deliver=deliver, record=PlayedTrace(BLIND).record, observe_s=SHORT_S,
    )  # fmt: skip
    assert one.observed == "suspended (state T)"


def test_a_suspended_process_that_resumes(engine: ScriptedEngine, idle: Process) -> None:
    before = replace(idle, state="T")
    assert sent(engine, before, CONT, init=1, observe_s=SHORT_S).observed == "resumed"


def test_a_handler_that_is_no_longer_there(engine: ScriptedEngine, idle: Process) -> None:
    before = replace(idle, dispositions=replace(idle.dispositions, caught=frozenset({USR1})))
    (one,) = send(
        engine, details(pid=1), (before,), USR1,
        deliver=lambda run, id, number: None, record=PlayedTrace(BLIND).record, observe_s=SHORT_S,
    )  # fmt: skip
    assert one.observed == "still running, no longer handles SIGUSR1"


def test_another_program_in_the_same_process(engine: ScriptedEngine, idle: Process) -> None:
    (one,) = send(
        engine, details(pid=1), (replace(idle, argv=("before",)),), USR1,
        deliver=lambda run, id, number: None, record=PlayedTrace(BLIND).record, observe_s=SHORT_S,
    )  # fmt: skip
    assert one.observed is not None
    assert one.observed.startswith("still running, now ")


def test_an_exit_code_differs_from_a_signal(engine: ScriptedEngine) -> None:
    with running("signal.signal(10, lambda *_: sys.exit(7))") as process:
        assert sent(engine, process, USR1, init=1).observed == "exited with code 7"


def test_the_kernel_says_what_it_did_with_the_signal(engine: ScriptedEngine, idle: Process) -> None:
    trace = PlayedTrace()

    def deliver(run: ContainerRun, id: ProcessId, number: int) -> None:
        trace.play(
            TracedSignal(0.0, os.getpid(), "python", id.pid, number, SignalResult.QUEUED, 0, True),
            TracedDelivery(0.1, id.pid, number, Taken.HANDLER),
        )

    (one,) = send(
        engine,
        details(pid=1),
        (idle,),
        USR1,
        deliver=deliver,
        policy=UNRESTRICTED,
        record=trace.record,
        observe_s=SHORT_S,
    )
    assert one.observed == "its handler runs; still running"


# through the engine alone, and before sending


def test_for_unreadable_processes_the_engine_sends(engine: ScriptedEngine) -> None:
    engine.allow("kill")
    one = send_by_engine(engine, details(pid=77), USR1)
    assert (one.route, one.id.pid, one.container_pid, one.error, one.observed) == ("engine", 77, 1, "", None)
    assert engine.calls == [("kill", one.container, "SIGUSR1")]


def test_an_engine_that_refuses_is_quoted(engine: ScriptedEngine) -> None:
    def fail() -> None:
        raise Unreachable("It went away.")

    engine.allow("kill", then=fail)
    one = send_by_engine(engine, details(), USR1)
    assert (one.error, one.error_status) == ("It went away.", Unreachable.exit_status)


def test_a_process_that_has_exited_is_refused_before_anything_is_sent() -> None:
    engine = ScriptedEngine(local=False)
    with pytest.raises(Denied, match="app can't be read"):
        refresh(engine, details(), made(1, 0))
    with pytest.raises(Gone, match="Nothing sent"):
        refresh(engine, details(pid=0), made(1, 0))


def test_a_fresh_list_has_the_chosen_process() -> None:
    with namespaced("exec sleep 1000") as run:
        init = read_process(run.init.pid)
        about = details(id=run.id, pid=init.pid)
        assert init.id in {one.id for one in refresh(ScriptedEngine(), about, init)}
        with pytest.raises(Gone):
            refresh(ScriptedEngine(), about, replace(init, id=ProcessId(init.pid, init.id.started - 1)))


# the container's processes alone


def test_only_processes_of_the_container_are_signalled(engine: ScriptedEngine, idle: Process) -> None:
    """The real sender: SIGUSR1 kills the container's process; it would kill the stranger, too."""
    with namespaced("sleep 1000 & wait", processes=2) as run:
        seen = container_processes(run)
        inside = seen[1]
        both = signals.send(
            engine, details(id=run.id, pid=run.init.pid), (inside, idle), USR1,
            policy=UNRESTRICTED, record=PlayedTrace(BLIND).record, observe_s=LONG_S,
        )  # fmt: skip
    assert [one.observed for one in both] == ["terminated by SIGUSR1", None]
    assert (
        both[1].error == f"Process {idle.pid} does not belong to this container, or no longer does; nothing was sent."
    )
    assert both[1].error_status == Gone.exit_status
    assert read_process(idle.pid).id == idle.id


def test_where_the_engine_names_a_process_of_the_host_nothing_is_signalled(
    engine: ScriptedEngine, idle: Process
) -> None:
    (one,) = signals.send(
        engine, details(pid=idle.pid), (idle,), USR1,
        policy=UNRESTRICTED, record=PlayedTrace(BLIND).record, observe_s=SHORT_S,
    )  # fmt: skip
    assert "Nothing shows" in one.error
    assert read_process(idle.pid).id == idle.id
    with pytest.raises(Denied, match="Nothing shows"):
        refresh(engine, details(pid=idle.pid), idle)
