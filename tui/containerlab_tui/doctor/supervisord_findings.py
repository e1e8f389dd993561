"""Findings about supervisord and the programs that it stops. Pure."""

from collections.abc import Iterator

from containerlab_probes.records import Process
from containerlab_probes.signals.names import name_of
from containerlab_tui.doctor import fixes as remedies
from containerlab_tui.doctor.programs import catalogue, supervisord
from containerlab_tui.doctor.situation import Situation
from containerlab_tui.model.diagnosis import Finding, Severity


def supervised(look: Situation) -> Iterator[Finding]:
    """What in its configuration keeps a stop from going well."""
    for process in look.case.facts.processes:
        known = catalogue.recognise(process)
        if known is None or known.name != "supervisord":
            continue
        found = supervisord.configuration(look.case, process)
        if found is None:
            continue
        if not found.nodaemon and process.pid != look.root.pid and "-n" not in process.argv:
            yield Finding(
                "supervisor-nodaemon",
                Severity.ERROR,
                "supervisord went into the background (nodaemon=false): it is not PID 1 and gets no stop signal.",
                (f"process {process.container_pid}: {process.command[:120]}",),
                "[supervisord]\nnodaemon=true",
            )
        yield from _patience(look, found)
        yield from _stop_signals(look, process, found)


def _patience(look: Situation, found: supervisord.Configuration) -> Iterator[Finding]:
    grace_s = look.case.facts.grace_s
    patient = [one for one in found.managed if one.wait_s >= grace_s]
    total = sum({one.group: one.wait_s for one in found.managed}.values())
    if patient:
        names = ", ".join(one.name for one in patient[:5])
        yield Finding(
            "supervisor-wait",
            look.severity() if look.late else Severity.WARNING,
            f"supervisord waits longer for {names} than the grace period of {grace_s:g} s lasts.",
            tuple(f"[program:{one.name}] stopwaitsecs={one.wait_s:g}" for one in patient[:5]),
            f"[program:{patient[0].name}]\nstopwaitsecs={max(1, int(grace_s / (len(found.managed) + 1)))}\n"
            + remedies.grace(int(total) + 3),
        )
    elif total >= grace_s and len(found.managed) > 1:
        yield Finding(
            "supervisor-wait",
            Severity.WARNING,
            f"supervisord stops group after group: that may take {total:g} s, the grace period is {grace_s:g} s.",
            tuple(f"[program:{one.name}] stopwaitsecs={one.wait_s:g}" for one in found.managed[:5]),
            remedies.grace(int(total) + 3),
        )


def _stop_signals(look: Situation, process: Process, found: supervisord.Configuration) -> Iterator[Finding]:
    for child, managed in supervisord.assign(found.managed, look.case.children(process)):
        known = catalogue.recognise(child)
        if known is None or not known.graceful or name_of(managed.stop_signal) in known.graceful:
            continue
        yield Finding(
            "supervisor-stopsignal",
            Severity.WARNING,
            f"supervisord stops {managed.name} with {name_of(managed.stop_signal)}; "
            f"{known.name} ends its work on {known.graceful[0]}.",
            (f"[program:{managed.name}] stopsignal", f"known: {known.name} ({known.source})"),
            f"[program:{managed.name}]\nstopsignal={known.graceful[0].removeprefix('SIG')}",
        )
