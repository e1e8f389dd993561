"""Predictions compared with results: correct, wrong, or without a verdict."""

from dataclasses import replace

import pytest

from containerlab_tui.doctor.comparison import compare, read_late, words
from containerlab_tui.model.diagnosis import Confidence, Diagnosis, Outlook
from containerlab_tui.model.stop import Phase, StopPlan, StopState, Verdict
from containerlab_tui.present.doctor_documents import prediction
from tests.unit.doctor.support import TERM, diagnosed, process

KILL = 9
NEVER = diagnosed(process(1, "server", exe="/app/server"))
AT_ONCE = diagnosed(process(1, "sleep", "1000", init=False))
OPEN = diagnosed(process(1, "server", exe="/app/server", caught=(TERM,)))

PLAN = StopPlan("c", "box", TERM, "default", 10, "default", (), ())
GRACEFUL = StopState(PLAN, 0.0, phase_1=Phase(0.0, 0.2), died_at=0.2, exit_code=0, verdict=Verdict.GRACEFUL)
KILLED = replace(
    GRACEFUL, phase_1=Phase(0.0, 10.0), phase_2=Phase(10.0, 10.1), died_at=10.1, exit_code=137, verdict=Verdict.KILLED
)
RESTARTED = replace(GRACEFUL, verdict=Verdict.RESTARTED)
KILLED_AND_RESTARTED = replace(KILLED, verdict=Verdict.RESTARTED)
BY_SOMETHING_ELSE = replace(KILLED, phase_2=None)
IMPATIENT = replace(KILLED, phase_1=Phase(0.0, 1.0), phase_2=Phase(1.0, 1.1), died_at=1.1)
OUTRIGHT = replace(KILLED, phase_1=Phase(0.0, 0.0), phase_2=Phase(0.0, 0.1), died_at=0.1)
FAILED = StopState(PLAN, 0.0, verdict=Verdict.FAILED)


@pytest.mark.parametrize(
    ("diagnosis", "state", "happened", "right"),
    [
        (NEVER, KILLED, Outlook.TIMES_OUT, True),
        (NEVER, GRACEFUL, Outlook.EXITS, False),
        (AT_ONCE, GRACEFUL, Outlook.EXITS, True),
        (AT_ONCE, KILLED, Outlook.TIMES_OUT, False),
        (AT_ONCE, RESTARTED, Outlook.EXITS, True),
        (NEVER, KILLED_AND_RESTARTED, Outlook.TIMES_OUT, True),
        (OPEN, GRACEFUL, Outlook.EXITS, None),
        (NEVER, BY_SOMETHING_ELSE, Outlook.UNKNOWN, None),
        (NEVER, FAILED, Outlook.UNKNOWN, None),
        (AT_ONCE, IMPATIENT, Outlook.UNKNOWN, None),
        (AT_ONCE, OUTRIGHT, Outlook.UNKNOWN, None),
    ],
)
def test_predictions_are_compared_with_results(
    diagnosis: Diagnosis, state: StopState, happened: Outlook, right: bool | None
) -> None:
    compared = compare(diagnosis, state)
    assert (compared.happened, compared.right) == (happened, right)
    assert compared.sentence.endswith({True: ". Correct.", False: ". Wrong.", None: "."}[right])
    assert prediction(compared)["right"] is right


def test_a_prediction_for_another_stop_has_no_verdict() -> None:
    for other in (replace(PLAN, timeout_s=3), replace(PLAN, signal=2)):
        compared = compare(NEVER, replace(KILLED, plan=other))
        assert compared.right is None
        assert "another signal or grace period" in compared.sentence


def test_sigkill_as_the_stop_signal_is_predicted_to_kill() -> None:
    plan = replace(PLAN, signal=KILL)
    state = replace(KILLED, plan=plan, phase_1=Phase(0.0, 0.0), phase_2=Phase(0.0, 0.1), died_at=0.1)
    compared = compare(diagnosed(process(1, "server", exe="/app/server"), signal="SIGKILL"), state)
    assert (compared.outlook, compared.happened, compared.right) == (Outlook.EXITS, Outlook.EXITS, True)


def test_a_late_diagnosis_is_never_certain() -> None:
    assert NEVER.confidence is Confidence.CERTAIN
    late = read_late(NEVER)
    assert late.confidence is Confidence.LIKELY
    assert "after the signal" in late.evidence[-1]
    assert read_late(late) == late


def test_confidence_is_shown_only_with_a_prediction() -> None:
    assert words(NEVER) == "Prediction: does not exit in time (certain)"
    assert words(OPEN) == "Prediction: unknown"
