"""Predicts what a shell does with a signal that it handles: when its trap runs, and whether the script then exits.

The script is analysed as text (`traps`), so no result that depends on it is more than `likely`.
"""

import posixpath
import re
from dataclasses import dataclass, replace

from containerlab_probes.records import Forecast, Process
from containerlab_probes.signals.names import name_of, number_of
from containerlab_tui.doctor.bounds import SHELL_LIMIT, bounded
from containerlab_tui.doctor.case import Case, described, lowest, seconds_left
from containerlab_tui.doctor.programs import catalogue
from containerlab_tui.doctor.readers import traps
from containerlab_tui.doctor.readers.traps import Trap, main_part, trap_for
from containerlab_tui.model.diagnosis import Confidence, Graceful, Outcome, Outlook


def source(case: Case, process: Process) -> str | None:
    """Returns the script that a shell runs; None if it can't be read or is too long.

    Empty if the shell reads commands from its standard input.
    """
    text = _whole(case, process)
    text = None if text is None else bounded(text, SHELL_LIMIT)
    return None if text is None else _with_files(case, process, text)


def _whole(case: Case, process: Process) -> str | None:
    """Returns the unchanged text of its script."""
    script = catalogue.script_of(process)
    if script is None:
        return None
    match script.kind:
        case "code":
            return script.text
        case "file":
            return case.text(process, script.text)
        case _:
            return ""


def _with_files(case: Case, process: Process, text: str) -> str:
    """Inserts the files that a script sources with `.`, each once, if they could be read and fit.

    Otherwise the `.` command stays and marks the unknown part.
    """
    script = catalogue.script_of(process)
    here = posixpath.dirname(script.text) if script and script.kind == "file" else ""
    left, seen = SHELL_LIMIT - len(text), set[str]()

    def content(found: re.Match[str]) -> str:
        nonlocal left
        path = traps.file_read(found, here)
        if path in seen:
            return f"{found['before']} :"
        inner = case.text(process, f"&{path}")
        inner = None if inner is None else bounded(inner, left)
        if inner is None:
            return found[0]
        seen.add(path)
        left -= len(inner) + 2
        return f"{found['before']}\n{inner}\n"

    return traps.READS_FILES.sub(content, text)


def foreground_of(case: Case, process: Process) -> tuple[Process, ...]:
    """Returns the foreground children, which a shell waits for before it runs a trap."""
    found = [one for one in case.children(process) if one.pid in process.dispositions.foreground]
    text = source(case, process) or ""
    return tuple(one for one in found if not _in_background(text, one))


def _in_background(text: str, child: Process) -> bool:
    """Returns whether the script starts this command with `&` or as a coprocess."""
    words = traps.words_pattern(child.argv)
    if words and re.search(rf"{words}\s*&(?![&>])|\bcoproc\s+(?:\w+\s+)?{words}", text):
        return True
    # Under job control a command in the background looks like one in the foreground.
    unnamed = traps.rest_after(text, child.argv) is None and traps.WAITS.search(main_part(text))
    return bool(unnamed) and traps.job_control(text)


def deferred(case: Case, process: Process, signal: int, forecast: Forecast, group: bool) -> Outcome:
    """Predicts a trap that runs only after the foreground children have exited."""
    waited, last = 0.0, Confidence.CERTAIN
    why = [f"{name_of(signal)} reaches {described(process)}: {forecast.evidence}."]
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
        left = seconds_left(case, child)
        if left is None or left >= case.facts.grace_s:
            why.append(f"{_capital(described(child))} receives no signal and keeps running in the foreground.")
            sure = trapped and catalogue.program_name(process) in _SURE and _runs_on(child)
            sure = sure and not traps.job_control(text or "") and _alone(case, process, child)
            confidence = Confidence.CERTAIN if sure else Confidence.LIKELY
            return Outcome(Outlook.TIMES_OUT, confidence, tuple(why), graceful=Graceful.NO)
        why.append(f"{_capital(described(child))} exits on its own in {max(0.0, left):.1f} s.")
        waited = max(waited, left)
    outcome = handled(case, process, signal, group)
    return replace(
        outcome,
        why=(*why, *outcome.why),
        takes_s=outcome.takes_s + max(0.0, waited),
        confidence=lowest(last, outcome.confidence),
    )


_INT = number_of("SIGINT")
_SURE = ("dash", "bash", "busybox-sh")
"""Shells whose foreground children can be identified with certainty."""


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _alone(case: Case, process: Process, child: Process) -> bool:
    """Returns whether no other process could stop the child: only PID 1, the shell and the child exist."""
    root = case.facts.root
    us = {process.pid, child.pid, *((root.pid,) if root else ())}
    return all(one.pid in us or one.state in ("Z", "X") for one in case.facts.processes)


def _runs_on(child: Process) -> bool:
    return catalogue.program_name(child) in ("sleep", "tail") and not any(one.startswith("--pid") for one in child.argv)


def is_deferred(case: Case, process: Process, signal: int) -> bool:
    """Returns whether a signal that the shell always handles has a trap that waits for a child."""
    text = source(case, process) or ""
    return bool(foreground_of(case, process)) and trap_for(text, signal) is not None


def handled(case: Case, process: Process, signal: int, group: bool) -> Outcome:
    """Predicts whether the script exits after its trap has run."""
    own = traps.subshell_part(source(case, process) or "", signal) if _is_subshell(case, process) else ""
    trap = trap_for(own, signal) if own else None
    if trap is not None:
        return _trapped(case, process, own, trap, signal if group else traps.passes_on(trap.body))
    if _is_subshell(case, process):
        why = "A subshell has none of its parent's traps (POSIX, Shell Execution Environment), so it exits."
        return Outcome(Outlook.EXITS, Confidence.GUESS, (why,), 0.1)
    text = source(case, process)
    shell = catalogue.program_name(process)
    if text and shell in ("fish", "rc", "es") and signal != _INT and not group:
        waits = shell == "fish"  # in `wait` as well
        lasting = [one for one in case.children(process) if outlasts_grace_period(case, one)]
        lasting = [one for one in lasting if waits or not _in_background(text, one)]
        if lasting:
            why = f"{shell} runs no handler while it waits for {described(lasting[0])}."
            return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (why,), graceful=Graceful.NO)
    if text is None:
        failed = "can't be read" if _whole(case, process) is None else "is too long to analyse"
        return _unknown(f"Its script {failed}, so what its trap does is unknown.")
    name = name_of(signal)
    if not text.strip():
        return _interactive(case, process, name)
    trap = trap_for(text, signal)
    if trap is None:
        return _untrapped(case, process, text, name)
    reads = re.search(r"(?:^|[;&|\s])read\b", main_part(text)) and not case.children(process)
    if shell in ("yash", "fish") and reads and not group:
        why = f"{shell} runs no trap while it is in `read`."
        return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (why,), graceful=Graceful.NO)
    return _trapped(case, process, text, trap, signal if group else traps.passes_on(trap.body))


def outlasts_grace_period(case: Case, child: Process) -> bool:
    """Returns whether a child without a signal runs longer than the grace period, as far as is known."""
    left = seconds_left(case, child)
    return left is None or left >= case.facts.grace_s


def _is_subshell(case: Case, process: Process) -> bool:
    parent = next((one for one in case.facts.processes if one.pid == process.parent_pid), None)
    return parent is not None and parent.argv == process.argv and catalogue.is_same_program(parent, process)


def _unknown(why: str) -> Outcome:
    return Outcome(Outlook.UNKNOWN, Confidence.GUESS, (why,))


def _interactive_option(word: str) -> bool:
    return word[:1] == "-" and word[1:].replace("_", "x").isalnum() and "i" in word


def _interactive(case: Case, process: Process, signal: str) -> Outcome:
    """Predicts a shell that reads commands from its standard input."""
    shell = catalogue.program_name(process)
    if signal == "SIGHUP":
        if shell == "ksh" or (shell in ("mksh", "posh") and not case.facts.details.tty):
            why = f"{shell} without a script keeps running after SIGHUP."
            return Outcome(Outlook.TIMES_OUT, Confidence.GUESS, (why,), graceful=Graceful.NO)
        return Outcome(Outlook.EXITS, Confidence.LIKELY, ("An interactive shell exits when its terminal hangs up.",))
    typed = case.facts.details.tty or any(_interactive_option(word) for word in process.argv[1:])
    if signal == "SIGTERM" and shell in ("dash", "bash", "busybox-sh") and not typed:
        why = f"{shell} handles {signal} only if a command on its standard input has set a trap. A guess."
        return Outcome(Outlook.EXITS, Confidence.GUESS, (why,), 0.5)
    if signal in ("SIGINT", "SIGQUIT", "SIGTERM"):
        why = f"An interactive shell discards the current line on {signal} and keeps running."
        return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (why,), graceful=Graceful.NO)
    return _unknown(f"What an interactive shell does on {signal} is unknown.")


def _untrapped(case: Case, process: Process, text: str, signal: str) -> Outcome:
    """Predicts a shell that handles a signal without a trap in the script, as measured."""
    shell = catalogue.program_name(process)
    foreground = [one for one in foreground_of(case, process) if outlasts_grace_period(case, one)]
    on_exit = trap_for(text, 0) is not None
    if shell == "ksh" and traps.resets(text, number_of(signal)) and process.namespace_init:
        why = f"ksh keeps its handler after `trap -` and raises {signal} again, which PID 1 survives."
        return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (why,), graceful=Graceful.NO)
    if traps.READS_FILES.search(text) and signal != "SIGHUP" and not on_exit:
        return _unknown(f"The script has no trap for {signal}, but a file that it sources may set one.")
    exits = False
    match shell:
        case "bash" | "rbash":
            exits = on_exit and (signal != "SIGINT" or not foreground)
        case "ksh":
            exits = on_exit or not foreground
        case "zsh":
            exits = signal == "SIGHUP" or not foreground
        case "mksh" | "posh":
            exits = signal == "SIGHUP" or not foreground
        case "fish" | "rc" | "es":
            exits = all(_in_background(text, one) for one in case.children(process))
        case _:
            exits = not foreground
    if exits:
        why = f"{shell} has no trap for {signal}; its own handler exits."
        return Outcome(Outlook.EXITS, Confidence.LIKELY, (why,), 0.3)
    why = f"{shell} has no trap for {signal}; its own handler keeps waiting for the current command."
    return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (why,), graceful=Graceful.NO)


def _trapped(case: Case, process: Process, text: str, trap: Trap, passed: int | None) -> Outcome:
    """Predicts a trap; `passed`: the signal that the children receive, from the trap or as a group."""
    if not trap.body.strip():
        why = f"The script's {trap.signal} trap is empty, so the signal is ignored."
        return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (why,), graceful=Graceful.NO)
    goes_on = _goes_on(case, process, text, trap)
    if goes_on:
        return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (goes_on,), graceful=Graceful.NO)
    children = case.children(process)
    outcomes = tuple(case.ask(child, passed, False) for child in children) if passed else ()
    run = _TrapRun(f"The script's {trap.signal} trap is `{' '.join(trap.body.split())[:80]}`.", trap.body, outcomes)
    waits_inside = bool(traps.WAITS.search(trap.body)) and bool(children)
    if traps.never_ends(trap.body):
        why = "It has an endless loop."
        return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (run.said, why), graceful=Graceful.NO)
    if traps.EXITS.search(trap.body):
        if waits_inside:
            return run.after_children()
        takes_s = run.takes_s + traps.sleeps(trap.body)
        return Outcome(Outlook.EXITS, Confidence.LIKELY, (run.said, "It exits."), takes_s, run.graceful)
    main = main_part(text)
    if traps.EXECS.search(trap.body):
        return _unknown("The trap replaces the shell with another program (`exec`).")
    fails = re.search(r"\bwait\b(?![^;&|\n]{0,300}\|\|)", main)
    if fails and not waits_inside and traps.errexit(text, process.argv):
        why = "With `set -e` the script exits, because the interrupted `wait` fails."
        return Outcome(Outlook.EXITS, Confidence.LIKELY, (run.said, why), run.takes_s, run.graceful)
    loop = traps.waiting_loop(main, tuple(child.name for child in children))
    if loop is not None:
        return run.in_loop(loop)
    ended = foreground_of(case, process)
    if any(traps.runs_on(traps.rest_after(text, child.argv) or "") for child in ended):
        why = "It does not exit, so the script continues with its next command."
        return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (run.said, why), graceful=Graceful.NO)
    if waits_inside or len(traps.WAITS.findall(main)) > 1 or traps.waits_for_each(main):
        return run.after_children()
    why = "It does not exit, but the script has nothing left to do and exits."
    return Outcome(Outlook.EXITS, Confidence.LIKELY, (run.said, why), run.takes_s, run.graceful)


def _goes_on(case: Case, process: Process, text: str, trap: Trap) -> str:
    """Returns why a trap that doesn't exit keeps the shell running, as measured; empty if there is no reason."""
    shell = catalogue.program_name(process)
    if shell in ("zsh", "posh", "yash") and traps.signals_itself(trap):
        return f"The {trap.signal} trap sends the shell the same signal, so {shell} runs it again and again."
    reads = re.search(r"(?:^|[;&|\s])read\b", main_part(text)) and not case.children(process)
    if shell in ("bash", "zsh") and reads and not traps.EXITS.search(trap.body):
        return f"The {trap.signal} trap does not exit, so {shell} continues its current `read`."
    return ""


@dataclass(frozen=True, slots=True)
class _TrapRun:
    """One run of a trap."""

    said: str
    body: str
    children: tuple[Outcome, ...]
    """Outcomes of the children that receive a signal from it."""

    @property
    def takes_s(self) -> float:
        return max([0.1, *(one.takes_s for one in self.children)])

    @property
    def graceful(self) -> Graceful:
        grades = {one.graceful for one in self.children}
        return grades.pop() if len(grades) == 1 else Graceful.UNKNOWN

    def in_loop(self, loop: traps.Loop) -> Outcome:
        """Predicts a script that continues in the loop that the signal interrupted."""
        changed = set(re.findall(r"(?<![\w$])(\w+)=", self.body))
        leaves = changed & set(re.findall(r"\w+", loop.condition))
        for left in re.finditer(r"(?:[;\n]\s*then\s+|&&\s*)(?:break|exit)", loop.body):
            before = re.split(r"[\n;]", loop.body[max(0, left.start() - 500) : left.start()])[-1]
            leaves |= changed & set(re.findall(r"\w+", before))
        if leaves or re.search(r"\bbreak\b", self.body):
            why = "It changes a variable that the script's loop tests, so the loop ends."
            return Outcome(Outlook.EXITS, Confidence.LIKELY, (self.said, why), self.takes_s + 0.5, self.graceful)
        if re.search(r"\bkill\s+-0\b|\bps\s+-p\b|/proc/|\bpgrep\b|\bjobs\b", loop.condition):
            return self.after_children()
        why = "It does not exit, so the script continues its loop."
        return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (self.said, why), graceful=Graceful.NO)

    def after_children(self) -> Outcome:
        """Predicts a script that waits for its children before it exits."""
        if not self.children:
            why = "It waits for its children, which receive no signal."
            return Outcome(Outlook.TIMES_OUT, Confidence.LIKELY, (self.said, why), graceful=Graceful.NO)
        slow = next((one for one in self.children if one.outlook is not Outlook.EXITS), None)
        if slow is not None:
            reasons = (self.said, "It waits for its children.", *slow.why)
            return replace(slow, confidence=lowest(slow.confidence, Confidence.LIKELY), why=reasons)
        results = tuple(sentence for one in self.children for sentence in one.why)
        return Outcome(
            Outlook.EXITS,
            Confidence.LIKELY,
            (self.said, "It forwards the signal and waits.", *results),
            self.takes_s,
            self.graceful,
            next((one.graceful_signals for one in self.children if one.graceful_signals), ()),
        )


def seconds_until_end(case: Case, process: Process) -> float | None:
    """Returns after how many seconds a shell reaches the end of its script; None if unknown or never."""
    text = source(case, process) if catalogue.is_shell(process) else None
    children = case.children(process)
    if not text or len(children) != 1 or traps.waiting_loop(main_part(text), (children[0].name,)):
        return None
    left = seconds_left(case, children[0])
    rest = traps.rest_after(text, children[0].argv)
    return left if left is not None and rest is not None and traps.does_nothing(rest) else None


def why_it_may_change(case: Case, process: Process) -> str:
    """Returns why a shell that ignores the signal now may react or exit later; empty if there is no reason."""
    if not catalogue.is_shell(process):
        return ""
    text = source(case, process)
    if text is None and _whole(case, process) is not None:
        return "Its script is too long to analyse; it may still reach a `trap` or an `exec`."
    if not text:
        return ""
    main = main_part(text)
    if traps.EXECS.search(main):
        return "Its script may reach an `exec` and be another program when it is stopped."
    if trap_for(text, case.facts.signal) is not None:
        return "Its script may still reach its `trap`."
    if traps.READS_FILES.search(main):
        return "Its script sources another file, which may set a trap."
    ends = [seconds_left(case, child) for child in case.children(process)]
    if traps.waiting_loop(main, ()) is None and any(one is not None and one < case.facts.grace_s for one in ends):
        return "Its child exits on its own within the grace period, and the script may then exit."
    return ""
