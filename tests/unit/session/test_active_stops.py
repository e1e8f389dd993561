"""The log that a container writes during its stop: bounded, whatever it writes."""

from containerlab_tui.session.active_stops import LOG_LINES_AT_ONCE, LONGEST_LOG_LINE, log_batches


def test_lines_are_joined_across_chunks() -> None:
    assert list(log_batches([b"one\ntw", b"o\n", b"", b"three"])) == [[b"one"], [b"two"], [b"three"]]


def test_a_line_without_end_is_cut() -> None:
    chunk = b"x" * (LONGEST_LOG_LINE // 2 + 1)
    batches = list(log_batches([chunk] * 9))
    assert max(len(line) for lines in batches for line in lines) == LONGEST_LOG_LINE
    assert len(batches) == 5  # every second chunk exceeds the limit; the last one is a rest


def test_of_many_lines_the_last_are_kept() -> None:
    (lines,) = log_batches([b"".join(b"%d\n" % number for number in range(1000))])
    assert lines == [b"%d" % number for number in range(1000 - LOG_LINES_AT_ONCE, 1000)]
