"""Which well-known program a process is, and how that program takes its signals. Pure; data in programs.toml.

What a process *is* comes from the file it runs, the script that its interpreter runs, and its command line:
all three are the container's word, so this is knowledge about names, never proof. The kernel's rules go first.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib.resources import files

from containerlab_probes.records import Process
from containerlab_tui.doctor.bounds import COMMAND_LIMIT

ENDS = frozenset(("graceful", "fast", "ends", "drains"))
STAYS = frozenset(("reloads", "re-executes", "ignores"))
FORWARDS = frozenset(("forwards",))
RAISES = frozenset(("raises",))
UNCLEAR = frozenset(("varies",))
VERBS = ENDS | STAYS | FORWARDS | RAISES | UNCLEAR


@dataclass(frozen=True, slots=True)
class Reaction:
    """What a program does on one signal that reaches it."""

    does: str
    """`graceful`: finishes its work, then ends. `fast`: ends, and work in hand is lost. `ends`: ends, nothing said
    about work. `drains`: ends once its clients have gone. `reloads`, `re-executes`, `ignores`: it stays.
    `forwards`: to its child, and ends when that does. `raises`: it restores the default action and signals itself,
    which ends a process but no init of a namespace. `varies`: its configuration or its code decides."""
    takes_s: float = 0.5
    """How long it usually takes when idle, in seconds."""
    sure: bool = False
    """Always so, measured with the real program as PID 1; otherwise documented only."""
    to: str = "child"
    """Of `forwards`: `child` or `group`."""
    kills_after_s: float | None = None
    """Of `forwards`: SIGKILL to the child after so many seconds."""
    holds: bool = False
    """Of `drains`: a client that only stays connected keeps it."""
    busy_s: float | None = None
    """How long at most while it has clients; None: not known, or the work of the clients doesn't matter."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Program:
    """One entry of programs.toml."""

    name: str
    kind: str
    """server, database, init, supervisor, wrapper, shell, runtime or tool."""
    source: str
    """Where the behaviour is documented or was measured."""
    exe: frozenset[str] = frozenset()
    script: frozenset[str] = frozenset()
    title: re.Pattern[str] | None = None
    args: re.Pattern[str] | None = None
    graceful: tuple[str, ...] = ()
    """Names of the signals that end it with its work done, the best first."""
    on: Mapping[str, Reaction] = field(default_factory=dict)
    handles: frozenset[str] = frozenset()
    """Signals that it always handles once it has started: found unhandled, it is still starting."""

    def reaction(self, signal: str) -> Reaction | None:
        """What it does on a signal, by name; None where nothing is known."""
        return self.on.get(signal) or self.on.get("any")


@dataclass(frozen=True, slots=True)
class Script:
    """What an interpreter runs."""

    kind: str
    """`file`, `code` (given on the command line), `module`, or `none` (standard input)."""
    text: str
    """The path, the code, or the module's name."""
    arguments: tuple[str, ...] = ()


_VERSION = re.compile(r"[-_]?\d+(\.\d+)*[a-z]?$")
_VERSIONED = ("python", "ruby", "perl", "php-fpm", "php-cgi", "php", "lua", "luajit", "tclsh", "guile", "ksh", "node",
              "nodejs", "zsh", "pypy", "bash", "wish", "uwsgi", "beam", "escript", "jruby", "java")  # fmt: skip
_ALIASES = {"nodejs": "node", "pypy": "python", "ash": "busybox-sh", "hush": "busybox-sh", "lksh": "mksh",
            "rc.byron": "rc"}  # fmt: skip
_OPTIONS_WITH_VALUE = {
    "python": frozenset(("-W", "-X", "--check-hash-based-pycs")),
    "node": frozenset(("-r", "--require", "--import", "--loader", "--experimental-loader", "--env-file", "-C")),
    "ruby": frozenset(("-I", "-r", "-C", "-E", "-F")),
    "perl": frozenset(("-I",)),
    "php": frozenset(("-c", "-d", "-z", "-t")),
    "lua": frozenset(("-l",)),
    "shell": frozenset(("-o", "+o", "-O", "+O", "--rcfile", "--init-file")),
    "java": frozenset(("-cp", "-classpath", "--class-path", "-p", "--module-path", "--add-opens", "--add-modules")),
}
_CODE_OPTIONS = {
    "python": ("c",),
    "node": ("e", "p", "pe"),
    "ruby": ("e",),
    "perl": ("e", "E"),
    "php": ("r",),
    "lua": ("e",),
    "shell": ("c",),
    "guile": ("c",),
}
SHELLS = frozenset(("sh", "dash", "bash", "rbash", "busybox-sh", "zsh", "ksh", "mksh", "yash", "posh", "fish",
                    "csh", "bsd-csh", "tcsh", "rc", "es", "sash"))  # fmt: skip


_WORDS_LIMIT = 1000
"""Words of a command line in which a script is looked for."""


def program_name(process: Process) -> str:
    """The bare name of what a process runs: versions cut off, a busybox applet under its own name."""
    file = os.path.basename(process.exe.removesuffix(" (deleted)"))
    called = os.path.basename(process.argv[0]).removeprefix("-") if process.argv else process.name
    if file.startswith(("busybox", "toybox")):
        applet = called
        if called.startswith(("busybox", "toybox")):
            applet = os.path.basename(process.argv[1]) if len(process.argv) > 1 else "busybox"
        if applet in ("init", "linuxrc"):
            return "busybox-init"  # sysvinit's file is called init as well
        return "busybox-sh" if applet in ("sh", "ash", "hush") else applet
    if file == "coreutils" and called:
        return called
    return bare(file or called.split(" ")[0].rstrip(":"))


def bare(file: str) -> str:
    """`python3.11` -> `python`, `php-fpm8.2` -> `php-fpm`; other names as they are."""
    for family in _VERSIONED:
        if file != family and file.startswith(family) and _VERSION.fullmatch(file[len(family) :]):
            return _ALIASES.get(family, family)
    return _ALIASES.get(file, file)


def is_shell(process: Process) -> bool:
    return program_name(process) in SHELLS


def script_of(process: Process) -> Script | None:
    """What an interpreter's command line makes it run; None where the program is no interpreter known here."""
    name = program_name(process)
    family = "shell" if name in SHELLS else name
    if family not in _CODE_OPTIONS:
        return None
    words = list(process.argv[1:_WORDS_LIMIT])
    if process.argv and os.path.basename(process.argv[0]).startswith("busybox"):
        words = words[1:]
    return _script(family, words)


def _script(family: str, words: list[str]) -> Script:
    with_value, code = _OPTIONS_WITH_VALUE.get(family, frozenset[str]()), _CODE_OPTIONS[family]
    index = 0
    while index < len(words):
        word, rest = words[index], words[index + 1 :]
        if word == "--":
            break
        if not word.startswith(("-", "+")) or word == "-":
            return Script("none", "") if word == "-" else Script("file", word, tuple(rest))
        if word in ("--eval", "--print", "--command") and rest:
            return Script("code", rest[0], tuple(rest[1:]))
        if not word.startswith("--") and word not in with_value and rest:
            letters = word[1:]
            if family == "python" and letters.endswith("m"):
                return Script("module", rest[0], tuple(rest[1:]))
            if family == "php" and letters in ("f", "F"):
                return Script("file", rest[0], tuple(rest[1:]))
            if family == "shell" and "c" in letters and word[0] == "-":
                return _after_c(rest, with_value)
            if letters in code or (family != "node" and len(letters) <= 6 and letters.isalnum() and letters[-1] in code
                                   and family in ("perl", "ruby", "python")):  # fmt: skip
                return Script("code", rest[0], tuple(rest[1:]))
        if family == "python" and word.startswith("-m") and len(word) > 2:
            return Script("module", word[2:], tuple(rest))
        if family == "php" and word in ("-S", "--server"):
            return Script("module", "builtin-server", tuple(rest))
        index += 2 if word in with_value else 1
    rest = words[index + 1 :]
    return Script("file", rest[0], tuple(rest[1:])) if rest else Script("none", "")


def _after_c(words: list[str], with_value: frozenset[str]) -> Script:
    """What stands behind a shell's -c: further options first, then the code (POSIX sh)."""
    index = 0
    while index < len(words) and words[index].startswith(("-", "+")) and len(words[index]) > 1:
        if words[index] == "--":
            index += 1
            break
        index += 2 if words[index] in with_value else 1
    return Script("code", words[index] if index < len(words) else "", tuple(words[index + 1 :]))


def recognise(process: Process) -> Program | None:
    """The entry of programs.toml that describes a process; None where there is none."""
    name = program_name(process)
    script = script_of(process)
    called = _script_name(script) if script else ""
    return _entry(name, called, process.command[:COMMAND_LIMIT])


@lru_cache(maxsize=128)
def _entry(name: str, called: str, command: str) -> Program | None:
    for program in entries():
        if program.title is not None and program.title.search(command):
            return program
        by_name = name in program.exe or (bool(called) and called in program.script)
        if by_name and (program.args is None or program.args.search(command)):
            return program
    return None


def _script_name(script: Script) -> str:
    """`/usr/bin/gunicorn3` -> `gunicorn3`; a module keeps its dots."""
    if script.kind == "module":
        return script.text
    if script.kind != "file":
        return ""
    name = os.path.basename(script.text)
    if name in ("__main__.py", "cli.js", "index.js"):
        name = os.path.basename(os.path.dirname(script.text))
    for end in (".py", ".js", ".cjs", ".mjs", ".rb", ".pl", ".php", ".sh"):
        name = name.removesuffix(end)
    return name


@cache
def entries() -> tuple[Program, ...]:
    """All of programs.toml, in its order: the first that fits counts."""
    text = files("containerlab_tui.doctor.programs").joinpath("programs.toml").read_text(encoding="utf-8")
    return tuple(_program(entry) for entry in tomllib.loads(text)["program"])


def _program(entry: dict[str, object]) -> Program:
    on = {signal: _reaction(value) for signal, value in _table(entry.get("on", {})).items()}
    return Program(
        name=str(entry["name"]),
        kind=str(entry["kind"]),
        source=str(entry["source"]),
        exe=_words(entry.get("exe", [])),
        script=_words(entry.get("script", [])),
        title=_pattern(entry.get("title")),
        args=_pattern(entry.get("args")),
        graceful=tuple(_list(entry.get("graceful", []))),
        on=on,
        handles=_words(entry.get("handles", [])),
    )


def _reaction(value: object) -> Reaction:
    return Reaction(**value) if isinstance(value, dict) else Reaction(str(value))


def _table(value: object) -> dict[str, object]:
    assert isinstance(value, dict)  # noqa: S101
    return value


def _list(value: object) -> list[str]:
    assert isinstance(value, list)  # noqa: S101
    return [str(one) for one in value]


def _words(value: object) -> frozenset[str]:
    return frozenset(_list(value))


def _pattern(value: object) -> re.Pattern[str] | None:
    return re.compile(str(value)) if value else None
