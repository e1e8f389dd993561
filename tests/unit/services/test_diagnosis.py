"""The doctor on many containers: unreadable and stopped ones."""

from dataclasses import dataclass, field
from typing import cast

import pytest

from containerlab_probes.errors import ContainerlabError, Denied, Gone, TimedOut, Unreachable
from containerlab_tui.engine.api import Engine
from containerlab_tui.model.inventory import Container, Details, EngineEvent
from containerlab_tui.model.product import DOCKER, PODMAN, Product
from containerlab_tui.services.diagnosis import doctor_all


@dataclass
class FailingEngine:
    """An engine with three running containers and one stopped; requests about `b` fail."""

    error: ContainerlabError
    asked: list[str] = field(default_factory=list)
    product: Product = DOCKER

    def past_events(self, container: str, since: float) -> tuple[EngineEvent, ...]:
        assert self.product is DOCKER, "the events of Podman name no signals"
        return ()

    def containers(self) -> list[Container]:
        states = {"a": "running", "b": "running", "c": "paused", "d": "exited"}
        return [Container(name, name, "image", state, "", "", 0.0) for name, state in states.items()]

    def inspect(self, container: str) -> Details:
        self.asked.append(container)
        raise self.error if container == "b" else Gone("It has ended.")


@pytest.mark.parametrize("error", [Unreachable("nobody there"), TimedOut("no answer in time")])
def test_an_engine_that_does_not_respond_is_asked_once(error: ContainerlabError) -> None:
    engine = FailingEngine(error)
    with pytest.raises(type(error), match=str(error)):
        doctor_all(cast(Engine, engine))
    assert engine.asked == ["a", "b"]


@pytest.mark.parametrize("product", [DOCKER, PODMAN])
def test_an_unreadable_container_is_reported_and_a_stopped_one_left_out(product: Product) -> None:
    engine = FailingEngine(Denied("not permitted"), product=product)
    assert doctor_all(cast(Engine, engine)) == ((), ("b: not permitted",))
    assert engine.asked == ["a", "b", "c"]
