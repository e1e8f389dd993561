"""The doctor's forecast beside what a stop came to. Pure."""

from dataclasses import dataclass

from containerlab_tui.core.doctor_facts import Confidence, Diagnosis, Outlook
from containerlab_tui.core.documents import Document
from containerlab_tui.core.stop import StopState, Verdict


@dataclass(frozen=True, slots=True)
class Comparison:
    """One forecast and its outcome."""

    outlook: Outlook
    confidence: Confidence
    happened: Outlook
    """`exits`: PID 1 ended before SIGKILL was sent; `times-out`: it was killed; `unknown`: the stop can't tell."""
    right: bool | None
    """None where either side is unknown, or the stop was another than the forecast one."""
    sentence: str


def compare(diagnosis: Diagnosis, state: StopState) -> Comparison:
    """What was foretold and what happened; only for a stop with the container's own signal and grace period."""
    happened = _happened(state)
    changed = state.plan.signal_source == "request" or state.plan.timeout_source == "request"
    known = Outlook.UNKNOWN not in (diagnosis.outlook, happened)
    right = diagnosis.outlook is happened if known and not changed else None
    foretold = f"Foretold: {_WORDS[diagnosis.outlook]} ({diagnosis.confidence})"
    if changed:
        sentence = f"{foretold}, but for another signal or grace period."
    elif right is None:
        sentence = f"{foretold}; it {_PAST[happened]}."
    else:
        sentence = f"{foretold}; it {_PAST[happened]}: {'right' if right else 'wrong'}."
    return Comparison(diagnosis.outlook, diagnosis.confidence, happened, right, sentence)


def _happened(state: StopState) -> Outlook:
    if state.verdict in (Verdict.GRACEFUL, Verdict.RESTARTED):
        return Outlook.EXITS
    if state.verdict is Verdict.KILLED and state.phase_2 is not None:
        return Outlook.TIMES_OUT
    return Outlook.UNKNOWN


_WORDS = {
    Outlook.EXITS: "it ends by itself",
    Outlook.TIMES_OUT: "it does not end in time",
    Outlook.UNKNOWN: "not known",
}
_PAST = {
    Outlook.EXITS: "ended by itself",
    Outlook.TIMES_OUT: "was killed after the grace period",
    Outlook.UNKNOWN: "went a way that tells nothing",
}


def document(comparison: Comparison) -> Document:
    """The field `prediction` of a stop's JSON document."""
    return {
        "outlook": comparison.outlook.value,
        "confidence": comparison.confidence.value,
        "happened": comparison.happened.value,
        "right": comparison.right,
    }
