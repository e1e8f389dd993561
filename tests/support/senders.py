"""Runs one scene of tests/unit/services/test_senders.py, in another namespace: `python -m … SCENE INODE`.

Each prints a JSON document. INODE is the PID namespace of the caller.
"""

import json
import os
import sys
import threading
from collections.abc import Callable

from containerlab_probes.client import ProbeClient
from containerlab_probes.errors import ContainerlabError, Gone
from containerlab_probes.processes.identity import identify
from containerlab_probes.processes.membership import membership_of
from containerlab_probes.processes.tree import read_process
from containerlab_probes.records import ContainerRun, ProcessId
from containerlab_probes.signals.exits import ExitWatch
from containerlab_probes.signals.send import send
from containerlab_tui.services import signals
from containerlab_tui.services.processes import see_processes
from tests.support import pid_reuse
from tests.support.engine import UNRESTRICTED, ScriptedEngine, details
from tests.support.kernel import PlayedTrace
from tests.support.pid_reuse import SIGNAL, container, got_signal, require_own_namespace

ROUNDS = 40
Outcome = dict[str, object]


def attempt(ask: Callable[[], object]) -> str:
    """Returns the kind of error, or an empty string if there was none."""
    try:
        ask()
    except ContainerlabError as error:
        return error.kind
    return ""


def child() -> Outcome:
    """Asks each sender for a child that has exited, while another child of the container has its number."""
    with container() as made:
        first = made.start()
        seen = read_process(first.pid)
        made.end()
        second = made.start(first.pid)
        assert (second.pid, second.started != first.started) == (first.pid, True)
        about = details(id=made.run.id, pid=made.run.init.pid)
        (sent,) = signals.send(
            ScriptedEngine(), about, (seen,), SIGNAL, policy=UNRESTRICTED, record=PlayedTrace("none").record
        )
        watch = ExitWatch((first,))
        (exit,) = watch.wait(60)
        watch.close()
        client = ProbeClient(made.run)
        outcome = {
            "send": attempt(lambda: send(made.run, first, SIGNAL)),
            "signals.send": sent.error,
            "refresh": attempt(lambda: signals.refresh(ScriptedEngine(), about, seen)),
            "exits": [exit.id == first, exit.ended_by],
            "mapping": attempt(lambda: client.read_mapping(first, "1-2", 0, 1)),
            "got a signal": got_signal(second),
        }
        client.close()
        send(made.run, second, SIGNAL)
        return outcome | {"got one that was meant for it": got_signal(second)}


def init() -> Outcome:
    """Asks for PID 1 and a child of a container that has exited, while another container's PID 1 has the number."""
    with container() as before:
        run, old = before.run, before.start()
    pid_reuse.take_next(run.init.pid - 1)  # that of unshare, which starts PID 1 next
    with container() as after:
        now = after.start()
        assert (after.run.init.pid, after.run.init != run.init) == (run.init.pid, True)
        return {
            "PID 1": attempt(lambda: send(run, run.init, SIGNAL)),
            "its child": attempt(lambda: send(run, old, SIGNAL)),
            "a child of the next": attempt(lambda: send(run, now, SIGNAL)),
            "got a signal": got_signal(after.run.init) or got_signal(now),
        }


def race() -> Outcome:
    """Sends to a child again and again while it exits and the next one gets its number."""
    wrong, gone = 0, 0
    with container() as made:
        for _ in range(ROUNDS):
            first = made.start()
            sender = Sender(made.run, first)
            made.end()
            second = made.start(first.pid)
            gone += sender.ended()
            wrong += got_signal(second)
            made.end()
    return {"gone": gone, "wrong": wrong}


class Sender:
    """Sends to one process in a thread until it has exited."""

    def __init__(self, run: ContainerRun, id: ProcessId) -> None:
        self._run, self._id = run, id
        self._errors: list[str] = []
        self._stop = False
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def _send(self) -> None:
        while not self._stop:
            try:
                send(self._run, self._id, SIGNAL)
            except Gone as error:
                self._errors.append(str(error))

    def ended(self) -> bool:
        """Stops; returns whether the last attempts were refused."""
        self._stop = True
        self._thread.join()
        return bool(self._errors)


def unprivileged() -> Outcome:
    """Asks as a user who may not see or signal the container's processes; the run is on standard input."""
    id, pid, started = sys.stdin.readline().split()
    run = ContainerRun(id, ProcessId(int(pid), int(started)))
    about = details(id=run.id, pid=run.init.pid)
    seen, reason = see_processes(ScriptedEngine(), about)
    return {
        "send": attempt(lambda: send(run, run.init, SIGNAL)),
        "membership": attempt(lambda: membership_of(run)),
        "identify": attempt(lambda: identify(run.init.pid)),
        "seen": len(seen),
        "reason": reason,
    }


SCENES: dict[str, Callable[[], Outcome]] = {"reused-child": child, "reused-pid-1": init, "race": race}

if __name__ == "__main__":
    if sys.argv[1] == "unprivileged":
        if sys.argv[2:]:
            os.setgroups([])
            os.setgid(int(sys.argv[2]))
            os.setuid(int(sys.argv[2]))
        print(json.dumps(unprivileged()))
    else:
        require_own_namespace(int(sys.argv[2]))
        print(json.dumps(SCENES[sys.argv[1]]()))
