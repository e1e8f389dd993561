"""The command `selftest`: its table, its document and its exit status. The rules: tests/unit/kernel/test_rules.py."""

import json
import os
from collections.abc import Sequence

import pytest

from containerlab_probes.kernel.asking import RuleResult
from containerlab_probes.kernel.rules import MAIN_THREAD_BLOCKS, RULES
from containerlab_tui.cli import main, parser
from containerlab_tui.commands import selftest


def as_expected(**other: str) -> tuple[RuleResult, ...]:
    """Results of a kernel that follows every rule, except those in `other`."""
    return tuple(RuleResult(rule, other.get(rule.name.replace("-", "_"), rule.expected[0])) for rule in RULES)


def run(answers: Sequence[RuleResult], *options: str) -> int:
    return selftest.run(parser().parse_args(["selftest", *options]), lambda: answers)


def test_a_kernel_that_follows_all_rules_ends_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(as_expected()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["RULE", "EXPECTED", "THIS", "KERNEL", "SOURCE"]
    assert len(lines) == len(RULES) + 3
    assert lines[-1].endswith(f"follows all {len(RULES)} rules.")


def test_a_kernel_that_breaks_a_rule_ends_with_1_and_the_rule_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(as_expected(init_default="killed by SIGTERM")) == 1
    out = capsys.readouterr().out
    assert f"does not follow 1 of {len(RULES)} rules" in out
    assert out.endswith(f"  {RULES[0].sentence}\n")


def test_an_experiment_without_an_answer_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    answers = (RuleResult(RULES[0], "", "the child process did not react in time"), *as_expected()[1:])
    assert run(answers) == 1
    assert "no result: the child process did not react in time" in capsys.readouterr().out


@pytest.mark.parametrize("seen", ["discarded", "killed by SIGTERM"])
def test_the_table_shows_this_kernel_where_kernels_differ(seen: str, capsys: pytest.CaptureFixture[str]) -> None:
    answers = tuple(RuleResult(one.rule, seen) if one.rule.name == MAIN_THREAD_BLOCKS else one for one in as_expected())
    assert run(answers) == 0
    assert f"discarded or killed by SIGTERM   {seen} " in capsys.readouterr().out


def test_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(as_expected(default="discarded"), "--json") == 1
    out = capsys.readouterr().out
    assert out.startswith('{"schema": 1, ')
    found = json.loads(out)
    assert (found["kernel"], found["as_documented"]) == (os.uname().release, False)
    wrong = [one for one in found["rules"] if not one["as_documented"]]
    assert wrong == [
        {
            "name": "default",
            "rule": "Another process without a handler is terminated by SIGTERM.",
            "expected": ["killed by SIGTERM"],
            "seen": "discarded",
            "problem": None,
            "as_documented": False,
            "source": "kernel/signal.c: complete_signal (sig_fatal)",
        }
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="takes PID namespaces, so root")
def test_it_needs_no_engine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--host", "unix:///nowhere/docker.sock", "selftest", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["rules"]) == len(RULES)


def test_without_root_it_ends_with_4(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["selftest"]) == 4
    assert "sudo" in capsys.readouterr().err
