"""The session on a scripted engine: records, errors, vanished containers, and what it reports to the UI thread."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from queue import SimpleQueue
from typing import TypeVar

import pytest

from containerlab_probes.errors import ContainerlabError, Gone, Unreachable
from containerlab_probes.memory_records import Overview
from containerlab_probes.records import Delivery, Dispositions, HostLoad, Process, ProcessId, Usage
from containerlab_tui.config import Settings
from containerlab_tui.engine.api import Engine
from containerlab_tui.model.inventory import (
    Changed,
    Connected,
    Container,
    Details,
    Disconnected,
    EngineEvent,
    EngineRecord,
    EngineVersion,
    Event,
    Snapshot,
)
from containerlab_tui.model.product import PODMAN
from containerlab_tui.model.views import Sent
from containerlab_tui.services.own_changes import OwnChanges
from containerlab_tui.services.policy import Operation
from containerlab_tui.session.changes import (
    Change,
    ContainersChanged,
    ContainersLearned,
    EngineDescribed,
    EngineFound,
    EngineLost,
    EngineReported,
    LoadsRead,
    Notice,
    SignalsSent,
)
from containerlab_tui.session.kernel import Kernel
from containerlab_tui.session.refreshers import LoadReader, Loads
from containerlab_tui.session.session import SENT_KEPT, Session, Sources
from containerlab_tui.session.stop_effects import SETTLING_S
from containerlab_tui.session.store import Load, StopEffect
from tests.support.engine import ENDPOINT, ID, LINE, ScriptedEngine, details, event

Kind = TypeVar("Kind", bound=Change)
OTHER = "d" * 64
RUN = details(started_at=1_000.0)
INIT = Process(
    ProcessId(500, 10), 1, 0, 0.0, "S", 0, "root", "app", ("app",), threads=1, dispositions=Dispositions(),
    namespace_init=True,
)  # fmt: skip
HANDLES = replace(INIT, dispositions=Dispositions(caught=frozenset({15})))
CONNECTED = Connected(EngineVersion("20.10.24", (1, 41)), ENDPOINT, True)
WITHIN_S = 30.0


class PlayedKernel(Kernel):
    """Replaces this machine. Its load reader reads only when the test says so."""

    def __init__(self) -> None:
        self.seen: dict[str, tuple[Process, ...] | Exception] = {ID: (INIT,)}
        self.cleaned = 0
        self.fault: Exception | None = None

    def processes(self, engine: Engine, details: Details) -> tuple[tuple[Process, ...], str]:
        found = self.seen.get(details.id, ())
        if isinstance(found, Exception):
            raise found
        return found, ""

    def load_reader(self, post: Callable[[Loads], object]) -> LoadReader:
        def overviews_of(watched: Sequence[Details]) -> dict[str, Overview]:
            return {}

        self.post = post
        self.reader = LoadReader(lambda details: Usage(1.0, 9), overviews_of, lambda loads: None)
        return self.reader

    def clean_up(self) -> None:
        self.cleaned += 1
        if self.fault is not None:
            raise self.fault


class Case:
    """A session whose UI thread is the test: `until` runs what was delivered to it."""

    def __init__(self, *lines: Container, engine: ScriptedEngine | None = None, now: float = 5_000.0,
                 draw_every_s: float = 0.0) -> None:  # fmt: skip
        self.engine = engine or ScriptedEngine(inspected={ID: RUN})
        self.kernel, self.now = PlayedKernel(), now
        self.changes: list[Change] = []
        self.timers: list[tuple[float, Callable[[], object]]] = []
        self._calls: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._posts: list[Callable[[EngineRecord], object]] = []
        self.own = OwnChanges(lambda: now)
        sources = Sources(ENDPOINT, lambda: self.engine, lambda: lines, self._posts.append, changes=self.own)
        self.session = Session(sources, Settings(), lambda: self.now, self.kernel, draw_every_s=draw_every_s)

    def begin(self) -> "Case":
        """Begins as the application does."""
        self.session.begin(self._calls.put, lambda delay, call: self.timers.append((delay, call)), self.changes.append)
        return self

    def post(self, *records: EngineRecord) -> None:
        """Posts records like the reader's thread, before the UI thread has time for them."""
        for record in records:
            self._posts[0](record)

    @property
    def delivered(self) -> int:
        """How many calls wait for the UI thread."""
        return self._calls.qsize()

    def until(self, condition: Callable[[], bool]) -> None:
        """Runs what is delivered until the condition holds; raises queue.Empty if it never does."""
        while not condition():
            self._calls.get(timeout=WITHIN_S)()

    def of_kind(self, kind: type[Kind]) -> list[Kind]:
        return [one for one in self.changes if isinstance(one, kind)]


def learned(case: Case, container: str = ID) -> bool:
    return any(container in one.ids for one in case.of_kind(ContainersLearned))


# records of the engine


def test_without_a_first_list_there_is_no_session() -> None:
    def fails() -> tuple[Container, ...]:
        raise Unreachable("no engine")

    with pytest.raises(Unreachable):
        Session(Sources(ENDPOINT, ScriptedEngine, fails, lambda post: None), Settings())


def test_changes_that_follow_each_other_fast_are_reported_together() -> None:
    """The first is reported at once, the others after the time given, together."""
    case = Case(LINE, draw_every_s=60.0).begin()
    case.post(Changed(None, None, event(1_002.0, "destroy"), 1_002.0))
    case.until(lambda: bool(case.of_kind(ContainersChanged)))
    for number in (1, 2, 3):
        container = str(number) * 64
        details_, line = replace(RUN, id=container), replace(LINE, id=container)
        case.post(Changed(line, details_, event(6_003.0, "start", container), 6_003.0))
    case.until(lambda: bool(case.timers))
    assert len(case.of_kind(ContainersChanged)) == 1
    ((delay_s, fold),) = case.timers
    assert 50 < delay_s <= 60
    fold()
    assert case.of_kind(ContainersChanged)[1].ids == {"1" * 64, "2" * 64, "3" * 64}


def test_records_that_arrive_together_are_reported_together_and_events_in_order() -> None:
    case = Case(LINE).begin()
    heard: list[EngineEvent] = []
    case.session.event_listeners.append(heard.append)
    died, gone = event(2_000.0, "die", exitCode="0"), event(2_001.0, "destroy")
    case.until(lambda: learned(case))
    case.post(Event(died), Event(gone), Changed(None, None, gone, 2_001.0))
    assert case.delivered == 1
    case.until(lambda: bool(case.of_kind(EngineReported)))
    assert case.of_kind(ContainersChanged) == [ContainersChanged(frozenset((ID,)))]
    assert [one.event for one in case.of_kind(EngineReported)] == heard == [died, gone]
    assert case.session.store.containers == {}


@pytest.mark.parametrize(("local", "words"), [(True, "local"), (False, "remote")])
def test_the_engine_is_described(local: bool, words: str) -> None:
    case = Case().begin()
    case.post(replace(CONNECTED, local=local))
    case.until(lambda: bool(case.of_kind(EngineDescribed)))
    assert case.session.engine_label == f"Docker 20.10.24 · {words} · {ENDPOINT}"
    assert case.session.local is local


def test_another_product_is_named() -> None:
    case = Case().begin()
    case.post(replace(CONNECTED, version=EngineVersion("5.4.2", (1, 41), PODMAN)))
    case.until(lambda: bool(case.of_kind(EngineDescribed)))
    assert case.session.engine_label == f"Podman 5.4.2 · local · {ENDPOINT}"
    assert case.session.product is PODMAN


def test_a_restart_pressed_here_is_followed_on_podman() -> None:
    case = Case(LINE).begin()
    case.post(replace(CONNECTED, version=EngineVersion("5.4.2", (1, 41), PODMAN)), Snapshot((LINE,), 1_001.0))
    case.until(lambda: learned(case) and case.session.product is PODMAN)
    with case.own.making(Operation.RESTART, ID):
        asked = len(case.engine.asked)
        case.until(lambda: len(case.engine.asked) > asked)
    assert ("inspect", ID) in case.engine.asked[asked:]


def test_a_lost_engine_is_found_once_and_loads_pause_meanwhile() -> None:
    case = Case(LINE).begin()
    case.post(CONNECTED, Snapshot((LINE,), 1_001.0))
    case.until(lambda: bool(case.of_kind(EngineDescribed)))
    assert not case.of_kind(EngineFound), "it was never lost"
    case.post(Disconnected("It went away."))
    case.until(lambda: bool(case.of_kind(EngineLost)))
    assert case.of_kind(EngineLost) == [EngineLost("It went away.")]
    assert case.kernel.reader.paused
    case.post(CONNECTED, Snapshot((), 1_010.0), Snapshot((), 1_011.0))
    case.until(lambda: bool(case.of_kind(EngineFound)))
    assert len(case.of_kind(EngineFound)) == 1
    assert not case.kernel.reader.paused
    assert case.session.store.containers == {}, "what was removed meanwhile"


# details and effects


def delivery(case: Case) -> Delivery | None:
    found = case.session.store.effects[ID].forecast
    return found.delivery if found is not None else None


def test_running_containers_are_inspected_with_the_effect_of_their_stop_signal() -> None:
    case = Case(LINE, replace(LINE, id=OTHER, state="exited")).begin()
    case.until(lambda: learned(case))
    assert case.session.details_of(ID) == RUN
    assert delivery(case) is Delivery.DROPPED
    assert case.session.details_of(OTHER) is None, "a stopped one is inspected only when it is shown"
    assert ("inspect", OTHER) not in case.engine.asked


@pytest.mark.parametrize(
    "error", [Gone("removed"), Unreachable("no engine"), ValueError("a defect")], ids=["removed", "away", "defect"]
)
def test_a_container_that_cannot_be_read_costs_nothing_else(error: Exception) -> None:
    case = Case(LINE, replace(LINE, id=OTHER, name="other"))
    if isinstance(error, ContainerlabError):
        case.engine.inspected = {OTHER: error, ID: RUN}
    else:
        case.engine.inspected = {OTHER: details(id=OTHER), ID: RUN}
        case.kernel.seen[OTHER] = error
    case.begin()
    case.until(lambda: learned(case) and learned(case, OTHER))
    assert case.session.details_of(OTHER) is None
    assert case.session.details_of(ID) == RUN


def test_a_defect_about_many_containers_is_reported_once() -> None:
    lines = [replace(LINE, id=letter * 64, name=letter) for letter in "abc"]
    case = Case(*lines, engine=ScriptedEngine(inspected={one.id: details(id=one.id) for one in lines}))
    case.kernel.seen = {one.id: ValueError("a status file of another kernel") for one in lines}
    case.begin()
    case.until(lambda: all(learned(case, one.id) for one in lines))
    case.until(lambda: bool(case.of_kind(Notice)))
    assert case.of_kind(Notice) == [Notice("unexpected ValueError: a status file of another kernel", is_error=True)]


@pytest.mark.parametrize(
    ("run", "seen"), [(details(state="exited"), (INIT,)), (RUN, ()), (details(pid=501), (INIT,))],
    ids=["stopped", "unreadable", "PID 1 is not among them"],
)  # fmt: skip
def test_without_pid_1_there_is_no_effect(run: Details, seen: tuple[Process, ...]) -> None:
    case = Case(LINE)
    case.kernel.seen[ID] = seen
    found = case.session.effects.read(case.engine, run)
    if run.state == "exited":
        assert found is None
    else:
        assert isinstance(found, StopEffect)
        assert (found.forecast, bool(found.unread)) == (None, True)
    case.kernel.seen[ID] = (INIT,)
    read = case.session.effects.read(case.engine, RUN)
    assert read is not None
    assert (read.forecast is not None, read.unread) == (True, "")


def test_the_effect_is_read_again_until_the_program_has_settled() -> None:
    case = Case(LINE, now=1_000.5).begin()
    case.until(lambda: learned(case))
    assert [delay for delay, _ in case.timers] == [SETTLING_S[0] - 0.5]
    case.kernel.seen[ID] = (HANDLES,)
    case.now = 1_001.0
    case.timers[0][1]()
    case.until(lambda: len(case.of_kind(ContainersLearned)) == 2)
    assert delivery(case) is Delivery.HANDLER
    assert [delay for delay, _ in case.timers] == [0.5, SETTLING_S[1] - SETTLING_S[0]]


def test_a_clock_that_was_set_back_delays_no_reading() -> None:
    case = Case(LINE, now=400.0).begin()  # ten minutes before the container was started
    case.until(lambda: learned(case))
    assert [delay for delay, _ in case.timers] == [SETTLING_S[0]]


def test_a_container_that_has_settled_is_not_read_again() -> None:
    case = Case(LINE, now=1_000.0 + SETTLING_S[-1]).begin()
    case.until(lambda: learned(case))
    assert case.timers == []


def test_a_later_reading_is_left_out_if_that_run_has_ended() -> None:
    case = Case(LINE, replace(LINE, id=OTHER, name="other"), now=1_000.5)
    case.engine.inspected[OTHER] = details(id=OTHER)
    case.begin()
    case.until(lambda: learned(case) and learned(case, OTHER))
    stale = case.timers[0][1]
    gone = event(1_001.0, "destroy")
    case.post(Changed(None, None, gone, 1_001.0))
    case.until(lambda: ID not in case.session.store.containers)
    before = len(case.of_kind(ContainersLearned))
    stale()
    again = details(id=OTHER, started_at=1_002.0, pid=7)
    case.post(Changed(replace(LINE, id=OTHER), again, event(1_002.0, "start", OTHER), 1_003.0))
    case.until(lambda: len(case.of_kind(ContainersLearned)) > before)
    assert not any(ID in one.ids for one in case.of_kind(ContainersLearned)[before:])


# loads


def test_loads_are_kept_and_reported() -> None:
    case = Case(LINE).begin()
    host = HostLoad(1.0, 2, 3)
    case.kernel.post(Loads({ID: Load(5.0, 6)}, {OTHER: Overview(1, 2, 3)}, host=host))
    case.until(lambda: bool(case.of_kind(LoadsRead)))
    assert case.of_kind(LoadsRead) == [LoadsRead(frozenset((ID, OTHER)))]
    assert (case.session.store.loads[ID], case.session.store.host) == (Load(5.0, 6), host)


def test_loads_of_a_container_that_was_removed_meanwhile_are_not_kept() -> None:
    case = Case(LINE).begin()
    case.kernel.post(Loads({ID: Load(1.0, 9), OTHER: Load(2.0, 9)}, {OTHER: Overview(1, 2, 3)}))
    case.until(lambda: bool(case.of_kind(LoadsRead)))
    assert list(case.session.store.loads) == [ID]
    assert case.session.store.overviews == {}


def test_the_reason_for_missing_figures_is_reported_once() -> None:
    case = Case(LINE).begin()
    for problem in ("", "It needs root.", "", "It needs root.", "No accounting."):
        case.kernel.post(Loads(problem=problem))
    case.until(lambda: len(case.of_kind(LoadsRead)) == 5)
    assert case.of_kind(Notice) == [Notice("CPU, memory or IPC figures are missing: It needs root.")]


def test_only_inspected_containers_on_this_machine_have_loads() -> None:
    starting = "e" * 64
    case = Case(LINE, replace(LINE, id=OTHER, name="other"), replace(LINE, id=starting, name="starting"))
    case.engine.inspected |= {OTHER: Gone("removed"), starting: details(id=starting, pid=0)}
    case.begin()
    case.until(lambda: learned(case) and learned(case, OTHER) and learned(case, starting))
    case.session.watch_loads([ID, OTHER, starting])
    assert list(case.kernel.reader.read().loads) == [ID]
    case.session.watch_loads([])
    case.session.local = False
    case.session.watch_loads([ID])
    assert list(case.kernel.reader.read().loads) == []
    case.kernel.post(Loads({ID: Load(5.0, 6)}, host=HostLoad(1.0, 2, 3)))
    case.until(lambda: bool(case.of_kind(LoadsRead)))
    assert case.session.store.host is None, "the usage of this machine says nothing about another one"


# work in the background


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [(Unreachable("no engine"), "no engine"), (ValueError("a defect"), "unexpected ValueError: a defect")],
)
def test_an_error_of_background_work_becomes_a_notice(fault: Exception, sentence: str) -> None:
    case = Case()
    case.kernel.fault = fault
    case.begin()
    case.until(lambda: bool(case.changes))
    assert (case.kernel.cleaned, case.changes) == (1, [Notice(sentence, is_error=True)])


def test_work_that_waits_ends_in_one_of_two_ways() -> None:
    case, ends = Case().begin(), list[object]()

    def fails() -> str:
        raise Gone("removed")

    case.session.wait_for(lambda: "made", ends.append, ends.append)
    case.until(lambda: ends == ["made"])
    case.session.wait_for(fails, ends.append, lambda error: ends.append(str(error)))
    case.until(lambda: ends == ["made", "removed"])


# what the session keeps


def test_the_phase_of_a_stop_is_reported_when_it_changes() -> None:
    case = Case(LINE).begin()
    for phase in ("stopping", "stopping", "", ""):
        case.session.set_stop_phase(ID, phase)
    assert case.of_kind(ContainersChanged) == [ContainersChanged(frozenset((ID,)))] * 2
    assert case.session.store.stopping == {}


def sent(number: int, observed: str | None = None) -> Sent:
    return Sent(ID, "app", INIT.id, 1, "app", 15, float(number), "pidfd", None, observed)


def test_a_result_replaces_its_signal_and_the_oldest_are_dropped() -> None:
    case = Case().begin()
    case.session.add_sent([sent(1), sent(2)])
    case.session.add_sent([sent(1, "still running"), sent(3)])
    assert [(one.at, one.observed) for one in case.session.sent] == [(1, "still running"), (2, None), (3, None)]
    case.session.add_sent([sent(number) for number in range(4, SENT_KEPT + 4)])
    assert [one.at for one in case.session.sent] == [float(number) for number in range(4, SENT_KEPT + 4)]
    assert case.changes == [SignalsSent()] * 3
