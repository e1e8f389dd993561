"""Experiments that show what the running kernel does with signals: one for each rule of `rules`.

This is a separate program (`python -I -S FILE NAME …`), because the caller may have threads and a process with threads
must not fork. It prints one JSON object: the results by experiment, the failures, and why this machine refuses
experiments.
"""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from os.path import dirname
from typing import NoReturn

if not __package__:
    sys.path.insert(0, dirname(dirname(dirname(__file__))))

from containerlab_probes.errors import ContainerlabError
from containerlab_probes.kernel.experiment_child import LIMIT_S, ChildPipes, ExperimentChild, Role
from containerlab_probes.kernel.libc import last_failure, libc

_TERM, _QUIT, _KILL, _STOP, _CONT, _TSTP, _CHLD = (
    signal.SIGTERM, signal.SIGQUIT, signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT, signal.SIGTSTP, signal.SIGCHLD,
)  # fmt: skip
_EXIT = {"x86_64": 60, "aarch64": 93}
"""exit(2), which ends one thread, by machine (arch/x86/entry/syscalls, include/uapi/asm-generic/unistd.h)."""

Experiment = Callable[[], str]


# ---- roles: how the child treats signals


def plain(line: ChildPipes) -> None:
    """Has no handler and blocks nothing."""


def handles(line: ChildPipes) -> None:
    """Has a handler for SIGTERM."""
    signal.signal(_TERM, lambda *_: line.say(b"h"))


def ignores(line: ChildPipes) -> None:
    """Ignores SIGTERM."""
    signal.signal(_TERM, signal.SIG_IGN)


def blocks(line: ChildPipes) -> None:
    """Blocks SIGTERM."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {_TERM})


def ignores_and_blocks(line: ChildPipes) -> None:
    """Ignores SIGTERM and blocks it too."""
    ignores(line)
    blocks(line)


def ignores_and_blocks_continue(line: ChildPipes) -> None:
    """Ignores SIGCONT and blocks it too."""
    signal.signal(_CONT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {_CONT})


def blocks_in_the_main_thread(line: ChildPipes) -> None:
    """Blocks SIGTERM and SIGQUIT in the main thread; another thread doesn't."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {_TERM, _QUIT})

    def other() -> NoReturn:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {_TERM, _QUIT})
        line.say(b"r")
        line.serve()

    threading.Thread(target=other, daemon=True).start()
    while True:
        time.sleep(LIMIT_S)


def waits(line: ChildPipes) -> None:
    """Waits for SIGTERM in sigwait."""
    blocks(line)
    line.say(b"r")
    signal.sigwait({_TERM})
    line.say(b"w")
    line.serve()


def waits_and_ignores(line: ChildPipes) -> None:
    """Ignores SIGTERM and waits for it in sigwait."""
    ignores(line)
    waits(line)


def waits_in_another_thread(line: ChildPipes) -> None:
    """Waits for SIGTERM in another thread; the main thread doesn't block it."""

    def other() -> None:
        blocks(line)
        signal.sigwait({_TERM})
        line.say(b"w")

    threading.Thread(target=other, daemon=True).start()


def reads_from_a_signalfd(line: ChildPipes) -> None:
    """Blocks SIGTERM and reads it from a signalfd."""
    blocks(line)
    fd = libc.signalfd(-1, (ctypes.c_uint64 * 16)(1 << (_TERM - 1)), 0)
    if fd < 0:
        raise last_failure("create a signalfd")
    line.say(b"r")
    os.read(fd, 128)
    line.say(b"f")
    line.serve()


def leads_a_group(line: ChildPipes) -> None:
    """Is in a process group whose leader's parent is in another group of the session."""
    os.setpgid(0, 0)


def leads_an_orphaned_group(line: ChildPipes) -> None:
    """Is in an orphaned process group: no parent of a member is in the same session."""
    os.setsid()


def exits_its_main_thread(line: ChildPipes) -> None:
    """Exits the main thread; another thread continues."""

    def other() -> NoReturn:
        line.say(b"r")
        line.serve()

    number = _EXIT[os.uname().machine]
    threading.Thread(target=other, daemon=True).start()
    libc.syscall(number, 0)


def has_a_child(line: ChildPipes) -> None:
    """Has a child that never exits on its own and keeps the pipe for answers open."""
    if os.fork() == 0:
        while True:
            signal.pause()


# ---- experiments


def _sent(role: Role, number: int, *, init: bool = False) -> Experiment:
    """Returns an experiment that sends one signal from outside."""

    def experiment() -> str:
        with ExperimentChild(role, init=init) as child:
            child.send(number)
            return child.after(number)

    return experiment


def _raised(question: bytes, number: int) -> Experiment:
    """Returns an experiment in which PID 1 sends a signal to itself."""

    def experiment() -> str:
        with ExperimentChild(plain, init=True) as child:
            return child.after(number, question)

    return experiment


def _waited_for(role: Role) -> Experiment:
    """Returns an experiment that sends SIGTERM while a thread is in sigwait."""

    def experiment() -> str:
        with ExperimentChild(role) as child:
            child.wait(lambda: child.opens(_TERM))
            child.send(_TERM)
            return child.after(_TERM)

    return experiment


def _suspended(role: Role, number: int) -> Experiment:
    """Returns an experiment that sends a suspended process a signal with an immediate effect."""

    def experiment() -> str:
        with ExperimentChild(role) as child:
            child.send(_STOP)
            before = child.next_change()
            child.send(number)
            return child.next_change() if before == "suspended" else before

    return experiment


def _term_while_suspended() -> str:
    with ExperimentChild(plain) as child:
        child.send(_STOP)
        child.next_change()
        child.send(_TERM)
        before = child.queued(_TERM)
        child.send(_CONT)
        after = child.next_change()
        return f"{before}, then {child.next_change() if after == 'resumed' else after}"


def _term_while_init_is_suspended() -> str:
    with ExperimentChild(plain, init=True) as child:
        child.send(_STOP)
        child.next_change()
        child.send(_TERM)
        return child.queued(_TERM)


def _blocked_by_init() -> str:
    with ExperimentChild(blocks, init=True) as child:
        child.send(_TERM)
        before = child.after(_TERM)
        return f"{before}, then {child.after(_TERM, b'u')}"


def _main_thread_ended() -> str:
    with ExperimentChild(exits_its_main_thread) as child:
        child.wait(child.is_zombie)
        child.send(_TERM)
        return child.after(_TERM)


def _zombie() -> str:
    with ExperimentChild(plain) as child:
        child.send(_KILL)
        child.wait(child.is_zombie)
        child.send(_TERM)
        return "discarded" if child.is_zombie() else "no longer a zombie"


def _init_exits() -> str:
    with ExperimentChild(has_a_child, init=True) as child:
        result = child.after(_TERM, b"x")
        child.wait(child.is_silent)
        return "killed" if result == "exited" else result


EXPERIMENTS: dict[str, Experiment] = {
    "init-default": _sent(plain, _TERM, init=True),
    "init-default-core": _sent(plain, _QUIT, init=True),
    "init-default-suspend": _sent(plain, _TSTP, init=True),
    "init-kill": _sent(plain, _KILL, init=True),
    "init-stop": _sent(plain, _STOP, init=True),
    "init-handler": _sent(handles, _TERM, init=True),
    "init-raises": _raised(b"t", _TERM),
    "init-raises-kill": _raised(b"k", _KILL),
    "init-blocks": _blocked_by_init,
    "init-main-thread-first": _sent(waits_in_another_thread, _TERM, init=True),
    "init-main-thread-blocks": _sent(blocks_in_the_main_thread, _TERM, init=True),
    "init-main-thread-blocks-core": _sent(blocks_in_the_main_thread, _QUIT, init=True),
    "init-suspended": _term_while_init_is_suspended,
    "init-exits": _init_exits,
    "default": _sent(plain, _TERM),
    "default-core": _sent(plain, _QUIT),
    "default-nothing": _sent(plain, _CHLD),
    "default-suspend": _sent(leads_a_group, _TSTP),
    "default-suspend-orphaned": _sent(leads_an_orphaned_group, _TSTP),
    "handler": _sent(handles, _TERM),
    "ignored": _sent(ignores, _TERM),
    "ignored-blocked": _sent(ignores_and_blocks, _TERM),
    "blocked": _sent(blocks, _TERM),
    "main-thread-first": _sent(waits_in_another_thread, _TERM),
    "main-thread-blocks": _sent(blocks_in_the_main_thread, _TERM),
    "main-thread-ended": _main_thread_ended,
    "sigwait": _waited_for(waits),
    "sigwait-ignored": _waited_for(waits_and_ignores),
    "signalfd": _sent(reads_from_a_signalfd, _TERM),
    "suspended": _term_while_suspended,
    "suspended-kill": _suspended(plain, _KILL),
    "suspended-continue": _suspended(ignores_and_blocks_continue, _CONT),
    "zombie": _zombie,
}
"""By the names of `rules.RULES`."""


def main(names: Iterable[str]) -> None:
    """Runs the experiments of these names and prints the results."""
    import json

    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # the parent may block or ignore them
    for number in (_TERM, _QUIT, _CONT, _TSTP, _CHLD):
        signal.signal(number, signal.SIG_DFL)
    seen: dict[str, str] = {}
    problems: dict[str, str] = {}
    refused: dict[str, str] | None = None
    for name in names:
        try:
            seen[name] = EXPERIMENTS[name]()
        except ContainerlabError as error:
            refused = {"kind": error.kind, "sentence": str(error)}
            break
        except (OSError, KeyError) as error:
            problems[name] = str(error)
    json.dump({"seen": seen, "problems": problems, "refused": refused}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
