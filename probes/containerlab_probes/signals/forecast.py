"""Predicts what the kernel and the program do with a signal. No I/O.

The order of the checks is that of the kernel (kernel/signal.c: prepare_signal, sig_ignored, complete_signal,
get_signal) for a signal from outside the process's PID namespace, such as the signals of an engine.
"""

import signal as posix
from collections.abc import Iterable

from containerlab_probes.errors import BadRequest
from containerlab_probes.processes.awaiting import awaits_signals
from containerlab_probes.records import WITHOUT_ROOT, Delivery, Effect, Forecast, Process
from containerlab_probes.signals.names import default_action, name_of

_KILL, _STOP, _CONT, _CHLD, _HUP = (
    int(one) for one in (posix.SIGKILL, posix.SIGSTOP, posix.SIGCONT, posix.SIGCHLD, posix.SIGHUP)
)
_JOB_CONTROL = frozenset((int(posix.SIGTSTP), int(posix.SIGTTIN), int(posix.SIGTTOU)))
_BASH_WITH_EXIT_TRAP = frozenset((int(posix.SIGILL), int(posix.SIGTRAP), int(posix.SIGSYS)))
"""bash catches these for a trap on EXIT, along with all other signals that terminate it; no trap on SIGTERM does."""

_Answer = tuple[Delivery, Effect, str]


def forecast(process: Process, signal: int, children: tuple[Process, ...] = ()) -> Forecast:
    """Predicts the effect of a signal sent to `process` now from outside its PID namespace (man 7 signal).

    `children` supplies the names of the children that a shell waits for. Raises BadRequest (no such signal).
    """
    if not 1 <= signal <= 64:
        raise BadRequest(f"No such signal: {signal}. Signals go from 1 to 64.")
    answer = (
        _exited(process)
        or _unconditional(process, signal)
        or _waited_for_or_unknown(process, signal)
        or _blocked(process, signal)
        or _by_disposition(process, signal, process.namespace_init, children)
    )
    delivery, effect, evidence = answer
    likely = signal in process.dispositions.assumed and delivery is not Delivery.UNKNOWN
    return Forecast(process.id, process.container_pid, signal, delivery, effect, evidence, likely)


def without_root(seen: Iterable[Process]) -> str:
    """Returns the sentence about what only root can read, if it is missing for one of these processes, else nothing."""
    return WITHOUT_ROOT if any(WITHOUT_ROOT in one.dispositions.unread for one in seen) else ""


def _exited(process: Process) -> _Answer | None:
    if process.state in ("Z", "X") and process.threads <= 1:
        evidence = f"it has already exited and is a zombie (state {process.state} in /proc/{process.pid}/stat)"
        return Delivery.IGNORED, Effect.NOTHING, evidence
    return None


def _unconditional(process: Process, signal: int) -> _Answer | None:
    """Returns the answer for SIGKILL, SIGSTOP, and SIGCONT to a suspended process."""
    if signal in (_KILL, _STOP):
        evidence = f"{name_of(signal)} can't be handled, blocked or ignored (man 7 signal)"
        return Delivery.DEFAULT, default_action(signal), evidence
    if signal == _CONT and process.state == "T":
        delivery = Delivery.HANDLER if signal in process.dispositions.caught else Delivery.DEFAULT
        evidence = f"it is suspended (state T in /proc/{process.pid}/stat), and SIGCONT always resumes it"
        return delivery, Effect.CONTINUES, evidence
    return None


def _waited_for_or_unknown(process: Process, signal: int) -> _Answer | None:
    found = process.dispositions
    if process.state == "t":
        evidence = f"a debugger has suspended it (state t in /proc/{process.pid}/stat) and decides"
        return Delivery.UNKNOWN, Effect.UNKNOWN, evidence
    if process.state == "T":
        return None
    if signal in found.sigwait:
        evidence = (
            f"a thread waits for it in rt_sigtimedwait (/proc/{process.pid}/task/*/syscall, its set read from memory)"
        )
        return Delivery.SIGWAIT, Effect.PROGRAM_DECIDES, evidence
    if signal in found.unclear:
        return Delivery.UNKNOWN, Effect.UNKNOWN, _why_unclear(process, signal)
    return None


def _why_unclear(process: Process, signal: int) -> str:
    """Returns why the delivery of a signal is unknown; without root, what the masks say about it."""
    found, pid = process.dispositions, process.pid
    own = [one for one in found.unread if one != WITHOUT_ROOT]
    if own or not found.unread:
        return " ".join(own) or "the facts that decide could not be read"
    if signal in found.blocked:
        return (
            f"every thread blocks it (SigBlk of /proc/{pid}/task/*/status), and a signalfd can't be seen without root"
        )
    if awaits_signals(process.name):
        return f"{process.name} awaits signals without a handler, which can't be seen without root"
    return (
        f"only some threads block it (SigBlk of /proc/{pid}/task/*/status), so another probably awaits it, "
        "which can't be seen without root"
    )


def _blocked(process: Process, signal: int) -> _Answer | None:
    """Returns the answer for a signal that every thread blocks: read from a signalfd, or pending."""
    found, pid = process.dispositions, process.pid
    if signal in found.blocked and signal in found.signalfd and process.state != "T":
        evidence = f"blocked, and read from a signalfd (sigmask in /proc/{pid}/fdinfo)"
        return Delivery.SIGNALFD, Effect.PROGRAM_DECIDES, evidence
    if signal in found.blocked:
        already = "; one is already pending" if signal in found.pending else ""
        evidence = f"every thread blocks it and none waits for it (SigBlk of /proc/{pid}/task/*/status){already}"
        return Delivery.PENDING, Effect.NOTHING, evidence
    return None


def _by_disposition(process: Process, signal: int, init: bool, children: tuple[Process, ...]) -> _Answer:
    """Returns the answer for a signal that at least one thread can take: the disposition decides."""
    found, pid = process.dispositions, process.pid
    if signal in found.ignored:
        return Delivery.IGNORED, Effect.NOTHING, f"ignored (SigIgn of /proc/{pid}/status)"
    if signal not in found.caught and init and _kernels_differ(process, signal):
        return _as_this_kernel_does(process)
    if signal not in found.caught and init:
        usual = "; its default action is to do nothing anyway" if default_action(signal) is Effect.NOTHING else ""
        evidence = (
            f"PID 1 has no handler, so the kernel discards the signal{usual}"
            f" (neither SigCgt nor SigIgn of /proc/{pid}/status; man 7 pid_namespaces)"
        )
        return Delivery.DROPPED, Effect.NOTHING, evidence
    if signal not in found.caught and default_action(signal) is Effect.NOTHING:
        evidence = f"no handler (SigCgt of /proc/{pid}/status), and the default action is to do nothing (man 7 signal)"
        return Delivery.DEFAULT, Effect.NOTHING, evidence
    if process.state == "T":
        evidence = f"it is suspended (state T in /proc/{pid}/stat); the signal stays pending until SIGCONT"
        return Delivery.PENDING, Effect.NOTHING, evidence
    return _handled(process, signal, children) if signal in found.caught else _by_default(process, signal)


def _kernels_differ(process: Process, signal: int) -> bool:
    """Returns whether a signal without a handler may get past the protection of an init.

    A signal that the main thread blocks isn't discarded when it is sent, and another thread takes it. Some kernels then
    kill all threads at once (complete_signal). In others that thread checks the protection (get_signal); all kernels
    do so if the signal would dump core. See kernel/rules.py.
    """
    fatal = default_action(signal) is Effect.TERMINATES
    return fatal and process.threads > 1 and process.state != "T" and signal in process.dispositions.leader_blocked


def _as_this_kernel_does(process: Process) -> _Answer:
    how = (
        "PID 1 has no handler; its main thread blocks the signal and another thread does not"
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


def _handled(process: Process, signal: int, children: tuple[Process, ...]) -> _Answer:
    found = process.dispositions
    source = f"SigCgt of /proc/{process.pid}/status"
    if not found.foreground or signal == _CHLD:
        return Delivery.HANDLER, Effect.PROGRAM_DECIDES, f"handled ({source})"
    waits = f"a shell that waits for {_named(found.foreground, children)} in the foreground"
    if found.caught >= _BASH_WITH_EXIT_TRAP:
        evidence = f"handled ({source}) by {waits}: at once for an EXIT trap of bash, otherwise after that"
        return Delivery.UNKNOWN, Effect.UNKNOWN, evidence
    if signal == _HUP and process.exe.endswith("zsh"):
        evidence = f"handled ({source}) by {waits}: zsh has this handler even without a trap, and then runs it at once"
        return Delivery.UNKNOWN, Effect.UNKNOWN, evidence
    evidence = f"handled ({source}), but by {waits}: its trap runs only after that process has exited"
    return Delivery.DEFERRED, Effect.PROGRAM_DECIDES, evidence


def _by_default(process: Process, signal: int) -> _Answer:
    action = default_action(signal)
    evidence = f"no handler: neither SigCgt nor SigIgn of /proc/{process.pid}/status has it"
    if action is Effect.CONTINUES:
        evidence = f"{evidence}; it isn't suspended, so nothing changes"
    if signal in _JOB_CONTROL:
        if process.orphaned_group:
            evidence = (
                f"{evidence}, and its process group is orphaned, so job control doesn't suspend it (man 7 signal)"
            )
            return Delivery.DEFAULT, Effect.NOTHING, evidence
        if process.orphaned_group is None:
            evidence = f"{evidence}; whether its process group is orphaned (and so isn't suspended) was not checked"
            return Delivery.DEFAULT, Effect.UNKNOWN, evidence
    return Delivery.DEFAULT, action, evidence


def _named(pids: tuple[int, ...], children: tuple[Process, ...]) -> str:
    names = {child.pid: child.name for child in children}
    return " and ".join(f"process {pid} ({names[pid]})" if pid in names else f"process {pid}" for pid in pids)
