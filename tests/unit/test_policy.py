"""Read-only mode: every change is refused before it reaches an engine or agent, from every source of the setting."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from containerlab_probes.client import ProbeClient
from containerlab_probes.errors import BadRequest
from containerlab_probes.memory_records import IpcKind, IpcObject, IpcSnapshot
from containerlab_probes.processes.tree import read_process
from containerlab_probes.records import ContainerRun
from containerlab_tui.cli import main
from containerlab_tui.config import ACTIONS, Settings
from containerlab_tui.engine.api import Engine, ExecRequest, RunRequest
from containerlab_tui.model.entry import Entry, Way
from containerlab_tui.services import signals
from containerlab_tui.services.enter import enter
from containerlab_tui.services.guarded_engine import GuardedEngine
from containerlab_tui.services.inspection import Inspector
from containerlab_tui.services.policy import Operation, Policy, ReadOnly
from containerlab_tui.session.actions import ACTIONS as REGISTRY
from tests.support.engine import CHANGES, UNRESTRICTED, ScriptedEngine, details

READ_ONLY = Policy(read_only=True, source="--read-only")

COMMANDS = {
    Operation.STOP: ("stop", "app"),
    Operation.SIGNAL: ("signal", "app", "USR1"),
    Operation.IPC_REMOVE: ("ipc", "remove", "app", "shm", "0"),
    Operation.ENTER: ("enter", "app"),
}

THROUGH_THE_ENGINE: dict[Operation, tuple[Callable[[Engine], object], ...]] = {
    Operation.SIGNAL: (lambda engine: engine.kill("app", "SIGUSR1"),),
    Operation.STOP: (lambda engine: engine.stop("app"),),
    Operation.START: (lambda engine: engine.start("app"),),
    Operation.RESTART: (lambda engine: engine.restart("app"),),
    Operation.PAUSE: (lambda engine: engine.pause("app"), lambda engine: engine.unpause("app")),
    Operation.REMOVE: (lambda engine: engine.remove("app", force=True),),
    Operation.RUN: (lambda engine: engine.run(RunRequest("image:1")),),
    Operation.RENAME: (lambda engine: engine.rename("app", "other"),),
    Operation.COPY: (lambda engine: engine.copy_into("app", "/etc/hostname", "/tmp"),),
    Operation.ATTACH: (lambda engine: engine.attach("app"),),
    Operation.ENTER: (lambda engine: engine.execute("app", ExecRequest(("sh",))),),
}


@pytest.fixture(params=["flag before", "flag after", "environment", "file", "file, not understood"])
def setting(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Sets read-only mode in one way; returns the place of the flag (`before`, `after`, empty) and the named source."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("CONTAINERLAB_TUI_READ_ONLY", raising=False)
    file = tmp_path / "containerlab-tui" / "config.toml"
    match request.param:
        case "flag before" | "flag after":
            return request.param.removeprefix("flag "), "--read-only"
        case "environment":
            monkeypatch.setenv("CONTAINERLAB_TUI_READ_ONLY", "1")
            return "", "CONTAINERLAB_TUI_READ_ONLY"
        case _:
            file.parent.mkdir()
            value = '"perhaps"' if "not understood" in request.param else "true"
            file.write_text(f'theme = "nord"\nread_only = {value}\n')
            return "", f"{file}, line 2"


@pytest.mark.parametrize("operation", COMMANDS)
def test_a_command_that_changes_something_is_refused(
    setting: tuple[str, str], operation: Operation, capsys: pytest.CaptureFixture[str]
) -> None:
    place, source = setting
    words = list(COMMANDS[operation])
    words = ["--read-only", *words] if place == "before" else [*words, "--read-only"] if place == "after" else words
    engine = ScriptedEngine()
    assert main(words, lambda _host, _context: engine) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert f"containerlab-tui: Refused by {source}: " in err
    assert " app" in err.splitlines()[-1]
    assert (engine.calls, engine.asked) == ([], [])


@pytest.mark.parametrize("words", COMMANDS.values())
def test_nothing_is_changed_while_the_file_cannot_be_read(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    file = tmp_path / "containerlab-tui" / "config.toml"
    file.parent.mkdir()
    file.write_text("read_only = \n")
    engine = ScriptedEngine()
    assert main(words, lambda _host, _context: engine) == 2
    assert str(file) in capsys.readouterr().err
    assert (engine.calls, engine.asked) == ([], [])


def test_every_operation_is_in_the_tables() -> None:
    outside_the_engine = {Operation.IPC_REMOVE}
    assert set(THROUGH_THE_ENGINE) | outside_the_engine == set(Operation)
    assert {action.changes for action in REGISTRY if action.changes} == set(Operation)
    assert set(ACTIONS) <= {operation.value for operation in Operation}


@pytest.mark.parametrize("operation", THROUGH_THE_ENGINE)
def test_the_guarded_engine_refuses_each_change(operation: Operation) -> None:
    engine = ScriptedEngine()
    for change in THROUGH_THE_ENGINE[operation]:
        for guarded in (GuardedEngine(engine, READ_ONLY), GuardedEngine(engine, READ_ONLY).clone()):
            with pytest.raises(ReadOnly, match=r"^Refused by --read-only: .+\.$") as caught:
                change(guarded)
            assert caught.value.exit_status == 4
    assert engine.calls == []


def test_the_guarded_engine_passes_each_change_where_nothing_is_refused() -> None:
    engine = ScriptedEngine()
    streams = {"attach", "execute"}
    engine.allow(*(CHANGES - streams))
    guarded = GuardedEngine(engine, UNRESTRICTED)
    for operation in set(THROUGH_THE_ENGINE) - {Operation.ATTACH, Operation.ENTER}:
        for change in THROUGH_THE_ENGINE[operation]:
            change(guarded)
    assert {call[0] for call in engine.calls} == CHANGES - streams


def test_a_signal_through_a_pidfd_is_refused() -> None:
    sleeper = subprocess.Popen(("sleep", "60"))
    try:
        target = read_process(sleeper.pid)
        engine = ScriptedEngine()
        with pytest.raises(ReadOnly, match="send SIGTERM to app"):
            signals.send(engine, details(), (target,), 15, policy=READ_ONLY)
        assert engine.calls == []
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()


@pytest.mark.parametrize("way", Way)
def test_entering_is_refused(way: Way) -> None:
    engine = ScriptedEngine()
    with pytest.raises(ReadOnly, match="enter app"):
        enter(engine, details(pid=os.getpid()), Entry(way), READ_ONLY)
    assert (engine.calls, engine.asked) == ([], [])


def test_removing_an_object_reaches_no_agent() -> None:
    def start_no_agent(run: ContainerRun) -> ProbeClient:
        return ProbeClient(run, command=["/no/such/program"])  # asking it would raise Unsupported

    with (
        Inspector(True, details(pid=os.getpid()), READ_ONLY, start_no_agent) as inspector,
        pytest.raises(ReadOnly, match="remove shm 0 of app"),
    ):
        inspector.remove_ipc(IpcKind.SHM, "0")


ASKS = {
    Operation.SIGNAL: False,  # its dialog asks
    Operation.STOP: True,
    Operation.START: False,
    Operation.RESTART: True,
    Operation.PAUSE: False,
    Operation.REMOVE: True,
    Operation.RUN: False,
    Operation.RENAME: False,
    Operation.COPY: False,
    Operation.ENTER: False,
    Operation.ATTACH: False,
    Operation.IPC_REMOVE: True,
}


@pytest.mark.parametrize("operation", Operation)
def test_what_asks_by_default(operation: Operation) -> None:
    assert Policy(confirm=Settings().confirm).asks(operation) is ASKS[operation]


def test_an_object_of_the_host_is_removed_only_on_request() -> None:
    """A row of the policy that no setting turns off: screens and commands have to say that they mean the host's."""

    class HostClient(ProbeClient):
        removed: tuple[str, ...] = ()

        def ipc(self) -> IpcSnapshot:
            return IpcSnapshot(1, (IpcObject(IpcKind.SHM, "0", 0, "", 1, 0, 0, 0o600, of_host=True),))

        def remove_ipc(self, kind: IpcKind, object_id: str) -> None:
            self.removed += (object_id,)

    with Inspector(True, details(pid=os.getpid()), UNRESTRICTED, HostClient) as inspector:
        client = inspector._client
        assert isinstance(client, HostClient)
        with pytest.raises(BadRequest, match=r"belongs to the host, not to app alone\. Nothing removed\."):
            inspector.remove_ipc(IpcKind.SHM, "0")
        assert not client.removed
        inspector.remove_ipc(IpcKind.SHM, "0", host_object=True)
        assert list(client.removed) == ["0"]


def test_only_operations_named_in_the_settings_ask_first() -> None:
    policy = Policy(confirm=frozenset({"stop"}))
    assert policy.asks(Operation.STOP)
    assert not policy.asks(Operation.REMOVE)
    assert policy.refusal("stop app") == ""
