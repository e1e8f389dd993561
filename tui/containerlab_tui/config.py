"""Settings: defaults < file < environment < flags; and the directories this program may use.

Importing touches nothing. `load` reads one file; the directory functions make a directory only where asked to.
Places follow the XDG Base Directory Specification 0.8.
"""

import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from containerlab_probes.errors import BadRequest, Denied

NAME = "containerlab-tui"
ENVIRONMENT_PREFIX = "CONTAINERLAB_TUI_"

ACTIONS = ("signal", "stop", "restart", "pause", "remove", "ipc-remove", "copy")
"""Actions that can be made to ask first."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a user can choose. Field names are the keys of the file."""

    theme: str = ""
    """A theme's name; empty: the program's own."""
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


@dataclass(frozen=True, slots=True)
class Loaded:
    settings: Settings
    problems: tuple[str, ...] = ()
    """A sentence for each thing that was not understood; what it would have set keeps its value."""


def load(environ: Mapping[str, str] | None = None, flags: Mapping[str, object] | None = None) -> Loaded:
    """The settings in force. `flags` are fields by name, None for those not given. Never raises for a bad file.

    A `read_only` that can't be understood counts as true: the cautious reading of a wish to be careful.
    """
    environ = os.environ if environ is None else environ
    settings, problems = Settings(), list[str]()
    for layer in (_from_file(config_file(environ)), _from_environment(environ)):
        values, found = layer
        settings = replace(settings, **values)  # type: ignore[arg-type]  # each was checked by its reader
        problems += found
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    return Loaded(replace(settings, **given), tuple(problems))  # type: ignore[arg-type]


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
    if not isinstance(value, list) or any(item not in ACTIONS for item in value):
        raise _Wrong("must be a list of some of " + ", ".join(ACTIONS))
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


def _check(values: Mapping[str, object], where: Callable[[str], str]) -> tuple[dict[str, object], list[str]]:
    """The values that make sense, and a sentence for each that doesn't; `where` says where a key stands."""
    good, problems = dict[str, object](), list[str]()
    for key, value in values.items():
        reader = _READERS.get(key)
        if reader is None:
            problems.append(f"{where(key)}: there is no setting {key!r}; there are " + ", ".join(_READERS) + ".")
            continue
        try:
            good[key] = reader(value)
        except _Wrong as wrong:
            consequence = " It counts as true." if key == "read_only" else " The value before it stays in force."
            problems.append(f"{where(key)}: {key} {wrong}.{consequence}")
            if key == "read_only":
                good[key] = True
    return good, problems


def _from_file(path: Path) -> tuple[dict[str, object], list[str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}, []
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        return {}, [f"{path} can't be read ({reason}); the defaults are in force."]
    import tomllib  # costs a few milliseconds that a user without a file need not spend

    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return {}, [f"{path} is not understood ({error}); the defaults are in force."]
    return _check(values, lambda key: f"{path}, line {_line_of(text, key)}")


def _line_of(text: str, key: str) -> int:
    """The line on which a top-level key, or the table of that name, first stands; 1 where it can't be told."""
    pattern = re.compile(rf"""\s*\[?\[?\s*["']?{re.escape(key)}["']?\s*[=.\]]""")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), 1)


_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def _from_environment(environ: Mapping[str, str]) -> tuple[dict[str, object], list[str]]:
    values = dict[str, object]()
    for item in fields(Settings):
        raw = environ.get(ENVIRONMENT_PREFIX + item.name.upper())
        if raw is None or item.name == "keys":
            continue
        values[item.name] = _of_text(item.name, raw.strip())
    return _check(values, lambda key: f"Environment variable {ENVIRONMENT_PREFIX}{key.upper()}")


def _of_text(key: str, raw: str) -> object:
    """An environment variable's text as the type that the file would have given; itself where it is none."""
    if key in ("read_only", "hide_private_mappings"):
        return _WORDS.get(raw.lower(), raw)
    if key == "log_lines":
        return int(raw) if raw.isascii() and raw.isdigit() else raw
    if key == "confirm":
        return [item.strip() for item in raw.split(",") if item.strip()]
    return raw


def config_file(environ: Mapping[str, str] | None = None) -> Path:
    """The settings file, which need not exist: $XDG_CONFIG_HOME/containerlab-tui/config.toml."""
    return _xdg("XDG_CONFIG_HOME", ".config", environ) / NAME / "config.toml"


def state_dir(create: bool = False, environ: Mapping[str, str] | None = None) -> Path:
    """Where this user's lasting data lives: $XDG_STATE_HOME/containerlab-tui.

    Raises Denied where it exists and belongs to somebody else, or can't be made.
    """
    return _own(_xdg("XDG_STATE_HOME", ".local/state", environ) / NAME, create)


def runtime_dir(create: bool = False, environ: Mapping[str, str] | None = None) -> Path:
    """Where this user's sockets, locks and pid files live: nobody else can write there (mode 0700).

    $XDG_RUNTIME_DIR/containerlab-tui; without that variable, or where it names a directory of somebody else (sudo
    keeps it), /run/containerlab-tui for root, /run/user/UID/containerlab-tui or a directory in the temporary one for
    others. Raises Denied where the directory belongs to somebody else, is a link, or can be written by others.
    """
    uid = os.geteuid()
    named = (os.environ if environ is None else environ).get("XDG_RUNTIME_DIR", "")
    for base in (named, "/run" if uid == 0 else f"/run/user/{uid}"):
        if base.startswith("/") and _owner(base) == uid:
            return _own(Path(base) / NAME, create)
    import tempfile  # rarely needed, and it brings random and hashlib along

    return _own(Path(tempfile.gettempdir()) / f"{NAME}-{uid}", create)


def _xdg(variable: str, default: str, environ: Mapping[str, str] | None) -> Path:
    environ = os.environ if environ is None else environ
    value = environ.get(variable, "")
    if value.startswith("/"):  # the specification: relative paths are to be ignored
        return Path(value)
    home = environ.get("HOME") or os.path.expanduser("~")
    return Path(home) / default


def _owner(path: str) -> int | None:
    try:
        return os.stat(path).st_uid
    except OSError:
        return None


def _own(path: Path, create: bool) -> Path:
    """The directory, made with mode 0700 where asked for; refuses one that somebody else could control."""
    try:
        if create:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.mkdir(mode=0o700, exist_ok=True)
        status = path.lstat()
    except FileNotFoundError:
        return path
    except FileExistsError:
        status = path.lstat()
    except OSError as error:
        raise Denied(f"{path} can't be used ({error.strerror}); make it a directory of your own.") from error
    if not stat.S_ISDIR(status.st_mode):
        raise BadRequest(f"{path} is not a directory (or is a link to one); remove it and try again.")
    if status.st_uid != os.geteuid():
        raise Denied(f"{path} belongs to user {status.st_uid}, not to you; remove it or set the XDG variables.")
    if status.st_mode & 0o022:
        raise Denied(f"{path} can be written by others; run `chmod go-w` on it and try again.")
    return path
