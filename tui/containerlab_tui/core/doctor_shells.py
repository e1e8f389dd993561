"""What a shell does with a signal that it traps: when the trap runs, and whether the script ends with it. Pure.

The script is read as text, by patterns: enough for the forms that entry points have, and never more than `likely`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from containerlab_probes.errors import BadRequest
from containerlab_probes.records import Forecast, Process
from containerlab_probes.signals import name_of, number_of
from containerlab_tui.core import programs
from containerlab_tui.core.doctor_case import Case, described, ends_by_itself, lowest
from containerlab_tui.core.doctor_facts import Confidence, Graceful, Outcome, Outlook

_TRAP = re.compile(
    r"""(?<![\w-])trap\s+(?:--\s+)?(?P<body>'[^']*'|"(?:[^"\\]|\\.)*"|-|[^\s;&|'"-][^\s;&|'"]*)"""
    r"""[ \t]+(?P<signals>[\w+]+(?:[ \t]+[\w+]+)*)""",
)
_LOOP = re.compile(r"(?:^|[;&|(\n]|\bdo\b|\bthen\b)\s*(while|until|for)\b([^;\n]*)")
_EXIT = re.compile(r"(?:^|[;&|{(\n]|\bthen\b|\bdo\b)\s*exit\b")
_EXEC = re.compile(r"(?:^|[;&|{(]|\bthen\b|\bdo\b|\belse\b)\s*exec\s+(?![<>0-9&{])", re.MULTILINE)
_WAIT = re.compile(r"(?:^|[;&|{(\n!]|\bdo\b|\bthen\b)\s*wait\b")
_KILL = re.compile(r"(?:^|[;&|{(\n]|\bthen\b|\bdo\b)\s*kill\b([^;&|\n]*)")


@dataclass(frozen=True, slots=True)
class Trap:
    """One trap of a script, functions that it calls put in."""

    body: str
    signal: str


def source(case: Case, process: Process) -> str | None:
    """The text of the script that a shell runs; None where it can't be had, empty where it reads commands."""
    script = programs.script_of(process)
    if script is None:
        return None
    match script.kind:
        case "code":
            return script.text
        case "file":
            return case.text(process, script.text)
        case _:
            return ""


def trap_for(text: str, signal: int) -> Trap | None:
    """The last trap that a script sets for a signal."""
    text = without_comments(text)
    found: Trap | None = None
    for each in _TRAP.finditer(text):
        for word in each["signals"].split():
            if _number(word) == signal:
                body = each["body"]
                body = body[1:-1] if body[:1] in "'\"" else body
                found = Trap(_with_functions(text, body), word)
    return None if found is None or found.body == "-" else found


def without_comments(text: str) -> str:
    return re.sub(r"(?m)(^|\s)#[^\n]*", r"\1", text)


def _number(word: str) -> int | None:
    if word in ("EXIT", "0", "ERR", "DEBUG", "RETURN", "ZERR"):
        return 0
    try:
        return number_of(word)
    except BadRequest:
        return None


def functions(text: str) -> Iterator[tuple[str, str, tuple[int, int]]]:
    """Names, bodies and places of the functions of a script."""
    for found in re.finditer(r"(?:\bfunction\s+([\w-]+)\s*(?:\(\s*\))?|\b([\w-]+)\s*\(\s*\))\s*([{(])", text):
        depth, index = 1, found.end()
        opening, closing = found[3], {"{": "}", "(": ")"}[found[3]]
        while index < len(text) and depth:
            if text[index] == opening and text[index - 1] != "$":
                depth += 1
            elif text[index] == closing and not (opening == "{" and _in_expansion(text, index)):
                depth -= 1
            index += 1
        yield found[1] or found[2], text[found.end() : index - 1], (found.start(), index)


def _in_expansion(text: str, index: int) -> bool:
    """A closing brace that ends `${NAME…}`."""
    return text.rfind("${", 0, index) > max(text.rfind("}", 0, index), text.rfind("\n", 0, index))


def _with_functions(text: str, body: str, depth: int = 3) -> str:
    if not depth:
        return body
    for name, inner, _ in functions(text):
        if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", body):
            body = f"{body}\n{_with_functions(text, inner, depth - 1)}"
    return body


def main_part(text: str) -> str:
    """A script without its functions and traps: what it does in order."""
    text = without_comments(text)
    for *_, (start, end) in reversed(list(functions(text))):
        text = text[:start] + text[end:]
    return _TRAP.sub("", text)


def foreground_of(case: Case, process: Process) -> tuple[Process, ...]:
    """The children that a shell waits for before it runs a trap, as far as the script doesn't say otherwise."""
    children = case.children(process)
    if programs.program_name(process) == "posh":
        # As with every shell without job control, a background command ignores SIGINT (POSIX, Asynchronous Lists).
        found = [one for one in children if _INT not in one.dispositions.ignored]
    else:
        found = [one for one in children if one.pid in process.dispositions.foreground]
    text = source(case, process) or ""
    return tuple(one for one in found if not _in_background(text, one))


def _in_background(text: str, child: Process) -> bool:
    """The script begins this very command with `&`."""
    words = r"\s+".join(re.escape(word) for word in child.argv) if child.argv else ""
    return bool(words) and bool(re.search(rf"{words}\s*&(?![&>])", text))


def deferred(case: Case, process: Process, signal: int, told: Forecast, group: bool) -> Outcome:
    """A trap that runs only when the children in the foreground have ended."""
    waited, last = 0.0, Confidence.CERTAIN
    why = [f"{name_of(signal)} reaches {described(process)}: {told.evidence}."]
    text = source(case, process)
    trapped = text is not None and trap_for(text, signal) is not None
    if not trapped and text and name_of(signal) == "SIGHUP":
        outcome = _untrapped(case, process, text, "SIGHUP")
        return replace(outcome, why=(*why, *outcome.why))
    for child in foreground_of(case, process):
        if group:
            outcome = case.ask(child, signal, True)
            why += outcome.why
            if outcome.outlook is not Outlook.EXITS:
                return replace(outcome, why=tuple(why))
            waited, last = max(waited, outcome.takes_s), lowest(last, outcome.confidence)
            continue
        left = ends_by_itself(case, child)
        if left is None or left >= case.facts.grace_s:
            why.append(f"{_capital(described(child))} gets no signal and runs on in the foreground.")
            sure = trapped and programs.program_name(process) in _SURE and _runs_on(child)
            confidence = Confidence.CERTAIN if sure else Confidence.LIKELY
            return Outcome(Outlook.TIMES_OUT, confidence, tuple(why), graceful=Graceful.NO)
        why.append(f"{_capital(described(child))} ends by itself in {max(0.0, left):.1f} s.")
        waited = max(waited, left)
    outcome = handled(case, process, signal, group)
    return replace(
        outcome,
        why=(*why, *outcome.why),
        takes_s=outcome.takes_s + max(0.0, waited),
        confidence=lowest(last, outcome.confidence),
    )


_SURE = ("dash", "bash", "busybox-sh")
"""Shells whose foreground children are told apart for sure."""
_INT = 2


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _runs_on(child: Process) -> bool:
    return programs.program_name(child) in ("sleep", "tail")


def handled(case: Case, process: Process, signal: int, group: bool) -> Outcome:
    """The trap runs: does the script end with it?"""
    if _is_subshell(case, process):
        why = "A subshell has none of its parent's traps (POSIX, Shell Execution Environment): it ends."
        return Outcome(Outlook.EXITS, Confidence.GUESS, (why,), 0.1)
    text = source(case, process)
    if text is None:
        return _unknown("The script that it runs can't be read, so what its trap does isn't known.")
    name = name_of(signal)
    if not text.strip():
        return _interactive(case, process, name)
    trap = trap_for(text, signal)
    if trap is None:
        return _untrapped(case, process, text, name)
    if programs.program_name(process) in ("posh", "yash") and not group:
        waits = _put_off(case, process, text)
        if waits:
            return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (waits,), graceful=Graceful.NO)
    return _trapped(case, process, text, trap, signal, group)


def _put_off(case: Case, process: Process, text: str) -> str:
    """What puts a trap off in two shells of which the kernel's view doesn't tell; empty: nothing."""
    shell = programs.program_name(process)
    if shell == "posh" and any(ends_by_itself(case, one) is None or (ends_by_itself(case, one) or 0) > case.facts.grace_s
                               for one in foreground_of(case, process)):  # fmt: skip
        return "posh waits for a command in the foreground before it runs its trap."
    if shell == "yash" and not case.children(process) and re.search(r"(?:^|[;&|\s])read\b", main_part(text)):
        return "yash runs no trap while it is in `read`."
    return ""


def _is_subshell(case: Case, process: Process) -> bool:
    parent = next((one for one in case.facts.processes if one.pid == process.parent_pid), None)
    return parent is not None and parent.argv == process.argv and parent.exe == process.exe


def _unknown(why: str) -> Outcome:
    return Outcome(Outlook.UNKNOWN, Confidence.GUESS, (why,))


def _interactive(case: Case, process: Process, signal: str) -> Outcome:
    """A shell that reads commands: no script, standard input."""
    shell = programs.program_name(process)
    if signal == "SIGHUP":
        if shell == "ksh" or not case.facts.details.tty:
            why = f"{shell} that reads commands goes on after SIGHUP."
            return Outcome(Outlook.TIMES_OUT, Confidence.GUESS, (why,), graceful=Graceful.NO)
        return Outcome(Outlook.EXITS, Confidence.LIKELY, ("An interactive shell ends when its terminal hangs up.",))
    if signal in ("SIGINT", "SIGQUIT", "SIGTERM"):
        why = f"A shell that reads commands takes {signal} for the line at hand and goes on."
        return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (why,), graceful=Graceful.NO)
    return _unknown(f"What a shell that reads commands does on {signal} isn't known.")


def _untrapped(case: Case, process: Process, text: str, signal: str) -> Outcome:
    """Caught without a trap for it in the script: the shell's own handler, as it was measured."""
    shell, foreground = programs.program_name(process), foreground_of(case, process)
    on_exit = trap_for(text, 0) is not None
    if re.search(r"(?:^|[;&\n]|\bthen\b)\s*(?:\.|source)\s+\S", text) and signal != "SIGHUP" and not on_exit:
        return _unknown(f"No trap for {signal} is found in the script: one may be set in a file that it reads.")
    ends = False
    match shell:
        case "bash" | "rbash":
            ends = (on_exit and signal != "SIGINT") or (signal == "SIGINT" and not foreground)
        case "ksh":
            ends = on_exit or not foreground
        case "zsh":
            ends = signal == "SIGHUP" or not foreground
        case "mksh" | "posh":
            ends = signal == "SIGHUP" or not foreground
        case _:
            ends = not foreground
    if ends:
        why = f"{shell} has no trap for {signal} and handles it itself: it ends."
        return Outcome(Outlook.EXITS, Confidence.LIKELY, (why,), 0.3)
    why = f"{shell} has no trap for {signal} and handles it itself: it goes on with the command that it waits for."
    return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (why,), graceful=Graceful.NO)


def _trapped(case: Case, process: Process, text: str, trap: Trap, signal: int, group: bool) -> Outcome:
    body, main = trap.body, main_part(text)
    if not body.strip():
        why = f"The script's trap for {trap.signal} is empty: the signal is ignored."
        return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (why,), graceful=Graceful.NO)
    said = f"The script's trap for {trap.signal} is `{' '.join(body.split())[:80]}`."
    passed = signal if group else _passes_on(body)
    children = case.children(process)
    told = [case.ask(child, passed, False) for child in children] if passed else []
    slow = next((one for one in told if one.outlook is not Outlook.EXITS), None)
    takes_s = max([0.1, *(one.takes_s for one in told)])
    graceful = Graceful.UNKNOWN
    if told:
        grades = {one.graceful for one in told}
        graceful = grades.pop() if len(grades) == 1 else Graceful.UNKNOWN
    waits_inside = bool(_WAIT.search(body))
    ends = bool(_EXIT.search(body))
    if ends and waits_inside and children:
        return _after_children(said, told, slow, takes_s, graceful)
    if ends:
        return Outcome(Outlook.EXITS, Confidence.LIKELY, (said, "It exits."), takes_s + _sleeps(body), graceful)
    return _goes_on(case, said, body, main, told, slow, takes_s, graceful, waits_inside and bool(children))


def _goes_on(
    case: Case, said: str, body: str, main: str, told: list[Outcome], slow: Outcome | None, takes_s: float,
    graceful: Graceful, waits_inside: bool,
) -> Outcome:  # fmt: skip
    """The trap doesn't exit: the script goes on behind the command that was interrupted."""
    loop = _LOOP.search(main)
    if loop:
        changed = set(re.findall(r"(?<![\w$])(\w+)=", body))
        condition = main[loop.start() : loop.start() + 300]
        if changed & set(re.findall(r"\w+", condition)) or re.search(r"\bbreak\b", body):
            why = "It changes what the script's loop looks at, so the loop ends."
            return Outcome(Outlook.EXITS, Confidence.LIKELY, (said, why), takes_s + 0.5, graceful)
        why = "It doesn't exit, and the script goes on in its loop."
        return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (said, why), graceful=Graceful.NO)
    waits = len(_WAIT.findall(main))
    if waits_inside or waits > 1:
        return _after_children(said, told, slow, takes_s, graceful)
    why = "It doesn't exit, but the script has nothing left to do and ends."
    return Outcome(Outlook.EXITS, Confidence.LIKELY, (said, why), takes_s, graceful)


def _after_children(
    said: str, told: list[Outcome], slow: Outcome | None, takes_s: float, graceful: Graceful
) -> Outcome:
    """The script waits for its children before it ends."""
    if not told:
        why = "It waits for its children, which get no signal."
        return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (said, why), graceful=Graceful.NO)
    if slow is not None:
        return replace(
            slow,
            confidence=lowest(slow.confidence, Confidence.LIKELY),
            why=(said, "It waits for its children.", *slow.why),
        )
    fates = tuple(sentence for one in told for sentence in one.why)
    return Outcome(
        Outlook.EXITS, Confidence.LIKELY, (said, "It passes the signal on and waits.", *fates), takes_s, graceful,
        next((one.graceful_signals for one in told if one.graceful_signals), ()),
    )  # fmt: skip


def _passes_on(body: str) -> int | None:
    """The signal that a trap sends to the script's children; None: it sends none."""
    found = _KILL.search(body)
    if found is None:
        return None
    words = found[1].split()
    for index, word in enumerate(words):
        if word in ("-s", "-n") and index + 1 < len(words):
            return _number(words[index + 1])
        if re.fullmatch(r"-[A-Za-z0-9+]+", word):
            return _number(word[1:]) or None
    return number_of("SIGTERM") if words else None


def _sleeps(body: str) -> float:
    return sum(float(one) for one in re.findall(r"\bsleep\s+(\d+(?:\.\d+)?)\b", body))


def what_comes_next(case: Case, process: Process) -> str:
    """Why a shell that the signal doesn't reach may yet come to end or become another program; empty: no reason."""
    if not programs.is_shell(process):
        return ""
    text = source(case, process)
    if not text:
        return ""
    main = main_part(text)
    if _EXEC.search(main):
        return "Its script may still come to an `exec`, and be another program by the time of the stop."
    ends = [ends_by_itself(case, child) for child in case.children(process)]
    if not _LOOP.search(main) and any(one is not None and one < case.facts.grace_s for one in ends):
        return "Its child ends by itself within the grace period, and the script may end then."
    return ""
