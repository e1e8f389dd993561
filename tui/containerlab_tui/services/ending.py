"""Explains why a container stopped, from inspect, the engine's events, its cgroup and recorded stops."""

import contextlib
import time

from containerlab_probes.errors import ContainerlabError, Gone
from containerlab_probes.kernel import cgroups
from containerlab_probes.records import MemoryRecord, PidsRecord
from containerlab_tui.engine.api import Engine
from containerlab_tui.model.ending import explain_ending, explain_removed
from containerlab_tui.model.ending_records import Ending
from containerlab_tui.model.inventory import Details
from containerlab_tui.services.history import History
from containerlab_tui.services.processes import run_of


def why(engine: Engine, container: str, history: History) -> tuple[str, Ending]:
    """Returns the container's name and why it stopped. `container` is a name, an id or an unambiguous id prefix.

    A removed container is explained as long as the engine's events or a recorded stop cover it.
    Raises Gone (no such container and no record of one), Unreachable.
    """
    try:
        details = engine.inspect(container)
    except Gone as gone:
        return _removed(engine, container, history, gone)
    events = engine.past_events("", since=0.0)
    own = tuple(event for event in events if event.container == details.id)
    since = min((event.time for event in events), default=None)
    past, (memory, pids) = history.of_container(details.id), _counters(engine, details)
    return details.name, explain_ending(details, own, past, since, memory, pids=pids, product=engine.product)


def _removed(engine: Engine, container: str, history: History, gone: Gone) -> tuple[str, Ending]:
    """Explains a removed container. Raises Gone if nothing is known of one; `gone` is what the engine says."""
    events = engine.past_events("", since=0.0)
    own = tuple(
        event
        for event in events
        if event.name == container or (len(container) >= 12 and event.container.startswith(container))
    )
    since = min((event.time for event in events), default=time.time())
    past = history.of_name(container)
    name = own[-1].name if own else past[0].name if past else container
    ending = explain_removed(name, own, past, since, engine.product)
    if ending is not None:
        return name, ending
    if events or engine.product.reports_signals:
        raise gone
    raise Gone(f"{gone} {engine.product.name} keeps no events of that time.") from gone


def _counters(engine: Engine, details: Details) -> tuple[MemoryRecord | None, PidsRecord | None]:
    """Returns the counters of a running container's cgroup; None for those that are unreadable."""
    memory, pids = None, None
    if details.pid and engine.local:
        with contextlib.suppress(ContainerlabError, OSError, ValueError):
            memory = cgroups.memory_record(run_of(details))
        with contextlib.suppress(ContainerlabError, OSError, ValueError):
            pids = cgroups.pids_record(run_of(details))
    return memory, pids
