"""Every sender under hostile circumstances: numbers used again, a hidden /proc, user namespaces.

The scenes run in other namespaces, as programs: see tests/support/senders.py.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from containerlab_probes.errors import Gone
from containerlab_probes.kernel.namespaces import namespace_inode
from containerlab_probes.processes.tree import read_process
from containerlab_probes.records import ContainerRun
from containerlab_probes.signals.exits import ExitWatch
from containerlab_probes.signals.send import send
from containerlab_tui.services.terminal import run_to_signal
from tests.support.engine import ScriptedEngine, details
from tests.support.kernel import container_processes, namespaced, running
from tests.support.senders import ROUNDS

ROOT = Path(__file__).parents[3]
NOBODY = 65534
BLOCKS = "import signal, time; signal.pthread_sigmask(signal.SIG_BLOCK, {10}); print(flush=True); time.sleep(1000)"


def played(enter: Sequence[str], *words: str, run: ContainerRun | None = None) -> dict[str, Any]:
    """Runs a scene through a command that enters other namespaces; returns its document."""
    text = f"{run.id} {run.init.pid} {run.init.started}\n" if run else ""
    done = subprocess.run(
        (*enter, sys.executable, "-m", "tests.support.senders", *words),
        input=text, capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def in_own_pids(scene: str) -> dict[str, Any]:
    enter = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    return played(enter, scene, str(namespace_inode(0, "pid")))


def test_the_number_of_a_child_used_again_reaches_no_sender() -> None:
    """The next process with the number is in the same container, so only the start time tells them apart."""
    found = in_own_pids("reused-child")
    assert found.pop("signals.send").endswith("has exited; nothing was sent.")
    assert found == {
        "send": "gone",
        "refresh": "gone",
        "exits": [True, None],
        "mapping": "gone",
        "got a signal": False,
        "got one that was meant for it": True,
    }


def test_the_number_of_pid_1_used_again_reaches_no_sender() -> None:
    """A container has exited, and another one's PID 1 has the number of its PID 1."""
    assert in_own_pids("reused-pid-1") == {
        "PID 1": "gone",
        "its child": "gone",
        "a child of the next": "gone",
        "got a signal": False,
    }


def test_no_signal_reaches_the_next_process_while_a_number_changes_hands() -> None:
    assert in_own_pids("race") == {"gone": ROUNDS, "wrong": 0}


HIDDEN = ("unshare", "--mount", "sh", "-c", 'mount -t proc -o hidepid=2 proc /proc && exec "$@"', "sh")


def test_what_hidepid_hides_is_neither_signalled_nor_said_to_have_stopped() -> None:
    with namespaced("exec sleep 1000") as run:
        found = played(HIDDEN, "unprivileged", str(NOBODY), run=run)
        assert run.init == read_process(run.init.pid).id
    assert "hidepid" in found.pop("reason")
    assert found == {"send": "denied", "membership": "denied", "identify": "denied", "seen": 0}


def test_root_sees_through_hidepid() -> None:
    with namespaced("exec sleep 1000") as run:
        found = played(HIDDEN, "unprivileged", run=run)
    assert found == {"send": "", "membership": "", "identify": "", "seen": 1, "reason": ""}


def test_a_user_without_privileges_sends_nothing_to_what_cannot_be_checked() -> None:
    with namespaced("exec sleep 1000") as run:
        found = played((), "unprivileged", str(NOBODY), run=run)
        assert run.init == read_process(run.init.pid).id
    assert "run this with sudo" in found.pop("reason")
    assert found == {"send": "denied", "membership": "denied", "identify": "", "seen": 0}


def test_root_of_a_user_namespace_sends_nothing_to_what_it_cannot_check() -> None:
    """It is the same user to the kernel, so that the kernel would let the signal pass."""
    with namespaced("exec sleep 1000") as run:
        found = played(("unshare", "--user", "--map-root-user"), "unprivileged", run=run)
        assert run.init == read_process(run.init.pid).id
    assert "run this with sudo" in found.pop("reason")
    assert found == {"send": "denied", "membership": "denied", "identify": "", "seen": 0}


@pytest.mark.parametrize("options", [("--user", "--map-root-user"), ("--net",), ("--user", "--net", "--ipc", "--uts")])
def test_only_the_pid_namespace_of_a_container_counts(options: tuple[str, ...]) -> None:
    """A container of another user, with or without the host's network: a stranger in that network gets nothing."""
    with namespaced("exec sleep 1000", options=options) as run, running() as stranger:
        assert [one.id for one in container_processes(run)] == [run.init]
        with pytest.raises(Gone, match=f"Process {stranger.pid} does not belong"):
            send(run, stranger.id, signal.SIGKILL)
        assert read_process(stranger.pid).id == stranger.id
        watch = ExitWatch((run.init,))
        send(run, run.init, signal.SIGKILL)
        assert [one.ended_by for one in watch.wait(60)] == ["SIGKILL"]
        watch.close()


def test_a_process_that_shares_every_namespace_but_pid_is_a_stranger() -> None:
    """A program that entered the network, IPC, UTS and mount namespaces of a container stays the host's."""
    with namespaced("exec sleep 1000", options=("--net", "--ipc", "--uts", "--mount")) as run:
        enter = ("nsenter", f"--target={run.init.pid}", "--net", "--ipc", "--uts", "--mount", "--")
        with subprocess.Popen((*enter, sys.executable, "-S", "-c", BLOCKS), stdout=subprocess.PIPE) as beside:
            assert beside.stdout is not None
            assert beside.stdout.readline() == b"\n"
            stranger = read_process(beside.pid)
            assert stranger.id not in {one.id for one in container_processes(run)}
            with pytest.raises(Gone, match="does not belong"):
                send(run, stranger.id, signal.SIGUSR1)
            assert not read_process(beside.pid).dispositions.pending
            beside.kill()


def test_ctrl_c_of_an_attach_session_goes_to_the_containers_pid_1_alone() -> None:
    """Where nothing shows which process that is, the engine sends it."""
    with namespaced("exec sleep 1000") as run, running() as stranger:
        assert run_to_signal(ScriptedEngine(), details(id=run.id, pid=run.init.pid)) == run
        assert run_to_signal(ScriptedEngine(), details(id=run.id, pid=stranger.pid)) is None
