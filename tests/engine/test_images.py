"""Each image demonstrates its case on a real engine."""

import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.docker import Containers, Docker, eventually

KILLED = "137"


def exit_code(docker: Docker, name: str) -> str:
    return docker.state(name, "State.ExitCode")


def test_dockerapp1_handles_three_signals_and_exits_on_term(docker: Docker, container: Containers) -> None:
    name = container("dockerapp1", ready="pid = 1")
    for signal in ("SIGINT", "SIGUSR1", "SIGUSR2"):
        docker("kill", f"--signal={signal}", name)
        docker.says(name, f"handle signal: {signal}\n")
    assert docker.state(name) == "running"
    docker("stop", name)
    assert docker.logs(name).endswith("handle signal: SIGTERM\nsignal terminate received, app exit normally\n")
    assert exit_code(docker, name) == "0"


def test_dockerapp2_handles_term_and_runs_until_phase_2(docker: Docker, container: Containers) -> None:
    name = container("dockerapp2", ready="pid = 1")
    began = time.monotonic()
    docker("stop", "--time=1", name)
    assert time.monotonic() - began >= 1
    assert docker.logs(name).endswith("handle signal: SIGTERM\n")
    assert exit_code(docker, name) == KILLED


def test_dockerapp3_does_not_signal_its_child(docker: Docker, container: Containers) -> None:
    name = container("dockerapp3", ready="i am in child process")
    log = docker.says(name, "fork ok")
    child = re.search(r"childpid = (\d+)", log)
    assert child is not None
    assert "i am parent process, pid = 1\n" in log
    assert f"i am in child process, pid = {child[1]}\n" in log
    docker("stop", name)
    log = docker.logs(name)
    assert "1: handle signal: SIGTERM\n1: signal terminate received, app exit normally\n" in log
    assert f"{child[1]}: handle signal" not in log
    assert exit_code(docker, name) == "0"


def test_dockerapp3_child_exits_cleanly_on_term(docker: Docker, container: Containers) -> None:
    name = container("dockerapp3", ready="i am in child process")
    child = re.search(r"in child process, pid = (\d+)", docker.logs(name))
    assert child is not None
    docker("exec", name, "kill", "-TERM", child[1])
    docker.says(name, f"{child[1]}: signal terminate received, app exit normally\n")
    assert docker.state(name) == "running"


def test_shell_form_does_not_forward_the_signal(docker: Docker, container: Containers) -> None:
    name = container("shell-form", ready="waiting for signals")
    assert "pid = 1\n" not in docker.logs(name)
    docker("stop", "--time=1", name)
    assert "handle signal" not in docker.logs(name)
    assert exit_code(docker, name) == KILLED


def test_bash_as_pid_1_does_not_forward_the_signal(docker: Docker, container: Containers) -> None:
    name = container("shell-form", "bash", options=("-t", "-i"))
    said = "/tmp/said"  # inside the container
    docker("exec", "-d", name, "bash", "-c", f"exec python3 shell_form.py > {said}")
    eventually(lambda: "waiting" in docker.run("exec", name, "cat", said).stdout, "the program in the shell waits")
    docker("stop", "--time=1", name)
    assert exit_code(docker, name) == KILLED
    docker("start", name)
    assert "handle signal" not in docker("exec", name, "cat", said)


def test_supervisor_v1_exits_at_once(docker: Docker, container: Containers) -> None:
    name = container("supervisor-v1")
    assert docker("wait", name) == "0"


def test_supervisor_v2_signals_both_programs(docker: Docker, container: Containers, tmp_path: Path) -> None:
    name = container("supervisor-v2")
    log = docker.says(name, "dockerapp1-brother entered RUNNING")
    assert "dockerapp1 entered RUNNING" in log or docker.says(name, "dockerapp1 entered RUNNING")
    docker("stop", name)
    log = docker.logs(name)
    assert "received SIGTERM indicating exit request" in log
    assert "stopped: dockerapp1 (exit status 0)" in log
    assert "stopped: dockerapp1-brother (exit status 0)" in log
    assert exit_code(docker, name) == "0"
    for program, signal, word in (("dockerapp1", "SIGTERM", "terminate"), ("dockerapp1-brother", "SIGQUIT", "quit")):
        docker("cp", f"{name}:/tmp/{program}.log", str(tmp_path))
        said = (tmp_path / f"{program}.log").read_text()
        assert said.endswith(f"handle signal: {signal}\nsignal {word} received, app exit normally\n")


def test_init_wrapped_exits_at_once_without_a_handler(docker: Docker, container: Containers) -> None:
    name = container("init-wrapped", ready="no handlers here")
    assert "parent = 1\n" in docker.logs(name)
    began = time.monotonic()
    docker("stop", "--time=30", name)
    assert time.monotonic() - began < 15
    assert exit_code(docker, name) == "143"


def test_systemv_segment_lives_with_the_container_and_ends_with_it(docker: Docker, container: Containers) -> None:
    name = container("systemv-shm", ready="ready")
    assert docker("exec", name, "writer") == "SystemV Share Memory Create and Write Ok"
    alphabet = "a b c d e f g h i j k l m n o p q r s t u v w x y z"
    assert docker("exec", name, "reader") == f"{alphabet}\nSystemV Share Memory Create and Read Ok"
    (segment,) = (line.split() for line in docker("exec", name, "cat", "/proc/sysvipc/shm").splitlines()[1:])
    assert (segment[0], segment[3]) == ("5678", "27")
    (semaphores,) = (line.split() for line in docker("exec", name, "cat", "/proc/sysvipc/sem").splitlines()[1:])
    assert (semaphores[0], semaphores[3]) == ("5678", "2")
    (queue,) = (line.split() for line in docker("exec", name, "cat", "/proc/sysvipc/msg").splitlines()[1:])
    assert (queue[0], queue[4]) == ("5678", "2")
    docker("stop", name)
    assert exit_code(docker, name) == "0"
    docker("start", name)
    gone = docker.run("exec", name, "reader")
    assert (gone.returncode, gone.stderr.strip()) == (1, "SystemV Share Memory Create and Read Error: -1")


def test_systemv_waiter_is_attached_until_somebody_posts(docker: Docker, container: Containers) -> None:
    name = container("systemv-shm", ready="ready")
    docker("exec", name, "writer")
    docker("exec", "-d", name, "waiter")

    def attached() -> str:
        return docker("exec", name, "cat", "/proc/sysvipc/shm").splitlines()[1].split()[6]

    eventually(lambda: attached() == "1", "the waiter has attached the segment")
    docker("exec", name, "waiter", "--post")
    eventually(lambda: attached() == "0", "the waiter has exited")


def test_a_mapped_file_survives_the_processes(docker: Docker, container: Containers) -> None:
    name = container("mmap-shm", ready="ready")
    missing = docker.run("exec", name, "reader")
    assert (missing.returncode, missing.stderr.strip()) == (1, "Mmap Share Memory Read Error: -1")
    assert docker("exec", name, "writer") == "Mmap Share Memory Create and Write Ok"
    assert docker("exec", name, "stat", "--format=%s", "/srv/shm.txt") == "501"
    docker("stop", name)
    docker("start", name)
    alphabet = "a b c d e f g h i j k l m n o p q r s t u v w x y z"
    assert docker("exec", name, "reader") == f"{alphabet}\nMmap Share Memory Read Ok"


def test_mmap_holder_keeps_three_shared_mappings(docker: Docker, container: Containers) -> None:
    name = container("mmap-shm", ready="ready")
    docker("exec", name, "writer")
    docker("exec", "-d", name, "holder")
    eventually(
        lambda: docker.run("exec", name, "head", "-c", "17", "/dev/shm/containerlab").stdout == "the child's words",
        "the holder's child has written to /dev/shm",
    )
    holders = docker("exec", name, "pgrep", "-f", "holder").split()
    assert len(holders) == 2
    for pid in holders:
        maps = docker("exec", name, "cat", f"/proc/{pid}/maps").splitlines()
        shared = {line.split(maxsplit=5)[5].strip() for line in maps if line.split()[1][3] == "s"}
        assert {path for path in shared if not path.startswith("/usr/")} == {
            "/srv/shm.txt",
            "/dev/zero (deleted)",
            "/dev/shm/containerlab",
        }


def test_scratch_static_has_one_program_and_no_handler(docker: Docker, container: Containers, tmp_path: Path) -> None:
    name = container("scratch-static")
    archive = tmp_path / "root.tar"
    docker("export", f"--output={archive}", name)
    listed = subprocess.run(
        ("tar", "--list", "--verbose", f"--file={archive}"), capture_output=True, text=True, check=True
    )
    entries = [line.split() for line in listed.stdout.splitlines() if line.startswith("-")]
    assert [entry[-1] for entry in entries if entry[2] != "0"] == ["sleep"]
    docker("stop", "--time=1", name)
    assert exit_code(docker, name) == KILLED


@pytest.mark.parametrize("image", ["dockerapp1", "dockerapp2", "dockerapp3", "shell-form", "supervisor-v2"])
def test_container_ends_on_sigkill(docker: Docker, container: Containers, image: str) -> None:
    name = container(image)
    docker("kill", name)
    assert docker("wait", name) == KILLED
