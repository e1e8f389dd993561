"""The signal watch on real containers: sender, target and result of each signal."""

import json
import os
import re
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from containerlab_probes.processes.identity import identify
from containerlab_probes.records import ProcessId
from containerlab_probes.trace import tracefs
from containerlab_probes.trace_records import LostEvents
from containerlab_tui.engine.connection import connect
from containerlab_tui.model.inventory import Details, EngineEvent
from containerlab_tui.model.signal_filter import parse
from containerlab_tui.model.signal_log import Note, SignalLog
from containerlab_tui.present.signal_text import SignalLine, line_of
from containerlab_tui.services.kernel_trace import KernelTrace, Record
from containerlab_tui.services.signal_watch import WAITING_LIMIT, SignalWatch
from tests.engine.test_trace import BUSY, instances
from tests.support.docker import Containers, Docker, eventually
from tests.support.kernel import PlayedTrace, send
from tests.support.screens import OpenUi, Screen

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the kernel's trace needs root")

BASE = "containerlab/base:latest"
MIXED = """
import os, signal
gone = False
def on_usr1(*a):
    if not gone: os.kill(child, signal.SIGTERM)
def on_chld(*a):
    global gone
    gone = gone or os.waitpid(child, os.WNOHANG)[0] > 0
child = os.fork()
if child == 0:
    os.execvp("sleep", ["sleep", "1000"])
signal.signal(signal.SIGUSR1, on_usr1)
signal.signal(signal.SIGUSR2, lambda *a: None)
signal.signal(signal.SIGCHLD, on_chld)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
print("ready", flush=True)
while True: signal.pause()
"""
HERE = f"[{os.getpid()}]"
Alone = Callable[..., tuple[str, Screen]]
ENDS_S = 150.0
"""The longest stop of another test takes 90 s, and is recorded until it ends."""


class Seen:
    """The lines that a watch has reported so far."""

    def __init__(self, details: Details, record: Record = KernelTrace, limit: int = WAITING_LIMIT) -> None:
        self.watching = SignalWatch(details, record=record, limit=limit)
        self.log = SignalLog()

    def lines(self, words: str = "") -> list[SignalLine]:
        self.log.add(self.watching.take())
        return [line_of(row) for row in parse(words).select(self.log.rows)]

    def has(self, target: str, what: str, result: str) -> SignalLine:
        def found() -> SignalLine | None:
            return next((one for one in self.lines() if (one.target, one.what, one.result) == (target, what, result)),
                        None)  # fmt: skip

        try:
            line = eventually(found, f"{what} to {target}: {result}")
        except AssertionError as error:
            raise AssertionError(f"{error}; there is {self.lines()}") from None
        assert line is not None
        return line

    def notes(self) -> list[str]:
        self.lines()
        return [row.record.text for row in self.log.rows if isinstance(row.record, Note)]


@pytest.fixture
def watch(engine_host: str) -> Iterator[Callable[..., Seen]]:
    engine, open_ones = connect(engine_host), list[Seen]()

    def begin(name: str, record: Record = KernelTrace, limit: int = WAITING_LIMIT) -> Seen:
        seen = Seen(engine.inspect(name), record, limit)
        open_ones.append(seen)
        seen.watching.open()
        return seen

    yield begin
    for one in open_ones:
        one.watching.close()


def init_of(docker: Docker, name: str) -> ProcessId:
    return docker.run_of(name).init


def event(docker: Docker, name: str, action: str, **attributes: str) -> EngineEvent:
    return EngineEvent(1.0, action, docker.state(name, "Id"), name, BASE, attributes)


def test_sender_target_and_result_of_each_signal(
    docker: Docker, container: Containers, watch: Callable[..., Seen]
) -> None:
    name = container(BASE, "python3", "-c", MIXED, ready="ready")
    seen = watch(name)
    assert (seen.watching.opened, seen.watching.no_trace_reason) == (True, "")
    init = init_of(docker, name)
    for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGUSR2, signal.SIGUSR1):
        send(init, number)
    assert seen.has("1 python3", "TERM", "discarded: ignored or no handler").sender.endswith(HERE)
    assert seen.has("1 python3", "USR2", "queued")
    assert seen.has("1 python3", "USR2", "already pending")
    assert seen.has("1 python3", "USR1", "its handler runs")
    (child,) = eventually(lambda: [one.target for one in seen.lines("sleep TERM")], "SIGTERM to the child")
    assert re.fullmatch(r"\d+ sleep", child)
    assert seen.has(child, "TERM", "default action").sender == "1 python3"
    assert seen.has(child, "exit", "by SIGTERM")
    docker("exec", "--detach", name, "sh", "-c", "kill -USR1 1; sleep 1000; :")
    eventually(lambda: [one for one in seen.lines("USR1") if re.fullmatch(r"\d+ sh", one.sender)], "a kill by exec")
    docker("kill", "--signal=KILL", name)
    assert seen.has("1 python3", "KILL", "default action").sender.startswith("runc [")
    assert seen.has("1 python3", "exit", "by SIGKILL")
    assert [one.what for one in seen.lines("exit pid:1")] == ["exit"]
    assert {one.what for one in seen.lines("fork sleep")} <= {"fork"}


def test_the_watch_continues_after_a_restart(
    docker: Docker, container: Containers, watch: Callable[..., Seen], engine_host: str
) -> None:
    name = container(BASE, "python3", "-c", MIXED, ready="ready")
    seen = watch(name)
    before = seen.watching.pid
    docker("restart", "--time=0", name)
    seen.watching.happened(event(docker, name, "die", exitCode="137"))
    seen.watching.started_again(connect(engine_host).inspect(name))
    assert seen.watching.pid != before
    eventually(lambda: docker.logs(name).count("ready") == 2, "it is ready again")
    send(init_of(docker, name), signal.SIGUSR1)
    assert seen.has("1 python3", "USR1", "its handler runs")
    assert seen.notes() == ["container stopped, exit code 137", "restarted"]


def test_without_a_kernel_trace_pidfds_and_the_engine_report(
    docker: Docker, container: Containers, watch: Callable[..., Seen]
) -> None:
    name = container(BASE, "python3", "-c", MIXED, ready="ready")
    seen = watch(name, PlayedTrace("Not in this test.").record)
    assert seen.watching.no_trace_reason == "Not in this test."
    seen.watching.happened(event(docker, name, "kill", signal="9"))
    docker("kill", name)
    assert seen.has("1 python3", "KILL", "sent; result not visible").sender == "the engine"
    eventually(lambda: [one for one in seen.lines("exit") if one.target == "1 python3"], "the exit of PID 1")


def test_untaken_records_are_counted(docker: Docker, container: Containers, watch: Callable[..., Seen]) -> None:
    """A screen that takes no records must neither fill the memory nor hide that some are missing."""
    name = container(BASE, "python3", "-c", BUSY, "3000", "10000", ready="ready")
    seen = watch(name, limit=500)
    send(init_of(docker, name), signal.SIGUSR2)
    docker.says(name, "done")
    eventually(lambda: seen.watching._over, "records are dropped")
    seen.watching.close()
    seen.lines()
    assert seen.log.lost > 0
    assert any(isinstance(row.record, LostEvents) for row in seen.log.rows)
    assert seen.log.lost + 2 * seen.log.signals >= 6000


def test_closed_before_it_was_opened_records_nothing(docker: Docker, container: Containers, engine_host: str) -> None:
    name = container(BASE, "python3", "-c", MIXED, ready="ready")
    watching = SignalWatch(connect(engine_host).inspect(name))
    before = own_instances()  # that of an earlier test may be ending
    watching.close()
    watching.open()
    assert not watching.opened
    assert own_instances() <= before


def own_instances() -> set[str]:
    """Returns the instances in the kernel's tracing that this process created."""
    return {one for one in instances() if tracefs.owner_of(one) == identify(os.getpid())}


# the screen, in a terminal


def watch_by_key(screen: Screen) -> None:
    screen.press("w")
    screen.shows("kernel trace ●")


def instances_of(screen: Screen) -> list[str]:
    """Returns the instances in the kernel's tracing that the program created."""
    return [one for one in instances() if (owner := tracefs.owner_of(one)) and owner.pid == screen.pid]


def until_ended(screen: Screen, recordings: list[str]) -> None:
    """Waits until these recordings have ended; the program makes others, as it follows the stops of other tests."""
    assert recordings
    screen.until(lambda: not set(recordings) & set(instances()), f"the recordings {recordings} have ended", ENDS_S)


@pytest.fixture
def alone(open_ui: OpenUi, container: Containers) -> Alone:
    """Returns a function that starts a container and the UI with it alone."""

    def begin(columns: int = 120, rows: int = 30) -> tuple[str, Screen]:
        name = container(BASE, "python3", "-c", MIXED, ready="ready", name=f"watch-{uuid.uuid4().hex[:6]}")
        screen = open_ui(columns, rows)
        screen.filter(name)
        return name, screen

    return begin


def test_a_session_at_the_keyboard(docker: Docker, alone: Alone, tmp_path: Path) -> None:
    name, screen = alone()
    watch_by_key(screen)
    assert instances_of(screen)
    docker("kill", "--signal=TERM", name)
    screen.matches(r"runc \[\d+\] +1 python3 +TERM +discarded: ignored or")
    docker("kill", "--signal=USR1", name)
    screen.matches(r"1 python3 +\d+ sleep +TERM +default action")
    screen.matches(r"\d+ sleep +exit +by SIGTERM")
    screen.press("/")
    screen.fill("usr1 exit")
    screen.press("Enter")
    screen.shows("filter “usr1 exit”: 2 rows")
    screen.hides("discarded")
    screen.press("S")
    screen.shows(f"signals-{name}-")
    screen.type(f"{tmp_path}/saved.jsonl")
    screen.press("Enter")
    screen.shows("2 rows saved to")
    saved = (tmp_path / "saved.jsonl").read_text()
    assert [json.loads(line)["kind"] for line in saved.splitlines()] == ["signal", "exit"]
    screen.press("p")
    screen.shows("paused, 0 new")
    docker("kill", "--signal=USR1", name)
    screen.shows("paused, 1 new")
    screen.press("p")
    docker("restart", "--time=0", name)
    screen.shows("— container stopped, exit code 137 —")
    screen.shows("— restarted —")
    screen.until(lambda: docker.logs(name).count("ready") == 2, "its handlers are set again")
    docker("kill", "--signal=USR1", name)
    screen.until(lambda: len(re.findall("USR1 +its handler runs", screen.text())) == 3, "a signal to the next run")
    docker("rm", "--force", name)
    screen.shows("— container removed —")
    screen.press("Escape")
    screen.hides("filter “")
    recordings = instances_of(screen)
    screen.press("Escape")
    screen.shows("NAME ")
    until_ended(screen, recordings)


@pytest.mark.parametrize("at_once", [False, True])
def test_leaving_the_program_while_it_watches_leaves_nothing(alone: Alone, at_once: bool) -> None:
    _, screen = alone()
    pid = screen.pid
    if at_once:
        screen.press("w", "C-q")
    else:
        watch_by_key(screen)
        assert instances_of(screen)
        screen.press("C-q")
    screen.until(lambda: tracefs.started(pid) is None, "it has exited")
    assert not instances_of(screen)


def test_a_killed_program_is_cleaned_up_after_by_the_next_start(alone: Alone, open_ui: OpenUi) -> None:
    _, screen = alone()
    watch_by_key(screen)
    left = instances_of(screen)
    os.kill(screen.pid, signal.SIGKILL)
    screen.until(lambda: tracefs.started(screen.pid) is None, "it has exited, or is a zombie")
    assert left
    assert set(left) <= set(instances())
    open_ui(120, 30).until(lambda: not set(left) & set(instances()), "the next start removes it")


def test_the_signals_tab_shows_signals_of_others_while_open(docker: Docker, alone: Alone) -> None:
    name, screen = alone(140, 40)
    screen.press("g")
    screen.shows("kernel trace ●")
    docker("kill", "--signal=HUP", name)  # the stop signal would also start the record of a stop
    screen.matches(r"HUP +1 +python3 +kernel +from runc \[\d+\]: discarded")
    docker("kill", "--signal=USR1", name)
    screen.matches(r"TERM +\d+ +sleep +kernel +from 1 python3: default action")
    screen.matches(r"exit +\d+ +sleep +kernel +exited, by SIGTERM")
    screen.press("s")
    screen.shows("Signal to")
    screen.press("u", "s", "r", "2", "Enter")
    screen.matches(r"USR2 +1 +python3.* here ")
    docker("kill", "--signal=WINCH", name)
    screen.matches(r"WINCH +1 +python3 +kernel")
    assert len(re.findall(r"^ ?.?\d\d:\d\d:\d\d +USR2 ", screen.text(), re.MULTILINE)) == 1
    recordings = instances_of(screen)
    screen.press("p")
    until_ended(screen, recordings)  # another tab ends the recording
