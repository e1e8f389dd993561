"""What daemons usually do with a signal that they handle: a guess, for programs that a package brought. Pure.

A handler alone proves nothing. But a program that a distribution packages is stopped by its unit or its init
script with a signal that ends it, SIGTERM where nothing else is said (man 5 systemd.kill), and signals that
daemons keep for other uses (HUP, USR1, USR2) leave them running.
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
"""Where packages put programs, and people seldom do."""
_DAEMONS = ("/usr/sbin/", "/sbin/")
_ENDING = frozenset(("SIGTERM", "SIGINT", "SIGQUIT"))
_OTHER_USES = frozenset(
    ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGCONT", "SIGALRM", "SIGURG", "SIGIO", "SIGPIPE")
)


def outcome(case: Case, process: Process, signal: int, delivery: Delivery) -> Outcome | None:
    """A guess, or what a unit file says; None where nothing speaks for either."""
    name = name_of(signal)
    if delivery in (Delivery.SIGWAIT, Delivery.SIGNALFD) and name in _ENDING:
        how = "sigwait" if delivery is Delivery.SIGWAIT else "a signalfd"
        why = f"A program that goes out of its way to take {name} from {how} usually ends on it. A guess."
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
        why = f"{path} is where packages put programs: a daemon that handles {name} usually ends on it. A guess."
        return Outcome(Outlook.EXITS, Confidence.GUESS, (why,), 0.5)
    if name in _OTHER_USES:
        why = f"{path} is where packages put programs: a daemon that handles {name} usually goes on. A guess."
        return Outcome(Outlook.TIMES_OUT, Confidence.GUESS, (why,), graceful=Graceful.NO)
    return None


def of_go(case: Case, process: Process, signal: int) -> Outcome | None:
    """Of a signal that Go's runtime ends a program on unless the program has asked for it, which can't be seen."""
    path, name = program_path(process), name_of(signal)
    unit = _unit(case, path)
    if name != "SIGHUP":
        return None
    if unit is None:
        if path.startswith(PACKAGED):
            return None
        why = f"It is a Go program of one's own: few of those ask for {name}, and Go's runtime exits on it. A guess."
        return Outcome(Outlook.EXITS, Confidence.GUESS, (why,), 0.5)
    reloads = _reloads(unit, path, name)
    if reloads is not None:
        return reloads
    why = (
        f"unit: the package that brought {path} has no use for {name}: then Go's runtime exits with status 2. A guess."
    )
    return Outcome(Outlook.EXITS, Confidence.GUESS, (why,), 0.5)


def _unit(case: Case, path: str) -> str | None:
    """The unit of a program; one that is too long to be looked at counts as none."""
    text = case.facts.units.get(path)
    return None if text is None else bounded(text, PROGRAM_LIMIT)


def _reloads(unit: str, path: str, name: str) -> Outcome | None:
    """Where the unit reloads the program with that very signal (man 5 systemd.service, ExecReload)."""
    kills = re.findall(r"^\s*ExecReload\s*=.*?\bkill\b(.*)", unit, re.MULTILINE)
    if not any(re.search(rf"\b(?:SIG)?{name.removeprefix('SIG')}\b", rest) for rest in kills):
        return None
    why = f"unit: the package that brought {path} reloads it with {name}."
    return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (why,), graceful=Graceful.NO)


def _at_terminal(name: str) -> Outcome:
    """Programs for a person, as they were measured: calculators, debuggers, clients, languages' prompts."""
    if name == "SIGHUP":
        why = "A program at a terminal that handles SIGHUP usually tidies up and ends. A guess."
        return Outcome(Outlook.EXITS, Confidence.GUESS, (why,), 0.5)
    why = "A program at a terminal that handles SIGINT usually gives up the line at hand and goes on. A guess."
    return Outcome(Outlook.TIMES_OUT, Confidence.GUESS, (why,), graceful=Graceful.NO)


def program_path(process: Process) -> str:
    """The file that makes the program what it is: the script of an interpreter, else its executable."""
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
            return None  # it is packaged without a use for it: some reload, some end
        if name in _OTHER_USES:
            why = f"unit: the package stops {path} with {stop_signal}; on {name} a daemon usually goes on."
            return Outcome(
                Outlook.TIMES_OUT, Confidence.GUESS, (why,), graceful=Graceful.NO, graceful_signals=(stop_signal,)
            )
        if name in _ENDING:
            why = f"unit: the package stops {path} with {stop_signal}; on {name} a daemon usually ends too."
            return Outcome(Outlook.EXITS, Confidence.GUESS, (why,), 0.5, graceful_signals=(stop_signal,))
        return None
    if re.search(r"^\s*ExecStop\s*=\s*\S", unit, re.MULTILINE) and not kill:
        why = f"unit: the package stops {path} with a command of its own; on {name} a daemon usually ends too."
        return Outcome(Outlook.EXITS, Confidence.GUESS, (why,), 0.5)
    why = f"unit: the package that brought {path} stops it with {name}."
    return Outcome(Outlook.EXITS, Confidence.LIKELY, (why,), 0.5, graceful_signals=(name,))
