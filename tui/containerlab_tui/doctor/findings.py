"""The doctor's findings: each has a stable code, evidence and a fix that can be pasted."""

from collections.abc import Iterator

from containerlab_probes.records import Delivery, Process
from containerlab_probes.signals.names import SIGKILL, name_of, number_of
from containerlab_tui.doctor import fixes
from containerlab_tui.doctor.case import Case, connected, described
from containerlab_tui.doctor.facts import EarlySignal
from containerlab_tui.doctor.outcome import awaits_nothing
from containerlab_tui.doctor.programs import catalogue
from containerlab_tui.doctor.readers import shells, traps
from containerlab_tui.doctor.situation import Situation, chain_of
from containerlab_tui.doctor.supervisord_findings import supervised
from containerlab_tui.model.diagnosis import Confidence, Finding, Graceful, Outcome, Outlook, Severity
from containerlab_tui.model.ending_records import PastStop
from containerlab_tui.model.grace import grace_period
from containerlab_tui.present.safe_text import plain

BEFORE = 5
"""Earlier stops that are counted."""
SETTLED_S = 1.0
"""How long after its expected exit a process counts as having survived a signal."""


def findings(case: Case, root: Process | None, delivery: Delivery, outcome: Outcome) -> tuple[Finding, ...]:
    """Returns all findings, worst first."""
    found = [*_about_the_container(case, outcome)]
    if root is not None:
        situation = Situation(case, root, chain_of(case, root), delivery, outcome)
        for part in (
            _early_signals,
            _reception,
            _shells,
            _signal_choice,
            supervised,
            _inits,
            _children,
            _zombies,
            _time,
        ):
            found += part(situation)
        if situation.late and all(one.severity is not Severity.ERROR for one in found):
            summary = f"PID 1 ({root.name}) receives {situation.signal} but does not exit within the grace period."
            found.append(
                Finding(
                    "does-not-end",
                    Severity.ERROR,
                    summary,
                    outcome.why[-2:],
                    fixes.handling(situation.signal, _ends_on(situation)),
                )
            )
    order = list(Severity)
    return tuple(sorted(found, key=lambda one: order.index(one.severity)))


def _about_the_container(case: Case, outcome: Outcome) -> Iterator[Finding]:
    facts, details = case.facts, case.facts.details
    if facts.signal == SIGKILL:
        yield Finding(
            "stop-signal-kill",
            Severity.WARNING,
            "The stop signal is SIGKILL, so no process can shut down cleanly.",
            (f"inspect: StopSignal {details.stop_signal}",),
            fixes.stop_signal("SIGTERM"),
        )
    if details.stop_timeout_s == 0 and facts.signal != SIGKILL:
        yield Finding(
            "grace-zero",
            Severity.WARNING,
            "The grace period is 0 s: SIGKILL follows the stop signal at once."
            if facts.sends_stop_signal
            else f"The grace period is 0 s: {facts.product.name} sends only SIGKILL.",
            ("inspect: StopTimeout 0",),
            fixes.grace(10),
        )
    if details.stop_timeout_s < 0 and outcome.outlook is not Outlook.EXITS:
        severity = Severity.ERROR if outcome.outlook is Outlook.TIMES_OUT else Severity.WARNING
        yield Finding(
            "grace-endless",
            severity,
            "The grace period has no limit: if the container doesn't exit, the stop never finishes.",
            (f"inspect: StopTimeout {details.stop_timeout_s}",),
            fixes.grace(10),
        )
    if facts.restart_disarmed and details.restart_policy != "no":
        recorded, tool = details.restart_disarmed is not None, facts.product.name.lower()
        mark = "inspect: StoppedByUser true" if recorded else "the engine's config.v2.json: HasBeenManuallyStopped true"
        yield Finding(
            "restart-disarmed",
            Severity.WARNING,
            f"The restart policy {details.restart_policy} will not act: `{tool} kill` marked it as manually stopped.",
            (mark,),
            f"{tool} restart {details.name}",
        )


def _early_signals(situation: Situation) -> Iterator[Finding]:
    """Finds signals that PID 1 survived but would exit on now: they came before its handlers were installed."""
    facts = situation.case.facts
    fates = {
        number: situation.case.ask(situation.root, number) for number in {one.signal for one in facts.early_signals}
    }
    dropped = [one for one in facts.early_signals if _would_have_ended(situation, one, fates[one.signal])]
    if dropped:
        started = facts.details.started_at or dropped[0].at
        times = tuple(f"engine: sent {name_of(one.signal)} {one.at - started:.1f} s after the start" for one in dropped)
        yield Finding(
            "dropped-at-start",
            Severity.NOTE,
            f"{name_of(dropped[0].signal)} arrived during start-up and was discarded; PID 1 would exit on it now.",
            (*times[:5], f"/proc: PID 1 ({situation.root.name}) is still running"),
            "# Install the signal handlers before starting the work.",
        )


def _ends_on(situation: Situation) -> str | None:
    """Returns another signal that PID 1 exits on, if one is known; documented signals first."""
    known = catalogue.recognise(situation.main)
    for name in (*(known.graceful if known else ()), "SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"):
        if name != situation.signal:
            outcome = situation.case.ask(situation.root, number_of(name))
            if outcome.outlook is Outlook.EXITS and outcome.confidence is not Confidence.GUESS:
                return name
    return None


def _would_have_ended(situation: Situation, early: EarlySignal, outcome: Outcome) -> bool:
    return outcome.outlook is Outlook.EXITS and outcome.takes_s < situation.case.facts.now - early.at - SETTLED_S


def _reception(situation: Situation) -> Iterator[Finding]:
    """Finds why the signal doesn't reach PID 1's own code."""
    evidence = (situation.case.forecast(situation.root, situation.case.facts.signal).evidence,)
    shell_in_front = catalogue.is_shell(situation.root) and len(situation.chain) > 1
    if situation.delivery is Delivery.DROPPED and not shell_in_front:
        yield Finding(
            "signal-dropped",
            situation.severity(),
            f"PID 1 ({situation.root.name}) has no handler for {situation.signal}, so the kernel discards it.",
            evidence,
            fixes.init(),
        )
    elif situation.delivery is Delivery.IGNORED:
        summary = f"PID 1 ({situation.root.name}) ignores {situation.signal}."
        yield Finding(
            "signal-ignored",
            situation.severity(),
            summary,
            evidence,
            fixes.handling(situation.signal, _ends_on(situation)),
        )
    elif _stays_blocked(situation):
        summary = f"PID 1 ({situation.root.name}) blocks {situation.signal} and never waits for it."
        yield Finding("signal-blocked", situation.severity(), summary, evidence, fixes.unblock(situation.signal))
    elif (
        situation.outcome.outlook is Outlook.UNKNOWN
        and situation.delivery is not Delivery.DEFERRED
        and situation.case.facts.grace_s
    ):
        yield _unknown_handler(situation)
    if situation.late and any("raises the signal again" in why for why in situation.outcome.why):
        yield Finding(
            "raises-again",
            Severity.ERROR,
            f"PID 1's handler restores the default action and raises {situation.signal} again, which PID 1 survives.",
            situation.outcome.why[-1:],
            fixes.init(),
        )


def _stays_blocked(situation: Situation) -> bool:
    """Returns whether PID 1 blocks the signal for good; without root, whether its source shows that."""
    found, signal = situation.root.dispositions, situation.case.facts.signal
    if signal in found.caught:
        return False
    if situation.delivery is Delivery.PENDING:
        return True
    return situation.delivery is Delivery.UNKNOWN and awaits_nothing(situation.case, situation.root, signal)


def _unknown_handler(situation: Situation) -> Finding:
    who, clients = described(situation.root), situation.case.facts.clients
    depends = clients and any(connected(clients) in why for why in situation.outcome.why)
    return Finding(
        "handler-unknown",
        Severity.NOTE,
        f"Whether {who} exits in time on {situation.signal} depends on its clients ({connected(clients)})."
        if depends
        else f"Whether {who} exits on {situation.signal} is unknown until it has been stopped once.",
        situation.outcome.why[-2:],
        f"containerlab-tui stop {situation.case.facts.details.name}",
    )


def _shells(situation: Situation) -> Iterator[Finding]:
    for process, child in zip(situation.chain, situation.chain[1:], strict=False):
        if not catalogue.is_shell(process):
            continue
        forecast = situation.case.forecast(process, situation.case.facts.signal)
        evidence = (
            f"process {process.container_pid}: {process.command[:120]}",
            f"its child, process {child.container_pid}: {child.command[:120]}",
            forecast.evidence,
        )
        text = shells.source(situation.case, process) or ""
        if forecast.delivery is Delivery.DEFERRED:
            summary = f"The shell runs its {situation.signal} trap only after its foreground child exits."
            yield Finding(
                "trap-deferred", situation.severity(), summary, evidence, fixes.trap(child, situation.signal, text)
            )
        elif forecast.delivery is Delivery.HANDLER:
            if traps.trap_for(text, situation.case.facts.signal):
                summary = f"The shell is in `wait`, so its {situation.signal} trap runs at once."
                yield Finding("trap-waits", Severity.NOTE, summary, evidence)
        elif forecast.delivery is not Delivery.UNKNOWN:
            yield Finding(
                "shell-in-front",
                situation.severity(),
                f"{_place(situation, process)} is a shell ({process.name}) that does not forward {situation.signal} to "
                f"{child.name}.",
                evidence,
                fixes.exec_form(child, text),
            )
        return


def _place(situation: Situation, process: Process) -> str:
    return "PID 1" if process.pid == situation.root.pid else f"Process {process.container_pid}"


def _signal_choice(situation: Situation) -> Iterator[Finding]:
    """Finds a better stop signal."""
    program = catalogue.recognise(situation.main)
    if program is None or not _reaches(situation):
        return
    reaction = program.reaction(situation.signal)
    better = next((one for one in program.graceful if one != situation.signal), None)
    known = (f"known: {program.name} ({program.source})",)
    if reaction and reaction.does in ("reloads", "re-executes") and situation.late:
        summary = f"{program.name} {reaction.does} on {situation.signal} instead of exiting."
        remedy = fixes.uwsgi() if program.name.startswith("uWSGI") and situation.signal == "SIGTERM" else ""
        remedy += fixes.stop_signal(better) if better else ""
        yield Finding("reloads-instead", Severity.ERROR, summary, known, remedy)
    elif better and situation.signal not in program.graceful and situation.outcome.graceful is not Graceful.YES:
        does = "drops in-flight work" if reaction and reaction.does == "fast" else "has no documented clean shutdown"
        summary = f"{program.name} shuts down cleanly on {better}; on {situation.signal} it {does}."
        yield Finding("other-graceful-signal", Severity.WARNING, summary, known, fixes.stop_signal(better))
    elif reaction and reaction.does == "fast":
        summary = (
            f"{program.name} exits on {situation.signal} and drops in-flight work; no graceful signal is documented."
        )
        yield Finding("cuts-off", Severity.NOTE, summary, known)


def _reaches(situation: Situation) -> bool:
    """Returns whether the stop signal reaches the program: it is PID 1, or inits forward the signal."""
    return all(
        (known := catalogue.recognise(one)) and known.kind in ("init", "wrapper") for one in situation.chain[:-1]
    )


def _inits(situation: Situation) -> Iterator[Finding]:
    for process in situation.chain[:-1]:
        known = catalogue.recognise(process)
        if known is None or known.kind != "init":
            continue
        said = next((why for why in situation.outcome.why if why.startswith(f"known: {known.name} forwards")), "")
        if said:
            summary = f"{said.removeprefix('known: ').partition(' (')[0]}."
            yield Finding("init-forwards", Severity.NOTE, summary, (said,))
        if known.name == "tini" and process.pid != situation.root.pid and "-s" not in process.argv:
            yield Finding(
                "init-not-first",
                Severity.WARNING,
                "tini is not PID 1, so it does not reap orphaned processes.",
                (f"process {process.container_pid}: {process.command[:120]}",),
                fixes.exec_form(process) + "\n# or: tini -s",
            )


_MANAGES_ITS_OWN = ("server", "database", "supervisor", "runtime")


def _children(situation: Situation) -> Iterator[Finding]:
    """Finds processes that receive no signal: the kernel kills them when PID 1 exits."""
    if situation.outcome.outlook is Outlook.TIMES_OUT:
        return
    chain = {one.pid for one in situation.chain}
    known = catalogue.recognise(situation.main)
    if known is not None and known.kind in _MANAGES_ITS_OWN:
        chain |= _below(situation, situation.main)
    unsignalled = [
        one for one in situation.case.facts.processes if one.pid not in chain and one.state not in ("Z", "X")
    ]
    if not unsignalled or not situation.root.namespace_init:
        return
    pids = {one.pid for one in situation.case.facts.processes}
    from_exec = [one for one in unsignalled if one.parent_pid not in pids]
    one_only = len(unsignalled) == 1
    yield Finding(
        "children-killed",
        Severity.NOTE if len(from_exec) == len(unsignalled) else Severity.WARNING,
        f"1 process never gets {situation.signal} and is killed when PID 1 exits, unless PID 1 forwards it."
        if one_only
        else f"{len(unsignalled)} processes never get {situation.signal} and are killed when PID 1 exits, "
        "unless PID 1 forwards it.",
        tuple(f"process {one.container_pid}: {one.command[:100]}" for one in unsignalled[:8]),
        "# Make PID 1 forward the signal and wait for its children, or run each in a separate container.",
    )


def _below(situation: Situation, process: Process) -> set[int]:
    found, waiting = set[int](), [process]
    while waiting:
        children = situation.case.children(waiting.pop())
        waiting += [one for one in children if one.pid not in found]
        found |= {one.pid for one in children}
    return found


def _zombies(situation: Situation) -> Iterator[Finding]:
    zombies = [one for one in situation.case.facts.processes if one.state == "Z"]
    if not zombies:
        return
    by_pid = {one.pid: one for one in situation.case.facts.processes}
    evidence = tuple(
        f"process {one.container_pid} [{one.name}], child of {described(by_pid[one.parent_pid])}"
        if one.parent_pid in by_pid
        else f"process {one.container_pid} [{one.name}]"
        for one in zombies[:8]
    )
    of_init = any(one.parent_pid == situation.root.pid for one in zombies)
    yield Finding(
        "zombies",
        Severity.WARNING,
        f"{len(zombies)} {'zombie process has' if len(zombies) == 1 else 'zombie processes have'} not been reaped"
        + (": PID 1 does not reap its children." if of_init else "."),
        evidence,
        fixes.reaping(of_init),
    )


def _after(past: PastStop) -> str:
    return "" if past.duration_s is None else f" after {past.duration_s:.1f} s"


def _time(situation: Situation) -> Iterator[Finding]:
    facts, grace_s = situation.case.facts, situation.case.facts.grace_s
    takes_s = situation.outcome.takes_s
    if takes_s and 0 < grace_s < float("inf") and takes_s > grace_s * 0.7:
        yield Finding(
            "grace-too-short",
            Severity.ERROR if takes_s > grace_s else Severity.WARNING,
            f"Exiting takes about {takes_s:.1f} s; the grace period is {grace_period(grace_s)}.",
            situation.outcome.why[-2:],
            fixes.grace(int(takes_s * 1.5) + 1),
        )
    alike = [
        one for one in facts.history
        if one.ran(plain(situation.root.command)) and one.signal == situation.signal and one.ran_out is not None
    ][:BEFORE]  # fmt: skip
    killed = [one for one in alike if one.ran_out_of(grace_s)]
    if len(killed) >= 2:
        yield Finding(
            "killed-before",
            Severity.WARNING,
            f"{len(killed)} of the last {len(alike)} observed stops of this container or image ended in SIGKILL.",
            tuple(
                f"seen: {one.signal}, grace {grace_period(one.grace_s)}, {one.verdict}{_after(one)}" for one in alike
            ),
        )
