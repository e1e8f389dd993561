"""Predicts the outcome of one signal for one process: the kernel's rules first, then what is known of the program."""

import re
from dataclasses import replace

from containerlab_probes.records import Delivery, Effect, Forecast, Process
from containerlab_probes.signals.names import name_of
from containerlab_tui.doctor.case import Case, connected, described, lowest, seconds_left
from containerlab_tui.doctor.programs import catalogue, daemons, inits, options, supervisord
from containerlab_tui.doctor.readers import scripts, shells
from containerlab_tui.model.diagnosis import Confidence, Graceful, Outcome, Outlook

STARTING_S = 3.0
"""A process younger than this may not have installed its handlers yet."""
_DEPTH = 8


def outcome_of(case: Case, process: Process, signal: int, group: bool = False) -> Outcome:
    """Returns the outcome of a signal for a process; `group`: its children receive it too.

    Without root it is never certain: a thread that awaits the signal can't be seen.
    """
    found = _outcome(case, process, signal, group)
    if signal in process.dispositions.assumed | process.dispositions.unclear:
        return replace(found, confidence=lowest(found.confidence, Confidence.LIKELY))
    return found


def _outcome(case: Case, process: Process, signal: int, group: bool) -> Outcome:
    forecast = case.forecast(process, signal)
    if case.depth > _DEPTH:
        return Outcome(Outlook.UNKNOWN, Confidence.GUESS, ("The process chain is too long to follow.",))
    match forecast.delivery:
        case Delivery.DEFAULT if forecast.effect in (Effect.TERMINATES, Effect.DUMPS_CORE):
            return _exits_by_default(case, process, signal, forecast)
        case Delivery.PENDING if signal in process.dispositions.caught and process.state not in ("T", "t"):
            return _blocked_with_handler(case, process, signal, forecast, group)
        case Delivery.DEFAULT | Delivery.IGNORED | Delivery.DROPPED | Delivery.PENDING:
            return _stays(case, process, signal, forecast)
        case Delivery.DEFERRED:
            return shells.deferred(case, process, signal, forecast, group)
        case Delivery.UNKNOWN if _only_the_kernel_decides(process, signal):
            why = f"{name_of(signal)} may or may not terminate {described(process)}: {forecast.evidence}."
            return Outcome(Outlook.UNKNOWN, Confidence.GUESS, (why,), graceful=Graceful.NO)
        case Delivery.UNKNOWN if catalogue.is_shell(process) and shells.is_deferred(case, process, signal):
            return shells.deferred(case, process, signal, forecast, group)
        case Delivery.UNKNOWN if awaits_nothing(case, process, signal):
            return _stays(case, process, signal, forecast)
        case Delivery.UNKNOWN:
            return _reached(case, process, signal, forecast, group)
        case _:
            return _reached(case, process, signal, forecast, group)


def _only_the_kernel_decides(process: Process, signal: int) -> bool:
    """Returns whether the result depends only on the kernel: kernels differ here, and this one was not tested."""
    found = process.dispositions
    return process.state not in ("T", "t") and signal not in found.caught | found.unclear


_AWAITS = re.compile(r"sigwait|sigtimedwait|sigpending|signalfd|set_wakeup_fd", re.IGNORECASE)


def awaits_nothing(case: Case, process: Process, signal: int) -> bool:
    """Returns whether a signal that all threads block stays pending, because the program's source never awaits one."""
    if signal not in process.dispositions.blocked or signal in process.dispositions.caught:
        return False
    texts = scripts.texts_of(case, process)
    return bool(texts) and not any(_AWAITS.search(text) for text in texts)


def _blocked_with_handler(case: Case, process: Process, signal: int, forecast: Forecast, group: bool) -> Outcome:
    """Handles a blocked signal that has a handler: mosquitto, for one, blocks it only while it waits."""
    lasting = [one for one in case.children(process) if shells.outlasts_grace_period(case, one)]
    if catalogue.is_shell(process) and lasting and not group:
        stays = _stays(case, process, signal, forecast)
        why = f"The shell blocks it until {described(lasting[0])} exits, which receives no signal."
        return replace(stays, confidence=Confidence.LIKELY, why=(*stays.why, why))
    texts = () if catalogue.is_shell(process) else scripts.texts_of(case, process)
    if texts and not any(re.search(r"sigmask|sigprocmask", text, re.IGNORECASE) for text in texts):
        stays = _stays(case, process, signal, forecast)
        why = "Its source never unblocks the signal."
        return replace(stays, confidence=Confidence.LIKELY, why=(*stays.why, why))
    reached = _reached(case, process, signal, forecast, group)
    why = "It also has a handler: a program may block a signal for a short time only."
    return replace(reached, confidence=lowest(reached.confidence, Confidence.LIKELY), why=(*reached.why, why))


def _exits_by_default(case: Case, process: Process, signal: int, forecast: Forecast) -> Outcome:
    program = catalogue.recognise(process)
    graceful = _documented(program, signal)
    why = f"{name_of(signal)} terminates {described(process)}: {forecast.evidence}."
    return Outcome(
        Outlook.EXITS,
        Confidence.CERTAIN,
        (why,),
        0.0,
        Graceful.NO if graceful is Graceful.YES and program and program.handles else graceful,
        program.graceful if program else (),
    )


def _stays(case: Case, process: Process, signal: int, forecast: Forecast) -> Outcome:
    """Handles a signal without effect; the process may still exit on its own in time."""
    name, program = name_of(signal), catalogue.recognise(process)
    why = [f"{name} has no effect on {described(process)}: {forecast.evidence}."]
    confidence = Confidence.CERTAIN
    starting = _still_starting(case, process, program, name)
    if forecast.delivery is Delivery.DROPPED and starting:
        confidence = Confidence.LIKELY
        why.append(starting)
    if forecast.delivery is Delivery.PENDING and process.state not in ("T", "t"):
        confidence = Confidence.LIKELY
        why.append("The program may poll for it (sigpending, sigtimedwait), which can't be seen.")
    left_s = seconds_left(case, process)
    if left_s is None:
        left_s = shells.seconds_until_end(case, process)
    grace_s = case.facts.grace_s
    if left_s is not None and left_s < grace_s:
        why.append(f"It exits on its own in about {left_s:.0f} s, within the grace period.")
        return Outcome(Outlook.EXITS, Confidence.LIKELY, tuple(why), max(0.0, left_s), Graceful.UNKNOWN)
    later = shells.why_it_may_change(case, process)
    if later or _may_finish(case, process):
        why.append(later or "Its source has no endless loop, so it may exit on its own.")
        confidence = Confidence.LIKELY
    return Outcome(
        Outlook.TIMES_OUT,
        confidence,
        tuple(why),
        graceful=Graceful.NO,
        graceful_signals=program.graceful if program else (),
    )


_ENDLESS = re.compile(
    r"\bwhile *\(? *(?:True|true|1|:)(?![\w.])|\bfor *\( *; *;|\bloop *(?:do|\{)|\buntil +false\b|"
    r"_forever\b|\bpause\b|\bsigwait|\bsigsuspend|\blisten\b|\baccept\b|\bserve|\bselect\b|\bepoll|\bjoin\b|"
    r"\bsetInterval\b|\bwait\b|\bstdin\b|\binput\b|\brun\("
)
_SLEEPS = re.compile(r"\bsleep\b[ (]{0,3}(\d{1,12})")


def _may_finish(case: Case, process: Process) -> bool:
    """Returns whether a program looks like a batch job: no endless loop, no wait, no sleep past the grace period."""
    texts = () if catalogue.is_shell(process) else scripts.texts_of(case, process)
    needed_s = case.age_s(process) + case.facts.grace_s
    return bool(texts) and not any(
        _ENDLESS.search(text) or any(int(seconds) > needed_s for seconds in _SLEEPS.findall(text)) for text in texts
    )


def _still_starting(case: Case, process: Process, program: catalogue.Program | None, signal: str) -> str:
    if program and signal in program.handles:
        return f"{program.name} handles {signal} after start-up; it may still be starting."
    texts = () if catalogue.is_shell(process) else scripts.texts_of(case, process)
    word = rf"\b(?:SIG)?{re.escape(signal.removeprefix('SIG'))}\b"
    if any(re.search(word, text) for text in texts):
        return f"Its source mentions {signal}, so it may set a handler later."
    if case.age_s(process) < STARTING_S and not _never_handles(case, process):
        return f"It is {case.age_s(process):.1f} s old and may still be starting."
    return ""


def _never_handles(case: Case, process: Process) -> bool:
    """Returns whether a process will not install a handler, however young it is."""
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


def _reached(case: Case, process: Process, signal: int, forecast: Forecast, group: bool) -> Outcome:
    """Handles a signal that reaches the program's own code: what is known of the program decides."""
    received = f"{name_of(signal)} reaches {described(process)}: {forecast.evidence}."
    if catalogue.is_shell(process):
        return _with(received, shells.handled(case, process, signal, group))
    prompt = scripts.at_prompt(case, process, signal)
    if prompt is not None:
        return _with(received, prompt)
    program = catalogue.recognise(process)
    reaction = program.reaction(name_of(signal)) if program else None
    if program and reaction and program.name == "supervisord" and reaction.does in catalogue.UNCLEAR:
        return _with(received, supervisord.outcome(case, process, signal))
    if program and reaction and program.name == "s6-svscan" and reaction.does in catalogue.UNCLEAR:
        return _with(received, inits.s6(case, process, signal))
    if program and reaction:
        return _with(received, _known(case, process, signal, program, reaction))
    outcome = scripts.outcome(case, process, signal, forecast.delivery, program)
    if outcome.outlook is Outlook.UNKNOWN:
        usual = (
            daemons.of_go(case, process, signal)
            if process.exe in case.facts.go_programs
            else daemons.outcome(case, process, signal, forecast.delivery)
        )
        outcome = usual or outcome
    return _with(received, _may_wait(case, process, outcome))


_WAITS = re.compile(r"\.(?:close|shutdown|Shutdown|stop|drain|server_close|wait_closed|cleanup)\s*\(")
"""Calls by which a server lets its clients finish."""


def _may_wait(case: Case, process: Process, outcome: Outcome) -> Outcome:
    """Lowers the confidence for a program that isn't known to exit while clients are connected."""
    if not case.facts.clients or outcome.outlook is not Outlook.EXITS:
        return outcome
    why = (*outcome.why, f"{connected(case.facts.clients).capitalize()}; it may wait for them.")
    waits = any(_WAITS.search(text) for text in scripts.texts_of(case, process))
    outlook = Outlook.UNKNOWN if waits else outcome.outlook
    return replace(outcome, outlook=outlook, confidence=Confidence.GUESS, why=why)


def _with(received: str, outcome: Outcome) -> Outcome:
    return replace(outcome, why=(received, *outcome.why))


def _known(
    case: Case, process: Process, signal: int, program: catalogue.Program, reaction: catalogue.Reaction
) -> Outcome:
    """Returns the outcome that programs.toml gives."""
    reaction = options.configured(case, process, signal, program, reaction)
    if reaction.does in catalogue.FORWARDS:
        return inits.forwarded(case, process, signal, program, reaction)
    name = name_of(signal)
    said = f"known: {program.name} {_WORDS[reaction.does].format(signal=name)} ({program.source})"
    why: tuple[str, ...] = (f"{said}{f'; {reaction.note}' if reaction.note else ''}.",)
    confidence = Confidence.CERTAIN if reaction.sure else Confidence.LIKELY
    graceful = _documented(program, signal)
    if reaction.does in catalogue.RAISES and process.namespace_init:
        survives = "PID 1 survives that: the kernel discards the signal that it raises at itself."
        return Outcome(Outlook.TIMES_OUT, confidence, (*why, survives), graceful=Graceful.NO)
    if reaction.does in catalogue.STAYS:
        return Outcome(Outlook.TIMES_OUT, confidence, why, graceful=Graceful.NO, graceful_signals=program.graceful)
    if reaction.does in catalogue.UNCLEAR:
        return Outcome(Outlook.UNKNOWN, Confidence.GUESS, why, graceful=graceful, graceful_signals=program.graceful)
    others = [one for one in case.children(process) if not catalogue.is_same_program(one, process)]
    if others and program.kind in ("server", "database"):
        why = (*why, f"It may also wait for its child, {described(others[0])}.")
        confidence = lowest(confidence, Confidence.LIKELY)
    ends = Outcome(Outlook.EXITS, confidence, why, reaction.takes_s, graceful, program.graceful)
    return _with_clients(case, reaction, ends) if case.facts.clients else ends


def _with_clients(case: Case, reaction: catalogue.Reaction, ends: Outcome) -> Outcome:
    """Adjusts the outcome of a program in programs.toml while clients are connected."""
    clients = connected(case.facts.clients).capitalize()
    if reaction.holds:
        why = (*ends.why, f"{clients}; it exits only after they disconnect.")
        return replace(ends, outlook=Outlook.TIMES_OUT, confidence=Confidence.LIKELY, why=why)
    if reaction.busy_s is not None and reaction.busy_s * 1.1 < case.facts.grace_s:
        why = (*ends.why, f"{clients}; it gives them at most {reaction.busy_s:g} s.")
        return replace(ends, confidence=Confidence.LIKELY, why=why, takes_s=reaction.busy_s)
    if reaction.does == "drains" or reaction.busy_s is not None:
        why = (*ends.why, f"{clients}; it waits for their requests.")
        return replace(ends, outlook=Outlook.UNKNOWN, confidence=Confidence.GUESS, why=why)
    return replace(ends, confidence=lowest(ends.confidence, Confidence.LIKELY))


_WORDS = {
    "graceful": "shuts down cleanly on {signal}",
    "fast": "exits at once on {signal} and drops in-flight work",
    "ends": "exits on {signal}",
    "drains": "stops accepting work on {signal} and exits after its clients disconnect",
    "reloads": "reloads on {signal} and keeps running",
    "re-executes": "re-executes itself on {signal} and keeps running",
    "ignores": "keeps running on {signal}",
    "raises": "cleans up on {signal} and raises the signal again",
    "varies": "does on {signal} what its configuration says",
}
