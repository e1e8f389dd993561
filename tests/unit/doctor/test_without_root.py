"""Predictions from what everybody may read: the masks of signals and the command line, without files and open files."""

from dataclasses import replace

import pytest

from containerlab_probes.records import WITHOUT_ROOT, Process
from containerlab_tui.model.diagnosis import Confidence, Diagnosis, Outlook
from tests.unit.doctor.support import TERM, codes, diagnosed, process

BLOCKS = "import signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, [15])\nwhile 1: time.sleep(1)"


def masked(one: Process, unclear: bool = False) -> Process:
    """Returns a process as it is seen without root; `unclear`: it may await SIGTERM."""
    signals = frozenset({TERM})
    masks = replace(one.dispositions, unread=(WITHOUT_ROOT,))
    masks = replace(masks, unclear=signals) if unclear else replace(masks, assumed=signals)
    return replace(one, exe="", dispositions=masks)


def predicted(*seen: Process, **more: object) -> tuple[Outlook, Confidence]:
    made = diagnosed(*seen, **more)
    assert made.partial == (WITHOUT_ROOT,)
    return made.outlook, made.confidence


def test_a_discarded_signal_is_likely() -> None:
    assert predicted(masked(process(1, "sleep", "1000"))) == (Outlook.TIMES_OUT, Confidence.LIKELY)


def test_a_handled_signal_is_likely_even_if_the_program_is_known_for_certain() -> None:
    seen = process(1, "nginx: master process nginx", caught=(TERM,))
    assert predicted(replace(masked(seen), name="nginx")) == (Outlook.EXITS, Confidence.LIKELY)


def test_an_init_that_awaits_signals_is_known_to_forward_them() -> None:
    seen = masked(process(1, "tini", "sleep", "1000"), unclear=True), masked(process(7, "sleep", "1000", parent=1))
    assert predicted(*seen) == (Outlook.EXITS, Confidence.LIKELY)


@pytest.mark.parametrize(
    ("source", "outlook", "code"),
    [(BLOCKS, Outlook.TIMES_OUT, "signal-blocked"), (f"{BLOCKS}\nsignal.sigwait([15])", Outlook.EXITS, "")],
)
def test_the_source_shows_whether_a_blocked_signal_is_awaited(source: str, outlook: Outlook, code: str) -> None:
    made = diagnosed(masked(process(1, "python3", "-c", source, blocked=(TERM,)), unclear=True))
    assert made.outlook is outlook
    assert code in codes(made) or not code


def test_a_shell_whose_delivery_is_unknown_is_not_said_to_stand_in_front() -> None:
    shell = masked(process(1, "sh", "-c", "trap : TERM; sleep 1000", caught=(TERM,)), unclear=True)
    assert "shell-in-front" not in codes(diagnosed(shell, masked(process(7, "sleep", "1000", parent=1))))


@pytest.mark.parametrize("rights", [True, False])
def test_supervisord_with_defaults_is_a_guess_without_root(rights: bool) -> None:
    seen = process(1, "python3", "/usr/bin/supervisord", caught=(TERM,)), process(7, "sleep", "1000", parent=1)
    made: Diagnosis = diagnosed(*(seen if rights else map(masked, seen)))
    assert (made.outlook, made.confidence) == (Outlook.UNKNOWN if rights else Outlook.EXITS, Confidence.GUESS)
