"""Events in any order give the same result as a fresh snapshot; exit codes in words."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containerlab_tui.model.inventory import (
    REMOVED_KEPT,
    Changed,
    Connected,
    Container,
    Details,
    Disconnected,
    EngineEvent,
    EngineVersion,
    Event,
    Inventory,
    Snapshot,
    fold,
    ordered,
)
from containerlab_tui.present.states import status_words

ID = "a" * 64
OTHER = "b" * 64


def line(state: str = "running", name: str = "app", id: str = ID, status: str = "Up 3 minutes") -> Container:
    return Container(id, name, "image", state, status, "sleep", 100.0)


def details(state: str = "running", **more: object) -> Details:
    base = Details(
        ID, "app", "image", state, 7, 0, False, 900.0, None, ("sleep",), False, "SIGTERM", "default", 10, "default",
        "no", "private", "", False, 0, "",
    )  # fmt: skip
    return replace(base, **more)  # type: ignore[arg-type]


def event(action: str, at: float, id: str = ID, name: str = "app", **attributes: str) -> EngineEvent:
    return EngineEvent(at, action, id, name, "image", attributes)


def after(*records: Snapshot | Event | Changed | Disconnected | Connected, start: Inventory | None = None) -> Inventory:
    inventory = start or Inventory()
    for record in records:
        inventory, _ = fold(inventory, record)
    return inventory


def running() -> Inventory:
    start = after(Snapshot((line(), line(id=OTHER, name="other")), at=1000.0))
    return replace(start, details={ID: details()})


#: What may follow in which state, and the state it leads to.
STEPS = {
    "created": {"start": "running", "rename": "created", "destroy": "gone"},
    "running": {"pause": "paused", "die": "exited", "rename": "running", "exec_create": "running", "kill": "running"},
    "paused": {"unpause": "running", "die": "exited", "rename": "paused"},
    "exited": {"start": "running", "restart": "exited", "stop": "exited", "rename": "exited", "destroy": "gone"},
}


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[EngineEvent], str, str]:
    """A container's life from its snapshot on, in order; the state and the name in which it ends."""
    state, name, at, events = "running", "app", 1000.0, list[EngineEvent]()
    for _ in range(draw(st.integers(1, 12))):
        action = draw(st.sampled_from(sorted(STEPS[state].keys() - {"restart"})))
        at += draw(st.floats(0.001, 100))
        if action == "rename":
            name = draw(st.sampled_from(["app", "web", "db"]))
        state = STEPS[state][action]
        events.append(event(action, at, name=name, exitCode="137"))
        if state == "gone":
            break
    return events, state, name


@given(histories(), st.randoms(use_true_random=False))
def test_events_in_any_order_give_the_same_as_a_snapshot(
    history: tuple[list[EngineEvent], str, str], random: Random
) -> None:
    events, state, name = history
    shuffled = list(events)
    random.shuffle(shuffled)
    inventory = after(*(Event(one) for one in shuffled), start=running())
    expected = {OTHER: line(id=OTHER, name="other")}
    if state != "gone":
        expected[ID] = line(state, name)
    assert dict(inventory.containers) == expected
    if state != "gone":
        assert (inventory.details[ID].state, inventory.details[ID].name) == (state, name)


@given(histories(), st.randoms(use_true_random=False), st.data())
def test_an_answer_in_between_changes_nothing(
    history: tuple[list[EngineEvent], str, str], random: Random, data: st.DataObject
) -> None:
    """A row that was requested after an event and arrives between later ones."""
    events, state, name = history
    upto = data.draw(st.integers(0, len(events) - 1))
    then_state, then_name = "running", "app"
    for one in events[: upto + 1]:
        then_state = STEPS[then_state][one.action]
        then_name = one.name
    at = events[upto].time + 0.0001
    answer = Changed(None if then_state == "gone" else line(then_state, then_name), None, events[upto], at)
    shuffled: list[Event | Changed] = [*map(Event, events), answer]
    random.shuffle(shuffled)
    inventory = after(*shuffled, start=running())
    found = inventory.containers.get(ID)
    assert (found and (found.state, found.name)) == (None if state == "gone" else (state, name))


def test_a_snapshot_reports_changed_containers() -> None:
    start = running()
    inventory, changed = fold(start, Snapshot((line("exited"), line(id="c" * 64, name="new")), at=1001.0))
    assert changed == {ID, OTHER, "c" * 64}
    assert set(inventory.containers) == {ID, "c" * 64}
    assert not inventory.details, "those of another state are no longer true"
    assert fold(inventory, Snapshot(tuple(inventory.containers.values()), at=1002.0))[1] == frozenset()


def test_a_lost_engine_keeps_the_last_state_until_the_next_snapshot() -> None:
    inventory, changed = fold(running(), Disconnected("It went away."))
    assert inventory.stale
    assert changed == {ID, OTHER}
    assert set(inventory.containers) == {ID, OTHER}
    again, changed = fold(inventory, Snapshot((line(), line(id=OTHER, name="other")), at=2000.0))
    assert not again.stale
    assert changed == {ID, OTHER}, "their grey has to go"
    assert not again.details, "an engine that was unreachable may have restarted it"


def test_events_before_the_snapshot_change_nothing() -> None:
    inventory, changed = fold(running(), Event(event("die", 999.9)))
    assert not changed
    assert inventory.containers[ID].state == "running"
    assert not fold(running(), Event(event("die", 999.9, id="d" * 64)))[1], "already removed"


def test_an_unknown_container_appears_and_is_completed() -> None:
    new = "d" * 64
    inventory, changed = fold(running(), Event(event("create", 1001.0, id=new, name="new")))
    assert changed == {new}
    assert inventory.containers[new].state == "created"
    full = line("created", "new", new, "Created")
    inventory, changed = fold(inventory, Changed(full, None, event("create", 1001.0, id=new), 1001.1))
    assert changed == {new}
    assert inventory.containers[new] == full
    assert fold(inventory, Changed(full, None, event("create", 1001.0, id=new), 1001.2))[1] == frozenset()


def test_a_removed_container_does_not_come_back() -> None:
    inventory = after(Event(event("destroy", 1002.0)), Event(event("start", 1001.0)), start=running())
    late = Changed(line(), details(), event("start", 1001.0), 1001.5)
    assert ID not in after(late, start=inventory).containers


def test_the_exit_is_known_from_the_event_alone() -> None:
    inventory = after(Event(event("die", 1300.0, exitCode="137")), start=running())
    assert status_words(inventory.containers[ID], inventory.details[ID], 1600.0) == "killed (SIGKILL, 137) 5 min ago"


def test_running_containers_come_first() -> None:
    lines = (
        line("exited", "a", "1"),
        line("paused", "web-10", "2"),
        line("running", "web-9", "3"),
        line("restarting", "Web-2", "4"),
    )
    assert [one.id for one in ordered(lines)] == ["4", "3", "2", "1"]


def test_connected_changes_nothing() -> None:
    version = EngineVersion("20.10", (1, 41))
    assert fold(running(), Connected(version, "unix:///s", True)) == (running(), frozenset())


@pytest.mark.parametrize(
    ("state", "status", "known", "words"),
    [
        ("running", "Up 3 minutes", {"started_at": 820.0}, "up 3 min"),
        ("running", "Up 3 minutes", None, "up"),
        ("paused", "Up 3 minutes (Paused)", {"started_at": 990.0}, "paused, up <1 min"),
        ("running", "Up 59 seconds", {"started_at": 941.0}, "up <1 min"),
        ("created", "Created", None, "created, never started"),
        ("exited", "Exited (0) 5 minutes ago", {"finished_at": 700.0}, "exited (0) 5 min ago"),
        ("exited", "Exited (137) 5 minutes ago", {"finished_at": 700.0, "exit_code": 137},
         "killed (SIGKILL, 137) 5 min ago"),
        ("exited", "Exited (0) 1 second ago", {"finished_at": 999.0}, "exited (0) <1 min ago"),
        ("exited", "Exited (0) 59 seconds ago", {"finished_at": 941.0}, "exited (0) <1 min ago"),
        ("exited", "Exited (0) 1 minute ago", {"finished_at": 940.0}, "exited (0) 1 min ago"),
        ("exited", "Exited (0) 1 minute ago", {"finished_at": 881.0}, "exited (0) 1 min ago"),
        ("exited", "Exited (137) 5 minutes ago", None, "killed (SIGKILL, 137)"),
        ("exited", "", {"exit_code": 137, "oom_killed": True}, "killed (137), out of memory"),
        ("exited", "", {"exit_code": 0, "oom_killed": True}, "exited (0)"),
        ("exited", "", {"exit_code": 1, "finished_at": -200_000.0}, "exited (1) 2 d ago"),
        ("exited", "", {"exit_code": 139}, "crashed (SIGSEGV, 139)"),
        ("exited", "", {"exit_code": 135}, "crashed (SIGBUS, 135)"),
        ("exited", "", {"exit_code": 143}, "exited (143): chose SIGTERM's code"),
        ("exited", "", {"exit_code": 143, "pid_mode": "host"}, "exited (143): SIGTERM's code"),
        ("exited", "", {"exit_code": 127}, "exited (127)"),
        ("dead", "Dead", None, "stopped"),
        ("restarting", "Restarting (1) 2 seconds ago", None, "restarting"),
    ],
)  # fmt: skip
def test_status_words(state: str, status: str, known: dict[str, object] | None, words: str) -> None:
    found = None if known is None else details(state, **known)
    assert status_words(line(state, status=status), found, 1000.0) == words


def test_a_container_that_is_being_removed_keeps_its_place() -> None:
    states = {"a": "removing", "b": "exited", "c": "running"}
    containers = [Container(name, name, "image", state, "", "sleep", 100.0) for name, state in states.items()]
    assert [one.name for one in ordered(containers)] == ["a", "c", "b"]


def test_the_ids_of_removed_containers_are_kept_for_a_while_only() -> None:
    """A late record doesn't bring a removed container back, and thousands of them cost no memory."""
    inventory = running()
    for number in range(3 * REMOVED_KEPT):
        id, at = f"{number:064x}", 2000.0 + number
        inventory = after(Event(event("create", at, id)), Event(event("destroy", at + 0.5, id)), start=inventory)
    assert len(inventory.moments) <= 2 * REMOVED_KEPT
    assert inventory.containers.keys() == {ID, OTHER}
    late = Event(event("die", 1e9, f"{3 * REMOVED_KEPT - 1:064x}"))
    assert after(late, start=inventory).containers.keys() == {ID, OTHER}
