"""`config`: prints the effective settings, their sources and their problems."""

import argparse

from containerlab_tui import config
from containerlab_tui.commands import common
from containerlab_tui.directories import config_file
from containerlab_tui.present.documents import SCHEMA
from containerlab_tui.present.safe_text import safe
from containerlab_tui.session.actions import key_problems
from containerlab_tui.ui.themes import theme_problem


def run(arguments: argparse.Namespace) -> int:
    """Returns 0 without problems, 2 with any problem."""
    flags = {"read_only": arguments.read_only or None}
    loaded = config.load(flags=flags, check_keys=key_problems, check_theme=theme_problem)
    values = {name: _plain(value) for name, value in loaded.settings.by_name().items()}
    if arguments.json:
        settings = {name: {"value": value, "source": loaded.source(name)} for name, value in values.items()}
        file = str(config_file())
        common.answer({"schema": SCHEMA, "file": file, "settings": settings, "problems": list(loaded.problems)})
    else:
        rows = [(name, _shown(value), loaded.source(name)) for name, value in values.items()]
        common.say(common.table(("SETTING", "VALUE", "SOURCE"), rows))
        for problem in loaded.problems:
            common.tell(safe(problem, 500))
    return 2 if loaded.problems else 0


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else value


def _shown(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case dict():
            return ", ".join(f"{id} = {keys}" for id, keys in value.items()) or "—"
        case list():
            return ", ".join(value) or "—"
        case _:
            return str(value) or "—"
