"""What Podman answers otherwise than Docker, from recorded documents."""

import json
from typing import Any

import pytest

from containerlab_tui.engine import parse
from containerlab_tui.model.product import DOCKER, PODMAN, Product
from tests.support import podman


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (podman.VERSION, PODMAN),
        ({"Version": "20.10.24", "Components": [{"Name": "Engine"}, {"Name": "containerd"}]}, DOCKER),
        ({"Version": "17.03.1"}, DOCKER),
        ({"Components": None}, DOCKER),
        ({"Components": ["Podman Engine"]}, DOCKER),
    ],
)
def test_the_product_is_named_among_the_components(document: dict[str, Any], expected: Product) -> None:
    assert parse.product(document) is expected


def test_the_events_of_a_stop_name_no_signal() -> None:
    events = [parse.event(json.loads(line)) for line in (podman.START, *podman.STOPPED, podman.KILL)]
    assert [event.action for event in events] == ["start", "die", "cleanup", "kill"]
    assert all("signal" not in event.attributes for event in events)
    assert events[1].attributes["exitCode"] == "137"
    assert events[1].time == pytest.approx(1795667195.444815)
    assert {event.container for event in events} == {podman.ID}


def test_a_removal_has_the_same_action_as_dockers() -> None:
    assert parse.event(json.loads(podman.REMOVED)).action == "destroy"


@pytest.mark.parametrize(
    ("document", "version", "expected"),
    [
        ({"State": {"Status": "exited", "StoppedByUser": True}}, "5.4.2", True),
        ({"State": {"Status": "exited"}}, "5.4.2", False),
        ({"State": {"StoppedByUser": "true"}}, "4.7.0-dev", False),
        ({"State": {"Status": "exited"}}, "4.3.1", None),
        ({"State": {"Status": "exited"}}, "", None),
        ({"State": None}, "5.4.2", None),
    ],
)
def test_a_request_to_stop_is_what_podman_recorded(
    document: dict[str, Any], version: str, expected: bool | None
) -> None:
    assert parse.asked_to_stop(document, version) is expected


def test_a_container_that_is_not_cleaned_up_yet_has_exited() -> None:
    assert parse.container({"Id": podman.ID, "State": "stopped"}).state == "exited"
    assert parse.details({"Id": podman.ID, "State": {"Status": "stopped"}}).state == "exited"
