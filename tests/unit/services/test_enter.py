"""Entering a container: which program runs, in which namespaces, and what the user reads about it."""

import os
from pathlib import Path

import pytest

from containerlab_probes.errors import BadRequest, Unsupported
from containerlab_probes.processes.tree import read_process
from containerlab_tui.model.entry import Entry, Shells, Way
from containerlab_tui.present import entering
from containerlab_tui.services.enter import SHELLS, UNSEARCHED, command_of, enter, look_up_shells
from containerlab_tui.services.host_session import namespaces_of
from tests.support.engine import UNRESTRICTED, ScriptedEngine, details

NOBODY = 2**22 + 1
HOST_TOOLS = Entry(Way.HOST_TOOLS)
HOST_FILES = Entry(Way.HOST_TOOLS, host_files=True)


def test_the_first_shell_that_is_a_program_is_taken(tmp_path: Path) -> None:
    script, text = tmp_path / "shell", tmp_path / "text"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    text.write_text("no program")
    here = details(pid=os.getpid())
    assert look_up_shells(ScriptedEngine(), here, str(script)).found[0] == str(script)
    usual = next(one for one in SHELLS if os.access(one, os.X_OK))
    for wanted in ("", "/none", "relative", str(text), str(tmp_path)):
        assert look_up_shells(ScriptedEngine(), here, wanted).found[0] == usual


def test_a_process_that_has_exited_has_no_shell() -> None:
    assert look_up_shells(ScriptedEngine(), details(pid=NOBODY)).unknown.startswith("Could not ")


def test_a_paused_container_is_not_entered() -> None:
    engine = ScriptedEngine()
    for way in Way:
        with pytest.raises(BadRequest, match="app is paused"):
            enter(engine, details(state="paused"), Entry(way), UNRESTRICTED)
    assert (engine.calls, engine.asked) == ([], [])


def test_nothing_is_looked_up_on_another_machine() -> None:
    shells = look_up_shells(ScriptedEngine(local=False), details(pid=os.getpid()))
    assert (shells.found, shells.unknown) == ((), "The container runs on another machine.")


@pytest.mark.parametrize(
    ("entry", "shells", "command"),
    [
        (Entry(command=("top", "-b")), Shells(), ("top", "-b")),
        (Entry(), Shells(("/bin/bash", "/bin/sh")), ("/bin/bash",)),
        (Entry(), Shells(unknown="It needs root."), (UNSEARCHED,)),
        (HOST_TOOLS, Shells(("/bin/sh",)), ("/bin/sh",)),
    ],
)
def test_which_command_runs(entry: Entry, shells: Shells, command: tuple[str, ...]) -> None:
    assert command_of(entry, shells) == command


@pytest.mark.parametrize(
    ("entry", "shells", "reason"),
    [
        (Entry(), Shells(), "The image has no shell"),
        (HOST_TOOLS, Shells(), "The image has no shell"),
        (HOST_TOOLS, Shells(unknown="It needs root."), "It needs root."),
    ],
)
def test_without_a_shell_nothing_runs(entry: Entry, shells: Shells, reason: str) -> None:
    with pytest.raises(Unsupported, match=reason):
        command_of(entry, shells)


@pytest.mark.parametrize(
    ("own", "run"), [("/bin/cat", "/bin/cat"), ("sh", "/bin/sh"), ("/none", "/bin/sh"), ("", "/bin/sh")]
)
def test_the_hosts_shell_is_the_users(monkeypatch: pytest.MonkeyPatch, own: str, run: str) -> None:
    monkeypatch.setenv("SHELL", own)
    assert command_of(HOST_FILES, Shells(("/bin/bash",))) == (run,)


@pytest.mark.parametrize("full_rights", [False, True])
def test_the_containers_files_come_with_all_its_namespaces(full_rights: bool) -> None:
    kinds = set(namespaces_of(Entry(Way.HOST_TOOLS, full_rights=full_rights)))
    assert kinds >= {"mnt", "pid", "net", "ipc", "uts"}
    assert ("user" in kinds) is not full_rights


def test_the_hosts_files_enter_the_pid_namespace_only_with_rights_that_the_container_lacks() -> None:
    assert set(namespaces_of(HOST_FILES)) == {"net", "ipc", "uts", "cgroup", "user"}
    full = Entry(Way.HOST_TOOLS, host_files=True, full_rights=True)
    assert set(namespaces_of(full)) == {"net", "ipc", "uts", "pid"}


@pytest.mark.parametrize("host_files", [False, True])
@pytest.mark.parametrize("full_rights", [False, True])
def test_the_hosts_tools_name_their_risk_in_one_sentence(host_files: bool, full_rights: bool) -> None:
    entry = Entry(Way.HOST_TOOLS, host_files=host_files, full_rights=full_rights)
    for can_trace in (False, True):
        sentence = entering.rights(entry, can_trace)
        is_refused = can_trace and not full_rights and not host_files
        assert sentence.startswith("Refused: " if is_refused else "Risk: ")
        assert sentence.count(".") == 1
        assert ("CAP_SYS_PTRACE" in sentence) is (can_trace and (full_rights or not host_files))
    assert "Risk" not in entering.rights(Entry(), can_trace=True)


def test_what_is_left_is_named_and_counted() -> None:
    here = read_process(os.getpid())
    assert entering.left_behind(()) == ""
    assert entering.left_behind((here,)).startswith("1 process is left: ")
    assert f"(host PID {here.pid})" in entering.left_behind((here,))
    assert entering.left_behind((), 2) == "2 processes are left: 2 that could not be read."
    assert entering.left_behind((here,) * 7, 1).endswith(", 3 more.")
