"""Explains the end of a run on an engine that reports neither stops nor the signals it sends.

Podman's `kill` events come from a kill alone, not from a stop, and name no signal. Whether anyone asked is in its own
inspect (`StoppedByUser`).
"""

from dataclasses import replace

from containerlab_tui.model.ending_codes import CGROUP_GONE, KILLED, LONG_S, limit_of, meaning_of, who_else
from containerlab_tui.model.ending_records import Ending, Run
from containerlab_tui.model.grace import grace_period
from containerlab_tui.model.inventory import HAS_PROCESSES, HEALTH, UNHEALTHY

Evidence = tuple[str, ...]


def explain_unreported(run: Run, recorded: Evidence) -> Ending:
    """Explains a run that this program has not watched; `recorded` is the engine's record of the exit."""
    name, asked = run.product.name, None if run.details is None else run.details.asked_to_stop
    if restarts := [event.time for event in run.events if event.action == "restart" and event.time < run.finished_at]:
        asked, ago = True, f"{run.finished_at - restarts[-1]:.1f} s before the exit"
        recorded += (f"engine: {name.lower()} restart was requested {ago}",)
    kills = [event.time for event in run.events if event.action == "kill" and event.time <= run.finished_at + 0.5]
    evidence = (*recorded, *_evidence(run, asked, kills))
    if run.exit_code == KILLED and run.oom_killed and (asked or kills):
        sentence = f"It was stopped or killed through {name} and exited with 137; it also reached {limit_of(run)}, and "
        sentence += "the kernel killed a process. Which of the two is unknown."
        return Ending("unknown", sentence, False, (*evidence, CGROUP_GONE))
    if run.exit_code == KILLED and run.oom_killed:
        sentence = f"It reached {limit_of(run)}, and the kernel killed a process, most likely PID 1. {name} reports no "
        return Ending("out-of-memory", f"{sentence}signals, so a later SIGKILL is possible.", False, evidence)
    if kills:
        return _with_health(_after_kill(run, run.finished_at - kills[-1], evidence), run)
    if asked:
        return _with_health(_asked(run, evidence), run)
    ending = _from_code(run, asked, evidence)
    return _with_health(ending, run) if asked is None else ending


def _evidence(run: Run, asked: bool | None, kills: list[float]) -> Evidence:
    """Returns what the engine has recorded about requests and signals, and what it hasn't."""
    name, found = run.product.name, []
    if asked is not None:
        found.append(f"inspect: {name} has recorded {'a' if asked else 'no'} request to stop or kill it")
    if kills:
        ago = f"{max(0.0, run.finished_at - kills[-1]):.1f} s before the exit"
        found.append(f"engine: the last kill event came {ago}; {name} does not report the signal")
    elif run.seen == 0:
        found.append(f"engine: {name} keeps no events of that time")
    elif run.seen == float("inf"):
        found.append(f"engine: no kill event before the exit; {name} reports no stops")
    else:
        found.append(f"engine: no kill event in the {run.seen:.0f} s before the exit; {name} reports no stops")
    return tuple(found)


def _with_health(ending: Ending, run: Run) -> Ending:
    """Adds that a failed health check may have been the cause: `podman run --health-on-failure=kill`, or `stop`."""
    failed = _failed_check(run)
    if not failed:
        return ending
    sentence = f"Its health check had failed: with --health-on-failure, {run.product.name} itself stops or kills it."
    return replace(ending, sentence=f"{ending.sentence} {sentence}", evidence=(*ending.evidence, failed))


def _failed_check(run: Run) -> str:
    """Returns the evidence that the last health check failed; empty: it didn't, or there was none.

    An event of Podman 4 comes before its check and has the result of the one before. Inspect has the last.
    """
    if run.details is not None and run.details.state not in HAS_PROCESSES and run.details.health:
        return "inspect: its last health check failed" if run.details.health == UNHEALTHY else ""
    checks = [event for event in run.events if event.action == "health_status" and event.time <= run.finished_at]
    if checks and checks[-1].attributes.get(HEALTH) == UNHEALTHY:
        return f"engine: its health check reported unhealthy {run.finished_at - checks[-1].time:.1f} s before the exit"
    return ""


def _after_kill(run: Run, waited_s: float, evidence: Evidence) -> Ending:
    """Explains an exit after a kill whose signal isn't known. A stop may have followed it."""
    tool = f"{run.product.name.lower()} kill"
    waited_s = max(0.0, waited_s)
    if run.exit_code == KILLED:
        sentence = f"It exited with 137, {waited_s:.1f} s after {tool}: most likely the signal was SIGKILL."
        if waited_s >= 1:
            sentence = (
                f"It exited with 137, {waited_s:.1f} s after {tool}, whose signal is not reported. A later stop that "
                "timed out, out of memory and a kill on the host are possible, too."
            )
        return Ending("killed" if waited_s < 1 else "unknown", sentence, False, evidence)
    sentence = f"It exited with {run.exit_code}, {waited_s:.1f} s after {tool}, whose signal is not reported"
    sentence += "." if waited_s < LONG_S else "; the two may be unrelated."
    return Ending("signalled", sentence, waited_s < LONG_S, evidence)


def _asked(run: Run, evidence: Evidence) -> Ending:
    """Explains an exit after a recorded request, without a kill event."""
    name, code = run.product.name, run.exit_code
    if run.seen < LONG_S and run.seen != float("inf"):
        sentence = f"It was stopped or killed through {name} and exited with {code}; {name} keeps no events of that "
        return Ending("unknown" if code == KILLED else "stopped", f"{sentence}time.", False, evidence)
    if code != KILLED and run.seen == float("inf"):
        return Ending("stopped", f"It was stopped through {name} and exited on its own with {code}.", True, evidence)
    if code != KILLED:
        sentence = f"It was stopped or killed through {name}, the latter more than {run.seen:.0f} s before, and exited "
        return Ending("stopped", f"{sentence}on its own with {code}.", False, evidence)
    grace = run.details and f" ({grace_period(run.details.stop_timeout_s)}, unless the stop named another)"
    sentence = (
        f"It was stopped through {name} and exited with 137: most likely it did not exit within the grace period"
        f"{grace or ''} and was killed."
    )
    return Ending("stop-killed", sentence, False, evidence)


def _from_code(run: Run, asked: bool | None, evidence: Evidence) -> Ending:
    """Explains an exit without a recorded request."""
    name, code, meaning = run.product.name, run.exit_code, meaning_of(run)
    if asked is False:
        if code == KILLED:
            sentence = f"It exited with 137, and nobody asked {name} to stop it. {who_else(run.product)}"
            return Ending("unknown", sentence, False, evidence)
        return Ending("exited", f"It exited on its own with {code}. {meaning}".strip(), code <= 128, evidence)
    kept = f"{name} keeps no events of that time" if run.seen == 0 else f"{name} reports no stops"
    if code == KILLED:
        sentence = (
            f"It exited with 137. {kept}: possible causes are a stop that timed out, {name.lower()} kill, out of "
            "memory, a kill on the host, or exit code 137 from PID 1 itself."
        )
        return Ending("unknown", sentence, False, evidence)
    sentence = f"It exited with {code}. {kept}, so whether it was stopped is unknown. {meaning}"
    return Ending("exited", sentence.strip(), False, evidence)
