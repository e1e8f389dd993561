"""Settings: the priority of sources, the source of each setting, and the handling of mistakes."""

import subprocess
import sys
from pathlib import Path

import pytest
from textual.binding import Binding

from containerlab_tui.config import Loaded, Settings, load
from containerlab_tui.config_lines import key_lines
from containerlab_tui.session.actions import key_problems
from containerlab_tui.ui.themes import theme_problem


def loaded(folder: Path, text: str | None, **environ: str) -> Loaded:
    if text is not None:
        file = folder / "containerlab-tui" / "config.toml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return load({"XDG_CONFIG_HOME": str(folder), **environ})


def test_defaults(tmp_path: Path) -> None:
    assert loaded(tmp_path, None) == Loaded(Settings())
    assert loaded(tmp_path, None).source("theme") == "default"


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
def test_a_bad_value_names_file_line_and_key_and_other_settings_count(tmp_path: Path, line: str, key: str) -> None:
    found = loaded(tmp_path, f"read_only = true\n\n{line}\n")
    assert found.settings == Settings(read_only=True)
    (sentence,) = found.problems
    assert f"{tmp_path}/containerlab-tui/config.toml, line 3: " in sentence
    assert key in sentence


def test_invalid_toml_keeps_the_defaults_and_disables_changes(tmp_path: Path) -> None:
    found = loaded(tmp_path, "theme = \nread_only = true\n")
    assert found.settings == Settings(read_only=True)
    assert found.source("read_only") == "a settings file that cannot be read"
    assert not loaded(tmp_path, None, CONTAINERLAB_TUI_READ_ONLY="0").settings.read_only
    assert len(found.problems) == 1
    assert "line 1" in found.problems[0]


@pytest.mark.parametrize("data", [b"\xff\xfe", None])
def test_an_unreadable_file_keeps_the_defaults_and_disables_changes(tmp_path: Path, data: bytes | None) -> None:
    file = tmp_path / "containerlab-tui" / "config.toml"
    file.parent.mkdir()
    if data is None:
        file.mkdir()
    else:
        file.write_bytes(data)
    found = loaded(tmp_path, None)
    assert found.settings == Settings(read_only=True)
    assert str(file) in found.problems[0]


@pytest.mark.parametrize(
    ("text", "environ", "read_only"),
    [
        ("readonly = true", {}, True),
        ("read-only = 1", {}, True),
        ("readonly = false", {}, False),
        (None, {"CONTAINERLAB_TUI_READONLY": "1"}, True),
        (None, {"CONTAINERLAB_TUI_READONLY": "0"}, False),
        (None, {"CONTAINERLAB_TUI_COLOUR": "1"}, False),
    ],
)
def test_an_unknown_name_is_a_problem_and_one_close_to_read_only_counts(
    tmp_path: Path, text: str | None, environ: dict[str, str], read_only: bool
) -> None:
    found = loaded(tmp_path, text, **environ)
    assert found.settings.read_only is read_only
    (problem,) = found.problems
    assert "unknown setting" in problem
    assert problem.endswith("Treated as read_only = true.") is read_only


@pytest.mark.parametrize(("word", "value"), [("1", True), ("no", False), ("TRUE", True), ("off", False)])
def test_flags_in_the_environment(tmp_path: Path, word: str, value: bool) -> None:
    found = loaded(tmp_path, None, CONTAINERLAB_TUI_READ_ONLY=word, CONTAINERLAB_TUI_HIDE_PRIVATE_MAPPINGS=word)
    assert (found.settings.read_only, found.settings.hide_private_mappings) == (value, value)
    assert not found.problems


def test_an_invalid_read_only_counts_as_true(tmp_path: Path) -> None:
    for found in (
        loaded(tmp_path, None, CONTAINERLAB_TUI_READ_ONLY="please"),
        loaded(tmp_path, 'read_only = "yes"'),
    ):
        assert found.settings.read_only
        assert "read_only" in found.problems[0]


def test_an_invalid_environment_variable_is_named(tmp_path: Path) -> None:
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


def test_sources(tmp_path: Path) -> None:
    text = 'theme = "nord"\n# a remark\nread_only = true\n\n[keys]\n"main.stops" = "X"\n'
    found = loaded(tmp_path, text, CONTAINERLAB_TUI_THEME="dracula")
    file = tmp_path / "containerlab-tui" / "config.toml"
    assert found.source("theme") == "CONTAINERLAB_TUI_THEME"
    assert found.source("read_only") == f"{file}, line 3"
    assert found.source("keys") == f"{file}, line 5"
    flagged = load({"XDG_CONFIG_HOME": str(tmp_path)}, {"read_only": True})
    assert flagged.source("read_only") == "--read-only"


def test_an_unknown_theme_is_named_with_its_place_and_dropped(tmp_path: Path) -> None:
    place = tmp_path / "containerlab-tui"
    place.mkdir()
    (place / "config.toml").write_text('log_lines = 900\ntheme = "norde"\n')
    found = load({"XDG_CONFIG_HOME": str(tmp_path)}, check_theme=theme_problem)
    assert (found.settings.theme, found.source("theme")) == ("", "default")
    (problem,) = found.problems
    assert problem.startswith(f"{place / 'config.toml'}, line 2: no such theme: 'norde' (did you mean 'nord'?)")
    assert not load(
        {"CONTAINERLAB_TUI_THEME": "nord", "XDG_CONFIG_HOME": "/nowhere"}, check_theme=theme_problem
    ).problems


def test_the_source_of_a_misspelt_read_only_is_where_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "containerlab-tui" / "config.toml"
    for text in ('theme = "nord"\nreadonly = true\n', 'theme = "nord"\nreadonly = true\nread_only = false\n'):
        found = loaded(tmp_path, text)
        assert (found.settings.read_only, found.source("read_only")) == (True, f"{file}, line 2")
    found = loaded(tmp_path, None, CONTAINERLAB_TUI_READONLY="1")
    assert found.source("read_only") == "CONTAINERLAB_TUI_READONLY"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("them = 1", "line 1: unknown setting 'them' (did you mean 'theme'?)"),
        ('confirm = ["stopp"]', "not 'stopp' (did you mean 'stop'?)"),
        ('read_only = "perhaps"', "line 1: read_only must be true or false. Treated as true."),
        ('theme = "a"\n[keys]\n"container.stop" = "x"\n"container.stpo" = "X"', "line 4: unknown binding"),
        ('[keys]\n"container.stop" = "s"', "line 2: container.stop and container.signal are both on s"),
        ('keys = { "container.stop" = "d" }', "line 1: container.stop and container.doctor are both on d"),
    ],
)
def test_a_problem_names_line_and_alternatives(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "containerlab-tui" / "config.toml"
    file.parent.mkdir()
    file.write_text(text)
    found = load({"XDG_CONFIG_HOME": str(tmp_path)}, None, key_problems)
    (problem,) = found.problems
    assert sentence in problem
    assert "container.stop" not in found.settings.keys or found.settings.keys == {"container.stop": "x"}


def test_two_actions_may_swap_their_keys_and_other_places_have_their_own() -> None:
    assert key_problems({"container.stop": "s", "container.signal": "x"}) == {}
    assert key_problems({"container.remove": "v"}) == {}


@pytest.mark.parametrize(
    ("display", "name"), [("?", "question_mark"), ("/", "slash"), ("[", "left_square_bracket"), (" ", "space")]
)
def test_a_key_has_one_name_however_it_is_written(display: str, name: str) -> None:
    (binding,) = Binding.make_bindings([(display, "act", "")]) if display.strip() else (Binding(name, "act"),)
    assert binding.key == name
    problems = [key_problems({"container.stop": key, "container.start": name}) for key in (display, name)]
    assert problems[0] == problems[1] != {}


@pytest.mark.parametrize("ids", [("container.stop", "container.start"), ("container.start", "container.stop")])
def test_of_two_entries_on_one_key_the_first_is_kept(ids: tuple[str, str]) -> None:
    first, second = ids
    assert key_problems({first: "f9", second: "f9"}) == {
        second: f"{second} and {first} are both on f9. The default key of {second} is kept."
    }


def test_a_dropped_entry_leaves_its_default_key_taken() -> None:
    problems = key_problems({"container.stop": "f9", "container.signal": "f9", "container.start": "s"})
    assert set(problems) == {"container.signal", "container.start"}


@pytest.mark.parametrize(
    "before",
    [
        'shell = """\nlog_lines = 1\n[keys]\n"""\n',
        "shell = '''\nlog_lines = [\n1]\n'''\n",
        'confirm = [\n  "stop",  # log_lines = 1\n]\n',
    ],
)
def test_a_key_like_line_inside_a_value_is_ignored(before: str) -> None:
    text = f'{before}log_lines = 5\n[keys]\n"a.b" = "x"\n'
    lines = key_lines(text)
    last = len(text.splitlines())
    assert (lines["log_lines",], lines["keys",], lines["keys", "a.b"]) == (last - 2, last - 1, last)


def test_lines_of_dotted_keys_inline_tables_and_arrays_of_tables() -> None:
    lines = key_lines('keys.x = "a"\nt = { y = 1 }\n[[list]]\nz = 1\n[[list]]\nz = 2\n[u.v]\nw = 1\n')
    assert lines["keys",] == lines["keys", "x"] == 1
    assert lines["t", "y"] == 2
    assert (lines["list",], lines["list", "z"], lines["u",], lines["u", "v", "w"]) == (3, 4, 7, 8)


def test_a_setting_is_broken_until_a_later_source_sets_it(tmp_path: Path) -> None:
    text = "log_lines = 5\nhide_private_mapings = true\n"
    assert set(loaded(tmp_path, text).broken) == {"log_lines", "hide_private_mappings"}
    assert set(loaded(tmp_path, text, CONTAINERLAB_TUI_LOG_LINES="200").broken) == {"hide_private_mappings"}
    assert "theme" in loaded(tmp_path, "theme = ").broken
    assert "theme" not in loaded(tmp_path, "theme = ", CONTAINERLAB_TUI_THEME="nord").broken


def test_a_setting_in_a_table(tmp_path: Path) -> None:
    found = loaded(tmp_path, "log_lines = 300\n[history]\narguments = true\n")
    assert found.settings == Settings(log_lines=300, history_arguments=True)
    assert found.source("history.arguments").endswith("config.toml, line 3")
    assert found.settings.by_name()["history.arguments"] is True
    found = loaded(tmp_path, None, CONTAINERLAB_TUI_HISTORY_ARGUMENTS="no")
    assert not found.settings.history_arguments
    assert found.source("history.arguments") == "CONTAINERLAB_TUI_HISTORY_ARGUMENTS"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("\n[history]\narguments = 1\n", 3, "history.arguments must be true or false"),
        ("\n[history]\nargument = true\n", 3, "unknown setting 'history.argument' (did you mean 'history.arguments'?)"),
        ("history = true\n", 1, "unknown setting 'history'"),
    ],
)
def test_mistakes_in_a_table(tmp_path: Path, text: str, line: int, words: str) -> None:
    found = loaded(tmp_path, text)
    assert found.settings == Settings()
    (problem,) = found.problems
    assert f"line {line}: {words}" in problem
