"""Settings: defaults < file < environment < flags, each with where it comes from. `load` reads one file."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from containerlab_tui.directories import config_file

ENVIRONMENT_PREFIX = "CONTAINERLAB_TUI_"
DEFAULT = "default"
"""The source of a setting that nothing has set."""
UNREAD = "a settings file that cannot be read"
"""The source of `read_only` where the file may have set it and nobody knows."""

ACTIONS = ("signal", "stop", "restart", "pause", "remove", "ipc-remove", "copy")
"""Operations that can be made to ask first."""

KeyCheck = Callable[[Mapping[str, str]], Mapping[str, str]]
"""Binding id -> keys, as the file has them; returns a sentence for each id that can't be used."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a user can choose. Field names are the keys of the file."""

    theme: str = ""
    """A theme's name; empty: the program's default."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Binding id -> keys, several with commas between, as Textual's key maps take them."""
    confirm: frozenset[str] = frozenset({"stop", "remove", "ipc-remove"})
    """Which of ACTIONS ask first."""
    read_only: bool = False
    """Refuse whatever changes a container."""
    shell: str = ""
    """Shell for entering a container; empty: the first one found."""
    log_lines: int = 5000
    """Log lines kept for one container."""
    hide_private_mappings: bool = True
    """Whether the Files tab and `maps` leave out private mappings at first."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings in force."""

    settings: Settings
    problems: tuple[str, ...] = ()
    """A sentence for each thing that could not be used; its default, or the layer below, stays in force."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Setting -> where it comes from: `PATH, line N`, an environment variable, a flag. Missing: the default."""
    unread: str = ""
    """Why the file could not be read as a whole, a sentence; empty: it could, or there is none. `read_only` is true
    then, unless the environment or a flag sets it."""

    def source(self, setting: str) -> str:
        """Returns where a setting comes from."""
        return self.sources.get(setting, DEFAULT)


def load(
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
    check_keys: KeyCheck = lambda keys: {},
) -> Loaded:
    """Returns the settings in force. `flags` are fields by name, None for those not given. Never raises for a bad file.

    A `read_only` that can't be understood counts as true: the cautious reading of a wish to be careful.
    """
    environ = os.environ if environ is None else environ
    file = _File(config_file(environ))
    settings, problems, sources = Settings(), [file.unread] if file.unread else [], dict[str, str]()
    values, found = _check(file.values, file.place, check_keys)
    layers = [(values, {key: file.place(key) for key in values})]
    if file.unread:
        layers.append(({"read_only": True}, {"read_only": UNREAD}))
    problems += found
    variables, found = _check(_from_environment(environ), lambda key, _=None: f"Environment variable {_variable(key)}")
    layers.append((variables, {key: _variable(key) for key in variables}))
    problems += found
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    layers.append((given, {key: f"--{key.replace('_', '-')}" for key in given}))
    for values, places in layers:
        settings = replace(settings, **values)  # type: ignore[arg-type]  # each was checked by its reader
        sources |= places
    return Loaded(settings, tuple(problems), sources, file.unread)


class _Wrong(ValueError):
    """What a value should have been."""


def _text(value: object) -> str:
    if not isinstance(value, str) or any(ord(char) < 32 for char in value):
        raise _Wrong("must be a text on one line")
    return value


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise _Wrong("must be true or false")


def _lines(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 1_000_000:
        return value
    raise _Wrong("must be a whole number from 100 to 1000000")


def _actions(value: object) -> frozenset[str]:
    if not isinstance(value, list):
        raise _Wrong("must be a list of some of " + ", ".join(ACTIONS))
    for item in value:
        if item not in ACTIONS:
            raise _Wrong(f"must be a list of some of {', '.join(ACTIONS)}, not {item!r}{did_you_mean(item, ACTIONS)}")
    return frozenset(value)


def _key_map(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(keys, str) and keys for keys in value.values()):
        raise _Wrong("must be a table of binding id = keys, each a text")
    return dict(value)


_READERS: dict[str, Callable[[object], object]] = {
    "theme": _text,
    "keys": _key_map,
    "confirm": _actions,
    "read_only": _flag,
    "shell": _text,
    "log_lines": _lines,
    "hide_private_mappings": _flag,
}


def did_you_mean(word: object, known: "tuple[str, ...] | list[str]") -> str:
    """Returns ` (did you mean …?)` for what is near a known word; empty: nothing is near."""
    import difflib  # costs milliseconds that only a mistake is worth

    near = difflib.get_close_matches(str(word), known, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _check(
    values: Mapping[str, object], place: Callable[..., str], check_keys: KeyCheck = lambda keys: {}
) -> tuple[dict[str, object], list[str]]:
    """The values that can be used, and a sentence for each that can't; `place` says where a key stands."""
    good, problems = dict[str, object](), list[str]()
    for key, value in values.items():
        reader = _READERS.get(key)
        if reader is None:
            known = ", ".join(_READERS)
            near = did_you_mean(key, list(_READERS))
            problems.append(f"{place(key)}: unknown setting {key!r}{near}; the settings are {known}.")
            if "'read_only'" in near and value is not False:
                good["read_only"] = True
                problems[-1] += " Treated as read_only = true."
            continue
        try:
            good[key] = reader(value)
        except _Wrong as wrong:
            if key == "read_only":
                good[key] = True
                problems.append(f"{place(key)}: read_only {wrong}. Treated as true.")
            else:
                problems.append(f"{place(key)}: {key} {wrong}. The previous value is kept.")
    keys = good.get("keys")
    if isinstance(keys, dict):
        wrong_keys = check_keys(keys)
        problems += [f"{place('keys', id)}: {sentence}" for id, sentence in wrong_keys.items()]
        good["keys"] = {id: each for id, each in keys.items() if id not in wrong_keys}
    return good, problems


class _File:
    """The settings file, read once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values: dict[str, object] = {}
        self.unread = ""
        self._text = ""
        try:
            self._text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            self.unread = f"Cannot read {path} ({reason}). The defaults are in force, and nothing is changed."
            return
        import tomllib  # costs a few milliseconds that a user without a file need not spend

        try:
            self.values = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            self.unread = f"{path} is not valid TOML ({error}). The defaults are in force, and nothing is changed."

    def place(self, key: str, within: str | None = None) -> str:
        """Returns the file and line of a top-level key or table; with `within`, of a key inside that table."""
        return f"{self.path}, line {self._line_of(key, within)}"

    def _line_of(self, key: str, within: str | None) -> int:
        """1 where it can't be found. A key of an inline table stands on the line of the table."""
        table, first = "", 1
        for number, line in enumerate(self._text.splitlines(), 1):
            if header := re.match(r"""\s*\[\[?\s*["']?([^"'\]]+?)["']?\s*\]""", line):
                table = header[1]
                if table == key:
                    first = number
                continue
            name = re.match(r"""\s*(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*[.=]""", line)
            found = next((part for part in name.groups() if part is not None), "") if name else ""
            if table == "" and found == key:
                first = number
            if within is not None and table == key and found == within:
                return number
        return first


_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def _variable(key: str) -> str:
    return ENVIRONMENT_PREFIX + key.upper()


def _from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    """What environment variables set, unknown ones included; keys can't be set there."""
    names = (name for name in environ if name.startswith(ENVIRONMENT_PREFIX) and name != _variable("keys"))
    settings = {name.removeprefix(ENVIRONMENT_PREFIX).lower(): environ[name].strip() for name in sorted(names)}
    return {setting: _of_text(setting, raw) for setting, raw in settings.items()}


def _of_text(key: str, raw: str) -> object:
    """An environment variable's text as the type that the file would have given; unchanged where it is none."""
    if key not in ("theme", "shell", "confirm", "log_lines"):
        return _WORDS.get(raw.lower(), raw)
    if key == "log_lines":
        return int(raw) if raw.isascii() and raw.isdigit() else raw
    if key == "confirm":
        return [item.strip() for item in raw.split(",") if item.strip()]
    return raw
