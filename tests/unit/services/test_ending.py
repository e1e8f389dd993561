"""`why` of a container that the engine no longer has."""

import pytest

from containerlab_probes.errors import Gone
from containerlab_tui.model.product import DOCKER, PODMAN, Product
from containerlab_tui.services.ending import why
from containerlab_tui.services.history import History
from tests.support.engine import ScriptedEngine, event


@pytest.mark.parametrize(("product", "keeps_none"), [(PODMAN, True), (DOCKER, False)])
def test_an_engine_that_keeps_no_events_is_named(product: Product, keeps_none: bool) -> None:
    engine = ScriptedEngine(past=(), product=product)
    with pytest.raises(Gone) as raised:
        why(engine, "app", History(None))
    assert str(raised.value).endswith("Podman keeps no events of that time.") == keeps_none


def test_events_about_others_show_that_events_are_kept() -> None:
    engine = ScriptedEngine(past=(event(1.0, "start"),), product=PODMAN)
    with pytest.raises(Gone) as raised:
        why(engine, "other", History(None))
    assert "events" not in str(raised.value)
