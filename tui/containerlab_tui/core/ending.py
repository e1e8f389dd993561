"""How a container that has ended came to end: what inspect, the engine's events and our memory say. Pure.

Exit codes above 128 name a signal only by convention, and PID 1 of a PID namespace can't be ended by a
signal at its default action, so a code alone is never taken for a proof.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from containerlab_probes.signals import name_of
from containerlab_tui.core.inventory import Details, EngineEvent

SIGKILL = 9
SAME_END_S = 2.0
"""Two records of one end (the engine's, ours) lie at most this far apart."""


@dataclass(frozen=True, slots=True)
class PastStop:
    """One observed stop, as it is remembered."""

    at: float
    """Epoch seconds of PID 1's end, or of the stop's beginning where it never ended."""
    container: str
    name: str
    image: str
    command: str
    signal: str
    grace_s: float
    verdict: str
    exit_code: int | None
    duration_s: float | None
    phase_1_s: float | None
    phase_2_s: float | None


@dataclass(frozen=True, slots=True)
class Ending:
    """How it ended."""

    cause: str
    """A stable word: running, never-started, stopped, stop-killed, killed, signalled, out-of-memory, exited,
    or `unknown` where two stories fit."""
    sentence: str
    sure: bool
    evidence: tuple[str, ...]
    """What says so, a sentence each, beginning with its source."""


#: What an exit code may mean besides itself; told only when nothing better is known.
_CODES = {
    125: "The engine itself failed to run it.",
    126: "The command was found but could not be run (permission, or no program).",
    127: "The command was not found.",
    129: "129 is what a shell or a program gives for SIGHUP (128 + 1).",
    130: "130 is what a program gives for SIGINT (128 + 2).",
    134: "134 stands for SIGABRT in a child; PID 1 that calls abort() ends as 139 instead.",
    135: "135 stands for SIGBUS: often a file on /dev/shm that is longer than the tmpfs has room for (--shm-size).",
    139: "139 stands for SIGSEGV: a bad access, or PID 1 called abort(), whose SIGABRT the kernel does not deliver.",
    143: "143 is a deliberate exit: SIGTERM at its default action never ends PID 1 of a PID namespace.",
}


def how_it_ended(details: Details, events: Sequence[EngineEvent], remembered: PastStop | None = None) -> Ending:
    """What ended the container last time.

    `events` are the engine's own about this container, as far back as it still has them; `remembered` is a stop
    that this program watched, if it watched the last one.
    """
    if details.state in ("running", "paused", "restarting"):
        return Ending("running", f"{details.name} has not ended: it is {details.state}.", True, ("inspect: State",))
    if details.state == "created" or details.finished_at is None:
        return Ending("never-started", f"{details.name} was never started.", True, ("inspect: State",))
    recorded = (f"inspect: exit code {details.exit_code}, OOMKilled {str(details.oom_killed).lower()}",)
    last_run = _last_run(details, events)
    if details.oom_killed or any(event.action == "oom" for event in last_run):
        return _out_of_memory(details, recorded, any(event.action == "oom" for event in last_run))
    if remembered is not None and abs(remembered.at - details.finished_at) <= SAME_END_S:
        return _from_memory(details, remembered, recorded)
    if not any(event.action == "die" for event in last_run):
        return _from_code(details, recorded, seen_all=False)
    signals = [(event.time, int(event.attributes["signal"])) for event in last_run if _is_kill(event)]
    if not signals:
        return _from_code(details, recorded, seen_all=True)
    return _from_signals(details, signals, recorded)


def _last_run(details: Details, events: Sequence[EngineEvent]) -> list[EngineEvent]:
    begun = details.started_at or 0.0
    return sorted((event for event in events if event.time >= begun - 0.5), key=lambda event: event.time)


def _is_kill(event: EngineEvent) -> bool:
    return event.action == "kill" and event.attributes.get("signal", "").isdigit()


def _out_of_memory(details: Details, recorded: tuple[str, ...], event_seen: bool) -> Ending:
    evidence = (*recorded, *(("engine: an oom event came before the end",) if event_seen else ()))
    if details.exit_code == 137:
        return Ending("out-of-memory", "The kernel killed it: its memory limit was reached.", True, evidence)
    sentence = (
        "A process of it was killed for want of memory; whether that ended PID 1, or PID 1 ended for another reason "
        f"with {details.exit_code}, can't be told."
    )
    return Ending("unknown", sentence, False, evidence)


def _from_memory(details: Details, past: PastStop, recorded: tuple[str, ...]) -> Ending:
    took = "" if past.duration_s is None else f" after {past.duration_s:.1f} s"
    evidence = (*recorded, f"memory: this program watched a stop with {past.signal}, verdict {past.verdict}")
    if past.verdict == "killed" and past.phase_2_s is not None:
        sentence = f"It was stopped with {past.signal}, did not end within {past.grace_s:g} s, and was killed{took}."
        return Ending("stop-killed", sentence, True, evidence)
    if past.verdict == "killed":
        return Ending("killed", f"It was killed with SIGKILL{took}.", True, evidence)
    sentence = f"It was stopped with {past.signal} and ended by itself{took} with {details.exit_code}."
    return Ending("stopped", sentence, True, evidence)


def _from_signals(details: Details, signals: list[tuple[float, int]], recorded: tuple[str, ...]) -> Ending:
    """The engine's kill events of the last run tell which signals Docker sent; never who asked for them."""
    finished = details.finished_at or signals[-1][0]
    sent = ", ".join(f"{name_of(number)} {finished - at:.1f} s before the end" for at, number in signals[-4:])
    evidence = (*recorded, f"engine: kill events: {sent}")
    last = signals[-1][1]
    before_kill = [at for at, number in signals if number != SIGKILL]
    if last == SIGKILL and details.exit_code == 137:
        if before_kill:
            waited = signals[-1][0] - before_kill[-1]
            sentence = f"It was stopped, did not end within {waited:.1f} s, and was killed (137)."
            return Ending("stop-killed", sentence, True, evidence)
        sentence = "It was killed outright with SIGKILL through the engine: docker kill or docker rm -f."
        return Ending("killed", sentence, True, evidence)
    waited = finished - signals[-1][0]
    if last == SIGKILL:
        sentence = f"It was sent SIGKILL at the end of a stop, but ended by itself with {details.exit_code} just then."
        return Ending("stopped", sentence, True, evidence)
    sentence = (
        f"It ended with {details.exit_code}, {waited:.1f} s after the engine sent it {name_of(last)}: docker stop, or "
        "docker kill with that signal, which look the same here."
    )
    return Ending("stopped", sentence, waited < 60, evidence)


def _from_code(details: Details, recorded: tuple[str, ...], seen_all: bool) -> Ending:
    code = details.exit_code
    meaning = _CODES.get(code, "")
    source = (
        "engine: no kill event came before the end"
        if seen_all
        else "engine: its events of that time are gone, so what it was sent is not known"
    )
    evidence = (*recorded, source)
    if code == 137:
        who = (
            "SIGKILL from something other than the engine (a kill on the host, the kernel's memory killer outside its "
            "own limit), or the program chose to exit with 137"
            if seen_all
            else "a stop that ran out of time, docker kill, out of memory, or an exit with 137"
        )
        return Ending("unknown", f"It ended with 137: {who}. These can't be told apart afterwards.", False, evidence)
    if code > 128 and not meaning and code - 128 < 65:
        meaning = f"{code} is 128 + {code - 128}: {name_of(code - 128)} by convention, or simply its own choice."
    by_itself = f"It ended by itself with {code}." if seen_all else f"It ended with {code}."
    return Ending("exited", f"{by_itself} {meaning}".strip(), seen_all and code <= 128, evidence)
