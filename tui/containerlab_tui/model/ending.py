"""How a container came to end: what inspect, the engine's events, its cgroup and our memory of stops say. Pure.

Exit codes above 128 name a signal only by convention, and PID 1 of a PID namespace can't be ended by a
signal at its default action, so a code alone is never taken for a proof.
"""

from collections.abc import Sequence
from dataclasses import replace

from containerlab_probes.records import MemoryRecord
from containerlab_tui.model import ending_stories as stories
from containerlab_tui.model.ending_records import Ending, PastStop, Run, when
from containerlab_tui.model.inventory import RUNNING, Details, EngineEvent

SAME_END_S = 2.0
"""Two records of one end (the engine's, ours) lie at most this far apart."""


def how_it_ended(
    details: Details,
    events: Sequence[EngineEvent],
    past: Sequence[PastStop] = (),
    known_since: float | None = None,
    memory: MemoryRecord | None = None,
) -> Ending:
    """What ended the container last time; where it runs, why, and what ended its run before.

    `events` are the engine's own about this container, as far back as it still has them, which for all its
    containers is `known_since`; `past` are stops of this container that this program watched; `memory` is what the
    cgroup of a running one says.
    """
    if details.state in RUNNING:
        return _alive(details, events, past, known_since, memory)
    if details.state == "created" or details.finished_at is None:
        return _never_started(details)
    return stories.tell(_last_run(details, events, past, known_since))


def how_a_removed_one_ended(
    name: str, events: Sequence[EngineEvent], past: Sequence[PastStop], known_since: float | None
) -> Ending | None:
    """The same of a container that the engine no longer has, by what is remembered; None: nothing is.

    `events` may be those of several containers that had the name one after another: the last counts.
    """
    last = max(events, key=lambda event: event.time, default=None)
    own = [event for event in events if last is not None and event.container == last.container]
    part = next((part for part in reversed(_parts(own)) if _died(part)), ())
    died = _died(part)
    if died is not None:
        run = replace(_run(name, part, died, past, known_since), removed=True)
        return _removed(name, stories.tell(run))
    if past:
        return _removed(name, stories.from_memory(past[0], (), past[0].exit_code))
    return None


def _removed(name: str, told: Ending) -> Ending:
    at = "" if told.finished_at is None else f" Its end came at {when(told.finished_at)}."
    return replace(told, sentence=f"{name} is gone: it has been removed.{at} {told.sentence}", removed=True)


def _alive(
    details: Details,
    events: Sequence[EngineEvent],
    past: Sequence[PastStop],
    known_since: float | None,
    memory: MemoryRecord | None,
) -> Ending:
    """Why it runs, and how its run before ended as far as the engine's events still tell."""
    before = _run_before(details, events, past, known_since)
    evidence = [f"inspect: State {details.state}, RestartCount {details.restart_count}"]
    sentences = [f"{details.name} has not ended: it is {details.state}."]
    this_run = _parts(events)[-1] if events else ()
    if details.restart_count:
        sentences.append(f"Its restart policy ({details.restart_policy}) has begun it again {_times(details)}.")
    elif any(event.action == "restart" for event in this_run):
        sentences.append("This run was begun by docker restart.")
        evidence.append("engine: a restart event came after the start")
    elif this_run[:1] and this_run[0].action == "start" and any(map(_died, _parts(events)[:-1])):
        sentences.append("This run was begun by hand or by another program (docker start), not by its restart policy.")
    if memory is not None and memory.oom_kills:
        killed = "process of it was" if memory.oom_kills == 1 else "processes of it were"
        sentences.append(f"{memory.oom_kills} {killed} killed for want of memory in this run, and PID 1 went on.")
    if memory is not None and (memory.oom_kills or memory.limit_hits):
        evidence.append(
            f"cgroup: {memory.oom_kills} killed for want of memory, limit reached {memory.limit_hits} times "
            f"({memory.source})"
        )
    if before is not None:
        sentences.append(f"Its run before: {before.sentence}")
    return Ending("running", " ".join(sentences), True, tuple(evidence), before=before)


def _times(details: Details) -> str:
    return "once" if details.restart_count == 1 else f"{details.restart_count} times in a row"


def _never_started(details: Details) -> Ending:
    if not details.error:
        return Ending("never-started", f"{details.name} was never started.", True, ("inspect: State",))
    meaning = stories.CODES.get(details.exit_code, "")
    sentence = f"{details.name} could not be started: {details.error}. {meaning}".strip()
    return Ending("never-started", sentence, True, (f"inspect: exit code {details.exit_code}, State.Error",))


def _last_run(
    details: Details, events: Sequence[EngineEvent], past: Sequence[PastStop], known_since: float | None
) -> Run:
    """The run that inspect speaks of."""
    begun = details.started_at or 0.0
    part = tuple(event for event in (_parts(events) or [()])[-1] if event.time >= begun - 0.5)
    finished = details.finished_at or begun
    return Run(
        name=details.name,
        finished_at=finished,
        exit_code=details.exit_code,
        events=part,
        seen=_seen(part, finished, known_since),
        oom_killed=details.oom_killed,
        past=_same(past, finished),
        details=details,
    )


def _run_before(
    details: Details, events: Sequence[EngineEvent], past: Sequence[PastStop], known_since: float | None
) -> Ending | None:
    """The run that ended before the one under way; that of a container between two runs is what inspect says."""
    if details.state == "restarting" and details.finished_at is not None:
        return stories.tell(_last_run(details, events, past, known_since))
    begun = details.started_at or 0.0
    for part in reversed(_parts(events)):
        died = _died(part)
        if died is not None and died.time <= begun + 0.5:
            return stories.tell(replace(_run(details.name, part, died, past, known_since), details=details))
    finished = details.finished_at
    watched = None if finished is None else _same(past, finished)
    return None if watched is None else stories.from_memory(watched, (), watched.exit_code)


def _run(
    name: str, part: tuple[EngineEvent, ...], died: EngineEvent, past: Sequence[PastStop], known_since: float | None
) -> Run:
    """A run of which only the events tell."""
    code = died.attributes.get("exitCode", "")
    return Run(
        name=name,
        finished_at=died.time,
        exit_code=int(code) if code.isdigit() else 0,
        events=part,
        seen=_seen(part, died.time, known_since),
        past=_same(past, died.time),
    )


def _parts(events: Sequence[EngineEvent]) -> list[tuple[EngineEvent, ...]]:
    """The events of each run: a `start` begins one."""
    parts: list[list[EngineEvent]] = []
    for event in sorted(events, key=lambda event: event.time):
        if event.action == "start" or not parts:
            parts.append([])
        parts[-1].append(event)
    return [tuple(part) for part in parts]


def _died(part: Sequence[EngineEvent]) -> EngineEvent | None:
    return next((event for event in part if event.action == "die"), None)


def _seen(part: Sequence[EngineEvent], finished: float, known_since: float | None) -> float:
    """For how long before the end the engine's events are complete, in seconds; infinite: for the whole run."""
    if _died(part) is None:
        return 0.0
    if part[0].action == "start":
        return float("inf")
    return max(0.0, finished - (part[0].time if known_since is None else known_since))


def _same(past: Sequence[PastStop], finished: float) -> PastStop | None:
    return next((one for one in past if abs(one.at - finished) <= SAME_END_S), None)
