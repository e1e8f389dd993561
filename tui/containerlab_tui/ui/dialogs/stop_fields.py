"""The fields of a stop, signal and grace period, as typed into a dialog."""

from containerlab_probes.errors import ContainerlabError
from containerlab_probes.signals.names import number_of
from containerlab_tui.model.grace import NO_LIMIT

LONGEST_S = 10 * 365 * 24 * 3600
"""Longest grace period that may be typed: Docker counts in nanoseconds, which overflow after 292 years."""


def read_grace(text: str) -> int | None:
    """Returns whole seconds, -1 for no limit, None if nothing was typed. Raises ValueError with a sentence."""
    text = text.strip().lower().removesuffix("s").strip()
    if not text:
        return None
    if text in NO_LIMIT:
        return -1
    if not text.isascii() or not text.isdigit() or len(text) > 18 or int(text) > LONGEST_S:
        raise ValueError("The grace period is a whole number of seconds, or `forever`.")
    return int(text)


def read_signal(text: str) -> int | None:
    """Returns a signal's number, None if nothing was typed.

    Raises ValueError with a sentence, also for an unknown name: Docker would silently replace it by SIGTERM.
    """
    if not text:
        return None
    try:
        return number_of(text)
    except ContainerlabError as error:
        raise ValueError(str(error)) from error
