"""Servers and inits whose options, environment or configuration files change what they do on a signal. Pure."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from containerlab_probes.records import Process
from containerlab_probes.signals.names import name_of
from containerlab_tui.doctor.bounds import COMMAND_LIMIT, seconds, tidy
from containerlab_tui.doctor.case import Case
from containerlab_tui.doctor.programs.catalogue import FORWARDS, UNCLEAR, Program, Reaction

RUNIT_STOPS = "/etc/runit/stopit"
_UNITS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = r"(\d+)\s*(ms|[smhd]?)"


def files_of(program: str, process: Process) -> Iterator[str]:
    """The files, as the process names them, that decide what a program of that name in programs.toml does."""
    match program:
        case "nginx":
            yield from (*_after(process, "-c"), "/etc/nginx/nginx.conf")
        case "HAProxy":
            yield from (*_after(process, "-f"), "/etc/haproxy/haproxy.cfg")
        case "Squid":
            yield from (*_after(process, "-f"), "/etc/squid/squid.conf")
        case "runit":
            yield RUNIT_STOPS
        case "runsv":
            yield from _RUNSV_CONTROL
        case "s6-supervise":
            yield from ("down-signal", "timeout-kill", "finish")
        case "uWSGI":
            for word in process.argv[1:_OPTIONS]:
                found = _UWSGI_FILES.search(word)
                if found:
                    yield found[1]


_OPTIONS = 100
"""Words of a command line that may name files."""


def _after(process: Process, option: str) -> Iterator[str]:
    """The words that follow an option; a title written over the command line has lost its quotes, not its words."""
    for word, following in itertools.pairwise(process.command[:COMMAND_LIMIT].split()[:_OPTIONS]):
        if word == option:
            yield following


def configured(case: Case, process: Process, signal: int, program: Program, reaction: Reaction) -> Reaction:
    """What a program does on a signal, once its configuration has been looked at."""
    look = _LOOKS.get(program.name)
    return look(case, process, name_of(signal), reaction) if look else reaction


def _text(case: Case, process: Process, program: str) -> str:
    """The first of a program's files that could be read; empty where none could."""
    texts = (case.text(process, path) for path in files_of(program, process))
    return tidy(next((text for text in texts if text is not None), ""))


def _seconds(text: str, pattern: str) -> tuple[float, str] | None:
    """A duration behind a pattern, in seconds, and the line's text; None where it isn't there."""
    found = re.search(rf"^\s*({pattern}\s+{_DURATION})", text, re.MULTILINE)
    return (seconds(found[2]) * _UNITS[found[3]], found[1].strip()[:200]) if found else None


def _nginx(case: Case, process: Process, signal: str, reaction: Reaction) -> Reaction:
    """nginx documentation, Core functionality, worker_shutdown_timeout."""
    found = _seconds(_text(case, process, "nginx"), "worker_shutdown_timeout") if reaction.does == "drains" else None
    return replace(reaction, busy_s=found[0] + 0.5, note=found[1]) if found else reaction


def _haproxy(case: Case, process: Process, signal: str, reaction: Reaction) -> Reaction:
    """HAProxy Configuration Manual, hard-stop-after: bare numbers are milliseconds."""
    found = _seconds(_text(case, process, "HAProxy"), "hard-stop-after") if reaction.does == "drains" else None
    if found is None:
        return reaction
    limit_s = found[0] / 1000 if found[1][-1].isdigit() else found[0]
    return replace(reaction, holds=False, busy_s=limit_s + 0.5, note=found[1])


def _squid(case: Case, process: Process, signal: str, reaction: Reaction) -> Reaction:
    found = re.search(r"^\s*shutdown_lifetime\s+(\d+)\s*(\w*)", _text(case, process, "Squid"), re.MULTILINE)
    if found is None or signal != "SIGTERM":
        return reaction
    takes_s = seconds(found[1]) * {"m": 60, "h": 3600}.get(found[2][:1], 1) + 1.0
    return replace(reaction, takes_s=takes_s, note=f"shutdown_lifetime is {found[1][:20]} {found[2][:20]}".rstrip())


def _runit(case: Case, process: Process, signal: str, reaction: Reaction) -> Reaction:
    if reaction.does in UNCLEAR and case.text(process, RUNIT_STOPS) is None:
        return replace(reaction, does="ignores", note=f"there is no {RUNIT_STOPS}")
    return reaction


_RUNSV_CONTROL = ("control/t", "control/x")


def _runsv(case: Case, process: Process, signal: str, reaction: Reaction) -> Reaction:
    """man 8 runsv, CUSTOMIZE CONTROL: the script may do something else than signal the service."""
    if reaction.does in FORWARDS and any(case.text(process, path) is not None for path in _RUNSV_CONTROL):
        return replace(reaction, does="varies", note="a script of its own in control/ decides")
    return reaction


def _gunicorn(case: Case, process: Process, signal: str, reaction: Reaction) -> Reaction:
    found = re.search(r"--graceful-timeout[ =](\d+)", process.command)
    return replace(reaction, busy_s=seconds(found[1]) + 0.5) if found and reaction.busy_s is not None else reaction


def _redis(case: Case, process: Process, signal: str, reaction: Reaction) -> Reaction:
    if process.pid in case.facts.cannot_write and not _saves_nothing(case, process):
        return replace(reaction, does="ignores", note="it can't save: it may not write into its working directory")
    return reaction


def _saves_nothing(case: Case, process: Process) -> bool:
    """Whether Redis was told not to save. It writes a title over its command line: the container's has it still."""
    words = (*process.argv, "", *(case.facts.details.argv if process.namespace_init else ()))
    follows = itertools.pairwise(words)
    return ("--save", "") in follows or re.search(r"--save\s+(\"\"|'')", " ".join(words)) is not None


_UWSGI_FILES = re.compile(r"(?:^|=)([^=\s]+\.(?:ini|xml|yml|yaml|json|conf))$")
_MASTER = re.compile(
    r"^\s*[\"<]?master\W+(?:true|1|yes|on)\b|<master\s*/>|^\s*(?:include|ini|xml|yaml|json)\s*=", re.MULTILINE
)
"""A master process is asked for, or another file may ask for it."""
_DIES_ON_TERM = re.compile(
    r"die-on-term\W+(?:true|1|yes|on)\b|<die-on-term\s*/?>(?!false)"
    r"|hook-master-start\W+unix_signal:(?:15|SIGTERM)\s+(?:gracefully_)?kill_them_all"
)


def _uwsgi(case: Case, process: Process, signal: str, reaction: Reaction) -> Reaction:
    """uWSGI documentation, Managing the uWSGI server, Signals; Configuring uWSGI (options as variables)."""
    if signal not in ("SIGTERM", "SIGQUIT") or "--die-on-term" in process.argv:
        return reaction
    texts = [tidy(text) for (pid, _), text in case.facts.files.items() if pid == process.pid]
    master = any(word.startswith(("--master", "-M")) for word in process.argv)
    if texts and not master and not any(_MASTER.search(text) for text in texts):
        return replace(reaction, does="fast", takes_s=0.5, note="it has no master process")
    by_file = any(_DIES_ON_TERM.search(text) for text in texts)
    if by_file or _switched_on(case, process, "UWSGI_DIE_ON_TERM"):
        does = "fast" if signal == "SIGTERM" else "reloads"
        place = "its configuration" if by_file else "its environment"
        return replace(reaction, does=does, takes_s=1.5, note=f"die-on-term is set in {place}")
    return reaction


def _uwsgi_by_variables(case: Case, process: Process, signal: str, reaction: Reaction) -> Reaction:
    """Of one whose command line asks for no master process."""
    if not _switched_on(case, process, "UWSGI_MASTER"):
        return reaction
    dies = _switched_on(case, process, "UWSGI_DIE_ON_TERM")
    ends = signal in ("SIGINT", "SIGTERM" if dies else "SIGQUIT")
    return replace(reaction, does="fast" if ends else "reloads", takes_s=1.5, note="UWSGI_MASTER is set")


def _switched_on(case: Case, process: Process, name: str) -> bool:
    """Whether a variable of its environment sets one of uWSGI's options."""
    return case.environment(process, name).lower() not in ("", "0", "false", "no", "off")


_LOOKS: Mapping[str, Callable[[Case, Process, str, Reaction], Reaction]] = {
    "nginx": _nginx,
    "HAProxy": _haproxy,
    "Squid": _squid,
    "runit": _runit,
    "runsv": _runsv,
    "Gunicorn": _gunicorn,
    "Redis or Valkey": _redis,
    "uWSGI": _uwsgi,
    "uWSGI without a master": _uwsgi_by_variables,
}
