"""The tests start no program that a new machine doesn't have after scripts/setup."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import LIST, UnknownProgram, unknown


@pytest.mark.parametrize(
    ("argv", "refused"),
    [
        (("sleep", "1"), ""),
        (("/bin/sleep", "1"), ""),
        (("no-such-program",), "no-such-program"),
        (("/usr/bin/id",), "/usr/bin/id"),
        (("id",), "id"),
        ((sys.executable, "-c", "id"), ""),
        ((str(Path(sys.executable).with_name("pytest")),), ""),
        (("/tmp/made-by-a-test/id",), ""),
        (("nsenter", "--target", "1", "--", "lsipc", "--json"), ""),
        (("nsenter", "--target", "1", "--", "id", "-u"), "id"),
        (("nsenter", "--target", "1", "--", "unshare", "--pid", "id"), "id"),
        (("nsenter", "--target", "1", "--", "sleep", "id"), ""),
        (("unshare", "--pid", "sh", "-c", "exec sleep 1"), ""),
    ],
)
def test_which_programs_are_unknown(argv: tuple[str, ...], refused: str) -> None:
    assert unknown(argv) == refused


def test_an_unknown_program_is_not_started() -> None:
    with pytest.raises(UnknownProgram, match=r"id is not in scripts/programs"):
        subprocess.run(("id",), check=False)
    with pytest.raises(UnknownProgram):
        subprocess.run([b"/usr/bin/id"], check=False)
    with pytest.raises(UnknownProgram):
        os.posix_spawn("/usr/bin/id", ["id"], {})


def test_each_line_of_the_list_is_a_use_a_program_and_a_package() -> None:
    lines = [line.split() for line in LIST.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    assert {len(line) for line in lines} == {3}
    assert {line[0] for line in lines} == {"run", "test"}
    names = [line[1] for line in lines]
    assert len(set(names)) == len(names)
