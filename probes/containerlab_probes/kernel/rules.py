"""The kernel's signal rules on which certain predictions rest. No I/O.

The named functions are those of Linux. `experiments` tests each rule on the running kernel; `containerlab-tui selftest`
shows the results.
"""

from dataclasses import dataclass

MAIN_THREAD_BLOCKS = "init-main-thread-blocks"
"""The rule that differs between kernels."""
DISCARDED = "discarded"
KILLED = "killed by SIGTERM"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the kernel about a signal."""

    name: str
    """Also the name of its experiment."""
    sentence: str
    source: str
    """File and function."""
    expected: tuple[str, ...]
    """The possible results of the experiment; several if kernels differ."""


_SIGNAL = "kernel/signal.c: "

RULES = (
    Rule(
        "init-default",
        "PID 1 has no handler: a signal from an outer PID namespace is discarded.",
        f"{_SIGNAL}sig_task_ignored (SIGNAL_UNKILLABLE)",
        (DISCARDED,),
    ),
    Rule(
        "init-default-core",
        "PID 1 has no handler: a signal that would dump core is discarded too.",
        f"{_SIGNAL}sig_task_ignored (SIGNAL_UNKILLABLE)",
        (DISCARDED,),
    ),
    Rule(
        "init-default-suspend",
        "PID 1 has no handler: SIGTSTP does not suspend it.",
        f"{_SIGNAL}sig_task_ignored (SIGNAL_UNKILLABLE)",
        (DISCARDED,),
    ),
    Rule(
        "init-kill",
        "SIGKILL from an outer PID namespace kills PID 1.",
        f"{_SIGNAL}sig_task_ignored (force and sig_kernel_only)",
        ("killed by SIGKILL",),
    ),
    Rule(
        "init-stop",
        "SIGSTOP from an outer PID namespace suspends PID 1.",
        f"{_SIGNAL}sig_task_ignored (force and sig_kernel_only)",
        ("suspended",),
    ),
    Rule(
        "init-handler",
        "PID 1 runs its handler.",
        f"{_SIGNAL}sig_task_ignored, get_signal",
        ("handled",),
    ),
    Rule(
        "init-raises",
        "PID 1 has no handler: a signal that it sends to itself is discarded.",
        f"{_SIGNAL}sig_task_ignored (SIGNAL_UNKILLABLE)",
        (DISCARDED,),
    ),
    Rule(
        "init-raises-kill",
        "A SIGKILL that PID 1 sends to itself is discarded.",
        f"{_SIGNAL}sig_task_ignored (not force)",
        (DISCARDED,),
    ),
    Rule(
        "init-blocks",
        "PID 1 blocks a signal without a handler: it stays pending, and is discarded when it is unblocked.",
        f"{_SIGNAL}sig_ignored, get_signal (SIGNAL_UNKILLABLE)",
        ("pending, then discarded",),
    ),
    Rule(
        "init-main-thread-first",
        "PID 1's main thread does not block the signal: it is discarded, even if another thread waits for it.",
        f"{_SIGNAL}sig_ignored (the main thread's mask)",
        (DISCARDED,),
    ),
    # sig_ignored checks only the main thread's mask and never discards a blocked signal, so complete_signal gives it to
    # the other thread. It spared PID 1 (SIGNAL_UNKILLABLE) until commit 426915796cca of Linux 4.15 (also in older
    # stable branches) removed that check; from then on it kills all threads at once. Newer kernels spare PID 1 again,
    # and get_signal discards the signal: measured on 6.18.44. No version number decides, so the kernel is tested.
    Rule(
        MAIN_THREAD_BLOCKS,
        "PID 1's main thread blocks a signal without a handler, and another thread does not.",
        f"{_SIGNAL}sig_ignored, complete_signal (whether it looks at SIGNAL_UNKILLABLE)",
        (DISCARDED, KILLED),
    ),
    Rule(
        "init-main-thread-blocks-core",
        "PID 1's main thread blocks a core-dumping signal without a handler, another thread does not: discarded.",
        f"{_SIGNAL}complete_signal (sig_kernel_coredump), get_signal (SIGNAL_UNKILLABLE)",
        (DISCARDED,),
    ),
    Rule(
        "init-suspended",
        "PID 1 is suspended and has no handler: the signal is discarded at once.",
        f"{_SIGNAL}sig_task_ignored (SIGNAL_UNKILLABLE)",
        (DISCARDED,),
    ),
    Rule(
        "init-exits",
        "PID 1 exits: the kernel kills every other process of its PID namespace.",
        "kernel/pid_namespace.c: zap_pid_ns_processes",
        ("killed",),
    ),
    Rule(
        "default",
        "Another process without a handler is terminated by SIGTERM.",
        f"{_SIGNAL}complete_signal (sig_fatal)",
        (KILLED,),
    ),
    Rule(
        "default-core",
        "Another process without a handler is terminated by a signal that dumps core.",
        f"{_SIGNAL}get_signal (sig_kernel_coredump)",
        ("killed by SIGQUIT",),
    ),
    Rule(
        "default-nothing",
        "A signal whose default action is to do nothing (SIGCHLD) is discarded.",
        f"{_SIGNAL}sig_handler_ignored (sig_kernel_ignore)",
        (DISCARDED,),
    ),
    Rule(
        "default-suspend",
        "SIGTSTP without a handler suspends a process.",
        f"{_SIGNAL}get_signal (sig_kernel_stop)",
        ("suspended",),
    ),
    Rule(
        "default-suspend-orphaned",
        "SIGTSTP without a handler does not suspend a process in an orphaned process group.",
        f"{_SIGNAL}get_signal (is_current_pgrp_orphaned)",
        (DISCARDED,),
    ),
    Rule(
        "handler",
        "A process runs its handler.",
        f"{_SIGNAL}get_signal",
        ("handled",),
    ),
    Rule(
        "ignored",
        "An ignored signal is discarded.",
        f"{_SIGNAL}sig_handler_ignored",
        (DISCARDED,),
    ),
    Rule(
        "ignored-blocked",
        "A signal that is ignored and blocked stays pending.",
        f"{_SIGNAL}sig_ignored",
        ("pending",),
    ),
    Rule(
        "blocked",
        "A signal that every thread blocks stays pending.",
        f"{_SIGNAL}complete_signal (wants_signal)",
        ("pending",),
    ),
    Rule(
        "main-thread-first",
        "The main thread takes a signal that it does not block, even if another thread waits for it.",
        f"{_SIGNAL}complete_signal (wants_signal)",
        (KILLED,),
    ),
    Rule(
        "main-thread-blocks",
        "SIGTERM terminates another process if its main thread blocks it and another thread does not.",
        f"{_SIGNAL}complete_signal (wants_signal, sig_fatal)",
        (KILLED,),
    ),
    Rule(
        "main-thread-ended",
        "SIGTERM terminates another process whose main thread has exited but which has other threads.",
        f"{_SIGNAL}complete_signal (wants_signal)",
        (KILLED,),
    ),
    Rule(
        "sigwait",
        "A thread in sigwait takes the signal.",
        f"{_SIGNAL}do_sigtimedwait, dequeue_signal",
        ("taken by sigwait",),
    ),
    Rule(
        "sigwait-ignored",
        "A thread in sigwait takes a signal that the process ignores.",
        f"{_SIGNAL}sig_ignored (real_blocked), do_sigtimedwait",
        ("taken by sigwait",),
    ),
    Rule(
        "signalfd",
        "A blocked signal is read from a signalfd.",
        "fs/signalfd.c: signalfd_dequeue",
        ("read from a signalfd",),
    ),
    Rule(
        "suspended",
        "SIGTERM for a suspended process stays pending, and terminates it when SIGCONT resumes it.",
        f"{_SIGNAL}complete_signal (wants_signal), prepare_signal",
        ("pending, then killed by SIGTERM",),
    ),
    Rule(
        "suspended-kill",
        "SIGKILL terminates a suspended process.",
        f"{_SIGNAL}complete_signal, signal_wake_up_state",
        ("killed by SIGKILL",),
    ),
    Rule(
        "suspended-continue",
        "SIGCONT resumes a suspended process that ignores and blocks it.",
        f"{_SIGNAL}prepare_signal",
        ("resumed",),
    ),
    Rule(
        "zombie",
        "A signal does nothing to a zombie.",
        f"{_SIGNAL}complete_signal (wants_signal, PF_EXITING)",
        (DISCARDED,),
    ),
)
