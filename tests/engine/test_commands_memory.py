"""`ipc`, `ipc read`, `ipc remove`, `maps`, `maps read`: documents, bytes and failures."""

import base64
import string
from pathlib import Path
from typing import Any

import pytest

from tests.engine.commands_support import Command, has, is_survival
from tests.engine.marks import shares_ipc_of_host
from tests.support.docker import Containers, Docker, eventually

KINDS = {"shm", "sem", "msg", "posix-shm", "posix-sem", "posix-mq"}
BACKINGS = {"image", "writable-layer", "volume", "bind", "engine", "tmpfs", "anonymous-shared", "sysv", "deleted"}
ALPHABET = string.ascii_lowercase.encode()
WORDS = b"the child's words"


@pytest.fixture
def written(docker: Docker, container: Containers) -> str:
    """Runs systemv-shm with its segment, semaphores and queue, and a process that has attached the segment."""
    name = container("systemv-shm", options=("--ipc=shareable",), ready="ready")
    docker("exec", name, "writer")
    docker("exec", "-d", name, "waiter")
    return name


@pytest.fixture
def mapped(docker: Docker, container: Containers) -> str:
    """Runs mmap-shm with two processes that hold its three mappings."""
    name = container("mmap-shm", ready="ready")
    docker("exec", name, "writer")
    docker("exec", "-d", name, "holder")
    eventually(
        lambda: docker.run("exec", name, "head", "-c", "17", "/dev/shm/containerlab").stdout == WORDS.decode(),
        "the holder's child has written to /dev/shm",
    )
    return name


def objects(command: Command, name: str) -> dict[str, dict[str, Any]]:
    return {one["kind"]: one for one in command.asks("ipc", name)["objects"]}


def data(document: dict[str, Any]) -> bytes:
    assert document["data"].keys() == {"base64"}
    return base64.b64decode(document["data"]["base64"], validate=True)


# ipc


def test_ipc_lists_objects_and_sharing_containers(
    docker: Docker, container: Containers, command: Command, written: str
) -> None:
    other = container("dockerapp1", options=(f"--ipc=container:{written}",), ready="pid = 1")
    eventually(lambda: objects(command, written)["shm"]["attached"] == 1, "the waiter has attached the segment")
    document = command.asks("ipc", written)
    has(document, "container namespace mode shared_with limits objects")
    assert (document["container"], document["mode"], document["shared_with"]) == (written, "shareable", [other])
    assert docker("exec", written, "readlink", "/proc/1/ns/ipc") == f"ipc:[{document['namespace']}]"
    assert document["limits"]
    assert all(isinstance(limit, int) for limit in document["limits"].values())
    found = {one["kind"]: one for one in document["objects"]}
    assert found.keys() == {"shm", "sem", "msg"}
    for one in found.values():
        has(one, "kind id key name bytes owner mode creator attached survives")
        assert one["kind"] in KINDS
        is_survival(one["survives"])
        assert (one["key"], one["mode"]) == (5678, "0666")
        assert one["survives"] == {"process-exit": "yes", "stop-start": "no", "remove": "no", "host-reboot": "no"}
    assert (found["shm"]["bytes"], found["shm"]["attached"]) == (27, 1)
    assert [one["value"] for one in found["sem"]["semaphores"]] == [1, 0]
    assert found["msg"]["messages"] == 2
    assert command.asks("ipc", other)["namespace"] == document["namespace"]
    page = command("ipc", written)
    assert (page.status, page.err) == (0, "")
    assert page.out.startswith(f"IPC namespace {document['namespace']} (shareable, shared with {other})\n")
    assert "5678 (0x162e)" in page.out


def test_ipc_read_gives_a_window_of_bytes(command: Command, written: str) -> None:
    held = objects(command, written)["shm"]["id"]
    whole = command.asks("ipc", "read", written, "shm", held)
    assert (whole["container"], whole["kind"], whole["id"]) == (written, "shm", held)
    assert (whole["offset"], whole["total"], data(whole)) == (0, 27, ALPHABET + b"\0")
    part = command.asks("ipc", "read", written, "shm", held, "--offset", "23", "--length", "3")
    assert (part["offset"], part["total"], data(part)) == (23, 27, b"xyz")
    printed = command("--read-only", "ipc", "read", written, "shm", held, "--length", "16")
    assert printed.out == "00000000  61 62 63 64 65 66 67 68  69 6a 6b 6c 6d 6e 6f 70  abcdefghijklmnop\n"
    assert data(command.asks("ipc", "read", written, "shm", held, "--offset", "1000")) == b""
    beyond = command("ipc", "read", written, "shm", held, "--offset", "1000")
    assert (beyond.status, beyond.out, beyond.err) == (0, "", "No bytes at offset 1000: the size is 27 bytes.\n")


@pytest.mark.parametrize("kind", ["shm", "sem", "msg"])
def test_ipc_remove_removes_one_object(command: Command, docker: Docker, written: str, kind: str) -> None:
    eventually(lambda: objects(command, written)["shm"]["attached"] == 1, "the waiter has attached the segment")
    docker("exec", written, "waiter", "--post")
    eventually(lambda: objects(command, written)["shm"]["attached"] == 0, "nobody has attached it")
    held = objects(command, written)[kind]["id"]
    assert "--read-only" in command.fails(4, "--read-only", "ipc", "remove", written, kind, held)
    assert kind in objects(command, written)
    assert "add --yes" in command.fails(2, "ipc", "remove", written, kind, held)
    assert kind in objects(command, written)
    document = command.asks("ipc", "remove", written, kind, held, "--yes")
    assert (document["container"], document["removed"]) == (written, {"kind": kind, "id": held})
    assert (document["result"], document["attached"], document["of_host"]) == ("removed", None, False)
    assert objects(command, written).keys() == {"shm", "sem", "msg"} - {kind}
    assert "does not exist" in command.fails(3, "ipc", "remove", written, kind, held)


def test_an_attached_segment_is_only_marked_and_all_its_users_are_named(
    command: Command, container: Containers, written: str
) -> None:
    """The users are in two containers; the second removal says that the segment is marked already."""
    attach = "import ctypes; libc = ctypes.CDLL(None); libc.shmat.restype = ctypes.c_void_p; "
    attach += "assert libc.shmat(libc.shmget(5678, 0, 0), None, 0) != 2 ** 64 - 1; print('attached', flush=True); "
    other = container(
        "dockerapp1", "python3", "-c", f"{attach}import signal; signal.pause()",
        options=(f"--ipc=container:{written}",), ready="attached",
    )  # fmt: skip
    eventually(lambda: objects(command, written)["shm"]["attached"] == 2, "both have attached the segment")
    held = objects(command, written)["shm"]["id"]
    refusal = command.fails(2, "ipc", "remove", written, "shm", held)
    assert f"Remove segment {held} of {written}? In use by " in refusal
    assert f"({written})" in refusal
    assert f"({other})" in refusal
    assert "marked for removal now and destroyed on the last detach" in refusal
    first = command("ipc", "remove", written, "shm", held, "--yes")
    assert first.out == f"Marked segment {held} of {written} for removal; 2 processes are still attached.\n"
    again = command("ipc", "remove", other, "shm", held)
    assert again.out == f"Segment {held} is already marked for removal; 2 processes are still attached.\n"
    document = command.asks("ipc", "remove", written, "shm", held)
    assert (document["result"], document["attached"]) == ("marked-before", 2)
    assert {user["container"] for user in document["users"]} == {written, other}


@shares_ipc_of_host
def test_an_object_of_the_host_is_removed_only_on_request(
    command: Command, container: Containers, docker: Docker
) -> None:
    make = "import ctypes; print('made', ctypes.CDLL(None).semget(0, 1, 0o1600), flush=True); "
    name = container("dockerapp1", "python3", "-c", f"{make}import signal; signal.pause()", options=("--ipc=host",),
                     ready="made")  # fmt: skip
    held = docker.logs(name).split()[-1]
    assert next(one for one in command.asks("ipc", name)["objects"] if one["id"] == held)["of_host"]
    try:
        refusal = command.fails(2, "ipc", "remove", name, "sem", held, "--yes")
        assert f"Semaphore set {held} belongs to the host, not to {name} alone." in refusal
        assert "--host-object" in refusal
        assert "add --yes" in command.fails(2, "ipc", "remove", name, "sem", held, "--host-object")
        assert "sem" in objects(command, name)
    finally:
        done = command("ipc", "remove", name, "sem", held, "--yes", "--host-object")
    assert done.out == f"Removed semaphore set {held} of {name}.\n"


def test_posix_shared_memory_is_read_and_removed(command: Command, docker: Docker, mapped: str) -> None:
    held = objects(command, mapped)["posix-shm"]
    assert (held["key"], held["bytes"], held["mode"]) == (None, 4096, "0600")
    assert "containerlab" in held["name"]
    read = command.asks("ipc", "read", mapped, "posix-shm", held["id"], "--length", "17")
    assert (data(read), read["total"]) == (WORDS, 4096)
    answer = command("ipc", "remove", mapped, "posix-shm", held["id"], "--yes")
    assert (answer.status, answer.err) == (0, "")
    users = len(held["users"])
    processes = "1 process is" if users == 1 else f"{users} processes are"
    assert answer.out == f"Removed the name of posix shm {held['name']} of {mapped}; {processes} still using it.\n"
    assert docker.run("exec", mapped, "test", "-e", "/dev/shm/containerlab").returncode == 1


@pytest.mark.parametrize(
    ("status", "words", "sentence"),
    [
        (3, "ipc read NAME shm 77", "Could not read segment 77"),
        (3, "ipc remove NAME shm 77", "Could not remove shm 77"),
        (3, "ipc read NAME posix-shm nothing", "nothing"),
        (2, "ipc read NAME msg 0", "no bytes to read"),
        (2, "ipc read NAME paper 0", "Unknown IPC kind paper"),
        (2, "ipc remove NAME shm one", "'one' is not the id"),
        (2, "ipc read NAME posix-shm ../../etc/passwd", "../../etc/passwd"),
        (2, "ipc read NAME shm 0 --offset=-1", "--offset must not be negative"),
        (2, "ipc read NAME shm 0 --length 65537", "--length must be from 1 to 65536"),
        (3, "maps read NAME 1 0-1000", "has no mapping 0-1000"),
        (3, "maps read NAME 4000 0-1000", "has no mapping 0-1000"),
    ],
)
def test_missing_objects_and_bad_arguments(
    container: Containers, command: Command, status: int, words: str, sentence: str
) -> None:
    name = container("systemv-shm", ready="ready")
    assert sentence in command.fails(status, *(name if word == "NAME" else word for word in words.split()), "--json")


def test_scratch_has_a_namespace_without_objects(command: Command, container: Containers) -> None:
    name = container("scratch-static")
    document = command.asks("ipc", name)
    assert (document["container"], document["objects"], document["shared_with"]) == (name, [], [])
    assert command("ipc", name).out.splitlines()[1] == "No System V or POSIX IPC objects."


# maps


def test_maps_show_the_storage(command: Command, mapped: str) -> None:
    document = command.asks("maps", mapped)
    assert document["container"] == mapped
    for one in document["mappings"]:
        has(one, "pid container_pid range path shared permissions bytes file_bytes backing host_path reason survives")
        assert one["backing"] in BACKINGS
        is_survival(one["survives"])
        low, high = (int(end, 16) for end in one["range"].split("-"))
        assert high - low == one["bytes"]
        assert one["shared"] == (one["permissions"][3] == "s")
    writable = [one for one in document["mappings"] if one["shared"] and "w" in one["permissions"]]
    seen = {one["path"]: one for one in writable}
    assert {path: one["backing"] for path, one in seen.items()} == {
        "/srv/shm.txt": "writable-layer",
        "/dev/zero": "anonymous-shared",
        "/dev/shm/containerlab": "tmpfs",
    }
    assert len({one["container_pid"] for one in writable}) == 2
    file = seen["/srv/shm.txt"]
    assert (file["bytes"], file["file_bytes"]) == (4096, 501)
    assert Path(file["host_path"]).read_bytes()[:26] == ALPHABET
    assert (file["survives"]["stop-start"], file["survives"]["remove"]) == ("yes", "no")
    assert seen["/dev/zero"]["survives"]["process-exit"] == "no"
    assert seen["/dev/zero"]["host_path"] is None
    page = command("maps", mapped)
    assert page.out.count("/srv/shm.txt") == 2
    assert page.err.startswith("Private mappings (programs, libraries) not shown: ")


MAPS = """
import mmap, os, time
kept = []
for path in ("/volume/file", "/bind/file", "/etc/hosts", "/scratch/file"):
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, 300)
    kept.append(mmap.mmap(fd, 300))
print("ready", flush=True)
time.sleep(3600)
"""


def test_the_engine_names_the_mounts(command: Command, container: Containers, bind_path: Path) -> None:
    options = ("--volume=/volume", f"--volume={bind_path}:/bind", "--tmpfs=/scratch")
    name = container("containerlab/base:latest", "python3", "-c", MAPS, options=options, ready="ready")
    rows = {one["path"]: one for one in command.asks("maps", name)["mappings"]}
    expected = {"/volume/file": "volume", "/bind/file": "bind", "/etc/hosts": "engine", "/scratch/file": "tmpfs"}
    assert {path: rows[path]["backing"] for path in expected} == expected
    assert (rows["/bind/file"]["host_path"], rows["/bind/file"]["reason"]) == (f"{bind_path}/file", None)
    assert rows["/scratch/file"]["reason"] == "It is mounted only in the container."
    assert rows["/etc/hosts"]["survives"]["remove"] == "no"


def test_maps_read_gives_the_bytes_of_the_file(command: Command, mapped: str) -> None:
    rows = [one for one in command.asks("maps", mapped)["mappings"] if one["shared"]]
    for path, begins in (("/srv/shm.txt", ALPHABET), ("/dev/zero", WORDS), ("/dev/shm/containerlab", WORDS)):
        one = next(row for row in rows if row["path"] == path)
        where = (mapped, str(one["container_pid"]), one["range"])
        read = command.asks("maps", "read", *where, "--length", str(len(begins)))
        assert (read["container"], read["container_pid"], read["range"]) == (mapped, one["container_pid"], one["range"])
        assert (read["offset"], data(read)) == (0, begins)
        part = command.asks("maps", "read", *where, "--offset", "2", "--length", "3")
        assert (part["offset"], data(part)) == (2, begins[2:5])
    printed = command("maps", "read", *where, "--length", "17")
    assert printed.out.splitlines()[1] == f"00000010  {'73':<48}  s"


def test_an_attached_segment_is_a_mapping(command: Command, written: str) -> None:
    def attached() -> dict[str, Any] | None:
        rows: list[dict[str, Any]] = command.asks("maps", written)["mappings"]
        return next((one for one in rows if one["backing"] == "sysv"), None)

    one = eventually(attached, "the waiter has attached the segment")
    assert one is not None
    assert (one["shared"], one["survives"]["process-exit"], one["survives"]["stop-start"]) == (True, "yes", "no")


def test_maps_of_scratch(command: Command, container: Containers) -> None:
    name = container("scratch-static")
    rows = command.asks("maps", name)["mappings"]
    assert {(one["path"], one["backing"], one["shared"]) for one in rows} == {("/sleep", "image", False)}
    first = min(rows, key=lambda one: int(one["range"].split("-")[0], 16))
    assert data(command.asks("maps", "read", name, "1", first["range"], "--length", "4")) == b"\x7fELF"
    page = command("maps", name)
    assert (page.status, page.out) == (0, "No shared mappings of files.\n")
    assert "/sleep" in command("maps", "--private", name).out
