"""How a container came to end: each story the engine's records can tell, and those they can't tell apart."""

from dataclasses import replace

import pytest

from containerlab_probes.records import MemoryRecord
from containerlab_tui.model.ending import how_a_removed_one_ended, how_it_ended
from containerlab_tui.model.ending_records import PastStop
from containerlab_tui.model.inventory import Details, EngineEvent

ID = "a" * 64
STARTED, ENDED = 1_000.0, 1_100.0

DETAILS = Details(
    id=ID,
    name="app",
    image="app:latest",
    state="exited",
    pid=0,
    exit_code=0,
    oom_killed=False,
    started_at=STARTED,
    finished_at=ENDED,
    argv=("app",),
    tty=False,
    stop_signal="SIGTERM",
    stop_signal_source="default",
    stop_timeout_s=10,
    stop_timeout_source="default",
    restart_policy="no",
    ipc_mode="private",
    pid_mode="",
    init=False,
    shm_bytes=64 << 20,
    merged_dir="",
    upper_dir="",
)


def event(at: float, action: str, **attributes: str) -> EngineEvent:
    return EngineEvent(at, action, ID, "app", "app:latest", attributes)


START, DIE = event(STARTED, "start"), event(ENDED, "die", exitCode="0")
STOP = event(ENDED + 0.01, "stop")
TERM_AT = event(ENDED - 10, "kill", signal="15")
KILL_AT = event(ENDED - 0.1, "kill", signal="9")
HUP_LONG_AGO = event(ENDED - 90, "kill", signal="1")
PAST = PastStop(ENDED, ID, "app", "app:latest", "app", "SIGTERM", 10, "killed", 137, 10.1, 10.0, 0.1)


@pytest.mark.parametrize(
    ("code", "events", "cause", "sure", "words"),
    [
        # stopped, and killed after the grace period or not
        (137, [TERM_AT, KILL_AT, DIE, STOP], "stop-killed", True, "stopped with SIGTERM, did not end within 9.9 s"),
        (137, [TERM_AT, KILL_AT, STOP, DIE], "stop-killed", True, "did not end within 9.9 s"),
        (0, [event(ENDED - 0.2, "kill", signal="15"), DIE, STOP], "stopped", True, "0.2 s later with 0"),
        (0, [TERM_AT, KILL_AT, DIE, STOP], "stopped", True, "just then"),
        (137, [KILL_AT, DIE, STOP], "stop-killed", True, "its stop signal is SIGKILL"),
        (137, [TERM_AT, DIE, STOP], "stopped", False, "can't be told apart"),
        # signals through the engine without a stop
        (137, [KILL_AT, DIE], "killed", True, "outright"),
        (137, [HUP_LONG_AGO, KILL_AT, DIE], "killed", True, "outright"),
        (137, [TERM_AT, KILL_AT, DIE], "killed", True, "no stop did that"),
        (0, [TERM_AT, DIE], "signalled", True, "10.0 s after docker kill sent it SIGTERM."),
        (3, [HUP_LONG_AGO, DIE], "signalled", False, "90.0 s after docker kill sent it SIGHUP, which need not"),
        (137, [HUP_LONG_AGO, DIE], "unknown", False, "can't be told apart"),
        # nothing through the engine
        (137, [DIE], "unknown", False, "can't be told apart"),
        (0, [DIE], "exited", True, "by itself with 0"),
        (139, [DIE], "exited", False, "can't be told apart"),
        (135, [DIE], "exited", False, "/dev/shm"),
        (143, [DIE], "exited", False, "deliberate exit"),
        (138, [DIE], "exited", False, "SIGUSR1 by convention"),
        (127, [DIE], "exited", True, "not found"),
        (255, [DIE], "exited", False, "by itself with 255"),
        # out of memory
        (137, [event(ENDED - 1, "oom"), DIE], "out-of-memory", True, "memory limit"),
        (137, [event(ENDED - 30, "oom"), DIE], "unknown", False, "30.0 s before the end, and PID 1 went on"),
        (137, [TERM_AT, event(ENDED - 0.1, "oom"), DIE, STOP], "out-of-memory", True, "memory limit"),
        (137, [event(ENDED - 30, "oom"), TERM_AT, KILL_AT, DIE, STOP], "stop-killed", True, "not PID 1, was killed"),
        (1, [event(ENDED - 1, "oom"), DIE], "exited", False, "Whether PID 1 ended because of that can't be told"),
        (
            0,
            [event(ENDED - 30, "oom"), TERM_AT, DIE, STOP],
            "stopped",
            True,
            "not PID 1, was killed for want of memory",
        ),
    ],
)
def test_each_story(code: int, events: list[EngineEvent], cause: str, sure: bool, words: str) -> None:
    ending = how_it_ended(replace(DETAILS, exit_code=code), [START, *events])
    assert (ending.cause, ending.sure) == (cause, sure), ending.sentence
    assert words in ending.sentence
    assert ending.evidence
    assert (ending.exit_code, ending.finished_at) == (code, ENDED)


@pytest.mark.parametrize("code", [0, 137])
def test_what_the_engine_has_forgotten_is_not_claimed(code: int) -> None:
    ended = replace(DETAILS, exit_code=code)
    told = how_it_ended(ended, [])
    assert (told.cause, told.sure) == ("exited" if code == 0 else "unknown", False)
    assert "are gone" in told.evidence[-1]
    assert "are gone" in how_it_ended(ended, [DIE], known_since=ENDED - 5).evidence[-1]
    assert "in the 300 s before the end" in how_it_ended(ended, [DIE], known_since=ENDED - 300).evidence[-1]


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ({"init": True}, 143, "init (--init), which ends with 143 when its child was ended by SIGTERM"),
        ({"pid_mode": "host"}, 143, "SIGTERM may have ended it"),
        ({"pid_mode": "container:x"}, 139, "SIGSEGV may have ended it"),
    ],
)
def test_where_pid_1_is_another(more: dict[str, bool | str], code: int, words: str) -> None:
    assert words in how_it_ended(replace(DETAILS, exit_code=code, **more), [START, DIE]).sentence  # type: ignore[arg-type]


def test_what_never_ran() -> None:
    created = replace(DETAILS, state="created", finished_at=None)
    assert how_it_ended(created, []).sentence == "app was never started."
    told = how_it_ended(replace(created, error="no such file", exit_code=127), [])
    assert (told.cause, "no such file" in told.sentence, "not found" in told.sentence) == ("never-started", True, True)


def test_events_of_an_earlier_run_are_not_taken_for_this_one() -> None:
    earlier = [event(STARTED - 50, "kill", signal="9"), event(STARTED - 0.1, "die", exitCode="137")]
    assert how_it_ended(DETAILS, [*earlier, START, DIE]).cause == "exited"


def test_a_remembered_stop_is_used_only_for_the_same_end() -> None:
    killed = replace(DETAILS, exit_code=137)
    assert how_it_ended(killed, [], [PAST]).cause == "stop-killed"
    assert how_it_ended(killed, [], [replace(PAST, at=ENDED - 60), PAST]).cause == "stop-killed"
    assert how_it_ended(killed, [], [replace(PAST, at=ENDED - 60)]).cause == "unknown"
    assert (
        how_it_ended(DETAILS, [], [replace(PAST, verdict="graceful", exit_code=0, phase_2_s=None)]).cause == "stopped"
    )


@pytest.mark.parametrize(
    ("past", "cause", "words"),
    [
        (PAST, "stop-killed", "did not end within 10 s"),
        (replace(PAST, phase_1_s=1.0), "stop-killed", "did not end within 1.0 s"),  # `docker stop -t 1` elsewhere
        (replace(PAST, phase_1_s=0.0), "killed", "outright"),
        (replace(PAST, verdict="restarted"), "stop-killed", "did not end within 10 s"),
        (replace(PAST, phase_2_s=None), "unknown", "the engine sent no SIGKILL"),
        (replace(PAST, phase_2_s=None, sender="bash [4242]"), "killed", "killed by bash [4242]"),
        (replace(PAST, phase_2_s=None, out_of_memory=True), "out-of-memory", "memory limit"),
        (replace(PAST, out_of_memory=True), "stop-killed", "did not end within 10 s"),  # a child, in the grace period
        (
            replace(PAST, signal="SIGKILL", phase_1_s=0.0),
            "killed",
            "A stop, docker kill and docker rm -f look the same",
        ),
        (replace(PAST, verdict="graceful"), "stopped", "ended by itself after 10.1 s with 137"),  # a status, no signal
    ],
)
def test_each_remembered_story(past: PastStop, cause: str, words: str) -> None:
    told = how_it_ended(replace(DETAILS, exit_code=137), [], [past])
    assert told.cause == cause
    assert words in told.sentence


def test_oom_killed_by_inspect_alone() -> None:
    told = how_it_ended(replace(DETAILS, exit_code=137, oom_killed=True, memory_bytes=32 << 20), [])
    assert (told.cause, told.sure) == ("out-of-memory", False)
    assert "32 MiB" in told.sentence
    assert any("memory.events" in one for one in told.evidence)


RUNNING = replace(DETAILS, state="running", started_at=ENDED + 5)
AGAIN = event(ENDED + 5, "start")


@pytest.mark.parametrize(
    ("details", "events", "words", "before"),
    [
        (RUNNING, [], "it is running", None),
        (RUNNING, [START, TERM_AT, KILL_AT, DIE, STOP, AGAIN], "by hand", "stopped"),
        (RUNNING, [START, KILL_AT, event(ENDED, "die", exitCode="137"), AGAIN], "by hand", "killed"),
        (RUNNING, [START, DIE, AGAIN, event(ENDED + 5.1, "restart")], "begun by docker restart", "exited"),
        (replace(RUNNING, restart_count=3, restart_policy="always"), [START, DIE, AGAIN], "again 3 times", "exited"),
        (replace(DETAILS, state="restarting", restart_count=1, exit_code=3), [START, DIE], "again once", "exited"),
    ],
)
def test_why_it_runs(details: Details, events: list[EngineEvent], words: str, before: str | None) -> None:
    told = how_it_ended(details, events)
    assert told.cause == "running"
    assert words in told.sentence
    assert (told.before and told.before.cause) == before
    assert (told.exit_code, told.finished_at) == (None, None)


def test_a_child_that_was_killed_for_want_of_memory_while_it_runs() -> None:
    told = how_it_ended(RUNNING, [], memory=MemoryRecord(1, 252, "memory.events"))
    assert "1 process of it was killed for want of memory in this run, and PID 1 went on." in told.sentence
    assert "memory.events" in told.evidence[-1]
    assert "memory" not in how_it_ended(RUNNING, [], memory=MemoryRecord(0, 0, "memory.events")).sentence


def test_a_removed_container_is_told_from_events_or_memory() -> None:
    died, gone = event(ENDED, "die", exitCode="137"), event(ENDED + 0.1, "destroy")
    told = how_a_removed_one_ended("app", [START, KILL_AT, died, gone], [], STARTED)
    assert told is not None
    assert (told.cause, told.removed, told.exit_code) == ("killed", True, 137)
    assert "docker rm -f" in told.sentence
    remembered = how_a_removed_one_ended("app", [gone], [PAST], STARTED)
    assert remembered is not None
    assert (remembered.cause, remembered.removed, remembered.finished_at) == ("stop-killed", True, ENDED)
    assert how_a_removed_one_ended("app", [gone], [], STARTED) is None


def test_by_hand_is_said_only_of_a_start_that_was_seen() -> None:
    alive = replace(DETAILS, state="running", restart_policy="always", started_at=ENDED + 5)
    again = event(ENDED + 5, "start")
    assert "begun by hand" in how_it_ended(alive, [START, DIE, again], [PAST]).sentence
    for events in ([], [again]):  # the engine itself begins it, when it starts, and has no events from before
        told = how_it_ended(alive, events, [PAST])
        assert "begun by hand" not in told.sentence
        assert told.before is not None
