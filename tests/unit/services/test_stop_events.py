"""The source of a stop's engine events: its own stream, or a shared one."""

import time
from dataclasses import dataclass, field
from typing import cast

import pytest

from containerlab_probes.errors import TimedOut
from containerlab_tui.engine.api import Engine
from containerlab_tui.engine.shared_events import SharedEvents, Subscription
from containerlab_tui.model.inventory import EngineEvent
from containerlab_tui.model.stop import StopPlan, StopState, Verdict
from containerlab_tui.services.stop_monitor import StopMonitor

ID = "a" * 64


@dataclass
class Scripted:
    """An engine whose stop publishes the daemon's events; every other call fails."""

    published: SharedEvents = field(default_factory=SharedEvents)
    streams: int = 0
    local: bool = True
    looked: list[str] = field(default_factory=list)

    def inspect(self, container: str) -> None:
        if self.local:
            raise AssertionError("a local engine has no connection that is slow to open")
        self.looked.append(container)
        raise TimedOut("slow")

    def clone(self) -> "Scripted":
        return self

    def close(self) -> None:
        pass

    def events(self, since: float | None = None) -> Subscription:
        self.streams += 1
        return self.published.events(since)

    def stop(self) -> None:
        now = time.time()
        for delay, action, attributes in (
            (-0.5, "die", {"exitCode": "1"}),  # of an earlier run: the engine gives it too
            (0.001, "kill", {"signal": "15"}),
            (0.002, "die", {"exitCode": "0"}),
            (0.003, "stop", {}),
        ):
            self.published.publish(EngineEvent(now + delay, action, ID, "name", "image", attributes))


@pytest.mark.parametrize("shared", [True, False])
def test_a_stop_takes_its_events_from_the_source_it_is_given(shared: bool) -> None:
    engine = Scripted()
    plan = StopPlan(ID, "name", 15, "default", 10.0, "default", (), ())
    states: list[StopState] = []
    monitor = StopMonitor(
        cast(Engine, engine),
        plan,
        began=time.time(),
        on_change=states.append,
        events=engine.published if shared else None,
    )
    monitor.request(lambda _: engine.stop())
    final = monitor.run()
    assert engine.streams == (0 if shared else 1)
    assert final.verdict is Verdict.GRACEFUL
    assert final.exit_code == 0
    assert states[-1] == final


def test_the_time_to_open_a_connection_to_a_remote_engine_is_not_a_part_of_the_stop() -> None:
    engine = Scripted(local=False)
    plan = StopPlan(ID, "name", 15, "default", 10.0, "default", (), ())
    monitor = StopMonitor(cast(Engine, engine), plan, began=time.time(), on_change=lambda state: None)

    def ask(_: Engine) -> None:
        engine.looked.append("stop")
        engine.stop()

    monitor.request(ask)
    final = monitor.run()
    assert engine.looked == [ID, "stop"], "a failure of the first does not matter"
    assert final.verdict is Verdict.GRACEFUL
