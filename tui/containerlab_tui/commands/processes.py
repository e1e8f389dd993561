"""`processes`: prints the process tree with loads and signal dispositions."""

import argparse

from containerlab_probes.errors import Unsupported
from containerlab_probes.records import WITHOUT_ROOT, Process, ProcessLoad
from containerlab_probes.signals.forecast import without_root
from containerlab_probes.signals.names import name_of
from containerlab_tui.commands import common
from containerlab_tui.present import documents, wording
from containerlab_tui.present.safe_text import safe
from containerlab_tui.services.processes import measure, visible_processes


def run(arguments: argparse.Namespace) -> int:
    """Returns 0. Raises Gone (the container is not running), Denied (its processes can't be read)."""
    engine = common.engine(arguments)
    details = engine.inspect(arguments.name)
    listed = visible_processes(engine, details)
    seen = listed.processes
    try:
        seen = measure(seen)
    except Unsupported as error:
        common.tell(error.sentence)
    missing = without_root(seen)
    if arguments.json:
        common.answer(documents.processes(details.name, seen, missing, listed.unread))
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
        "PROCESS", "HANDLED", "IGNORED", "BLOCKED", "WAITED FOR",
    )  # fmt: skip
    common.tell_partial(missing)
    common.say(common.table(headings, rows, right=(0, 1, *range(4, 10))))
    for one in seen:
        for reason in one.dispositions.unread:
            if reason == WITHOUT_ROOT:
                continue
            common.tell(safe(f"process {one.container_pid}: {reason}"))
    common.tell_partial(listed.unread)
    return 0


def _load(load: ProcessLoad) -> tuple[str, ...]:
    cpu = "—" if load.cpu_percent is None else f"{load.cpu_percent:.1f}"
    descriptors = "—" if load.descriptors is None else str(load.descriptors)
    sizes = (load.memory_bytes, load.read_bytes, load.written_bytes)
    memory, read, written = (wording.size(count) for count in sizes)
    return cpu, memory, descriptors, read, written


def _depths(seen: tuple[Process, ...]) -> dict[int, int]:
    """Returns the depth of each process in the tree, by host PID. Parents come before their children."""
    depths: dict[int, int] = {}
    for one in seen:
        depths[one.pid] = depths[one.parent_pid] + 1 if one.parent_pid in depths else 0
    return depths


def _brief(numbers: frozenset[int]) -> str:
    """Returns the names without SIG, or the number of signals if there are more than eight."""
    if len(numbers) > 8:
        return f"{len(numbers)} signals"
    return " ".join(name_of(number).removeprefix("SIG") for number in sorted(numbers)) or "·"
