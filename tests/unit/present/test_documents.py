"""Records as JSON documents, with text and bytes of any kind."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containerlab_probes.memory_records import Backing, IpcKind, IpcObject, IpcSnapshot, Mapping, Semaphore, Window
from containerlab_probes.records import Dispositions, Process, ProcessId, ProcessLoad
from containerlab_probes.signals.forecast import forecast
from containerlab_tui.commands import common
from containerlab_tui.model.inventory import Container, EngineVersion
from containerlab_tui.model.product import PODMAN
from containerlab_tui.model.stop import Kind, Source, StopEvent, StopPlan, already_stopped, begin, fold
from containerlab_tui.model.survival import survival_of_file, survival_of_ipc
from containerlab_tui.model.views import FileRow, FilesView, IpcRow, IpcView, Sent
from containerlab_tui.present import documents
from containerlab_tui.present.safe_text import plain

T0 = 1_790_000_000.25
TERM, USR1, RTMIN_3 = 15, 10, 37
NO_TEXT = b"caf\xc3\xa9 \xff\xfe\x1b[31m".decode("utf-8", "surrogateescape")
AS_JSON = "café \ufffd\ufffd\x1b[31m"


def process(command: str = "app", dispositions: Dispositions | None = None) -> Process:
    return Process(
        id=ProcessId(500, 10),
        container_pid=1,
        parent_pid=400,
        started_at=T0,
        state="S",
        uid=0,
        user="root",
        name="app",
        argv=(command,),
        threads=2,
        dispositions=dispositions or Dispositions(),
        namespace_init=True,
    )


def plan(*processes: Process) -> StopPlan:
    forecasts = tuple(forecast(one, TERM) for one in processes)
    return StopPlan(
        "c" * 64, "app", TERM, "default", 10, "default", processes, forecasts, pid=processes[0].pid if processes else 0
    )


def engine(t: float, kind: Kind, signal: int | None = None, ended_by: int | None = None) -> StopEvent:
    return StopEvent(T0 + t, kind, Source.ENGINE, None, 1 if signal else None, signal, ended_by)


def valid(document: documents.Document, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Returns the document as a strict reader parses it."""
    common.answer(document)
    out = capsys.readouterr().out
    assert (out.count("\n"), out.isascii()) == (1, True)
    read: dict[str, Any] = json.loads(out)
    json.dumps(read, ensure_ascii=False).encode("utf-8")  # no half of a surrogate pair
    return read


@pytest.mark.parametrize(
    ("epoch_s", "text"),
    [
        (None, None),
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_000_000_000, "2001-09-09T01:46:40.000000Z"),
        (1_000_000_000.125, "2001-09-09T01:46:40.125000Z"),
        (1_000_000_000.000001, "2001-09-09T01:46:40.000001Z"),
    ],
)
def test_times_have_microseconds(epoch_s: float | None, text: str | None) -> None:
    assert documents.moment(epoch_s) == text


@given(st.binary(max_size=40))
def test_any_bytes_become_text_that_json_can_hold(raw: bytes) -> None:
    text = plain(raw.decode("utf-8", "surrogateescape"))
    assert text == raw.decode("utf-8", "replace")
    assert json.loads(json.dumps(text)).encode("utf-8") == text.encode("utf-8")


def test_text_that_is_not_utf_8_is_valid_json_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    one = replace(process(command=NO_TEXT), user=NO_TEXT)
    (row,) = valid(documents.processes("app", [one]), capsys)["processes"]
    assert (row["command"], row["user"]) == (AS_JSON, AS_JSON)
    sent = Sent("c" * 64, "app", one.id, 1, NO_TEXT, USR1, T0, "pidfd", None, f"still there, now runs {NO_TEXT}")
    (row,) = valid(documents.signal("app", [sent]), capsys)["sent"]
    assert row["observed"] == f"still there, now runs {AS_JSON}"
    (lane,) = valid(documents.stop(begin(plan(one), T0)), capsys)["processes"]
    assert lane["command"] == AS_JSON


def test_signals_are_names_in_the_order_of_their_numbers() -> None:
    held = Dispositions(
        caught=frozenset((RTMIN_3, TERM, USR1)),
        ignored=frozenset((13,)),
        blocked=frozenset((1,)),
        pending=frozenset((2,)),
        sigwait=frozenset((TERM,)),
        signalfd=frozenset((USR1, TERM)),
    )
    one = process(dispositions=held)
    (row,) = json.loads(json.dumps(documents.processes("app", [one])))["processes"]
    assert row["caught"] == ["SIGUSR1", "SIGTERM", "SIGRTMIN+3"]
    assert (row["ignored"], row["blocked"], row["pending"]) == (["SIGPIPE"], ["SIGHUP"], ["SIGINT"])
    assert row["awaited"] == ["SIGUSR1", "SIGTERM"]
    assert (row["pid"], row["container_pid"], row["parent_pid"], row["threads"]) == (500, 1, 400, 2)


def test_loads_are_numbers_or_null() -> None:
    unread, read = process(), replace(process(), load=ProcessLoad(12.3456, 4096, 7, 10, 20))
    first, second = json.loads(json.dumps(documents.processes("app", [unread, read])))["processes"]
    names = ("cpu_percent", "memory_bytes", "descriptors", "read_bytes", "written_bytes")
    assert [first[name] for name in names] == [None] * 5
    assert [second[name] for name in names] == [12.3, 4096, 7, 10, 20]


def test_ps_without_details_has_nulls() -> None:
    one = Container("c" * 64, "app", "image", "exited", "Exited (0)", NO_TEXT, T0, ("80/tcp",), {"a": "b"})
    document: Any = documents.ps("unix:///x", EngineVersion("5.4.2", (1, 41), PODMAN), [one], {})
    assert next(iter(document.items())) == ("schema", 1)
    assert document["engine"] == {"endpoint": "unix:///x", "version": "5.4.2", "product": "Podman"}
    (row,) = document["containers"]
    assert (row["pid"], row["ipc_mode"], row["command"]) == (None, None, AS_JSON)
    assert (row["ports"], row["labels"]) == (["80/tcp"], {"a": "b"})


def test_unobserved_values_are_null() -> None:
    failed = Sent("c" * 64, "app", ProcessId(5, 1), 3, "x", TERM, T0, "pidfd", None, error="It has ended.")
    good = replace(failed, error="", forecast=forecast(process(), TERM), observed="still there")
    document: Any = documents.signal("app", [failed, good])
    first, second = document["sent"]
    assert (first["forecast"], first["observed"], first["error"]) == (None, None, "It has ended.")
    assert (second["forecast"]["delivery"], second["observed"], second["error"]) == ("dropped", "still there", None)


def test_a_stop_without_signals_has_no_phases() -> None:
    document: Any = documents.stop(already_stopped(plan(), T0, 3))
    assert (document["phase_1"], document["phase_2"]) == ({"started": None, "ended": None}, None)
    assert (document["verdict"], document["exit_code"], document["duration_s"]) == ("already-stopped", 3, None)
    assert (document["events"], document["processes"]) == ([], [])
    in_progress: Any = documents.stop(begin(plan(process()), T0))
    assert (in_progress["verdict"], in_progress["duration_s"]) == (None, None)
    (lane,) = in_progress["processes"]
    assert (lane["got_signal"], lane["ended_t_s"], lane["ended_by"]) == (None, None, None)


def test_a_stop_in_two_phases() -> None:
    init = process(dispositions=Dispositions(caught=frozenset((TERM,))))
    state = begin(plan(init), T0)
    for event in (
        engine(0.5, Kind.SIGNAL, TERM),
        engine(10.5, Kind.SIGNAL, 9),
        StopEvent(T0 + 10.75, Kind.ENDED, Source.KERNEL, init.id, 1, ended_by="SIGKILL"),
        engine(11, Kind.DIED, ended_by=137),
        engine(11.5, Kind.SETTLED),
    ):
        state = fold(state, event)
    document: Any = documents.stop(state)
    at = documents.moment
    assert document["phase_1"] == {"started": at(T0 + 0.5), "ended": at(T0 + 10.5)}
    assert document["phase_2"] == {"started": at(T0 + 10.5), "ended": at(T0 + 10.75)}
    assert (document["verdict"], document["exit_code"], document["duration_s"]) == ("killed", 137, 10.75)
    assert [(one["t_s"], one["kind"], one["signal"], one["source"]) for one in document["events"]] == [
        (0.5, "signal", "SIGTERM", "engine"),
        (10.5, "signal", "SIGKILL", "engine"),
        (10.75, "ended", None, "kernel"),
        (11.0, "died", None, "engine"),
        (11.5, "settled", None, "engine"),
    ]
    assert [one["detail"] for one in document["events"][2:4]] == ["SIGKILL", "status 137"]
    (lane,) = document["processes"]
    assert (lane["got_signal"], lane["ended_t_s"], lane["ended_by"]) == (True, 10.75, "SIGKILL")


@given(st.binary(max_size=100), st.integers(0, 1000))
def test_bytes_are_base64(data: bytes, offset: int) -> None:
    document: Any = documents.window("app", {"kind": "shm", "id": "0"}, Window(offset, data, 5000))
    assert (document["schema"], document["container"], document["kind"], document["id"]) == (1, "app", "shm", "0")
    assert (document["offset"], document["total"]) == (offset, 5000)
    assert document["data"].keys() == {"base64"}
    assert base64.b64decode(document["data"]["base64"], validate=True) == data


def test_ipc_objects_name_their_running_processes(capsys: pytest.CaptureFixture[str]) -> None:
    maker = process(command=NO_TEXT)
    held = IpcObject(
        kind=IpcKind.SEM, id="7", key=5678, name=NO_TEXT, bytes=None, owner=0, group=0, mode=0o640,
        creator_pid=500, last_pid=900, semaphores=(Semaphore(3, 1, 2, 0),),
    )  # fmt: skip
    row = IpcRow(held, survival_of_ipc(IpcKind.SEM, "private", removed=False, auto_remove=False), maker, None, (maker,))
    view = IpcView(IpcSnapshot(4026, (held,), {"shmmax": 5}), "private", ("other",), (row,))
    document = valid(documents.ipc("app", view), capsys)
    assert (document["namespace"], document["shared_with"], document["limits"]) == (4026, ["other"], {"shmmax": 5})
    (one,) = document["objects"]
    assert (one["key"], one["mode"], one["bytes"], one["name"]) == (5678, "0640", None, AS_JSON)
    assert one["creator"] == {"pid": 500, "container_pid": 1, "command": AS_JSON}
    assert one["last_user"] == {"pid": 900, "container_pid": None, "command": None}
    assert one["semaphores"] == [{"value": 3, "waiting_for_increase": 1, "waiting_for_zero": 2, "last_pid": None}]
    assert set(one["survives"]) == {"process-exit", "stop-start", "remove", "host-reboot"}


@pytest.mark.parametrize("backing", [None, *Backing])
def test_mappings(backing: Backing | None, capsys: pytest.CaptureFixture[str]) -> None:
    mapping = Mapping(ProcessId(500, 10), 1, 0x1000, 0x3000, "rw-s", 0, "0:1", 5, NO_TEXT, False, None)
    survives = survival_of_file(
        backing, path=NO_TEXT, ipc_mode="private", filesystem="ext4", shared=True, auto_remove=False
    )
    host_path = NO_TEXT if backing is Backing.BIND else None
    view = FilesView(
        (FileRow(mapping, process(), backing, host_path, survives, "" if host_path else NO_TEXT),), ("no",)
    )
    document = valid(documents.maps("app", view), capsys)
    (one,) = document["mappings"]
    assert (one["range"], one["bytes"], one["shared"], one["file_bytes"]) == ("1000-3000", 8192, True, None)
    assert one["backing"] == (None if backing is None else backing.value)
    assert (one["path"], one["host_path"]) == (AS_JSON, AS_JSON if host_path else None)
    assert one["reason"] == (None if host_path else AS_JSON)
    assert set(one["survives"].values()) <= {"yes", "no", "unknown"}
