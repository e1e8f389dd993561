"""Predicting a stop beside the stop itself: a defect costs the prediction and nothing else."""

import threading

import pytest

from containerlab_tui.model.inventory import Details
from containerlab_tui.model.stop import StopPlan
from containerlab_tui.services.stop import _begin_prediction, plan_stop
from tests.support.engine import ID, ScriptedEngine, details

PLAN = StopPlan(ID, "app", 15, "default", 10.0, "default", processes=(), forecasts=(), pid=500)


def unreadable(engine: object, of: Details) -> tuple[tuple[()], str]:
    return (), "this test has no processes"


class Defective(ScriptedEngine):
    """An engine with a defect of this program."""

    def clone(self) -> ScriptedEngine:
        raise KeyError("a defect")


def test_a_prediction_is_made_on_a_connection_that_is_closed() -> None:
    engine = ScriptedEngine(inspected={ID: details()}, past=())
    found = _begin_prediction(engine, PLAN, unreadable)()
    assert found is not None
    assert (found.container, found.signal) == ("app", "SIGTERM")
    assert (engine.clones, engine.closes) == (1, 1)


def test_a_defect_in_a_prediction_ends_neither_in_a_wait_nor_in_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: raised.append(args.exc_value))
    assert _begin_prediction(Defective(), PLAN, unreadable)() is None
    assert raised == []


@pytest.mark.parametrize(("since", "pid"), [(999.0, 0), (1_000.0, 500), (None, 500)], ids=["earlier", "this", "any"])
def test_a_plan_for_an_earlier_run_has_nothing_of_the_next(since: float | None, pid: int) -> None:
    """The container was started at 1000, after the stop that is to be followed, or before it."""
    seen: list[int] = []

    def see(engine: object, of: Details) -> tuple[tuple[()], str]:
        seen.append(of.pid)
        return (), "read"

    plan = plan_stop(ScriptedEngine(inspected={ID: details()}), ID, since=since, see=see)
    assert (plan.pid, seen, plan.unseen_reason == "read") == (pid, [pid] if pid else [], bool(pid))
