"""The filter of the signal watch: the rows that pass its words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containerlab_probes.trace_records import LostEvents, SignalResult, TracedExec, TracedExit, TracedFork, TracedSignal
from containerlab_tui.model.signal_filter import ALL, parse
from containerlab_tui.model.signal_log import Known, LogRecord, Note, Row, SignalLog, Who

QUEUED = SignalResult.QUEUED
RECORDS: dict[str, LogRecord] = {
    "term": TracedSignal(1, 555, "runc", 7001, 15, QUEUED, 0, True),
    "term-child": TracedSignal(2, 7001, "nginx", 7007, 15, QUEUED, 0, True),
    "kill": TracedSignal(3, 555, "runc", 7001, 9, QUEUED, 0, True),
    "hup-15": TracedSignal(4, 600, "kill", 7015, 1, QUEUED, 0, True),
    "rt": TracedSignal(5, 600, "kill", 7007, 37, QUEUED, 0, True),
    "exit": TracedExit(6, 7007, 0),
    "fork": TracedFork(7, 7001, 7020),
    "exec": TracedExec(8, 7015, "/bin/kill"),
    "lost": LostEvents(9, 3),
    "note": Note(10, "started again"),
}
ALWAYS = {"lost", "note"}


def rows() -> dict[str, Row]:
    log = SignalLog()
    log.add(Known(7000 + pid, Who(pid, name)) for pid, name in ((1, "nginx"), (7, "Worker"), (15, "sh")))
    return dict(zip(RECORDS, log.add(RECORDS.values()), strict=True))


ROWS = rows()

SIGNALS = {"term", "term-child", "kill", "hup-15", "rt"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", SIGNALS | {"exit"}),
        ("   ", SIGNALS | {"exit"}),
        ("-", SIGNALS | {"exit"}),
        ("TERM", {"term", "term-child"}),
        ("sigterm", {"term", "term-child"}),
        ("15", {"term", "term-child", "hup-15"}),
        ("15 hup", {"hup-15"}),
        ("TERM kill", {"term", "term-child", "kill"}),
        ("rtmin+3", {"rt"}),
        ("TERM 7", {"term-child"}),
        ("pid:1", {"term", "term-child", "kill"}),
        ("pid:7001", {"term", "term-child", "kill"}),
        ("7015", {"hup-15"}),
        ("pid:15 pid:7", {"term-child", "hup-15", "rt", "exit"}),
        ("exit", {"exit"}),
        ("exit kill", {"exit", "kill"}),
        ("worker", {"term-child", "rt", "exit"}),
        ("RUN", {"term", "kill"}),
        ("runc -kill", {"term"}),
        ("-TERM -exit", {"kill", "hup-15", "rt"}),
        ("-pid:7", {"term", "kill", "hup-15"}),
        ("-worker -runc", {"hup-15"}),
        ("name:kill", {"hup-15", "rt"}),
        ("name:kill hup", {"hup-15"}),
        ("fork", {"fork"}),
        ("fork exec TERM", {"fork", "exec", "term", "term-child"}),
        ("exec sh", set()),
        ("no-such-program", set()),
        ("-fork", SIGNALS | {"exit"}),
        ("99999999999999", set()),
        ("٣", set()),
    ],
)
def test_rows_that_pass(text: str, wanted: set[str]) -> None:
    chosen = parse(text)
    assert {name for name, row in ROWS.items() if chosen.passes(row)} == wanted | ALWAYS
    assert chosen.select(ROWS.values()) == [row for row in ROWS.values() if chosen.passes(row)]


WORDS = st.one_of(
    st.sampled_from(("TERM", "15", "exit", "fork", "pid:7", "nginx", "name:kill", "-", "--", "pid:", "name:", "-x")),
    st.text(max_size=8),
)


@given(st.lists(WORDS, max_size=5))
def test_every_text_is_a_filter_and_lost_events_always_pass(words: list[str]) -> None:
    chosen = parse(" ".join(words))
    passed = {name for name, row in ROWS.items() if chosen.passes(row)}
    assert passed >= ALWAYS
    assert chosen.select(ROWS.values()) == [row for row in ROWS.values() if chosen.passes(row)]


@given(WORDS.filter(lambda word: word.split() == [word] and not word.startswith("-")))
def test_a_word_and_its_minus_split_the_rows(word: str) -> None:
    all_rows = {name for name, row in ROWS.items() if ALL.passes(row)} - ALWAYS
    with_it = {name for name, row in ROWS.items() if parse(word).passes(row)} - ALWAYS
    without = {name for name, row in ROWS.items() if parse(f"-{word}").passes(row)} - ALWAYS
    assert not with_it & without
    assert with_it | without >= all_rows
