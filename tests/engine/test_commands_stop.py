"""`stop` and `why` on real containers: both phases, the verdict, the timeline, and the explanation afterwards."""

import contextlib
import os
import re
import select
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from containerlab_probes.trace.tracer import Tracer
from containerlab_tui.engine.connection import connect
from containerlab_tui.model.diagnosis import Confidence
from containerlab_tui.model.stop import StopState, Verdict
from containerlab_tui.present.stop_text import explain
from containerlab_tui.services.stop import follow_stop, plan_stop
from tests.engine.commands_support import Command, are_signals, has, is_moment
from tests.engine.marks import shares_pids
from tests.support.docker import Containers, Docker, eventually

VERDICTS = {"graceful", "killed", "already-stopped", "restarted", "failed"}
NEAR_S = 0.1
"""Largest accepted error of the time of an exit."""


class Witness:
    """Records when processes exit, with separate pidfds, independently of the program."""

    def __init__(self, pids: list[int]) -> None:
        self.ends: dict[int, float] = {}
        self._files = {os.pidfd_open(pid): pid for pid in pids}
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        with contextlib.suppress(OSError):  # on a busy machine this thread may wake up late
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        poll = select.poll()
        for file in self._files:
            poll.register(file, select.POLLIN)
        deadline = time.monotonic() + 60
        while len(self.ends) < len(self._files) and time.monotonic() < deadline:
            for file, _ in poll.poll(1000):
                self.ends[self._files[file]] = time.time()
                poll.unregister(file)

    def close(self) -> None:
        self._thread.join(10)
        for file in self._files:
            os.close(file)


@dataclass(frozen=True, slots=True)
class Seen:
    document: dict[str, Any]
    status: int
    ends: dict[int, float]

    @property
    def by_pid(self) -> dict[int, dict[str, Any]]:
        """Returns the processes of the document by their container PID."""
        return {one["container_pid"]: one for one in self.document["processes"]}

    def kinds(self, kind: str, source: str) -> list[dict[str, Any]]:
        return [one for one in self.document["events"] if (one["kind"], one["source"]) == (kind, source)]

    def sent(self) -> list[dict[str, Any]]:
        """Returns the engine's signals to PID 1; the kernel reports them where Podman doesn't."""
        reported = [one for one in self.kinds("signal", "engine") if one["signal"]]
        return reported or [one for one in self.kinds("signal", "kernel") if "from runc [" in one["detail"]]


def is_stop_document(document: dict[str, Any]) -> None:
    has(document, "schema container signal timeout_s verdict exit_code duration_s phase_1 phase_2 events processes")
    assert document["verdict"] in VERDICTS
    are_signals([document["signal"]])
    for phase in ("phase_1", "phase_2"):
        for moment in (document[phase] or {}).values():
            if moment is not None:
                is_moment(moment)
    for event in document["events"]:
        has(event, "t_s kind pid container_pid signal detail source")
        assert event["source"] in ("engine", "kernel")
        if event["signal"] is not None:
            are_signals([event["signal"]])
    times = [event["t_s"] for event in document["events"]]
    assert times == sorted(times)
    for one in document["processes"]:
        has(one, "pid container_pid command got_signal ended_t_s ended_by")


@pytest.fixture
def stopped(command: Command) -> Iterator[Callable[..., Seen]]:
    """Stops a container while a witness watches it; checks the document's fields and the time of each exit."""
    witnesses: list[Witness] = []

    def stop(name: str, *options: str) -> Seen:
        pids = [one["pid"] for one in command.asks("processes", name)["processes"]]
        witness = Witness(pids)
        witnesses.append(witness)
        answer = command("stop", name, *options, "--json")
        document = answer.document
        is_stop_document(document)
        began = is_moment(document["began"])
        eventually(lambda: set(pids) <= witness.ends.keys(), "the witness has seen all exits")
        for one in document["processes"]:
            assert one["pid"] in witness.ends
            assert abs(began + one["ended_t_s"] - witness.ends[one["pid"]]) < NEAR_S, one
        return Seen(document, answer.status, witness.ends)

    yield stop
    for witness in witnesses:
        witness.close()


def test_dockerapp1_exits_in_phase_1(container: Containers, stopped: Callable[..., Seen], command: Command) -> None:
    name = container("dockerapp1", ready="pid = 1")
    seen = stopped(name)
    document = seen.document
    assert (document["prediction"]["outlook"], document["prediction"]["right"]) == ("exits", True)
    assert (seen.status, document["container"], document["signal"], document["timeout_s"]) == (0, name, "SIGTERM", 10)
    assert (document["verdict"], document["exit_code"], document["phase_2"]) == ("graceful", 0, None)
    assert 0 <= is_moment(document["phase_1"]["ended"]) - is_moment(document["phase_1"]["started"]) < 5
    assert document["duration_s"] < 5
    assert (seen.by_pid[1]["got_signal"], seen.by_pid[1]["ended_by"]) == (True, 0)
    assert seen.sent()[0]["signal"] == "SIGTERM"
    assert seen.kinds("died", "engine")
    why = command.asks("why", name)
    has(why, "container cause sure sentence evidence exit_code finished")
    assert (why["container"], why["exit_code"]) == (name, 0)
    is_moment(why["finished"])
    assert "SIGTERM" in " ".join([why["sentence"], *why["evidence"]])


def test_dockerapp2_is_killed_in_phase_2(container: Containers, stopped: Callable[..., Seen], command: Command) -> None:
    name = container("dockerapp2", ready="pid = 1")
    seen = stopped(name, "--timeout", "1")
    document = seen.document
    assert (seen.status, document["verdict"], document["exit_code"], document["timeout_s"]) == (1, "killed", 137, 1)
    assert document["timeout_source"] == "request"
    assert (document["prediction"]["happened"], document["prediction"]["right"]) == ("times-out", True)
    phase_1, phase_2 = document["phase_1"], document["phase_2"]
    assert 0.9 < is_moment(phase_1["ended"]) - is_moment(phase_1["started"]) < 3
    assert is_moment(phase_2["started"]) == is_moment(phase_1["ended"])
    assert is_moment(phase_2["ended"]) >= is_moment(phase_2["started"])
    assert (seen.by_pid[1]["got_signal"], seen.by_pid[1]["ended_by"]) == (True, "SIGKILL")
    why = command.asks("why", name)
    assert why["exit_code"] == 137
    # On a slow machine, Podman's SIGKILL comes later than the grace period says.
    assert re.search(r"did not exit within 1(\.\d)? s, and was killed after", why["sentence"])


def test_the_text_shows_the_phases_live(container: Containers, command: Command) -> None:
    name = container("dockerapp2", ready="pid = 1")
    answer = command("stop", name, "--timeout", "1")
    assert answer.status == 1
    heading, *rest = answer.out.splitlines()
    assert heading == f"stop {name}: SIGTERM (default), grace period 1 s (request)"
    found = "\n".join(rest)
    assert found.index("SIGTERM to PID 1") < found.index("SIGKILL to PID 1") < found.index("Did not exit on SIGTERM")
    sentence = command("why", name)
    assert (sentence.status, sentence.err) == (0, "")
    assert "did not exit within 1 s, and was killed after" in sentence.out.splitlines()[0]


def test_the_shell_form_gets_no_signal(container: Containers, stopped: Callable[..., Seen], command: Command) -> None:
    name = container("shell-form", ready="waiting for signals")
    found = {one["container_pid"]: one for one in command.asks("forecast", name)["forecasts"]}
    assert (found[1]["delivery"], found[1]["effect"]) == ("dropped", "nothing")
    seen = stopped(name, "--timeout", "1")
    assert (seen.status, seen.document["verdict"], seen.document["exit_code"]) == (1, "killed", 137)
    assert {one["ended_by"] for one in seen.document["processes"]} == {"SIGKILL"}
    children = [one for pid, one in seen.by_pid.items() if pid != 1]
    assert children
    if not Tracer().available():
        assert all(one["got_signal"] is False for one in children)


def test_dockerapp3_child_is_not_signalled(container: Containers, stopped: Callable[..., Seen]) -> None:
    reason = Tracer().available()
    assert not reason, f"this test needs the kernel trace: {reason}"
    name = container("dockerapp3", ready="i am in child process")
    seen = stopped(name)
    assert seen.document["kernel_trace"] is True
    assert (seen.status, seen.document["verdict"]) == (0, "graceful")
    (child,) = (one for pid, one in seen.by_pid.items() if pid != 1)
    assert (child["got_signal"], child["ended_by"]) == (False, "SIGKILL")
    assert seen.by_pid[1]["got_signal"] is True
    to_child = [one["signal"] for one in seen.kinds("signal", "kernel") if one["pid"] == child["pid"]]
    assert set(to_child) <= {"SIGKILL"}
    to_parent = [one for one in seen.kinds("signal", "kernel") if one["pid"] == seen.by_pid[1]["pid"]]
    assert [one["signal"] for one in to_parent][:1] == ["SIGTERM"]


def test_supervisord_signals_both_programs(docker: Docker, container: Containers, stopped: Callable[..., Seen]) -> None:
    name = container("supervisor-v2", ready="dockerapp1-brother entered RUNNING")
    docker.says(name, "dockerapp1 entered RUNNING")
    seen = stopped(name)
    assert (seen.status, seen.document["verdict"], seen.document["exit_code"]) == (0, "graceful", 0)
    programs = [one for pid, one in seen.by_pid.items() if pid != 1]
    assert len(programs) == 2
    assert {(one["got_signal"], one["ended_by"]) for one in programs} == {(True, 0)}
    to_programs = {one["signal"] for one in seen.kinds("signal", "kernel") if one["container_pid"] != 1}
    assert {"SIGTERM", "SIGQUIT"} <= to_programs


def test_an_init_forwards_the_signal(container: Containers, stopped: Callable[..., Seen]) -> None:
    name = container("init-wrapped", ready="no handlers here")
    seen = stopped(name)
    assert (seen.status, seen.document["verdict"], seen.document["exit_code"]) == (0, "graceful", 143)
    (program,) = (one for pid, one in seen.by_pid.items() if pid != 1)
    assert (program["got_signal"], program["ended_by"]) == (True, "SIGTERM")


def test_scratch_has_no_handler(container: Containers, stopped: Callable[..., Seen], command: Command) -> None:
    name = container("scratch-static")
    (found,) = command.asks("forecast", name)["forecasts"]
    assert (found["delivery"], found["effect"]) == ("dropped", "nothing")
    seen = stopped(name, "--timeout", "1")
    assert (seen.status, seen.document["verdict"]) == (1, "killed")


def test_systemv_shm_exits_on_its_own(container: Containers, stopped: Callable[..., Seen]) -> None:
    seen = stopped(container("systemv-shm", ready="ready"))
    assert (seen.status, seen.document["verdict"], seen.document["exit_code"]) == (0, "graceful", 0)


def test_mmap_shm_exits_on_its_own(container: Containers, stopped: Callable[..., Seen]) -> None:
    seen = stopped(container("mmap-shm", ready="ready"))
    assert (seen.status, seen.document["verdict"], seen.document["exit_code"]) == (0, "graceful", 0)


def test_supervisor_v1_is_already_stopped(docker: Docker, container: Containers, command: Command) -> None:
    name = container("supervisor-v1")
    docker("wait", name)
    document = command.asks("stop", name)
    is_stop_document(document)
    assert (document["verdict"], document["exit_code"]) == ("already-stopped", 0)
    assert (document["processes"], document["phase_2"]) == ([], None)
    assert document["phase_1"] == {"started": None, "ended": None}
    assert command("stop", name).out.splitlines()[-1] == "It was not running. Nothing sent."


@pytest.mark.parametrize(
    ("image", "own", "asked", "verdict", "status"),
    [("dockerapp1", "SIGUSR2", "SIGTERM", "graceful", 0), ("dockerapp2", "SIGTERM", "SIGUSR1", "killed", 1)],
)
def test_another_signal_on_an_old_engine_runs_both_phases_here(
    engine_host: str,
    container: Containers,
    stopped: Callable[..., Seen],
    image: str,
    own: str,
    asked: str,
    verdict: str,
    status: int,
) -> None:
    engine = connect(engine_host)
    old = engine.version().api < (1, 42)
    engine.close()
    name = container(image, options=(f"--stop-signal={own}",), ready="pid = 1")
    seen = stopped(name, "--signal", asked.removeprefix("SIG").lower(), "--timeout", "1")
    assert (seen.status, seen.document["verdict"], seen.document["signal"]) == (status, verdict, asked)
    assert seen.document["signal_source"] == "request"
    assert (seen.document["phase_2"] is not None) == (verdict == "killed")
    first = seen.sent()[0]
    assert (first["signal"], first["container_pid"]) == (asked, 1)
    notes = [one["detail"] for one in seen.kinds("note", "engine")]
    assert any("this program runs both phases" in note for note in notes) == old
    if verdict == "killed":
        assert 0.9 < seen.document["duration_s"] < 4


def test_a_negative_timeout_is_no_limit(container: Containers, stopped: Callable[..., Seen]) -> None:
    seen = stopped(container("dockerapp1", ready="pid = 1"), "--timeout", "-1")
    assert (seen.status, seen.document["verdict"], seen.document["timeout_s"]) == (0, "graceful", -1)


def test_no_more_than_looking_in_read_only(docker: Docker, container: Containers, command: Command) -> None:
    name = container("dockerapp1", ready="pid = 1")
    assert "--read-only" in command.fails(4, "--read-only", "stop", name)
    assert docker.state(name) == "running"
    assert name not in command.fails(2, "stop", name, "--signal", "NONSENSE")
    assert docker.state(name) == "running"
    assert "no-such-container" in command.fails(3, "stop", "no-such-container")
    assert "no-such-container" in command.fails(3, "why", "no-such-container")
    running = command.asks("why", name)
    assert (running["exit_code"], running["finished"]) == (None, None)


def follow(engine_host: str, name: str, act: Callable[[], object], survived_s: float, grace_s: int) -> StopState:
    """Follows, as the UI does, a stop that something else starts."""
    engine = connect(engine_host)
    try:
        plan = replace(plan_stop(engine, name, timeout_s=grace_s), started_elsewhere=True)
        since = time.time()
        act()
        return follow_stop(engine, plan, since, survived_s=survived_s)
    finally:
        engine.close()


def test_a_survived_signal_is_not_a_stop(engine_host: str, docker: Docker, container: Containers) -> None:
    name = container("dockerapp2", ready="pid = 1")
    began = time.monotonic()
    state = follow(engine_host, name, lambda: docker("kill", "--signal=TERM", name), survived_s=0.5, grace_s=1)
    assert 1.4 < time.monotonic() - began < 14, "it would wait for 15 s otherwise"
    assert (state.settled, state.verdict, state.phase_2) == (True, None, None)
    (sentence,) = explain(state)
    assert "not a stop" in sentence
    assert "SIGTERM" in sentence
    assert docker.state(name) == "running"


def test_a_stop_started_elsewhere_is_followed_until_it_finishes(
    engine_host: str, docker: Docker, container: Containers
) -> None:
    name = container("dockerapp2", ready="pid = 1")

    def stop() -> None:
        threading.Thread(target=docker, args=("stop", "--time=1", name), daemon=True).start()

    state = follow(engine_host, name, stop, survived_s=20, grace_s=1)
    assert (state.settled, state.verdict) == (True, Verdict.KILLED)
    assert state.phase_2 is not None
    assert state.plan.prediction is not None
    assert state.plan.prediction.confidence is not Confidence.CERTAIN


@shares_pids
@pytest.mark.parametrize("pid_mode", ["host", "container"])
def test_a_container_in_another_pid_namespace_has_its_lane_too(
    docker: Docker, container: Containers, stopped: Callable[..., Seen], pid_mode: str
) -> None:
    other = container("dockerapp1", ready="pid = 1")
    mode = "host" if pid_mode == "host" else f"container:{other}"
    name = container("dockerapp1", options=(f"--pid={mode}",), ready="pid = ")
    root = int(docker.state(name, "State.Pid"))
    seen = stopped(name)
    (lane,) = seen.document["processes"]
    assert (lane["pid"], lane["got_signal"], seen.document["verdict"]) == (root, True, "graceful")
    assert seen.document["prediction"]["right"] is True
    (sent,) = seen.sent()
    assert (sent["pid"], sent["container_pid"]) == (root, lane["container_pid"])
