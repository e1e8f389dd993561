"""Puts states, ages and effects into signs, words and tones, the same on every screen."""

import re
from typing import TYPE_CHECKING, NamedTuple

from containerlab_tui.model.inventory import (
    CREATED,
    DEAD,
    ENDED,
    EXITED,
    HAS_PROCESSES,
    PAUSED,
    REMOVED,
    REMOVING,
    RESTARTING,
    UP,
)
from containerlab_tui.present import signs

if TYPE_CHECKING:
    from containerlab_probes.records import Forecast
    from containerlab_tui.model.inventory import Container, Details

TONES = ("good", "warn", "bad", "muted", "accent", "plain")
"""Roles of text; a stylesheet gives each its colour, and no colour carries a meaning without a sign or a word."""


class Word(NamedTuple):
    """A sign, a word and a tone."""

    glyph: str
    text: str
    tone: str
    """One of TONES."""

    @property
    def shown(self) -> str:
        """Sign and word for a column. The sign of what is only likely takes the place of the blank between them."""
        return f"{self.glyph}{'' if self.text.startswith(signs.LIKELY) else ' '}{self.text}"


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


def status_with_health(container: "Container", details: "Details | None") -> str:
    """Returns the engine's words about the state, with the health that Podman leaves out of its list."""
    if details is None or container.state not in HAS_PROCESSES or not details.health:
        return container.status
    if details.health in container.status:
        return container.status
    return f"{container.status} ({details.health})"


_FAULTS = {132: "SIGILL", 133: "SIGTRAP", 135: "SIGBUS", 136: "SIGFPE", 139: "SIGSEGV", 159: "SIGSYS"}
"""Signals that the kernel forces on a faulting process; they terminate PID 1 too."""
_CHOSEN = {129: "SIGHUP", 130: "SIGINT", 131: "SIGQUIT", 134: "SIGABRT", 138: "SIGUSR1", 140: "SIGUSR2", 143: "SIGTERM"}
"""At its default action such a signal can't terminate PID 1 of a PID namespace, so the program chose that code."""
_CODE = re.compile(r"\((\d+)\)")


def status_words(container: "Container", details: "Details | None", now: float) -> str:
    """Returns the state in words: `up 3 min`, `killed (SIGKILL, 137) 5 min ago`. `now` is in epoch seconds.

    An exit code above 128 names a signal by convention only, so the words claim no more than is known.
    """
    state = container.state
    if state in HAS_PROCESSES:
        since = details.started_at if details is not None and details.state == state else None
        up = f"up {_span(now - since)}" if since is not None else "up"
        return up if state == UP else f"paused, {up}"
    if state not in ENDED:
        return {CREATED: "created, never started", REMOVING: "being removed"}.get(state, state)
    ended = details if details is not None and details.state == state else None
    found = _CODE.search(container.status)
    code = ended.exit_code if ended is not None else int(found[1]) if found else None
    if code is None:
        return "stopped"
    out_of_memory = ended is not None and ended.oom_killed
    words = exit_words(code, out_of_memory, own_pids=ended is None or ended.pid_mode != "host")
    if ended is None or ended.finished_at is None:
        return words
    return f"{words}{'' if words.endswith(')') else ','} {_span(now - ended.finished_at)} ago"


def exit_words(code: int, out_of_memory: bool = False, own_pids: bool = True) -> str:
    """Explains PID 1's exit code in words; `own_pids`: it was the init of its PID namespace."""
    if code == 0:
        return "exited (0)"
    if code == 137:
        # OOMKilled means that some process was killed out of memory, not necessarily PID 1.
        return "killed (137), out of memory" if out_of_memory else "killed (SIGKILL, 137)"
    if code in _FAULTS:
        return f"crashed ({_FAULTS[code]}, {code})"
    if code in _CHOSEN:
        return f"exited ({code}): {'chose ' if own_pids else ''}{_CHOSEN[code]}'s code"
    return f"exited ({code})"


def _span(seconds: float) -> str:
    """Formats a duration in its largest whole unit: `<1 min`, `3 min`, `2 h`, `5 d`.

    No seconds: in a list they would be wrong until it is drawn again, or jump each time that it is.
    """
    whole = max(0, int(seconds))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if whole >= length:
            return f"{whole // length} {unit}"
    return "<1 min"
