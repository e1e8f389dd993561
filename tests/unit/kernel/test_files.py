"""Reading with a limit: of files that a process of a container stretches, of lists, lines and directories."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containerlab_probes.errors import Gone
from containerlab_probes.kernel import files
from containerlab_probes.processes.tree import read_process

STRETCH = """
import ctypes, mmap, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
size = 1 << 30
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
at = libc.mmap(None, size, 1, 0x4022, -1, 0)
assert at not in (None, (1 << 64) - 1)
fields = [0, 0, *open("/proc/self/stat").read().rpartition(")")[2].split()]
code, end_code, stack, data, end_data, heap = (int(fields[number]) for number in (25, 26, 27, 44, 45, 46))
libc.sbrk.restype = ctypes.c_void_p
numbers = (code, end_code, data, end_data, heap, libc.sbrk(0), stack, at, at + size, at, at + size, 0)
table = struct.pack("=12QIi", *numbers, 0, -1)
if libc.prctl(35, 14, table, len(table), 0):
    sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
print("stretched", flush=True)
sys.stdin.read()
"""
"""Maps a gibibyte that is never written and makes it the environment and the command line (man 2 PR_SET_MM_MAP)."""


def test_a_stretched_environment_and_command_line_are_cut() -> None:
    with subprocess.Popen(
        (sys.executable, "-S", "-c", STRETCH), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        try:
            assert child.stdout is not None
            assert child.stderr is not None
            if child.stdout.readline() != b"stretched\n":
                pytest.skip(f"PR_SET_MM_MAP is not possible here: {child.stderr.readline().decode()}")
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            assert len(files.read_bytes(f"/proc/{child.pid}/environ")) == files.LIMIT
            assert len(" ".join(read_process(child.pid).argv)) <= files.LIMIT
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
        finally:
            child.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may set supplementary groups")
def test_a_process_in_very_many_groups_is_read() -> None:
    code = "import os; os.setgroups(range(4_000_000_000, 4_000_065_536)); print(flush=True); input()"
    with subprocess.Popen((sys.executable, "-S", "-c", code), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"\n"
            assert len(files.read_status(f"/proc/{child.pid}")) > 700_000
            assert read_process(child.pid).threads == 1
        finally:
            child.kill()


def test_text_is_cut_exactly(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 300_000)
    assert [len(files.read_text(str(file), limit)) for limit in (1, 16384, 16385, 100_000, 400_000)] == [
        1, 16384, 16385, 100_000, 300_000,
    ]  # fmt: skip


def test_a_list_loses_its_half_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "cgroup.procs"
    file.write_text("12\n345\n678\n")
    monkeypatch.setattr(files, "LIST_LIMIT", 5)
    assert files.read_list(str(file)) == "12\n"
    monkeypatch.setattr(files, "LIST_LIMIT", 100)
    assert files.read_list(str(file)) == "12\n345\n678\n"


@pytest.mark.parametrize(
    ("text", "limit", "lines"),
    [
        (b"", 100, []),
        (b"a\nb", 100, ["a", "b"]),
        (b"a\n\nb\n", 100, ["a", "", "b"]),
        (b"a\nbcdef\n", 4, ["a"]),
        (b"a\n" + b"x" * 200_000 + b"\nb\n", 1 << 20, ["a", "b"]),
        (b"x" * 200_000, 1 << 20, []),
        (b"\xff\n", 100, ["\udcff"]),
    ],
)
def test_lines(tmp_path: Path, text: bytes, limit: int, lines: list[str]) -> None:
    file = tmp_path / "file"
    file.write_bytes(text)
    assert list(files.lines_of(str(file), limit)) == lines


def test_lines_hold_one_chunk(tmp_path: Path) -> None:
    file = tmp_path / "file"
    with file.open("wb") as made:
        for _ in range(1024):
            made.write((b"y" * 4095 + b"\n") * 64)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(1 for _ in files.lines_of(str(file), 1 << 30)) == 65_536
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024


def test_names(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / str(number)).touch()
    assert len(files.names_in(str(tmp_path), 3)) == 3
    assert sorted(files.names_in(str(tmp_path), 9)) == ["0", "1", "2", "3", "4"]
    assert (files.count_names(str(tmp_path), 3), files.count_names(str(tmp_path), 9)) == (3, 5)
    with pytest.raises(Gone):
        files.names_in(str(tmp_path / "none"), 3)


@given(st.text(st.characters(exclude_categories=())))
def test_a_text_takes_no_more_of_an_answer_than_is_counted(text: str) -> None:
    assert len(json.dumps(text)) - 2 <= files.answer_bytes(text)
    assert files.answer_bytes("plain") == 5
    assert files.answer_bytes("\x01" * 9) == files.answer_bytes("\udcff" * 9) == 54
