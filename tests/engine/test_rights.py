"""What works without root, and without one of root's capabilities, and which sentence says what is missing."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from containerlab_probes.records import WITHOUT_ROOT
from containerlab_tui.engine.docker_engine import DockerEngine
from containerlab_tui.model.diagnosis import Diagnosis
from containerlab_tui.model.product import PODMAN
from containerlab_tui.services.diagnosis import doctor
from tests.engine.forms_of_programs import BLOCKS, HANDLER_EXITS
from tests.engine.marks import needs_users
from tests.engines import matrix
from tests.support.docker import Containers, Docker, eventually
from tests.support.docker_group import Answer, DockerGroup, docker_group
from tests.support.kernel import container_processes

BASE = "base"
WITHOUT = """
import ctypes, os, sys
assert ctypes.CDLL(None).prctl(24, int(sys.argv[1]), 0, 0, 0) == 0  # PR_CAPBSET_DROP
program = "import sys; from containerlab_tui.cli import main; sys.exit(main())"
os.execv(sys.executable, (sys.executable, "-c", program, *sys.argv[2:]))
"""
CAPABILITIES = {"CAP_KILL": 5, "CAP_SYS_PTRACE": 19, "CAP_SYS_ADMIN": 21, "CAP_PERFMON": 38}
"""include/uapi/linux/capability.h"""
COMMANDS = (("ps",), ("processes", "NAME"), ("forecast", "NAME"), ("doctor", "NAME"), ("why", "NAME"), ("ipc", "NAME"),
            ("maps", "NAME"), ("signal", "NAME", "CONT"), ("signal", "NAME", "CONT", "--pid", "PID"),
            ("stop", "NAME"))  # fmt: skip
NEEDS = {
    "processes": {"CAP_SYS_PTRACE": 0},
    "forecast": {"CAP_SYS_PTRACE": 0},
    "doctor": {"CAP_SYS_PTRACE": 0},
    "ipc": {"CAP_SYS_PTRACE": 4, "CAP_SYS_ADMIN": 4},
    "maps": {"CAP_SYS_PTRACE": 4, "CAP_SYS_ADMIN": 4},
    "signal --pid": {"CAP_KILL": 4},
    "stop": {"CAP_SYS_PTRACE": 0, "CAP_SYS_ADMIN": 0},
}
"""The commands that name a missing capability, and their exit status: 0 if they do the rest of their work without it.
A signal to PID 1 goes through the engine, so it needs no capability."""

WITHOUT_CGROUPS = {"processes": 4, "forecast": 4, "signal": 0, "signal --pid": 4}
"""Exit statuses without CAP_SYS_PTRACE where no cgroup is named after the container: then only namespaces show whose
its processes are."""


def run_without(capability: str, host: str, state: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs the command line as root without one capability."""
    return subprocess.run(
        (sys.executable, "-c", WITHOUT, str(CAPABILITIES[capability]), "--host", host, *words),
        env=os.environ | {"XDG_STATE_HOME": str(state), "PYTHONPATH": ":".join(sys.path)},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@needs_users
@pytest.mark.parametrize("capability", CAPABILITIES)
def test_what_needs_a_capability_names_it_and_the_rest_works(
    capability: str,
    engine_host: str,
    chosen_engine: matrix.Engine | None,
    docker: Docker,
    container: Containers,
    tmp_path: Path,
) -> None:
    """The container runs as another user than root: of root's own processes root may read and signal all."""
    name = container(BASE, "python3", "-c", HANDLER_EXITS,
                     options=("--user=games",), ready="ready")  # fmt: skip
    docker("exec", "-d", name, "sleep", "1000")
    results = {}
    for command in COMMANDS:
        words = [{"NAME": name, "PID": child_of(docker, name)}.get(word, word) for word in command]
        done = run_without(capability, engine_host, tmp_path, *words)
        key = " ".join(one for one in command if one.islower())
        results[key] = (done.returncode, capability in done.stdout + done.stderr)
        assert "Traceback" not in done.stderr
    expected = {key: (NEEDS.get(key, {}).get(capability, 0), capability in NEEDS.get(key, {})) for key in results}
    if chosen_engine and chosen_engine.is_rootless and capability == "CAP_SYS_PTRACE":
        expected |= {key: (status, True) for key, status in WITHOUT_CGROUPS.items()}
    assert results == expected


def child_of(docker: Docker, name: str) -> str:
    """Returns the number in the container of the program that `docker exec` started there."""
    run = docker.run_of(name)
    return eventually(
        lambda: next((str(one.container_pid) for one in container_processes(run) if one.command == "sleep 1000"), ""),
        "the program has started",
    )


@pytest.fixture
def group(engine_host: str) -> Iterator[DockerGroup]:
    """Yields a user in the docker group."""
    with docker_group(engine_host) as made:
        yield made


def codes(answer: Answer) -> set[str]:
    """Returns the codes of the findings in the doctor's document."""
    found = answer["findings"]
    assert isinstance(found, list)
    return {one["code"] for one in found}


SLEEPS = "sleep 1000 & wait"
PREDICTED = {
    "shell in front": (("sh", "-c", "sleep 1000; true"), "dropped", "times-out"),
    "trap deferred": (("sh", "-c", "trap 'exit 0' TERM; sleep 1000"), "deferred", "times-out"),
    "trap in wait": (("bash", "-c", f"trap 'exit 0' TERM; {SLEEPS}"), "handler", "exits"),
    "trap that stays": (("bash", "-c", f"trap : TERM; while :; do {SLEEPS}; done"), "handler", "times-out"),
    "python, handler": (("python3", "-c", HANDLER_EXITS), "handler", "exits"),
    "python, no handler": (("python3", "-c", "import time; time.sleep(1000)"), "dropped", "times-out"),
    "python, blocked": (("python3", "-c", BLOCKS), "unknown", "times-out"),
}


READABLE = {"python, blocked": "pending"}
"""Other deliveries for the user of a rootless engine, who may read what its processes await."""


@pytest.mark.parametrize("form", PREDICTED)
def test_the_docker_group_gets_the_prediction_that_root_gets(
    form: str, group: DockerGroup, engine: DockerEngine, container: Containers
) -> None:
    command, delivery, outlook = PREDICTED[form]
    name = container(BASE, *command)
    if group.is_owner:
        delivery = READABLE.get(form, delivery)

    def both() -> tuple[Answer, Diagnosis] | None:
        """Returns both predictions, when the program has started: until then they may differ."""
        answer, root = group.doctor(name), doctor(engine, name)
        wanted = (delivery, root.confidence if group.is_owner else "likely", {one.code for one in root.findings})
        return (answer, root) if (answer["delivery"], answer["confidence"], codes(answer)) == wanted else None

    found = eventually(both, f"delivery {delivery}, and both agree")
    assert found is not None
    answer, root = found
    assert (answer["outlook"], answer["partial"]) == (outlook, [] if group.is_owner else [WITHOUT_ROOT])
    assert root.outlook == outlook


@needs_users
def test_the_docker_group_sees_the_processes_that_root_sees(
    group: DockerGroup, engine: DockerEngine, docker: Docker, container: Containers
) -> None:
    """Without root nobody reads PID namespaces: the cgroup with the container's id decides."""
    name = container(BASE, "sh", "-c", "sleep 1000 & wait", options=("--user=games",))
    docker("exec", "-d", name, "sleep", "994")
    every = eventually(
        lambda: found if len(found := {one.pid for one in doctor(engine, name).unreached}) == 2 else set(),
        "2 processes",
    )
    seen = group.doctor(name)["unreached"]
    assert isinstance(seen, list)
    assert {one["pid"] for one in seen} == every


def test_a_forecast_without_root_is_likely(group: DockerGroup, engine: DockerEngine, container: Containers) -> None:
    """Of a program that awaits signals the masks say nothing: to root tini is in rt_sigtimedwait."""
    names = (
        container(BASE, "sleep", "1000"),
        container(BASE, "sleep", "1000", options=("--init",)),
        container(BASE, "python3", "-c", HANDLER_EXITS),
    )

    def rows_of() -> list[tuple[str, bool]]:
        found = [group.forecast(name)["forecasts"] for name in names]
        return [(rows[0]["delivery"], rows[0]["likely"]) for rows in found if isinstance(rows, list)]

    of_init = ("signalfd" if engine.product is PODMAN else "sigwait") if group.is_owner else "unknown"
    expected = [("dropped", not group.is_owner), (of_init, False), ("handler", False)]
    eventually(lambda: rows_of() == expected, "all have started")


AS_MEMBER = {
    ("ps",): 0, ("processes", "NAME"): 0, ("forecast", "NAME"): 0, ("doctor", "NAME"): 0, ("why", "NAME"): 0,
    ("signal", "NAME", "CONT"): 0, ("ipc", "NAME"): 4, ("maps", "NAME"): 4, ("stop", "NAME"): 0,
}  # fmt: skip
"""Exit statuses of commands for a user in the docker group, and for the user of a rootless engine."""


def test_the_docker_group_does_all_that_needs_only_the_engine(group: DockerGroup, container: Containers) -> None:
    name = container(BASE, "python3", "-c", HANDLER_EXITS, ready="ready")
    done = {words: group.run(*(name if word == "NAME" else word for word in words)) for words in AS_MEMBER}
    said = {words: one.stdout + one.stderr for words, one in done.items()}
    assert {words: one.returncode for words, one in done.items()} == AS_MEMBER, said
    assert not [text for text in said.values() if "Traceback" in text]
    assert all("root" in said[words] for words, status in AS_MEMBER.items() if status), said


def test_the_docker_group_enters_a_container_but_not_with_the_hosts_tools(
    group: DockerGroup, container: Containers
) -> None:
    name = container(BASE, "sleep", "1000")
    for words, said in ((("--", "sh", "-c", "echo entered as $(id -un)"), "entered as root"),
                        (("--host-tools", "--", "true"), "The host's tools need root")):  # fmt: skip
        with closing(group.at_terminal("enter", name, *words)) as terminal:
            terminal.see(said)
