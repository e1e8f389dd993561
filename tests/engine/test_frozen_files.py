"""A container with file systems that never answer: nothing waits for them for long, and what is missing is named.

The container serves FUSE itself: it takes each request and answers none, so not even SIGKILL ends a process that waits.
Everything that waits is released when the container is removed, because its server is killed with it.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from containerlab_probes import client
from containerlab_probes.errors import Unanswered
from containerlab_probes.file_client import FileClient
from containerlab_probes.processes.identity import identify
from containerlab_tui.engine.docker_engine import DockerEngine
from containerlab_tui.services.diagnosis import doctor
from containerlab_tui.services.enter import look_up_shells
from containerlab_tui.services.processes import visible_processes
from tests.support.docker import Containers, eventually

pytestmark = [
    pytest.mark.not_on(
        "rootless",
        reason="the kernel keeps FUSE of a user namespace from processes outside (fuse_allow_current_process)",
    ),
    pytest.mark.not_on(
        "podman-4", reason="the docker client gives a container of Podman 4 no device: unknown server OS"
    ),
]

SERVER = """
import ctypes, os, signal, struct, threading
libc = ctypes.CDLL(None, use_errno=True)
def freeze(place, mode):
    fuse = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={fuse},rootmode={mode},user_id=0,group_id=0,allow_other".encode()
    if libc.mount(b"never", place, b"fuse", 0, options):
        raise OSError(ctypes.get_errno(), "mount")
    head = os.read(fuse, 1 << 17)
    ahead, = struct.unpack_from("<I", head, 48)
    body = struct.pack("<IIIIHHIIHHI", 7, 31, ahead, 0, 12, 9, 4096, 1, 0, 0, 0) + bytes(24)
    os.write(fuse, struct.pack("<Ii", 16 + len(body), 0) + head[8:16] + body)
    def take():
        while True:
            os.read(fuse, 1 << 17)
    threading.Thread(target=take, daemon=True).start()
freeze(b"/frozen", "40000")
freeze(b"/etc/passwd", "100000")
print("ready", flush=True)
while True:
    signal.pause()
"""
PARTIAL = "A file system in the container does not answer"
SLOW_S = 30.0
"""On a loaded machine; without the limits it would be forever."""


@pytest.fixture
def frozen(container: Containers, tmp_path: Path) -> Iterator[str]:
    if not os.path.exists("/dev/fuse"):
        pytest.skip("this kernel has no FUSE")
    program = tmp_path / "app.py"
    program.write_text(SERVER)
    options = (
        "--device=/dev/fuse", "--cap-add=SYS_ADMIN", "--security-opt=apparmor=unconfined", "--stop-timeout=1",
        f"--volume={program}:/frozen/app.py:ro",
    )  # fmt: skip
    yield container("dockerapp1", "python3", "/frozen/app.py", options=options, ready="ready")
    container.remove()
    eventually(lambda: not any(map(client.count_stuck, list(client.stuck))), "the agents end with the container", 30.0)


def test_the_doctor_answers_without_the_files(engine: DockerEngine, frozen: str) -> None:
    before = time.monotonic()
    diagnosis = doctor(engine, frozen)
    assert time.monotonic() - before < SLOW_S
    assert diagnosis.partial
    assert PARTIAL in diagnosis.partial[0]
    assert diagnosis.evidence


def test_the_users_stay_numbers(engine: DockerEngine, frozen: str) -> None:
    before = time.monotonic()
    seen = visible_processes(engine, engine.inspect(frozen))
    assert time.monotonic() - before < SLOW_S
    assert [one.user for one in seen.processes] == ["0"]


def test_the_shells_are_found_beside_a_program_that_is_not_answered(engine: DockerEngine, frozen: str) -> None:
    """What waits for the file system can't even be killed, so nothing may wait for it."""
    before = time.monotonic()
    shells = look_up_shells(engine, engine.inspect(frozen), "/frozen/shell")
    assert time.monotonic() - before < SLOW_S
    assert "/bin/sh" in shells.found
    assert "/frozen/shell" not in shells.found


def test_doctor_all_names_it_and_gives_the_rest(engine_host: str, frozen: str, container: Containers) -> None:
    other = container("dockerapp2", ready="pid = 1")
    program = str(Path(sys.executable).with_name("containerlab-tui"))
    command = (program, "--host", engine_host, "doctor", "--all", "--json")
    done = subprocess.run(command, capture_output=True, text=True, timeout=4 * SLOW_S, check=False)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    found = {one["container"]: one for one in document["containers"]}
    assert PARTIAL in found[frozen]["partial"][0]
    assert found[other]["partial"] == []
    assert {code["code"] for code in found[other]["findings"]} >= {"does-not-end"}
    assert [one for one in document["partial"] if one.startswith(frozen)]
    assert frozen in done.stderr


def test_one_agent_waits_for_a_container(engine: DockerEngine, frozen: str) -> None:
    init = identify(engine.inspect(frozen).pid)
    reader = FileClient(init, time_limit_s=8.0)
    with pytest.raises(Unanswered, match="did not answer in time"):
        reader.read(init, "/frozen/app.py", 100)
    reader.close()
    reader = FileClient(init)
    with pytest.raises(Unanswered, match="still does not answer"):
        reader.read(init, "/frozen/app.py", 100)
    reader.close()
