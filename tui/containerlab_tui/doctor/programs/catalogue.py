"""Recognises well-known programs and how they handle signals. The data is in programs.toml.

A process is recognised by its executable, its interpreter's script and its command line. The container controls all
three, so this is knowledge about names, never proof; the kernel's rules come first.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path

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
    """What a program does on one signal."""

    does: str
    """`graceful`: finishes its work, then exits. `fast`: exits and loses in-flight work. `ends`: exits; whether it
    finishes its work is unknown. `drains`: exits after its clients disconnect. `reloads`, `re-executes`, `ignores`:
    keeps running. `forwards`: signals its child and exits when the child does. `raises`: restores the default action
    and signals itself, which terminates any process except a namespace's init. `varies`: its configuration or its
    code decides."""
    takes_s: float = 0.5
    """Usual time to exit when idle, in seconds."""
    sure: bool = False
    """Measured with the real program as PID 1 and always the same; otherwise only documented."""
    to: str = "child"
    """Of `forwards`: `child` or `group`."""
    kills_after_s: float | None = None
    """Of `forwards`: sends SIGKILL to the child after so many seconds."""
    holds: bool = False
    """Of `drains`: an idle connected client is enough to keep it running."""
    busy_s: float | None = None
    """Longest time to exit while it has clients; None: unknown, or clients don't matter."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Program:
    """One entry of programs.toml."""

    name: str
    kind: str
    """server, database, init, supervisor, wrapper, shell, runtime or tool."""
    source: str
    """Source of the behaviour: documentation or measurement."""
    exe: frozenset[str] = frozenset()
    script: frozenset[str] = frozenset()
    title: re.Pattern[str] | None = None
    args: re.Pattern[str] | None = None
    graceful: tuple[str, ...] = ()
    """Names of the signals for a clean shutdown, best first."""
    on: Mapping[str, Reaction] = field(default_factory=dict)
    handles: frozenset[str] = frozenset()
    """Signals that it always handles after start-up; without a handler, it is still starting."""

    def reaction(self, signal: str) -> Reaction | None:
        """Returns what it does on a signal, by name; None if unknown."""
        return self.on.get(signal) or self.on.get("any")


@dataclass(frozen=True, slots=True)
class Script:
    """A script that an interpreter runs."""

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
"""Words of a command line that are searched for a script."""


def program_name(process: Process) -> str:
    """Returns the program's name without its version; for busybox, the applet's name."""
    called = os.path.basename(process.argv[0]).removeprefix("-") if process.argv else process.name
    if not process.exe and process.argv and " " in process.argv[0]:
        called = process.name  # a title: the program has overwritten its command line
    # Without root only the command line names the program.
    file = os.path.basename(process.exe.removesuffix(" (deleted)")) or called
    if file.startswith(("busybox", "toybox")):
        applet = called
        if called.startswith(("busybox", "toybox")):
            applet = os.path.basename(process.argv[1]) if len(process.argv) > 1 else "busybox"
        if applet in ("init", "linuxrc"):
            return "busybox-init"  # sysvinit's executable is also called init
        return "busybox-sh" if applet in ("sh", "ash", "hush") else applet
    if file == "coreutils" and called:
        return called
    return bare(file.split(" ")[0].rstrip(":") if file == called else file)


def bare(file: str) -> str:
    """Removes a version: `python3.11` -> `python`, `php-fpm8.2` -> `php-fpm`."""
    for family in _VERSIONED:
        if file != family and file.startswith(family) and _VERSION.fullmatch(file[len(family) :]):
            return _ALIASES.get(family, family)
    return _ALIASES.get(file, file)


def is_same_program(process: Process, other: Process) -> bool:
    """Returns whether two processes run the same file; without root, whether they have the same name."""
    if process.exe and other.exe:
        return process.exe == other.exe
    return process.name == other.name


def is_shell(process: Process) -> bool:
    """Returns whether a process is a shell."""
    return program_name(process) in SHELLS


def script_of(process: Process) -> Script | None:
    """Returns the script that an interpreter runs; None if the program isn't a known interpreter."""
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
    """Parses the words after a shell's -c: further options first, then the code (POSIX sh)."""
    index = 0
    while index < len(words) and words[index].startswith(("-", "+")) and len(words[index]) > 1:
        if words[index] == "--":
            index += 1
            break
        index += 2 if words[index] in with_value else 1
    return Script("code", words[index] if index < len(words) else "", tuple(words[index + 1 :]))


def recognise(process: Process) -> Program | None:
    """Returns the entry of programs.toml for a process, or None."""
    name = program_name(process)
    script = script_of(process)
    called = _script_name(script) if script else ""
    return _entry(name, called, process.command[:COMMAND_LIMIT])


_ENTRY = "[[program]]\n"


@lru_cache(maxsize=128)
def _entry(name: str, called: str, command: str) -> Program | None:
    for text in _texts():
        if "\ntitle = " not in text and f'"{name}"' not in text and f'"{called}"' not in text:
            continue
        program = _parsed(text)
        if program.title is not None and program.title.search(command):
            return program
        by_name = name in program.exe or (bool(called) and called in program.script)
        if by_name and (program.args is None or program.args.search(command)):
            return program
    return None


def _script_name(script: Script) -> str:
    """Returns the script's bare name: `/usr/bin/gunicorn3` -> `gunicorn3`; a module keeps its dots."""
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


def entries() -> tuple[Program, ...]:
    """Returns all entries of programs.toml in order; the first match counts."""
    return tuple(_parsed(text) for text in _texts())


@cache
def _texts() -> tuple[str, ...]:
    """Returns the text of each entry. Most processes need one or none, and parsing all takes 20 ms."""
    _, *texts = Path(__file__).with_name("programs.toml").read_text(encoding="utf-8").split(_ENTRY)
    return tuple(texts)


@cache
def _parsed(text: str) -> Program:
    entry: dict[str, object] = tomllib.loads(_ENTRY + text)["program"][0]
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
    assert isinstance(value, dict)  # noqa: S101  # nosec B101 # for mypy: our own file, tested
    return value


def _list(value: object) -> list[str]:
    assert isinstance(value, list)  # noqa: S101  # nosec B101 # for mypy: our own file, tested
    return [str(one) for one in value]


def _words(value: object) -> frozenset[str]:
    return frozenset(_list(value))


def _pattern(value: object) -> re.Pattern[str] | None:
    return re.compile(str(value)) if value else None
