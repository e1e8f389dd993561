"""Finds out what a handler of an interpreted program does: from its source, else from its runtime."""

import posixpath
import re
from collections.abc import Iterator

from containerlab_probes.records import Delivery, Process
from containerlab_probes.signals.names import name_of
from containerlab_tui.doctor.bounds import PROGRAM_LIMIT, PROGRAMS_LIMIT, bounded
from containerlab_tui.doctor.case import Case, Handler, seconds_left
from containerlab_tui.doctor.programs import catalogue
from containerlab_tui.doctor.readers import (
    node,
    python_exit,
    python_tree,
    scripting_languages,
    traps,
)
from containerlab_tui.doctor.readers import (
    python as python_source,
)
from containerlab_tui.model.diagnosis import Confidence, Graceful, Outcome, Outlook

NEIGHBOUR_LIMIT = 24
"""Files beside a script that are read."""
_NAMES = 240
"""File names that are tried."""


def outcome(
    case: Case, process: Process, signal: int, delivery: Delivery, program: catalogue.Program | None
) -> Outcome:
    """Predicts what a handler does that isn't in programs.toml."""
    name, family = name_of(signal), catalogue.program_name(process)
    if family in ("python", "node", "ruby", "perl", "php", "guile"):
        by_source = _by_source(case, process, signal, delivery, family)
        if by_source is not None:
            return by_source
    if process.exe in case.facts.go_programs:
        return _go(name)
    return unknown(name, program, has_handler=signal in process.dispositions.caught)


def unknown(name: str, program: catalogue.Program | None = None, has_handler: bool = True) -> Outcome:
    """Returns the outcome if nothing is known except that the program has a handler, or may await the signal."""
    why = f"It has a {name} handler, but what it does is unknown."
    if not has_handler:
        why = f"It may await {name}, and what it then does is unknown."
    return Outcome(Outlook.UNKNOWN, Confidence.GUESS, (why,), graceful_signals=program.graceful if program else ())


_GO_ENDS = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGABRT")


def _go(name: str) -> Outcome:
    if name in _GO_ENDS:
        why = (
            f"It is a Go program: Go's runtime exits with code 2 on {name} unless the program requests the signal, "
            "usually for a clean shutdown (package os/signal)."
        )
        return Outcome(Outlook.EXITS, Confidence.LIKELY, (why,), 0.5)
    if name == "SIGHUP":
        why = "It is a Go program: Go's runtime exits on SIGHUP unless the program requests it, which can't be seen."
        return Outcome(Outlook.UNKNOWN, Confidence.GUESS, (why,))
    if name in ("SIGABRT", "SIGTRAP", "SIGSYS", "SIGILL", "SIGSTKFLT", "SIGEMT"):
        why = f"It is a Go program: Go's runtime prints its stacks and exits on {name} (package os/signal)."
        return Outcome(Outlook.EXITS, Confidence.LIKELY, (why,), 0.5)
    if name in ("SIGSEGV", "SIGBUS", "SIGFPE"):
        return Outcome(Outlook.UNKNOWN, Confidence.GUESS, (f"Go's runtime reacts to a sent {name} in different ways.",))
    why = (
        f"It is a Go program: Go's runtime handles {name} and does nothing unless the program requests it; "
        "programs seldom exit on it (package os/signal)."
    )
    return Outcome(Outlook.TIMES_OUT, Confidence.GUESS, (why,), graceful=Graceful.NO)


def _by_source(case: Case, process: Process, signal: int, delivery: Delivery, family: str) -> Outcome | None:
    texts, left_out = _texts(case, process)
    name = name_of(signal)
    if family == "ruby" and not texts and name in ("SIGTERM", "SIGINT", "SIGHUP"):
        why = f"Its source can't be read; on {name} Ruby raises an exception, and a trap usually exits. A guess."
        return Outcome(Outlook.EXITS, Confidence.GUESS, (why,), 0.5)
    found: Handler | None
    if family == "python":
        found = python_source.handler(texts, signal)
        if found is None and delivery in (Delivery.SIGWAIT, Delivery.SIGNALFD, Delivery.UNKNOWN):
            found = python_exit.waited(texts)
    else:
        found = scripting_languages.handler(family, texts, name)
    if left_out and (found is None or family in ("ruby", "php")):
        why = "source: the program is too long to analyse."
        return Outcome(Outlook.UNKNOWN, Confidence.GUESS, (why,))
    if found is None:
        found = scripting_languages.by_runtime(family, name, bool(texts))
    if found is None or found.exits is None:
        why = found.why if found else f"no {name} handler found" if texts else "not readable"
        return Outcome(Outlook.UNKNOWN, Confidence.GUESS, (f"source: {why}.",))
    if found.raises_again and process.namespace_init:
        why = f"source: {found.why}; PID 1 survives that, because the kernel discards it."
        return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (why,), graceful=Graceful.NO)
    stuck = _why_stuck(case, process, texts, found) if found.exits else ""
    if stuck:
        why = f"source: {found.why}, but {stuck}."
        return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (why,), graceful=Graceful.NO)
    if not found.exits:
        return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (f"source: {found.why}.",), graceful=Graceful.NO)
    return Outcome(Outlook.EXITS, Confidence.LIKELY, (f"source: {found.why}.",), found.takes_s)


def _why_stuck(case: Case, process: Process, texts: tuple[str, ...], found: Handler) -> str:
    """Returns why a program doesn't exit although its handler asks for it; empty if no reason is found."""
    children, family = case.children(process), catalogue.program_name(process)
    lasting = [one for one in children if (left := seconds_left(case, one)) is None or left >= case.facts.grace_s]
    if family != "python":
        return node.blocked(texts) if lasting and family == "node" else ""
    stuck = python_exit.blocked(texts, len(lasting))
    alike = [one for one in children if catalogue.is_same_program(one, process)]
    stuck = stuck or python_exit.waits_for_tasks(texts, process.threads, len(alike))
    if stuck or not found.by_exception:
        return stuck
    return python_exit.waits_at_exit(texts, process.threads, len(alike), _python_version(process))


def _python_version(process: Process) -> tuple[int, int]:
    """Returns the version in the executable's name; a recent one if there is none."""
    found = re.search(r"python3\.(\d+)$", process.exe)
    return (3, int(found[1])) if found else (3, 13)


def at_prompt(case: Case, process: Process, signal: int) -> Outcome | None:
    """Handles an interpreter's prompt at a terminal: SIGINT discards the current line; for Node, SIGTERM too."""
    script, name = catalogue.script_of(process), name_of(signal)
    reads = script is not None and script.kind == "none" and case.facts.details.tty and not catalogue.is_shell(process)
    if not reads or not (name == "SIGINT" or (name == "SIGTERM" and catalogue.program_name(process) == "node")):
        return None
    why = f"It reads commands from a terminal: {name} discards the current line and keeps the program running."
    return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (why,), graceful=Graceful.NO)


def texts_of(case: Case, process: Process) -> tuple[str, ...]:
    """Returns the source of a program and of the files beside it, as far as they were read."""
    return _texts(case, process)[0]


def _texts(case: Case, process: Process) -> tuple[tuple[str, ...], bool]:
    """Returns those texts, and whether one was left out because of its size."""
    script = catalogue.script_of(process)
    if script is None:
        return (), False
    own = [text for path in script_paths(process) if (text := case.text(process, path)) is not None]
    others = [
        text for (pid, path), text in case.facts.files.items() if pid == process.pid and path.startswith("&")
    ]  # fmt: skip
    python, left, left_out = catalogue.program_name(process) == "python", PROGRAMS_LIMIT, False
    texts: list[str] = []
    for text in [script.text] if script.kind == "code" else [*own, *others]:
        short = text if python and len(text) <= PROGRAM_LIMIT else None if python else bounded(text, PROGRAM_LIMIT)
        if short is None or len(short) > left:
            left_out = True
            continue
        left -= len(short)
        texts.append(short)
    return tuple(texts), left_out


def script_paths(process: Process) -> Iterator[str]:
    """Yields possible paths of an interpreter's script, as the process would name them."""
    script = catalogue.script_of(process)
    if script is None:
        return
    if script.kind == "file":
        yield script.text
        if catalogue.program_name(process) == "node":
            yield from (f"{script.text}.js", posixpath.join(script.text, "index.js"))
        if catalogue.program_name(process) == "python":
            yield posixpath.join(script.text, "__main__.py")
    elif script.kind == "module":
        path = script.text.replace(".", "/")
        yield from (f"{path}/__main__.py", f"{path}.py")


_REQUIRED = {
    "node": re.compile(r"""(?:require\(\s*|from\s+|import\s+)['"](\.{1,2}/[^'"]+)['"]"""),
    "ruby": re.compile(r"""require_relative\s*\(?\s*['"]([^'"]+)['"]"""),
    "perl": re.compile(r"""require\s+['"]([^'"]+)['"]"""),
    "php": re.compile(r"""(?:require|include)(?:_once)?\s*\(?\s*(?:__DIR__\s*\.\s*)?['"]/?([^'"]+)['"]"""),
}
_ENDS = {"node": ("", ".js", ".mjs", ".cjs", "/index.js"), "ruby": ("", ".rb"), "perl": ("",), "php": ("",)}


def neighbours(process: Process, path: str, text: str) -> tuple[str, ...]:
    """Returns files beside or below a script that it names; some may not exist."""
    family, here = catalogue.program_name(process), posixpath.dirname(path)
    found: list[str] = []
    short = text if family == "python" else bounded(text, PROGRAM_LIMIT)
    if short is None or len(short) > PROGRAM_LIMIT:
        return ()
    text = short
    if family == "python":
        for name in python_tree.local_imports(text)[:_NAMES]:
            below = posixpath.join(here, name.replace(".", "/"))
            found += [f"{below}.py", f"{below}/__init__.py"]
    elif family in catalogue.SHELLS:
        found += traps.files_read(text, here)
    elif family in _REQUIRED:
        for name in _REQUIRED[family].findall(text)[:_NAMES]:
            found += [posixpath.normpath(posixpath.join(here, name)) + end for end in _ENDS[family]]
    return tuple(dict.fromkeys(name for name in found if len(name) < 4096))[:_NAMES]
