"""`ps`: lists containers."""

import argparse

from containerlab_probes.errors import Gone
from containerlab_tui.commands import common
from containerlab_tui.model.grace import grace_period
from containerlab_tui.model.inventory import LISTED, Details, ordered
from containerlab_tui.present import documents
from containerlab_tui.present.states import status_with_health


def run(arguments: argparse.Namespace) -> int:
    """Returns 0. Raises Unreachable."""
    engine = common.engine(arguments)
    containers = ordered(one for one in engine.containers() if arguments.all or one.state in LISTED)
    details: dict[str, Details] = {}
    for one in containers:
        try:
            details[one.id] = engine.inspect(one.id)
        except Gone:
            continue
    if arguments.json:
        common.answer(documents.ps(engine.endpoint, engine.version(), containers, details))
        return 0
    rows = [
        (
            one.name,
            one.image,
            one.state,
            str(more.pid or "—") if more else "—",
            f"{more.stop_signal} {grace_period(more.stop_timeout_s)}" if more else "—",
            more.ipc_mode[:22] if more else "—",
            status_with_health(one, more),
            one.command,
        )
        for one in containers
        for more in (details.get(one.id),)
    ]
    common.say(common.table(("NAME", "IMAGE", "STATE", "PID", "STOP", "IPC", "STATUS", "COMMAND"), rows, right=(3,)))
    return 0
