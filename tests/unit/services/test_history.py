"""The history of stops: limited, shared between programs, and never a reason to fail."""

import contextlib
import os
import sqlite3
import stat
import threading
from dataclasses import fields, replace
from pathlib import Path

import pytest

from containerlab_probes.records import Dispositions, Process, ProcessId
from containerlab_tui.model.ending_records import PastStop
from containerlab_tui.model.stop import Kind, Source, StopEvent, StopPlan, StopState, already_stopped, begin, fold
from containerlab_tui.services import history
from containerlab_tui.services.history import History, past_stop

PLAN = StopPlan("c" * 64, "app", 15, "default", 10, "default", (), ())


def stopped(at: float, container: str = "c" * 64) -> StopState:
    state = begin(replace(PLAN, container=container), at)
    for kind, signal, code in ((Kind.SIGNAL, 15, None), (Kind.DIED, None, 0), (Kind.SETTLED, None, None)):
        state = fold(state, StopEvent(at + 0.5, kind, Source.ENGINE, signal=signal, ended_by=code))
    return state


def test_records_are_read_latest_first(tmp_path: Path) -> None:
    file = History(tmp_path / "stops.sqlite")
    for at in (100.0, 300.0, 200.0):
        assert file.remember(stopped(at), "image") == ""
    assert [past.at for past in file.of_image("image")] == [300.5, 200.5, 100.5]
    assert file.of_container("c" * 64, limit=1)[0].verdict == "graceful"
    assert file.of_image("other") == ()


def test_a_stop_seen_twice_is_recorded_once(tmp_path: Path) -> None:
    file = History(tmp_path / "stops.sqlite")
    file.remember(stopped(100), "image")
    file.remember(stopped(100), "image")
    assert len(file.of_image("image")) == 1


def test_a_command_line_may_contain_any_bytes(tmp_path: Path) -> None:
    file = History(tmp_path / "stops.sqlite")
    plan = running("\udcff\0x")
    state = fold(begin(plan, 1.0), StopEvent(2.0, Kind.DIED, Source.ENGINE, ended_by=0))
    assert file.remember(state, "image") == ""
    (past,) = file.of_image("image")
    assert past.command == "\\xff\\x00x"


def test_reading_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "stops.sqlite"
    assert History(path).of_image("image") == ()
    assert not path.exists()
    History(path).remember(stopped(1), "image")
    with sqlite3.connect(path) as busy:
        busy.execute("BEGIN IMMEDIATE")  # another program is about to write
        assert len(History(path).of_image("image")) == 1  # a reader that wrote would find the file locked: ()
    busy.close()
    assert [one.name for one in tmp_path.iterdir()] == ["stops.sqlite"]


def test_a_failed_stop_is_not_recorded() -> None:
    assert past_stop(already_stopped(PLAN, 1.0, 0), "image") is None
    assert past_stop(begin(PLAN, 1.0), "image") is None


def test_the_number_of_records_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "KEPT", 3)
    file = History(tmp_path / "stops.sqlite")
    for at in range(6):
        file.remember(stopped(float(at)), "image")
    assert [past.at for past in file.of_image("image", limit=10)] == [5.5, 4.5, 3.5]


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "stops.sqlite"
    remarks: list[str] = []

    def write(first: int) -> None:
        remarks.extend(History(path).remember(stopped(float(first * 100 + n)), "image") for n in range(5))

    threads = [threading.Thread(target=write, args=(first,)) for first in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(remarks) == {""}
    assert len(History(path).of_image("image", limit=100)) == 30


def test_a_broken_file_gives_a_note_and_no_history(tmp_path: Path) -> None:
    path = tmp_path / "stops.sqlite"
    path.write_bytes(b"this is no database" * 100)
    assert "not recorded" in History(path).remember(stopped(1), "image")
    assert History(path).of_image("image") == ()


def test_an_older_file_gets_the_new_columns(tmp_path: Path) -> None:
    path = tmp_path / "stops.sqlite"
    with sqlite3.connect(path) as old:
        old.execute(
            "CREATE TABLE stops (at, container, name, image, command, signal, grace_s, verdict, exit_code, duration_s, "
            "phase_1_s, phase_2_s, UNIQUE (container, at))"
        )
        old.execute("INSERT INTO stops VALUES (1, 'c', 'old', 'i', '', 'SIGTERM', 10, 'killed', 137, 10.1, 10, 0.1)")
    old.close()
    file = History(path)
    (past,) = file.of_name("old")
    assert (past.verdict, past.sender, bool(past.out_of_memory)) == ("killed", "", False)
    assert file.remember(stopped(100), "image") == ""
    assert [one.at for one in file.of_name("app")] == [100.5]
    assert file.of_name("c" * 12) == file.of_name("c" * 64) == file.of_name("app")
    assert file.of_name("c") == ()


def running(command: str = "app") -> StopPlan:
    """A plan with a first process that has another number than 1 in its container, as with --pid=host."""
    init = Process(
        ProcessId(500, 10), 500, 1, 0.0, "S", 0, "root", "app", (command,), threads=1, dispositions=Dispositions()
    )
    return replace(PLAN, processes=(init,), pid=500)


def test_the_sender_of_sigkill_is_recorded() -> None:
    plan = replace(running(), traced=True)
    state = begin(plan, 100)
    for at, signal, sender in ((100.1, 15, "runc [7]"), (100.2, 9, "bash [8]"), (100.25, 10, "sh [9]")):
        event = StopEvent(at, Kind.SIGNAL, Source.KERNEL, ProcessId(500, 10), 500, signal=signal, sender=sender)
        state = fold(state, event)
    state = fold(state, StopEvent(100.3, Kind.DIED, Source.ENGINE, ended_by=137))
    past = past_stop(state, "image")
    assert past is not None
    assert past.sender == "bash [8]"
    assert past_stop(stopped(1.0), "image").sender == ""  # type: ignore[union-attr]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "stops.sqlite"
    before = os.umask(0)
    try:
        assert History(path).remember(stopped(1), "image") == ""
    finally:
        os.umask(before)
    assert mode_of(path) == 0o600


def test_an_existing_file_is_narrowed_by_a_reader_too(tmp_path: Path) -> None:
    path = tmp_path / "stops.sqlite"
    History(path).remember(stopped(1), "image")
    path.chmod(0o666)
    assert len(History(path).of_image("image")) == 1
    assert mode_of(path) == 0o600
    path.chmod(0o644)
    assert History(path).remember(stopped(2), "image") == ""
    assert mode_of(path) == 0o600


def ended(command: str, at: float) -> StopState:
    return fold(begin(running(command), at), StopEvent(at + 1, Kind.DIED, Source.ENGINE, ended_by=0))


def test_arguments_are_not_recorded_but_command_lines_stay_distinct(tmp_path: Path) -> None:
    path = tmp_path / "stops.sqlite"
    assert History(path).remember(ended("db --password=hunter2", 1.0), "image") == ""
    assert b"hunter2" not in path.read_bytes()
    (past,) = History(path).of_image("image")
    assert past.command == "db"
    assert past.ran("db --password=hunter2")
    assert not past.ran("db --password=hunter3")
    assert not past.ran("db")


def test_arguments_are_recorded_if_the_user_wants_them_and_removed_later(tmp_path: Path) -> None:
    path = tmp_path / "stops.sqlite"
    History(path, arguments=True).remember(ended("db --password=hunter2", 1.0), "image")
    (past,) = History(path).of_image("image")
    assert past.command == "db --password=hunter2"
    History(path).remember(ended("other", 2.0), "image")
    assert b"hunter2" not in path.read_bytes()
    assert [one.command for one in History(path).of_image("image")] == ["other", "db"]
    assert History(path).of_image("image")[1].ran("db --password=hunter2")


def test_arguments_that_an_earlier_version_recorded_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "stops.sqlite"
    with sqlite3.connect(path) as old:
        columns = ", ".join(field.name for field in fields(PastStop) if field.name != "mark")
        old.execute(f"CREATE TABLE stops ({columns}, UNIQUE (container, at))")
        row = (1.0, "c", "old", "i", "db --password=hunter2", "SIGTERM", 10, "killed", 137, 10.1, 10, 0.1, "", 0)
        old.execute(f"INSERT INTO stops VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608
        old.execute("PRAGMA user_version = 2")
    old.close()
    assert History(path).of_name("old")[0].ran("db --password=hunter2")
    assert History(path).remember(stopped(2), "image") == ""
    assert b"hunter2" not in path.read_bytes()
    assert History(path).of_name("old")[0].ran("db --password=hunter2")
    assert not History(path).of_name("old")[0].ran("db --password=hunter3")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", "'soon'"), ("at", "NULL"), ("at", "9e999"), ("grace_s", "x'00'"), ("command", "7"), ("name", "NULL"),
        ("exit_code", "'many'"), ("duration_s", "1e300"), ("out_of_memory", "'perhaps'"), ("mark", "1"),
    ],
)  # fmt: skip
def test_a_row_with_a_wrong_type_is_skipped_with_one_sentence(tmp_path: Path, column: str, value: str) -> None:
    path = tmp_path / "stops.sqlite"
    for at in (1.0, 2.0, 3.0):
        History(path).remember(stopped(at), "image")
    with sqlite3.connect(path) as file:
        file.execute(f"UPDATE stops SET {column} = {value} WHERE at = 2.5")  # noqa: S608
    file.close()
    said: list[str] = []
    assert [one.at for one in History(path, tell=said.append).of_image("image")] == [3.5, 1.5]
    assert said == [f"1 row is damaged in {path}, the history of stops, and skipped."]
    assert History(path).remember(stopped(4.0), "image") == ""


def test_what_could_not_be_read_or_recorded_is_said(tmp_path: Path) -> None:
    path = tmp_path / "stops.sqlite"
    path.write_bytes(b"this is no database" * 100)
    said: list[str] = []
    file = History(path, tell=said.append)
    assert file.of_image("image") == ()
    assert file.remember(stopped(1), "image") == said[1]
    assert [sentence.partition(":")[0].partition(" (")[0] for sentence in said] == [
        "The history of stops could not be read",
        "This stop was not recorded",
    ]


def test_a_row_that_the_file_refuses_is_said(tmp_path: Path) -> None:
    path = tmp_path / "stops.sqlite"
    with sqlite3.connect(path) as old:
        columns = ", ".join(f"{field.name}{' NOT NULL' * (field.name == 'phase_2_s')}" for field in fields(PastStop))
        old.execute(f"CREATE TABLE stops ({columns}, UNIQUE (container, at))")
    old.close()
    assert "phase_2_s" in History(path).remember(stopped(1), "image")


def test_an_older_file_with_control_characters_is_read_safely(tmp_path: Path) -> None:
    path = tmp_path / "stops.sqlite"
    file = History(path)
    state = fold(begin(running("x"), 1.0), StopEvent(2.0, Kind.DIED, Source.ENGINE, ended_by=0))
    assert file.remember(state, "image") == ""
    with contextlib.closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("UPDATE stops SET name = ?1, command = ?1, sender = ?1", ("\x1b]2;stolen\x07",))
    (past,) = file.of_image("image")
    assert {past.name, past.command, past.sender} == {"\\x1b]2;stolen\\x07"}
