"""Guesses what a packaged daemon does on a signal that it handles.

A handler alone proves nothing. But a distribution's unit or init script stops a daemon with a signal that makes it
exit, SIGTERM by default (man 5 systemd.kill), and daemons keep running on signals with other uses (HUP, USR1, USR2).
"""

import posixpath
import re

from containerlab_probes.records import Delivery, Process
from containerlab_probes.signals.names import name_of
from containerlab_tui.doctor.bounds import PROGRAM_LIMIT, bounded
from containerlab_tui.doctor.case import Case
from containerlab_tui.doctor.programs import catalogue
from containerlab_tui.model.diagnosis import Confidence, Graceful, Outcome, Outlook

PACKAGED = (
    "/usr/sbin/", "/usr/bin/", "/usr/lib/", "/usr/libexec/", "/usr/share/", "/sbin/", "/bin/", "/usr/lib64/", "/lib/",
)  # fmt: skip
"""Directories of packaged programs; programs that people add are seldom there."""
_DAEMONS = ("/usr/sbin/", "/sbin/")
_ENDING = frozenset(("SIGTERM", "SIGINT", "SIGQUIT"))
_OTHER_USES = frozenset(
    ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGCONT", "SIGALRM", "SIGURG", "SIGIO", "SIGPIPE")
)


def outcome(case: Case, process: Process, signal: int, delivery: Delivery) -> Outcome | None:
    """Returns a guess, or what a unit file says; None if neither applies."""
    name = name_of(signal)
    if delivery in (Delivery.SIGWAIT, Delivery.SIGNALFD) and name in _ENDING:
        how = "sigwait" if delivery is Delivery.SIGWAIT else "a signalfd"
        why = f"A program that reads {name} from {how} usually exits on it. A guess."
        return Outcome(Outlook.EXITS, Confidence.GUESS, (why,), 0.5)
    path = program_path(process)
    unit = _unit(case, path)
    if unit is not None:
        return _reloads(unit, path, name) or _by_unit(unit, path, name)
    if not path.startswith(PACKAGED) or catalogue.is_shell(process):
        return None
    if case.facts.details.tty and (name == "SIGHUP" or (name == "SIGINT" and not path.startswith(_DAEMONS))):
        return _at_terminal(name)
    if name in _ENDING:
        why = f"{path} looks like a packaged daemon; a daemon that handles {name} usually exits on it. A guess."
        return Outcome(Outlook.EXITS, Confidence.GUESS, (why,), 0.5)
    if name in _OTHER_USES:
        why = f"{path} looks like a packaged daemon; a daemon that handles {name} usually keeps running. A guess."
        return Outcome(Outlook.TIMES_OUT, Confidence.GUESS, (why,), graceful=Graceful.NO)
    return None


def of_go(case: Case, process: Process, signal: int) -> Outcome | None:
    """Returns a guess for SIGHUP: Go's runtime exits on it unless the program requested it, which can't be seen."""
    path, name = program_path(process), name_of(signal)
    unit = _unit(case, path)
    if name != "SIGHUP":
        return None
    if unit is None:
        if path.startswith(PACKAGED):
            return None
        why = f"It is an unpackaged Go program: few of those request {name}, and Go's runtime exits on it. A guess."
        return Outcome(Outlook.EXITS, Confidence.GUESS, (why,), 0.5)
    reloads = _reloads(unit, path, name)
    if reloads is not None:
        return reloads
    why = f"unit: the package of {path} does not use {name}, so Go's runtime exits with code 2. A guess."
    return Outcome(Outlook.EXITS, Confidence.GUESS, (why,), 0.5)


def _unit(case: Case, path: str) -> str | None:
    """Returns the unit of a program; None if there is none or it is too long."""
    text = case.facts.units.get(path)
    return None if text is None else bounded(text, PROGRAM_LIMIT)


def _reloads(unit: str, path: str, name: str) -> Outcome | None:
    """Returns the outcome if the unit uses the signal to reload (man 5 systemd.service, ExecReload)."""
    kills = re.findall(r"^\s*ExecReload\s*=.*?\bkill\b(.*)", unit, re.MULTILINE)
    if not any(re.search(rf"\b(?:SIG)?{name.removeprefix('SIG')}\b", rest) for rest in kills):
        return None
    why = f"unit: the package reloads {path} with {name}."
    return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (why,), graceful=Graceful.NO)


def _at_terminal(name: str) -> Outcome:
    """Returns a guess for interactive programs, as measured: calculators, debuggers, clients, language prompts."""
    if name == "SIGHUP":
        why = "A program at a terminal that handles SIGHUP usually cleans up and exits. A guess."
        return Outcome(Outlook.EXITS, Confidence.GUESS, (why,), 0.5)
    why = "A program at a terminal that handles SIGINT usually discards the current line and keeps running. A guess."
    return Outcome(Outlook.TIMES_OUT, Confidence.GUESS, (why,), graceful=Graceful.NO)


def program_path(process: Process) -> str:
    """Returns the file that identifies the program: an interpreter's script, else the executable."""
    script = catalogue.script_of(process)
    if script is None:
        return process.exe
    if script.kind == "file" and posixpath.isabs(script.text):
        return script.text
    return ""


def _by_unit(unit: str, path: str, name: str) -> Outcome | None:
    kill = re.search(r"^\s*KillSignal\s*=\s*(\S{1,20})", unit, re.MULTILINE)
    stop_signal = kill[1] if kill else "SIGTERM"
    if stop_signal != name:
        if name == "SIGHUP":
            return None  # the unit doesn't use it: some daemons reload, some exit
        if name in _OTHER_USES:
            why = f"unit: the package stops {path} with {stop_signal}; on {name} a daemon usually keeps running."
            return Outcome(
                Outlook.TIMES_OUT, Confidence.GUESS, (why,), graceful=Graceful.NO, graceful_signals=(stop_signal,)
            )
        if name in _ENDING:
            why = f"unit: the package stops {path} with {stop_signal}; on {name} a daemon usually exits too."
            return Outcome(Outlook.EXITS, Confidence.GUESS, (why,), 0.5, graceful_signals=(stop_signal,))
        return None
    if re.search(r"^\s*ExecStop\s*=\s*\S", unit, re.MULTILINE) and not kill:
        why = f"unit: the package stops {path} with a command; on {name} a daemon usually exits too."
        return Outcome(Outlook.EXITS, Confidence.GUESS, (why,), 0.5)
    why = f"unit: the package stops {path} with {name}."
    return Outcome(Outlook.EXITS, Confidence.LIKELY, (why,), 0.5, graceful_signals=(name,))
