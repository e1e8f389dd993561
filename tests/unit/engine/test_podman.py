"""What Podman answers otherwise than Docker, from recorded documents."""

import json
from typing import Any

import pytest

from containerlab_probes.errors import Unsupported
from containerlab_tui.engine import parse
from containerlab_tui.engine.endpoint import Endpoint
from containerlab_tui.engine.podman_engine import PodmanEngine
from containerlab_tui.model.product import DOCKER, PODMAN, Product
from containerlab_tui.present.states import status_with_health
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
    assert parse.container({"Id": podman.ID, "State": "stopping"}).state == "running"
    assert parse.details({"Id": podman.ID, "State": {"Status": "stopped"}}).state == "exited"


@pytest.mark.parametrize(
    ("signal", "timeout", "sources"),
    [("15", 10, ("default", "default")), ("37", 42, ("container", "container")), (None, None, ("default", "default"))],
)
def test_a_stop_as_podman_records_it_if_nothing_was_set(
    signal: str | None, timeout: int | None, sources: tuple[str, str]
) -> None:
    document = {"Id": podman.ID, "Config": {"StopSignal": signal, "StopTimeout": timeout}}
    found = parse.details(document, PODMAN)
    assert (found.stop_signal_source, found.stop_timeout_source) == sources
    assert (found.stop_signal, found.stop_timeout_s) == (("SIGRTMIN+3", 42) if signal == "37" else ("SIGTERM", 10))
    sources_on_docker = ("container", "container") if signal else sources
    found = parse.details(document)
    assert (found.stop_signal_source, found.stop_timeout_source) == sources_on_docker


@pytest.mark.parametrize(
    ("asked", "recorded", "sent", "limit_s"),
    [(None, 10, 10, 30), (0, 10, 0, 20), (5, 10, 5, 25), (-1, 10, 2**31 - 1, None), (None, -1, 2**31 - 1, None)],
)
def test_podman_gets_a_time_in_any_case(
    monkeypatch: pytest.MonkeyPatch, asked: int | None, recorded: int, sent: int, limit_s: int | None
) -> None:
    engine = PodmanEngine(Endpoint("unix:///x.sock"), "1.41", "5.4.2", True)
    ended = {"Config": {"StopTimeout": recorded}, "State": {"Status": "running"}}
    monkeypatch.setattr(engine, "inspect_raw", lambda container: {"Id": podman.ID} | ended)
    posted: list[tuple[object, object]] = []

    def post(path: str, what: str, params: dict[str, object], timeout_s: float | None) -> object:
        posted.append((params["t"], timeout_s))
        return type("Answer", (), {"status": 204})

    monkeypatch.setattr(engine, "_post", post)
    engine.stop("x", asked)
    engine.restart("x", asked)
    assert posted == [(sent, limit_s)] * 2


def test_podman_takes_no_signal_for_a_stop() -> None:
    """Its newer versions speak API 1.44, but would ignore it."""
    engine = PodmanEngine(Endpoint("unix:///x.sock"), "1.44", "6.1.0", True)
    with pytest.raises(Unsupported, match="Podman takes no signal"):
        engine.stop("x", signal="SIGINT")


@pytest.mark.parametrize(
    ("path", "arguments", "argv"),
    [
        ("/run/podman-init", ["--", "sh", "-c", "x"], ("sh", "-c", "x")),
        ("/run/podman-init", ["sh"], ("/run/podman-init", "sh")),
        ("sh", ["--", "x"], ("sh", "--", "x")),
    ],
)
def test_the_program_of_podmans_init_is_not_the_command(path: str, arguments: list[str], argv: tuple[str, ...]) -> None:
    assert parse.details({"Id": podman.ID, "Path": path, "Args": arguments}).argv == argv


@pytest.mark.parametrize(
    ("status", "state", "health"),
    [("unhealthy", "running", "unhealthy"), ("none", "running", ""), ("", "running", ""), ("unhealthy", "exited", "")],
)
def test_health_comes_from_inspect_where_the_list_has_none(status: str, state: str, health: str) -> None:
    """The list shows it of a running container; afterwards it may explain an end."""
    found = parse.details({"Id": podman.ID, "State": {"Status": state, "Health": {"Status": status}}})
    assert found.health == status.removeprefix("none")
    for listed, shown in (("Up 3 minutes", f"Up 3 minutes ({health})"), (f"Up (x{health})", f"Up (x{health})")):
        line = parse.container({"Id": podman.ID, "State": state, "Status": listed})
        assert status_with_health(line, found) == (shown if health else listed)
        assert status_with_health(line, None) == listed


@pytest.mark.parametrize(
    "document",
    [{"Action": "health_status", "HealthStatus": "unhealthy"}, {"Action": "health_status: unhealthy"}],
)
def test_the_result_of_a_health_check(document: dict[str, Any]) -> None:
    event = parse.event(document)
    assert (event.action, event.attributes["health"]) == ("health_status", "unhealthy")
