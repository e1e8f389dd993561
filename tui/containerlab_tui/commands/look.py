"""`ps`, `processes`, `forecast`: what there is, and what a signal would do. These change nothing."""

import argparse

from containerlab_probes.errors import Denied, Gone, Unsupported
from containerlab_probes.records import Forecast, Process, ProcessLoad
from containerlab_probes.signals.forecast import forecast
from containerlab_probes.signals.names import name_of, number_of
from containerlab_tui.commands import common
from containerlab_tui.engine.api import Engine
from containerlab_tui.model.inventory import LISTED, Details, ordered
from containerlab_tui.present import documents, wording
from containerlab_tui.present.states import grace_period
from containerlab_tui.services.processes import NOT_RUNNING, children_of, measure, see_processes


def run(arguments: argparse.Namespace) -> int:
    engine = common.engine(arguments)
    match arguments.command:
        case "ps":
            return _ps(arguments, engine)
        case "processes":
            return _processes(arguments, engine)
        case _:
            return _forecast(arguments, engine)


def _ps(arguments: argparse.Namespace, engine: Engine) -> int:
    containers = ordered(one for one in engine.containers() if arguments.all or one.state in LISTED)
    details: dict[str, Details] = {}
    for one in containers:
        try:
            details[one.id] = engine.inspect(one.id)
        except Gone:
            continue
    if arguments.json:
        common.answer(documents.ps(engine.endpoint, engine.version().version, containers, details))
        return 0
    rows = [
        (
            one.name,
            one.image,
            one.state,
            str(more.pid or "—") if more else "—",
            f"{more.stop_signal} {grace_period(more.stop_timeout_s)}" if more else "—",
            more.ipc_mode[:22] if more else "—",
            one.status,
            one.command,
        )
        for one in containers
        for more in (details.get(one.id),)
    ]
    print(common.table(("NAME", "IMAGE", "STATE", "PID", "STOP", "IPC", "STATUS", "COMMAND"), rows, right=(3,)))
    return 0


def visible_processes(engine: Engine, details: Details) -> tuple[Process, ...]:
    """The processes of a container. Raises Gone where it isn't running, Denied where they can't be seen."""
    seen, reason = see_processes(engine, details)
    if reason == NOT_RUNNING:
        raise Gone(f"{details.name} is not running, so it has no processes: start it first.")
    if reason:
        raise Denied(f"The processes of {details.name} can't be seen: {reason}.")
    return seen


def _processes(arguments: argparse.Namespace, engine: Engine) -> int:
    details = engine.inspect(arguments.name)
    seen = visible_processes(engine, details)
    try:
        seen = measure(seen)
    except Unsupported as error:
        common.tell(str(error))
    if arguments.json:
        common.answer(documents.processes(details.name, seen))
        return 0
    depths = _depths(seen)
    rows = [
        (
            str(one.pid),
            str(one.container_pid),
            one.user,
            one.state,
            str(one.threads),
            *_load(one.load or ProcessLoad()),
            "  " * depths[one.pid] + one.command,
            _brief(one.dispositions.caught),
            _brief(one.dispositions.ignored),
            _brief(one.dispositions.blocked),
            _brief(one.dispositions.sigwait | one.dispositions.signalfd),
        )
        for one in seen
    ]
    headings = (
        "PID", "IN", "USER", "S", "THR", "CPU %", "MEM", "FDS", "READ", "WRITTEN",
        "PROCESS", "CAUGHT", "IGNORED", "BLOCKED", "AWAITED",
    )  # fmt: skip
    print(common.table(headings, rows, right=(0, 1, *range(4, 10))))
    for one in seen:
        for reason in one.dispositions.unread:
            common.tell(f"process {one.container_pid}: {reason}")
    return 0


def _load(load: ProcessLoad) -> tuple[str, ...]:
    cpu = "—" if load.cpu_percent is None else f"{load.cpu_percent:.1f}"
    descriptors = "—" if load.descriptors is None else str(load.descriptors)
    sizes = (load.memory_bytes, load.read_bytes, load.written_bytes)
    memory, read, written = (wording.size(count) for count in sizes)
    return cpu, memory, descriptors, read, written


def _depths(seen: tuple[Process, ...]) -> dict[int, int]:
    """How deep in the tree each process stands, by host PID. Parents come before their children."""
    depths: dict[int, int] = {}
    for one in seen:
        depths[one.pid] = depths[one.parent_pid] + 1 if one.parent_pid in depths else 0
    return depths


def _brief(numbers: frozenset[int]) -> str:
    """Names without SIG; more than eight are counted."""
    if len(numbers) > 8:
        return f"{len(numbers)} signals"
    return " ".join(name_of(number).removeprefix("SIG") for number in sorted(numbers)) or "·"


def _forecast(arguments: argparse.Namespace, engine: Engine) -> int:
    details = engine.inspect(arguments.name)
    chosen = [number_of(text) for text in arguments.signals or [details.stop_signal]]
    seen = visible_processes(engine, details)
    made: list[Forecast] = [forecast(one, signal, children_of(one, seen)) for signal in chosen for one in seen]
    if arguments.json:
        common.answer(documents.forecasts(details.name, made))
        return 0
    commands = {one.id: one.command for one in seen}
    rows = [
        (str(one.id.pid), str(one.container_pid), name_of(one.signal), one.delivery, one.effect,
         commands[one.id][:40], one.evidence)
        for one in made
    ]  # fmt: skip
    headings = ("PID", "IN", "SIGNAL", "DELIVERY", "EFFECT", "PROCESS", "EVIDENCE")
    print(common.table(headings, rows, right=(0, 1)))
    return 0
