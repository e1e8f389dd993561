"""The doctor on real containers: the lab's images, files read from the container, findings, exit statuses, times."""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from containerlab_probes.errors import Gone
from containerlab_tui.commands import doctor as command
from containerlab_tui.doctor.comparison import compare
from containerlab_tui.engine.connection import connect
from containerlab_tui.engine.docker_engine import DockerEngine
from containerlab_tui.model.diagnosis import Diagnosis, Outlook, Severity
from containerlab_tui.services.diagnosis import doctor, doctor_all
from containerlab_tui.services.stop import plan_stop, run_stop
from tests.support.docker import Containers, Docker, eventually

BUSY = "containerlab/scratch-static:latest"


def codes(diagnosis: Diagnosis) -> set[str]:
    return {finding.code for finding in diagnosis.findings}


@pytest.mark.parametrize(
    ("image", "ready", "outlook", "finding"),
    [
        ("dockerapp1", "pid = 1", Outlook.EXITS, ""),
        ("dockerapp2", "pid = 1", Outlook.TIMES_OUT, "does-not-end"),
        ("dockerapp3", "i am in child process", Outlook.EXITS, "children-killed"),
        ("shell-form", "waiting for signals", Outlook.TIMES_OUT, "shell-in-front"),
        ("init-wrapped", "", Outlook.EXITS, "init-forwards"),
        ("scratch-static", "", Outlook.TIMES_OUT, "signal-dropped"),
    ],
)
def test_the_images_of_the_lab(
    engine: DockerEngine, container: Containers, image: str, ready: str, outlook: Outlook, finding: str
) -> None:
    name = container(image, ready=ready)
    eventually(lambda: finding in {*codes(doctor(engine, name)), ""}, f"{finding} is found")
    diagnosis = doctor(engine, name)
    assert diagnosis.outlook is outlook, diagnosis.evidence
    errors = [one for one in diagnosis.findings if one.severity is Severity.ERROR]
    assert bool(errors) == (outlook is Outlook.TIMES_OUT)


def test_supervisord_and_its_programs(engine: DockerEngine, docker: Docker, container: Containers) -> None:
    name = container("supervisor-v2")
    eventually(lambda: "entered RUNNING" in docker.logs(name), "its programs run")
    diagnosis = doctor(engine, name)
    assert diagnosis.program == "supervisord"
    assert any("has 10 s" in why for why in diagnosis.evidence), diagnosis.evidence


def test_included_configuration_is_read_from_the_container(
    engine: DockerEngine, docker: Docker, container: Containers
) -> None:
    script = (
        "mkdir -p /srv/conf.d; cd /srv; "
        "printf '[supervisord]\\nnodaemon=true\\n[include]\\nfiles = conf.d/*.conf\\n' > s.conf; "
        "printf '[program:a]\\ncommand=sleep 1000\\nstopwaitsecs=77\\n' > conf.d/a.conf; "
        "exec supervisord -c s.conf"
    )
    name = container("supervisor-v2", "sh", "-c", script)
    eventually(lambda: "entered RUNNING" in docker.logs(name), "its program runs")
    assert any("has 77 s" in why for why in doctor(engine, name).evidence)


def test_a_script_is_read_from_the_container(engine: DockerEngine, container: Containers) -> None:
    code = (
        "import signal,time\\nsignal.signal(15, lambda *a: print())\\nprint(1, flush=True)\\nwhile 1: time.sleep(1)\\n"
    )
    script = f"cd /tmp; printf '{code}' > real.py; ln -s /tmp/real.py linked.py; exec python3 linked.py"
    name = container("dockerapp1", "sh", "-c", script, ready="1")
    assert doctor(engine, name).outlook is Outlook.TIMES_OUT


def test_an_init_reaps_no_child_of_another(engine: DockerEngine, container: Containers) -> None:
    """It reaps orphans only: the process that started a child must wait for it."""
    code = "import subprocess,time\nkept = subprocess.Popen(['true'])\ntime.sleep(1000)"
    name = container("dockerapp1", "python3", "-c", code, options=("--init",))
    found = eventually(
        lambda: [one for one in doctor(engine, name).findings if one.code == "zombies"], "the zombie is found"
    )
    assert "--init" not in found[0].remedy
    assert "waitpid" in found[0].remedy


@pytest.mark.not_on("podman", reason="Podman's kill events name no signal")
def test_a_signal_that_came_too_early(engine: DockerEngine, docker: Docker, container: Containers) -> None:
    starting = """
import os, signal, sys, time
while not os.path.exists("/tmp/go"): time.sleep(0.01)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
signal.pause()
"""
    early, later = (container("dockerapp1", "python3", "-c", starting) for _ in range(2))
    docker("kill", "--signal=TERM", early)
    for each in (early, later):
        docker("exec", each, "touch", "/tmp/go")
    eventually(lambda: "dropped-at-start" in codes(doctor(engine, early)), "the lost signal is found")
    assert "dropped-at-start" not in codes(doctor(engine, later))
    assert docker.state(early) == "running"


ODD = r"""
import signal, socket
one = socket.socket(socket.AF_UNIX)
one.bind("/tmp/x\na b c zz d e f g")
one.listen()
signal.pause()
"""


def test_hostile_socket_names_break_nothing(engine: DockerEngine, container: Containers, engine_host: str) -> None:
    name = container("dockerapp1", "python3", "-c", ODD, "\udcff", options=("--stop-timeout=1",))
    eventually(lambda: doctor(engine, name).outlook is Outlook.TIMES_OUT, "the diagnosis")
    diagnoses, unseen = doctor_all(engine)
    assert name in {one.container for one in diagnoses}
    assert not unseen
    state = run_stop(engine, plan_stop(engine, name))
    assert state.plan.prediction is not None
    assert compare(state.plan.prediction, state).right


def test_a_stopped_container_is_refused(engine: DockerEngine, docker: Docker, container: Containers) -> None:
    name = container("dockerapp1", ready="pid = 1")
    docker("stop", name)
    with pytest.raises(Gone):
        doctor(engine, name)


def arguments(host: str, name: str | None, **more: bool) -> argparse.Namespace:
    given = {"all": name is None, "strict": False, "json": False, "lab": False, "read_only": False, **more}
    return argparse.Namespace(name=name, host=host, context=None, connect=connect, **given)


def test_strict_is_a_gate(engine_host: str, container: Containers, capsys: pytest.CaptureFixture[str]) -> None:
    bad, good = container("dockerapp2", ready="pid = 1"), container("dockerapp1", ready="pid = 1")
    assert command.run(arguments(engine_host, bad)) == 0
    assert command.run(arguments(engine_host, bad, strict=True)) == 1
    assert command.run(arguments(engine_host, good, strict=True)) == 0
    assert "will not exit in time" in capsys.readouterr().out
    assert command.run(arguments(engine_host, good, json=True)) == 0
    assert json.loads(capsys.readouterr().out)["outlook"] == "exits"
    assert command.run(arguments(engine_host, None, json=True)) == 0
    seen = [one["container"] for one in json.loads(capsys.readouterr().out)["containers"]]
    assert seen.index(bad) < seen.index(good)
    assert command.run(arguments(engine_host, None)) == 0
    assert bad in capsys.readouterr().out


def test_the_doctor_takes_little_of_the_processor(engine: DockerEngine, container: Containers) -> None:
    """CPU time with room for a busy machine, so only several times more is noticed; bench/run.py measures it."""
    for _ in range(5):
        container("scratch-static")
    doctor_all(engine)
    began = time.process_time()
    diagnoses, unseen = doctor_all(engine)
    assert not unseen
    assert len(diagnoses) >= 5
    assert time.process_time() - began < 0.05 * len(diagnoses)


def test_the_command_takes_little_beyond_another(engine_host: str, container: Containers) -> None:
    """A ratio of CPU times, so that a slow machine doesn't count. About 1.7 was measured, 3 with docker-py loaded."""
    name = container("scratch-static")
    program = str(Path(sys.executable).with_name("containerlab-tui"))

    def cpu_s(*words: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run((program, "--host", engine_host, *words), stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    pairs = [(cpu_s("doctor", name, "--json"), cpu_s("ps")) for _ in range(3)]
    assert statistics.median(one / other for one, other in pairs) < 2.5
