"""A container can't hide what it has behind its number: 4,096 segments and 65,000 mappings are listed, in part."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from containerlab_probes.memory.mappings import MAPPINGS_LIMIT
from containerlab_probes.processes import tree
from tests.engine.commands_support import Command
from tests.support.docker import Containers

SEGMENTS = """
import ctypes, signal
libc = ctypes.CDLL(None)
made = sum(libc.shmget(0, 4096, 0o1600) >= 0 for _ in range(4096))
print("made", made, flush=True)
while True: signal.pause()
"""
MAPPINGS = """
import ctypes, os, signal
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
os.chdir("/tmp")
for _ in range(15):
    os.mkdir("d" * 250)
    os.chdir("d" * 250)
fd = os.open("file", os.O_RDWR | os.O_CREAT)
os.ftruncate(fd, 4096)
count = 0
while count < 65_000 and libc.mmap(None, 4096, 3, 1, fd, 0) not in (None, (1 << 64) - 1):
    count += 1
print("made", count, flush=True)
while True: signal.pause()
"""
NAMES = """
import os, signal
for number in range(32_000):
    os.close(os.open(b"/dev/shm/" + b"%05d" % number + b"\\x01" * 245, os.O_CREAT | os.O_RDWR))
print("made", flush=True)
while True: signal.pause()
"""
"""JSON escapes each character of these names with six."""
ARGUMENTS = """
import os, signal, sys
for _ in range(300):
    if os.fork() == 0:
        while True: signal.pause()
print("made", flush=True)
while True: signal.pause()
"""
PROCESSES = """
import ctypes, mmap, os, signal
shared = mmap.mmap(-1, 4096)
libc = ctypes.CDLL(None)
assert libc.shmget(4711, 4096, 0o1600) >= 0
made = 1
while made < 1_000:
    if os.fork() == 0:
        while True: signal.pause()
    made += 1
print("made", made, flush=True)
while True: signal.pause()
"""
MEMORY_KIB = 400 * 1024
"""For the program and its agent; the text of /proc/PID/maps alone has 250 MB."""


STARTER = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:], timeout=120).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(status)
"""


def answer(engine_host: str, *arguments: str) -> tuple[dict[str, object], int]:
    """Returns the document of a command, whose status is 0, and the memory of its largest process in KiB."""
    program = str(Path(sys.executable).with_name("containerlab-tui"))
    command = (sys.executable, "-c", STARTER, program, "--host", engine_host, *arguments, "--json")
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert isinstance(document, dict)
    return document, int(done.stderr.splitlines()[-1])


def test_all_segments_that_the_kernel_allows_by_default(engine_host: str, container: Containers) -> None:
    name = container("dockerapp1", "python3", "-c", SEGMENTS, ready="made 4096")
    document, _ = answer(engine_host, "ipc", name)
    objects = document["objects"]
    assert isinstance(objects, list)
    assert len(objects) == 4096
    assert document["partial"] == []


def test_mappings_with_long_paths_are_listed_in_part(engine_host: str, container: Containers) -> None:
    name = container("dockerapp1", "python3", "-c", MAPPINGS, ready="made 65000")
    document, largest_kib = answer(engine_host, "maps", name)
    mappings, partial = document["mappings"], document["partial"]
    assert isinstance(mappings, list)
    assert isinstance(partial, list)
    shared = sum(one["shared"] for one in mappings)
    assert "took too long" in partial[0] or (
        shared == MAPPINGS_LIMIT and partial[0].startswith(f"Shared mappings: the first {MAPPINGS_LIMIT:,} of 65,0")
    )
    assert max(len(one["path"]) for one in mappings) > 3700
    assert largest_kib < MEMORY_KIB


def test_the_objects_are_listed_beside_many_mappings(engine_host: str, container: Containers) -> None:
    name = container("dockerapp1", "python3", "-c", MAPPINGS, ready="made 65000")
    document, _ = answer(engine_host, "ipc", name)
    assert document["objects"] == []


def test_memory_is_listed_beside_many_processes(engine_host: str, container: Containers) -> None:
    """Each listing has to find its way through all processes."""
    name = container("dockerapp1", "python3", "-S", "-c", PROCESSES, ready="made 1000")
    for command, found in (("ipc", "objects"), ("maps", "mappings"), ("processes", "processes")):
        document, _ = answer(engine_host, command, name)
        held, partial = document[found], document["partial"]
        assert isinstance(held, list)
        assert isinstance(partial, list)
        assert held
        assert all(re.match(r"[A-Z][a-z ]+: .* of .* are (listed|searched)", sentence) for sentence in partial), partial
        assert found != "processes" or partial or len(held) == 1000


def test_a_partial_list_of_processes_says_so(
    engine_host: str, container: Containers, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not listed was not signalled either, and the status says so."""
    script = "trap : USR1; sleep 1001 & sleep 1002 & echo ready; while :; do wait; done"
    name = container("dockerapp1", "sh", "-c", script, ready="ready")
    command = Command(engine_host, capsys)
    monkeypatch.setattr(tree, "PROCESSES_LIMIT", 2)
    partial = "Processes: the first 2 of 3 are listed."
    for words, found in ((("processes",), "processes"), (("forecast",), "forecasts")):
        assert len(command.asks(*words, name)[found]) == 2
        assert command.asks(*words, name)["partial"] == [partial]
        assert command(*words, name).err == f"partial: {partial}\n"
    assert partial in command.asks("doctor", name)["partial"]
    answered = command("signal", name, "WINCH", "--all", "--json")
    assert (answered.status, len(answered.document["sent"])) == (4, 2)
    assert answered.document["partial"] == [partial]
    assert answered.err == f"{partial} The others were not signalled.\n"
    assert command("signal", name, "WINCH", "--json").status == 0, "PID 1 was signalled"
    missing = command("signal", name, "WINCH", "--pid", "999")
    assert (missing.status, partial in missing.err) == (3, True)


def test_objects_are_listed_whatever_their_names(engine_host: str, container: Containers) -> None:
    name = container("dockerapp1", "python3", "-S", "-c", NAMES, ready="made")
    document, largest_kib = answer(engine_host, "ipc", name)
    objects, partial = document["objects"], document["partial"]
    assert isinstance(objects, list)
    assert isinstance(partial, list)
    assert len(objects) > 2000
    assert partial[0] == f"/dev/shm: the first {len(objects):,} of 32,000 files are listed."
    assert largest_kib < MEMORY_KIB


def test_memory_is_listed_beside_long_command_lines(engine_host: str, container: Containers) -> None:
    """Each of 300 processes has 128 KiB of arguments, which JSON escapes; they share the memory of them."""
    name = container("dockerapp1", "python3", "-S", "-c", ARGUMENTS, "\x01" * 120_000, ready="made")
    for command in ("processes", "ipc", "maps"):
        document, largest_kib = answer(engine_host, command, name)
        partial = document["partial"]
        assert isinstance(partial, list)
        assert command == "ipc" or "command lines are too long" in partial[-1]
        assert largest_kib < MEMORY_KIB
