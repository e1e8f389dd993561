"""How a container came to end: each story the engine's records can tell, and those they can't tell apart."""

from dataclasses import replace

import pytest

from containerlab_tui.core.ending import PastStop, how_it_ended
from containerlab_tui.core.inventory import Details, EngineEvent

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
    cgroup_parent="",
    merged_dir="",
    upper_dir="",
)


def event(at: float, action: str, **attributes: str) -> EngineEvent:
    return EngineEvent(at, action, ID, "app", "app:latest", attributes)


DIE = event(ENDED, "die", exitCode="0")
TERM_AT = event(ENDED - 10, "kill", signal="15")
KILL_AT = event(ENDED - 0.1, "kill", signal="9")
PAST = PastStop(ENDED, ID, "app", "app:latest", "app", "SIGTERM", 10, "killed", 137, 10.1, 10.0, 0.1)


@pytest.mark.parametrize(
    ("state", "code", "events", "cause", "sure", "words"),
    [
        ("running", 0, [], "running", True, "has not ended"),
        ("created", 0, [], "never-started", True, "never started"),
        ("exited", 137, [TERM_AT, KILL_AT, DIE], "stop-killed", True, "did not end within 9.9 s"),
        ("exited", 137, [KILL_AT, DIE], "killed", True, "outright"),
        ("exited", 0, [event(ENDED - 0.2, "kill", signal="15"), DIE], "stopped", True, "0.2 s after the engine"),
        ("exited", 0, [TERM_AT, KILL_AT, DIE], "stopped", True, "just then"),
        ("exited", 3, [event(ENDED - 90, "kill", signal="1"), DIE], "stopped", False, "90.0 s after"),
        ("exited", 137, [DIE], "unknown", False, "can't be told apart"),
        ("exited", 137, [], "unknown", False, "can't be told apart"),
        ("exited", 0, [DIE], "exited", True, "by itself with 0"),
        ("exited", 0, [], "exited", False, "ended with 0"),
        ("exited", 139, [DIE], "exited", False, "abort()"),
        ("exited", 135, [DIE], "exited", False, "/dev/shm"),
        ("exited", 143, [DIE], "exited", False, "deliberate exit"),
        ("exited", 138, [DIE], "exited", False, "SIGUSR1 by convention"),
        ("exited", 127, [DIE], "exited", True, "not found"),
        ("exited", 137, [event(ENDED - 1, "oom"), DIE], "out-of-memory", True, "memory limit"),
        ("exited", 1, [event(ENDED - 1, "oom"), DIE], "unknown", False, "can't be told"),
    ],
)
def test_each_story(state: str, code: int, events: list[EngineEvent], cause: str, sure: bool, words: str) -> None:
    ending = how_it_ended(replace(DETAILS, state=state, exit_code=code), events)
    assert (ending.cause, ending.sure) == (cause, sure)
    assert words in ending.sentence
    assert ending.evidence


def test_events_of_an_earlier_run_are_not_taken_for_this_one() -> None:
    earlier = [event(STARTED - 50, "kill", signal="9"), event(STARTED - 49, "die", exitCode="137")]
    assert how_it_ended(DETAILS, [*earlier, DIE]).cause == "exited"


def test_a_remembered_stop_is_used_only_for_the_same_end() -> None:
    killed = replace(DETAILS, exit_code=137)
    assert how_it_ended(killed, [], PAST).cause == "stop-killed"
    assert how_it_ended(killed, [], replace(PAST, at=ENDED - 60)).cause == "unknown"
    assert how_it_ended(DETAILS, [], replace(PAST, verdict="graceful", phase_2_s=None)).cause == "stopped"


def test_oom_killed_by_inspect_alone() -> None:
    assert how_it_ended(replace(DETAILS, exit_code=137, oom_killed=True), []).cause == "out-of-memory"
