"""Four marks for what an object survives, and the same in words. Shared by the IPC and Files tabs."""

from containerlab_tui.model.survival import Answer, Survival
from containerlab_tui.present import signs
from containerlab_tui.ui.widgets.grid import Cell, cell

MARKS = {Answer.YES: signs.SURVIVES, Answer.NO: signs.LOST, Answer.UNKNOWN: signs.UNKNOWN}
HEADING = "E S R B"
LEGEND = "survives  E process exit  S restart  R removal  B host reboot"
"""Fits in a border's title at 80 columns."""


def answers(survival: Survival) -> tuple[Answer, Answer, Answer, Answer]:
    return survival.process_exit, survival.stop_start, survival.remove, survival.host_reboot


def marks(survival: Survival) -> Cell:
    """Returns the four marks, seven cells under `HEADING`."""
    tones = {Answer.YES: "good", Answer.NO: "muted", Answer.UNKNOWN: "warn"}
    parts: Cell = ()
    for index, answer in enumerate(answers(survival)):
        parts += cell(" " * (index > 0) + MARKS[answer], tones[answer])
    return parts


def sentence(survival: Survival) -> str:
    """Returns the same in words: `Survives process exit; lost on restart, removal, host reboot. …`"""
    names = ("process exit", "restart", "removal", "host reboot")
    said: list[str] = []
    for answer, lead in ((Answer.YES, "survives "), (Answer.NO, "lost on "), (Answer.UNKNOWN, "unknown: ")):
        mine = [name for name, one in zip(names, answers(survival), strict=True) if one is answer]
        if mine:
            said.append(lead + ", ".join(mine))
    text = "; ".join(said)
    return f"{text[0].upper()}{text[1:]}. {survival.reason}".strip()
