"""The facts about containers: each belongs to one run of a container and is dropped with it."""

from dataclasses import replace

import pytest

from containerlab_probes.memory_records import Overview
from containerlab_probes.records import Delivery, Effect, Forecast, ProcessId
from containerlab_tui.model.inventory import Changed, Container, Disconnected, Event, Snapshot
from containerlab_tui.session.store import Inspected, Load, StopEffect, Store
from tests.support.engine import ID, LINE, details, event

FORECAST = Forecast(ProcessId(500, 1), 1, 15, Delivery.HANDLER, Effect.PROGRAM_DECIDES, "")


def line(name: str, state: str = "running", **changed: str) -> Container:
    return replace(LINE, id=name * 64, name=name, state=state, **changed)  # type: ignore[arg-type]


@pytest.fixture
def store() -> Store:
    """Knows everything about one running container."""
    made = Store()
    made.take(Snapshot((LINE,), 1_000.0))
    made.learn([details()])
    made.effects[ID], made.overviews[ID] = StopEffect(500, 1.0, FORECAST), Overview(1, 2, 3)
    made.loads[ID] = Load(1.0, 2)
    return made


def probed(store: Store) -> list[bool]:
    return [ID in known for known in (store.effects, store.overviews, store.loads)]


def test_results_of_probes_are_dropped_when_the_container_stops(store: Store) -> None:
    died = event(1_001.0, "die", exitCode="0")
    assert store.take(Event(died)) == {ID}
    assert probed(store) == [False] * 3


def test_results_of_probes_are_dropped_after_a_restart(store: Store) -> None:
    again = details(started_at=1_002.0, pid=600)
    assert store.take(Changed(replace(LINE, status="Up 1 second"), again, event(1_002.0, "start"), 1_003.0)) == {ID}
    assert probed(store) == [False] * 3
    assert store.details[ID].pid == 600


def test_results_of_probes_are_dropped_on_removal(store: Store) -> None:
    store.take(Changed(None, None, event(1_002.0, "destroy"), 1_003.0))
    assert probed(store) == [False] * 3
    assert ID not in store.containers


def test_a_new_name_keeps_results_of_probes(store: Store) -> None:
    renamed = replace(LINE, name="other")
    store.take(Changed(renamed, details(name="other"), event(1_002.0, "rename"), 1_003.0))
    assert store.named(ID) == "other"
    assert probed(store) == [True] * 3


def test_the_last_state_stays_while_the_engine_is_lost(store: Store) -> None:
    store.take(Disconnected("It went away."))
    assert probed(store) == [True] * 3
    assert store.inventory.stale


def test_everything_is_reread_after_the_engine_was_lost(store: Store) -> None:
    """It may have been restarted meanwhile."""
    store.take(Disconnected("It went away."))
    store.take(Snapshot((LINE,), 1_010.0))
    assert not store.inventory.stale
    assert probed(store) == [False] * 3
    assert store.details == {}


def test_details_are_added_once_and_only_if_the_list_agrees() -> None:
    store = Store()
    store.take(Snapshot((LINE,), 1_000.0))
    store.learn([details(state="exited"), details(id="f" * 64)])
    assert store.details == {}
    store.learn([details(pid=1)])
    store.learn([details(pid=2)])
    assert store.details[ID].pid == 1


DISCARDED = replace(FORECAST, delivery=Delivery.DROPPED, effect=Effect.NOTHING)


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        (StopEffect(500, 2.0, DISCARDED), True),
        (StopEffect(500, 2.0, unread="no permission"), True),
        (StopEffect(500, 0.5, DISCARDED), False),  # an older reading that took longer
        (StopEffect(499, 2.0, DISCARDED), False),  # of an earlier run
    ],
)
def test_the_newest_reading_of_this_run_counts(store: Store, found: StopEffect, kept: bool) -> None:
    before = store.effects[ID]
    assert store.add_inspected((Inspected(ID, None, found),)) == ({ID} if kept else frozenset())
    assert store.effects[ID] == (found if kept else before)


def test_a_reading_with_nothing_new_changes_no_row(store: Store) -> None:
    again = store.effects[ID]._replace(at=2.0)
    assert store.add_inspected((Inspected(ID, None, again),)) == frozenset()
    assert store.effects[ID] == again


def test_a_container_that_cannot_be_inspected_says_so_until_it_can() -> None:
    store = Store()
    store.take(Snapshot((LINE,), 1_000.0))
    assert store.add_inspected((Inspected(ID, unread="No response."), Inspected("f" * 64, unread="x"))) == {ID}
    assert store.uninspected == {ID: "No response."}
    assert store.add_inspected((Inspected(ID, details()),)) == {ID}
    assert store.uninspected == {}


def test_an_unknown_container_is_named_by_its_id() -> None:
    assert Store().named("f" * 64) == "f" * 12


PLACES = {
    "nothing is held": (None, {"b": "exited"}, ["a", "c", "b"]),
    "it has stopped": (line("b"), {"b": "exited"}, ["a", "b", "c"]),
    "it has started": (line("b", "exited"), {"c": "exited"}, ["a", "b", "c"]),
    "it has another name": (line("b"), {"b": "z"}, ["a", "z", "c"]),
    "it was removed": (line("b"), {"b": ""}, ["a", "b", "c"]),
}


@pytest.mark.parametrize(("held", "now", "names"), PLACES.values(), ids=PLACES.keys())
def test_the_held_container_keeps_its_place(held: Container | None, now: dict[str, str], names: list[str]) -> None:
    """`now` is the state of a container, its new name, or empty if it was removed; the others run."""
    store = Store()
    for name in (one for one in "abc" if now.get(one) != ""):
        word = now.get(name, "running")
        one = replace(line(name), name=word) if word == "z" else line(name, word)
        store.take(Snapshot((*store.containers.values(), one), 1.0))
    shown = store.order(True, "", held)
    assert [one.name for one in shown] == names
    assert shown[1].state == ("removed" if now.get("b") == "" else shown[1].state)


def test_a_removed_container_is_not_held_in_an_empty_list() -> None:
    store = Store()
    assert store.order(True, "", line("b")) == []
    store.take(Snapshot((line("b", "exited"),), 1.0))
    assert [one.name for one in store.order(False, "", line("b"))] == ["b"]


def test_the_held_container_is_listed_although_stopped_ones_are_hidden() -> None:
    store = Store()
    store.take(Snapshot((line("a"), line("b", "exited"), line("c", "exited")), 1.0))
    assert [one.name for one in store.order(False, "", line("b"))] == ["a", "b"]
    assert [one.name for one in store.order(False)] == ["a"]


def test_the_held_container_stays_although_the_filter_no_longer_matches() -> None:
    store = Store()
    store.take(Snapshot((line("a", status="Up 1 hour"), line("b", status="Exited (0)")), 1.0))
    assert [one.name for one in store.order(True, "up", line("b", status="Up 2 hours"))] == ["a", "b"]
    assert [one.name for one in store.order(True, "up")] == ["a"]


STATES = ("running", "paused", "restarting", "exited", "created", "dead", "removing")


def test_paused_and_restarting_containers_count_as_running() -> None:
    store = Store()
    store.take(Snapshot(tuple(line(chr(97 + n), state) for n, state in enumerate(STATES)), 1.0))
    assert store.counts() == (3, 4)


@pytest.mark.parametrize(
    ("ended", "needle", "names"),
    [
        (False, "", ["web-2", "web-10", "x"]),
        (True, "", ["web-2", "web-10", "x", "old"]),
        (True, "WEB", ["web-2", "web-10"]),
        (False, "old", []),
        (True, "exited", ["old"]),
        (True, "image:1", ["web-2", "web-10", "x", "old"]),
        (True, "no such", []),
    ],
)
def test_order_and_filter(ended: bool, needle: str, names: list[str]) -> None:
    store = Store()
    lines = (line("web-10"), line("old", "exited"), line("web-2", "paused"), line("x", "removing"))
    store.take(Snapshot(lines, 1.0))
    assert [one.name for one in store.order(ended, needle)] == names
