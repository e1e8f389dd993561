"""(process, signal) -> what the kernel and the program will do with it. Pure: it reads no file and sends nothing.

The order of the questions is the kernel's (kernel/signal.c: prepare_signal, sig_ignored, complete_signal,
get_signal) for a signal that comes from outside of the process's PID namespace, as those of an engine do.
"""

import signal as posix

from containerlab_probes.errors import BadRequest
from containerlab_probes.records import Delivery, Effect, Forecast, Process
from containerlab_probes.signals.names import default_action, name_of

_KILL, _STOP, _CONT, _CHLD, _HUP = (
    int(one) for one in (posix.SIGKILL, posix.SIGSTOP, posix.SIGCONT, posix.SIGCHLD, posix.SIGHUP)
)
_JOB_CONTROL = frozenset((int(posix.SIGTSTP), int(posix.SIGTTIN), int(posix.SIGTTOU)))
_BASH_WITH_EXIT_TRAP = frozenset((int(posix.SIGILL), int(posix.SIGTRAP), int(posix.SIGSYS)))
"""No program catches these for a trap on SIGTERM; bash does for a trap on EXIT, with every other that ends it."""

_Answer = tuple[Delivery, Effect, str]


def forecast(process: Process, signal: int, children: tuple[Process, ...] = ()) -> Forecast:
    """What a signal sent to `process` from outside of its PID namespace would do now (man 7 signal).

    `children` name the ones that a shell waits for. Raises BadRequest for no signal.
    """
    if not 1 <= signal <= 64:
        raise BadRequest(f"There is no signal {signal}.")
    answer = (
        _ended(process)
        or _forced(process, signal)
        or _awaited_or_unknown(process, signal)
        or _held_back(process, signal)
        or _disposed(process, signal, process.namespace_init, children)
    )
    return Forecast(process.id, process.container_pid, signal, *answer)


def _ended(process: Process) -> _Answer | None:
    if process.state in ("Z", "X") and process.threads <= 1:
        evidence = f"it has ended already and is a zombie (state {process.state} in /proc/{process.pid}/stat)"
        return Delivery.IGNORED, Effect.NOTHING, evidence
    return None


def _forced(process: Process, signal: int) -> _Answer | None:
    """What no process has a say in."""
    if signal in (_KILL, _STOP):
        evidence = f"{name_of(signal)} can't be caught, blocked or ignored (man 7 signal)"
        return Delivery.DEFAULT, default_action(signal), evidence
    if signal == _CONT and process.state == "T":
        delivery = Delivery.HANDLER if signal in process.dispositions.caught else Delivery.DEFAULT
        evidence = f"it is stopped (state T in /proc/{process.pid}/stat), and SIGCONT resumes it in any case"
        return delivery, Effect.CONTINUES, evidence
    return None


def _awaited_or_unknown(process: Process, signal: int) -> _Answer | None:
    found = process.dispositions
    if process.state == "t":
        evidence = f"a debugger has stopped it (state t in /proc/{process.pid}/stat) and decides"
        return Delivery.UNKNOWN, Effect.UNKNOWN, evidence
    if process.state == "T":
        return None
    if signal in found.sigwait:
        evidence = (
            f"a thread awaits it in rt_sigtimedwait (/proc/{process.pid}/task/*/syscall, its set read from memory)"
        )
        return Delivery.SIGWAIT, Effect.PROGRAM_DECIDES, evidence
    if signal in found.unsure:
        return Delivery.UNKNOWN, Effect.UNKNOWN, " ".join(found.unread) or "what decides could not be read"
    return None


def _held_back(process: Process, signal: int) -> _Answer | None:
    """Blocked by every thread: read from a signalfd, or left in the queue."""
    found, pid = process.dispositions, process.pid
    if signal in found.blocked and signal in found.signalfd and process.state != "T":
        evidence = f"blocked, and read from a signalfd (sigmask in /proc/{pid}/fdinfo)"
        return Delivery.SIGNALFD, Effect.PROGRAM_DECIDES, evidence
    if signal in found.blocked:
        already = "; one is waiting already" if signal in found.pending else ""
        evidence = f"every thread blocks it and none awaits it (SigBlk of /proc/{pid}/task/*/status){already}"
        return Delivery.PENDING, Effect.NOTHING, evidence
    return None


def _disposed(process: Process, signal: int, init: bool, children: tuple[Process, ...]) -> _Answer:
    """At least one thread is open to it: the disposition decides."""
    found, pid = process.dispositions, process.pid
    if signal in found.ignored:
        return Delivery.IGNORED, Effect.NOTHING, f"ignored (SigIgn of /proc/{pid}/status)"
    if signal not in found.caught and init and _kernels_differ(process, signal):
        return _as_the_kernel_says(process)
    if signal not in found.caught and init:
        usual = " whose default action is to do nothing anyway" if default_action(signal) is Effect.NOTHING else ""
        evidence = (
            f"PID 1 without a handler for it: the kernel drops a signal{usual}"
            f" (neither SigCgt nor SigIgn of /proc/{pid}/status; man 7 pid_namespaces)"
        )
        return Delivery.DROPPED, Effect.NOTHING, evidence
    if signal not in found.caught and default_action(signal) is Effect.NOTHING:
        evidence = f"no handler (SigCgt of /proc/{pid}/status), and the default action is to do nothing (man 7 signal)"
        return Delivery.DEFAULT, Effect.NOTHING, evidence
    if process.state == "T":
        evidence = f"it is stopped (state T in /proc/{pid}/stat): the signal waits until SIGCONT resumes it"
        return Delivery.PENDING, Effect.NOTHING, evidence
    return _caught(process, signal, children) if signal in found.caught else _by_default(process, signal)


def _kernels_differ(process: Process, signal: int) -> bool:
    """Whether a signal without a handler may get past the protection of an init.

    What the main thread blocks isn't discarded when it is sent, and another thread takes it. Some kernels then kill
    all threads at once (complete_signal); in others that thread looks at the protection (get_signal), and so does
    each kernel if the signal would dump core. See kernel/rules.py.
    """
    fatal = default_action(signal) is Effect.TERMINATES
    return fatal and process.threads > 1 and process.state != "T" and signal in process.dispositions.leader_blocked


def _as_the_kernel_says(process: Process) -> _Answer:
    how = (
        "PID 1 without a handler for it; its main thread blocks it and another thread does not"
        f" (SigBlk of /proc/{process.pid}/task/*/status)"
    )
    match process.spared_by_kernel:
        case True:
            evidence = f"{how}: this kernel discards it (tested; get_signal in kernel/signal.c)"
            return Delivery.DROPPED, Effect.NOTHING, evidence
        case False:
            evidence = f"{how}: this kernel then terminates PID 1 (tested; complete_signal in kernel/signal.c)"
            return Delivery.DEFAULT, Effect.TERMINATES, evidence
        case None:
            evidence = f"{how}: some kernels then terminate PID 1, and this one could not be tested (that needs root)"
            return Delivery.UNKNOWN, Effect.UNKNOWN, evidence


def _caught(process: Process, signal: int, children: tuple[Process, ...]) -> _Answer:
    found = process.dispositions
    source = f"SigCgt of /proc/{process.pid}/status"
    if not found.foreground or signal == _CHLD:
        return Delivery.HANDLER, Effect.PROGRAM_DECIDES, f"caught ({source})"
    waits = f"a shell that waits for {_named(found.foreground, children)} in the foreground"
    if found.caught >= _BASH_WITH_EXIT_TRAP:
        evidence = f"caught ({source}) by {waits}: at once if bash does it for a trap on EXIT, else only afterwards"
        return Delivery.UNKNOWN, Effect.UNKNOWN, evidence
    if signal == _HUP and process.exe.endswith("zsh"):
        evidence = f"caught ({source}) by {waits}: zsh does so without a trap too, and then at once"
        return Delivery.UNKNOWN, Effect.UNKNOWN, evidence
    evidence = f"caught ({source}), but by {waits}: its trap runs only when that has ended"
    return Delivery.DEFERRED, Effect.PROGRAM_DECIDES, evidence


def _by_default(process: Process, signal: int) -> _Answer:
    action = default_action(signal)
    evidence = f"no handler: neither SigCgt nor SigIgn of /proc/{process.pid}/status has it"
    if action is Effect.CONTINUES:
        evidence = f"{evidence}; it isn't stopped, so nothing changes"
    if signal in _JOB_CONTROL:
        if process.orphaned_group:
            evidence = f"{evidence}, and its process group is orphaned, which job control doesn't stop (man 7 signal)"
            return Delivery.DEFAULT, Effect.NOTHING, evidence
        if process.orphaned_group is None:
            evidence = f"{evidence}; whether its process group is orphaned, and so isn't stopped, was not looked at"
            return Delivery.DEFAULT, Effect.UNKNOWN, evidence
    return Delivery.DEFAULT, action, evidence


def _named(pids: tuple[int, ...], children: tuple[Process, ...]) -> str:
    names = {child.pid: child.name for child in children}
    return " and ".join(f"process {pid} ({names[pid]})" if pid in names else f"process {pid}" for pid in pids)
