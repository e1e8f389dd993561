"""States, ages and forecasts in words, and the tone of each: the same on every screen. Pure."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from containerlab_probes.records import Forecast

TONES = ("good", "warn", "bad", "muted", "accent", "plain")
"""Roles of text; a stylesheet gives each its colour, and none says what no glyph or word says."""


class Word(NamedTuple):
    glyph: str
    text: str
    tone: str
    """One of TONES."""


NOT_LOOKED = Word(" ", "", "muted")


def forecast_word(forecast: "Forecast | None") -> Word:
    """What a signal would do, as glyph, word and tone; blank where nobody has looked yet."""
    if forecast is None:
        return NOT_LOOKED
    from containerlab_tui.present import wording  # not needed for the first frame

    return Word(wording.glyph(forecast), wording.short(forecast), forecast_tone(forecast))


def forecast_tone(forecast: "Forecast") -> str:
    """good: the program decides; bad: nothing comes of it; warn: later, or it stays where it is."""
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
    "running": Word("●", "running", "good"),
    "paused": Word("‖", "paused", "warn"),
    "restarting": Word("↻", "restarting", "warn"),
    "removing": Word("✗", "removing", "muted"),
    "created": Word("◌", "created", "muted"),
    "exited": Word("○", "ended", "muted"),
    "dead": Word("✗", "dead", "bad"),
}


def state_word(state: str) -> Word:
    """A container's state as the engine names it."""
    return _STATES.get(state, Word("?", "unknown", "muted"))


_PROCESS_STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "in disk wait",
    "T": "halted",
    "t": "traced",
    "Z": "zombie",
    "X": "dead",
    "I": "idle",
}


def process_state(letter: str) -> str:
    """The kernel's state letter (man 5 proc) as a word."""
    return _PROCESS_STATES.get(letter, letter)


def age(seconds: float) -> str:
    """A span in its largest unit, coarse so that it seldom changes: `<1 min`, `3 min`, `2 h`, `5 d`."""
    minutes = int(seconds // 60)
    if minutes < 1:
        return "<1 min"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h"
    return f"{minutes // (24 * 60)} d"


NO_LIMIT = frozenset({"no limit", "forever", "for ever", "ever", "never", "-1", "∞"})
"""What may be entered for a grace period without a limit."""


def grace_period(seconds: float, short: bool = False) -> str:
    """Returns a grace period as `10 s`, `0.5 s` or `no limit`; `short`, for a column: `10s`, `2m`, `∞`."""
    if seconds < 0:
        return "∞" if short else "no limit"
    if not short:
        return f"{seconds:g} s"
    return f"{seconds / 60:g}m" if seconds >= 120 and seconds % 60 == 0 else f"{seconds:g}s"


OUTLOOKS = {
    "exits": Word("✓", "in time", "good"),
    "times-out": Word("✗", "by SIGKILL", "bad"),
    "unknown": Word("?", "not known", "muted"),
}
"""How a stop would end, by the doctor's outlook."""

FINDINGS = {
    "error": Word("✗", "error", "bad"),
    "warning": Word("!", "warning", "warn"),
    "note": Word("·", "note", "muted"),
}
"""The doctor's findings, by their severity."""

DOCTOR_SIGNS = (
    ("✓", "$text-success", "the container ends before its grace period does"),
    ("✗", "$text-error", "it does not, and gets SIGKILL; before a finding: an error"),
    ("?", "$text-muted", "not known"),
    ("! ·", "$text-warning", "before a finding: a warning, a note"),
    ("certain", "$foreground", "the kernel's rule, or a program that leaves no room"),
    ("likely", "$foreground", "what the program is known, written or seen to do"),
    ("guess", "$foreground", "little speaks for it"),
)
"""The signs and words of the doctor's screens: sign, style, meaning."""

WATCH_SIGNS = (
    ("●", "$text-success", "the kernel's record is being read"),
    ("◌", "$text-muted", "it is just being begun"),
    ("○", "$text-warning", "it can't be had; the line with ! says why"),
    ("! lost", "$text-error", "events of the machine that came faster than they could be read"),
    ("7 name", "$foreground", "a process with its PID in the container"),
    ("name [7]", "$foreground", "its PID on the host: it is outside, or its own isn't known"),
    ("— … —", "$text-accent", "what became of the container"),
)
"""The same of the live view of signals."""
