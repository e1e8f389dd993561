"""The client: it keeps its limits, reports failures in sentences, and leaves no process or file descriptor behind."""

import gc
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from containerlab_probes import client as client_module
from containerlab_probes.client import OverviewClient, ProbeClient, agent_command, error_of, unavailable_reason
from containerlab_probes.codec import PROTOCOL
from containerlab_probes.errors import BadRequest, ContainerlabError, Denied, Gone, TimedOut, Unsupported
from containerlab_probes.kernel.namespaces import namespace_inode
from containerlab_probes.memory_records import IpcKind, Overview
from containerlab_probes.processes.identity import identify
from containerlab_probes.records import ContainerRun, ProcessId
from tests.support.docker import eventually
from tests.support.kernel import NO_CONTAINER, namespaced, send

ME = ContainerRun(NO_CONTAINER, identify(os.getpid()))
"""A process of the host, which is no container."""
HELLO = f'{{"id":1,"answer":{{"protocol":{PROTOCOL}}}}}'


def agent_that(then: str, hello: str = HELLO) -> list[str]:
    """Returns the command line of an agent that answers `hello` and then runs `then`."""
    program = (
        f"import sys, os, time\nsys.stdin.readline()\nprint('''{hello}''', flush=True)\nsys.stdin.readline()\n{then}"
    )
    return [sys.executable, "-I", "-S", "-c", program]


def open_files() -> set[str]:
    gc.collect()
    return set(os.listdir("/proc/self/fd"))


def children() -> set[str]:
    with open(f"/proc/self/task/{threading.get_native_id()}/children", encoding="ascii") as file:
        return set(file.read().split())


@pytest.fixture(autouse=True)
def nothing_stays_behind() -> Iterator[None]:
    before = open_files(), children()
    yield
    assert (open_files(), children()) == before


@pytest.fixture(scope="module")
def run() -> Iterator[ContainerRun]:
    """A container in the IPC namespace of this test."""
    with namespaced("exec sleep 1000") as made:
        yield made


@pytest.fixture
def probe(run: ContainerRun) -> Iterator[Callable[..., ProbeClient]]:
    made = []

    def make(of: ContainerRun = run, time_limit_s: float = 5.0, command: list[str] | None = None) -> ProbeClient:
        made.append(ProbeClient(of, time_limit_s=time_limit_s, command=command))
        return made[-1]

    yield make
    for one in made:
        one.close()


Make = Callable[..., ProbeClient]


def test_nothing_starts_before_a_question(probe: Make) -> None:
    before = children()
    probe()
    assert children() == before


def test_questions_of_a_container(probe: Make, run: ContainerRun) -> None:
    client = probe()
    snapshot = client.ipc()
    assert snapshot.namespace == namespace_inode(run.init.pid, "ipc")
    assert [process.id for process in client.processes().processes] == [run.init]
    found = client.maps()
    program = os.readlink(f"/proc/{run.init.pid}/exe")
    assert any(mapping.id == run.init and mapping.path == program for mapping in found.mappings)
    with pytest.raises(Gone, match="shm 2147483647"):
        client.remove_ipc(IpcKind.SHM, str((1 << 31) - 1))
    with pytest.raises(BadRequest):
        client.read_ipc(IpcKind.SHM, "0", 0, 65537)


def test_an_agent_killed_between_questions_is_replaced(probe: Make) -> None:
    client = probe()
    client.ipc()
    assert client._agent is not None
    first = client._agent.process
    first.kill()
    os.waitid(os.P_PID, first.pid, os.WEXITED | os.WNOWAIT)
    client.ipc()
    assert client._agent.process.pid != first.pid


@pytest.mark.parametrize(
    ("then", "error", "words"),
    [
        ("time.sleep(60)", TimedOut, "did not answer in time"),
        ("print('x' * (65 << 20), flush=True)", Unsupported, "larger than the limit of 64 MiB"),
        ("print('{}' , flush=True); time.sleep(60)", Unsupported, "sent an invalid answer"),
        ("print('[' * 100000, flush=True); time.sleep(60)", Unsupported, "sent an invalid answer"),
        ("print('''{\"id\":2,\"answer\":{}}''', flush=True); time.sleep(60)", Unsupported, "sent an invalid answer"),
        ("print('''{\"id\":2,\"error\":7}''', flush=True); time.sleep(60)", Unsupported, "sent an invalid answer"),
        ("print('half', end='', flush=True)", Unsupported, "status 0"),
        ("sys.exit('it hurts')", Unsupported, "status 1: it hurts"),
        ("os.kill(os.getpid(), 9)", Unsupported, "status -9"),
        ("sys.exit(3)", Gone, "has exited"),
        ("os.close(1); time.sleep(60)", TimedOut, "did not exit in time"),
    ],
)
def test_a_failing_agent_is_killed(probe: Make, then: str, error: type[ContainerlabError], words: str) -> None:
    client, before = probe(time_limit_s=0.7, command=agent_that(then)), children()
    for _ in range(2):
        with pytest.raises(error, match=words):
            client.ipc()
        assert children() == before


def test_an_agent_that_reads_nothing_is_killed() -> None:
    """A question larger than the pipe does not block the client."""
    program = "import sys, time\nsys.stdin.readline()\nprint('''" + HELLO + "''', flush=True)\ntime.sleep(60)"
    client = OverviewClient(time_limit_s=0.5, command=[sys.executable, "-I", "-S", "-c", program])
    with pytest.raises(TimedOut):
        client.overview(ContainerRun(NO_CONTAINER, ProcessId(pid, 1)) for pid in range(1, 30_000))
    client.close()


def test_another_protocol_is_refused(probe: Make) -> None:
    hello = '{"id":1,"answer":{"protocol":0}}'
    with pytest.raises(Unsupported, match="invalid answer"):
        probe(command=agent_that("time.sleep(60)", hello)).ipc()


def test_an_error_keeps_the_agent_running(probe: Make) -> None:
    client = probe()
    with pytest.raises(Gone):
        client.remove_ipc(IpcKind.POSIX_SHM, "no such name at all")
    assert client._agent is not None
    process = client._agent.process
    client.ipc()
    assert client._agent.process is process


def test_a_container_that_exits_between_questions(probe: Make) -> None:
    with namespaced("exec sleep 1000") as run:
        client = probe(run)
        client.ipc()
        assert client._agent is not None
        send(run.init, signal.SIGKILL)
        client._agent.process.wait(10)
        with pytest.raises(Gone, match="exited"):
            client.ipc()


def test_a_reused_pid(probe: Make) -> None:
    with pytest.raises(Gone, match="exited"):
        probe(ContainerRun(ME.id, ProcessId(ME.init.pid, ME.init.started - 1))).ipc()


def test_closing(probe: Make) -> None:
    client = probe()
    client.ipc()
    client.close()
    client.close()
    with pytest.raises(Gone, match="has been closed"):
        client.ipc()


def test_closing_ends_a_question_in_progress(probe: Make) -> None:
    client = probe(
        time_limit_s=600.0, command=agent_that("print('asked', file=sys.stderr, flush=True); time.sleep(60)")
    )
    errors: list[ContainerlabError] = []

    def question() -> None:
        try:
            client.ipc()
        except ContainerlabError as error:
            errors.append(error)

    thread = threading.Thread(target=question)
    thread.start()
    eventually(lambda: client._agent is not None, "the agent is started", 60)
    client.close()
    thread.join(60)
    assert not thread.is_alive()
    assert len(errors) == 1


def test_many_threads_share_one_agent(probe: Make) -> None:
    client, answers = probe(), []
    threads = [threading.Thread(target=lambda: answers.append(client.ipc().namespace)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [namespace_inode(0, "ipc")] * 8


def test_the_agent_survives_the_thread_that_started_it(probe: Make) -> None:
    client = probe()
    thread = threading.Thread(target=client.ipc)
    thread.start()
    thread.join()
    assert client._agent is not None
    pid = client._agent.process.pid
    client.ipc()
    assert client._agent.process.pid == pid
    client.close()


def test_a_process_of_the_host_is_not_taken_for_a_container(probe: Make) -> None:
    client = probe(ME)
    for ask in (client.ipc, client.processes, client.maps, lambda: client.remove_ipc(IpcKind.SHM, "0")):
        with pytest.raises(Unsupported, match="Nothing shows"):
            ask()


def test_a_deleted_client_kills_its_agent(run: ContainerRun) -> None:
    before = children()
    client = ProbeClient(run)
    client.ipc()
    assert children() != before
    del client
    gc.collect()
    assert children() == before


def test_an_exiting_interpreter_kills_its_agent(run: ContainerRun) -> None:
    program = (
        "from containerlab_probes.client import ProbeClient\n"
        "from containerlab_probes.records import ContainerRun, ProcessId\n"
        f"client = ProbeClient({run!r})\nclient.ipc()\nprint(client._agent.process.pid)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not os.path.exists(f"/proc/{done.stdout.strip()}")
    assert done.stderr == ""


def test_overview(run: ContainerRun) -> None:
    client = OverviewClient()
    ended, stranger = ContainerRun("e" * 64, ProcessId((1 << 31) - 1, 1)), ContainerRun("d" * 64, ME.init)
    answer = client.overview([run, ended, stranger])
    found = answer[run.id]
    assert isinstance(found, Overview)
    assert found.namespace == namespace_inode(0, "ipc")
    assert isinstance(answer[ended.id], Gone)
    assert isinstance(answer[stranger.id], Unsupported)
    assert client.overview([]) == {}
    with pytest.raises(BadRequest):
        client.overview([ContainerRun("a", ProcessId(-1, 1))])
    client.close()


def test_missing_requirements_are_named(monkeypatch: pytest.MonkeyPatch, probe: Make) -> None:
    assert unavailable_reason() == ""
    monkeypatch.setattr(client_module, "_effective_capabilities", lambda: 1 << 19)
    assert "SYS_ADMIN" in unavailable_reason()
    assert "SYS_PTRACE" not in unavailable_reason()
    with pytest.raises(Denied, match="sudo"):
        probe().ipc()
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert "util-linux" in unavailable_reason()
    with pytest.raises(Unsupported, match="util-linux"):
        probe().ipc()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "Linux" in unavailable_reason()


def test_a_missing_program(probe: Make) -> None:
    with pytest.raises(Unsupported, match="/no/such/program is missing"):
        probe(command=["/no/such/program"]).ipc()


def test_a_refused_nsenter(probe: Make) -> None:
    """The user nobody can't enter another process's namespaces; the sentence names the missing privilege."""
    command = [
        "setpriv",
        "--reuid=65534",
        "--clear-groups",
        "nsenter",
        "--target",
        "1",
        "--ipc",
        "--",
        *agent_command(),
    ]
    with pytest.raises(Denied, match="SYS_ADMIN"):
        probe(command=command).ipc()


def test_errors_in_answers() -> None:
    assert isinstance(error_of({"kind": "gone", "sentence": "a"}), Gone)
    assert isinstance(error_of({"kind": "strange", "sentence": "a"}), Unsupported)
    with pytest.raises(TypeError):
        error_of({"kind": "gone"})
