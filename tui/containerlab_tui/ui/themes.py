"""Checks the name of a theme."""

from containerlab_tui.config import did_you_mean


def theme_problem(theme: str) -> str:
    """Returns a sentence if there is no theme of that name; empty if there is one, or the name is empty."""
    if not theme:
        return ""
    from textual.theme import BUILTIN_THEMES  # only for a settings file that sets a theme

    if theme in BUILTIN_THEMES:
        return ""
    return f"no such theme: {theme!r}{did_you_mean(theme, BUILTIN_THEMES)}; the themes are {', '.join(BUILTIN_THEMES)}."
