"""Predicts how supervisord stops: group by group, each program with its own signal and time limit.

Supervisor documentation, Configuration File; supervisor/supervisord.py (ordered_stop_groups_phase_1).
"""

import os
import posixpath
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache

from containerlab_probes.errors import BadRequest
from containerlab_probes.records import Process
from containerlab_probes.signals.forecast import without_root
from containerlab_probes.signals.names import name_of, number_of
from containerlab_tui.doctor.bounds import CONFIGURATION_LIMIT, seconds, tidy_lines
from containerlab_tui.doctor.case import Case, described
from containerlab_tui.doctor.programs import catalogue
from containerlab_tui.model.diagnosis import Confidence, Graceful, Outcome, Outlook

PLACES = (
    "/etc/supervisor/supervisord.conf",
    "/etc/supervisord.conf",
    "/usr/etc/supervisord.conf",
    "/usr/local/etc/supervisord.conf",
)
"""Default paths of its configuration, besides its working directory."""
DEFAULT_WAIT_S = 10.0
_OVERHEAD_S = 1.2
"""Time for SIGKILL and reaping: supervisord checks once a second."""
_STARTING_S = 5.0
"""How long after its start supervisord may still be starting its programs."""


@dataclass(frozen=True, slots=True)
class Managed:
    """One program that supervisord manages."""

    name: str
    group: str
    command: tuple[str, ...]
    stop_signal: int
    wait_s: float
    as_group: bool
    count: int = 1
    """Its number of processes (numprocs)."""


@dataclass(frozen=True, slots=True)
class Configuration:
    nodaemon: bool
    managed: tuple[Managed, ...]


_KEYS = ("files", "programs", "nodaemon", "stopsignal", "stopwaitsecs", "command", "stopasgroup", "numprocs")
_SECTIONS = 300
_PATTERNS = 100
_PATTERN_LIMIT = 1000
_COMMAND_LIMIT = 4096


def path_of(process: Process) -> str | None:
    """Returns the configuration file that the command line names."""
    words = list(process.argv[:_WORDS])
    for index, word in enumerate(words):
        if word in ("-c", "--configuration") and index + 1 < len(words):
            return words[index + 1]
        if word.startswith("--configuration="):
            return word.partition("=")[2]
        if re.match(r"-n?c[^\n]", word):
            return word.partition("c")[2]
    return None


def candidates(process: Process) -> tuple[str, ...]:
    """Returns possible paths of its configuration, likeliest first."""
    named = path_of(process)
    return (named,) if named else ("supervisord.conf", "etc/supervisord.conf", *PLACES)


def includes_of(text: str, path: str) -> tuple[str, ...]:
    """Returns the patterns of included files, resolved against the configuration's directory."""
    found = _parsed(text).get("include", {}).get("files", "")
    here = posixpath.dirname(path)
    words = [word for word in found.split() if len(word) <= _PATTERN_LIMIT][:_PATTERNS]
    return tuple(posixpath.normpath(posixpath.join(here, word.replace("%(here)s", here))) for word in words)


@lru_cache(maxsize=8)
def parse(text: str, included: tuple[str, ...] = ()) -> Configuration:
    """Parses a configuration and the files that it includes.

    Leaves out text that can't be parsed or exceeds CONFIGURATION_LIMIT or _SECTIONS.
    """
    sections: dict[str, Mapping[str, str]] = {}
    left = CONFIGURATION_LIMIT
    for one in (text, *included):
        left -= len(one)
        if left >= 0 and len(sections) < _SECTIONS:
            sections.update(_parsed(one))
    groups = {
        program.strip(): name.partition(":")[2].strip()
        for name, section in sections.items()
        if name.startswith("group:")
        for program in section.get("programs", "").split(",")
    }
    managed = tuple(
        _managed(name.partition(":")[2].strip(), section, groups)
        for name, section in sections.items()
        if name.startswith(("program:", "fcgi-program:", "eventlistener:"))
    )
    nodaemon = sections.get("supervisord", {}).get("nodaemon", "false").strip().lower()
    return Configuration(nodaemon in ("true", "1", "on", "yes"), managed)


def _parsed(text: str) -> dict[str, Mapping[str, str]]:
    import configparser  # loaded for supervisord only: it takes milliseconds

    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", " #"), strict=False)
    try:
        parser.read_string(tidy_lines(text))
    except configparser.Error:
        return {}
    return {
        name: {key: parser.get(name, key) for key in _KEYS if parser.has_option(name, key)}
        for name in parser.sections()[:_SECTIONS]
    }


_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?")
_WORDS = 64
"""Number of words of a command line that are compared."""


def _managed(name: str, section: Mapping[str, str], groups: Mapping[str, str]) -> Managed:
    try:
        signal = number_of(section.get("stopsignal", "TERM").strip()[:20])
    except BadRequest:
        signal = number_of("SIGTERM")
    written = section.get("stopwaitsecs", "").strip()
    wait_s = seconds(written) if _NUMBER.fullmatch(written) else DEFAULT_WAIT_S
    line = section.get("command", "")[:_COMMAND_LIMIT]
    try:
        command = tuple(shlex.split(line))
    except ValueError:
        command = tuple(line.split())
    as_group = section.get("stopasgroup", "false").strip().lower() in ("true", "1", "on", "yes")
    count = section.get("numprocs", "1").strip()
    processes = int(seconds(count)) if count.isdecimal() else 1
    return Managed(name, groups.get(name, name), command[:_WORDS], signal, wait_s, as_group, processes)


_VARIABLES = 200
_VALUE_LIMIT = 500
_VARIABLE = re.compile(r"%\(ENV_(\w{1,200})\)[sd]")
"""A variable of supervisord's own environment (Supervisor documentation, Environment Variables)."""


def variables(texts: Iterable[str]) -> re.Pattern[str] | None:
    """Returns a pattern for the names of the variables that a configuration uses, or None."""
    names = {name for text in texts for name in _VARIABLE.findall(text)}
    return re.compile("|".join(sorted(names)[:_VARIABLES])) if names else None


def configuration(case: Case, process: Process) -> Configuration | None:
    """Returns the configuration of a supervisord as read from the container."""
    for path in candidates(process):
        text = case.text(process, path)
        if text is not None:
            included = [
                other for (pid, name), other in case.facts.files.items() if pid == process.pid and name.startswith("+")
            ]
            texts = [
                _VARIABLE.sub(lambda found: case.environment(process, found[1])[:_VALUE_LIMIT] or found[0], one)
                for one in (text, *included)
            ]
            return parse(texts[0], tuple(texts[1:]))
    return None


def outcome(case: Case, process: Process, signal: int) -> Outcome:
    """Predicts how long supervisord takes to stop all its programs."""
    found = configuration(case, process)
    children = case.children(process)
    if found is None and children and not without_root([process]):
        unread = "Its configuration can't be read, so the time that it waits for its programs is unknown."
        return Outcome(Outlook.UNKNOWN, Confidence.GUESS, (unread,), graceful=Graceful.YES)
    managed = found.managed if found else ()
    why = [f"known: supervisord stops its programs, one group after another, on {name_of(signal)}, then exits."]
    likely = Confidence.LIKELY
    if found is None and children:
        likely = Confidence.GUESS
        why.append("Its configuration can't be read: its defaults are assumed.")
    least: dict[str, float] = {}
    most: dict[str, float] = {}
    graceful = Graceful.YES
    for child, of in assign(managed, children):
        answer = case.ask(child, of.stop_signal, of.as_group)
        waits = of.wait_s + _OVERHEAD_S
        low, high = 0.0, waits
        if answer.outlook is Outlook.EXITS:
            low, high = min(answer.takes_s, waits), min(answer.takes_s + 0.1, waits)
        elif answer.outlook is Outlook.TIMES_OUT:
            low, graceful = of.wait_s, Graceful.NO
        why.append(
            f"{described(child).capitalize()} receives {name_of(of.stop_signal)} and has {of.wait_s:g} s: "
            + {"exits": f"it exits after about {answer.takes_s:.1f} s.", "unknown": "whether it exits is unknown.",
               "times-out": "it does not exit and is killed."}[answer.outlook]
        )  # fmt: skip
        least[of.group] = max(least.get(of.group, 0.0), low)
        most[of.group] = max(most.get(of.group, 0.0), high)
    shortest, longest = sum(least.values()) + 0.3, sum(most.values()) + 0.5
    if len(children) < sum(one.count for one in managed) and case.age_s(process) < _STARTING_S:
        likely = Confidence.GUESS
        why.append(f"It is {case.age_s(process):.1f} s old: it may not have started all its programs yet.")
    grace_s = case.facts.grace_s
    why.append(f"In total that takes {shortest:.1f} to {longest:.1f} s.")
    signals = ("SIGTERM", "SIGINT", "SIGQUIT")
    if longest < grace_s:
        return Outcome(Outlook.EXITS, likely, tuple(why), longest, graceful, signals)
    if shortest >= grace_s:
        return Outcome(Outlook.TIMES_OUT, likely, tuple(why), shortest, graceful, signals)
    return Outcome(Outlook.UNKNOWN, Confidence.GUESS, tuple(why), shortest, graceful, signals)


def assign(managed: tuple[Managed, ...], children: tuple[Process, ...]) -> list[tuple[Process, Managed]]:
    """Matches each child to a configured program; a child without a match gets the default settings."""
    left = {one.name: one.count for one in managed}
    wanted = {one.name: [os.path.basename(word) for word in one.command] for one in managed}
    pairs: list[tuple[Process, Managed]] = []
    for child in children:
        have = {os.path.basename(word) for word in child.argv[:_WORDS]} | {catalogue.program_name(child)}
        match = {one.name: _match(wanted[one.name], have, len(child.argv)) for one in managed}
        free = [one for one in managed if left[one.name] > 0]
        best = max(free, key=lambda one: match[one.name], default=None)
        if best is None or (match[best.name] == 0 and len(free) < len(managed)):
            best = Managed(str(child.pid), str(child.pid), child.argv, number_of("SIGTERM"), DEFAULT_WAIT_S, False)
        else:
            left[best.name] -= 1
        pairs.append((child, best))
    return pairs


def _match(wanted: Sequence[str], have: Set[str], words: int) -> float:
    """Returns which share of a configured command is in a child's command line of so many words."""
    return sum(word in have for word in wanted) / max(len(wanted), words or 1) if wanted else 0.0
