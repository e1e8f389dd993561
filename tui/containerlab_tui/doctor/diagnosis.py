"""How a stop of a container would go, why, and how to mend it. Pure: facts -> a diagnosis; it sends nothing.

The kernel's rules come first (they make an outlook certain), then what is known of programs and of the
container's own earlier stops. What isn't known is `unknown`.
"""

from collections.abc import Sequence
from dataclasses import replace

from containerlab_probes.records import Delivery, Process
from containerlab_probes.signals.names import SIGKILL, name_of
from containerlab_tui.doctor import findings
from containerlab_tui.doctor.case import Case, lowest
from containerlab_tui.doctor.facts import Facts
from containerlab_tui.doctor.outcome import outcome_of
from containerlab_tui.doctor.programs import catalogue
from containerlab_tui.doctor.situation import main_program
from containerlab_tui.model.diagnosis import Confidence, Diagnosis, Graceful, Outcome, Outlook
from containerlab_tui.model.ending_records import PastStop
from containerlab_tui.model.inventory import natural
from containerlab_tui.present.safe_text import plain

QUICK_S = 0.3
"""What is said of programs that end at once; measured: the engine takes about 0.1 s from signal to SIGKILL."""
VARIES_S = 1.0
"""By how much a time that is known of a program may be too long: many look once a second whether they are to end."""
_PROGRAM_DECIDES = (Delivery.HANDLER, Delivery.SIGWAIT, Delivery.SIGNALFD, Delivery.UNKNOWN)


def diagnose(facts: Facts) -> Diagnosis:
    """The whole answer for one running container."""
    root = facts.root
    case = Case(facts, outcome_of)
    if root is None:
        delivery, outcome = Delivery.UNKNOWN, _blind(facts)
    else:
        delivery = case.forecast(root, facts.signal).delivery
        outcome = _unsent(root) or outcome_of(case, root, facts.signal)
        outcome = _in_time(facts, _by_history(facts, root, delivery, outcome), delivery)
    outcome = replace(outcome, findings=findings.findings(case, root, delivery, outcome))
    details = facts.details
    main = main_program(case, root) if root else None
    recognised = catalogue.recognise(main) if main else None
    return Diagnosis(
        container=details.name,
        signal=name_of(facts.signal),
        signal_source=details.stop_signal_source,
        timeout_s=details.stop_timeout_s,
        timeout_source=details.stop_timeout_source,
        delivery=delivery,
        outlook=outcome.outlook,
        graceful=outcome.graceful,
        graceful_signal=_better_signal(facts, outcome, recognised),
        confidence=outcome.confidence,
        evidence=outcome.why,
        unreached=tuple(one for one in facts.processes if one.pid != details.pid),
        findings=outcome.findings,
        program=recognised.name if recognised else "",
        takes_s=outcome.takes_s if outcome.outlook is Outlook.EXITS else None,
        id=details.id,
        started_at=details.started_at,
    )


def _better_signal(facts: Facts, outcome: Outcome, program: catalogue.Program | None) -> str | None:
    """The documented graceful signal; the one that is sent anyway where that is one of them."""
    if outcome.graceful is Graceful.YES:
        return name_of(facts.signal)
    signals = outcome.graceful_signals or (program.graceful if program else ())
    if not signals:
        return None
    return name_of(facts.signal) if name_of(facts.signal) in signals else signals[0]


def _unsent(root: Process) -> Outcome | None:
    """An engine takes a container whose PID 1 is a zombie for stopped, even while other threads of it run.

    runc then refuses to signal it (libcontainer, container_linux.go, runType), and only the engine's own SIGKILL at
    the end of the grace period ends it; measured with runc 1.1.
    """
    if root.state != "Z" or root.threads <= 1:
        return None
    why = "Its main thread has ended while others run on: runc takes it for stopped and sends it no signal."
    return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (why,), graceful=Graceful.NO)


def _blind(facts: Facts) -> Outcome:
    """Only the engine's word is there: what PID 1 is, but not what it does with signals."""
    why = (f"PID 1 can't be looked at: {facts.blind_reason or 'it has just ended'}.",)
    return Outcome(Outlook.UNKNOWN, Confidence.GUESS, why)


def _in_time(facts: Facts, outcome: Outcome, delivery: Delivery) -> Outcome:
    """An end that takes longer than the grace period is no end in time."""
    grace_s = facts.grace_s
    if facts.signal == SIGKILL or outcome.outlook is not Outlook.EXITS:
        return outcome
    if grace_s == 0:
        return _at_once(outcome, delivery)
    if outcome.takes_s < grace_s * 0.9:
        return outcome
    why = f"That takes about {outcome.takes_s:.1f} s, and the grace period is {grace_s:g} s."
    if outcome.takes_s - VARIES_S > grace_s * 1.1:
        return replace(outcome, outlook=Outlook.TIMES_OUT, confidence=Confidence.LIKELY, why=(*outcome.why, why))
    return replace(outcome, outlook=Outlook.UNKNOWN, confidence=Confidence.GUESS, why=(*outcome.why, why))


def _at_once(outcome: Outcome, delivery: Delivery) -> Outcome:
    """Of a grace period of 0: the engine needs some hundredths of a second to follow with SIGKILL (measured)."""
    why = (*outcome.why, "The grace period is 0 s: SIGKILL follows the stop signal at once.")
    if delivery is Delivery.DEFAULT:
        return replace(outcome, confidence=lowest(outcome.confidence, Confidence.LIKELY), why=why)
    if outcome.takes_s <= QUICK_S:
        return replace(outcome, confidence=Confidence.GUESS, why=why)
    if outcome.takes_s > VARIES_S:
        return replace(outcome, outlook=Outlook.TIMES_OUT, confidence=Confidence.LIKELY, why=why)
    told = (*why, "Whether it has ended by then is a race.")
    return replace(outcome, outlook=Outlook.UNKNOWN, confidence=Confidence.GUESS, why=told)


def _by_history(facts: Facts, root: Process, delivery: Delivery, outcome: Outcome) -> Outcome:
    """What earlier stops with this signal and command came to.

    Those of this very container go before what is only likely; those of other containers of its image only before
    a guess. Where the kernel decides (no handler, ignored, blocked, put off) the past has no say.
    """
    if delivery not in _PROGRAM_DECIDES or outcome.confidence is Confidence.CERTAIN:
        return outcome
    alike = [
        one
        for one in facts.history
        if one.signal == name_of(facts.signal) and one.command == plain(root.command)
        and one.duration_s is not None and one.ran_out is not None
    ]  # fmt: skip
    own = [one for one in alike if one.container == facts.details.id]
    weak = outcome.confidence is Confidence.GUESS or outcome.outlook is Outlook.UNKNOWN
    chosen = (own if len(own) >= 2 else alike if weak and len(alike) >= 2 else [])[:5]
    if not chosen:
        return outcome
    killed = {bool(one.ran_out) for one in chosen}
    if len(killed) > 1:
        return replace(outcome, why=(*outcome.why, "memory: its last stops went different ways."))
    return _as_before(facts, outcome, chosen, killed.pop())


def _as_before(facts: Facts, outcome: Outcome, chosen: list[PastStop], killed: bool) -> Outcome:
    durations = sorted(one.duration_s for one in chosen if one.duration_s is not None)
    whose = "its" if all(one.container == facts.details.id for one in chosen) else "this image's"
    fate = "were killed" if killed else "ended by themselves"
    typical_s = durations[len(durations) // 2]
    stops = f"{whose} last {len(chosen)} stops with {name_of(facts.signal)}"
    why = f"memory: {stops} took {typical_s:.1f} s and {fate}."
    told = (*outcome.why, why)
    if not killed:
        return replace(outcome, outlook=Outlook.EXITS, confidence=Confidence.LIKELY, why=told, takes_s=durations[-1])
    if not all(one.ran_out_of(facts.grace_s) for one in chosen):
        return replace(outcome, why=told)  # with more time it may end
    return replace(outcome, outlook=Outlook.TIMES_OUT, confidence=Confidence.LIKELY, why=told)


def by_trouble(diagnoses: Sequence[Diagnosis]) -> tuple[Diagnosis, ...]:
    """Returns the worst first, then by name."""
    return tuple(sorted(diagnoses, key=lambda one: (-one.trouble, natural(one.container))))
