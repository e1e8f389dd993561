"""What is different on Podman: stops whose signals only the kernel reports, and what Podman records itself."""

from typing import Any

import pytest

from containerlab_probes.trace.tracer import Tracer
from tests.engine.commands_support import Command
from tests.engine.marks import only_podman
from tests.support.docker import Containers

pytestmark = only_podman


def signals(document: dict[str, Any]) -> list[tuple[str, str, int | None]]:
    """Returns the source, name and target of each signal of a stop."""
    return [
        (event["source"], event["signal"], event["container_pid"])
        for event in document["events"]
        if event["kind"] == "signal"
    ]


@pytest.fixture(autouse=True)
def trace() -> None:
    reason = Tracer().available()
    assert not reason, f"these tests need the kernel trace: {reason}"


def test_both_phases_are_the_kernels(container: Containers, command: Command) -> None:
    name = container("dockerapp2", ready="pid = 1")
    answer = command("stop", name, "--timeout", "1", "--json")
    document = answer.document
    assert (answer.status, document["verdict"], document["exit_code"]) == (1, "killed", 137)
    assert signals(document) == [("kernel", "SIGTERM", 1), ("kernel", "SIGKILL", 1)]
    senders = [event["detail"] for event in document["events"] if event["kind"] == "signal"]
    assert all("from runc [" in one for one in senders), senders
    assert document["phase_2"]["started"] == document["phase_1"]["ended"]


def test_an_exit_in_phase_1(container: Containers, command: Command) -> None:
    name = container("dockerapp1", ready="pid = 1")
    answer = command("stop", name, "--json")
    document = answer.document
    assert (answer.status, document["verdict"], document["phase_2"]) == (0, "graceful", None)
    assert document["phase_1"]["ended"] is not None
    assert signals(document) == [("kernel", "SIGTERM", 1)]


def test_without_a_grace_period_only_sigkill_is_sent(container: Containers, command: Command) -> None:
    name = container("dockerapp1", ready="pid = 1")
    answer = command("stop", name, "--timeout", "0")
    assert answer.status == 1
    assert "SIGTERM to PID 1" not in answer.out
    assert "without a grace period Podman sends only SIGKILL." in answer.out
    assert "Docker" not in answer.out


def test_another_signal_is_sent_by_a_kill_of_which_podman_names_no_signal(
    container: Containers, command: Command
) -> None:
    name = container("dockerapp2", ready="pid = 1")
    answer = command("stop", name, "--signal", "SIGINT", "--timeout", "1", "--json")
    document = answer.document
    assert (answer.status, document["verdict"], document["signal"]) == (1, "killed", "SIGINT")
    assert ("kernel", "SIGINT", 1) in signals(document)
    assert [one for one in signals(document) if one[0] == "engine"] == [("engine", None, 1)]
