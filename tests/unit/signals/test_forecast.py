"""Forecasts: each rule of the kernel, and the invariants for every process and signal."""

import dataclasses
import signal
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containerlab_probes.errors import BadRequest
from containerlab_probes.records import WITHOUT_ROOT, Delivery, Dispositions, Effect, Process, ProcessId
from containerlab_probes.signals.forecast import forecast, without_root
from containerlab_probes.signals.names import all_signals, default_action

TERM, INT, CHLD, HUP, QUIT = 15, 2, 17, 1, 3
T = frozenset({TERM})
EXIT_TRAP = frozenset({1, 2, 4, 5, 15, 31})


def process(dispositions: Dispositions | None = None, **fields: Any) -> Process:  # noqa: ANN401 (any field)
    plain = Process(
        id=ProcessId(7475, 1),
        container_pid=1,
        parent_pid=7450,
        started_at=0.0,
        state="S",
        uid=0,
        user="root",
        name="app",
        argv=("app",),
        threads=1,
        dispositions=dispositions or Dispositions(),
    )
    return dataclasses.replace(plain, **fields)


def answer(one: Process, number: int, init: bool) -> tuple[str, str]:
    made = forecast(replace(one, namespace_init=init), number)
    assert made.evidence
    assert "None" not in made.evidence
    return made.delivery.value, made.effect.value


def evidence(number: int, *, init: bool = False, **dispositions: Any) -> str:  # noqa: ANN401 (any field)
    return forecast(process(Dispositions(**dispositions), namespace_init=init), number).evidence


CASES = [
    # The disposition decides.
    (Dispositions(), TERM, True, "dropped", "nothing"),
    (Dispositions(), TERM, False, "default", "terminates"),
    (Dispositions(caught=T), TERM, True, "handler", "program-decides"),
    (Dispositions(caught=T), TERM, False, "handler", "program-decides"),
    (Dispositions(ignored=T), TERM, True, "ignored", "nothing"),
    (Dispositions(ignored=T), TERM, False, "ignored", "nothing"),
    # Default actions.
    (Dispositions(), QUIT, False, "default", "dumps-core"),
    (Dispositions(), QUIT, True, "dropped", "nothing"),
    (Dispositions(), CHLD, False, "default", "nothing"),
    (Dispositions(), CHLD, True, "dropped", "nothing"),
    (Dispositions(), signal.SIGCONT, False, "default", "continues"),
    (Dispositions(), signal.SIGCONT, True, "dropped", "nothing"),
    (Dispositions(), 37, False, "default", "terminates"),
    (Dispositions(), signal.SIGTSTP, True, "dropped", "nothing"),
    (Dispositions(), signal.SIGTSTP, False, "default", "unknown"),
    # Signals that no process can handle, block or ignore.
    (Dispositions(), signal.SIGKILL, True, "default", "terminates"),
    (Dispositions(), signal.SIGSTOP, True, "default", "stops"),
    # Blocked.
    (Dispositions(blocked=T), TERM, True, "pending", "nothing"),
    (Dispositions(blocked=T), TERM, False, "pending", "nothing"),
    (Dispositions(blocked=T, caught=T), TERM, False, "pending", "nothing"),
    (Dispositions(blocked=T, ignored=T), TERM, False, "pending", "nothing"),
    (Dispositions(blocked=T, signalfd=T), TERM, True, "signalfd", "program-decides"),
    (Dispositions(blocked=T, signalfd=T, ignored=T), TERM, True, "signalfd", "program-decides"),
    (Dispositions(signalfd=T), TERM, True, "dropped", "nothing"),
    (Dispositions(signalfd=T), TERM, False, "default", "terminates"),
    # Waited for.
    (Dispositions(sigwait=T), TERM, True, "sigwait", "program-decides"),
    (Dispositions(sigwait=T, blocked=T, signalfd=T), TERM, True, "sigwait", "program-decides"),
    (Dispositions(sigwait=T, caught=T), TERM, False, "sigwait", "program-decides"),
    (Dispositions(sigwait=T, unclear=frozenset(range(1, 65))), TERM, True, "sigwait", "program-decides"),
    # Unreadable.
    (Dispositions(unclear=T), TERM, True, "unknown", "unknown"),
    (Dispositions(unclear=T, blocked=T), TERM, True, "unknown", "unknown"),
    (Dispositions(unclear=T), INT, True, "dropped", "nothing"),
    (Dispositions(unread=("A thread was running.",)), TERM, True, "dropped", "nothing"),
    # Shells.
    (Dispositions(caught=T, foreground=(9,)), TERM, True, "deferred", "program-decides"),
    (Dispositions(caught=T, foreground=(9,), in_sigsuspend=True), TERM, True, "deferred", "program-decides"),
    (Dispositions(caught=T, in_sigsuspend=True), TERM, True, "handler", "program-decides"),
    (Dispositions(foreground=(9,)), TERM, False, "default", "terminates"),
    (Dispositions(caught=frozenset({CHLD}), foreground=(9,)), CHLD, True, "handler", "program-decides"),
    (Dispositions(caught=EXIT_TRAP, foreground=(9,)), TERM, True, "unknown", "unknown"),
    (Dispositions(caught=EXIT_TRAP), TERM, True, "handler", "program-decides"),
    (Dispositions(caught=frozenset({4, 5, 31}), foreground=(9,)), signal.SIGILL, True, "unknown", "unknown"),
]


@pytest.mark.parametrize(("dispositions", "number", "init", "delivery", "effect"), CASES)
def test_rules(dispositions: Dispositions, number: int, init: bool, delivery: str, effect: str) -> None:
    assert answer(process(dispositions), number, init) == (delivery, effect)


MAIN_BLOCKS = Dispositions(leader_blocked=frozenset({TERM, QUIT, CHLD}))


@pytest.mark.parametrize(
    ("fields", "number", "init", "delivery", "effect"),
    [
        # Only the main thread of PID 1 blocks a signal: kernels differ, except for signals that dump core.
        ({"dispositions": MAIN_BLOCKS, "threads": 2}, TERM, True, "unknown", "unknown"),
        ({"dispositions": MAIN_BLOCKS, "threads": 2, "spared_by_kernel": True}, TERM, True, "dropped", "nothing"),
        ({"dispositions": MAIN_BLOCKS, "threads": 2, "spared_by_kernel": False}, TERM, True, "default", "terminates"),
        ({"dispositions": MAIN_BLOCKS, "threads": 2, "spared_by_kernel": False}, QUIT, True, "dropped", "nothing"),
        ({"dispositions": MAIN_BLOCKS, "threads": 2, "spared_by_kernel": False}, INT, True, "dropped", "nothing"),
        ({"dispositions": MAIN_BLOCKS, "threads": 1, "spared_by_kernel": False}, TERM, True, "dropped", "nothing"),
        ({"dispositions": MAIN_BLOCKS, "threads": 2, "spared_by_kernel": True}, TERM, False, "default", "terminates"),
        (
            {"dispositions": MAIN_BLOCKS, "threads": 2, "spared_by_kernel": False, "state": "T"},
            TERM, True, "dropped", "nothing",
        ),
        (
            {"dispositions": replace(MAIN_BLOCKS, caught=T), "threads": 2, "spared_by_kernel": False},
            TERM, True, "handler", "program-decides",
        ),
        (
            {"dispositions": replace(MAIN_BLOCKS, ignored=T), "threads": 2, "spared_by_kernel": False},
            TERM, True, "ignored", "nothing",
        ),
        (
            {"dispositions": replace(MAIN_BLOCKS, blocked=T), "threads": 2, "spared_by_kernel": False},
            TERM, True, "pending", "nothing",
        ),
        ({"dispositions": MAIN_BLOCKS, "threads": 2}, QUIT, True, "dropped", "nothing"),
        ({"dispositions": MAIN_BLOCKS, "threads": 2}, CHLD, True, "dropped", "nothing"),
        ({"dispositions": MAIN_BLOCKS, "threads": 2}, INT, True, "dropped", "nothing"),
        # Job control.
        ({"orphaned_group": True}, signal.SIGTSTP, False, "default", "nothing"),
        ({"orphaned_group": False}, signal.SIGTTIN, False, "default", "stops"),
        ({"orphaned_group": True}, signal.SIGSTOP, False, "default", "stops"),
        # Suspended.
        ({"state": "T"}, TERM, False, "pending", "nothing"),
        ({"state": "T"}, TERM, True, "dropped", "nothing"),
        ({"state": "T"}, CHLD, False, "default", "nothing"),
        ({"state": "T"}, signal.SIGKILL, False, "default", "terminates"),
        ({"state": "T"}, signal.SIGCONT, False, "default", "continues"),
        ({"state": "T"}, signal.SIGCONT, True, "default", "continues"),
        ({"state": "T", "dispositions": Dispositions(ignored=T)}, TERM, False, "ignored", "nothing"),
        ({"state": "T", "dispositions": Dispositions(caught=T)}, TERM, False, "pending", "nothing"),
        ({"state": "T", "dispositions": Dispositions(sigwait=T, blocked=T)}, TERM, False, "pending", "nothing"),
        (
            {"state": "T", "dispositions": Dispositions(signalfd=T, blocked=T)},
            TERM, False, "pending", "nothing",
        ),
        (
            {"state": "T", "dispositions": Dispositions(caught=frozenset({signal.SIGCONT}))},
            signal.SIGCONT, False, "handler", "continues",
        ),
        ({"state": "t"}, TERM, True, "unknown", "unknown"),
        ({"state": "t"}, signal.SIGKILL, True, "default", "terminates"),
        # Exited.
        ({"state": "Z"}, signal.SIGKILL, False, "ignored", "nothing"),
        ({"state": "X"}, signal.SIGKILL, False, "ignored", "nothing"),
        ({"state": "Z", "threads": 2}, TERM, False, "default", "terminates"),
        # zsh handles SIGHUP also without a trap.
        (
            {"exe": "/bin/zsh", "dispositions": Dispositions(caught=frozenset({HUP, TERM}), foreground=(9,))},
            HUP, True, "unknown", "unknown",
        ),
        (
            {"exe": "/bin/zsh", "dispositions": Dispositions(caught=frozenset({HUP, TERM}), foreground=(9,))},
            TERM, True, "deferred", "program-decides",
        ),
    ],
)  # fmt: skip
def test_rules_of_states(fields: dict[str, Any], number: int, init: bool, delivery: str, effect: str) -> None:
    assert answer(process(**fields), number, init) == (delivery, effect)


def test_the_evidence_names_what_was_read() -> None:
    assert forecast(process(Dispositions(caught=T)), TERM).evidence == "handled (SigCgt of /proc/7475/status)"
    assert forecast(process(Dispositions(unclear=T, unread=("Not readable.",))), TERM).evidence == "Not readable."
    child = dataclasses.replace(process(), id=ProcessId(9, 1), name="sleep")
    made = forecast(process(Dispositions(caught=T, foreground=(9, 10))), TERM, (child,))
    assert "process 9 (sleep) and process 10" in made.evidence


@pytest.mark.parametrize(
    ("spared", "words"),
    [(True, "this kernel discards it"), (False, "this kernel then terminates PID 1"), (None, "could not be tested")],
)
def test_the_evidence_says_what_this_kernel_does(spared: bool | None, words: str) -> None:
    init = process(MAIN_BLOCKS, threads=2, namespace_init=True, spared_by_kernel=spared)
    assert words in forecast(init, TERM).evidence


def test_each_further_fact_is_added_to_the_evidence() -> None:
    longer = evidence(TERM, blocked=T, pending=T), evidence(signal.SIGCONT), evidence(CHLD, init=True)
    shorter = evidence(TERM, blocked=T), evidence(TERM), evidence(TERM, init=True).split(" (")[0]
    for more, plain in zip(longer, shorter, strict=True):
        assert more.startswith(plain)
    assert longer[0] != shorter[0]
    assert longer[1] != shorter[1]
    assert not longer[2].startswith(f"{shorter[2]} (")


@pytest.mark.parametrize("number", [0, -1, 65])
def test_no_such_signal(number: int) -> None:
    with pytest.raises(BadRequest, match=f"{number}\\."):
        forecast(process(), number)


def test_the_first_and_the_last_signal() -> None:
    assert {answer(process(), number, init=False) for number in (1, 64)} == {("default", "terminates")}


masks = st.frozensets(st.sampled_from(all_signals()), max_size=8)
dispositions = st.builds(
    Dispositions,
    caught=masks,
    ignored=masks,
    blocked=masks,
    pending=masks,
    sigwait=masks,
    signalfd=masks,
    in_sigsuspend=st.booleans(),
    foreground=st.sampled_from([(), (9,)]),
    leader_blocked=masks,
    unclear=masks,
    unread=st.sampled_from([(), ("Not readable.",)]),
)
processes = st.builds(
    process,
    dispositions,
    state=st.sampled_from("RSDTtZXI"),
    threads=st.integers(1, 3),
    namespace_init=st.booleans(),
    orphaned_group=st.sampled_from([None, False, True]),
    spared_by_kernel=st.sampled_from([None, False, True]),
)
ALIVE = {Delivery.HANDLER, Delivery.SIGWAIT, Delivery.SIGNALFD, Delivery.DEFERRED}
NOTHING = {Delivery.IGNORED, Delivery.DROPPED, Delivery.PENDING}


@given(processes, st.integers(1, 64))
def test_invariants(one: Process, number: int) -> None:
    made = forecast(one, number)
    assert (made.id, made.container_pid, made.signal) == (one.id, 1, number)
    assert made.evidence
    found = one.dispositions
    if made.delivery in ALIVE and made.effect is not Effect.CONTINUES:
        assert made.effect is Effect.PROGRAM_DECIDES
        assert number in found.caught | found.sigwait | found.signalfd
    if made.delivery in NOTHING:
        assert made.effect is Effect.NOTHING
    if made.delivery is Delivery.DROPPED:
        assert one.namespace_init
        assert number not in found.caught | found.ignored | {9, 19}
    if made.delivery is Delivery.DEFAULT:
        assert made.effect in (default_action(number), Effect.NOTHING, Effect.UNKNOWN)
    if one.namespace_init and made.effect in (Effect.TERMINATES, Effect.DUMPS_CORE):
        assert number == 9 or one.spared_by_kernel is False
    if number in (9, 19) and one.state not in "ZX":
        assert made.effect is default_action(number)


@pytest.mark.parametrize(("assumed", "unclear", "likely"), [((), (), False), (T, (), True), (T, T, False)])
def test_a_forecast_is_likely_where_only_root_sees_who_awaits_the_signal(
    assumed: Iterable[int], unclear: Iterable[int], likely: bool
) -> None:
    one = process(Dispositions(assumed=frozenset(assumed), unclear=frozenset(unclear), unread=(WITHOUT_ROOT,)))
    assert forecast(one, TERM).likely is likely
    assert without_root((one,)) == WITHOUT_ROOT


@pytest.mark.parametrize(
    ("name", "blocked", "reason"),
    [("x", T, "signalfd"), ("tini", frozenset[int](), "tini awaits"), ("x", frozenset[int](), "only some threads")],
)
def test_without_root_the_masks_say_why_a_delivery_is_unknown(name: str, blocked: frozenset[int], reason: str) -> None:
    one = process(Dispositions(unclear=T, blocked=blocked, unread=(WITHOUT_ROOT,)))
    assert reason in forecast(replace(one, name=name), TERM).evidence
