"""Containers that try to control the terminal: no command, screen or file passes their control characters."""

import json
import re
import shlex
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from containerlab_probes.errors import ContainerlabError, Gone
from containerlab_probes.records import ProcessId
from containerlab_probes.signals.send import send
from containerlab_tui.cli import main
from containerlab_tui.engine.connection import connect
from containerlab_tui.services.stop import plan_stop, run_stop
from tests.engine.commands_support import Answer, Command
from tests.engine.hostile import EVIL, LINES, MARK, NOT_UTF_8, Hostile, evil_image, hostile_containers, unsafe
from tests.engine.marks import needs_users
from tests.support.docker import Containers, Docker
from tests.support.screens import PROGRAM, Screen, environment

pytestmark = needs_users  # one of its processes has a user with a hostile name


@pytest.fixture(scope="module")
def hostile(docker: Docker) -> Iterator[Hostile]:
    containers = Containers(docker)
    with evil_image(docker) as image:
        try:
            yield hostile_containers(containers, image)
        finally:
            containers.remove()


def is_safe(answer: Answer) -> None:
    """Asserts that both outputs are valid UTF-8 and have no control character but the newline."""
    (answer.out + answer.err).encode("utf-8")
    assert unsafe(answer.out + answer.err) == []
    assert answer.out + answer.err


def filled_in(hostile: Hostile, words: tuple[str, ...]) -> list[str]:
    names = {"PROGRAM": hostile.program, "SHELL": hostile.shell, "BROKEN": hostile.broken, "EVIL": EVIL}
    return [names.get(word, word) for word in words]


@pytest.mark.parametrize("json_too", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize(
    "words",
    [
        ("ps", "--all"),
        ("processes", "PROGRAM"),
        ("forecast", "PROGRAM", "TERM", "USR1"),
        ("forecast", "SHELL"),
        ("signal", "PROGRAM", "USR1"),
        ("signal", "PROGRAM", "WINCH", "--all"),
        ("doctor", "PROGRAM"),
        ("doctor", "SHELL"),
        ("doctor", "--all"),
        ("why", "BROKEN"),
        ("ipc", "PROGRAM"),
        ("ipc", "read", "PROGRAM", "shm", "0"),
        ("ipc", "read", "PROGRAM", "posix-shm", "EVIL"),
        ("maps", "PROGRAM"),
        ("maps", "--private", "PROGRAM"),
    ],
    ids="-".join,
)
def test_no_command_prints_a_control_character(
    hostile: Hostile, command: Command, words: tuple[str, ...], json_too: tuple[str, ...]
) -> None:
    answer = command(*filled_in(hostile, words), *json_too)
    assert answer.status == 0, answer.err
    is_safe(answer)
    if json_too:
        assert answer.out.isascii()
        assert answer.document


def test_json_has_the_exact_names(hostile: Hostile, command: Command) -> None:
    named = {one["name"] for one in command.asks("ipc", hostile.program)["objects"]}
    assert {f"/{EVIL}", f"/{NOT_UTF_8.decode(errors='replace')}"} <= named
    assert any("\n" in name for name in named)
    mapped = {one["path"] for one in command.asks("maps", hostile.program)["mappings"]}
    assert {f"/dev/shm/{EVIL}", f"/dev/shm/sem.{EVIL}", f"/srv/{EVIL}"} <= mapped
    processes = command.asks("processes", hostile.program)["processes"]
    assert any(one["command"].startswith(LINES) for one in processes)
    assert EVIL.replace(":", "") in {one["user"] for one in processes}
    answer = command.asks("ps")
    (listed,) = (one for one in answer["containers"] if one["name"] == hostile.program)
    own = f"own{LINES}={LINES}".partition("=")
    assert listed["labels"][own[0]] == own[2]
    if answer["engine"]["product"] == "Docker":  # a build with Podman's API changes such a label
        assert listed["labels"][f"label{LINES}"] == LINES


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (3, ("processes", "EVIL")),
        (2, ("forecast", "PROGRAM", "EVIL")),
        (2, ("ipc", "read", "PROGRAM", "EVIL", "0")),
        (3, ("ipc", "read", "PROGRAM", "posix-shm", "noEVIL")),
        (3, ("maps", "read", "PROGRAM", "1", "EVIL")),
        (4, ("--read-only", "stop", "EVIL")),
        (4, ("--read-only", "ipc", "remove", "EVIL", "EVIL", "EVIL")),
    ],
    ids=str,
)
def test_no_complaint_quotes_a_control_character(
    hostile: Hostile, command: Command, status: int, words: tuple[str, ...]
) -> None:
    answer = command(*(word.replace("EVIL", EVIL) for word in filled_in(hostile, words)))
    assert answer.status == status, answer.err
    is_safe(answer)
    assert "\\x1b]2;stolen" in answer.err


def test_the_engines_reason_is_safe(hostile: Hostile, engine_host: str) -> None:
    """The engine quotes a user name as it is; a toast passed such an error to the terminal."""
    with pytest.raises(ContainerlabError, match=re.escape(r"\x1b]2;stolen\x07")) as raised:
        connect(engine_host).start(hostile.broken)
    assert unsafe(str(raised.value)) == unsafe(raised.value.sentence) == []


@pytest.mark.parametrize("json_too", [(), ("--json",)], ids=["text", "json"])
def test_a_stop_and_its_history_have_no_control_character(
    docker: Docker, container: Containers, command: Command, tmp_path: Path, json_too: tuple[str, ...]
) -> None:
    with evil_image(docker) as image:
        mine = hostile_containers(container, image)
        for name in (mine.program, mine.shell):
            answer = command("stop", name, *json_too)
            assert answer.status == 1, answer.err
            is_safe(answer)
            is_safe(command("why", name, *json_too))
            is_safe(command("doctor", mine.shell, *json_too))
        container.remove()
    (file,) = tmp_path.rglob("stops.sqlite")
    with closing(sqlite3.connect(file)) as history:
        rows = history.execute("SELECT * FROM stops").fetchall()
    assert len(rows) == 2
    assert [value for row in rows for value in row if isinstance(value, str) and unsafe(value)] == []


def test_a_hostile_object_is_removed_by_its_exact_name(docker: Docker, container: Containers, command: Command) -> None:
    with evil_image(docker) as image:
        mine = hostile_containers(container, image)
        answer = command("ipc", "remove", mine.program, "posix-sem", EVIL, "--yes")
        assert answer.status == 0, answer.err
        is_safe(answer)
        assert "posix-sem" not in {one["kind"] for one in command.asks("ipc", mine.program)["objects"]}
        container.remove()


def test_a_hostile_settings_file_is_quoted_safely(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    file = tmp_path / "containerlab-tui" / "config.toml"
    file.parent.mkdir()
    quoted = json.dumps(EVIL.replace("\x7f", ""))
    file.write_text(f"theme = {quoted}\nshell = {quoted}\n{quoted} = 1\n[keys]\n{quoted} = {quoted}\n")
    for more in ((), ("--json",)):
        answer = command("config", *more)
        assert answer.status == 2
        is_safe(answer)


CSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
"""A control sequence in its 7-bit form: cursor, colours, modes."""
OTHER = re.compile(r"\x1b\]22;[a-z-]+\x07|\r\n")
"""What Textual writes besides: the shape of the mouse pointer, and line ends."""


class Recorded(Screen):
    """The program in a terminal whose every byte is kept."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        super().__init__(160, 45)
        self._file = folder / "bytes"
        self.terminal.ask("set-option -s set-clipboard on")
        line = f"stty -echo; read go; exec {shlex.join((PROGRAM, *arguments))}"
        self.run(f"sh -c {shlex.quote(line)}", environment(folder))
        self.terminal.ask(f"pipe-pane -t program {shlex.quote(f'exec cat >{shlex.quote(str(self._file))}')}")
        self.until(self._file.exists, "tmux keeps the bytes")
        self.press("Enter")

    def opens(self, *keys: str, shows: str) -> None:
        """Presses keys, and waits for a text that only they show."""
        assert shows not in self.text()
        self.press(*keys)
        self.shows(shows)

    def leave(self, text: str) -> None:
        """Leaves what shows this text. An Escape together with the next key would be another key, so this waits."""
        self.shows(text)  # else it could be hidden already, before the Escape
        self.press("Escape")
        self.hides(text)

    def only(self, name: str) -> None:
        """Filters the list so that it has this container alone, also if there is a filter and it doesn't run."""
        self.press("/")
        self.hides("n new")  # the filter has the focus
        if "filter “" in self.text():
            self.press("C-u")  # clears the line a moment later, with what has been typed by then
        self.hides("filter “")
        self.fill(name)
        self.opens("Enter", shows="n new")
        self.until(lambda: (seen := self.text()).count("hos-") == seen.count(name) > 0, f"{name} alone")

    def written(self) -> str:
        """Returns what was written, without the control sequences; none of those has the container's parameters."""
        written = self._file.read_bytes().decode("utf-8")
        assert MARK not in "".join(CSI.findall(written))
        return OTHER.sub("", CSI.sub("", written))


def test_no_screen_passes_a_control_character(
    hostile: Hostile, docker: Docker, engine_host: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    short = tempfile.TemporaryDirectory(prefix="cl-")  # its path fits into the field
    request.addfinalizer(short.cleanup)
    saved, seen = Path(short.name) / "saved", Recorded(tmp_path, "--host", engine_host)
    request.addfinalizer(seen.close)
    seen.shows(hostile.program, hostile.shell, "TERM ⊘ discarded")
    if hostile.broken not in seen.text():
        seen.opens("a", shows=hostile.broken)
    seen.only(hostile.program)
    seen.shows("USER")
    tabs = {"g": "RESULT", "i": "segment", "f": "private hidden", "l": "ready", "y": "OOMKilled"}
    for key, text in tabs.items():
        seen.opens(key, shows=text)
    seen.opens("Enter", shows="/ search")
    seen.opens("End", shows="▶ NetworkSettings")
    # Podman names a signal that was not set; Docker 28 with containerd's image store names the manifest.
    after_labels = ("StopTimeout", "StopSignal", "▶ ImageManifestDescriptor")
    ups = [key for key in after_labels if key in seen.text()]
    seen.opens(*("Up" for _ in ups), "Up", "Enter", shows="containerlab.test")  # the labels
    seen.opens(*["Down"] * 6, shows="own\\x1b]2;stolen")  # as many labels as there are with Podman
    seen.leave("▼ Labels")
    seen.opens("p", shows="USER")
    dialogs = {"s": "Signal to", "x": "Grace period", "N": "Rename", "c": "Copy a file into", "n": "Run a container",
               "DC": "Remove", "d": "signal-dropped", "D": "all running", "?": "and other signs"}  # fmt: skip
    for key, text in dialogs.items():
        seen.opens(key, shows=text)
        seen.leave(text)
    seen.opens("i", shows="segment")
    seen.opens("Enter", shows="Remove")
    seen.opens("Enter", shows="00000000")
    seen.leave("00000000")
    seen.leave("Remove")
    seen.opens("w", shows="kernel trace ●")
    docker("kill", "--signal=USR1", hostile.program)
    seen.shows("USR1")
    seen.opens("S", shows="Save")
    seen.press("C-u")
    seen.hides("jsonl")
    seen.fill(str(saved))
    seen.opens("Enter", shows="saved to")
    seen.leave("Signals in")
    seen.only(hostile.broken)
    seen.opens("S", shows="unable to find user")
    seen.only(hostile.shell)
    seen.opens("x", shows="Grace period")
    seen.opens("Enter", shows="done")
    seen.press("C-q")
    seen.until(lambda: seen.has_ended, "it has ended")
    assert "stolen" not in seen.asks("#{pane_title}")
    assert seen.terminal.ask("list-buffers") == [], "nothing was written to the clipboard"
    assert unsafe(seen.written()) == []
    lines = saved.read_text(encoding="utf-8")
    assert lines.isascii()
    assert unsafe(lines) == []
    assert any(json.loads(line)["to"]["name"].startswith("\x1b]2;st") for line in lines.splitlines())


def test_a_container_that_vanishes_before_the_stop(docker: Docker, container: Containers, engine_host: str) -> None:
    name = container("dockerapp1", ready="pid = 1")
    engine = connect(engine_host)
    plan = plan_stop(engine, name)
    docker("rm", "--force", name)
    with pytest.raises(Gone):
        run_stop(engine, plan)
    assert main(["--host", engine_host, "stop", name]) == 3


def test_a_reused_pid_gets_no_signal(docker: Docker, container: Containers) -> None:
    name = container("dockerapp1", ready="pid = 1")
    run = docker.run_of(name)
    with pytest.raises(Gone):
        send(run, ProcessId(run.init.pid, run.init.started - 1), 10)
    assert "SIGUSR1" not in docker.logs(name)
