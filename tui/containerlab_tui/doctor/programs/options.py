"""Applies options, environment and configuration files that change what a program does on a signal."""

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
    """Yields the paths of files that change what a program of that name in programs.toml does."""
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
"""Words of a command line that are searched for file names."""


def _after(process: Process, option: str) -> Iterator[str]:
    """Yields the words that follow an option; a title in place of the command line keeps its words, not its quotes."""
    for word, following in itertools.pairwise(process.command[:COMMAND_LIMIT].split()[:_OPTIONS]):
        if word == option:
            yield following


def configured(case: Case, process: Process, signal: int, program: Program, reaction: Reaction) -> Reaction:
    """Returns what a program does on a signal according to its configuration."""
    by_configuration = _BY_CONFIGURATION.get(program.name)
    return by_configuration(case, process, name_of(signal), reaction) if by_configuration else reaction


def _text(case: Case, process: Process, program: str) -> str:
    """Returns the first readable file of a program; empty if there is none."""
    texts = (case.text(process, path) for path in files_of(program, process))
    return tidy(next((text for text in texts if text is not None), ""))


def _seconds(text: str, pattern: str) -> tuple[float, str] | None:
    """Finds a duration after a pattern; returns seconds and the line's text, or None."""
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
        return replace(reaction, does="ignores", note=f"{RUNIT_STOPS} does not exist")
    return reaction


_RUNSV_CONTROL = ("control/t", "control/x")


def _runsv(case: Case, process: Process, signal: str, reaction: Reaction) -> Reaction:
    """man 8 runsv, CUSTOMIZE CONTROL: a script in control/ may not signal the service at all."""
    if reaction.does in FORWARDS and any(case.text(process, path) is not None for path in _RUNSV_CONTROL):
        return replace(reaction, does="varies", note="a script in control/ decides")
    return reaction


def _gunicorn(case: Case, process: Process, signal: str, reaction: Reaction) -> Reaction:
    found = re.search(r"--graceful-timeout[ =](\d+)", process.command)
    return replace(reaction, busy_s=seconds(found[1]) + 0.5) if found and reaction.busy_s is not None else reaction


def _redis(case: Case, process: Process, signal: str, reaction: Reaction) -> Reaction:
    if process.pid in case.facts.cannot_write and not _saves_nothing(case, process):
        return replace(reaction, does="ignores", note="it can't save: no write permission in its working directory")
    return reaction


def _saves_nothing(case: Case, process: Process) -> bool:
    """Returns whether Redis is configured not to save.

    Redis overwrites its command line with a title; the container's configuration still has the original.
    """
    words = (*process.argv, "", *(case.facts.details.argv if process.namespace_init else ()))
    follows = itertools.pairwise(words)
    return ("--save", "") in follows or re.search(r"--save\s+(\"\"|'')", " ".join(words)) is not None


_UWSGI_FILES = re.compile(r"(?:^|=)([^=\s]+\.(?:ini|xml|yml|yaml|json|conf))$")
_MASTER = re.compile(
    r"^\s*[\"<]?master\W+(?:true|1|yes|on)\b|<master\s*/>|^\s*(?:include|ini|xml|yaml|json)\s*=", re.MULTILINE
)
"""Matches a request for a master process, or an include that may contain one."""
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
    """Handles a uWSGI whose command line requests no master process."""
    if not _switched_on(case, process, "UWSGI_MASTER"):
        return reaction
    dies = _switched_on(case, process, "UWSGI_DIE_ON_TERM")
    ends = signal in ("SIGINT", "SIGTERM" if dies else "SIGQUIT")
    return replace(reaction, does="fast" if ends else "reloads", takes_s=1.5, note="UWSGI_MASTER is set")


def _switched_on(case: Case, process: Process, name: str) -> bool:
    """Returns whether an environment variable sets one of uWSGI's options."""
    return case.environment(process, name).lower() not in ("", "0", "false", "no", "off")


_BY_CONFIGURATION: Mapping[str, Callable[[Case, Process, str, Reaction], Reaction]] = {
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
