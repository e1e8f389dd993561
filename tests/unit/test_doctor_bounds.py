"""Text out of a container is untrusted: none of it may break the doctor, or keep it busy for long."""

import time

import pytest

from containerlab_probes.records import Process
from containerlab_tui.core.doctor_facts import Outlook
from tests.unit.doctor_support import TERM, process, told

LIMIT = 256 * 1024
"""Characters of one file that are read (services/diagnosis)."""
MOST_S = 0.5
"""Seconds of CPU time that one diagnosis may take."""


def full(piece: str, size: int = LIMIT) -> str:
    return (piece * (size // len(piece) + 1))[:size]


def takes_s(*processes: Process, **more: object) -> float:
    begun = time.thread_time()
    told(*processes, **more)
    return time.thread_time() - begun


SHELL_PIECES = [
    "\n", " ", "\t \n", "#\n", ";", "a", "a-", "a ", "(", "( ", "{", "}", "${", "$(", "'", '"', "`", "&", "\\", "x=",
    "for;do ", "for ", "for x in y\n", "while x; do ", "while x;\n", "while :;do ", "until ", "do ", "done ",
    "case $1 in ", "esac ", "f(){ ", "f(){ :;}\n", "f(){ :;}\ntrap f TERM\n", "f(){ f;f;f;}\n", "function ", "a()(",
    "trap 'x y' TERM\n", 'trap "x" TERM\n', "trap 'x' $s\n", "trap x a ", "trap x ² ", "trap ", "(trap ",
    "kill ", "(kill ", "kill $(jobs ", "wait ", "sleep 1 ", "sleep 9", "exec ", "exec\n", ". ./b\n", "source ", ". ",
    "fn sigterm {", "set -e", "then ", "x && ", "read ", "coproc ", "$(dirname ", "TRAPTERM(){ f;}\n",
]  # fmt: skip
TRAPS = "trap 'f; x=1; kill $!; sleep 1' TERM\nf(){ x; }\nwhile x; do wait; done\n"


@pytest.mark.parametrize("size", [LIMIT, 32 * 1024 - 200])
@pytest.mark.parametrize("piece", SHELL_PIECES)
def test_no_script_of_a_shell_keeps_the_doctor_busy(piece: str, size: int) -> None:
    text = full(piece, size)
    texts = (text, TRAPS + text, text + TRAPS, f"trap '{text.replace(chr(39), '')}' TERM\nwait\n")
    for one in texts if size < LIMIT else texts[:1]:
        for caught, foreground in (((), ()), ((TERM,), ()), ((TERM,), (7,))):
            child = process(7, "sleep", "1000", parent=1)
            by_file = process(1, "sh", "/x.sh", exe="/bin/dash", caught=caught, foreground=foreground)
            assert takes_s(by_file, child, files={(1, "/x.sh"): one, (1, "&./b"): text}) < MOST_S
        by_word = process(1, "sh", "-c", one, exe="/bin/bash", caught=(TERM,))
        assert takes_s(by_word, process(7, *one.split()[:9000], parent=1, exe="/x")) < MOST_S


def test_empty_lines_before_a_trap_change_nothing() -> None:
    text = "\n" * 200_000 + 'trap "exit 0" TERM; while :; do sleep 1; done'
    found = told(process(1, "sh", "/x.sh", exe="/bin/dash", caught=(TERM,)), files={(1, "/x.sh"): text})
    assert found.outlook is Outlook.EXITS
    assert "It exits." in found.evidence


def test_a_script_that_is_too_long_is_not_judged_by_half() -> None:
    text = "trap 'exit 0' TERM\n" + "echo hello\n" * 5000 + "trap : TERM\nwait\n"
    found = told(process(1, "sh", "/x.sh", exe="/bin/dash", caught=(TERM,)), files={(1, "/x.sh"): text})
    assert found.outlook is Outlook.UNKNOWN


def test_a_file_that_is_read_again_and_again_is_put_in_once() -> None:
    text = ". ./b\n" * 1500
    read = "trap 'exit 0' TERM\n" + "echo hello\n" * 1000
    one = process(1, "sh", "/x.sh", exe="/bin/dash", caught=(TERM,))
    files = {(1, "/x.sh"): text, (1, "&./b"): read}
    assert told(one, files=files).outlook is Outlook.EXITS
    assert takes_s(one, files=files) < MOST_S
