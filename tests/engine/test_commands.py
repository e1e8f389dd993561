"""`ps`, `processes`, `forecast`, `signal`: documents, text, effects and failures."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from containerlab_probes.trace.tracer import Tracer
from tests.engine.commands_support import (
    DELIVERIES,
    EFFECTS,
    Command,
    are_signals,
    has,
    is_moment,
)
from tests.support.docker import LABEL, Containers, Docker, eventually, plain

LOADS = "cpu_percent memory_bytes descriptors read_bytes written_bytes"
SETS = ("caught", "ignored", "blocked", "pending", "awaited")
READY = {
    "dockerapp1": "pid = 1",
    "dockerapp2": "pid = 1",
    "dockerapp3": "i am in child process",
    "shell-form": "waiting for signals",
    "supervisor-v2": "dockerapp1-brother entered RUNNING",
    "init-wrapped": "no handlers here",
    "systemv-shm": "ready",
    "mmap-shm": "ready",
    "scratch-static": "",
}


# output


@pytest.mark.parametrize(
    "words", ["ps", "processes", "forecast", "doctor", "ipc", "maps", "why", "signal TERM", "stop"]
)
@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
def test_output_that_cannot_be_written_is_one_sentence_and_1(
    words: str, options: tuple[str, ...], container: Containers, engine_host: str
) -> None:
    first, *rest = words.split()
    name = [] if first == "ps" else [container("dockerapp1", ready="pid = 1")]
    argv = [sys.executable, "-m", "containerlab_tui.cli", "--host", engine_host, first, *name, *rest, *options]
    with open("/dev/full", "w") as full:
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith("containerlab-tui: The output could not be written (No space left on device).\n")
    assert "Traceback" not in done.stderr


def by_pid(rows: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    return {row["container_pid"]: row for row in rows}


# ps


def test_ps_lists_running_and_with_all_stopped_containers(
    docker: Docker, container: Containers, command: Command
) -> None:
    runs = container("dockerapp1", options=("--stop-signal=SIGUSR2", "--ipc=shareable"), ready="pid = 1")
    ended = container("supervisor-v1")
    docker("wait", ended)
    document = command.asks("ps")
    has(document["engine"], "endpoint version")
    assert document["engine"]["version"] == docker("version", "--format", "{{.Server.Version}}")
    rows = {row["name"]: row for row in document["containers"]}
    assert ended not in rows
    row = rows[runs]
    has(row, "id name image state status pid command created ports ipc_mode labels")
    assert (row["state"], plain(row["image"]), row["ipc_mode"]) == (
        "running",
        "containerlab/dockerapp1:latest",
        "shareable",
    )
    assert (row["id"], str(row["pid"])) == (docker.state(runs, "Id"), docker.state(runs, "State.Pid"))
    assert LABEL in row["labels"]
    assert row["ports"] == []
    is_moment(row["created"])
    row = {row["name"]: row for row in command.asks("ps", "--all")["containers"]}[ended]
    assert (row["state"], row["pid"] or None) == ("exited", None)
    table = command("ps", "--all")
    assert (table.status, table.err) == (0, "")
    assert table.out.splitlines()[0].split()[:3] == ["NAME", "IMAGE", "STATE"]
    (line,) = (line for line in table.out.splitlines() if line.startswith(f"{runs} "))
    assert "SIGUSR2" in line


# processes


def test_processes_are_a_tree_with_dispositions(docker: Docker, container: Containers, command: Command) -> None:
    name = container("dockerapp3", ready=READY["dockerapp3"])
    document = command.asks("processes", name)
    assert document["container"] == name
    rows = by_pid(document["processes"])
    for row in rows.values():
        has(row, f"pid container_pid parent_pid started state user command threads {' '.join(SETS)} {LOADS}")
        is_moment(row["started"])
        for each in SETS:
            are_signals(row[each])
        assert (row["user"], row["threads"]) == ("root", 1)
        assert row["cpu_percent"] >= 0
        assert row["memory_bytes"] > 1 << 20
        assert row["descriptors"] >= 3
        assert min(row["read_bytes"], row["written_bytes"]) >= 0
    (child,) = (pid for pid in rows if pid != 1)
    assert str(rows[1]["pid"]) == docker.state(name, "State.Pid")
    assert rows[child]["parent_pid"] == rows[1]["pid"]
    assert rows[1]["command"] == "python3 dockerapp3.py"
    assert {"SIGINT", "SIGUSR1", "SIGUSR2", "SIGTERM"} <= set(rows[1]["caught"])
    table = command("processes", name)
    assert (table.status, len(table.out.splitlines())) == (0, 3)
    assert "  python3 dockerapp3.py" in table.out.splitlines()[2]
    assert "CPU %" in table.out.splitlines()[0]
    assert "—" not in table.out


def test_processes_of_docker_exec_and_an_id_prefix(docker: Docker, container: Containers, command: Command) -> None:
    name = container("dockerapp1", ready="pid = 1")
    docker("exec", "-d", name, "sleep", "1000")

    def commands() -> list[str]:
        asked = command.asks("processes", docker.state(name, "Id")[:12])
        assert asked["container"] == name
        return [one["command"] for one in asked["processes"]]

    eventually(lambda: "sleep 1000" in commands(), "the process of docker exec is there")


def test_scratch_needs_no_program_inside(container: Containers, command: Command) -> None:
    (row,) = command.asks("processes", container("scratch-static"))["processes"]
    assert (row["container_pid"], row["command"], row["caught"]) == (1, "/sleep 2147483647", [])


def test_a_hostile_command_line_is_only_data(docker: Docker, container: Containers, command: Command) -> None:
    name = container("dockerapp1", ready="pid = 1")
    docker("exec", "-d", name, "bash", "-c", r"exec -a $'evil\xff\e]2;title\a\e[31m[b]' sleep 1000")

    def evil() -> dict[str, Any] | None:
        rows: list[dict[str, Any]] = command.asks("processes", name)["processes"]
        return next((row for row in rows if row["command"].startswith("evil")), None)

    row = eventually(evil, "the process with the hostile name is there")
    assert row is not None
    assert row["command"] == "evil\ufffd\x1b]2;title\x07\x1b[31m[b] 1000"
    printed = command("processes", name).out
    assert "evil" in printed
    assert "\x1b" not in printed
    assert "\x07" not in printed


# forecast


def test_forecast_sends_nothing(docker: Docker, container: Containers, command: Command) -> None:
    name = container("dockerapp1", ready="pid = 1")
    document = command.asks("forecast", name, "usr1", "SIGKILL", "SIGRTMIN+3", "1", "STOP")
    assert document["container"] == name
    found = {}
    for row in document["forecasts"]:
        has(row, "pid container_pid signal delivery effect evidence")
        assert row["delivery"] in DELIVERIES
        assert row["effect"] in EFFECTS
        assert row["evidence"]
        found[row["signal"]] = (row["delivery"], row["effect"])
    assert found == {
        "SIGUSR1": ("handler", "program-decides"),
        "SIGKILL": ("default", "terminates"),
        "SIGRTMIN+3": ("dropped", "nothing"),
        "SIGHUP": ("dropped", "nothing"),
        "SIGSTOP": found["SIGSTOP"],
    }
    assert "handle signal" not in docker.logs(name)
    assert docker.state(name) == "running"


def test_forecast_is_of_the_stop_signal_by_default(container: Containers, command: Command) -> None:
    name = container("dockerapp1", options=("--stop-signal=RTMIN+4",), ready="pid = 1")
    (row,) = command.asks("forecast", name)["forecasts"]
    assert (row["signal"], row["delivery"]) == ("SIGRTMIN+4", "dropped")
    table = command("forecast", name)
    assert table.out.splitlines()[0].split() == ["PID", "IN", "SIGNAL", "DELIVERY", "EFFECT", "PROCESS", "EVIDENCE"]


# predicted and observed effects, one row of the image table after the other

WITH_CHILDREN = ("dockerapp3", "shell-form", "supervisor-v2", "init-wrapped")
EXPECTED = {
    ("dockerapp1", "SIGTERM"): ("handler", "exited with code 0"),
    ("dockerapp1", "SIGUSR1"): ("handler", "still running"),
    ("dockerapp1", "SIGHUP"): ("dropped", "still running"),
    ("dockerapp2", "SIGTERM"): ("handler", "still running"),
    ("dockerapp3", "SIGTERM"): ("handler", "exited with code 0"),
    ("shell-form", "SIGTERM"): ("dropped", "still running"),
    ("supervisor-v2", "SIGUSR1"): ("dropped", "still running"),
    ("init-wrapped", "SIGTERM"): ("sigwait", "exited with code 143"),
    ("systemv-shm", "SIGTERM"): ("handler", "exited with code 0"),
    ("mmap-shm", "SIGTERM"): ("handler", "exited with code 0"),
    ("scratch-static", "SIGTERM"): ("dropped", "still running"),
    ("scratch-static", "SIGKILL"): ("default", "terminated by SIGKILL"),
}
TAKEN = {"handler": "its handler runs", "dropped": "discarded", "default": "default action", "sigwait": "queued"}


def came_true(row: dict[str, Any], became: str) -> None:
    """Asserts that the observed effect is the predicted one."""
    forecast = row["forecast"]
    ended_by_it = became == f"terminated by {row['signal']}"
    taken = TAKEN[forecast["delivery"]]
    if ended_by_it and row["signal"] != "SIGKILL":
        # The kernel turns a fatal signal into SIGKILL at once (kernel/signal.c, complete_signal): no thread takes it.
        taken = "queued"
    assert row["observed"] == (became if Tracer().available() else f"{taken}; {became}")
    assert (forecast["effect"] in ("terminates", "dumps-core")) == ended_by_it


@pytest.mark.parametrize(("image", "signal"), EXPECTED)
def test_the_forecast_for_pid_1_comes_true(
    container: Containers, command: Command, docker: Docker, image: str, signal: str
) -> None:
    delivery, became = EXPECTED[image, signal]
    name = container(image, ready=READY[image])
    found = by_pid(command.asks("forecast", name, signal)["forecasts"])[1]
    document = command.asks("signal", name, signal)
    assert document["container"] == name
    (row,) = document["sent"]
    has(row, "pid container_pid signal forecast observed")
    assert (row["container_pid"], row["signal"], row["forecast"]) == (1, signal, found)
    assert found["delivery"] == delivery
    came_true(row, became)
    running = docker.state(name) == "running"
    assert running == (became == "still running") or eventually(
        lambda: docker.state(name) != "running", f"{name} stops"
    )


@pytest.mark.parametrize(
    ("image", "signal", "delivery", "became"),
    [
        ("dockerapp3", "SIGTERM", "handler", "exited with code 0"),
        ("dockerapp3", "SIGHUP", "default", "terminated by SIGHUP"),
        ("shell-form", "SIGUSR1", "handler", "still running"),
        ("init-wrapped", "SIGTERM", "default", "terminated by SIGTERM"),
        ("supervisor-v2", "SIGUSR2", "handler", "still running"),
    ],
)
def test_the_forecast_for_a_child_comes_true(
    docker: Docker, container: Containers, command: Command, image: str, signal: str, delivery: str, became: str
) -> None:
    name = container(image, ready=READY[image])
    if image == "supervisor-v2":
        eventually(
            lambda: docker.run("exec", name, "cat", "/tmp/dockerapp1.log", "/tmp/dockerapp1-brother.log").stdout.count(
                "waiting for signals"
            ) == 2,
            "both programs have their handlers",
        )  # fmt: skip
    child = min(pid for pid in by_pid(command.asks("processes", name)["processes"]) if pid != 1)
    (row,) = command.asks("signal", name, signal, "--pid", str(child))["sent"]
    assert (row["container_pid"], row["forecast"]["delivery"], row["route"]) == (child, delivery, "pidfd")
    came_true(row, became)


# signal


def test_targets_children_and_all(docker: Docker, container: Containers, command: Command) -> None:
    name = container("dockerapp3", ready=READY["dockerapp3"])
    child = re.search(r"in child process, pid = (\d+)", docker.logs(name))
    assert child is not None
    sent = command.asks("signal", name, "USR1", "--children")["sent"]
    assert [row["container_pid"] for row in sent] == [int(child[1])]
    docker.says(name, f"{child[1]}: handle signal: SIGUSR1")
    sent = command.asks("signal", name, "SIGUSR2", "--all")["sent"]
    assert {row["container_pid"] for row in sent} == {1, int(child[1])}
    docker.says(name, f"{child[1]}: handle signal: SIGUSR2")
    log = docker.says(name, "1: handle signal: SIGUSR2")
    assert "\n1: handle signal: SIGUSR1" not in log


def test_the_text_shows_the_result(docker: Docker, container: Containers, command: Command) -> None:
    name = container("dockerapp1", ready="pid = 1")
    answer = command("signal", name, "usr1")
    assert (answer.status, answer.err) == (0, "")
    heading, row = answer.out.splitlines()
    assert heading.split() == ["PID", "IN", "SIGNAL", "FORECAST", "OBSERVED"]
    assert "SIGUSR1" in row
    assert row.endswith("still running")
    docker.says(name, "handle signal: SIGUSR1")


@pytest.mark.parametrize(
    ("status", "arguments", "sentence"),
    [
        (3, ("signal", "NAME", "TERM", "--pid", "4000"), "has no process 4000"),
        (3, ("signal", "NAME", "TERM", "--children"), "has no children"),
        (2, ("signal", "NAME", "SIGNONSENSE"), "No such signal: 'SIGNONSENSE'"),
        (2, ("signal", "NAME", "99"), "No such signal: 99"),
        (2, ("signal", "NAME", "0"), "No such signal: 0"),
        (2, ("forecast", "NAME", "TERMM"), "Did you mean SIGTERM"),
        (4, ("--read-only", "signal", "NAME", "TERM"), "Refused by --read-only: send SIGTERM to "),
        (4, ("signal", "NAME", "TERM", "--all", "--read-only"), "Refused by --read-only: send SIGTERM to "),
    ],
)
@pytest.mark.parametrize("json_too", [(), ("--json",)])
def test_a_refused_signal_sets_the_exit_status(
    docker: Docker,
    container: Containers,
    command: Command,
    status: int,
    arguments: tuple[str, ...],
    sentence: str,
    json_too: tuple[str, ...],
) -> None:
    name = container("dockerapp1", ready="pid = 1")
    found = command.fails(status, *(name if word == "NAME" else word for word in arguments), *json_too)
    assert sentence in found
    assert "handle signal" not in docker.logs(name)
    assert docker.state(name) == "running"


@pytest.mark.parametrize("words", ["processes", "forecast", "signal X TERM", "ipc", "maps", "why", "stop"])
def test_no_such_container_is_3(command: Command, words: str) -> None:
    verb, *rest = words.replace("X ", "").split()
    assert "no-such-one" in command.fails(3, verb, "no-such-one", *rest)


@pytest.mark.parametrize("words", ["processes", "forecast", "signal TERM", "ipc", "maps"])
def test_a_stopped_container_has_no_processes(
    docker: Docker, container: Containers, command: Command, words: str
) -> None:
    name = container("supervisor-v1")
    docker("wait", name)
    verb, *rest = words.split()
    assert "is not running" in command.fails(3, verb, name, *rest)


@pytest.mark.parametrize("words", ["ps", "processes X", "signal X TERM", "stop X", "why X", "ipc X", "maps X"])
def test_no_engine_is_5(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    nowhere = f"unix://{tmp_path}/none.sock"
    assert nowhere in Command(nowhere, capsys).fails(5, *words.split(), "--json")


def test_the_installed_command_prints_one_document(engine_host: str, container: Containers, tmp_path: Path) -> None:
    name = container("dockerapp1", ready="pid = 1")
    program = Path(sys.executable).with_name("containerlab-tui")
    environment = os.environ | {"XDG_STATE_HOME": str(tmp_path), "DOCKER_HOST": engine_host}
    for words, status in (("processes", 0), ("stop", 0), ("stop", 0), ("processes", 3)):
        done = subprocess.run(
            (program, words, name, "--json"), env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == status, done.stderr
        if status:
            assert done.stdout == ""
            assert len(done.stderr.splitlines()) == 1
        else:
            assert json.loads(done.stdout)["container"] == name
            assert (done.stdout.count("\n"), done.stderr) == (1, "")
