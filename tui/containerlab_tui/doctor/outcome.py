"""How one process takes one signal: the kernel's rule first, then what is known of the program. Pure."""

import re
from dataclasses import replace

from containerlab_probes.records import Delivery, Effect, Forecast, Process
from containerlab_probes.signals.names import name_of
from containerlab_tui.doctor.case import Case, described, ends_by_itself, lowest
from containerlab_tui.doctor.programs import catalogue, daemons, inits, options, supervisord
from containerlab_tui.doctor.readers import scripts, shells
from containerlab_tui.model.diagnosis import Confidence, Graceful, Outcome, Outlook

STARTING_S = 3.0
"""A process younger than this may not have installed its handlers yet."""
_DEPTH = 8


def outcome_of(case: Case, process: Process, signal: int, group: bool = False) -> Outcome:
    """What becomes of a process that gets a signal; `group`: its children get it as well."""
    told = case.forecast(process, signal)
    if case.depth > _DEPTH:
        return Outcome(Outlook.UNKNOWN, Confidence.GUESS, ("The chain of processes is too long to follow.",))
    match told.delivery:
        case Delivery.DEFAULT if told.effect in (Effect.TERMINATES, Effect.DUMPS_CORE):
            return _ends_by_default(case, process, signal, told)
        case Delivery.PENDING if signal in process.dispositions.caught and process.state not in ("T", "t"):
            return _held_for_now(case, process, signal, told, group)
        case Delivery.DEFAULT | Delivery.IGNORED | Delivery.DROPPED | Delivery.PENDING:
            return _stays(case, process, signal, told)
        case Delivery.DEFERRED:
            return shells.deferred(case, process, signal, told, group)
        case Delivery.UNKNOWN if _only_the_kernel_decides(process, signal):
            why = f"{name_of(signal)} may or may not end {described(process)}: {told.evidence}."
            return Outcome(Outlook.UNKNOWN, Confidence.GUESS, (why,), graceful=Graceful.NO)
        case Delivery.UNKNOWN if catalogue.is_shell(process) and shells.put_off(case, process, signal):
            return shells.deferred(case, process, signal, told, group)
        case Delivery.UNKNOWN:
            reached = _reached(case, process, signal, told, group)
            return replace(reached, confidence=lowest(reached.confidence, Confidence.LIKELY))
        case _:
            return _reached(case, process, signal, told, group)


def _only_the_kernel_decides(process: Process, signal: int) -> bool:
    """No handler, nothing unread and no debugger: kernels differ in what they do, and this one was not asked."""
    found = process.dispositions
    return process.state not in ("T", "t") and signal not in found.caught | found.unsure


def _held_for_now(case: Case, process: Process, signal: int, told: Forecast, group: bool) -> Outcome:
    """Blocked, but there is a handler: it may be blocked only while the program waits, as mosquitto does."""
    outlasts = [one for one in case.children(process) if shells.outlasts(case, one)]
    if catalogue.is_shell(process) and outlasts and not group:
        stays = _stays(case, process, signal, told)
        why = f"The shell holds it back until {described(outlasts[0])} has ended, which gets no signal."
        return replace(stays, confidence=Confidence.LIKELY, why=(*stays.why, why))
    texts = () if catalogue.is_shell(process) else scripts.texts_of(case, process)
    if texts and not any(re.search(r"sigmask|sigprocmask", text, re.IGNORECASE) for text in texts):
        stays = _stays(case, process, signal, told)
        why = "Its text has a handler for it at most, and nothing that would unblock it."
        return replace(stays, confidence=Confidence.LIKELY, why=(*stays.why, why))
    reached = _reached(case, process, signal, told, group)
    why = "It has a handler for it all the same: a program may block a signal for a time only."
    return replace(reached, confidence=lowest(reached.confidence, Confidence.LIKELY), why=(*reached.why, why))


def _ends_by_default(case: Case, process: Process, signal: int, told: Forecast) -> Outcome:
    program = catalogue.recognise(process)
    graceful = _documented(program, signal)
    why = f"{name_of(signal)} ends {described(process)}: {told.evidence}."
    return Outcome(
        Outlook.EXITS,
        Confidence.CERTAIN,
        (why,),
        0.0,
        Graceful.NO if graceful is Graceful.YES and program and program.handles else graceful,
        program.graceful if program else (),
    )


def _stays(case: Case, process: Process, signal: int, told: Forecast) -> Outcome:
    """The signal changes nothing; the process may still come to its end by itself in time."""
    name, program = name_of(signal), catalogue.recognise(process)
    why = [f"{name} does nothing to {described(process)}: {told.evidence}."]
    confidence = Confidence.CERTAIN
    starting = _still_starting(case, process, program, name)
    if told.delivery is Delivery.DROPPED and starting:
        confidence = Confidence.LIKELY
        why.append(starting)
    if told.delivery is Delivery.PENDING and process.state not in ("T", "t"):
        confidence = Confidence.LIKELY
        why.append("The program may look for it from time to time (sigpending, sigtimedwait), which isn't seen.")
    by_itself = ends_by_itself(case, process)
    if by_itself is None:
        by_itself = shells.ends_soon(case, process)
    grace_s = case.facts.grace_s
    if by_itself is not None and by_itself < grace_s:
        why.append(f"It comes to its own end in about {by_itself:.0f} s, within the grace period.")
        return Outcome(Outlook.EXITS, Confidence.LIKELY, tuple(why), max(0.0, by_itself), Graceful.UNKNOWN)
    later = shells.what_comes_next(case, process)
    if later or _may_come_to_its_end(case, process):
        why.append(later or "Nothing in its text runs for ever: it may come to its own end.")
        confidence = Confidence.LIKELY
    return Outcome(
        Outlook.TIMES_OUT,
        confidence,
        tuple(why),
        graceful=Graceful.NO,
        graceful_signals=program.graceful if program else (),
    )


_FOR_EVER = re.compile(
    r"\bwhile *\(? *(?:True|true|1|:)(?![\w.])|\bfor *\( *; *;|\bloop *(?:do|\{)|\buntil +false\b|"
    r"_forever\b|\bpause\b|\bsigwait|\bsigsuspend|\blisten\b|\baccept\b|\bserve|\bselect\b|\bepoll|\bjoin\b|"
    r"\bsetInterval\b|\bwait\b|\bstdin\b|\binput\b|\brun\("
)
_SLEEPS = re.compile(r"\bsleep\b[ (]{0,3}(\d{1,12})")


def _may_come_to_its_end(case: Case, process: Process) -> bool:
    """A program whose text can be read and shows neither a loop without end, nor a wait, nor a sleep that outlasts
    the grace period: a batch job, perhaps about to be done."""
    texts = () if catalogue.is_shell(process) else scripts.texts_of(case, process)
    needed_s = case.age_s(process) + case.facts.grace_s
    return bool(texts) and not any(
        _FOR_EVER.search(text) or any(int(seconds) > needed_s for seconds in _SLEEPS.findall(text)) for text in texts
    )


def _still_starting(case: Case, process: Process, program: catalogue.Program | None, signal: str) -> str:
    if program and signal in program.handles:
        return f"{program.name} handles {signal} once it has started: it may still be starting."
    texts = () if catalogue.is_shell(process) else scripts.texts_of(case, process)
    word = rf"\b(?:SIG)?{re.escape(signal.removeprefix('SIG'))}\b"
    if any(re.search(word, text) for text in texts):
        return f"Its text speaks of {signal}: it may yet set a handler."
    if case.age_s(process) < STARTING_S and not _handles_nothing(case, process):
        return f"It is {case.age_s(process):.1f} s old and may still be starting."
    return ""


def _handles_nothing(case: Case, process: Process) -> bool:
    """However young it is, it will not come to handle a signal."""
    if catalogue.is_shell(process):
        text = shells.source(case, process)
        return bool(text) and "trap" not in str(text) and bool(case.children(process))
    return catalogue.program_name(process) in ("sleep", "tail", "cat", "true", "yes")


def _documented(program: catalogue.Program | None, signal: int) -> Graceful:
    if program is None:
        return Graceful.UNKNOWN
    reaction = program.reaction(name_of(signal))
    if reaction and reaction.does in ("graceful", "drains"):
        return Graceful.YES
    if reaction and reaction.does in ("fast", "reloads", "re-executes", "ignores"):
        return Graceful.NO
    return Graceful.YES if name_of(signal) in program.graceful else Graceful.UNKNOWN


def _reached(case: Case, process: Process, signal: int, told: Forecast, group: bool) -> Outcome:
    """The signal reaches code of the program's own: what is known of the program decides."""
    heard = f"{name_of(signal)} reaches {described(process)}: {told.evidence}."
    if catalogue.is_shell(process):
        return _with(heard, shells.handled(case, process, signal, group))
    prompt = scripts.at_prompt(case, process, signal)
    if prompt is not None:
        return _with(heard, prompt)
    program = catalogue.recognise(process)
    reaction = program.reaction(name_of(signal)) if program else None
    if program and reaction and program.name == "supervisord" and reaction.does in catalogue.UNCLEAR:
        return _with(heard, supervisord.outcome(case, process, signal))
    if program and reaction and program.name == "s6-svscan" and reaction.does in catalogue.UNCLEAR:
        return _with(heard, inits.s6(case, process, signal))
    if program and reaction:
        return _with(heard, _known(case, process, signal, program, reaction))
    outcome = scripts.outcome(case, process, signal, told.delivery, program)
    if outcome.outlook is Outlook.UNKNOWN:
        customs = (
            daemons.of_go(case, process, signal)
            if process.exe in case.facts.go_programs
            else daemons.outcome(case, process, signal, told.delivery)
        )
        outcome = customs or outcome
    return _with(heard, _may_wait(case, process, outcome))


_WAITS = re.compile(r"\.(?:close|shutdown|Shutdown|stop|drain|server_close|wait_closed|cleanup)\s*\(")
"""Calls by which a server lets its clients finish."""


def _may_wait(case: Case, process: Process, outcome: Outcome) -> Outcome:
    """Of a program that isn't known and would end: while clients are connected that is less sure."""
    if not case.facts.clients or outcome.outlook is not Outlook.EXITS:
        return outcome
    why = (*outcome.why, f"{case.facts.clients} clients are connected: it may wait for them.")
    waits = any(_WAITS.search(text) for text in scripts.texts_of(case, process))
    outlook = Outlook.UNKNOWN if waits else outcome.outlook
    return replace(outcome, outlook=outlook, confidence=Confidence.GUESS, why=why)


def _with(heard: str, outcome: Outcome) -> Outcome:
    return replace(outcome, why=(heard, *outcome.why))


def _known(
    case: Case, process: Process, signal: int, program: catalogue.Program, reaction: catalogue.Reaction
) -> Outcome:
    """By its entry in programs.toml."""
    reaction = options.configured(case, process, signal, program, reaction)
    if reaction.does in catalogue.FORWARDS:
        return inits.forwarded(case, process, signal, program, reaction)
    name = name_of(signal)
    said = f"known: {program.name} {_WORDS[reaction.does].format(signal=name)} ({program.source})"
    why: tuple[str, ...] = (f"{said}{f'; {reaction.note}' if reaction.note else ''}.",)
    confidence = Confidence.CERTAIN if reaction.sure else Confidence.LIKELY
    graceful = _documented(program, signal)
    if reaction.does in catalogue.RAISES and process.namespace_init:
        survives = "As PID 1 it survives that: the kernel drops what it raises at itself."
        return Outcome(Outlook.TIMES_OUT, confidence, (*why, survives), graceful=Graceful.NO)
    if reaction.does in catalogue.STAYS:
        return Outcome(Outlook.TIMES_OUT, confidence, why, graceful=Graceful.NO, graceful_signals=program.graceful)
    if reaction.does in catalogue.UNCLEAR:
        return Outcome(Outlook.UNKNOWN, Confidence.GUESS, why, graceful=graceful, graceful_signals=program.graceful)
    others = [one for one in case.children(process) if one.exe != process.exe]
    if others and program.kind in ("server", "database"):
        why = (*why, f"{described(others[0]).capitalize()} is its child too: it may wait for that one.")
        confidence = lowest(confidence, Confidence.LIKELY)
    ends = Outcome(Outlook.EXITS, confidence, why, reaction.takes_s, graceful, program.graceful)
    return _with_clients(case, reaction, ends) if case.facts.clients else ends


def _with_clients(case: Case, reaction: catalogue.Reaction, ends: Outcome) -> Outcome:
    """Of a program in programs.toml that would end, while somebody is connected."""
    connected = f"{case.facts.clients} clients are connected"
    if reaction.holds:
        why = (*ends.why, f"{connected}, and it stays until they have gone.")
        return replace(ends, outlook=Outlook.TIMES_OUT, confidence=Confidence.LIKELY, why=why)
    if reaction.busy_s is not None and reaction.busy_s * 1.1 < case.facts.grace_s:
        why = (*ends.why, f"{connected}: it gives them {reaction.busy_s:g} s at most.")
        return replace(ends, confidence=Confidence.LIKELY, why=why, takes_s=reaction.busy_s)
    if reaction.does == "drains" or reaction.busy_s is not None:
        why = (*ends.why, f"{connected}: it waits for their requests.")
        return replace(ends, outlook=Outlook.UNKNOWN, confidence=Confidence.GUESS, why=why)
    return replace(ends, confidence=lowest(ends.confidence, Confidence.LIKELY))


_WORDS = {
    "graceful": "ends its work and then exits on {signal}",
    "fast": "exits on {signal} at once and cuts off work in hand",
    "ends": "exits on {signal}",
    "drains": "takes no more work on {signal} and exits when its clients have gone",
    "reloads": "reloads on {signal} and stays",
    "re-executes": "re-executes itself on {signal} and stays",
    "ignores": "stays on {signal}",
    "raises": "cleans up on {signal} and raises it again",
    "varies": "decides by its configuration what it does on {signal}",
}
