"""Findings about supervisord and the programs that it stops."""

from collections.abc import Iterator

from containerlab_probes.records import Process
from containerlab_probes.signals.names import name_of
from containerlab_tui.doctor import fixes
from containerlab_tui.doctor.programs import catalogue, supervisord
from containerlab_tui.doctor.situation import Situation
from containerlab_tui.model.diagnosis import Finding, Severity
from containerlab_tui.model.grace import grace_period


def supervised(situation: Situation) -> Iterator[Finding]:
    """Finds settings of supervisord that make a stop fail."""
    for process in situation.case.facts.processes:
        known = catalogue.recognise(process)
        if known is None or known.name != "supervisord":
            continue
        found = supervisord.configuration(situation.case, process)
        if found is None:
            continue
        if not found.nodaemon and process.pid != situation.root.pid and "-n" not in process.argv:
            yield Finding(
                "supervisor-nodaemon",
                Severity.ERROR,
                "supervisord runs in the background (nodaemon=false): it is not PID 1 and receives no stop signal.",
                (f"process {process.container_pid}: {process.command[:120]}",),
                "[supervisord]\nnodaemon=true",
            )
        yield from _wait_times(situation, found)
        yield from _stop_signals(situation, process, found)


def _wait_times(situation: Situation, found: supervisord.Configuration) -> Iterator[Finding]:
    grace_s = situation.case.facts.grace_s
    too_long = [one for one in found.managed if one.wait_s >= grace_s]
    total = sum({one.group: one.wait_s for one in found.managed}.values())
    if too_long:
        names = ", ".join(one.name for one in too_long[:5])
        yield Finding(
            "supervisor-wait",
            situation.severity() if situation.late else Severity.WARNING,
            f"supervisord waits longer for {names} than the {grace_period(grace_s)} grace period.",
            tuple(f"[program:{one.name}] stopwaitsecs={one.wait_s:g}" for one in too_long[:5]),
            f"[program:{too_long[0].name}]\nstopwaitsecs={max(1, int(grace_s / (len(found.managed) + 1)))}\n"
            + fixes.grace(int(total) + 3),
        )
    elif total >= grace_s and len(found.managed) > 1:
        yield Finding(
            "supervisor-wait",
            Severity.WARNING,
            f"supervisord stops its groups one by one: up to {total:g} s, "
            f"but the grace period is {grace_period(grace_s)}.",
            tuple(f"[program:{one.name}] stopwaitsecs={one.wait_s:g}" for one in found.managed[:5]),
            fixes.grace(int(total) + 3),
        )


def _stop_signals(situation: Situation, process: Process, found: supervisord.Configuration) -> Iterator[Finding]:
    for child, managed in supervisord.assign(found.managed, situation.case.children(process)):
        known = catalogue.recognise(child)
        if known is None or not known.graceful or name_of(managed.stop_signal) in known.graceful:
            continue
        yield Finding(
            "supervisor-stopsignal",
            Severity.WARNING,
            f"supervisord stops {managed.name} with {name_of(managed.stop_signal)}; "
            f"{known.name} shuts down cleanly on {known.graceful[0]}.",
            (f"[program:{managed.name}] stopsignal", f"known: {known.name} ({known.source})"),
            f"[program:{managed.name}]\nstopsignal={known.graceful[0].removeprefix('SIG')}",
        )
