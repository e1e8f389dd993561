"""Each finding on a real container that has it and on those that only look like it, and each remedy in a real stop.

The stops of a pair run at the same time, and so do several pairs: most of the time is a grace period.
"""

import ast
import re
import signal
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from containerlab_tui.engine.connection import connect
from containerlab_tui.engine.docker_engine import DockerEngine
from containerlab_tui.model.diagnosis import Diagnosis
from containerlab_tui.model.product import PODMAN
from containerlab_tui.model.stop import StopState, Verdict
from containerlab_tui.services.diagnosis import doctor, recorded_stops
from containerlab_tui.services.history import History
from containerlab_tui.services.stop import plan_stop, run_stop
from tests.engine.findings_table import PAIRS, Box, Pair
from tests.engine.marks import needs_users, records_requests
from tests.support.docker import LABEL, Containers, Docker, eventually
from tests.support.kernel import send

AT_ONCE = 3
ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = {
    "killed-before": "test_remedies.py::test_killed_before",
    "restart-disarmed": "test_remedies.py::test_restart_disarmed",
    "dropped-at-start": "test_doctor.py::test_a_signal_that_came_too_early",
}
"""Findings that take more than a container that runs: the test beside this one that has such and such containers."""


def codes(diagnosis: Diagnosis) -> set[str]:
    return {finding.code for finding in diagnosis.findings}


def start(docker: Docker, box: Box, name: str) -> None:
    tag = box.image if ":" in box.image else f"containerlab/{box.image}:latest"
    options = (f"--stop-timeout={box.grace_s}", f"--label={LABEL}", f"--name={name}", *box.options)
    docker("run", "-d", "--network=none", *options, tag, *box.command)


def settled(engine: DockerEngine, docker: Docker, box: Box, name: str) -> Diagnosis:
    """Returns the diagnosis once the container has started and its findings stay the same."""
    box.wait(engine, docker, name)
    last: list[Diagnosis] = []

    def same() -> Diagnosis | None:
        last.append(doctor(engine, name))
        return last[-1] if len(last) >= 3 and len({frozenset(codes(one)) for one in last[-3:]}) == 1 else None

    found = eventually(same, f"the findings of {name} stay the same", within_s=120)
    assert found is not None
    return found


def stop(engine_host: str, name: str) -> StopState:
    engine = connect(engine_host)
    try:
        return run_stop(engine, plan_stop(engine, name))
    finally:
        engine.close()


def text_of(diagnosis: Diagnosis) -> str:
    return f"{diagnosis.container}: {diagnosis.outlook} {sorted(codes(diagnosis))} {diagnosis.evidence}"


def check(engine_host: str, docker: Docker, pair: Pair, made: tuple[str, ...]) -> None:
    """Asserts where the finding is and is not, then stops the containers."""
    boxes = (pair.has, *pair.without)
    for box, name in zip(boxes, made, strict=True):
        start(docker, box, name)
    engine = connect(engine_host)
    try:
        has, *without = [settled(engine, docker, box, name) for box, name in zip(boxes, made, strict=True)]
    finally:
        engine.close()
    assert pair.code in codes(has), text_of(has)
    for one in without:
        assert pair.code not in codes(one), text_of(one)
        assert not pair.better or (getattr(has, pair.better), getattr(one, pair.better)) == ("no", "yes"), text_of(one)
    if pair.killed is None:
        assert pair.unstopped
        return
    with ThreadPoolExecutor(len(made)) as pool:
        states = list(pool.map(lambda name: stop(engine_host, name), made))
    verdicts = [Verdict.KILLED if pair.killed else Verdict.GRACEFUL, *[Verdict.GRACEFUL] * len(without)]
    assert [state.verdict for state in states] == verdicts, [text_of(one) for one in (has, *without)]
    if pair.code == "children-killed":
        fates = [{lane.ended_by for lane in state.lanes if lane.container_pid != 1} for state in states]
        assert fates[0] == {"SIGKILL"}
        assert "SIGKILL" not in fates[1]


@needs_users
@pytest.mark.usefixtures("servers_image")
def test_each_finding_and_its_fix(engine_host: str, docker: Docker, names: list[str]) -> None:
    made = {pair.code: tuple(f"test-{pair.code}-{uuid.uuid4().hex[:6]}" for _ in (0, *pair.without)) for pair in PAIRS}
    names += [name for several in made.values() for name in several]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = {pair.code: pool.submit(check, engine_host, docker, pair, made[pair.code]) for pair in PAIRS}
    failed = [f"{code}: {error}" for code, job in jobs.items() if (error := job.exception())]
    assert not failed, "\n\n".join(failed)


def test_killed_before(
    engine_host: str, docker: Docker, container: Containers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two stops that ended in SIGKILL are recorded for one container, two others for the other."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    bad, good = (
        container(image, options=("--stop-timeout=1",), ready="pid = 1") for image in ("dockerapp2", "dockerapp1")
    )
    engine = connect(engine_host)
    try:
        for _ in range(2):
            for name in (bad, good):
                assert "killed-before" not in codes(doctor(engine, name, recorded_stops))
                run_stop(engine, plan_stop(engine, name), history=History())
                engine.start(name)
        assert "killed-before" in codes(doctor(engine, bad, recorded_stops))
        assert "killed-before" not in codes(doctor(engine, good, recorded_stops))
    finally:
        engine.close()


@records_requests
def test_restart_disarmed(engine_host: str, docker: Docker, container: Containers) -> None:
    """docker kill disarms; a signal through a pidfd does not, nor does one that is not the configured stop signal.

    With podman kill each signal does. PID 1 is then killed from outside the engine to see whether the policy acts;
    docker restart re-enables it.
    """
    options = ("--restart=always",)
    bad, by_pidfd, restarted = (container("dockerapp1", options=options, ready="pid = 1") for _ in range(3))
    configured = container("dockerapp1", options=(*options, "--stop-signal=TERM"), ready="pid = 1")
    for name in (bad, restarted, configured):
        docker("kill", "--signal=USR1", name)
    _from_outside(docker, by_pidfd, signal.SIGUSR1)
    docker("restart", restarted)
    engine = connect(engine_host)
    try:
        seen = {one: "restart-disarmed" in codes(doctor(engine, one)) for one in (bad, by_pidfd, restarted, configured)}
    finally:
        engine.close()
    podman = engine.product is PODMAN
    assert seen == {bad: True, by_pidfd: False, restarted: False, configured: podman}
    for name in seen:
        _from_outside(docker, name, signal.SIGKILL)
    for name in (by_pidfd, restarted, *(() if podman else (configured,))):
        eventually(lambda: docker.state(name, "RestartCount") == "1", f"{name} runs again")  # noqa: B023 (called at once)
    eventually(lambda: docker.state(bad) == "exited", "its policy does not act")


def _from_outside(docker: Docker, name: str, number: int) -> None:
    send(docker.run_of(name).init, number)


def known_codes() -> set[str]:
    """Returns the first argument of each `Finding(...)` in the doctor's source."""
    found = set()
    for file in (ROOT / "tui/containerlab_tui/doctor").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding":
                given = node.args[0] if node.args else next(one.value for one in node.keywords if one.arg == "code")
                assert isinstance(given, ast.Constant), f"{file.name}: a code that is no literal"
                found.add(str(given.value))
    return found


def headings() -> set[str]:
    """Returns the headings of the README's chapter about the findings."""
    chapter = (ROOT / "README.md").read_text().partition("\n## What the findings mean\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^### (.+)$", chapter, re.MULTILINE))


def test_every_finding_has_its_containers_and_its_place_in_the_readme() -> None:
    table = [pair.code for pair in PAIRS]
    assert len(table) == len(set(table))
    assert {*table, *ELSEWHERE} == known_codes() == headings()
    for file, _, test in (place.partition("::") for place in ELSEWHERE.values()):
        assert f"def {test}(" in (ROOT / "tests/engine" / file).read_text()
