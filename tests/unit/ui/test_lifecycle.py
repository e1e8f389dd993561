"""What the dialog says before containers are removed."""

from dataclasses import replace

import pytest

from containerlab_tui.engine import parse
from containerlab_tui.model.product import DOCKER, PODMAN, Product
from containerlab_tui.ui.dialogs.lifecycle import losses

RUNNING = parse.container({"Id": "a", "State": "running"})
STOPPED = replace(RUNNING, state="exited")


@pytest.mark.parametrize(
    ("product", "sentence"),
    [
        (DOCKER, "It is still running and will be killed with SIGKILL; no stop signal is sent."),
        (PODMAN, "It is still running: Podman stops it first, with stop signal and grace period."),
    ],
)
def test_whether_a_removal_sends_the_stop_signal(product: Product, sentence: str) -> None:
    assert losses([RUNNING], product) == f"{sentence} Its writable layer and memory are lost; volumes are kept."
    assert losses([STOPPED], product) == "Its writable layer and memory are lost; volumes are kept."


def test_several_containers() -> None:
    assert losses([RUNNING, STOPPED], PODMAN).startswith("1 of them is still running: Podman stops it first, ")
    assert losses([RUNNING, RUNNING], PODMAN).startswith("They are still running: Podman stops them first, ")
    assert losses([RUNNING, RUNNING], DOCKER).startswith("They are still running and will be killed ")
