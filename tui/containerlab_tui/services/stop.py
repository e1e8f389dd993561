"""Plans, runs or follows one stop of one container, and reports its state at every change."""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from containerlab_probes.errors import BadRequest, Unsupported
from containerlab_probes.records import Process
from containerlab_probes.signals.names import SIGKILL, name_of, number_of
from containerlab_tui.doctor.comparison import read_late
from containerlab_tui.engine.api import Engine, EventSource
from containerlab_tui.model.diagnosis import Diagnosis
from containerlab_tui.model.inventory import RUNNING, Details, EngineEvent
from containerlab_tui.model.product import Product
from containerlab_tui.model.stop import (
    Kind,
    Source,
    StopEvent,
    StopPlan,
    StopState,
    already_stopped,
    fold,
    known_by_exit,
)
from containerlab_tui.services.diagnosis import predict
from containerlab_tui.services.history import History
from containerlab_tui.services.processes import SeeProcesses, forecasts, see_processes
from containerlab_tui.services.stop_monitor import SURVIVED_S, StopMonitor

TRACE_START_S = 5.0
"""A command waits this long for the kernel trace: nobody looks at a screen, and the record is what it is for."""
PREDICTION_S = 2.0
"""A stop waits this long for its prediction, which usually takes some hundredths of a second."""


def plan_stop(
    engine: Engine,
    container: str,
    signal: int | None = None,
    timeout_s: int | None = None,
    *,
    since: float | None = None,
    see: SeeProcesses = see_processes,
) -> StopPlan:
    """Plans a stop of this container; sends nothing.

    `since` (epoch seconds) is when a stop to follow began: the plan has no processes of a run that started later.
    Raises Gone (no such container), Unreachable, BadRequest (no such signal).
    """
    details = engine.inspect(container)
    seen: tuple[Process, ...] = ()
    if since is not None and details.started_at is not None and details.started_at > since:
        details, reason = replace(details, pid=0), "It was restarted before its processes could be read."
    else:
        seen, reason = see(engine, details)
    number = number_of(details.stop_signal) if signal is None else signal
    if number == 0:
        raise BadRequest("Signal 0 does not stop a process: use a signal such as SIGTERM.")
    return StopPlan(
        container=details.id,
        name=details.name,
        signal=number,
        signal_source=details.stop_signal_source if signal is None else "request",
        timeout_s=details.stop_timeout_s if timeout_s is None else timeout_s,
        timeout_source=details.stop_timeout_source if timeout_s is None else "request",
        processes=seen,
        forecasts=forecasts(seen, number),
        pid=details.pid,
        unseen_reason=reason,
        image=details.image,
        product=engine.product,
        own_signal=number_of(details.stop_signal),
    )


def run_stop(
    engine: Engine,
    plan: StopPlan,
    on_change: Callable[[StopState], None] = lambda state: None,
    history: History | None = None,
    events: EventSource | None = None,
    *,
    see: SeeProcesses = see_processes,
    trace_start_s: float = TRACE_START_S,
) -> StopState:
    """Stops the container as planned; returns when the stop is over. `on_change` gets every state.

    `history` records the stop; `events` a shared source of events, else the stop opens its own. After `trace_start_s`
    it goes on without the kernel trace.
    """
    details = engine.inspect(plan.container)
    if details.state not in RUNNING:
        state = already_stopped(plan, time.time(), details.exit_code)
        on_change(state)
        return state
    if details.pid != plan.pid:
        plan = _planned_again(engine, plan, see)
    prediction = _begin_prediction(engine, plan, see)  # runs while the trace starts
    watch = StopMonitor(
        engine, plan, began=time.time(), on_change=on_change, events=events, trace_start_s=trace_start_s
    )
    watch.set_prediction(prediction())
    watch.request(lambda clone: _ask_engine(clone, plan, watch))
    return _remembered(watch.run(), history, on_change)


def stop_known_by_exit(product: Product, details: Details, event: EngineEvent, part_of: str) -> StopState:
    """Returns a finished stop of which the engine reported no more than its event of the exit."""
    plan = StopPlan(
        container=details.id,
        name=details.name,
        signal=number_of(details.stop_signal),
        signal_source=details.stop_signal_source,
        timeout_s=details.stop_timeout_s,
        timeout_source=details.stop_timeout_source,
        processes=(),
        forecasts=(),
        unseen_reason="the stop was over when the engine reported it",
        part_of=part_of,
        image=details.image,
        product=product,
    )
    return known_by_exit(plan, details.finished_at or event.time, details.exit_code)


def _planned_again(engine: Engine, plan: StopPlan, see: SeeProcesses) -> StopPlan:
    """Plans a stop of a container that was restarted since: the processes of the plan have exited."""
    signal = plan.signal if plan.signal_source == "request" else None
    timeout_s = int(plan.timeout_s) if plan.timeout_source == "request" else None
    return plan_stop(engine, plan.container, signal, timeout_s, see=see)


def _remembered(state: StopState, history: History | None, on_change: Callable[[StopState], None]) -> StopState:
    """Records the stop in the history; a failure becomes a note in the timeline."""
    remark = history.remember(state, state.plan.image) if history is not None else ""
    if remark:
        state = fold(state, StopEvent(time.time(), Kind.NOTE, Source.ENGINE, detail=remark))
        on_change(state)
    return state


def _begin_prediction(engine: Engine, plan: StopPlan, see: SeeProcesses) -> Callable[[], Diagnosis | None]:
    """Starts the doctor; returns a function that waits for the prediction, None if that takes too long or fails."""
    answers: queue.SimpleQueue[Diagnosis | None] = queue.SimpleQueue()

    def work() -> None:
        answer: Diagnosis | None = None
        try:
            clone = engine.clone()
            try:
                answer = predict(clone, plan, see)
            finally:
                clone.close()
        except Exception:  # noqa: BLE001  a defect in a prediction must neither delay the stop nor print a traceback
            answer = None
        answers.put(answer)

    threading.Thread(target=work, name="stop-forecast", daemon=True).start()
    deadline = time.monotonic() + PREDICTION_S

    def wait() -> Diagnosis | None:
        try:
            return answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return None

    return wait


def follow_stop(
    engine: Engine,
    plan: StopPlan,
    since: float,
    on_change: Callable[[StopState], None] = lambda state: None,
    history: History | None = None,
    *,
    survived_s: float = SURVIVED_S,
    events: EventSource | None = None,
    see: SeeProcesses = see_processes,
) -> StopState:
    """Follows a stop that was started outside this program at `since` (epoch seconds); sends nothing.

    Finishes without a verdict if neither an exit nor SIGKILL follows within `survived_s` after the grace period; never
    gives up if there is no limit.
    """
    watch = StopMonitor(engine, plan, began=since, on_change=on_change, survived_s=survived_s, events=events)
    prediction = _begin_prediction(engine, plan, see)()  # the watchers are running, so nothing is missed meanwhile
    watch.set_prediction(prediction and read_late(prediction))
    return _remembered(watch.run(), history, on_change)


def begins_stop(event: EngineEvent, details: Details) -> bool:
    """Returns whether an engine event begins a stop: the stop signal to PID 1, or SIGKILL."""
    if event.action != "kill":
        return False
    return event.attributes.get("signal") in (str(number_of(details.stop_signal)), str(SIGKILL))


def _ask_engine(engine: Engine, plan: StopPlan, watch: StopMonitor) -> None:
    """Sends the request and returns when the engine reports the stop as done. Runs in its own thread."""
    timeout_s = None if plan.timeout_source != "request" else int(plan.timeout_s)
    if not plan.has_chosen_signal:
        engine.stop(plan.container, timeout_s)
        return
    try:
        engine.stop(plan.container, int(plan.timeout_s), name_of(plan.signal))
    except Unsupported as why:
        watch.note(f"{why} So this program runs both phases: a kill, the grace period, then a stop with 0 s.")
        engine.kill(plan.container, name_of(plan.signal))
        if not watch.wait_for_end(plan.timeout_s):
            engine.stop(plan.container, 0)
