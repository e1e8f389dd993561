"""What is different on Podman: stops whose signals only the kernel reports, and what Podman records itself."""

import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from containerlab_probes.trace.tracer import Tracer
from containerlab_tui.engine.api import RunRequest
from containerlab_tui.engine.docker_engine import DockerEngine
from containerlab_tui.engine.lab_client import REGISTRY
from tests.engine.commands_support import Command
from tests.engine.marks import needs_cgroups, only_podman, records_requests, shares_pids
from tests.engine.test_why import ENDS, SMALL, STAYS, python, shell
from tests.engines import matrix, shared
from tests.engines.podman import Podman
from tests.support.docker import Containers, Docker, eventually
from tests.support.kernel import send
from tests.support.screens import OpenUi

BASE = "containerlab/base:latest"
pytestmark = only_podman
no_recorded_requests = pytest.mark.not_on("podman-5", reason="Podman shows from 4.7 whether a request was recorded")


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


def test_podman_is_named(docker: Docker, command: Command, open_ui: OpenUi) -> None:
    version = docker("version", "--format", "{{.Server.Version}}")
    engine = command.asks("ps")["engine"]
    assert (engine["product"], engine["version"]) == ("Podman", version)
    screen = open_ui(160, 50)
    screen.shows(f"Podman {version} · local")


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
    assert {event["signal"] for event in document["events"] if event["source"] == "engine"} == {None}


@pytest.mark.parametrize(
    ("program", "act", "cause", "sure", "words"),
    [
        pytest.param(
            *(STAYS, ("stop", "-t", "1"), "stop-killed", False, "most likely it did not exit within the grace period"),
            marks=records_requests,
        ),
        pytest.param(
            *(ENDS, ("stop",), "stopped", True, "It was stopped through Podman and exited on its own with 5."),
            marks=records_requests,
        ),
        (ENDS, ("kill", "-s", "TERM"), "signalled", True, "after podman kill, whose signal is not reported."),
        (STAYS, ("kill",), "killed", False, "s after podman kill: most likely the signal was SIGKILL."),
        pytest.param(
            *(shell("echo ready; exit 3"), (), "exited", True, "It exited on its own with 3."), marks=records_requests
        ),
        pytest.param(
            *(shell("echo ready; exit 137"), (), "unknown", False, "nobody asked Podman to stop it"),
            marks=records_requests,
        ),
        pytest.param(
            *(STAYS, ("stop", "-t", "1"), "unknown", False, "Podman reports no stops: possible causes are a stop"),
            marks=no_recorded_requests,
        ),
        pytest.param(
            *(ENDS, ("stop",), "exited", False, "Podman reports no stops, so whether it was stopped is unknown."),
            marks=no_recorded_requests,
        ),
    ],
)
def test_why_says_what_podman_has_recorded(
    docker: Docker,
    container: Containers,
    command: Command,
    program: tuple[str, ...],
    act: tuple[str, ...],
    cause: str,
    sure: bool,
    words: str,
) -> None:
    name = container(BASE, *program, ready="ready")
    if act:
        docker(*act, name)
    docker("wait", name)
    document = command.asks("why", name)
    assert (document["cause"], document["sure"]) == (cause, sure), document
    assert words in document["sentence"]
    assert "ocker " not in " ".join((document["sentence"], *document["evidence"]))


@records_requests
def test_a_kill_from_the_host_is_not_podmans(docker: Docker, container: Containers, command: Command) -> None:
    name = container(BASE, *STAYS, ready="ready")
    send(docker.run_of(name).init, signal.SIGKILL)
    docker("wait", name)
    assert "nobody asked Podman to stop it" in command.asks("why", name)["sentence"]


@needs_cgroups
@records_requests
def test_out_of_memory_and_a_stop_are_both_possible(docker: Docker, container: Containers, command: Command) -> None:
    """Podman's OOMKilled is true also if another process was killed."""
    code = "import subprocess, sys, time\nsubprocess.run(['python3', '-c', 'x = bytearray(b\"x\") * 200_000_000'])\n"
    name = container(BASE, *python(f"{code}print('ready', flush=True)\ntime.sleep(1000)"), options=SMALL, ready="ready")
    docker("stop", "-t", "1", name)
    document = command.asks("why", name)
    assert (document["cause"], document["sure"]) == ("unknown", False), document
    assert "it also reached its memory limit of 32 MiB" in document["sentence"]


def test_why_a_container_runs_again(docker: Docker, container: Containers, command: Command) -> None:
    program = shell("[ -e /x ] || { touch /x; exit 4; }; sleep 1000")
    by_policy = container(BASE, *program, options=("--restart=always",))
    name = container(BASE, *ENDS, ready="ready")
    docker("restart", "-t", "5", name)
    found = command.asks("why", name)
    assert "started by podman restart" in found["sentence"]
    assert (found["before"]["cause"], found["before"]["exit_code"]) == ("stopped", 5)
    eventually(lambda: docker.state(by_policy, "RestartCount") == "1", "the policy has acted")
    eventually(lambda: docker.state(by_policy) == "running", "it runs again")
    found = command.asks("why", by_policy)
    assert "Its restart policy (always) has restarted it once" in found["sentence"]
    assert found["before"]["exit_code"] == 4


def test_a_removed_container_is_explained_from_podmans_events(
    docker: Docker, container: Containers, command: Command
) -> None:
    name = container(BASE, *shell("echo ready; exit 3"), ready="ready")
    docker("wait", name)
    docker("rm", name)
    document = command.asks("why", name)
    assert (document["removed"], document["exit_code"], document["sure"]) == (True, 3, False)
    assert "Podman reports no stops, so whether it was stopped is unknown." in document["sentence"]


@records_requests
def test_a_stop_from_a_shell_is_shown_when_it_is_over(docker: Docker, container: Containers, open_ui: OpenUi) -> None:
    name = container("dockerapp2", name="outside", ready="pid = 1")
    screen = open_ui(160, 50)
    screen.shows(name, "Podman", "· local ·")
    docker("stop", "-t", "1", name)
    screen.shows("W stops")
    screen.press("W")
    sentence = "Exited with code 137, most likely killed after a stop or kill."
    screen.shows("Stop started outside this program", name, sentence)
    screen.hides("SIGTERM to PID 1")


def test_leaving_a_container_closes_its_input_unless_it_has_a_terminal(docker: Docker, engine: DockerEngine) -> None:
    for tty in (False, True):
        id = engine.run(RunRequest(BASE, ("cat",), network="none", stdin=True, tty=tty))
        try:
            streams = engine.attach(id)
            streams.write(b"word\n")
            docker.says(id, "word")
            streams.close()
            if tty:
                again = engine.attach(id)
                again.write(b"more\n")
                docker.says(id, "more")
                again.close()
            else:
                assert engine.wait(id, 30) == 0
        finally:
            docker.remove(id)


@pytest.fixture
def podman(chosen_engine: matrix.Engine | None) -> Podman:
    """Returns the engine's own program."""
    started = shared.startable(chosen_engine)
    assert isinstance(started, shared.PodmanWithImages)
    return started.podman


def run_by(podman: Podman, names: list[str], *options: str, image: str = "dockerapp2", before: str = "run") -> str:
    """Runs a container with Podman's own program, for what the Docker API can't ask for; returns its name."""
    name = f"test-own-{uuid.uuid4().hex[:8]}"
    names.append(name)
    tag = f"{REGISTRY}/containerlab/{image}:latest"
    made = podman.command(*before.split(), "-d", f"--name={name}", "--network=none", *options, tag)
    assert not made.returncode, made.stderr
    return name


@pytest.mark.not_on("rootless", reason="crun refuses it beside cgroups of version 1: `cgroups in hybrid mode`")
def test_without_cgroups_processes_are_found_by_their_namespace(
    podman: Podman, names: list[str], docker: Docker, command: Command
) -> None:
    """Only crun runs such a container, and only with a separate PID namespace. crun sends signals as `3`."""
    name = run_by(podman, names, "--cgroups=disabled", before="--runtime=crun run")
    docker.says(name, "pid = 1")
    id, pid = docker.state(name, "Id"), int(docker.state(name, "State.Pid"))
    assert id not in Path(f"/proc/{pid}/cgroup").read_text()
    (process,) = command.asks("processes", name)["processes"]
    assert (process["pid"], process["container_pid"]) == (pid, 1)
    assert command.asks("ipc", name)["mode"] == "shareable"
    assert command.asks("maps", name)["mappings"]
    answer = command("stop", name, "--timeout", "1", "--json")
    assert (answer.status, answer.document["verdict"]) == (1, "killed")
    assert signals(answer.document) == [("kernel", "SIGTERM", 1), ("kernel", "SIGKILL", 1)]
    assert answer.document["phase_2"]["started"] == answer.document["phase_1"]["ended"]
    assert command.asks("why", name)["cause"] == "stop-killed"


def test_a_health_check_is_shown_and_may_explain_an_end(
    podman: Podman, names: list[str], docker: Docker, command: Command, open_ui: OpenUi
) -> None:
    """Podman runs health checks with timers of systemd, which this machine need not have."""
    check = ("--health-cmd=test -e /tmp/well", "--health-interval=disable", "--health-retries=1")
    name = run_by(podman, names, *check, "--health-on-failure=kill", image="dockerapp1")
    docker.says(name, "pid = 1")
    docker("exec", name, "touch", "/tmp/well")
    podman.command("healthcheck", "run", name)
    assert "(healthy)" in {one["name"]: one["status"] for one in command.asks("ps")["containers"]}[name]
    ill = run_by(podman, names, *check, image="dockerapp1")
    podman.command("healthcheck", "run", ill)
    screen = open_ui(160, 50)
    screen.row_shows(ill, "unhealthy")
    docker("exec", name, "rm", "/tmp/well")
    podman.command("healthcheck", "run", name)
    docker("wait", name)
    why = command.asks("why", name)
    assert (why["cause"], why["exit_code"]) == ("killed", 137)
    assert "Its health check had failed: with --health-on-failure, Podman itself stops or kills it." in why["sentence"]


@pytest.fixture
def pod(podman: Podman, request: pytest.FixtureRequest) -> Iterator[Podman]:
    """Yields the engine's own program, with a pod `pod-9` whose containers share these namespaces."""
    share: str = request.param
    made = podman.command(
        "pod", "create", "--name=pod-9", f"--share={share}", "--network=none", "--infra-command=sleep 1000"
    )
    assert not made.returncode, made.stderr
    yield podman
    podman.command("pod", "rm", "--force", "--time=0", "pod-9")


@pytest.fixture
def members(pod: Podman, docker: Docker) -> tuple[str, str]:
    """Starts two containers in the pod and returns their names."""
    names = ("pod-9-a", "pod-9-b")
    for name, image in zip(names, ("dockerapp2", "dockerapp1"), strict=True):
        run = pod.command("run", "-d", "--pod=pod-9", f"--name={name}", f"{REGISTRY}/containerlab/{image}:latest")
        assert not run.returncode, run.stderr
        docker.says(name, "pid = ")
    return names


@pytest.mark.parametrize("pod", ["ipc"], indirect=True)
def test_containers_of_a_pod_share_ipc(members: tuple[str, str], command: Command) -> None:
    first, second = members
    rows = {one["name"]: one for one in command.asks("ps")["containers"]}
    infra = next(name for name in rows if name.endswith("-infra"))
    assert rows[first]["ipc_mode"] == f"container:{rows[infra]['id']}"
    assert set(command.asks("ipc", first)["shared_with"]) == {infra, second}


@shares_pids
@pytest.mark.parametrize("pod", ["ipc,pid"], indirect=True)
def test_containers_of_a_pod_have_their_own_processes(
    members: tuple[str, str], docker: Docker, command: Command
) -> None:
    """They share the PID namespace of the pod's infra container, but each lists only its processes, by its cgroup."""
    first, second = members
    rows = {one["name"]: one for one in command.asks("ps")["containers"]}
    (process,) = command.asks("processes", first)["processes"]
    assert (process["pid"], process["container_pid"] != 1) == (rows[first]["pid"], True)
    answer = command("stop", first, "--timeout", "1", "--json")
    assert (answer.status, answer.document["verdict"]) == (1, "killed")
    assert {target for _, _, target in signals(answer.document)} == {process["container_pid"]}
    assert docker.state(second) == "running"
