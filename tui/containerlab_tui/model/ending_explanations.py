"""Explains how one finished run of a container ended.

Docker's events come first: only a stop (or restart) emits `stop`; a stop, docker kill and docker rm -f all emit `kill`
with the signal (moby daemon/stop.go, kill.go, delete.go). No event names who requested it.
"""

from dataclasses import replace

from containerlab_probes.signals.names import SIGKILL, name_of
from containerlab_tui.model.ending_codes import CGROUP_GONE, KILLED, LONG_S, limit_of, meaning_of, who_else
from containerlab_tui.model.ending_records import NEAR_S, Ending, PastStop, Run
from containerlab_tui.model.ending_unreported import explain_unreported
from containerlab_tui.model.grace import grace_period
from containerlab_tui.model.inventory import HAS_PROCESSES
from containerlab_tui.model.product import DOCKER, Product, sends_for_engine

AT_ONCE_S = 2.0
"""A process that the kernel kills exits within this time."""


def explain(run: Run) -> Ending:
    """Explains how a run ended."""
    reports = run.product.reports_signals or run.past is not None
    ending = _with_killed_children(run, _explain(run) if reports else explain_unreported(run, _recorded(run)))
    return replace(ending, exit_code=run.exit_code, finished_at=run.finished_at)


def from_recorded_stop(
    past: PastStop,
    recorded: tuple[str, ...],
    code: int | None,
    stopped: bool = False,
    product: Product = DOCKER,
) -> Ending:
    """Explains a stop that this program watched; `stopped`: the engine has a stop event for it."""
    took = "" if past.duration_s is None else f" after {past.duration_s:.1f} s"
    evidence = (*recorded, f"seen: this program watched a stop with {past.signal}, verdict {past.verdict}")
    if past.sender:
        evidence += (f"kernel: PID 1's SIGKILL came from {past.sender}",)
    sender = "" if not past.sender or sends_for_engine(past.sender) else f" by {past.sender}"
    cause, sure, tool = "killed", True, product.name.lower()
    if not past.killed:
        cause = "stopped"
        sentence = f"It was stopped with {past.signal} and exited on its own{took} with {code}."
    elif past.out_of_memory and past.phase_2_s is None:
        cause = "out-of-memory"
        sentence = f"It reached its memory limit during a stop with {past.signal}, and the kernel killed it{took}."
    elif past.phase_2_s is None:
        sentence = f"During a stop with {past.signal} it was killed{sender}{took}; {product.name} sent no SIGKILL."
        if not sender:
            cause, sure = "unknown", False
            sentence = f"During a stop with {past.signal} it exited with 137{took}"
            sentence += f"; {product.name} sent no SIGKILL. " if product.reports_signals else ". "
            sentence += who_else(product)
    elif past.signal == "SIGKILL":
        cause = "stop-killed" if stopped else "killed"
        sentence = "It was killed at once: its stop signal is SIGKILL."
        sentence += "" if stopped else f" A stop, {tool} kill and {tool} rm -f look the same in this case."
    elif past.grace_s == 0 and not product.reports_signals:
        cause, sentence = "stop-killed", f"It was stopped without a grace period and killed{took}."
    elif not past.phase_1_s:
        sentence = f"It was killed with SIGKILL through {product.name} ({tool} kill or {tool} rm -f)."
    else:
        cause = "stop-killed"
        near = abs(past.phase_1_s - past.grace_s) < NEAR_S
        grace = grace_period(past.grace_s) if near else f"{past.phase_1_s:.1f} s"
        sentence = f"It was stopped with {past.signal}, did not exit within {grace}, and was killed{took}."
    return Ending(cause, sentence, sure, evidence, code, past.at)


def _explain(run: Run) -> Ending:
    recorded = _recorded(run)
    if run.past is not None:
        return from_recorded_stop(run.past, recorded, run.exit_code, _stopped(run), run.product)
    kills = _kills(run)
    if kills:
        sent = ", ".join(f"{name_of(one)} {run.finished_at - at:.1f} s before the exit" for at, one in kills[-4:])
        recorded += (f"engine: kill events: {sent}; who requested them is not recorded",)
    if run.exit_code == KILLED and kills and kills[-1][1] == SIGKILL:
        return _killed(run, kills, recorded)
    if run.exit_code == KILLED and (run.oom_killed or _ooms(run)):
        return _out_of_memory(run, recorded)
    if kills and (_stopped(run) or run.exit_code != KILLED):
        return _signalled(run, kills, recorded)
    return _from_code(run, recorded)


def _recorded(run: Run) -> tuple[str, ...]:
    if run.details is None or run.details.state in HAS_PROCESSES:  # inspect describes the current run
        return (f"engine: die event, exit code {run.exit_code}",)
    return (f"inspect: exit code {run.exit_code}, OOMKilled {str(run.oom_killed).lower()}",)


def _kills(run: Run) -> list[tuple[float, int]]:
    """Returns the times and numbers of the signals that the engine sent to PID 1."""
    return [
        (event.time, int(signal))
        for event in run.events
        if event.action == "kill" and (signal := event.attributes.get("signal", "")).isdigit()
        and event.time <= run.finished_at + 0.5
    ]  # fmt: skip


def _ooms(run: Run) -> list[float]:
    """Returns how many seconds before the exit processes were killed (out of memory)."""
    return [max(0.0, run.finished_at - event.time) for event in run.events if event.action == "oom"]


def _stopped(run: Run) -> bool:
    return any(event.action == "stop" for event in run.events)


def _killed(run: Run, kills: list[tuple[float, int]], evidence: tuple[str, ...]) -> Ending:
    """Explains an exit after the engine sent SIGKILL."""
    at = kills[-1][0]
    before = [one for one in kills if one[1] != SIGKILL and (_stopped(run) or at - one[0] < LONG_S)]
    if before:
        waited, signal = at - before[-1][0], name_of(before[-1][1])
        if _stopped(run):
            sentence = f"It was stopped with {signal}, did not exit within {waited:.1f} s, and was killed (137)."
            return Ending("stop-killed", sentence, True, (*evidence, "engine: a stop event"))
        sentence = f"docker kill sent {signal}, and {waited:.1f} s later it was killed with SIGKILL, not by a stop."
        return Ending("killed", sentence, True, (*evidence, _NO_STOP))
    if _stopped(run):
        sentence = "It was stopped and killed at once, because its stop signal is SIGKILL."
        return Ending("stop-killed", sentence, True, (*evidence, "engine: a stop event"))
    sentence = "It was killed with SIGKILL through Docker (docker kill)."
    if run.removed:
        sentence = "It was killed with SIGKILL through Docker (docker rm -f, or docker kill and a later removal)."
    return Ending("killed", sentence, True, (*evidence, _NO_STOP))


_NO_STOP = "engine: no stop event; every docker stop emits one"


def _out_of_memory(run: Run, evidence: tuple[str, ...]) -> Ending:
    """Explains 137 without SIGKILL from the engine, with a process killed out of memory."""
    ooms, limit = _ooms(run), limit_of(run)
    evidence += _oom_evidence(run)
    if any(ago <= AT_ONCE_S for ago in ooms):
        sentence = (
            f"It reached {limit}, and the kernel killed PID 1, or a child whose code 137 PID 1 returned, as a shell "
            "does. Which of the two is unknown."
        )
        return Ending("out-of-memory", sentence, True, evidence)
    if ooms:
        sentence = (
            f"One of its processes was killed (out of memory) {ooms[-1]:.1f} s before the exit; PID 1 kept running. "
            f"{who_else(run.product)}"
        )
        return Ending("unknown", sentence, False, evidence)
    sentence = (
        f"It reached {limit}, and the kernel killed a process, most likely PID 1. The engine no longer has the events "
        "of that time, so a later SIGKILL is possible."
    )
    return Ending("out-of-memory", sentence, False, evidence)


def _oom_evidence(run: Run) -> tuple[str, ...]:
    events = tuple(f"engine: an oom event came {ago:.1f} s before the exit" for ago in _ooms(run)[-1:])
    return (*events, CGROUP_GONE)


def _with_killed_children(run: Run, ending: Ending) -> Ending:
    """Adds processes other than PID 1 that were killed out of memory."""
    out_of_memory = run.oom_killed or _ooms(run)
    if ending.cause == "out-of-memory" or not out_of_memory or ending.evidence[-1] == CGROUP_GONE:
        return ending
    ago = _ooms(run)
    time = f"{ago[-1]:.1f} s before the exit" if ago else "in this run"
    sentence = f"{ending.sentence} A process other than PID 1 was killed (out of memory) {time}."
    if ending.cause == "exited":
        sentence += " Whether PID 1 exited because of that is unknown."
    sure = ending.sure and ending.cause != "exited"
    return replace(ending, sentence=sentence, sure=sure, evidence=(*ending.evidence, *_oom_evidence(run)))


def _signalled(run: Run, kills: list[tuple[float, int]], evidence: tuple[str, ...]) -> Ending:
    """Explains an exit on its own after the engine sent signals."""
    code, (at, signal) = run.exit_code, kills[-1]
    waited = max(0.0, run.finished_at - at)
    if signal == SIGKILL:
        sentence = f"It exited on its own with {code} just as the stop sent SIGKILL."
        return Ending("stopped", sentence, True, evidence)
    if not _stopped(run):
        sentence = f"It exited with {code}, {waited:.1f} s after docker kill sent {name_of(signal)}"
        sentence += "." if waited < LONG_S else "; the two may be unrelated."
        return Ending("signalled", sentence, waited < LONG_S, (*evidence, _NO_STOP))
    evidence += ("engine: a stop event",)
    sentence = f"It was stopped with {name_of(signal)} and exited on its own {waited:.1f} s later with {code}."
    if code != KILLED:
        return Ending("stopped", sentence, True, evidence)
    sentence = (
        f"It was stopped with {name_of(signal)} and exited {waited:.1f} s later with 137, but Docker sent no SIGKILL. "
        f"{who_else(run.product)}"
    )
    return Ending("stopped", sentence, False, evidence)


def _from_code(run: Run, recorded: tuple[str, ...]) -> Ending:
    """Explains an exit with only its code known, and perhaps that the engine sent no signal."""
    code, evidence = run.exit_code, (*recorded, *_how_far(run))
    seen_all = run.seen >= LONG_S
    if code == KILLED:
        who = who_else(run.product) if seen_all else (
            "Possible causes: a stop that timed out, docker kill, out of memory, a kill on the host, or exit code 137 "
            "from PID 1 itself."
        )  # fmt: skip
        if run.details and run.details.memory_bytes:
            limit = f"inspect: memory limit {run.details.memory_bytes / 1048576:g} MiB"
            evidence += (f"{limit}; not every engine reports each kill because of it",)
        return Ending("unknown", f"It exited with 137. {who}", False, evidence)
    exited = f"It exited on its own with {code}." if seen_all else f"It exited with {code}."
    meaning = meaning_of(run)
    if code == 128 + _SIGBUS and run.details and run.details.shm_bytes:
        evidence += (f"inspect: ShmSize {run.details.shm_bytes / 1048576:g} MiB",)
    return Ending("exited", f"{exited} {meaning}".strip(), seen_all and code <= 128, evidence)


_SIGBUS = 7


def _how_far(run: Run) -> tuple[str, ...]:
    """Returns for how long before the exit the engine is known to have sent no signal."""
    if _kills(run):
        return ()
    if run.seen < LONG_S:
        return ("engine: it no longer has the events of that time, so the signals sent are unknown",)
    if run.seen == float("inf"):
        return ("engine: no kill event before the exit",)
    return (f"engine: no kill event in the {run.seen:.0f} s before the exit; its events start there",)
