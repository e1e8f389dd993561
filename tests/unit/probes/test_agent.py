"""The agent's answers: invalid questions are refused, and no question silences or kills it."""

import json
import os
import select
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containerlab_probes import codec
from containerlab_probes.agent import Agent, Question, answer_line, main
from containerlab_probes.client import agent_command
from containerlab_probes.kernel.namespaces import namespace_inode
from containerlab_probes.memory_records import (
    Backing,
    IpcKind,
    IpcObject,
    IpcSnapshot,
    Mapping,
    Mappings,
    Semaphore,
    Storage,
    Window,
)
from containerlab_probes.processes.identity import identify
from containerlab_probes.records import ContainerRun, Dispositions, Process, ProcessId
from tests.support.kernel import NO_CONTAINER, namespaced

ME = identify(os.getpid())


@pytest.fixture(scope="module")
def run() -> Iterator[ContainerRun]:
    """A container in the IPC namespace of this test."""
    with namespaced("exec sleep 1000") as made:
        yield made


def ask(agent: Agent, **question: object) -> dict[str, Any]:
    return dict(json.loads(answer_line(agent, json.dumps({"id": 7, **question}).encode())))


def sentence(answer: dict[str, Any], kind: str) -> str:
    assert answer["id"] in (7, None)
    assert answer["error"]["kind"] == kind
    return str(answer["error"]["sentence"])


def test_hello() -> None:
    answer = ask(Agent(None), ask="hello")["answer"]
    assert answer == {"protocol": codec.PROTOCOL, "pid": os.getpid(), "namespace": namespace_inode(0, "ipc")}


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"ask": "fly"}, "Unknown question 'fly'"),
        ({"ask": "hello", "more": 1}, "hello takes these fields: none"),
        ({"ask": "ipc-read", "kind": "shm"}, "fields: kind, length, object, offset"),
        ({"ask": "overview", "runs": "ab:1:2"}, "list of ID:PID:STARTED"),
        ({"ask": "overview", "runs": [1]}, "list of ID:PID:STARTED"),
        ({"ask": "overview", "runs": ["ab:1:2", "1"]}, "'1' is not of the form ID:PID:STARTED"),
        ({"ask": "overview", "runs": ["ab:0:2"]}, "not of the form"),
        ({"ask": "overview", "runs": ["ab:-1:2"]}, "not of the form"),
        ({"ask": "overview", "runs": ["ab:1:"]}, "not of the form"),
        ({"ask": "overview", "runs": [":1:2"]}, "not of the form"),
        ({"ask": "overview", "runs": ["a/b:1:2"]}, "not of the form"),
        ({"ask": "overview", "runs": ["ab:1:2\n"]}, "not of the form"),
        ({"ask": "ipc-read", "kind": "shmm", "object": "0", "offset": 0, "length": 1}, "kind must be one of"),
        ({"ask": "ipc-read", "kind": "shm", "object": "0", "offset": -1, "length": 1}, "offset must be"),
        ({"ask": "ipc-read", "kind": "shm", "object": "0", "offset": 0, "length": 65537}, "65536"),
        ({"ask": "ipc-read", "kind": "shm", "object": "0", "offset": 0, "length": True}, "length must be"),
        ({"ask": "ipc-read", "kind": "shm", "object": "x", "offset": 0, "length": 1}, "'x' is not the id"),
        ({"ask": "ipc-read", "kind": "sem", "object": "0", "offset": 0, "length": 1}, "no bytes to read"),
        ({"ask": "ipc-read", "kind": "posix-shm", "object": "../a", "offset": 0, "length": 1}, "not the name"),
        ({"ask": "ipc-remove", "kind": "shm", "object": "-1"}, "'-1' is not the id"),
        ({"ask": "ipc-remove", "kind": "shm", "object": ""}, "object must be"),
        ({"ask": "ipc-remove", "kind": "posix-shm", "object": "\ud800"}, "can be a file name"),
        ({"ask": "maps", "upper_dir": 7, "lower_dir": ""}, "upper_dir must be"),
        ({"ask": "maps", "upper_dir": "a\0b", "lower_dir": ""}, "upper_dir must be"),
        ({"ask": "maps", "upper_dir": "", "lower_dir": None}, "lower_dir must be"),
    ],
)
def test_questions_that_are_refused(run: ContainerRun, question: dict[str, object], words: str) -> None:
    assert words in sentence(ask(Agent(run), **question), "bad-request")


def map_read(of: ProcessId, range_: str) -> dict[str, object]:
    return {"ask": "map-read", "pid": of.pid, "started": of.started, "range": range_, "offset": 0, "length": 1}


def test_a_range_that_is_not_one_is_refused(run: ContainerRun) -> None:
    assert "not the range" in sentence(ask(Agent(run), **map_read(run.init, "../fd/0")), "bad-request")


@pytest.mark.parametrize(
    "line", [b"", b"{", b"7", b"[]", b'{"id":7}', b'{"id":"7","ask":"hello"}', b"\xff", b"[" * 9999]
)
def test_invalid_lines(line: bytes) -> None:
    assert sentence(json.loads(answer_line(Agent(None), line)), "bad-request")


@given(st.binary())
def test_any_line_gets_one_line_as_an_answer(line: bytes) -> None:
    answer = answer_line(Agent(None), line)
    assert answer.count(b"\n") == 1
    assert answer.endswith(b"\n")
    assert set(json.loads(answer)) == {"id", "error"}


@pytest.mark.parametrize(
    "question", [{"ask": "ipc"}, {"ask": "maps", "upper_dir": "", "lower_dir": ""}, {"ask": "processes"}]
)
def test_questions_that_need_a_container(run: ContainerRun, question: dict[str, object]) -> None:
    assert "hello and overview" in sentence(ask(Agent(None), **question), "bad-request")
    gone = Agent(replace(run, init=ProcessId(run.init.pid, run.init.started - 1)))
    assert "exited" in sentence(ask(gone, **question), "gone")


@pytest.mark.parametrize(
    "question",
    [{"ask": "ipc"}, {"ask": "maps", "upper_dir": "", "lower_dir": ""}, {"ask": "processes"},
     {"ask": "ipc-remove", "kind": "shm", "object": "0"}, map_read(ME, "1-2")],
)  # fmt: skip
def test_a_process_of_the_host_is_not_taken_for_a_container(question: dict[str, object]) -> None:
    """This test is in the host's PID namespace and in no container's cgroup."""
    assert "Nothing shows" in sentence(ask(Agent(ContainerRun(NO_CONTAINER, ME)), **question), "unsupported")


def test_a_too_large_answer_is_an_error() -> None:
    line = json.dumps({"id": 7, "ask": "hello"}).encode()
    whole = json.loads(answer_line(Agent(None), line))
    assert "answer" in whole
    assert "larger than" in sentence(json.loads(answer_line(Agent(None), line, limit=20)), "unsupported")


class Broken(Agent):
    """An agent with a defect."""

    def answer(self, question: Question) -> object:
        raise ZeroDivisionError("oops")


def test_a_defect_is_an_answer() -> None:
    assert "ZeroDivisionError: oops" in sentence(ask(Broken(None), ask="hello"), "unsupported")


@pytest.mark.parametrize("stranger", [ME, identify(1)])
def test_processes_outside_the_container_are_not_read(run: ContainerRun, stranger: ProcessId) -> None:
    assert "does not belong to this container" in sentence(ask(Agent(run), **map_read(stranger, "1-2")), "gone")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--help"],
        ["--serve", "--container"],
        ["--serve", "--container", "1"],
        ["--serve", "--container", "1:2"],
        ["--serve", "x", "a:1:2"],
    ],
)
def test_invalid_command_lines(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "--container" in capsys.readouterr().err


@dataclass
class Started:
    process: "subprocess.Popen[bytes]"

    def line(self, data: bytes) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()
        return dict(json.loads(self.process.stdout.readline()))

    def hello(self) -> dict[str, Any]:
        return self.line(b'{"id":1,"ask":"hello"}\n')


@pytest.fixture
def started() -> Iterator[Started]:
    with subprocess.Popen(agent_command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield Started(process)
        process.kill()


def test_garbage_between_questions(started: Started) -> None:
    assert started.line(b"\xff\xfe garbage\n")["error"]["kind"] == "bad-request"
    assert started.line(b"x" * ((1 << 20) + 70_000) + b"\n")["error"]["kind"] == "bad-request"
    assert started.line(b'\n\n{"id":2,"ask":"fly"}\n')["id"] == 2
    assert started.hello()["answer"]["pid"] == started.process.pid


def test_two_questions_at_once_are_answered_in_order(started: Started) -> None:
    assert started.line(b'{"id":1,"ask":"hello"}\n{"id":2,"ask":"hello"}\n')["id"] == 1
    assert started.process.stdout is not None
    assert json.loads(started.process.stdout.readline())["id"] == 2


def test_it_exits_when_its_input_ends(started: Started) -> None:
    started.hello()
    assert started.process.stdin is not None
    started.process.stdin.close()
    assert started.process.wait(10) == 0


def test_it_exits_with_its_parent() -> None:
    """It exits even if another process still holds the other end of its input."""
    reading, writing = os.pipe()
    answers, answering = os.pipe()
    program = (
        f"import subprocess; p = subprocess.Popen({agent_command()!r}, stdin={reading}, stdout={answering}); "
        "print(p.pid, flush=True); p.wait()"
    )
    with subprocess.Popen(
        [*agent_command()[:1], "-c", program], pass_fds=(reading, answering), stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        agent = os.pidfd_open(int(parent.stdout.readline()))
        os.write(writing, b'{"id":1,"ask":"hello"}\n')
        assert json.loads(os.read(answers, 4096))["id"] == 1
        parent.kill()
    assert select.select([agent], [], [], 10)[0] == [agent]
    for fd in (reading, writing, answers, answering, agent):
        os.close(fd)


def test_it_exits_with_the_container() -> None:
    with subprocess.Popen(["sleep", "1000"]) as init:
        id = identify(init.pid)
        command = agent_command("--container", f"{NO_CONTAINER}:{id.pid}:{id.started}")
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert Started(process).hello()["answer"]["pid"] == process.pid
            init.send_signal(signal.SIGKILL)
            assert process.wait(10) == codec.CONTAINER_GONE
        wrong = agent_command("--container", f"{NO_CONTAINER}:{os.getpid()}:{ME.started + 1}")
        assert subprocess.run(wrong, stdin=subprocess.DEVNULL, check=False).returncode == codec.CONTAINER_GONE


TEXTS = st.text(st.characters(), max_size=8) | st.just("\udcff")
NUMBERS = st.integers(0, 1 << 64)
IDS = st.builds(ProcessId, NUMBERS, NUMBERS)
SIGNALS = st.frozensets(st.integers(1, 64), max_size=3)
OBJECTS = st.builds(
    IpcObject,
    kind=st.sampled_from(IpcKind),
    id=TEXTS,
    key=st.none() | NUMBERS,
    name=TEXTS,
    bytes=st.none() | NUMBERS,
    owner=NUMBERS,
    group=NUMBERS,
    mode=st.integers(0, 0o777),
    users=st.lists(NUMBERS, max_size=3).map(tuple),
    changed_at=st.none() | st.floats(0, 1e10),
    semaphores=st.lists(st.builds(Semaphore, NUMBERS, NUMBERS, NUMBERS, NUMBERS), max_size=3).map(tuple),
)
PROCESSES = st.builds(
    Process,
    id=IDS,
    started_at=st.floats(0, 1e10),
    argv=st.lists(TEXTS, max_size=3).map(tuple),
    dispositions=st.builds(Dispositions, caught=SIGNALS, blocked=SIGNALS, in_sigsuspend=st.booleans()),
)
STORAGES = st.builds(Storage, st.none() | st.sampled_from(Backing), st.none() | TEXTS, TEXTS, TEXTS, TEXTS)
MAPPINGS = st.builds(Mapping, id=IDS, path=TEXTS, file_bytes=st.none() | NUMBERS, storage=STORAGES)
RECORDS = st.one_of(
    st.builds(IpcSnapshot, NUMBERS, st.lists(OBJECTS, max_size=3).map(tuple), st.dictionaries(TEXTS, NUMBERS)),
    st.builds(Window, NUMBERS, st.binary(), NUMBERS),
    st.builds(Mappings, st.lists(MAPPINGS, max_size=3).map(tuple)),
    PROCESSES,
)


@given(RECORDS)
def test_records_round_trip(record: object) -> None:
    line = json.dumps(codec.to_plain(record)).encode("ascii")
    assert codec.decoder(record.__class__)(json.loads(line)) == record


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["offset", "data", "x"]), inner),
)


@given(JSON)
def test_values_of_another_form_are_refused(plain: object) -> None:
    try:
        window = codec.decoder(Window)(plain)
    except (ValueError, TypeError, KeyError):
        return
    pytest.fail(f"{plain} became {window}")
