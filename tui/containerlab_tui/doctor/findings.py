"""The findings of the doctor: each with a stable code, its evidence and a remedy that can be pasted. Pure."""

from collections.abc import Iterator

from containerlab_probes.records import Delivery, Process
from containerlab_probes.signals.names import SIGKILL, name_of, number_of
from containerlab_tui.doctor import fixes as remedies
from containerlab_tui.doctor.case import Case, described
from containerlab_tui.doctor.facts import EarlySignal
from containerlab_tui.doctor.programs import catalogue
from containerlab_tui.doctor.readers import shells, traps
from containerlab_tui.doctor.situation import Situation, chain_of
from containerlab_tui.doctor.supervisord_findings import supervised
from containerlab_tui.model.diagnosis import Confidence, Finding, Graceful, Outcome, Outlook, Severity
from containerlab_tui.model.ending_records import PastStop
from containerlab_tui.present.safe_text import plain

BEFORE = 5
"""Earlier stops that are told of."""
SETTLED_S = 1.0
"""How long after it should have ended a process counts as one that has outlived a signal."""


def findings(case: Case, root: Process | None, delivery: Delivery, outcome: Outcome) -> tuple[Finding, ...]:
    """Everything worth knowing, the worst first."""
    found = [*_about_the_container(case, outcome)]
    if root is not None:
        look = Situation(case, root, chain_of(case, root), delivery, outcome)
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
            found += part(look)
        if look.late and all(one.severity is not Severity.ERROR for one in found):
            summary = f"PID 1 ({root.name}) gets {look.signal} and does not end within the grace period."
            found.append(
                Finding(
                    "does-not-end",
                    Severity.ERROR,
                    summary,
                    outcome.why[-2:],
                    remedies.handling(look.signal, _ends_on(look)),
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
            "Its stop signal is SIGKILL: nothing in it can end its work.",
            (f"inspect: StopSignal {details.stop_signal}",),
            remedies.stop_signal("SIGTERM"),
        )
    if details.stop_timeout_s == 0 and facts.signal != SIGKILL:
        yield Finding(
            "grace-zero",
            Severity.WARNING,
            "Its grace period is 0 s: SIGKILL follows the stop signal at once.",
            ("inspect: StopTimeout 0",),
            remedies.grace(10),
        )
    if details.stop_timeout_s < 0 and outcome.outlook is not Outlook.EXITS:
        severity = Severity.ERROR if outcome.outlook is Outlook.TIMES_OUT else Severity.WARNING
        yield Finding(
            "grace-endless",
            severity,
            "Its grace period never ends, so a stop that it doesn't follow never does either.",
            (f"inspect: StopTimeout {details.stop_timeout_s}",),
            remedies.grace(10),
        )
    if facts.restart_disarmed and details.restart_policy != "no":
        yield Finding(
            "restart-disarmed",
            Severity.WARNING,
            f"Its restart policy {details.restart_policy} won't act: `docker kill` has marked it as stopped by hand.",
            ("the engine's config.v2.json: HasBeenManuallyStopped true",),
            f"docker restart {details.name}",
        )


def _early_signals(look: Situation) -> Iterator[Finding]:
    """It has outlived signals that would end it now, so they came before PID 1 was ready for them."""
    facts = look.case.facts
    fates = {number: look.case.ask(look.root, number) for number in {one.signal for one in facts.early_signals}}
    dropped = [one for one in facts.early_signals if _would_have_ended(look, one, fates[one.signal])]
    if dropped:
        begun = facts.details.started_at or dropped[0].at
        times = tuple(f"engine: sent {name_of(one.signal)} {one.at - begun:.1f} s after the start" for one in dropped)
        yield Finding(
            "dropped-at-start",
            Severity.NOTE,
            f"{name_of(dropped[0].signal)} came while it was starting and was dropped: it would end it now.",
            (*times[:5], f"/proc: PID 1 ({look.root.name}) runs on"),
            "# Install the handlers first, then begin the work.",
        )


def _ends_on(look: Situation) -> str | None:
    """Another signal that would end PID 1, as far as is known: a documented one first."""
    known = catalogue.recognise(look.main)
    for name in (*(known.graceful if known else ()), "SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"):
        if name != look.signal:
            outcome = look.case.ask(look.root, number_of(name))
            if outcome.outlook is Outlook.EXITS and outcome.confidence is not Confidence.GUESS:
                return name
    return None


def _would_have_ended(look: Situation, early: EarlySignal, outcome: Outcome) -> bool:
    return outcome.outlook is Outlook.EXITS and outcome.takes_s < look.case.facts.now - early.at - SETTLED_S


def _reception(look: Situation) -> Iterator[Finding]:
    """The signal doesn't get through to PID 1's own code."""
    evidence = (look.case.forecast(look.root, look.case.facts.signal).evidence,)
    who = described(look.root)
    shell_in_front = catalogue.is_shell(look.root) and len(look.chain) > 1
    if look.delivery is Delivery.DROPPED and not shell_in_front:
        yield Finding(
            "signal-dropped",
            look.severity(),
            f"PID 1 ({look.root.name}) has no handler for {look.signal}: the kernel drops it.",
            evidence,
            remedies.init(),
        )
    elif look.delivery is Delivery.IGNORED:
        summary = f"PID 1 ({look.root.name}) ignores {look.signal}."
        yield Finding(
            "signal-ignored", look.severity(), summary, evidence, remedies.handling(look.signal, _ends_on(look))
        )
    elif look.delivery is Delivery.PENDING and look.case.facts.signal not in look.root.dispositions.caught:
        summary = f"PID 1 ({look.root.name}) blocks {look.signal}, and nothing in it awaits the signal."
        yield Finding("signal-blocked", look.severity(), summary, evidence, remedies.unblock(look.signal))
    elif look.outcome.outlook is Outlook.UNKNOWN and look.delivery is not Delivery.DEFERRED and look.case.facts.grace_s:
        clients = look.case.facts.clients
        depends = clients and any("clients are connected" in why for why in look.outcome.why)
        yield Finding(
            "handler-unknown",
            Severity.NOTE,
            f"Whether {who} ends on {look.signal} in time depends on its clients ({clients} are connected)."
            if depends
            else f"Whether {who} ends on {look.signal} can't be told before it has been stopped once.",
            look.outcome.why[-2:],
            f"containerlab-tui stop {look.case.facts.details.name}",
        )
    if look.late and any("signals the program itself again" in why or "raises it again" in why
                         or "raises the signal again" in why for why in look.outcome.why):  # fmt: skip
        yield Finding(
            "raises-again",
            Severity.ERROR,
            f"PID 1's handler restores the default action and raises {look.signal} again, which PID 1 survives.",
            look.outcome.why[-1:],
            remedies.init(),
        )


def _shells(look: Situation) -> Iterator[Finding]:
    for process, child in zip(look.chain, look.chain[1:], strict=False):
        if not catalogue.is_shell(process):
            continue
        told = look.case.forecast(process, look.case.facts.signal)
        evidence = (
            f"process {process.container_pid}: {process.command[:120]}",
            f"its child, process {child.container_pid}: {child.command[:120]}",
            told.evidence,
        )
        text = shells.source(look.case, process) or ""
        if told.delivery is Delivery.DEFERRED:
            summary = f"A shell's trap for {look.signal} waits until its foreground child ends."
            yield Finding("trap-deferred", look.severity(), summary, evidence, remedies.trap(child, look.signal, text))
        elif told.delivery is Delivery.HANDLER:
            if traps.trap_for(text, look.case.facts.signal):
                summary = f"A shell's trap for {look.signal} runs at once: the shell is in `wait`."
                yield Finding("trap-waits", Severity.NOTE, summary, evidence)
        else:
            yield Finding(
                "shell-in-front",
                look.severity(),
                f"A shell ({process.name}) stands in front of {child.name} and doesn't pass {look.signal} on.",
                evidence,
                remedies.exec_form(child, text),
            )
        return


def _signal_choice(look: Situation) -> Iterator[Finding]:
    """Another signal would be the better one."""
    program = catalogue.recognise(look.main)
    if program is None or not _reaches(look):
        return
    reaction = program.reaction(look.signal)
    better = next((one for one in program.graceful if one != look.signal), None)
    known = (f"known: {program.name} ({program.source})",)
    if reaction and reaction.does in ("reloads", "re-executes") and look.late:
        summary = f"{program.name} {reaction.does} on {look.signal} instead of ending."
        remedy = remedies.uwsgi() if program.name.startswith("uWSGI") and look.signal == "SIGTERM" else ""
        remedy += remedies.stop_signal(better) if better else ""
        yield Finding("reloads-instead", Severity.ERROR, summary, known, remedy)
    elif better and look.signal not in program.graceful and look.outcome.graceful is not Graceful.YES:
        does = "cuts off work in hand" if reaction and reaction.does == "fast" else "isn't documented to end its work"
        summary = f"{program.name} ends its work on {better}; on {look.signal} it {does}."
        yield Finding("other-graceful-signal", Severity.WARNING, summary, known, remedies.stop_signal(better))
    elif reaction and reaction.does == "fast":
        summary = f"{program.name} ends on {look.signal} and cuts off work in hand; no gentler signal is documented."
        yield Finding("cuts-off", Severity.NOTE, summary, known)


def _reaches(look: Situation) -> bool:
    """The stop signal comes as far as the program: PID 1 itself, or behind inits that pass it on."""
    return all((known := catalogue.recognise(one)) and known.kind in ("init", "wrapper") for one in look.chain[:-1])


def _inits(look: Situation) -> Iterator[Finding]:
    for process in look.chain[:-1]:
        known = catalogue.recognise(process)
        if known is None or known.kind != "init":
            continue
        said = next((why for why in look.outcome.why if why.startswith(f"known: {known.name} hands")), "")
        if said:
            summary = f"{known.name} stands in front: {said.removeprefix('known: ').partition(' (')[0]}."
            yield Finding("init-forwards", Severity.NOTE, summary, (said,))
        if known.name == "tini" and process.pid != look.root.pid and "-s" not in process.argv:
            yield Finding(
                "init-not-first",
                Severity.WARNING,
                "tini is not PID 1 here, so it reaps no orphans.",
                (f"process {process.container_pid}: {process.command[:120]}",),
                remedies.exec_form(process) + "\n# or: tini -s",
            )


_MANAGES_ITS_OWN = ("server", "database", "supervisor", "runtime")


def _children(look: Situation) -> Iterator[Finding]:
    """Processes that nobody tells: the kernel kills them when PID 1 ends."""
    if look.outcome.outlook is Outlook.TIMES_OUT:
        return
    chain = {one.pid for one in look.chain}
    known = catalogue.recognise(look.main)
    if known is not None and known.kind in _MANAGES_ITS_OWN:
        chain |= _below(look, look.main)
    untold = [one for one in look.case.facts.processes if one.pid not in chain and one.state not in ("Z", "X")]
    if not untold or not look.root.namespace_init:
        return
    from_outside = {one.pid for one in look.case.facts.processes}
    execed = [one for one in untold if one.parent_pid not in from_outside]
    yield Finding(
        "children-killed",
        Severity.NOTE if len(execed) == len(untold) else Severity.WARNING,
        f"{len(untold)} {'process gets' if len(untold) == 1 else 'processes get'} no {look.signal} from the engine and"
        " will be killed when PID 1 ends, unless PID 1 tells them.",
        tuple(f"process {one.container_pid}: {one.command[:100]}" for one in untold[:8]),
        "# Let PID 1 pass the signal on and wait for its children, or run each in a container of its own.",
    )


def _below(look: Situation, process: Process) -> set[int]:
    found, waiting = set[int](), [process]
    while waiting:
        children = look.case.children(waiting.pop())
        waiting += [one for one in children if one.pid not in found]
        found |= {one.pid for one in children}
    return found


def _zombies(look: Situation) -> Iterator[Finding]:
    zombies = [one for one in look.case.facts.processes if one.state == "Z"]
    if not zombies:
        return
    by_pid = {one.pid: one for one in look.case.facts.processes}
    told = tuple(
        f"process {one.container_pid} [{one.name}], child of {described(by_pid[one.parent_pid])}"
        if one.parent_pid in by_pid
        else f"process {one.container_pid} [{one.name}]"
        for one in zombies[:8]
    )
    of_init = any(one.parent_pid == look.root.pid for one in zombies)
    yield Finding(
        "zombies",
        Severity.WARNING,
        f"{len(zombies)} ended {'process waits' if len(zombies) == 1 else 'processes wait'} to be reaped"
        + (": PID 1 doesn't reap its children." if of_init else "."),
        told,
        remedies.reaping(of_init),
    )


def _after(past: PastStop) -> str:
    return "" if past.duration_s is None else f" after {past.duration_s:.1f} s"


def _time(look: Situation) -> Iterator[Finding]:
    facts, grace_s = look.case.facts, look.case.facts.grace_s
    takes_s = look.outcome.takes_s
    if takes_s and 0 < grace_s < float("inf") and takes_s > grace_s * 0.7:
        yield Finding(
            "grace-too-short",
            Severity.ERROR if takes_s > grace_s else Severity.WARNING,
            f"Ending takes about {takes_s:.1f} s, and the grace period is {grace_s:g} s.",
            look.outcome.why[-2:],
            remedies.grace(int(takes_s * 1.5) + 1),
        )
    alike = [
        one for one in facts.history
        if one.command == plain(look.root.command) and one.signal == look.signal and one.ran_out is not None
    ][:BEFORE]  # fmt: skip
    killed = [one for one in alike if one.ran_out_of(grace_s)]
    if len(killed) >= 2:
        yield Finding(
            "killed-before",
            Severity.WARNING,
            f"Of the last {len(alike)} stops of it or its like that were seen, {len(killed)} ended in SIGKILL.",
            tuple(f"memory: {one.signal}, grace {one.grace_s:g} s, {one.verdict}{_after(one)}" for one in alike),
        )
