"""Turns the facts about a container into a diagnosis: prediction, reasons and fixes.

No I/O in this package except in the `gather` modules. The kernel's rules come first (they make a prediction certain),
then what is known about programs and about earlier stops. Anything else is `unknown`.
"""

from collections.abc import Sequence
from dataclasses import replace

from containerlab_probes.records import Delivery, Process
from containerlab_probes.signals.forecast import without_root
from containerlab_probes.signals.names import SIGKILL, name_of
from containerlab_tui.doctor import findings
from containerlab_tui.doctor.case import Case, lowest
from containerlab_tui.doctor.facts import Facts
from containerlab_tui.doctor.outcome import outcome_of
from containerlab_tui.doctor.programs import catalogue
from containerlab_tui.doctor.situation import main_program
from containerlab_tui.model.diagnosis import Confidence, Diagnosis, Graceful, Outcome, Outlook
from containerlab_tui.model.ending_records import PastStop
from containerlab_tui.model.grace import grace_period
from containerlab_tui.model.inventory import natural
from containerlab_tui.present.safe_text import plain

QUICK_S = 0.3
"""The time given for programs that exit at once; measured: Docker takes about 0.1 s from signal to SIGKILL."""
VARIES_S = 1.0
"""Error of the times known for programs: many check only once a second whether they should exit."""
_PROGRAM_DECIDES = (Delivery.HANDLER, Delivery.SIGWAIT, Delivery.SIGNALFD, Delivery.UNKNOWN)


def diagnose(facts: Facts) -> Diagnosis:
    """Diagnoses one running container."""
    root = facts.root
    case = Case(facts, outcome_of)
    if root is None:
        delivery, outcome = Delivery.UNKNOWN, _unseen(facts)
    else:
        delivery = case.forecast(root, facts.first_signal).delivery
        outcome = _never_sent(root) or outcome_of(case, root, facts.first_signal)
        outcome = _in_time(facts, _by_history(facts, root, delivery, outcome), delivery)
        if without_root(facts.processes) and facts.first_signal != SIGKILL:
            outcome = replace(outcome, confidence=lowest(outcome.confidence, Confidence.LIKELY))
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
        partial=(missing, *facts.unread) if (missing := without_root(facts.processes)) else facts.unread,
    )


def _better_signal(facts: Facts, outcome: Outcome, program: catalogue.Program | None) -> str | None:
    """Returns the documented signal for a clean shutdown; the stop signal itself if it is one of them."""
    if outcome.graceful is Graceful.YES:
        return name_of(facts.signal)
    signals = outcome.graceful_signals or (program.graceful if program else ())
    if not signals:
        return None
    return name_of(facts.signal) if name_of(facts.signal) in signals else signals[0]


def _never_sent(root: Process) -> Outcome | None:
    """Handles a PID 1 whose main thread has exited while other threads still run.

    runc treats it as stopped and refuses to signal it (libcontainer, container_linux.go, runType); only Docker's own
    SIGKILL at the end of the grace period kills it. Measured with runc 1.1.
    """
    if root.state != "Z" or root.threads <= 1:
        return None
    why = "PID 1's main thread has exited but other threads run, so runc treats it as stopped and sends no signal."
    return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (why,), graceful=Graceful.NO)


def _unseen(facts: Facts) -> Outcome:
    """Returns the outcome for a PID 1 that can't be read: the engine names it, but not its signal handling."""
    why = (f"Cannot read PID 1: {facts.unseen_reason or 'it has just exited'}.",)
    return Outcome(Outlook.UNKNOWN, Confidence.GUESS, why)


def _in_time(facts: Facts, outcome: Outcome, delivery: Delivery) -> Outcome:
    """Compares the time that an exit takes with the grace period."""
    grace_s = facts.grace_s
    if facts.first_signal == SIGKILL or outcome.outlook is not Outlook.EXITS:
        return outcome
    if grace_s == 0:
        return _at_once(outcome, delivery)
    if outcome.takes_s < grace_s * 0.9:
        return outcome
    why = f"Exiting takes about {outcome.takes_s:.1f} s; the grace period is {grace_period(grace_s)}."
    if outcome.takes_s - VARIES_S > grace_s * 1.1:
        return replace(outcome, outlook=Outlook.TIMES_OUT, confidence=Confidence.LIKELY, why=(*outcome.why, why))
    return replace(outcome, outlook=Outlook.UNKNOWN, confidence=Confidence.GUESS, why=(*outcome.why, why))


def _at_once(outcome: Outcome, delivery: Delivery) -> Outcome:
    """Handles a grace period of 0: Docker sends SIGKILL some hundredths of a second later (measured)."""
    why = (*outcome.why, "The grace period is 0 s: SIGKILL follows the stop signal at once.")
    if delivery is Delivery.DEFAULT:
        return replace(outcome, confidence=lowest(outcome.confidence, Confidence.LIKELY), why=why)
    if outcome.takes_s <= QUICK_S:
        return replace(outcome, confidence=Confidence.GUESS, why=why)
    if outcome.takes_s > VARIES_S:
        return replace(outcome, outlook=Outlook.TIMES_OUT, confidence=Confidence.LIKELY, why=why)
    race = (*why, "Exit and SIGKILL race each other.")
    return replace(outcome, outlook=Outlook.UNKNOWN, confidence=Confidence.GUESS, why=race)


def _by_history(facts: Facts, root: Process, delivery: Delivery, outcome: Outcome) -> Outcome:
    """Applies the results of earlier stops with the same signal and command.

    Stops of this container override a likely prediction; stops of other containers of its image override only a
    guess. If the kernel decides (no handler, ignored, blocked, deferred), earlier stops don't matter.
    """
    if delivery not in _PROGRAM_DECIDES or outcome.confidence is Confidence.CERTAIN:
        return outcome
    alike = [
        one
        for one in facts.history
        if one.signal == name_of(facts.signal) and one.ran(plain(root.command))
        and one.duration_s is not None and one.ran_out is not None
    ]  # fmt: skip
    own = [one for one in alike if one.container == facts.details.id]
    weak = outcome.confidence is Confidence.GUESS or outcome.outlook is Outlook.UNKNOWN
    chosen = (own if len(own) >= 2 else alike if weak and len(alike) >= 2 else [])[:5]
    if not chosen:
        return outcome
    killed = {bool(one.ran_out) for one in chosen}
    if len(killed) > 1:
        return replace(outcome, why=(*outcome.why, "seen: its last stops had different results."))
    return _as_before(facts, outcome, chosen, killed.pop())


def _as_before(facts: Facts, outcome: Outcome, chosen: list[PastStop], killed: bool) -> Outcome:
    durations = sorted(one.duration_s for one in chosen if one.duration_s is not None)
    whose = "its" if all(one.container == facts.details.id for one in chosen) else "this image's"
    fate = "were killed" if killed else "exited on their own"
    typical_s = durations[len(durations) // 2]
    stops = f"{whose} last {len(chosen)} stops with {name_of(facts.signal)}"
    why = f"seen: {stops} took {typical_s:.1f} s and {fate}."
    reasons = (*outcome.why, why)
    if not killed:
        return replace(outcome, outlook=Outlook.EXITS, confidence=Confidence.LIKELY, why=reasons, takes_s=durations[-1])
    if not all(one.ran_out_of(facts.grace_s) for one in chosen):
        return replace(outcome, why=reasons)  # with more time it may exit
    return replace(outcome, outlook=Outlook.TIMES_OUT, confidence=Confidence.LIKELY, why=reasons)


def by_trouble(diagnoses: Sequence[Diagnosis]) -> tuple[Diagnosis, ...]:
    """Sorts diagnoses, worst first, then by name."""
    return tuple(sorted(diagnoses, key=lambda one: (-one.trouble, natural(one.container))))
