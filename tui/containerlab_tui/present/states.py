"""Puts states, ages and effects into signs, words and tones, the same on every screen."""

from typing import TYPE_CHECKING, NamedTuple

from containerlab_tui.model.inventory import CREATED, DEAD, EXITED, PAUSED, REMOVED, REMOVING, RESTARTING, UP
from containerlab_tui.present import signs

if TYPE_CHECKING:
    from containerlab_probes.records import Forecast

TONES = ("good", "warn", "bad", "muted", "accent", "plain")
"""Roles of text; a stylesheet gives each its colour, and no colour carries a meaning without a sign or a word."""


class Word(NamedTuple):
    """A sign, a word and a tone."""

    glyph: str
    text: str
    tone: str
    """One of TONES."""


NOT_READ = Word(" ", "", "muted")
UNREAD = Word(signs.UNKNOWN, "unread", "muted")
"""The reading failed; it is tried again."""


def forecast_word(forecast: "Forecast | None") -> Word:
    """Returns a signal's effect as sign, word and tone; blank if it has not been read yet."""
    if forecast is None:
        return NOT_READ
    from containerlab_tui.present import wording  # not needed for the first frame

    return Word(wording.glyph(forecast), wording.short(forecast), forecast_tone(forecast))


def forecast_tone(forecast: "Forecast") -> str:
    """Returns good if the program decides, bad if there is no effect, warn if it is delayed or suspends."""
    from containerlab_probes.records import Delivery, Effect

    if forecast.delivery in (Delivery.DEFERRED, Delivery.PENDING):
        return "warn"
    tones = {
        Effect.PROGRAM_DECIDES: "good",
        Effect.NOTHING: "bad",
        Effect.DUMPS_CORE: "warn",
        Effect.STOPS: "warn",
        Effect.UNKNOWN: "muted",
    }
    return tones.get(forecast.effect, "plain")


_STATES = {
    UP: Word(signs.RUNNING, "running", "good"),
    PAUSED: Word(signs.SUSPENDED, "paused", "warn"),
    RESTARTING: Word(signs.RESTARTED, "restarting", "warn"),
    REMOVING: Word(signs.REMOVING, "removing", "muted"),
    REMOVED: Word(signs.REMOVING, "removed", "muted"),
    CREATED: Word(signs.STARTING, "created", "muted"),
    EXITED: Word(signs.STOPPED, "stopped", "muted"),
    DEAD: Word(signs.KILLED, "dead", "bad"),
}


def state_word(state: str) -> Word:
    """Returns the sign and word for the engine's name of a container's state."""
    return _STATES.get(state, Word("?", "unknown", "muted"))


_PROCESS_STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "disk wait",
    "T": "suspended",
    "t": "traced",
    "Z": "zombie",
    "X": "dead",
    "I": "idle",
}


def process_state(letter: str) -> str:
    """Returns the word for the kernel's state letter (man 5 proc)."""
    return _PROCESS_STATES.get(letter, letter)


def age(seconds: float) -> str:
    """Formats a duration in its largest unit, so that it seldom changes: `<1 min`, `3 min`, `2 h`, `5 d`."""
    minutes = int(seconds // 60)
    if minutes < 1:
        return "<1 min"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h"
    return f"{minutes // (24 * 60)} d"


OUTLOOKS = {
    "exits": Word(signs.IN_TIME, "in time", "good"),
    "times-out": Word(signs.KILLED, "by SIGKILL", "bad"),
    "unknown": Word(signs.UNKNOWN, "unknown", "muted"),
}
"""The result of a stop, by the doctor's prediction."""

FINDINGS = {
    "error": Word(signs.ERROR, "error", "bad"),
    "warning": Word(signs.WARNING, "warning", "warn"),
    "note": Word(signs.NOTE, "note", "muted"),
}
"""The doctor's findings, by severity."""
