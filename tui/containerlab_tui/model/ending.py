"""Explains why a container stopped, from inspect, the engine's events, its cgroup and recorded stops.

Exit codes above 128 name a signal only by convention, and a signal at its default action can't terminate PID 1 of a
PID namespace, so a code alone is never proof.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from containerlab_probes.records import MemoryRecord, PidsRecord
from containerlab_tui.model import ending_explanations as explanations
from containerlab_tui.model.ending_codes import CODES
from containerlab_tui.model.ending_records import SAME_END_S, Ending, PastStop, Run, utc_time
from containerlab_tui.model.inventory import CREATED, RESTARTING, RUNNING, Details, EngineEvent
from containerlab_tui.model.product import DOCKER, Product


@dataclass(frozen=True, slots=True)
class _EngineRecords:
    """What is known about a container besides inspect."""

    events: Sequence[EngineEvent]
    past: Sequence[PastStop]
    since: float | None
    """The engine has events since then."""
    product: Product


def explain_ending(
    details: Details,
    events: Sequence[EngineEvent],
    past: Sequence[PastStop] = (),
    known_since: float | None = None,
    memory: MemoryRecord | None = None,
    *,
    pids: PidsRecord | None = None,
    product: Product = DOCKER,
) -> Ending:
    """Explains why a container stopped; for a running one, why it runs and why its previous run ended.

    `events` are the engine's events about this container; the engine has events since `known_since`. `past` are
    stops of this container that this program watched. `memory` and `pids` come from the cgroup of a running container.
    """
    known = _EngineRecords(events, past, known_since, product)
    if details.state in RUNNING:
        return _alive(details, known, memory, pids)
    if details.state == CREATED or details.finished_at is None:
        return _never_started(details, product)
    return explanations.explain(_last_run(details, known))


def explain_removed(
    name: str,
    events: Sequence[EngineEvent],
    past: Sequence[PastStop],
    known_since: float | None,
    product: Product = DOCKER,
) -> Ending | None:
    """Explains why a removed container stopped, from events and recorded stops; None if there are none.

    `events` may be about several containers that had the name one after another: the last counts.
    """
    last = max(events, key=lambda event: event.time, default=None)
    own = [event for event in events if last is not None and event.container == last.container]
    part = next((part for part in reversed(_parts(own)) if _died(part)), ())
    died = _died(part)
    if died is not None:
        run = replace(_run(name, part, died, _EngineRecords(own, past, known_since, product)), removed=True)
        return _removed(name, explanations.explain(run))
    if past:
        return _removed(name, explanations.from_recorded_stop(past[0], (), past[0].exit_code, product=product))
    return None


def _removed(name: str, ending: Ending) -> Ending:
    at = "" if ending.finished_at is None else f" It stopped at {utc_time(ending.finished_at)}."
    return replace(ending, sentence=f"{name} has been removed.{at} {ending.sentence}", removed=True)


def _alive(details: Details, known: _EngineRecords, memory: MemoryRecord | None, pids: PidsRecord | None) -> Ending:
    """Explains why it runs, and why its previous run ended, as far as the engine's events go back."""
    before, tool = _run_before(details, known), known.product.name.lower()
    evidence = [f"inspect: State {details.state}, RestartCount {details.restart_count}"]
    sentences = [f"{details.name} is {details.state}."]
    this_run = _parts(known.events)[-1] if known.events else ()
    if details.restart_count:
        sentences.append(f"Its restart policy ({details.restart_policy}) has restarted it {_times(details)}.")
    elif any(event.action == "restart" for event in this_run):
        sentences.append(f"This run was started by {tool} restart.")
        evidence.append("engine: a restart event came after the start")
    elif not known.product.reports_signals and _is_restarted(_parts(known.events)):
        sentences.append(f"This run was started by {tool} restart.")
        evidence.append("engine: a restart event came before the start")
    elif this_run[:1] and this_run[0].action == "start" and any(map(_died, _parts(known.events)[:-1])):
        sentences.append(
            f"This run was started manually or by another program ({tool} start), not by its restart policy."
        )
    for sentence, source in _limits_met(memory, pids):
        sentences += [sentence] if sentence else []
        evidence.append(f"cgroup: {source}")
    if before is not None:
        sentences.append(f"Previous run: {before.sentence}")
    return Ending("running", " ".join(sentences), True, tuple(evidence), before=before)


def _limits_met(memory: MemoryRecord | None, pids: PidsRecord | None) -> Iterator[tuple[str, str]]:
    """Yields a sentence (empty: none) and the counters for each resource whose limit this run has met."""
    if memory is not None and (memory.oom_kills or memory.limit_hits):
        killed = "process was" if memory.oom_kills == 1 else "processes were"
        sentence = f"{memory.oom_kills} {killed} killed in this run (out of memory); PID 1 kept running."
        limit = "limit" if memory.limit_bytes is None else f"limit of {memory.limit_bytes / 1048576:g} MiB"
        yield (
            sentence if memory.oom_kills else "",
            f"{memory.oom_kills} killed (out of memory), {limit} reached {memory.limit_hits} times ({memory.source})",
        )
    if pids is not None and pids.refused:
        count, limit = _count(pids.refused), "the limit" if pids.limit is None else f"the limit of {pids.limit}"
        yield (
            f"New processes or threads were refused {count} in this run, because of the limit of their number.",
            f"a new process or thread was refused {count} at {limit} (pids.events)",
        )


def _count(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _is_restarted(parts: Sequence[Sequence[EngineEvent]]) -> bool:
    """Returns whether Podman began the last run with a restart: its event comes before the exit of the run before."""
    return len(parts) > 1 and any(event.action == "restart" for event in parts[-2])


def _times(details: Details) -> str:
    return "once" if details.restart_count == 1 else f"{details.restart_count} times in a row"


def _never_started(details: Details, product: Product) -> Ending:
    if not details.error:
        return Ending("never-started", f"{details.name} was never started.", True, ("inspect: State",))
    meaning = CODES.get(details.exit_code, "").format(engine=product.name)
    sentence = f"{details.name} could not be started: {details.error}. {meaning}".strip()
    return Ending("never-started", sentence, True, (f"inspect: exit code {details.exit_code}, State.Error",))


def _last_run(details: Details, known: _EngineRecords) -> Run:
    """Returns the run that inspect describes."""
    started = details.started_at or 0.0
    part = tuple(event for event in (_parts(known.events) or [()])[-1] if event.time >= started - 0.5)
    finished = details.finished_at or started
    return Run(
        name=details.name,
        finished_at=finished,
        exit_code=details.exit_code,
        events=part,
        seen=_seen(part, finished, known.since),
        oom_killed=details.oom_killed,
        past=_same(known.past, finished),
        details=details,
        product=known.product,
    )


def _run_before(details: Details, known: _EngineRecords) -> Ending | None:
    """Explains the previous run; for a restarting container, inspect describes it."""
    if details.state == RESTARTING and details.finished_at is not None:
        return explanations.explain(_last_run(details, known))
    started = details.started_at or 0.0
    for part in reversed(_parts(known.events)):
        died = _died(part)
        if died is not None and died.time <= started + 0.5:
            run = replace(_run(details.name, part, died, known), details=details)
            return explanations.explain(run)
    finished = details.finished_at
    watched = None if finished is None else _same(known.past, finished)
    if watched is None:
        return None
    return explanations.from_recorded_stop(watched, (), watched.exit_code, product=known.product)


def _run(name: str, part: tuple[EngineEvent, ...], died: EngineEvent, known: _EngineRecords) -> Run:
    """Returns a run that only events describe."""
    code = died.attributes.get("exitCode", "")
    return Run(
        name=name,
        finished_at=died.time,
        exit_code=int(code) if code.isdigit() else 0,
        events=part,
        seen=_seen(part, died.time, known.since),
        past=_same(known.past, died.time),
        product=known.product,
    )


def _parts(events: Sequence[EngineEvent]) -> list[tuple[EngineEvent, ...]]:
    """Splits events into runs: each `start` begins one."""
    parts: list[list[EngineEvent]] = []
    for event in sorted(events, key=lambda event: event.time):
        if event.action == "start" or not parts:
            parts.append([])
        parts[-1].append(event)
    return [tuple(part) for part in parts]


def _died(part: Sequence[EngineEvent]) -> EngineEvent | None:
    return next((event for event in part if event.action == "die"), None)


def _seen(part: Sequence[EngineEvent], finished: float, known_since: float | None) -> float:
    """Returns for how many seconds before the exit the engine's events are complete; infinite: for the whole run."""
    if _died(part) is None:
        return 0.0
    if part[0].action == "start":
        return float("inf")
    return max(0.0, finished - (part[0].time if known_since is None else known_since))


def _same(past: Sequence[PastStop], finished: float) -> PastStop | None:
    return next((one for one in past if abs(one.at - finished) <= SAME_END_S), None)
