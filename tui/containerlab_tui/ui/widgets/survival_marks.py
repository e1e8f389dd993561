"""Four marks for what an object outlives, and the same in words. Shared by the IPC and Files tabs. Pure."""

from containerlab_tui.model.survival import Answer, Survival
from containerlab_tui.ui.widgets.grid import Cell

MARKS = {Answer.YES: "✓", Answer.NO: "·", Answer.UNKNOWN: "?"}
HEADING = "E S R B"
LEGEND = "outlives  E end of its processes  S stop and start  R removal  B reboot"
"""Fits in a border's title at 80 columns."""


def answers(survival: Survival) -> tuple[Answer, Answer, Answer, Answer]:
    return survival.process_exit, survival.stop_start, survival.remove, survival.host_reboot


def marks(survival: Survival) -> Cell:
    """Seven cells under `HEADING`."""
    tones = {Answer.YES: "good", Answer.NO: "muted", Answer.UNKNOWN: "warn"}
    parts: list[tuple[str, str]] = []
    for index, answer in enumerate(answers(survival)):
        parts.append((" " * (index > 0) + MARKS[answer], tones[answer]))
    return tuple(parts)


def sentence(survival: Survival) -> str:
    """In words: `Outlives the end of its processes; not stop and start, removal, reboot. It lives …`"""
    names = ("the end of its processes", "stop and start", "removal of the container", "reboot of the host")
    said: list[str] = []
    for answer, lead in ((Answer.YES, "outlives "), (Answer.NO, "not "), (Answer.UNKNOWN, "unknown: ")):
        mine = [name for name, one in zip(names, answers(survival), strict=True) if one is answer]
        if mine:
            said.append(lead + ", ".join(mine))
    text = "; ".join(said)
    return f"{text[0].upper()}{text[1:]}. {survival.reason}".strip()
