"""The child process of an experiment with signals.

It is forked, so the program must not have threads. The child is killed when the program exits, is signalled only
through a pidfd, and every wait for it has a time limit.
"""

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable
from typing import NoReturn

from containerlab_probes.kernel.files import names_in, read_status, read_text
from containerlab_probes.kernel.libc import last_failure, libc

LIMIT_S = 5.0
"""Time limit for one child, which usually takes a millisecond or two."""

_NEW_PID_NAMESPACE = 0x20000000
"""CLONE_NEWPID (include/uapi/linux/sched.h)."""
_THREADS = 64
"""More than any child starts."""
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_SAID = {b"h": "handled", b"w": "taken by sigwait", b"f": "read from a signalfd"}


class ChildPipes:
    """The child's end of the two pipes between it and the experiment."""

    def __init__(self, questions: int, answers: int) -> None:
        self._questions, self._answers = questions, answers

    def say(self, word: bytes) -> None:
        """Sends one letter: `r` (ready), or what happened to the signal (`_SAID`)."""
        os.write(self._answers, word)

    def serve(self) -> NoReturn:
        """Does what each question asks and answers `.`; exits after the last one."""
        while True:
            match os.read(self._questions, 1):
                case b"t":
                    os.kill(os.getpid(), signal.SIGTERM)
                case b"k":
                    os.kill(os.getpid(), signal.SIGKILL)
                case b"u":
                    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
                case b"?":
                    pass
                case _:
                    os._exit(0)
            self.say(b".")


Role = Callable[[ChildPipes], None]
"""What the child does before it calls `serve`. A role that calls `serve` itself never returns."""


class ExperimentChild:
    """The child process; with `init` it is PID 1 of a new PID namespace. Leaving the context kills and reaps it."""

    def __init__(self, role: Role, *, init: bool = False) -> None:
        questions, self._questions = os.pipe()
        self._answers, answers = os.pipe()
        self.pid = _fork_init() if init else os.fork()
        if self.pid == 0:
            os.close(self._questions)
            os.close(self._answers)
            _play(role, ChildPipes(questions, answers))
        os.close(questions)
        os.close(answers)
        self._pidfd = os.pidfd_open(self.pid)  # a child that has not been reaped keeps its number
        self._until = time.monotonic() + LIMIT_S
        self._ended = False
        self._said = b""

    def __enter__(self) -> "ExperimentChild":
        try:
            self.wait(lambda: self._has_said(b"r") or bool(self.change()))
            if self._ended:
                raise ChildProcessError("the child process failed before the experiment")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if not self._ended:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        for fd in (self._pidfd, self._questions, self._answers):
            os.close(fd)

    def send(self, number: int) -> None:
        """Sends a signal from outside the child's PID namespace."""
        signal.pidfd_send_signal(self._pidfd, number)

    def wait(self, condition: Callable[[], bool]) -> None:
        """Waits until the condition is true. Raises TimeoutError."""
        while not condition():
            if time.monotonic() > self._until:
                raise TimeoutError("the child process did not react in time")
            time.sleep(0.0002)

    def after(self, number: int, question: bytes = b"?") -> str:
        """Returns what happened to the child or, if it still answers, to the signal.

        The thread that answers must be one that can take the signal, so that it answers only after the kernel has
        handled the signal.
        """
        self._said, change = b"", ""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._questions, question)

        def settled() -> bool:
            nonlocal change
            change = self.change()
            return bool(change) or self._has_said(b".")

        self.wait(settled)
        said = next((text for word, text in _SAID.items() if word in self._said), "")
        return change or said or self.queued(number)

    def next_change(self) -> str:
        """Waits until the child is suspended, is resumed or has exited, and returns which."""
        change = ""

        def changed() -> bool:
            nonlocal change
            change = self.change()
            return bool(change)

        self.wait(changed)
        return change

    def change(self) -> str:
        """Returns whether the child was suspended, was resumed or has exited since the last call; empty: neither."""
        pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
        if not pid:
            return ""
        if os.WIFSTOPPED(status):
            return "suspended"
        if os.WIFCONTINUED(status):
            return "resumed"
        self._ended = True
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}" if os.WIFSIGNALED(status) else "exited"

    def queued(self, number: int) -> str:
        """Returns `pending` if the signal is pending for the child, otherwise `discarded`."""
        return "pending" if number in self._masks("SigPnd", "ShdPnd") else "discarded"

    def opens(self, number: int) -> bool:
        """Returns whether no thread blocks the signal: sigwait unblocks it while it waits."""
        return number not in self._masks("SigBlk")

    def is_zombie(self) -> bool:
        """Returns whether the main thread has exited."""
        return read_text(f"/proc/{self.pid}/stat").rpartition(")")[2].split()[0] == "Z"

    def is_silent(self) -> bool:
        """Returns whether the child and all its descendants have exited."""
        return bool(select.select([self._answers], [], [], 0)[0]) and not os.read(self._answers, 64)

    def _has_said(self, word: bytes) -> bool:
        if select.select([self._answers], [], [], 0)[0]:
            self._said += os.read(self._answers, 64)
        return self._said.endswith(word)

    def _masks(self, *names: str) -> set[int]:
        """Returns the signals in these masks of any thread."""
        found = 0
        for thread in names_in(f"/proc/{self.pid}/task", _THREADS):
            text = read_status(f"/proc/{self.pid}/task/{thread}")
            fields = dict(line.split(":", 1) for line in text.split("\n") if ":" in line)
            for name in names:
                found |= int(fields[name], 16)
        return {number for number in range(1, 65) if found >> (number - 1) & 1}


def _fork_init() -> int:
    """Forks PID 1 of a new PID namespace; later children are in the caller's own namespace again."""
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.unshare(_NEW_PID_NAMESPACE):
            raise last_failure("create a PID namespace")
        pid = os.fork()
        if pid and libc.setns(own, _NEW_PID_NAMESPACE):
            raise last_failure("return to the program's own PID namespace")
        return pid
    finally:
        os.close(own)


def _play(role: Role, line: ChildPipes) -> NoReturn:
    """Runs the child; never returns."""
    try:
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)  # no core file
        role(line)
        line.say(b"r")
        line.serve()
    finally:
        os._exit(1)
