"""Gives the number of an exited process of a container to its next one; run it in a PID namespace made for this.

`/proc/sys/kernel/ns_last_pid` (man 7 pid_namespaces) sets the next number of the writer's PID namespace alone.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from containerlab_probes.kernel.namespaces import namespace_inode
from containerlab_probes.processes.identity import identify
from containerlab_probes.processes.tree import read_process
from containerlab_probes.records import ContainerRun, ProcessId
from tests.support.kernel import NO_CONTAINER

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
SIGNAL = signal.SIGUSR1
_INIT = """
import signal, subprocess, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
print(flush=True)
for line in sys.stdin:
    if line == "start\\n":
        child = subprocess.Popen(("sleep", "1000"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    else:
        child.kill()
        child.wait()
    print(flush=True)
"""


@dataclass
class Container:
    """A container whose PID 1 starts and ends one child at a time. All its processes block `SIGNAL`."""

    run: ContainerRun
    asks: IO[str]
    answers: IO[str]

    def start(self, number: int = 0) -> ProcessId:
        """Starts a child, with that number in this namespace if given."""
        if number:
            take_next(number)
        self._ask("start")
        (child,) = psutil.Process(self.run.init.pid).children()
        return identify(child.pid)

    def end(self) -> None:
        """Kills the child and reaps it, so that its number is free."""
        self._ask("end")

    def _ask(self, what: str) -> None:
        self.asks.write(f"{what}\n")
        self.asks.flush()
        assert self.answers.readline() == "\n"


@contextmanager
def container() -> Iterator[Container]:
    """Yields a container in a PID namespace below this one; killed and reaped afterwards, by this PID 1."""
    command = ("unshare", "--pid", "--fork", "--kill-child", sys.executable, "-S", "-c", _INIT)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as outer:
        try:
            assert outer.stdin is not None
            assert outer.stdout is not None
            assert outer.stdout.readline() == "\n"
            (init,) = psutil.Process(outer.pid).children()
            yield Container(ContainerRun(NO_CONTAINER, identify(init.pid)), outer.stdin, outer.stdout)
        finally:
            outer.kill()
    os.waitpid(init.pid, 0)


def take_next(number: int) -> None:
    """Makes the next process of this PID namespace get this number, in a later clock tick than all before."""
    began = time.clock_gettime(time.CLOCK_BOOTTIME)
    while time.clock_gettime(time.CLOCK_BOOTTIME) - began < 2 * _TICK_S:
        os.sched_yield()  # a start time has this resolution
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(number - 1))


def require_own_namespace(outer: int) -> None:
    """Fails in the PID namespace of the test, given by its inode: there, other programs would get the numbers."""
    assert namespace_inode(0, "pid") != outer


def got_signal(id: ProcessId) -> bool:
    """Returns whether this process was sent `SIGNAL`, which it blocks, so that it stays pending."""
    seen = read_process(id.pid)
    assert seen.id == id
    return SIGNAL in seen.dispositions.pending
