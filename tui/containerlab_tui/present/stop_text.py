"""A stop in words: its verdict, and each of its events."""

from containerlab_probes.records import Delivery
from containerlab_probes.signals.names import SIGKILL, name_of
from containerlab_tui.model.grace import grace_period
from containerlab_tui.model.stop import Kind, Source, StopEvent, StopState, Verdict, is_from_engine

_WHY_IT_STAYED = {
    Delivery.DROPPED: "PID 1 has no handler for {signal}, so the kernel discards it.",
    Delivery.IGNORED: "PID 1 ignores {signal}.",
    Delivery.PENDING: "PID 1 blocks {signal} and never waits for it.",
    Delivery.DEFERRED: "PID 1 is a shell that runs its {signal} trap only after its foreground child exits.",
    Delivery.HANDLER: "PID 1 has a handler for {signal}, but did not exit in time.",
    Delivery.SIGWAIT: "PID 1 waits for {signal} in sigwait, but did not exit in time.",
    Delivery.SIGNALFD: "PID 1 reads {signal} from a signalfd, but did not exit in time.",
}


def explain(state: StopState) -> tuple[str, ...]:
    """Returns the verdict in words, the main sentence first; empty while the stop is in progress."""
    match state.verdict:
        case None if state.settled and state.phase_2 is None:
            signal, engine = name_of(state.plan.signal), state.plan.product.name
            return (f"A single {signal}, not a stop: {engine} sent no SIGKILL, and the container keeps running.",)
        case None:
            return ()
        case Verdict.ALREADY_STOPPED:
            return ("It was not running. Nothing sent.",)
        case Verdict.FAILED:
            failures = [event.detail for event in state.events if event.kind is Kind.FAILED]
            return (f"The stop failed: {failures[-1]}",)
        case Verdict.KILLED | Verdict.GRACEFUL if state.is_known_by_exit:
            return (_known_by_exit(state),)
        case Verdict.KILLED:
            main = _killed(state)
        case Verdict.GRACEFUL:
            main = (f"Exited on its own after {_seconds(state.duration_s)} {_how(state)}.",)
        case Verdict.RESTARTED:
            main = (f"Exited after {_seconds(state.duration_s)} {_how(state)}, then was restarted.",)
    return (*main, *_killed_children(state))


def _known_by_exit(state: StopState) -> str:
    how = f"Exited {_how(state)}"
    if state.verdict is Verdict.KILLED:
        how = "Exited with code 137, most likely killed"
    return f"{how} after a stop or kill. {state.plan.product.name} reports no more than the exit."


def _killed(state: StopState) -> tuple[str, ...]:
    signal = name_of(state.plan.signal)
    after = f"killed after {_seconds(state.duration_s)} (SIGKILL, exit code 137)"
    if state.out_of_memory and state.phase_2 is None:  # if Docker sent SIGKILL, a child was killed out of memory
        return (f"Out of memory: {after} by the kernel.",)
    if state.phase_2 is None:
        return (f"{after[0].upper()}{after[1:]}, but not by this stop: {_no_kill(state)}.",)
    first_phase = state.phase_1
    if state.plan.signal == SIGKILL:
        return (f"{after[0].upper()}{after[1:]}: its stop signal is SIGKILL.",)
    if first_phase is None or not _has_stop_signal(state):
        return (f"{after[0].upper()}{after[1:]}: {_killed_first(state)}.",)
    forecast = next((one for one in state.plan.forecasts if one.id.pid == state.plan.pid), None)
    why = _WHY_IT_STAYED.get(forecast.delivery) if forecast else None
    return (f"Did not exit on {signal}: {after}.", *([why.format(signal=signal)] if why else []))


def _has_stop_signal(state: StopState) -> bool:
    """Returns whether a stop signal was sent before SIGKILL, or must have been: this program sent it, or it took time.

    If neither the event nor a trace names the signal, a kill that was reported during this stop sent the chosen one.
    """
    signals = [event for event in state.events if event.kind is Kind.SIGNAL]
    if any(event.signal != SIGKILL and is_from_engine(event, state.plan) for event in signals):
        return True
    if state.plan.product.reports_signals:
        return False
    if state.plan.has_chosen_signal and any(event.source is Source.ENGINE for event in signals):
        return True
    phase_1 = state.phase_1
    return phase_1 is not None and phase_1.ended is not None and phase_1.ended > phase_1.started


def _no_kill(state: StopState) -> str:
    product = state.plan.product
    if product.reports_signals or state.plan.traced:
        return f"{product.name} sent no SIGKILL"
    return f"the grace period of {grace_period(state.plan.timeout_s)} had not expired"


def _killed_first(state: StopState) -> str:
    name = state.plan.product.name
    if not state.plan.product.reports_signals and state.plan.timeout_s == 0:
        return f"without a grace period {name} sends only SIGKILL"
    tool = name.lower()
    return f"SIGKILL was the first signal, as with {tool} kill or {tool} rm -f"


def _how(state: StopState) -> str:
    init = state.init_lane
    ended_by = init.ended_by if init and init.ended_by is not None else state.exit_code
    if isinstance(ended_by, str):
        code = f" (exit code {state.exit_code})" if state.exit_code is not None else ""
        return f"by {ended_by}{code}"
    return f"with code {ended_by}" if ended_by is not None else "with an unknown code"


def _killed_children(state: StopState) -> tuple[str, ...]:
    """Describes the children that were killed with PID 1: one sentence each, at most three, then a count."""
    signal, ended = name_of(state.plan.signal), state.ended_at
    killed = [
        lane for lane in state.lanes
        if lane.id.pid != state.plan.pid and lane.ended_by == "SIGKILL" and ended is not None
        and lane.ended_at is not None and lane.ended_at >= ended - 0.05
    ]  # fmt: skip
    what = {
        True: f"received {signal}, was still running, and was killed with PID 1",
        False: f"never got {signal} and was killed with PID 1",
        None: f"was killed with PID 1; {state.plan.product.name} had sent it no signal",
    }
    sentences = [f"Process {lane.container_pid} {what[lane.got_signal]}." for lane in killed[:3]]
    if len(killed) > 3:
        more = len(killed) - 3
        sentences.append(f"{more} more {'was' if more == 1 else 'were'} killed the same way.")
    return tuple(sentences)


_HAPPENED = {
    Kind.REQUESTED: "requested",
    Kind.STOPPED: "stop finished",
    Kind.STARTED: "container started",
    Kind.REMOVED: "container removed",
    Kind.OUT_OF_MEMORY: "out of memory",
    Kind.FAILED: "failed",
    Kind.SETTLED: "done",
    Kind.NOTE: "",
}


def describe(event: StopEvent) -> str:
    """Describes one event, without its time and source."""
    signal = name_of(event.signal) if event.signal else "a signal"
    who = "a process" if event.container_pid is None else f"PID {event.container_pid}"
    match event.kind:
        case Kind.SIGNAL:
            said = f"{signal} to {who}"
        case Kind.DELIVERED:
            said = f"{who} received {signal}"
        case Kind.ENDED:
            said = f"{who} {_exited(event.ended_by)}"
        case Kind.DIED:
            said = f"container {_exited(event.ended_by)}"
        case _:
            said = _HAPPENED[event.kind]
    return f"{said}: {event.detail}" if said and event.detail else said or event.detail or event.kind.value


def _exited(ended_by: int | str | None) -> str:
    if ended_by is None:
        return "exited"
    return f"exited with code {ended_by}" if isinstance(ended_by, int) else f"killed by {ended_by}"


def _seconds(duration_s: float | None) -> str:
    if duration_s is None:
        return "an unknown time"
    return f"{duration_s:.2f} s" if duration_s < 1 else f"{duration_s:.1f} s"
