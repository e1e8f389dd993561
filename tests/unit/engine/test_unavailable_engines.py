"""What engines answer that can't run in tests, Docker 29 and Docker Desktop, from written documents."""

import json
from typing import Any

import pytest

from containerlab_tui.engine import parse, streams
from containerlab_tui.engine.api_version import NEWEST, chosen
from containerlab_tui.model.product import DOCKER

ID = "d199ca63ec728782b4a3d16d889e8ff5c7251048115c6b51d6bec4d5f06f81cb"

VERSION_29: dict[str, Any] = {
    "Platform": {"Name": "Docker Engine - Community"},
    "Version": "29.1.2",
    "ApiVersion": "1.52",
    "MinAPIVersion": "1.44",
    "Os": "linux",
    "Arch": "amd64",
    "KernelVersion": "6.12.48+deb13-amd64",
    "Components": [
        {
            "Name": "Engine",
            "Version": "29.1.2",
            "Details": {"ApiVersion": "1.52", "KernelVersion": "6.12.48+deb13-amd64", "MinAPIVersion": "1.44"},
        },
        {"Name": "containerd", "Version": "v2.2.0", "Details": {"GitCommit": "1c4457e"}},
        {"Name": "runc", "Version": "1.3.4", "Details": {"GitCommit": "v1.3.4-0-gd6d73eb8"}},
        {"Name": "docker-init", "Version": "0.19.0", "Details": {"GitCommit": "de40ad0"}},
    ],
}
DESKTOP: dict[str, Any] = {
    **VERSION_29,
    "Platform": {"Name": "Docker Desktop 4.52.0 (210994)"},
    "KernelVersion": "6.10.14-linuxkit",
}
WSL = "6.6.87.2-microsoft-standard-WSL2"


def event_of(action: str, attributes: dict[str, str], at: int) -> dict[str, Any]:
    """Returns an event as API 1.52 has it: without `status`, `id` and `from` beside the actor."""
    return {
        "Type": "container",
        "Action": action,
        "Actor": {"ID": ID, "Attributes": {"image": "web:1", "name": "web", **attributes}},
        "scope": "local",
        "time": at // 1_000_000_000,
        "timeNano": at,
    }


STOP = (
    event_of("kill", {"signal": "15"}, 1_764_140_000_100_000_000),
    event_of("die", {"execDuration": "7", "exitCode": "143"}, 1_764_140_000_300_000_000),
    event_of("stop", {}, 1_764_140_000_400_000_000),
    event_of("exec_create: ls -l", {"execID": "5"}, 1_764_140_000_500_000_000),
)


def test_events_without_the_fields_that_api_1_52_left_out() -> None:
    lines = b"".join(json.dumps(one).encode() + b"\n" for one in STOP)
    events = [parse.event(one) for one in streams.json_documents((lines[:100], lines[100:]))]
    assert [one.action for one in events] == ["kill", "die", "stop", "exec_create"]
    assert {(one.container, one.name, one.image) for one in events} == {(ID, "web", "web:1")}
    assert [one.attributes.get("signal") for one in events] == ["15", None, None, None]
    assert events[1].attributes["exitCode"] == "143"
    assert events[0].time == pytest.approx(1_764_140_000.1)


@pytest.mark.parametrize("document", STOP)
def test_the_fields_that_were_left_out_say_nothing_else(document: dict[str, Any]) -> None:
    older = {**document, "status": document["Action"], "id": ID, "from": "web:1"}
    assert parse.event(older) == parse.event(document)


def test_docker_29_is_asked_in_a_version_that_it_accepts() -> None:
    assert chosen(VERSION_29, "", "x") == NEWEST
    assert chosen(VERSION_29, "1.52", "x") == "1.52"
    assert parse.product(VERSION_29) is DOCKER


def test_a_container_of_docker_29_with_the_containerd_store() -> None:
    """API 1.52 has the storage in another field, and the networks without the fields of the default one."""
    details = parse.details(
        {
            "Id": ID,
            "Name": "/web",
            "Path": "nginx",
            "Args": ["-g", "daemon off;"],
            "State": {"Status": "running", "Running": True, "Pid": 4711, "StartedAt": "2026-11-26T06:00:00.123456789Z"},
            "Image": "sha256:0123",
            "Config": {"Image": "web:1", "Env": None, "StopSignal": "SIGQUIT"},
            "HostConfig": {"IpcMode": "private", "ShmSize": 67108864, "RestartPolicy": {"Name": "always"}},
            "Storage": {"RootFS": {"Snapshot": {"Name": "overlayfs"}}},
            "NetworkSettings": {"SandboxID": "", "Ports": {}, "Networks": {"none": {}}},
            "Mounts": [],
        }
    )
    assert (details.pid, details.stop_signal, details.image) == (4711, "SIGQUIT", "web:1")
    assert (details.upper_dir, details.lower_dir) == ("", ""), "the kernel says where the files are"


def test_a_line_of_docker_29s_list_with_health() -> None:
    line = parse.container(
        {
            "Id": ID,
            "Names": ["/web"],
            "Image": "web:1",
            "ImageManifestDescriptor": None,
            "State": "running",
            "Status": "Up 2 minutes (healthy)",
            "Health": {"Status": "healthy", "FailingStreak": 0},
            "Ports": [],
        }
    )
    assert (line.name, line.state, line.status) == ("web", "running", "Up 2 minutes (healthy)")


@pytest.mark.parametrize(
    ("document", "release", "expected"),
    [
        (VERSION_29, "6.12.48+deb13-amd64", True),
        (VERSION_29, "6.12.48+deb13-arm64", False),
        ({**VERSION_29, "KernelVersion": ""}, "", False),
        ({"Version": "17.03.1", "KernelVersion": "4.9.0"}, "4.9.0", True),
        ({"KernelVersion": "4.9.0", "Platform": None}, "4.9.0", True),
        ({}, "6.12.48+deb13-amd64", False),
        # Docker Desktop: a virtual machine on Linux and macOS; on Windows one kernel for all distributions
        (DESKTOP, "6.12.48+deb13-amd64", False),
        (DESKTOP, "6.10.14-linuxkit", False),
        (DESKTOP, "24.6.0", False),
        ({**DESKTOP, "KernelVersion": WSL}, WSL, False),
        ({**DESKTOP, "KernelVersion": WSL, "Platform": {"Name": "Docker Desktop"}}, WSL, False),
        # dockerd in a distribution of WSL itself
        ({**VERSION_29, "KernelVersion": WSL}, WSL, True),
    ],
)
def test_whether_containers_run_on_this_kernel(document: dict[str, Any], release: str, expected: bool) -> None:
    assert parse.runs_on(document, release) is expected
