"""The forecasts of all processes of a container."""

from dataclasses import replace

from containerlab_probes.records import Delivery, Dispositions, Process, ProcessId
from containerlab_probes.signals.forecast import forecast
from containerlab_tui.services.processes import children_of, forecasts


def process(pid: int, parent: int, dispositions: Dispositions) -> Process:
    return Process(
        ProcessId(pid, 1), pid, parent, 0.0, "S", 0, "root", f"p{pid}", ("app",), threads=1, dispositions=dispositions
    )


def test_all_forecasts_are_the_single_ones() -> None:
    shell = Dispositions(caught=frozenset({15}), foreground=(20,))
    seen = (process(10, 1, shell), process(20, 10, Dispositions()), process(30, 10, Dispositions()))
    made = forecasts(seen, 15)
    assert made == tuple(forecast(one, 15, children_of(one, seen)) for one in seen)
    assert made[0].delivery is Delivery.DEFERRED
    assert "process 20 (p20)" in made[0].evidence


def test_a_process_without_children_in_the_list_has_none() -> None:
    shell = replace(process(10, 1, Dispositions(caught=frozenset({15}), foreground=(20,))), exe="/bin/sh")
    (made,) = forecasts((shell,), 15)
    assert "process 20 " in made.evidence
