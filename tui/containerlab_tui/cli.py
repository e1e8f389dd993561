"""Parses the command line, runs one command, and turns errors into a sentence and an exit status.

This module imports hardly more than the standard library; each module of `commands/` imports what it needs.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from containerlab_probes.errors import ContainerlabError, Unreachable
from containerlab_probes.safe_text import SafeText, safe, safe_block
from containerlab_tui.commands.output import checked

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

    from containerlab_tui.engine.api import Engine

    Connect = Callable[[str | None, str | None], Engine]

PROGRAM = "containerlab-tui"

_Command = Callable[[str, str], argparse.ArgumentParser]
"""Adds a command with its name and its help."""

#: Commands of two words. The second could be a container's name, so it counts only if more words follow.
_TWO_WORDS = {("ipc", "read"), ("ipc", "remove"), ("maps", "read")}


@checked
def main(argv: Sequence[str] | None = None, connect: "Connect | None" = None) -> int:
    """Runs one command; returns the exit status (0 done, 1 bad result, 2 usage, 3 gone, 4 denied, 5 no engine).

    `connect` takes the values of --host and --context and returns an engine; by default a Docker engine.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    words, program = split_program(words)
    arguments = parser().parse_args(join_command(words))
    arguments.program = program
    arguments.connect = connect or _connect
    if arguments.host and arguments.lab:
        return _fail(safe("--host and --lab name two engines; use one of them."), 2)
    try:
        return _run(arguments)
    except ContainerlabError as error:
        sentence = error.sentence
        if isinstance(error, Unreachable) and not arguments.lab:
            sentence = safe(f"{sentence} `{PROGRAM} --lab` opens a private engine with demonstration containers.")
        return _fail(sentence, error.exit_status)
    except KeyboardInterrupt:
        return 130


def _connect(host: str | None, context: str | None) -> "Engine":
    from containerlab_tui.engine.connection import connect

    return connect(host, context)


def _run(arguments: argparse.Namespace) -> int:
    """Runs the module of `commands/` that has the name of the command's first word; without a command, the UI."""
    if arguments.command is None:
        from containerlab_tui.commands.screens import open_screens

        return open_screens(arguments)
    import gc

    gc.set_threshold(100_000)  # a command makes many objects but hardly any garbage, and exits soon
    command = import_module(f"containerlab_tui.commands.{arguments.command.split()[0]}")
    status: int = command.run(arguments)
    return status


def _fail(sentence: SafeText, status: int) -> int:
    print(f"{PROGRAM}: {sentence}", file=sys.stderr)  # noqa: T201  the sentence is safe
    return status


def join_command(words: Sequence[str]) -> list[str]:
    """Joins `ipc read NAME …` to one command word; `ipc read` alone means a container named `read`."""
    for index in range(len(words) - 2):
        if (words[index], words[index + 1]) in _TWO_WORDS and not words[index + 2].startswith("-"):
            return [*words[:index], f"{words[index]} {words[index + 1]}", *words[index + 2 :]]
    return list(words)


def split_program(words: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Splits `enter NAME -- PROGRAM …` at the two hyphens; other command lines have no program."""
    at = 0
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in ("--host", "--context") else 1
    if words[at : at + 1] != ["enter"] or "--" not in words:
        return list(words), ()
    end = words.index("--")
    return list(words[:end]), tuple(words[end + 1 :])


class _Parser(argparse.ArgumentParser):
    """Prints help and complaints; a complaint quotes arguments, which may be names of containers."""

    def _print_message(self, message: str, file: "SupportsWrite[str] | None" = None) -> None:
        super()._print_message(safe_block(message.split("\n")), file)


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the whole command line. Global options may stand before or after the command."""
    whole = _Parser(
        PROGRAM,
        description="Predict, watch and fix container stops; inspect shared memory and mapped files. "
        "Without a command, opens the terminal UI.",
        parents=[_global_options(first=True)],
    )
    whole.add_argument("--version", action=_Version, nargs=0, help="show the program's version number and exit")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    everywhere = _global_options(first=False)

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, parents=[everywhere])

    _add_listing(command)
    _add_changing(command)
    _add_explaining(command)
    _add_memory(command)
    return whole


def _add_listing(command: _Command) -> None:
    """Adds the commands that list containers and processes, and the lab."""
    lab = command("lab", "manage the private engine with its images and demonstration containers")
    lab.add_argument("action", choices=("up", "down", "status"))
    lab.add_argument("--purge", action="store_true", help="with down: also remove its data")

    ps = command("ps", "list containers")
    ps.add_argument("--all", action="store_true", help="include stopped containers")

    _name(command("processes", "print the process tree with signal dispositions"))

    forecast = command("forecast", "predict what each signal would do to each process; sends nothing")
    _name(forecast)
    forecast.add_argument("signals", nargs="*", metavar="SIGNAL", help="default: the container's stop signal")


def _add_changing(command: _Command) -> None:
    """Adds the commands that signal processes, or stop or enter containers."""
    signal = command("signal", "send a signal (to PID 1 by default) and show the result")
    _name(signal)
    signal.add_argument("signal", metavar="SIGNAL")
    target = signal.add_mutually_exclusive_group()
    target.add_argument("--pid", type=int, metavar="N", help="one process, by its PID in the container")
    target.add_argument("--children", action="store_true", help="all processes below PID 1")
    target.add_argument("--all", action="store_true", help="every process of the container")

    stop = command("stop", "stop a container and show both phases live")
    _name(stop)
    stop.add_argument("--signal", metavar="S", help="default: the container's stop signal")
    stop.add_argument("--timeout", type=int, metavar="SECONDS", help="grace period; negative: no limit")

    _enter(command("enter", "run a shell in a container, or `-- PROGRAM ARGUMENT …`; Ctrl+] leaves"))


def _add_explaining(command: _Command) -> None:
    """Adds the commands that predict and explain stops, and check this machine and the settings."""
    doctor = command("doctor", "predict how a stop will go, and how to fix it; changes nothing")
    target = doctor.add_mutually_exclusive_group(required=True)
    target.add_argument("name", metavar="NAME", nargs="?", help="a container's name, id, or unambiguous id prefix")
    target.add_argument("--all", action="store_true", help="all running containers, worst first")
    doctor.add_argument("--strict", action="store_true", help="exit status 1 on an error finding")

    _name(command("why", "explain why a container stopped"))

    command("selftest", "test the kernel's signal rules behind predictions; needs root, but no engine")

    command("config", "print the effective settings, where each comes from, and problems")


def _add_memory(command: _Command) -> None:
    """Adds the commands about IPC objects and mapped files."""
    _name(command("ipc", "list System V and POSIX IPC objects"))
    read = command("ipc read", "dump a shared memory object")
    _object(read)
    _window(read)
    remove = command("ipc remove", "remove one IPC object, after a question that names its users")
    _object(remove)
    remove.add_argument("--yes", action="store_true", help="do not ask")
    remove.add_argument("--host-object", action="store_true", help="also remove an object that belongs to the host")

    maps = command("maps", "list mapped files and where their bytes are stored")
    _name(maps)
    maps.add_argument("--private", action="store_true", help="include private mappings (programs, libraries)")
    read = command("maps read", "dump the file of a mapping")
    _name(read)
    read.add_argument("pid", type=int, metavar="PID", help="the process, by its PID in the container")
    read.add_argument("range", metavar="RANGE", help="the mapping, as `maps` shows it")
    _window(read)


def _global_options(first: bool) -> _Parser:
    """Returns the global options. Only those before the command (`first`) have defaults, so later ones override."""
    options = _Parser(add_help=False)
    group = options.add_argument_group("everywhere")

    def default(value: object) -> object:
        return value if first else argparse.SUPPRESS

    group.add_argument("--host", metavar="URL", default=default(None), help="the engine's address")
    group.add_argument("--context", metavar="NAME", default=default(None), help="a docker context")
    group.add_argument("--lab", action="store_true", default=default(False), help="use the private engine")
    group.add_argument(
        "--read-only", action="store_true", default=default(False), help="refuse every change to a container"
    )
    group.add_argument("--json", action="store_true", default=default(False), help="print one JSON document")
    return options


def _name(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", metavar="NAME", help="a container's name, id, or unambiguous id prefix")


def _enter(command: argparse.ArgumentParser) -> None:
    _name(command)
    command.add_argument("--user", default="", metavar="USER", help="default: the container's user")
    command.add_argument(
        "--host-tools", action="store_true", help="as root from the host, without the engine and seccomp filter"
    )
    command.add_argument("--host-files", action="store_true", help="with --host-tools: keep the host's files")
    command.add_argument("--full-rights", action="store_true", help="with --host-tools: keep all capabilities")


def _object(command: argparse.ArgumentParser) -> None:
    _name(command)
    command.add_argument("kind", metavar="KIND", help="shm, sem, msg, posix-shm, posix-sem or posix-mq")
    command.add_argument("id", metavar="ID", help="as `ipc` shows it")


def _window(command: argparse.ArgumentParser) -> None:
    command.add_argument("--offset", type=int, default=0, metavar="N", help="the first byte (default 0)")
    command.add_argument("--length", type=int, default=256, metavar="N", help="number of bytes (default 256)")


class _Version(argparse.Action):
    """Looks up the version only on request, because that takes longer than the rest of the parser."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            installed = version(PROGRAM)
        except PackageNotFoundError:
            installed = "(not installed)"
        print(f"{PROGRAM} {installed}")  # noqa: T201  our own name and version
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
