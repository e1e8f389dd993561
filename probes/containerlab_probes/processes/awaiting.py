"""Names the programs that take signals without a handler: from sigwait or a signalfd. No I/O.

Whoever may not read system calls and open files can't see it of a process, and the masks of /proc/PID/status look as if
nobody takes the signal: sigtimedwait unblocks what it waits for (kernel/signal.c, do_sigtimedwait).
"""

_COMM_BYTES = 15
_PROGRAMS = (
    "tini", "tini-static", "docker-init", "podman-init", "dumb-init", "catatonit", "pause", "dinit",
    "systemd", "systemd-udevd", "systemd-journald", "systemd-logind", "systemd-networkd", "systemd-resolved",
    "s6-svscan", "s6-supervise", "s6-linux-init-shutdownd", "s6-log",
    "named", "mariadbd", "mysqld", "mongod", "mongos",
)  # fmt: skip
_NAMES = frozenset(one[:_COMM_BYTES] for one in _PROGRAMS)


def awaits_signals(name: str) -> bool:
    """Returns whether a program is one that awaits signals, by the kernel's name for the process (comm).

    Sources: the programs' own text (tini.c, dumb-init.c, catatonit.c, skalibs selfpipe_init, sd-event's manual page,
    BIND's isc_app_run, mysqld.cc signal_hand, mongo's signal_handlers.cpp).
    """
    return name in _NAMES
