"""Details and loads of containers: shares between two readings, and the effect of a failure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from queue import SimpleQueue

import pytest

from containerlab_probes.errors import Denied, Gone, Unsupported
from containerlab_probes.memory_records import Overview
from containerlab_probes.records import Usage
from containerlab_tui.model.inventory import Details
from containerlab_tui.session.refreshers import OVERVIEWS_EVERY, ROWS_KEPT, DetailsReader, LoadReader, UsageReaders
from containerlab_tui.session.store import Inspected, Load
from tests.support.engine import ScriptedEngine, details

A, B = details(id="a", pid=1), details(id="b", pid=2)


class Machine:
    """The figures to read, and the clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.usage: dict[str, Usage | Exception | None] = {"a": Usage(5.0, 1000), "b": Usage(0.0, 2000)}
        self.overview: Exception | None = None
        self.asked: list[dict[str, int]] = []
        self.reader = LoadReader(self.usage_of, self.overviews_of, lambda loads: None, lambda: self.now)
        self.reader.watch((A, B))

    def usage_of(self, one: Details) -> Usage | None:
        found = self.usage[one.id]
        if isinstance(found, Exception):
            raise found
        return found

    def overviews_of(self, watched: Sequence[Details]) -> Mapping[str, Overview]:
        self.asked.append({one.id: one.pid for one in watched})
        if self.overview:
            raise self.overview
        return {one.id: Overview(1, 2, 3) for one in watched}


def test_cpu_is_a_share_between_two_readings() -> None:
    machine = Machine()
    assert machine.reader.read().loads == {"a": Load(None, 1000), "b": Load(None, 2000)}
    machine.now += 4.0
    machine.usage["a"] = Usage(6.0, 1500)
    assert machine.reader.read().loads == {"a": Load(25.0, 1500), "b": Load(0.0, 2000)}


def test_a_counter_that_fell_belongs_to_another_run() -> None:
    machine = Machine()
    machine.reader.read()
    machine.now += 4.0
    machine.usage["a"] = Usage(1.0, 1000)
    assert machine.reader.read().loads["a"] == Load(None, 1000)


def test_two_readings_at_one_moment_have_no_share() -> None:
    machine = Machine()
    machine.reader.read()
    assert machine.reader.read().loads["a"] == Load(None, 1000)


def test_a_removed_container_is_left_out_and_other_failures_are_reported() -> None:
    machine = Machine()
    machine.usage = {"a": Gone("It has exited."), "b": Unsupported("no accounting")}
    read = machine.reader.read()
    assert (dict(read.loads), read.problem) == ({}, "no accounting")
    machine.usage = {"a": None, "b": Usage(1.0, 1)}
    read = machine.reader.read()
    assert (list(read.loads), read.problem) == (["b"], "")


def test_the_figure_that_can_be_read_is_kept_and_the_other_explained() -> None:
    machine = Machine()
    machine.usage = {"a": Usage(5.0, None, "no memory accounting"), "b": Usage(None, 2000, "no CPU accounting")}
    machine.reader.read()
    machine.now += 4.0
    machine.usage["a"] = Usage(6.0, None, "no memory accounting")
    read = machine.reader.read()
    assert (dict(read.loads), read.problem) == ({"a": Load(25.0, None), "b": Load(None, 2000)}, "no memory accounting")


def test_a_reader_is_kept_for_a_run_until_it_exits_or_lacks_a_figure() -> None:
    answers = iter(
        (Usage(1.0, None, "no memory accounting"), Usage(2.0, 10), Usage(3.0, 11), Gone("exited"), Usage(0.5, 9),
         Usage(0.1, 8))
    )  # fmt: skip
    opened = list[int]()

    def reading(one: Details) -> Callable[[], Usage]:
        opened.append(one.pid)
        return read

    def read() -> Usage:
        answer = next(answers)
        if isinstance(answer, Gone):
            raise answer
        return answer

    readers = UsageReaders(reading)
    assert [readers.usage_of(A).memory_bytes for _ in range(3)] == [None, 10, 11]
    assert opened == [1, 1], "the second has found the memory"
    with pytest.raises(Gone):
        readers.usage_of(A)
    assert readers.usage_of(A).memory_bytes == 9
    assert readers.usage_of(replace(A, pid=7)).memory_bytes == 8
    assert opened == [1, 1, 1, 7]


def test_namespaces_are_read_every_third_round() -> None:
    machine = Machine()
    seen = [bool(machine.reader.read().overviews) for _ in range(2 * OVERVIEWS_EVERY)]
    assert seen == [number % OVERVIEWS_EVERY == 0 for number in range(2 * OVERVIEWS_EVERY)]
    assert machine.asked == [{"a": 1, "b": 2}] * 2


def test_new_rows_are_read_at_once_and_stopped_ones_have_no_namespace() -> None:
    machine = Machine()
    machine.reader.read()
    machine.reader.watch((A,))
    machine.reader.read()
    assert len(machine.asked) == 1
    machine.reader.watch((A, details(id="b", pid=0)))
    machine.reader.read()
    assert machine.asked[1:] == [{"a": 1}]


def test_namespaces_that_may_not_be_read_keep_the_loads() -> None:
    machine = Machine()
    machine.overview = Denied("not root")
    read = machine.reader.read()
    assert (len(read.loads), dict(read.overviews), read.problem) == (2, {}, "not root")


def test_a_defect_about_one_container_costs_only_its_loads() -> None:
    machine = Machine()
    machine.usage["a"] = ValueError("not a number")
    read = machine.reader.read()
    assert (list(read.loads), read.problem) == (["b"], "unexpected ValueError: not a number")


def test_a_defect_about_one_container_costs_only_its_details() -> None:
    found = SimpleQueue[Sequence[Inspected]]()

    def forecast_of(engine: object, one: Details) -> None:
        if one.id == "a":
            raise ValueError("a status file of another kernel")

    defects: list[str] = []
    reader = DetailsReader(ScriptedEngine, forecast_of, found.put, lambda error: defects.append(str(error)))
    reader.start()
    reader.want({"a": A})
    assert found.get(timeout=20) == (Inspected("a", unread=defects[0]),)
    reader.want({"b": B})
    assert found.get(timeout=20) == (Inspected("b", B),)
    assert defects == ["unexpected ValueError: a status file of another kernel"]


def test_readings_of_removed_containers_are_dropped() -> None:
    machine = Machine()
    for number in range(ROWS_KEPT + 50):
        one = details(id=str(number), pid=number + 1)
        machine.usage[one.id] = Usage(1.0, 1)
        machine.reader.watch((one,))
        machine.reader.read()
    assert len(machine.reader._seen) == ROWS_KEPT
