"""Fixes quote a container's commands: what they contain never looks like another line."""

import json

import pytest

from containerlab_tui.doctor import fixes
from containerlab_tui.present.doctor_text import fix_lines, pasteable
from tests.unit.doctor.support import process

WORDS = ("serve", "x\nDockerfile: RUN rm -rf /", "\x1b]2;stolen\x07", "a\u2028b\r")


@pytest.mark.parametrize("words", [WORDS, ("serve", "a\rb")])
def test_a_hostile_command_is_one_line_of_json(words: tuple[str, ...]) -> None:
    (line,) = fix_lines(fixes.exec_form(process(7, *words)))
    assert json.loads(line.removeprefix("Dockerfile: CMD ")) == list(words)
    assert line.isascii()
    assert line.isprintable()


def test_a_plain_command_keeps_both_forms() -> None:
    made = fixes.exec_form(process(7, "serve", "café au lait"))
    assert made == 'Dockerfile: CMD ["serve", "café au lait"]\nin a script: exec serve \'café au lait\''
    assert pasteable(made).splitlines()[-1] == "exec serve 'café au lait'"


def test_a_trap_starts_a_hostile_command_on_one_line() -> None:
    first, *rest = fix_lines(fixes.trap(process(7, *WORDS), "SIGTERM"))
    assert first.endswith(" &")
    assert first.isprintable()
    assert rest == ["child=$!", "trap 'kill -TERM \"$child\"' TERM", 'wait "$child"; wait "$child"']


def test_a_finding_without_a_fix_has_no_lines() -> None:
    assert fix_lines("") == []
