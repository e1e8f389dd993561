"""Parsing of the command line; tests/engine/test_commands.py tests the commands."""

import shlex
import subprocess
import sys

import pytest

from containerlab_tui.cli import join_command, main, parser
from containerlab_tui.commands.output import checked


@pytest.mark.parametrize(
    ("words", "joined"),
    [
        (["ipc", "read", "app", "shm", "0"], ["ipc read", "app", "shm", "0"]),
        (["--json", "ipc", "remove", "app", "sem", "3"], ["--json", "ipc remove", "app", "sem", "3"]),
        (["maps", "read", "app", "1", "0-1000"], ["maps read", "app", "1", "0-1000"]),
        (["ipc", "read"], ["ipc", "read"]),
        (["ipc", "read", "--json"], ["ipc", "read", "--json"]),
        (["ipc", "app"], ["ipc", "app"]),
        ([], []),
    ],
)
def test_a_container_may_be_named_read(words: list[str], joined: list[str]) -> None:
    assert join_command(words) == joined


@pytest.mark.parametrize(
    "words",
    [
        ["--json", "--host", "unix:///x", "stop", "app", "--timeout", "3"],
        ["stop", "--json", "app", "--timeout", "3", "--host", "unix:///x"],
    ],
)
def test_global_options_stand_before_or_after_the_command(words: list[str]) -> None:
    arguments = parser().parse_args(words)
    assert (arguments.json, arguments.host, arguments.name, arguments.timeout) == (True, "unix:///x", "app", 3)
    assert not arguments.lab


@pytest.mark.parametrize(
    "words", [["nonsense"], ["stop"], ["signal", "app"], ["signal", "app", "TERM", "--all", "--children"]]
)
def test_a_wrong_command_line_ends_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["ps", "x\x1b]2;stolen\x07"], ["lab", "x\x9b31m"], ["stop", "app", "--timeout", "\u202e"]]
)
def test_a_complaint_about_arguments_has_no_control_character(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert "\\" in err
    assert err.replace("\n", "").isprintable()


@pytest.mark.parametrize("words", [["--context", "x\x1b]2;stolen\x07", "ps"], ["--host", "unix:///x\x9b31m", "ps"]])
def test_a_complaint_about_an_engine_has_no_control_character(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) in (2, 5)
    err = capsys.readouterr().err
    assert "x\\x" in err
    assert err.replace("\n", "").isprintable()


def test_two_engines_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--lab", "--host", "unix:///x", "ps"]) == 2
    assert "use one of them" in capsys.readouterr().err


def test_an_engine_out_of_reach_is_one_sentence_and_5(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--host", "unix:///nowhere/docker.sock", "ps"]) == 5
    out, err = capsys.readouterr()
    assert out == ""
    assert "unix:///nowhere/docker.sock" in err
    assert "containerlab-tui --lab" in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1


def run_program(redirection: str, *words: str) -> tuple[int, str]:
    """Runs the program in a shell with a redirection; returns its status and its error output."""
    command = shlex.join((sys.executable, "-m", "containerlab_tui.cli", *words))
    shell = ("bash", "-o", "pipefail", "-c", f"{command} {redirection}")
    done = subprocess.run(shell, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize("words", [["config"], ["config", "--json"], ["--help"], ["--version"], ["lab", "status"]])
def test_output_that_cannot_be_written_is_one_sentence_and_1(words: list[str]) -> None:
    expected = "containerlab-tui: The output could not be written (No space left on device).\n"
    assert run_program(">/dev/full", *words) == (1, expected)


@pytest.mark.parametrize("redirection", ["| true", ">&-"])
def test_a_reader_that_has_exited_is_no_failure(redirection: str) -> None:
    assert run_program(redirection, "config") == (0, "")


def test_a_write_that_fails_before_the_end_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    @checked
    def prints_much() -> int:
        for _ in range(1000):
            print("x" * 1000)
        raise AssertionError("the first full buffer could not be written")

    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert prints_much() == 1


def test_other_failures_are_not_taken_for_failures_of_output() -> None:
    @checked
    def has_a_defect() -> int:
        raise OSError("a defect")

    with pytest.raises(OSError, match="a defect"):
        has_a_defect()
