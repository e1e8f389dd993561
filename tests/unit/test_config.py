"""Settings: which source wins, and what a mistake does; directories that nobody else may control."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from containerlab_probes.errors import BadRequest, Denied
from containerlab_tui import config
from containerlab_tui.config import Loaded, Settings, load


def loaded(folder: Path, text: str | None, **environ: str) -> Loaded:
    if text is not None:
        file = folder / "containerlab-tui" / "config.toml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return load({"XDG_CONFIG_HOME": str(folder), **environ})


def test_without_anything_the_defaults_are_in_force(tmp_path: Path) -> None:
    assert loaded(tmp_path, None) == Loaded(Settings())


def test_file_then_environment_then_flags(tmp_path: Path) -> None:
    text = 'theme = "nord"\nread_only = true\nlog_lines = 900\nconfirm = []\n[keys]\n"main.stop" = "X,f9"\n'
    assert loaded(tmp_path, text).settings == Settings(
        theme="nord", read_only=True, log_lines=900, confirm=frozenset(), keys={"main.stop": "X,f9"}
    )
    environ = {"CONTAINERLAB_TUI_THEME": "dracula", "CONTAINERLAB_TUI_CONFIRM": "stop, signal"}
    assert loaded(tmp_path, text, **environ).settings == Settings(
        theme="dracula",
        read_only=True,
        log_lines=900,
        confirm=frozenset({"stop", "signal"}),
        keys={"main.stop": "X,f9"},
    )
    flags = {"theme": "gruvbox", "read_only": None, "shell": "/bin/zsh"}
    settings = load({"XDG_CONFIG_HOME": str(tmp_path), **environ}, flags).settings
    assert (settings.theme, settings.read_only, settings.shell) == ("gruvbox", True, "/bin/zsh")


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("log_lines = 5", "log_lines"),
        ("log_lines = true", "log_lines"),
        ("theme = 7", "theme"),
        ('theme = "a\\u001bb"', "theme"),
        ('hide_private_mappings = "no"', "hide_private_mappings"),
        ('confirm = ["stop", "everything"]', "confirm"),
        ('confirm = "stop"', "confirm"),
        ("[keys]\nx = 3", "keys"),
        ("colour = 1", "colour"),
    ],
)
def test_a_mistake_names_file_line_and_key_and_leaves_the_rest(tmp_path: Path, line: str, key: str) -> None:
    found = loaded(tmp_path, f"read_only = true\n\n{line}\n")
    assert found.settings == Settings(read_only=True)
    (sentence,) = found.problems
    assert f"{tmp_path}/containerlab-tui/config.toml, line 3: " in sentence
    assert key in sentence


def test_what_is_no_toml_leaves_the_defaults(tmp_path: Path) -> None:
    found = loaded(tmp_path, "theme = \nread_only = true\n")
    assert found.settings == Settings()
    assert len(found.problems) == 1
    assert "line 1" in found.problems[0]


@pytest.mark.parametrize("data", [b"\xff\xfe", None])
def test_a_file_that_cannot_be_read_leaves_the_defaults(tmp_path: Path, data: bytes | None) -> None:
    file = tmp_path / "containerlab-tui" / "config.toml"
    file.parent.mkdir()
    if data is None:
        file.mkdir()
    else:
        file.write_bytes(data)
    found = loaded(tmp_path, None)
    assert found.settings == Settings()
    assert str(file) in found.problems[0]


@pytest.mark.parametrize(("word", "value"), [("1", True), ("no", False), ("TRUE", True), ("off", False)])
def test_flags_in_the_environment(tmp_path: Path, word: str, value: bool) -> None:
    found = loaded(tmp_path, None, CONTAINERLAB_TUI_READ_ONLY=word, CONTAINERLAB_TUI_HIDE_PRIVATE_MAPPINGS=word)
    assert (found.settings.read_only, found.settings.hide_private_mappings) == (value, value)
    assert not found.problems


def test_a_wish_to_be_careful_that_is_not_understood_is_granted(tmp_path: Path) -> None:
    for found in (
        loaded(tmp_path, None, CONTAINERLAB_TUI_READ_ONLY="please"),
        loaded(tmp_path, 'read_only = "yes"'),
    ):
        assert found.settings.read_only
        assert "read_only" in found.problems[0]


def test_an_environment_variable_that_makes_no_sense_is_named(tmp_path: Path) -> None:
    found = loaded(tmp_path, "log_lines = 300", CONTAINERLAB_TUI_LOG_LINES="many")
    assert found.settings.log_lines == 300
    assert "CONTAINERLAB_TUI_LOG_LINES" in found.problems[0]


def test_importing_touches_nothing(tmp_path: Path) -> None:
    code = "import containerlab_tui.config as c, os, sys; print(os.listdir(sys.argv[1]), 'tomllib' in sys.modules)"
    places = {name: str(tmp_path) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")}
    done = subprocess.run(
        (sys.executable, "-c", code, str(tmp_path)), env=places, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["[]", "False"]


def test_directories_follow_the_variables(tmp_path: Path) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path / "s"), "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path / "h")}
    state, runtime = config.state_dir(environ=environ), config.runtime_dir(environ=environ)
    assert (state, runtime) == (tmp_path / "s" / config.NAME, tmp_path / config.NAME)
    assert not state.exists()
    for make in (config.state_dir, config.runtime_dir):
        path = make(create=True, environ=environ)
        assert path.stat().st_mode & 0o777 == 0o700
        assert make(create=True, environ=environ) == path
    relative = {"XDG_STATE_HOME": "s", "HOME": str(tmp_path / "h")}
    assert config.state_dir(environ=relative) == tmp_path / "h" / ".local/state" / config.NAME


def test_a_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    own = tmp_path / config.NAME
    own.symlink_to("/")
    with pytest.raises(BadRequest, match="not a directory"):
        config.runtime_dir(create=True, environ=environ)
    own.unlink()
    own.mkdir()
    own.chmod(0o777)
    with pytest.raises(Denied, match="written by others"):
        config.runtime_dir(environ=environ)
    own.chmod(0o755)
    uid = os.geteuid()
    if uid == 0:
        os.chown(own, 12345, -1)
        with pytest.raises(Denied, match="user 12345"):
            config.runtime_dir(create=True, environ=environ)


def test_a_runtime_directory_of_somebody_else_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    assert config.runtime_dir(environ={"XDG_RUNTIME_DIR": str(tmp_path)}).name == f"{config.NAME}-54321"
