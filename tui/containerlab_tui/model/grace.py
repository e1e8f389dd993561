"""The grace period of a stop in words, the same for everyone who shows or reads one."""

NO_LIMIT = frozenset({"no limit", "forever", "for ever", "ever", "never", "-1", "∞"})
"""What may be entered for a grace period without a limit."""


def grace_period(seconds: float, short: bool = False) -> str:
    """Returns a grace period as `10 s`, `0.5 s` or `no limit`; `short`, for a column: `10s`, `2m`, `∞`."""
    if seconds < 0:
        return "∞" if short else "no limit"
    if not short:
        return f"{seconds:g} s"
    return f"{seconds / 60:g}m" if seconds >= 120 and seconds % 60 == 0 else f"{seconds:g}s"
