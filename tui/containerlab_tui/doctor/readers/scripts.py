"""What a handler of an interpreted program does, told from the program's own text; else what its runtime does. Pure."""

import posixpath
import re
from collections.abc import Iterator

from containerlab_probes.records import Delivery, Process
from containerlab_probes.signals.names import name_of
from containerlab_tui.doctor.bounds import PROGRAM_LIMIT, PROGRAMS_LIMIT, bounded
from containerlab_tui.doctor.case import Case, Handler, ends_by_itself
from containerlab_tui.doctor.programs import catalogue
from containerlab_tui.doctor.readers import (
    node,
    python_exit,
    python_tree,
    scripting_languages,
    traps,
)
from containerlab_tui.doctor.readers import (
    python as doctor_python,
)
from containerlab_tui.model.diagnosis import Confidence, Graceful, Outcome, Outlook

NEIGHBOUR_LIMIT = 24
"""Files beside a script that are looked at."""
_NAMES = 240
"""Names under which they are looked for."""


def outcome(
    case: Case, process: Process, signal: int, delivery: Delivery, program: catalogue.Program | None
) -> Outcome:
    """A handler of which programs.toml says nothing."""
    name, family = name_of(signal), catalogue.program_name(process)
    if family in ("python", "node", "ruby", "perl", "php", "guile"):
        told = _by_text(case, process, signal, delivery, family)
        if told is not None:
            return told
    if process.exe in case.facts.go_programs:
        return _go(name)
    return unknown(name, program)


def unknown(name: str, program: catalogue.Program | None = None) -> Outcome:
    """Nothing is known but that there is a handler."""
    why = f"What its handler does with {name} isn't known: a handler alone proves nothing."
    return Outcome(Outlook.UNKNOWN, Confidence.GUESS, (why,), graceful_signals=program.graceful if program else ())


_GO_ENDS = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGABRT")


def _go(name: str) -> Outcome:
    if name in _GO_ENDS:
        why = (
            f"It is a Go program: on {name} Go's runtime exits with status 2 unless the program has asked for the "
            "signal, which it does to end in order (package os/signal)."
        )
        return Outcome(Outlook.EXITS, Confidence.LIKELY, (why,), 0.5)
    if name == "SIGHUP":
        why = "It is a Go program: Go's runtime exits on SIGHUP unless the program has asked for it, which isn't seen."
        return Outcome(Outlook.UNKNOWN, Confidence.GUESS, (why,))
    if name in ("SIGABRT", "SIGTRAP", "SIGSYS", "SIGILL", "SIGSTKFLT", "SIGEMT"):
        why = f"It is a Go program: on {name} Go's runtime prints its stacks and exits (package os/signal)."
        return Outcome(Outlook.EXITS, Confidence.LIKELY, (why,), 0.5)
    if name in ("SIGSEGV", "SIGBUS", "SIGFPE"):
        return Outcome(Outlook.UNKNOWN, Confidence.GUESS, (f"What Go's runtime does on {name} from outside varies.",))
    why = (
        f"It is a Go program: Go's runtime catches {name} and does nothing, unless the program has asked for it, "
        "which it seldom does to end (package os/signal)."
    )
    return Outcome(Outlook.TIMES_OUT, Confidence.GUESS, (why,), graceful=Graceful.NO)


def _by_text(case: Case, process: Process, signal: int, delivery: Delivery, family: str) -> Outcome | None:
    texts, left_out = _texts(case, process)
    name = name_of(signal)
    if family == "ruby" and not texts and name in ("SIGTERM", "SIGINT", "SIGHUP"):
        why = f"Its text can't be read; on {name} Ruby raises an exception, and a trap usually ends. A guess."
        return Outcome(Outlook.EXITS, Confidence.GUESS, (why,), 0.5)
    found: Handler | None
    if family == "python":
        found = doctor_python.handler(texts, signal)
        if found is None and delivery in (Delivery.SIGWAIT, Delivery.SIGNALFD):
            found = python_exit.waited(texts)
    else:
        found = scripting_languages.handler(family, texts, name)
    if left_out and (found is None or family in ("ruby", "php")):
        why = "text: the program is too long to be looked at as a whole."
        return Outcome(Outlook.UNKNOWN, Confidence.GUESS, (why,))
    if found is None:
        found = scripting_languages.by_runtime(family, name, bool(texts))
    if found is None or found.ends is None:
        why = found.why if found else f"no handler for {name} is found in its text"
        return Outcome(Outlook.UNKNOWN, Confidence.GUESS, (f"text: {why}.",))
    if found.raises_again and process.namespace_init:
        why = f"text: {found.why}; as PID 1 it survives that, as the kernel drops what it raises at itself."
        return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (why,), graceful=Graceful.NO)
    stuck = _stuck(case, process, texts, found) if found.ends else ""
    if stuck:
        why = f"text: {found.why}, but {stuck}."
        return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (why,), graceful=Graceful.NO)
    if not found.ends:
        return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (f"text: {found.why}.",), graceful=Graceful.NO)
    return Outcome(Outlook.EXITS, Confidence.LIKELY, (f"text: {found.why}.",), found.takes_s)


def _stuck(case: Case, process: Process, texts: tuple[str, ...], found: Handler) -> str:
    """Why a program doesn't come to the end that its handler asks for; empty: no reason is seen."""
    children, family = case.children(process), catalogue.program_name(process)
    lasting = [one for one in children if (left := ends_by_itself(case, one)) is None or left >= case.facts.grace_s]
    if family != "python":
        return node.blocked(texts) if lasting and family == "node" else ""
    stuck = python_exit.blocked(texts, len(lasting))
    alike = [one for one in children if one.exe == process.exe]
    stuck = stuck or python_exit.waits_for_tasks(texts, process.threads, len(alike))
    if stuck or not found.by_exception:
        return stuck
    return python_exit.waits_at_exit(texts, process.threads, len(alike), _python_version(process))


def _python_version(process: Process) -> tuple[int, int]:
    """By the name of its file; where that tells nothing, that of a recent one."""
    found = re.search(r"python3\.(\d+)$", process.exe)
    return (3, int(found[1])) if found else (3, 13)


def at_prompt(case: Case, process: Process, signal: int) -> Outcome | None:
    """An interpreter without a script, at a terminal, takes SIGINT for the line at hand; Node SIGTERM as well."""
    script, name = catalogue.script_of(process), name_of(signal)
    reads = script is not None and script.kind == "none" and case.facts.details.tty and not catalogue.is_shell(process)
    if not reads or not (name == "SIGINT" or (name == "SIGTERM" and catalogue.program_name(process) == "node")):
        return None
    why = f"It reads commands from a terminal: {name} ends the line at hand, not the program."
    return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (why,), graceful=Graceful.NO)


def texts_of(case: Case, process: Process) -> tuple[str, ...]:
    """The program's own text and that of its files beside it, as far as they were read."""
    return _texts(case, process)[0]


def _texts(case: Case, process: Process) -> tuple[tuple[str, ...], bool]:
    """Those texts, and whether one was left out because there is too much of it."""
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
    """Where the text of an interpreter's script may be, as the process would name it."""
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
    """Files that a script names and that lie beside it, or below; some may not exist."""
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
