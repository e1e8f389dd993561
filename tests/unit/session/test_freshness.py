"""A diagnosis is about one run of one container: what has changed since, in a clause."""

from dataclasses import replace

import pytest

from containerlab_probes.records import Delivery
from containerlab_tui.model.diagnosis import Confidence, Diagnosis, Graceful, Outlook
from containerlab_tui.model.inventory import Changed, Container, Details, Snapshot
from containerlab_tui.session.freshness import (
    RESTARTED,
    change_since,
    is_outdated,
    started_at,
    stopped_clause,
    successor,
)
from containerlab_tui.session.store import Store
from tests.support.engine import ID, LINE, details, event

NOW = 5_000.0
RUN = details(started_at=1_000.0)
DIAGNOSIS = Diagnosis(
    "app", "SIGTERM", "default", 10, "default", Delivery.DROPPED, Outlook.TIMES_OUT, Graceful.UNKNOWN, None,
    Confidence.CERTAIN, (), (), (), id=ID, started_at=1_000.0,
)  # fmt: skip


def store(line: Container | None = LINE, run: Details | None = RUN) -> Store:
    """Knows one container, perhaps with its details."""
    made = Store()
    made.take(Snapshot((line,) if line else (), 1_000.0))
    if run is not None:
        made.learn([run])
    return made


def exited(code: int, **changed: object) -> tuple[Container, Details]:
    line = replace(LINE, state="exited", status=f"Exited ({code}) 3 minutes ago")
    return line, details(state="exited", pid=0, exit_code=code, finished_at=1_500.0, **changed)


def test_a_running_container_has_no_clause() -> None:
    known = store()
    assert stopped_clause(known, ID, NOW) == ""
    assert change_since(known, DIAGNOSIS, NOW) == ""
    assert started_at(known, ID) == 1_000.0


@pytest.mark.parametrize(("code", "clause"), [(0, "exited (0)"), (137, "killed (SIGKILL, 137)")])
@pytest.mark.parametrize("inspected", [True, False])
def test_a_stopped_container_is_described_without_a_time(code: int, clause: str, inspected: bool) -> None:
    line, run = exited(code)
    known = store(line, run if inspected else None)
    assert stopped_clause(known, ID, NOW) == clause
    assert change_since(known, DIAGNOSIS, NOW) == clause
    assert started_at(known, ID) is None


def test_a_removed_container_is_called_removed() -> None:
    known = store(None)
    assert stopped_clause(known, ID, NOW) == "removed"
    assert change_since(known, DIAGNOSIS, NOW) == "removed"
    assert successor(known, DIAGNOSIS) is None
    assert started_at(known, ID) is None


def test_another_run_outdates_a_diagnosis() -> None:
    known = store(run=details(started_at=2_000.0))
    assert is_outdated(known, LINE, DIAGNOSIS)
    assert change_since(known, DIAGNOSIS, NOW) == RESTARTED


def test_a_run_that_is_not_yet_inspected_outdates_nothing() -> None:
    known = store(run=None)
    assert not is_outdated(known, LINE, DIAGNOSIS)
    assert change_since(known, DIAGNOSIS, NOW) == ""


def test_a_new_container_of_that_name_succeeds_the_removed_one() -> None:
    known = store()
    other = replace(LINE, id="d" * 64)
    known.take(Changed(None, None, event(1_001.0, "destroy"), 1_001.0))
    known.take(Changed(other, details(id=other.id), event(1_002.0, "start", other.id), 1_002.0))
    assert successor(known, DIAGNOSIS) == other
    assert is_outdated(known, other, DIAGNOSIS)
    assert change_since(known, DIAGNOSIS, NOW) == RESTARTED


def test_a_renamed_container_keeps_its_diagnosis() -> None:
    known = store(replace(LINE, name="renamed"), details(name="renamed", started_at=1_000.0))
    found = successor(known, DIAGNOSIS)
    assert found is not None
    assert found.name == "renamed"
    assert change_since(known, DIAGNOSIS, NOW) == ""
