"""Diagnoses running containers: gathers the facts and calls the doctor. Changes nothing."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from containerlab_probes.errors import ContainerlabError, Gone, TimedOut, Unanswered, Unreachable
from containerlab_probes.signals.names import name_of
from containerlab_tui.doctor.diagnosis import diagnose
from containerlab_tui.doctor.facts import Facts
from containerlab_tui.doctor.gather import gather
from containerlab_tui.doctor.readers import python
from containerlab_tui.engine.api import Engine
from containerlab_tui.model.diagnosis import Diagnosis
from containerlab_tui.model.ending_records import PastStop
from containerlab_tui.model.inventory import HAS_PROCESSES, Details, EngineEvent
from containerlab_tui.services import history as history_of_stops
from containerlab_tui.services.processes import SeeProcesses, see_processes

if TYPE_CHECKING:
    from containerlab_tui.model.stop import StopPlan

History = Callable[[Details], Sequence[PastStop]]


def recorded_stops(details: Details, tell: Callable[[str], object] = lambda sentence: None) -> tuple[PastStop, ...]:
    """Returns recorded stops of this container, then of others of its image, latest first.

    `tell` gets a sentence about what could not be read.
    """
    memory = history_of_stops.History(tell=tell)
    own = memory.of_container(details.id)
    return (*own, *(one for one in memory.of_image(details.image, 20) if one.container != details.id))


def doctor(
    engine: Engine,
    container: str,
    history: History | None = None,
    events: Sequence[EngineEvent] | None = None,
    *,
    see: SeeProcesses = see_processes,
) -> Diagnosis:
    """Predicts a stop of this container. Raises Gone (no such container, or it isn't running), Unreachable.

    `events` are the engine's events of all containers, if already fetched.
    """
    details = engine.inspect(container)
    if not details.pid:
        raise Gone(f"{details.name} is not running. Start it first.")
    return _diagnosed(engine, details, see, history, events)


def _diagnosed(
    engine: Engine,
    details: Details,
    see: SeeProcesses,
    history: History | None,
    events: Sequence[EngineEvent] | None = None,
) -> Diagnosis:
    """Diagnoses, and turns any unexpected error into a ContainerlabError about this container."""
    try:
        return replace(diagnose(_facts(engine, details, see, history, events)), product=engine.product)
    except ContainerlabError:
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {error}"[:200]
        raise ContainerlabError(
            f"The doctor failed on what {details.name} runs ({what}). `containerlab-tui processes {details.name}` and "
            "`forecast` show what the kernel knows; please report the rest."
        ) from error
    finally:
        python.forget()


def _facts(
    engine: Engine,
    details: Details,
    see: SeeProcesses,
    history: History | None,
    events: Sequence[EngineEvent] | None,
) -> Facts:
    seen, unseen_reason = see(engine, details)
    return gather(
        engine,
        details,
        seen,
        unseen_reason=unseen_reason,
        history=history(details) if history else (),
        events=_signal_events(engine, details.id) if events is None else events,
    )


def _signal_events(engine: Engine, container: str = "") -> Sequence[EngineEvent]:
    """Returns past events, for the signals in them; Podman names none, and reads its whole file for each request."""
    return engine.past_events(container, 0.0) if engine.product.reports_signals else ()


def doctor_all(
    engine: Engine, history: History | None = None, *, see: SeeProcesses = see_processes
) -> tuple[tuple[Diagnosis, ...], tuple[str, ...]]:
    """Diagnoses all running containers, in the engine's order; returns a sentence for each failure.

    Raises Unreachable, TimedOut: after no response of the engine for one container, the others are skipped.
    """
    running = [(one.id, one.name) for one in engine.containers() if one.state in HAS_PROCESSES]
    return doctor_each(engine, running, history, see=see)


def doctor_each(
    engine: Engine,
    containers: Iterable[tuple[str, str]],
    history: History | None = None,
    *,
    see: SeeProcesses = see_processes,
) -> tuple[tuple[Diagnosis, ...], tuple[str, ...]]:
    """Diagnoses containers, given by id and name; leaves out those that have stopped."""
    made: list[Diagnosis] = []
    unseen: list[str] = []
    events = _signal_events(engine)
    for container, name in containers:
        try:
            made.append(doctor(engine, container, history, events, see=see))
        except Gone:
            continue
        except ContainerlabError as error:
            if isinstance(error, Unreachable | TimedOut) and not isinstance(error, Unanswered):
                raise
            unseen.append(f"{name}: {error}")
    return tuple(made), tuple(unseen)


def predict(engine: Engine, plan: "StopPlan", see: SeeProcesses = see_processes) -> Diagnosis | None:
    """Predicts a planned stop; None if the container is no longer running."""
    try:
        details = engine.inspect(plan.container)
        if not details.pid:
            return None
        planned = replace(
            details,
            stop_signal=name_of(plan.signal),
            stop_signal_source=plan.signal_source if plan.has_chosen_signal else details.stop_signal_source,
            stop_timeout_s=int(plan.timeout_s),
            stop_timeout_source=plan.timeout_source,
        )
        return _diagnosed(engine, planned, see, recorded_stops)
    except ContainerlabError:
        return None
