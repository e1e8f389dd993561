"""Puts a diagnosis into words, for screens and commands. Callers apply `safe_text`."""

import re
from collections import Counter
from collections.abc import Iterable

from containerlab_probes.records import WITHOUT_ROOT
from containerlab_tui.model.diagnosis import Diagnosis, Finding, Graceful, Outlook, Severity
from containerlab_tui.model.grace import grace_period

INSTANT_S = 0.05
"""A shorter duration is not shown."""
_WEIGHTS = (Severity.ERROR, Severity.WARNING, Severity.NOTE)


def duration(one: Diagnosis) -> str:
    """Returns the approximate duration of a stop: `about 0.2 s`; empty if unknown or very short."""
    return f"about {one.takes_s:.1f} s" if one.takes_s is not None and one.takes_s >= INSTANT_S else ""


def outlook(one: Diagnosis) -> str:
    """Returns the prediction as a clause: `will not exit in time: SIGKILL after 10 s`."""
    if one.outlook is Outlook.UNKNOWN:
        return "may not exit in time: unknown"
    if one.outlook is Outlook.EXITS:
        return "exits in time"
    if one.timeout_s < 0:
        return "will not exit: no SIGKILL without a limit"
    return f"will not exit in time: SIGKILL {f'after {grace_period(one.timeout_s)}' if one.timeout_s else 'at once'}"


def headline(one: Diagnosis) -> str:
    """Returns the prediction and its confidence: `exits in time · likely`; without confidence if unknown."""
    return outlook(one) if one.outlook is Outlook.UNKNOWN else f"{outlook(one)} · {one.confidence}"


def graceful(one: Diagnosis) -> str:
    """Returns whether the stop signal causes a clean shutdown, and which signal is documented to."""
    said = {Graceful.YES: "yes", Graceful.NO: "no", Graceful.UNKNOWN: "unknown"}[one.graceful]
    return f"{said}; documented: {one.graceful_signal}" if one.graceful_signal else said


def partly(diagnoses: Iterable[Diagnosis]) -> list[str]:
    """Returns the sentences about what could not be read: one that only root can, then those of each container."""
    found = [(one.container, why) for one in diagnoses for why in one.partial]
    shared = [WITHOUT_ROOT] if any(why == WITHOUT_ROOT for _, why in found) else []
    return [*shared, *(f"{name}: {why}" for name, why in found if why != WITHOUT_ROOT)]


def by_weight(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sorts findings: errors, warnings, notes."""
    return tuple(sorted(findings, key=lambda one: _WEIGHTS.index(one.severity)))


_LABEL = re.compile(r"(Dockerfile|compose|in a script): (.+)")


def fix_lines(remedy: str) -> list[str]:
    """Returns the lines of a fix. Only a line feed ends one: what it quotes may contain other separators."""
    return remedy.rstrip("\n").split("\n") if remedy else []


def pasteable(remedy: str) -> str:
    """Formats a fix for pasting into a file: the place of each line becomes a comment above it."""
    return "".join(_LABEL.sub(r"# \1\n\2", line) + "\n" for line in fix_lines(remedy))


def counted(findings: Iterable[Finding]) -> str:
    """Counts the findings by severity: `1 error, 2 warnings · `; empty if there are none."""
    counts = Counter(one.severity for one in findings)
    parts = [f"{counts[one]} {one}{'s' if counts[one] > 1 else ''}" for one in _WEIGHTS if counts[one]]
    return ", ".join(parts) + " · " if parts else ""
