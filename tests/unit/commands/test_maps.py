"""`maps` and the setting that it needs."""

from pathlib import Path

import pytest

from containerlab_tui.cli import main
from tests.support.engine import ScriptedEngine


@pytest.mark.parametrize("text", ['hide_private_mappings = "no"', "hide_private_mapping = true", "theme ="])
def test_a_broken_setting_that_the_command_needs_ends_it_with_2(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    file = tmp_path / "containerlab-tui" / "config.toml"
    file.parent.mkdir()
    file.write_text(text)
    engine = ScriptedEngine()
    assert main(("maps", "app"), lambda _host, _context: engine) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert str(file) in err
    assert (engine.calls, engine.asked) == ([], [])


@pytest.mark.parametrize("option", ["--private", "--json"])
def test_a_broken_setting_that_is_not_needed_does_not_stop_it(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    file = tmp_path / "containerlab-tui" / "config.toml"
    file.parent.mkdir()
    file.write_text('hide_private_mappings = "no"')
    engine = ScriptedEngine()
    assert main(("maps", "app", option), lambda _host, _context: engine) == 3  # the engine has no such container
    assert engine.asked
