"""One reading of PID 1 for all screens: shared by whoever made it, tried again if it failed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from containerlab_probes.records import Delivery, Dispositions, Process, ProcessId
from containerlab_tui.engine.api import Engine
from containerlab_tui.model.inventory import Details, Snapshot
from containerlab_tui.services.processes import NOT_RUNNING
from containerlab_tui.session.stop_effects import RETRIES_S, StopEffects, effect_of
from containerlab_tui.session.store import Inspected, Store
from tests.support.engine import ID, LINE, ScriptedEngine, as_engine, details

INIT = Process(
    ProcessId(500, 1), 1, 0, 900.0, "S", 0, "root", "app", ("app",), threads=1,
    dispositions=Dispositions(caught=frozenset({15})), namespace_init=True,
)  # fmt: skip


@dataclass
class Host:
    """Stands for the session: its details reader runs when the test says so."""

    store: Store = field(default_factory=Store)
    local: bool = True
    seen: tuple[Process, ...] = (INIT,)
    reason: str = ""
    planned: list[tuple[float, Callable[[], object]]] = field(default_factory=list)
    again: list[tuple[str, Details | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock: Callable[[], float] = lambda: 2_000.0
        self.effects = StopEffects(self)
        self.store.take(Snapshot((LINE,), 1_000.0))
        self.store.learn([details()])

    def read_processes(self, engine: Engine, details: Details) -> tuple[tuple[Process, ...], str]:
        return self.seen, self.reason

    def deliver(self, callback: Callable[[], object]) -> None:
        callback()

    def later(self, delay_s: float, callback: Callable[[], object]) -> None:
        self.planned.append((delay_s, callback))

    def read_again(self, container: str, details: Details | None) -> None:
        self.again.append((container, details))

    def take_inspected(self, found: Sequence[Inspected]) -> None:
        self.store.add_inspected(found)
        self.effects.plan(found)

    def read(self) -> None:
        """Reads as the details reader does."""
        one = self.store.details[ID]
        self.take_inspected((Inspected(ID, one, self.effects.read(as_engine(ScriptedEngine()), one)),))


def delivery(host: Host) -> Delivery | None:
    effect = host.store.effects[ID]
    return effect.forecast.delivery if effect.forecast else None


def test_what_a_screen_reads_is_what_the_list_shows() -> None:
    host = Host()
    host.read()
    assert delivery(host) is Delivery.HANDLER
    host.seen = (replace(INIT, state="T"),)
    assert host.effects.see(as_engine(ScriptedEngine()), details()) == (host.seen, "")
    assert delivery(host) is Delivery.PENDING
    assert host.store.effects[ID].is_suspended
    host.effects.share(ID, 500, (replace(INIT, dispositions=Dispositions()),))
    assert delivery(host) is Delivery.DROPPED
    assert not host.store.effects[ID].is_suspended


def test_a_reading_of_another_run_is_not_shared() -> None:
    host = Host()
    host.effects.share(ID, 499, (INIT,))
    host.effects.share(ID, 0, (INIT,))
    host.effects.share("f" * 64, 500, (INIT,))
    assert host.store.effects == {}


def test_a_failed_reading_is_unread_and_tried_again_until_it_succeeds() -> None:
    host = Host()
    host.read()
    host.seen, host.reason = (), "permission denied"
    for turn in range(6):
        host.read()
        host.read()  # another screen fails as well: that plans no second reading
        assert (delivery(host), host.store.effects[ID].unread) == (None, "permission denied")
        (waited, again) = host.planned.pop()
        assert host.planned == []
        assert waited == RETRIES_S[min(turn, len(RETRIES_S) - 1)]
        again()
        assert host.again == [(ID, details())] * (turn + 1)
    host.seen, host.reason = (INIT,), ""
    host.read()
    assert (delivery(host), host.planned) == (Delivery.HANDLER, [])


def test_an_effect_that_could_not_be_decided_is_tried_again() -> None:
    host = Host()
    unclear = Dispositions(caught=frozenset({15}), unclear=frozenset({15}), unread=("its memory could not be read",))
    host.seen = (replace(INIT, dispositions=unclear),)
    host.read()
    assert delivery(host) is Delivery.UNKNOWN
    assert [waited for waited, _ in host.planned] == [RETRIES_S[0]]


def test_a_container_that_could_not_be_inspected_is_inspected_again() -> None:
    host = Host()
    host.store = Store()
    host.store.take(Snapshot((LINE,), 1_000.0))
    host.take_inspected((Inspected(ID, unread="No response."),))
    host.planned[0][1]()
    assert host.again == [(ID, None)]


def test_nothing_is_tried_again_of_a_removed_or_remote_container() -> None:
    host = Host()
    host.seen, host.reason = (), "permission denied"
    host.read()
    host.store.take(Snapshot((), 1_001.0))
    host.planned.pop()[1]()
    assert host.again == []
    remote = Host(local=False, seen=(), reason="its processes run on another machine")
    remote.read()
    assert (remote.planned, remote.store.effects[ID].unread) == ([], remote.reason)


def test_a_container_that_is_ending_keeps_its_reading() -> None:
    assert effect_of(details(), (), NOT_RUNNING, 1.0) is None
    missing = effect_of(details(), (replace(INIT, id=ProcessId(501, 2)),), "", 1.0)
    assert missing is not None
    assert missing.unread == "PID 1 was not found among its processes"


@pytest.mark.parametrize(("age", "delay"), [(0.0, 1.0), (2.0, 1.0), (20.0, 10.0), (31.0, None)])
def test_a_young_program_is_read_again(age: float, delay: float | None) -> None:
    host = Host()
    host.store = Store()
    host.store.take(Snapshot((LINE,), 1_000.0))
    host.store.learn([details(started_at=2_000.0 - age)])
    host.read()
    assert [waited for waited, _ in host.planned] == ([] if delay is None else [delay])
    if delay is not None:
        host.planned[0][1]()
        assert [container for container, _ in host.again] == [ID]
