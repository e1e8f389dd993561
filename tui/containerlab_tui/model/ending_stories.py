"""One run that is over -> the story of its end. Pure.

Docker's own records go first: `stop` is emitted by a stop (or restart) and by nothing else, `kill` names the signal of
a stop, of docker kill and of docker rm -f alike (moby daemon/stop.go, kill.go, delete.go). None names who asked.
"""

from dataclasses import replace

from containerlab_probes.signals.names import SIGKILL, name_of
from containerlab_tui.model.ending_records import NEAR_S, Ending, PastStop, Run
from containerlab_tui.model.inventory import HAS_PROCESSES

KILLED = 128 + SIGKILL
AT_ONCE_S = 2.0
"""A process that the kernel kills is gone within this time."""
LONG_S = 60.0
"""A signal so long before the end need not have to do with it."""

#: What an exit code may mean besides itself; told only when nothing better is known.
CODES = {
    125: "The engine itself failed to run it.",
    126: "The command was found but could not be run (permission, or no program).",
    127: "The command was not found.",
    129: "129 is what a shell or a program gives for SIGHUP (128 + 1).",
    130: "130 is what a program gives for SIGINT (128 + 2).",
    134: "134 stands for SIGABRT in a child; PID 1 that calls abort() ends as 139 instead.",
    135: "135 stands for SIGBUS: often a file on /dev/shm that is longer than the tmpfs has room for (--shm-size).",
    139: "139 stands for SIGSEGV: a bad access, or PID 1 called abort(), whose SIGABRT the kernel does not deliver; "
    "these can't be told apart.",
    143: "143 is a deliberate exit: an unhandled SIGTERM does not terminate PID 1, but for one rare case in which "
    "kernels differ (`containerlab-tui selftest`).",
}


def tell(run: Run) -> Ending:
    """How the run ended."""
    story = _with_victims(run, _story(run))
    return replace(story, exit_code=run.exit_code, finished_at=run.finished_at)


def from_memory(past: PastStop, recorded: tuple[str, ...], code: int | None, stopped: bool = False) -> Ending:
    """A stop that this program watched; `stopped`: the engine has a stop event of it."""
    took = "" if past.duration_s is None else f" after {past.duration_s:.1f} s"
    evidence = (*recorded, f"memory: this program watched a stop with {past.signal}, verdict {past.verdict}")
    if past.sender:
        evidence += (f"kernel: PID 1's SIGKILL came from {past.sender}",)
    sender = "" if not past.sender or past.sender.startswith("runc [") else f" by {past.sender}"
    cause, sure = "killed", True
    if not past.killed:
        cause = "stopped"
        told = f"It was stopped with {past.signal} and ended by itself{took} with {code}."
    elif past.out_of_memory and past.phase_2_s is None:
        cause = "out-of-memory"
        told = (
            f"It was being stopped with {past.signal} when its memory limit was reached and the kernel killed it{took}."
        )
    elif past.phase_2_s is None:
        told = f"It was killed{sender}{took} of a stop with {past.signal}: the engine sent no SIGKILL."
        if not sender:
            cause, sure = "unknown", False
            told = f"It ended with 137{took} of a stop with {past.signal}, and the engine sent no SIGKILL: {_WHO_ELSE}"
    elif past.signal == "SIGKILL":
        cause = "stop-killed" if stopped else "killed"
        told = "It was killed at once: its stop signal is SIGKILL."
        told += "" if stopped else " A stop, docker kill and docker rm -f look the same then."
    elif not past.phase_1_s:
        told = "It was killed outright with SIGKILL through the engine: docker kill or docker rm -f."
    else:
        cause = "stop-killed"
        near = abs(past.phase_1_s - past.grace_s) < NEAR_S
        grace = f"{past.grace_s:g} s" if near else f"{past.phase_1_s:.1f} s"
        told = f"It was stopped with {past.signal}, did not end within {grace}, and was killed{took}."
    return Ending(cause, told, sure, evidence, code, past.at)


def _story(run: Run) -> Ending:
    recorded = _recorded(run)
    if run.past is not None:
        return from_memory(run.past, recorded, run.exit_code, _stopped(run))
    kills = _kills(run)
    if kills:
        sent = ", ".join(f"{name_of(one)} {run.finished_at - at:.1f} s before the end" for at, one in kills[-4:])
        recorded += (f"engine: kill events: {sent}; who asked for them is not recorded",)
    if run.exit_code == KILLED and kills and kills[-1][1] == SIGKILL:
        return _killed(run, kills, recorded)
    if run.exit_code == KILLED and (run.oom_killed or _ooms(run)):
        return _out_of_memory(run, recorded)
    if kills and (_stopped(run) or run.exit_code != KILLED):
        return _signalled(run, kills, recorded)
    return _from_code(run, recorded)


def _recorded(run: Run) -> tuple[str, ...]:
    if run.details is None or run.details.state in HAS_PROCESSES:  # what inspect says is of this run
        return (f"engine: die event, exit code {run.exit_code}",)
    return (f"inspect: exit code {run.exit_code}, OOMKilled {str(run.oom_killed).lower()}",)


def _kills(run: Run) -> list[tuple[float, int]]:
    """When the engine sent PID 1 which signal."""
    return [
        (event.time, int(signal))
        for event in run.events
        if event.action == "kill" and (signal := event.attributes.get("signal", "")).isdigit()
        and event.time <= run.finished_at + 0.5
    ]  # fmt: skip


def _ooms(run: Run) -> list[float]:
    """How long before the end a process of it was killed for want of memory."""
    return [max(0.0, run.finished_at - event.time) for event in run.events if event.action == "oom"]


def _stopped(run: Run) -> bool:
    return any(event.action == "stop" for event in run.events)


def _killed(run: Run, kills: list[tuple[float, int]], evidence: tuple[str, ...]) -> Ending:
    """SIGKILL from the engine was the last thing that it got."""
    at = kills[-1][0]
    before = [one for one in kills if one[1] != SIGKILL and (_stopped(run) or at - one[0] < LONG_S)]
    if before:
        waited, signal = at - before[-1][0], name_of(before[-1][1])
        if _stopped(run):
            sentence = f"It was stopped with {signal}, did not end within {waited:.1f} s, and was killed (137)."
            return Ending("stop-killed", sentence, True, (*evidence, "engine: a stop event"))
        sentence = (
            f"docker kill sent it {signal}, and {waited:.1f} s later it was killed with SIGKILL: no stop did that."
        )
        return Ending("killed", sentence, True, (*evidence, _NO_STOP))
    if _stopped(run):
        sentence = "It was stopped, and its stop signal is SIGKILL: it was killed at once."
        return Ending("stop-killed", sentence, True, (*evidence, "engine: a stop event"))
    sentence = (
        "It was killed outright with SIGKILL through the engine: docker kill (docker rm -f would have removed it)."
    )
    if run.removed:
        sentence = (
            "It was killed outright with SIGKILL through the engine: docker rm -f, or docker kill and then a removal, "
            "which look the same here."
        )
    return Ending("killed", sentence, True, (*evidence, _NO_STOP))


_NO_STOP = "engine: no stop event, which every docker stop leaves"


def _out_of_memory(run: Run, evidence: tuple[str, ...]) -> Ending:
    """137 without SIGKILL from the engine, and a process of it was killed for want of memory."""
    ooms, limit = _ooms(run), _limit(run)
    evidence += _oom_evidence(run)
    if any(ago <= AT_ONCE_S for ago in ooms):
        sentence = (
            f"The kernel killed it: {limit} was reached. That was PID 1, or a child whose 137 PID 1 handed on, as a "
            "shell does; which of them can't be told."
        )
        return Ending("out-of-memory", sentence, True, evidence)
    if ooms:
        sentence = (
            f"A process of it was killed for want of memory {ooms[-1]:.1f} s before the end, and PID 1 went on: "
            f"{_WHO_ELSE} These can't be told apart afterwards."
        )
        return Ending("unknown", sentence, False, evidence)
    sentence = (
        f"{limit[0].upper()}{limit[1:]} was reached and a process of it killed; most likely that was PID 1. A later "
        "SIGKILL can't be ruled out: the engine's events of that time are gone."
    )
    return Ending("out-of-memory", sentence, False, evidence)


def _limit(run: Run) -> str:
    known = run.details.memory_bytes if run.details else 0
    return f"its memory limit of {known / 1048576:g} MiB" if known else "its memory limit"


def _oom_evidence(run: Run) -> tuple[str, ...]:
    told = tuple(f"engine: an oom event came {ago:.1f} s before the end" for ago in _ooms(run)[-1:])
    return (*told, "cgroup: it went with the container, so memory.events could not be asked")


def _with_victims(run: Run, story: Ending) -> Ending:
    """A process that was killed for want of memory while PID 1 went on."""
    if story.cause == "out-of-memory" or not (run.oom_killed or _ooms(run)) or story.evidence[-1].startswith("cgroup:"):
        return story
    ago = _ooms(run)
    time = f"{ago[-1]:.1f} s before the end" if ago else "in this run"
    sentence = f"{story.sentence} A process of it, not PID 1, was killed for want of memory {time}."
    if story.cause == "exited":
        sentence += " Whether PID 1 ended because of that can't be told."
    sure = story.sure and story.cause != "exited"
    return replace(story, sentence=sentence, sure=sure, evidence=(*story.evidence, *_oom_evidence(run)))


def _signalled(run: Run, kills: list[tuple[float, int]], evidence: tuple[str, ...]) -> Ending:
    """The engine sent it signals, and it ended by itself."""
    code, (at, signal) = run.exit_code, kills[-1]
    waited = max(0.0, run.finished_at - at)
    if signal == SIGKILL:
        sentence = f"It was sent SIGKILL at the end of a stop, but ended by itself with {code} just then."
        return Ending("stopped", sentence, True, evidence)
    if not _stopped(run):
        sentence = f"It ended with {code}, {waited:.1f} s after docker kill sent it {name_of(signal)}"
        sentence += "." if waited < LONG_S else ", which need not have to do with it."
        return Ending("signalled", sentence, waited < LONG_S, (*evidence, _NO_STOP))
    evidence += ("engine: a stop event",)
    sentence = f"It was stopped with {name_of(signal)} and ended by itself {waited:.1f} s later with {code}."
    if code != KILLED:
        return Ending("stopped", sentence, True, evidence)
    sentence = (
        f"It was stopped with {name_of(signal)} and ended {waited:.1f} s later with 137, though the engine sent no "
        f"SIGKILL: {_WHO_ELSE} These can't be told apart afterwards."
    )
    return Ending("stopped", sentence, False, evidence)


_WHO_ELSE = (
    "SIGKILL from something other than the engine (a kill on the host, the kernel's memory killer outside its own "
    "limit), or PID 1 chose to exit with 137, as a shell does whose child was killed."
)


def _from_code(run: Run, recorded: tuple[str, ...]) -> Ending:
    """Nothing is known but the exit code, and perhaps that the engine sent nothing."""
    code, evidence = run.exit_code, (*recorded, *_how_far(run))
    seen_all = run.seen >= LONG_S
    if code == KILLED:
        who = _WHO_ELSE if seen_all else (
            "a stop that ran out of time, docker kill, out of memory, a kill on the host, or an exit with 137."
        )  # fmt: skip
        return Ending("unknown", f"It ended with 137: {who} These can't be told apart afterwards.", False, evidence)
    by_itself = f"It ended by itself with {code}." if seen_all else f"It ended with {code}."
    meaning = _meaning(run)
    if code == 128 + _SIGBUS and run.details and run.details.shm_bytes:
        evidence += (f"inspect: ShmSize {run.details.shm_bytes / 1048576:g} MiB",)
    return Ending("exited", f"{by_itself} {meaning}".strip(), seen_all and code <= 128, evidence)


_SIGBUS = 7


def _how_far(run: Run) -> tuple[str, ...]:
    """How far back the engine's events say that nothing was sent."""
    if _kills(run):
        return ()
    if run.seen < LONG_S:
        return ("engine: its events of that time are gone, so what it was sent is not known",)
    if run.seen == float("inf"):
        return ("engine: no kill event came before the end",)
    return (f"engine: no kill event in the {run.seen:.0f} s before the end; its events don't go further back",)


def _meaning(run: Run) -> str:
    code, details = run.exit_code, run.details
    if not 128 < code < 128 + 65:
        return CODES.get(code, "")
    signal = name_of(code - 128)
    if details is not None and (details.pid_mode == "host" or details.pid_mode.startswith("container:")):
        return f"It shares a PID namespace, so its first process is no PID 1 there and {signal} may have ended it."
    if details is not None and details.init:
        return f"PID 1 is an init (--init), which ends with {code} when its child was ended by {signal}."
    return CODES.get(code, f"{code} is 128 + {code - 128}: {signal} by convention, or simply its own choice.")
