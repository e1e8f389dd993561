"""The changes that this program makes, by the time of the engine's events."""

import pytest

from containerlab_probes.errors import Unreachable
from containerlab_tui.engine.api import Engine
from containerlab_tui.services.guarded_engine import GuardedEngine
from containerlab_tui.services.own_changes import KEPT, SKEW_S, OwnChanges
from containerlab_tui.services.policy import Operation, Policy
from tests.support.engine import ID, ScriptedEngine


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_a_change_lasts_from_its_request_to_the_answer() -> None:
    clock = Clock()
    changes = OwnChanges(clock)
    with changes.making(Operation.RESTART, ID):
        assert changes.at(ID, 1_010.0) is Operation.RESTART
        clock.now += 12
    assert changes.at(ID, 1_012.0 + SKEW_S) is Operation.RESTART
    assert changes.at(ID, 1_000.0 - SKEW_S) is Operation.RESTART
    assert changes.at(ID, 1_012.1 + SKEW_S) is None
    assert changes.at(ID, 999.9 - SKEW_S) is None
    assert changes.at("d" * 64, 1_005.0) is None


def test_a_failed_change_ends_and_the_newest_counts() -> None:
    clock = Clock()
    changes = OwnChanges(clock)
    with pytest.raises(Unreachable), changes.making(Operation.RESTART, ID):
        raise Unreachable("no engine")
    clock.now += 0.1
    with changes.making(Operation.REMOVE, ID):
        assert changes.at(ID, clock.now) is Operation.REMOVE
    assert changes.at(ID, 1_100.0) is None


def test_old_changes_are_forgotten() -> None:
    changes = OwnChanges(Clock())
    with changes.making(Operation.RESTART, ID):
        for number in range(KEPT):
            with changes.making(Operation.SIGNAL, f"{number:064d}"):
                pass
        assert changes.at(ID, 1_000.0) is None


def test_the_guarded_engine_notes_the_changes_that_send_signals() -> None:
    engine, changes, noted = ScriptedEngine(), OwnChanges(Clock()), list[Operation | None]()
    engine.allow("restart", "remove", "kill", "stop", then=lambda: noted.append(changes.at(ID, 1_000.0)))
    guarded: Engine = GuardedEngine(engine, Policy(), changes).clone()
    guarded.restart(ID)
    guarded.remove(ID, force=True)
    guarded.kill(ID, "SIGTERM")
    assert noted == [Operation.RESTART, Operation.REMOVE, Operation.SIGNAL]
