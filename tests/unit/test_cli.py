"""Parsing of the command line; tests/engine/test_commands.py tests the commands."""

import pytest

from containerlab_tui.cli import join_command, main, parser


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
