"""Predicts what inits and wrappers do: they forward signals to a child."""

import re
from dataclasses import replace

from containerlab_probes.errors import BadRequest
from containerlab_probes.records import Process
from containerlab_probes.signals.forecast import without_root
from containerlab_probes.signals.names import name_of, number_of
from containerlab_tui.doctor.bounds import seconds, tidy
from containerlab_tui.doctor.case import Case, described, lowest
from containerlab_tui.doctor.programs import catalogue
from containerlab_tui.model.diagnosis import Confidence, Graceful, Outcome, Outlook

_USUAL_S = 0.5
"""The default of `takes_s` in programs.toml."""


def main_child(case: Case, process: Process) -> Process | None:
    """Returns an init's or wrapper's main child: the oldest; younger ones are orphans or helpers."""
    return next(iter(case.children(process)), None)


def forwarded(
    case: Case, process: Process, signal: int, program: catalogue.Program, reaction: catalogue.Reaction
) -> Outcome:
    """Returns the outcome for a program that forwards the signal and exits when its child does."""
    child = main_child(case, process)
    if child is None and program.kind == "supervisor":
        down = f"known: {program.name} exits on {name_of(signal)}; it has no service to wait for ({program.source})."
        return Outcome(Outlook.EXITS, Confidence.LIKELY, (down,), 0.3, Graceful.YES)
    if child is None:
        return Outcome(Outlook.UNKNOWN, Confidence.GUESS, (f"{program.name} has no child to signal.",))
    passed, group, kills_after_s = _options(case, process, signal, program, reaction)
    name = name_of(passed) if passed else "nothing"
    to = f"the process group of {described(child)}" if group else described(child)
    said = f"known: {program.name} forwards {name_of(signal)} to {to} as {name} ({program.source})."
    if not passed:
        return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (said,), graceful=Graceful.NO)
    outcome = case.ask(child, passed, group)
    if program.name == "s6-supervise":
        outcome = _finish(case, process, outcome)
    confidence = outcome.confidence if reaction.sure else lowest(outcome.confidence, Confidence.LIKELY)
    why = (said, *outcome.why)
    if reaction.takes_s > outcome.takes_s and reaction.takes_s > _USUAL_S:
        outcome = replace(outcome, takes_s=reaction.takes_s)
    if kills_after_s is not None and outcome.takes_s <= kills_after_s + 0.2 and outcome.outlook is Outlook.EXITS:
        return replace(outcome, confidence=confidence, why=why)
    ends = outcome.outlook is Outlook.EXITS and not (kills_after_s is not None and outcome.takes_s > kills_after_s)
    if ends or kills_after_s is None:
        return replace(outcome, confidence=confidence, why=why)
    killed = f"{program.name} sends SIGKILL after {kills_after_s:g} s."
    return replace(
        outcome, outlook=Outlook.EXITS, confidence=Confidence.LIKELY, why=(*why, killed), takes_s=kills_after_s + 0.2,
        graceful=Graceful.NO if outcome.outlook is Outlook.TIMES_OUT else outcome.graceful,
    )  # fmt: skip


def s6(case: Case, process: Process, signal: int) -> Outcome:
    """Returns the outcome for s6-svscan, which exits after its s6-supervise processes and their services."""
    directory = next((word for word in process.argv[1:] if not word.startswith("-")), ".")
    script = f"{directory}/.s6-svscan/{name_of(signal)}"
    known = "known: s6-svscan"
    if case.text(process, script) is not None:
        runs = f"{known} runs {script}, which shuts down all services."
        return Outcome(Outlook.EXITS, Confidence.LIKELY, (runs,), 3.5, Graceful.YES, ("SIGTERM",))
    why = [f"{known} tells each s6-supervise to stop its service, waits for them, then exits."]
    takes_s, outlook, confidence = 0.3, Outlook.EXITS, Confidence.LIKELY
    for supervisor in case.children(process):
        answer = case.ask(supervisor, number_of("SIGTERM"))
        why += answer.why
        takes_s, confidence = max(takes_s, answer.takes_s), lowest(confidence, answer.confidence)
        if answer.outlook is not Outlook.EXITS and outlook is not Outlook.TIMES_OUT:
            outlook = answer.outlook
    graceful = Graceful.NO if outlook is Outlook.TIMES_OUT else Graceful.YES
    return Outcome(outlook, confidence, tuple(why), takes_s, graceful, ("SIGTERM",))


def s6_files(process: Process) -> tuple[str, ...]:
    """Returns the paths of scripts that s6-svscan runs on signals."""
    directory = next((word for word in process.argv[1:] if not word.startswith("-")), ".")
    return tuple(f"{directory}/.s6-svscan/{name}" for name in ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"))


def _options(
    case: Case, process: Process, signal: int, program: catalogue.Program, reaction: catalogue.Reaction
) -> tuple[int, bool, float | None]:
    """Returns the forwarded signal (0: none), whether a whole group receives it, and when SIGKILL follows."""
    own = _own_options(process)
    group = reaction.to == "group"
    match program.name:
        case "tini":
            group = any("g" in word[1:] for word in own if re.fullmatch(r"-[a-zA-Z]+", word))
            group = group or case.environment(process, "TINI_KILL_PROCESS_GROUP") not in ("", "0")
        case "dumb-init":
            single = any(word in ("-c", "--single-child", "-cv", "-vc") for word in own)
            group = not (single or case.environment(process, "DUMB_INIT_SETSID") == "0")
            return _rewritten(own, signal), group, None
        case "s6-supervise":
            return _down_signal(case, process, signal), group, _timeout_kill(case, process)
        case "timeout":
            group = "--foreground" not in own
            return signal, group, _kill_after(own)
    return signal, group, reaction.kills_after_s


_FINISH_S = 5.0
"""Default time limit of a finish script under s6-supervise (timeout-finish)."""


def _finish(case: Case, process: Process, outcome: Outcome) -> Outcome:
    """Adds the time of the service's finish script, which s6-supervise also waits for."""
    text = case.text(process, "finish")
    if text is None and without_root([process]):
        why = (
            *outcome.why,
            "Its service directory can't be read: no down-signal, timeout or finish script is assumed.",
        )
        return replace(outcome, confidence=Confidence.GUESS, why=why)
    if text is None or outcome.outlook is not Outlook.EXITS:
        return outcome
    slept = sum(seconds(found) for found in re.findall(r"\bsleep\s+(\d+(?:\.\d+)?)\b", tidy(text)))
    why = (*outcome.why, "Then the service's finish script runs.")
    takes_s = outcome.takes_s + min(slept, _FINISH_S)
    return replace(outcome, confidence=Confidence.GUESS, why=why, takes_s=takes_s)


def _down_signal(case: Case, process: Process, signal: int) -> int:
    """Returns the signal that s6-supervise sends to its service (s6 documentation, Service directories)."""
    text = (case.text(process, "down-signal") or "").strip()
    try:
        return number_of(text[:20]) if text else signal
    except BadRequest:
        return signal


def _timeout_kill(case: Case, process: Process) -> float | None:
    """Returns after how many seconds s6-supervise sends SIGKILL; the file has milliseconds, 0 for never."""
    text = (case.text(process, "timeout-kill") or "").strip()
    return seconds(text) / 1000 if text.isdecimal() and seconds(text) else None


def _own_options(process: Process) -> list[str]:
    """Returns the words of a wrapper's command line before the command that it runs."""
    own: list[str] = []
    words = list(process.argv[1:100])
    while words:
        word = words.pop(0)
        if word == "--" or not word.startswith("-"):
            break
        own.append(word)
        if word in ("-r", "--rewrite", "-k", "--kill-after", "-s", "--signal", "-p", "-e") and words:
            own.append(words.pop(0))
    return own


def _rewritten(own: list[str], signal: int) -> int:
    """Applies dumb-init's --rewrite FROM:TO; TO is 0 for no signal."""
    text = " ".join(own)
    for found in re.finditer(r"(?:-r|--rewrite)[ =]?(\d{1,3}):(\d{1,3})\b", text):
        if int(found[1]) == signal:
            return int(found[2])
    return signal


def _kill_after(own: list[str]) -> float | None:
    found = re.search(r"(?:-k ?|--kill-after[ =])(\d+(?:\.\d+)?)([smhd]?)", " ".join(own))
    return seconds(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]] if found else None
