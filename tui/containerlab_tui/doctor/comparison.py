"""Compares the doctor's prediction with the result of a stop."""

from dataclasses import replace

from containerlab_probes.signals.names import SIGKILL, name_of
from containerlab_tui.model.diagnosis import Comparison, Confidence, Diagnosis, Outlook
from containerlab_tui.model.ending_records import NEAR_S
from containerlab_tui.model.stop import StopState, Verdict


def compare(diagnosis: Diagnosis, state: StopState) -> Comparison:
    """Compares a prediction with a stop; the verdict is None unless both describe the same stop."""
    happened = _happened(state)
    plan = state.plan
    changed = (diagnosis.signal, diagnosis.timeout_s) != (name_of(plan.signal), plan.timeout_s)
    known = Outlook.UNKNOWN not in (diagnosis.outlook, happened)
    right = diagnosis.outlook is happened if known and not changed else None
    prediction = words(diagnosis)
    if changed:
        sentence = f"{prediction}, but for another signal or grace period."
    elif right is None:
        sentence = f"{prediction}."
    else:
        sentence = f"{prediction}. {'Correct' if right else 'Wrong'}."
    return Comparison(diagnosis.outlook, diagnosis.confidence, happened, right, sentence)


def words(diagnosis: Diagnosis) -> str:
    """Returns the prediction as a clause that begins a sentence."""
    sure = "" if diagnosis.outlook is Outlook.UNKNOWN else f" ({diagnosis.confidence})"
    return f"Prediction: {_WORDS[diagnosis.outlook]}{sure}"


def read_late(diagnosis: Diagnosis) -> Diagnosis:
    """Lowers a diagnosis made after the signal was sent: what it read may be an effect of the signal."""
    if diagnosis.confidence is not Confidence.CERTAIN:
        return diagnosis
    why = (*diagnosis.evidence, "Read just after the signal was sent.")
    return replace(diagnosis, confidence=Confidence.LIKELY, evidence=why)


def _happened(state: StopState) -> Outlook:
    killed = state.exit_code == 128 + SIGKILL if state.verdict is Verdict.RESTARTED else state.verdict is Verdict.KILLED
    if state.verdict in (Verdict.GRACEFUL, Verdict.RESTARTED) and not killed:
        return Outlook.EXITS
    if not killed or state.phase_1 is None or state.phase_2 is None:
        return Outlook.UNKNOWN
    if state.plan.signal == SIGKILL:
        return Outlook.EXITS
    ran_out = 0 <= state.plan.timeout_s <= (state.phase_1.ended or 0.0) - state.phase_1.started + NEAR_S
    return Outlook.TIMES_OUT if ran_out else Outlook.UNKNOWN


_WORDS = {
    Outlook.EXITS: "exits on its own",
    Outlook.TIMES_OUT: "does not exit in time",
    Outlook.UNKNOWN: "unknown",
}
