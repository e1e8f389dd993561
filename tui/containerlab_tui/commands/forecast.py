"""`forecast`: predicts the effect of each signal on each process. Sends nothing."""

import argparse

from containerlab_probes.records import Forecast
from containerlab_probes.signals.forecast import without_root
from containerlab_probes.signals.names import name_of, number_of
from containerlab_tui.commands import common
from containerlab_tui.present import documents
from containerlab_tui.services.processes import forecasts, visible_processes


def run(arguments: argparse.Namespace) -> int:
    """Returns 0. Raises BadRequest (no such signal), and as `processes`."""
    engine = common.engine(arguments)
    details = engine.inspect(arguments.name)
    chosen = [number_of(text) for text in arguments.signals or [details.stop_signal]]
    seen = visible_processes(engine, details)
    missing = without_root(seen.processes)
    made: list[Forecast] = [one for signal in chosen for one in forecasts(seen.processes, signal)]
    if arguments.json:
        common.answer(documents.forecasts(details.name, made, missing, seen.unread))
        return 0
    commands = {one.id: one.command for one in seen.processes}
    rows = [
        (str(one.id.pid), str(one.container_pid), name_of(one.signal), _delivery(one), one.effect,
         commands[one.id][:40], one.evidence)
        for one in made
    ]  # fmt: skip
    common.tell_partial(missing)
    headings = ("PID", "IN", "SIGNAL", "DELIVERY", "EFFECT", "PROCESS", "EVIDENCE")
    common.say(common.table(headings, rows, right=(0, 1)))
    common.tell_partial(seen.unread)
    return 0


def _delivery(one: Forecast) -> str:
    return f"{one.delivery}, likely" if one.likely else one.delivery
