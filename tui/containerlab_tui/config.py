"""Loads the settings and their sources. Priority: defaults < file < environment < flags."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from containerlab_tui.directories import config_file

ENVIRONMENT_PREFIX = "CONTAINERLAB_TUI_"
DEFAULT = "default"
"""The source of a setting without a value from file, environment or flags."""
UNREAD = "a settings file that cannot be read"
"""The source of `read_only` if the file may have set it but can't be read."""

ACTIONS = ("signal", "stop", "restart", "pause", "remove", "ipc-remove", "copy")
"""Operations for which confirmation can be set."""

KeyCheck = Callable[[Mapping[str, str]], Mapping[str, str]]
"""Takes binding id -> keys of the file; returns a sentence for each id that can't be used."""
ThemeCheck = Callable[[str], str]
"""Takes the name of a theme; returns a sentence if there is none of that name, else nothing."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings. Field names are the keys of the file; `history_arguments` is `history.arguments`."""

    theme: str = ""
    """Name of a theme; empty: the program's default."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Binding id -> keys separated by commas, in the form of Textual's key maps."""
    confirm: frozenset[str] = frozenset({"stop", "restart", "remove", "ipc-remove"})
    """Those of ACTIONS that ask first."""
    read_only: bool = False
    """Whether all changes of containers are refused."""
    shell: str = ""
    """Shell for entering a container; empty: the first one found."""
    show_stopped: bool = True
    """Whether stopped containers are listed when the UI opens."""
    log_lines: int = 5000
    """Log lines kept for one container."""
    hide_private_mappings: bool = True
    """Whether the Files tab and `maps` hide private mappings by default."""
    history_arguments: bool = False
    """`history.arguments`: whether the history of stops records command lines with their arguments."""

    def by_name(self) -> dict[str, object]:
        """Returns the settings by their names in the file."""
        return {name_of(field.name): getattr(self, field.name) for field in fields(self)}


TABLES = ("history",)
"""Tables of the file whose keys are settings: `arguments` in `[history]` is `history.arguments`."""


def name_of(field: str) -> str:
    """Returns the name in the file of a field of Settings."""
    table, _, key = field.partition("_")
    return f"{table}.{key}" if table in TABLES else field


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings in force."""

    settings: Settings
    problems: tuple[str, ...] = ()
    """Sentences about what could not be used; the default, or the value of the source before, is kept."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Setting -> its source: `PATH, line N`, an environment variable or a flag. Missing: the default."""
    unread: str = ""
    """A sentence that says why the whole file could not be read; empty if it was read, or there is none. If it is set,
    `read_only` is true unless the environment or a flag sets it."""
    broken: Mapping[str, str] = field(default_factory=dict)
    """Setting that could not be used, and that no later source sets -> the sentence about it."""

    def source(self, setting: str) -> str:
        """Returns the source of a setting."""
        return self.sources.get(setting, DEFAULT)


def load(
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
    check_keys: KeyCheck = lambda keys: {},
    check_theme: ThemeCheck = lambda theme: "",
) -> Loaded:
    """Returns the settings in force. `flags` are fields by name, None for those not given. Never raises for a bad file.

    An invalid `read_only` counts as true, because the user meant to be careful.
    """
    environ = os.environ if environ is None else environ
    file = _File(config_file(environ))
    if file.unread:
        from_file = _Checked({"read_only": True}, [file.unread], dict.fromkeys(_READERS, file.unread))
    else:
        from_file = _check(file.values, file.place, check_theme, check_keys)
    variables = _check(
        _from_environment(environ), lambda key, _=None: f"Environment variable {_variable(key)}", check_theme
    )
    given = _Checked({key: value for key, value in (flags or {}).items() if value is not None})
    settings, sources, broken = Settings(), dict[str, str](), dict[str, str]()
    for layer, source in (
        (from_file, file.source),
        (variables, _variable),
        (given, lambda key: f"--{key.replace('_', '-')}"),
    ):
        values = {key.replace(".", "_"): value for key, value in layer.values.items()}
        settings = replace(settings, **values)  # type: ignore[arg-type]  # each was checked by its reader
        sources |= {key: source(layer.written.get(key, key)) for key in layer.values}
        broken = {key: sentence for key, sentence in broken.items() if key not in layer.values} | layer.broken
    return Loaded(settings, (*from_file.problems, *variables.problems), sources, file.unread, broken)


class _Wrong(ValueError):
    """An invalid value; the message completes "SETTING …"."""


def _text(value: object) -> str:
    if not isinstance(value, str) or any(ord(char) < 32 for char in value):
        raise _Wrong("must be a string on one line")
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
        raise _Wrong(f"must be a list of any of {', '.join(ACTIONS)}")
    for item in value:
        if item not in ACTIONS:
            raise _Wrong(f"must be a list of any of {', '.join(ACTIONS)}, not {item!r}{did_you_mean(item, ACTIONS)}")
    return frozenset(value)


def _key_map(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(keys, str) and keys for keys in value.values()):
        raise _Wrong("must be a table of binding id = keys, each a string")
    return dict(value)


_READERS: dict[str, Callable[[object], object]] = {
    "theme": _text,
    "keys": _key_map,
    "confirm": _actions,
    "read_only": _flag,
    "shell": _text,
    "show_stopped": _flag,
    "log_lines": _lines,
    "hide_private_mappings": _flag,
    "history.arguments": _flag,
}


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Returns ` (did you mean …?)` with the known word that is nearest; empty: none is near."""
    near = _near(word, known)
    return f" (did you mean {near!r}?)" if near else ""


def _near(word: object, known: Iterable[str]) -> str:
    """Returns the known word that is nearest; empty: none is near."""
    import difflib  # takes milliseconds, so it is imported only after a mistake

    return next(iter(difflib.get_close_matches(str(word), list(known), n=1)), "")


@dataclass(slots=True)
class _Checked:
    """The settings of one source."""

    values: dict[str, object] = field(default_factory=dict)
    """Those that can be used."""
    problems: list[str] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)
    """Known setting that can't be used -> the sentence about it."""
    written: dict[str, str] = field(default_factory=dict)
    """Setting -> the misspelt name under which it was given."""


def _check(
    values: Mapping[str, object],
    place: Callable[..., str],
    check_theme: ThemeCheck,
    check_keys: KeyCheck = lambda keys: {},
) -> _Checked:
    """Checks the settings of one source; `place` returns where a key stands."""
    checked = _Checked()
    for key, value in values.items():
        reader = _READERS.get(key)
        if reader is None:
            _unknown(checked, key, value, place(key))
            continue
        try:
            read = reader(value)
            if key not in checked.written:  # `readonly = true` counts, also above `read_only = false`
                checked.values[key] = read
        except _Wrong as wrong:
            kept = "Treated as true." if key == "read_only" else "The previous value is kept."
            if key == "read_only":
                checked.values[key] = True
            checked.broken[key] = f"{place(key)}: {key} {wrong}. {kept}"
            checked.problems.append(checked.broken[key])
    _check_theme(checked, place, check_theme)
    keys = checked.values.get("keys")
    if isinstance(keys, dict):
        wrong_keys = check_keys(keys)
        checked.problems += [f"{place('keys', id)}: {sentence}" for id, sentence in wrong_keys.items()]
        checked.values["keys"] = {id: each for id, each in keys.items() if id not in wrong_keys}
    return checked


def _check_theme(checked: _Checked, place: Callable[..., str], check: ThemeCheck) -> None:
    """Drops a theme that does not exist."""
    sentence = check(str(checked.values.get("theme", "")))
    if sentence:
        del checked.values["theme"]
        checked.broken["theme"] = f"{place('theme')}: {sentence} The previous value is kept."
        checked.problems.append(checked.broken["theme"])


def _unknown(checked: _Checked, key: str, value: object, place: str) -> None:
    """Adds the problem of an unknown setting. One whose name is near `read_only` counts as that."""
    near = _near(key, _READERS)
    sentence = f"{place}: unknown setting {key!r}{did_you_mean(key, _READERS)}; the settings are {', '.join(_READERS)}."
    if near == "read_only" and value is not False:
        checked.values[near] = True
        checked.written[near] = key
        sentence += " Treated as read_only = true."
    if near and near not in checked.values:
        checked.broken[near] = sentence
    checked.problems.append(sentence)


class _File:
    """The settings file; it is read once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values: dict[str, object] = {}
        self.unread = ""
        self._lines: Mapping[tuple[str, ...], int] = {}
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            self.unread = f"Cannot read {path} ({reason}). The defaults are in force, and changes are disabled."
            return
        import tomllib  # takes a few milliseconds, so it is imported only where there is a file

        from containerlab_tui.config_lines import key_lines

        try:
            self.values = _flat(tomllib.loads(text))
            self._lines = key_lines(text)
        except tomllib.TOMLDecodeError as error:
            self.unread = f"{path} is not valid TOML ({error}). The defaults are in force, and changes are disabled."

    def source(self, key: str) -> str:
        """Returns the source of a setting."""
        return UNREAD if self.unread else self.place(key)

    def place(self, key: str, within: str | None = None) -> str:
        """Returns the file and line of a top-level key or table; with `within`, of a key inside that table."""
        line = self._lines.get(tuple(key.split(".")), self._lines.get((key,), 1))
        return f"{self.path}, line {line if within is None else self._lines.get((key, within), line)}"


def _flat(values: Mapping[str, object]) -> dict[str, object]:
    """Returns the settings of a file; those in TABLES get dotted names."""
    flat = dict[str, object]()
    for key, value in values.items():
        inside = value if key in TABLES and isinstance(value, dict) else None
        flat |= {key: value} if inside is None else {f"{key}.{each}": inside[each] for each in inside}
    return flat


_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def _variable(key: str) -> str:
    return ENVIRONMENT_PREFIX + key.replace(".", "_").upper()


def _from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    """Returns the settings of the environment variables, including unknown ones; `keys` can't be set there."""
    names = (name for name in environ if name.startswith(ENVIRONMENT_PREFIX) and name != _variable("keys"))
    settings = {name_of(name.removeprefix(ENVIRONMENT_PREFIX).lower()): environ[name].strip() for name in sorted(names)}
    return {setting: _of_text(setting, raw) for setting, raw in settings.items()}


def _of_text(key: str, raw: str) -> object:
    """Converts an environment variable's text to the type of the setting; unchanged if that fails."""
    if key not in ("theme", "shell", "confirm", "log_lines"):
        return _WORDS.get(raw.lower(), raw)
    if key == "log_lines":
        return int(raw) if raw.isascii() and raw.isdigit() else raw
    if key == "confirm":
        return [item.strip() for item in raw.split(",") if item.strip()]
    return raw
