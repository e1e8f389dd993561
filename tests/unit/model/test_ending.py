"""Why a container stopped: each cause that the engine's records show, and those that they can't distinguish."""

from dataclasses import replace

import pytest

from containerlab_probes.records import MemoryRecord, PidsRecord
from containerlab_tui.model.ending import explain_ending, explain_removed
from containerlab_tui.model.ending_records import PastStop
from containerlab_tui.model.inventory import Details, EngineEvent
from tests.support.engine import ID, details, event

STARTED, ENDED = 1_000.0, 1_100.0

DETAILS = details(state="exited", pid=0, started_at=STARTED, finished_at=ENDED)
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
        (137, [TERM_AT, KILL_AT, DIE, STOP], "stop-killed", True, "stopped with SIGTERM, did not exit within 9.9 s"),
        (137, [TERM_AT, KILL_AT, STOP, DIE], "stop-killed", True, "did not exit within 9.9 s"),
        (0, [event(ENDED - 0.2, "kill", signal="15"), DIE, STOP], "stopped", True, "0.2 s later with 0"),
        (0, [TERM_AT, KILL_AT, DIE, STOP], "stopped", True, "just as the stop sent SIGKILL"),
        (137, [KILL_AT, DIE, STOP], "stop-killed", True, "its stop signal is SIGKILL"),
        (137, [TERM_AT, DIE, STOP], "stopped", False, "is unknown"),
        # signals through the engine without a stop
        (137, [KILL_AT, DIE], "killed", True, "SIGKILL through Docker"),
        (137, [HUP_LONG_AGO, KILL_AT, DIE], "killed", True, "SIGKILL through Docker"),
        (137, [TERM_AT, KILL_AT, DIE], "killed", True, "not by a stop"),
        (0, [TERM_AT, DIE], "signalled", True, "10.0 s after docker kill sent SIGTERM."),
        (3, [HUP_LONG_AGO, DIE], "signalled", False, "90.0 s after docker kill sent SIGHUP; the two may be"),
        (137, [HUP_LONG_AGO, DIE], "unknown", False, "is unknown"),
        # nothing through the engine
        (137, [DIE], "unknown", False, "is unknown"),
        (0, [DIE], "exited", True, "on its own with 0"),
        (139, [DIE], "exited", False, "is unknown"),
        (135, [DIE], "exited", False, "/dev/shm"),
        (143, [DIE], "exited", False, "chosen by the program"),
        (138, [DIE], "exited", False, "by convention SIGUSR1"),
        (127, [DIE], "exited", True, "not found"),
        (255, [DIE], "exited", False, "on its own with 255"),
        # out of memory
        (137, [event(ENDED - 1, "oom"), DIE], "out-of-memory", True, "memory limit"),
        (137, [event(ENDED - 30, "oom"), DIE], "unknown", False, "30.0 s before the exit; PID 1 kept running"),
        (137, [TERM_AT, event(ENDED - 0.1, "oom"), DIE, STOP], "out-of-memory", True, "memory limit"),
        (
            137,
            [event(ENDED - 30, "oom"), TERM_AT, KILL_AT, DIE, STOP],
            "stop-killed",
            True,
            "other than PID 1 was killed",
        ),
        (1, [event(ENDED - 1, "oom"), DIE], "exited", False, "Whether PID 1 exited because of that is unknown"),
        (
            0,
            [event(ENDED - 30, "oom"), TERM_AT, DIE, STOP],
            "stopped",
            True,
            "other than PID 1 was killed (out of memory)",
        ),
    ],
)
def test_each_cause(code: int, events: list[EngineEvent], cause: str, sure: bool, words: str) -> None:
    ending = explain_ending(replace(DETAILS, exit_code=code), [START, *events])
    assert (ending.cause, ending.sure) == (cause, sure), ending.sentence
    assert words in ending.sentence
    assert ending.evidence
    assert (ending.exit_code, ending.finished_at) == (code, ENDED)


@pytest.mark.parametrize("code", [0, 137])
def test_events_that_the_engine_no_longer_has_are_not_assumed(code: int) -> None:
    ended = replace(DETAILS, exit_code=code)
    ending = explain_ending(ended, [])
    assert (ending.cause, ending.sure) == ("exited" if code == 0 else "unknown", False)
    assert "no longer has the events" in ending.evidence[-1]
    assert "no longer has the events" in explain_ending(ended, [DIE], known_since=ENDED - 5).evidence[-1]
    assert "in the 300 s before the exit" in explain_ending(ended, [DIE], known_since=ENDED - 300).evidence[-1]


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ({"init": True}, 143, "init (--init), which exits with 143 after SIGTERM terminated its child"),
        ({"pid_mode": "host"}, 143, "SIGTERM may have terminated it"),
        ({"pid_mode": "container:x"}, 139, "SIGSEGV may have terminated it"),
    ],
)
def test_exit_codes_with_another_pid_1(more: dict[str, bool | str], code: int, words: str) -> None:
    assert words in explain_ending(replace(DETAILS, exit_code=code, **more), [START, DIE]).sentence  # type: ignore[arg-type]


def test_a_container_that_never_ran() -> None:
    created = replace(DETAILS, state="created", finished_at=None)
    assert explain_ending(created, []).sentence == "app was never started."
    ending = explain_ending(replace(created, error="no such file", exit_code=127), [])
    assert (ending.cause, "no such file" in ending.sentence, "not found" in ending.sentence) == (
        "never-started",
        True,
        True,
    )


def test_events_of_an_earlier_run_are_ignored() -> None:
    earlier = [event(STARTED - 50, "kill", signal="9"), event(STARTED - 0.1, "die", exitCode="137")]
    assert explain_ending(DETAILS, [*earlier, START, DIE]).cause == "exited"


def test_a_recorded_stop_is_used_only_for_the_same_exit() -> None:
    killed = replace(DETAILS, exit_code=137)
    assert explain_ending(killed, [], [PAST]).cause == "stop-killed"
    assert explain_ending(killed, [], [replace(PAST, at=ENDED - 60), PAST]).cause == "stop-killed"
    assert explain_ending(killed, [], [replace(PAST, at=ENDED - 60)]).cause == "unknown"
    assert (
        explain_ending(DETAILS, [], [replace(PAST, verdict="graceful", exit_code=0, phase_2_s=None)]).cause == "stopped"
    )


@pytest.mark.parametrize(
    ("past", "cause", "words"),
    [
        (PAST, "stop-killed", "did not exit within 10 s"),
        (replace(PAST, phase_1_s=1.0), "stop-killed", "did not exit within 1.0 s"),  # `docker stop -t 1` elsewhere
        (replace(PAST, phase_1_s=0.0), "killed", "SIGKILL through Docker"),
        (replace(PAST, verdict="restarted"), "stop-killed", "did not exit within 10 s"),
        (replace(PAST, phase_2_s=None), "unknown", "Docker sent no SIGKILL"),
        (replace(PAST, phase_2_s=None, sender="bash [4242]"), "killed", "killed by bash [4242]"),
        (replace(PAST, phase_2_s=None, out_of_memory=True), "out-of-memory", "memory limit"),
        (replace(PAST, out_of_memory=True), "stop-killed", "did not exit within 10 s"),  # a child, in the grace period
        (
            replace(PAST, signal="SIGKILL", phase_1_s=0.0),
            "killed",
            "A stop, docker kill and docker rm -f look the same",
        ),
        (
            replace(PAST, verdict="graceful"),
            "stopped",
            "exited on its own after 10.1 s with 137",
        ),  # an exit code, not a signal
    ],
)
def test_each_recorded_stop(past: PastStop, cause: str, words: str) -> None:
    ending = explain_ending(replace(DETAILS, exit_code=137), [], [past])
    assert ending.cause == cause
    assert words in ending.sentence


def test_oom_killed_by_inspect_alone() -> None:
    ending = explain_ending(replace(DETAILS, exit_code=137, oom_killed=True, memory_bytes=32 << 20), [])
    assert (ending.cause, ending.sure) == ("out-of-memory", False)
    assert "32 MiB" in ending.sentence
    assert any("memory.events" in one for one in ending.evidence)


@pytest.mark.parametrize("limit", [0, 32 << 20])
def test_a_memory_limit_whose_kill_was_not_reported(limit: int) -> None:
    """Docker 28 reports five of six."""
    ending = explain_ending(replace(DETAILS, exit_code=137, memory_bytes=limit), [])
    assert (ending.cause, ending.sure) == ("unknown", False)
    named = [one for one in ending.evidence if one.startswith("inspect: memory limit 32 MiB;")]
    assert len(named) == (limit > 0)


RUNNING = replace(DETAILS, state="running", started_at=ENDED + 5)
AGAIN = event(ENDED + 5, "start")


@pytest.mark.parametrize(
    ("details", "events", "words", "before"),
    [
        (RUNNING, [], "is running.", None),
        (RUNNING, [START, TERM_AT, KILL_AT, DIE, STOP, AGAIN], "started manually", "stopped"),
        (RUNNING, [START, KILL_AT, event(ENDED, "die", exitCode="137"), AGAIN], "started manually", "killed"),
        (RUNNING, [START, DIE, AGAIN, event(ENDED + 5.1, "restart")], "started by docker restart", "exited"),
        (
            replace(RUNNING, restart_count=3, restart_policy="always"),
            [START, DIE, AGAIN],
            "restarted it 3 times",
            "exited",
        ),
        (
            replace(DETAILS, state="restarting", restart_count=1, exit_code=3),
            [START, DIE],
            "restarted it once",
            "exited",
        ),
    ],
)
def test_why_a_container_runs(details: Details, events: list[EngineEvent], words: str, before: str | None) -> None:
    ending = explain_ending(details, events)
    assert ending.cause == "running"
    assert words in ending.sentence
    assert (ending.before and ending.before.cause) == before
    assert (ending.exit_code, ending.finished_at) == (None, None)


def test_a_child_killed_out_of_memory_in_a_running_container() -> None:
    ending = explain_ending(RUNNING, [], memory=MemoryRecord(1, 252, "memory.events"))
    assert "1 process was killed in this run (out of memory); PID 1 kept running." in ending.sentence
    assert "memory.events" in ending.evidence[-1]
    assert "memory" not in explain_ending(RUNNING, [], memory=MemoryRecord(0, 0, "memory.events")).sentence


@pytest.mark.parametrize(
    ("memory", "evidence"),
    [
        (
            MemoryRecord(1, 252, "memory.events", 32 << 20),
            "1 killed (out of memory), limit of 32 MiB reached 252 times",
        ),
        (MemoryRecord(0, 3, "memory.events"), "0 killed (out of memory), limit reached 3 times (memory.events)"),
    ],
)
def test_the_memory_limit_is_named_where_one_is_known(memory: MemoryRecord, evidence: str) -> None:
    assert f"cgroup: {evidence}" in explain_ending(RUNNING, [], memory=memory).evidence[-1]


@pytest.mark.parametrize(
    ("pids", "words", "evidence"),
    [
        (PidsRecord(1, 20), "were refused once in this run", "was refused once at the limit of 20 (pids.events)"),
        (PidsRecord(7, None), "were refused 7 times in this run", "was refused 7 times at the limit (pids.events)"),
    ],
)
def test_processes_that_the_limit_of_their_number_refused(pids: PidsRecord, words: str, evidence: str) -> None:
    ending = explain_ending(RUNNING, [], pids=pids)
    assert words in ending.sentence
    assert evidence in ending.evidence[-1]
    spared = explain_ending(RUNNING, [], pids=PidsRecord(0, 20))
    assert "refused" not in spared.sentence + spared.evidence[-1]


def test_a_removed_container_is_explained_from_events_or_records() -> None:
    died, gone = event(ENDED, "die", exitCode="137"), event(ENDED + 0.1, "destroy")
    ending = explain_removed("app", [START, KILL_AT, died, gone], [], STARTED)
    assert ending is not None
    assert (ending.cause, ending.removed, ending.exit_code) == ("killed", True, 137)
    assert "docker rm -f" in ending.sentence
    recorded = explain_removed("app", [gone], [PAST], STARTED)
    assert recorded is not None
    assert (recorded.cause, recorded.removed, recorded.finished_at) == ("stop-killed", True, ENDED)
    assert explain_removed("app", [gone], [], STARTED) is None


def test_a_manual_start_is_reported_only_if_it_was_seen() -> None:
    alive = replace(DETAILS, state="running", restart_policy="always", started_at=ENDED + 5)
    again = event(ENDED + 5, "start")
    assert "started manually" in explain_ending(alive, [START, DIE, again], [PAST]).sentence
    for events in ([], [again]):  # the engine itself begins it, when it starts, and has no events from before
        ending = explain_ending(alive, events, [PAST])
        assert "started manually" not in ending.sentence
        assert ending.before is not None
