"""One stream of events for many: replayed and live, none lost or doubled between the two."""

import threading

from containerlab_tui.engine import shared_events
from containerlab_tui.engine.shared_events import SharedEvents
from containerlab_tui.model.inventory import EngineEvent


def event(at: float, action: str = "die") -> EngineEvent:
    return EngineEvent(at, action, "a", "name", "image")


def test_earlier_events_are_replayed_from_the_moment_asked_for() -> None:
    shared = SharedEvents()
    for at in (1.0, 2.0, 3.0):
        shared.publish(event(at))
    late, from_now = shared.events(since=2.0), shared.events()
    shared.publish(event(4.0))
    shared.close()
    assert [one.time for one in late] == [2.0, 3.0, 4.0]
    assert [one.time for one in from_now] == [4.0]


def test_every_subscriber_gets_each_event_once_whenever_it_comes() -> None:
    shared = SharedEvents()
    total, subscribers = 500, 8
    seen: list[list[float]] = [[] for _ in range(subscribers)]
    publishing = threading.Event()

    def follow(number: int) -> None:
        publishing.wait(10)
        seen[number] += [one.time for one in shared.events(since=0.0)]

    threads = [threading.Thread(target=follow, args=(number,)) for number in range(subscribers)]
    for thread in threads:
        thread.start()
    for at in range(total):
        shared.publish(event(float(at)))
        if at == total // 2:
            publishing.set()
    shared.close()
    for thread in threads:
        thread.join(10)
    assert seen == [[float(at) for at in range(total)]] * subscribers


def test_a_closed_subscription_gets_no_more_events() -> None:
    shared = SharedEvents()
    leaving, staying = shared.events(), shared.events()
    leaving.close()
    shared.publish(event(1.0))
    shared.close()
    assert list(leaving) == []
    assert [one.time for one in staying] == [1.0]


def test_a_closed_source_still_replays_and_then_ends() -> None:
    shared = SharedEvents()
    shared.publish(event(1.0))
    shared.close()
    assert [one.time for one in shared.events(since=0.0)] == [1.0]


def test_kept_events_are_limited() -> None:
    shared = SharedEvents()
    for at in range(shared_events.REPLAYED + 5):
        shared.publish(event(float(at)))
    shared.close()
    assert next(iter(shared.events(since=0.0))).time == 5.0


def test_events_from_before_a_clock_was_set_back_are_not_replayed_as_new() -> None:
    shared = SharedEvents()
    for at in (5000.0, 5001.0, 1400.0, 1399.5):
        shared.publish(event(at))
    shared.close()
    assert [one.time for one in shared.events(since=1399.0)] == [1400.0, 1399.5]
