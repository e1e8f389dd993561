"""A diagnosis in words: the same on the screen and on the command line. Pure; `safe_text` is for whoever shows it."""

import re
from collections import Counter
from collections.abc import Iterable

from containerlab_tui.model.diagnosis import Diagnosis, Finding, Graceful, Outlook, Severity
from containerlab_tui.present.states import grace_period

INSTANT_S = 0.05
"""What takes less is not worth a number."""
_WEIGHTS = (Severity.ERROR, Severity.WARNING, Severity.NOTE)


def takes(one: Diagnosis) -> str:
    """About how long a stop would take: `about 0.2 s`; empty where it is not known, or next to nothing."""
    return f"about {one.takes_s:.1f} s" if one.takes_s is not None and one.takes_s >= INSTANT_S else ""


def outlook(one: Diagnosis) -> str:
    """How a stop would go, in a clause: `does not end in time: SIGKILL after 10 s`."""
    if one.outlook is Outlook.UNKNOWN:
        return "not known whether it ends in time"
    if one.outlook is Outlook.EXITS:
        return "ends in time"
    if one.timeout_s < 0:
        return "does not end, and no SIGKILL ever comes"
    return f"does not end in time: SIGKILL {f'after {grace_period(one.timeout_s)}' if one.timeout_s else 'at once'}"


def headline(one: Diagnosis) -> str:
    """How a stop would go and how sure that is: `ends in time · likely`. What isn't known has no certainty."""
    return outlook(one) if one.outlook is Outlook.UNKNOWN else f"{outlook(one)} · {one.confidence}"


def graceful(one: Diagnosis) -> str:
    """Whether the program ends its work cleanly on the stop signal, and on which one it is documented to."""
    said = {Graceful.YES: "yes", Graceful.NO: "no", Graceful.UNKNOWN: "not known"}[one.graceful]
    return f"{said}; documented: {one.graceful_signal}" if one.graceful_signal else said


def by_weight(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors, warnings, notes; within one weight as they were found."""
    return tuple(sorted(findings, key=lambda one: _WEIGHTS.index(one.severity)))


_LABEL = re.compile(r"(Dockerfile|compose|in a script): (.+)")


def pasteable(remedy: str) -> str:
    """A remedy as it can be pasted into a file: what says where a line belongs stands in a comment above it."""
    return "".join(_LABEL.sub(r"# \1\n\2", line) + "\n" for line in remedy.splitlines())


def counted(findings: Iterable[Finding]) -> str:
    """How many there are of each weight: `1 error, 2 warnings · `; empty where there are none."""
    counts = Counter(one.severity for one in findings)
    parts = [f"{counts[one]} {one}{'s' if counts[one] > 1 else ''}" for one in _WEIGHTS if counts[one]]
    return ", ".join(parts) + " · " if parts else ""
