"""Shell and attach sessions: refusals before a terminal is touched, and the command that is run."""

import os
from pathlib import Path

import pytest

from containerlab_probes.errors import Gone
from containerlab_tui.services.terminal import SHELLS, find_shell, shell_command

NOBODY = 2**22 + 1


def test_the_first_shell_that_is_a_program_is_taken(tmp_path: Path) -> None:
    here = os.getpid()
    script, text = tmp_path / "shell", tmp_path / "text"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    text.write_text("no program")
    assert find_shell(here, str(script)) == str(script)
    usual = next(one for one in SHELLS if os.access(one, os.X_OK))
    for wanted in ("", "/none", "relative", str(text), str(tmp_path)):
        assert find_shell(here, wanted) == usual


def test_a_process_that_has_exited_has_no_shell() -> None:
    with pytest.raises(Gone):
        find_shell(NOBODY)


def test_a_shell_of_the_image_gets_nothing_of_the_hosts_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "of the host")
    monkeypatch.setenv("TERM", "xterm")
    command, environment = shell_command(7, "/bin/sh")
    assert command[-1] == "/bin/sh"
    assert "SECRET" not in environment
    assert (environment["TERM"], environment["SHELL"], environment["HOME"]) == ("xterm", "/bin/sh", "/root")
    assert "/usr/bin" in environment["PATH"].split(":")


@pytest.mark.parametrize(
    ("own", "run"), [("/bin/cat", "/bin/cat"), ("sh", "/bin/sh"), ("/none", "/bin/sh"), ("", "/bin/sh")]
)
def test_the_hosts_shell_keeps_the_hosts_files(monkeypatch: pytest.MonkeyPatch, own: str, run: str) -> None:
    monkeypatch.setenv("SHELL", own)
    with_image, _ = shell_command(7, "/bin/sh")
    command, environment = shell_command(7, None)
    assert command[-1] == run
    assert environment == dict(os.environ)
    assert set(with_image) - set(command) - {"/bin/sh"} == {"--mount"}
