"""Why a container stopped, on an engine that reports neither stops nor signals."""

from dataclasses import replace

import pytest

from containerlab_tui.model.ending import explain_ending, explain_removed
from containerlab_tui.model.inventory import EngineEvent
from containerlab_tui.model.product import PODMAN
from tests.support.engine import event
from tests.unit.model.test_ending import DETAILS, DIE, ENDED, PAST, START

KILL_AT = event(ENDED - 0.1, "kill")
KILL_BEFORE = event(ENDED - 20, "kill")
KILL_LONG_AGO = event(ENDED - 90, "kill")
LATER = event(ENDED - 100, "rename")


@pytest.mark.parametrize(
    ("code", "asked", "events", "cause", "sure", "words"),
    [
        # asked to stop, as Podman has recorded itself
        (0, True, [START, DIE], "stopped", True, "It was stopped through Podman and exited on its own with 0."),
        (137, True, [START, DIE], "stop-killed", False, "most likely it did not exit within the grace period (10 s"),
        (0, True, [], "stopped", False, "stopped or killed through Podman and exited with 0; Podman keeps no events"),
        (137, True, [], "unknown", False, "Podman keeps no events of that time."),
        # a kill, whose signal isn't reported
        (137, True, [START, KILL_AT, DIE], "killed", False, "0.1 s after podman kill: most likely the signal was"),
        (137, True, [START, KILL_BEFORE, DIE], "unknown", False, "A later stop that timed out, out of memory"),
        (0, True, [START, KILL_AT, DIE], "signalled", True, "exited with 0, 0.1 s after podman kill, whose signal"),
        (0, True, [START, KILL_LONG_AGO, DIE], "signalled", False, "the two may be unrelated"),
        # nobody asked
        (0, False, [START, DIE], "exited", True, "It exited on its own with 0."),
        (137, False, [START, DIE], "unknown", False, "nobody asked Podman to stop it"),
        (143, False, [], "exited", False, "143 was chosen by the program"),
        (125, False, [], "exited", True, "Podman itself failed to run it."),
        # not known
        (0, None, [START, DIE], "exited", False, "Podman reports no stops, so whether it was stopped is unknown."),
        (0, None, [], "exited", False, "Podman keeps no events of that time, so whether it was stopped is unknown."),
        (137, None, [START, DIE], "unknown", False, "Podman reports no stops: possible causes are"),
        (137, None, [], "unknown", False, "Podman keeps no events of that time: possible causes are"),
    ],
)
def test_what_podman_has_recorded(
    code: int, asked: bool | None, events: list[EngineEvent], cause: str, sure: bool, words: str
) -> None:
    ended = replace(DETAILS, exit_code=code, asked_to_stop=asked)
    ending = explain_ending(ended, events, product=PODMAN)
    assert (ending.cause, ending.sure) == (cause, sure), ending.sentence
    assert words in ending.sentence
    texts = " ".join((ending.sentence, *ending.evidence))
    assert "Docker" not in texts
    assert "docker" not in texts
    assert ("keeps no events of that time" in ending.evidence[-1]) == (not events)


def test_a_restart_is_named_as_podmans() -> None:
    alive = replace(DETAILS, state="running", started_at=ENDED + 1)
    again = event(ENDED + 1, "start")
    assert "(podman start)" in explain_ending(alive, [START, DIE, again], product=PODMAN).sentence
    restarted = explain_ending(alive, [START, event(ENDED - 0.1, "restart"), DIE, again], product=PODMAN)
    assert "started by podman restart" in restarted.sentence
    assert restarted.before is not None
    assert (restarted.before.cause, restarted.before.sure) == ("stopped", True)
    assert "engine: podman restart was requested 0.1 s before the exit" in restarted.before.evidence


@pytest.mark.parametrize(("asked", "cause"), [(False, "out-of-memory"), (None, "out-of-memory"), (True, "unknown")])
def test_out_of_memory(asked: bool | None, cause: str) -> None:
    ended = replace(DETAILS, exit_code=137, oom_killed=True, memory_bytes=32 << 20, asked_to_stop=asked)
    ending = explain_ending(ended, [START, DIE], product=PODMAN)
    assert (ending.cause, ending.sure) == (cause, False)
    assert "its memory limit of 32 MiB" in ending.sentence
    assert "other than PID 1" not in ending.sentence


def test_a_kill_older_than_the_events_may_have_been_the_request() -> None:
    ending = explain_ending(replace(DETAILS, exit_code=0, asked_to_stop=True), [LATER, DIE], product=PODMAN)
    assert (ending.cause, ending.sure) == ("stopped", False)
    assert "stopped or killed through Podman" in ending.sentence


def test_a_watched_stop_is_known_better() -> None:
    ended = replace(DETAILS, exit_code=137, asked_to_stop=True)
    ending = explain_ending(ended, [START, DIE], [PAST], product=PODMAN)
    assert (ending.cause, ending.sure) == ("stop-killed", True)
    at_once = replace(PAST, grace_s=0, phase_1_s=0.0)
    ending = explain_ending(ended, [START, DIE], [at_once], product=PODMAN)
    assert ending.sentence == f"It was stopped without a grace period and killed after {PAST.duration_s:.1f} s."


def test_a_removed_container() -> None:
    removed = explain_removed("app", [START, DIE, event(ENDED + 5, "destroy")], [], None, PODMAN)
    assert removed is not None
    assert (removed.cause, removed.sure, removed.removed) == ("exited", False, True)
    assert "Podman reports no stops" in removed.sentence


def checked(at: float, result: str) -> EngineEvent:
    return replace(event(at, "health_status"), attributes={"health": result})


@pytest.mark.parametrize("events", [[], [KILL_AT]])
def test_a_failed_health_check_may_be_the_cause(events: list[EngineEvent]) -> None:
    ended = replace(DETAILS, exit_code=137, asked_to_stop=True)
    failed, passed = checked(ENDED - 0.5, "unhealthy"), checked(ENDED - 0.5, "healthy")
    ending = explain_ending(ended, [START, failed, *events, DIE], product=PODMAN)
    assert "Its health check had failed: with --health-on-failure, Podman itself stops or kills it." in ending.sentence
    assert "engine: its health check reported unhealthy 0.5 s before the exit" in ending.evidence
    for others in ([passed], [checked(ENDED - 1, "unhealthy"), passed], [checked(ENDED + 1, "unhealthy")]):
        assert "health" not in explain_ending(ended, [START, *others, *events, DIE], product=PODMAN).sentence
    by_inspect = explain_ending(replace(ended, health="unhealthy"), [START, passed, *events, DIE], product=PODMAN)
    assert "inspect: its last health check failed" in by_inspect.evidence
    recovered = explain_ending(replace(ended, health="healthy"), [START, failed, *events, DIE], product=PODMAN)
    assert "health" not in recovered.sentence
    unknown = replace(ended, asked_to_stop=None, health="unhealthy")
    assert "with --health-on-failure" in explain_ending(unknown, [START, *events, DIE], product=PODMAN).sentence
    alone = replace(ended, asked_to_stop=False)
    assert "health" not in explain_ending(alone, [START, failed, DIE], product=PODMAN).sentence
