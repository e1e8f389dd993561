"""`stop`: stops a container and prints both phases live, or the whole timeline as JSON."""

import argparse

from containerlab_probes.signals.names import name_of, number_of
from containerlab_tui.commands import common
from containerlab_tui.doctor import comparison
from containerlab_tui.model.diagnosis import Comparison
from containerlab_tui.model.grace import grace_period
from containerlab_tui.model.stop import Kind, StopEvent, StopPlan, StopState, Verdict
from containerlab_tui.present import doctor_documents, documents
from containerlab_tui.present.safe_text import SafeText, safe, safe_block
from containerlab_tui.present.stop_text import describe, explain
from containerlab_tui.services.history import History
from containerlab_tui.services.policy import Operation
from containerlab_tui.services.stop import plan_stop, run_stop


def run(arguments: argparse.Namespace) -> int:
    """Returns 0 if it exited on its own or wasn't running, 1 if it was killed or the stop failed."""
    engine = common.changing_engine(arguments, f"stop {safe(arguments.name)}", Operation.STOP)
    signal = number_of(arguments.signal) if arguments.signal else None
    plan = plan_stop(engine, arguments.name, signal, arguments.timeout)
    history = History(arguments=common.settings(arguments).settings.history_arguments)
    if arguments.json:
        state = run_stop(engine, plan, history=history)
        compared = _compared(state)
        common.answer(
            {**documents.stop(state), "prediction": doctor_documents.prediction(compared) if compared else None}
        )
    else:
        common.say(_heading(plan))
        state = run_stop(engine, plan, _Printer(plan), history)
        compared = _compared(state)
        sentences = (*explain(state), *((compared.sentence,) if compared else ()))
        common.say(safe_block(sentences))
    return 0 if state.verdict in (Verdict.GRACEFUL, Verdict.ALREADY_STOPPED) else 1


def _compared(state: StopState) -> Comparison | None:
    return comparison.compare(state.plan.prediction, state) if state.plan.prediction else None


def _heading(plan: StopPlan) -> SafeText:
    grace = f"{grace_period(plan.timeout_s)} ({plan.timeout_source})"
    lines = [f"stop {safe(plan.name)}: {name_of(plan.signal)} ({plan.signal_source}), grace period {grace}"]
    lines += [
        f"  {process.container_pid:>5}  {safe(process.command, 60)}: {forecast.delivery}, {forecast.effect}"
        + ("" if process.pid == plan.pid else "; not signalled")
        for process, forecast in zip(plan.processes, plan.forecasts, strict=True)
    ]
    if plan.unseen_reason:
        lines.append(f"  processes unknown: {plan.unseen_reason}")
    return safe_block(lines)


class _Printer:
    """Prints each event once, when it arrives."""

    def __init__(self, plan: StopPlan) -> None:
        self._commands = {process.id: process.command for process in plan.processes}
        self._printed: set[StopEvent] = set()
        self._has_printed_prediction = False

    def __call__(self, state: StopState) -> None:
        if state.plan.prediction is not None and not self._has_printed_prediction:
            self._has_printed_prediction = True
            common.say(safe(f"  {comparison.words(state.plan.prediction)}."))
        for event in state.events:
            if event not in self._printed and event.kind is not Kind.SETTLED:
                self._printed.add(event)
                command = safe(self._commands.get(event.id, ""), 40) if event.id else ""
                line = f"{event.at - state.began:8.3f}  {event.source:<6}  {safe(describe(event))}  {command}"
                common.say(safe(line.rstrip()))
