"""The table of the kernel's rules, and a test of each on the running kernel."""

import json
import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from containerlab_probes.errors import Denied, Unsupported
from containerlab_probes.kernel import asking, experiments
from containerlab_probes.kernel.rules import MAIN_THREAD_BLOCKS, RULES, Rule

NAMES = [rule.name for rule in RULES]
PROGRAM = str(Path(experiments.__file__))
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes PID namespaces, so root")


def named(name: str) -> Rule:
    return next(rule for rule in RULES if rule.name == name)


def test_each_rule_has_one_experiment() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert set(NAMES) == set(experiments.EXPERIMENTS)


def test_each_rule_names_its_source_and_one_rule_differs_between_kernels() -> None:
    assert all(rule.sentence.endswith(".") and ".c: " in rule.source for rule in RULES)
    assert [rule.name for rule in RULES if len(rule.expected) > 1] == [MAIN_THREAD_BLOCKS]


@pytest.fixture(scope="module")
def answers() -> dict[str, asking.RuleResult]:
    return {answer.rule.name: answer for answer in asking.ask()}


@as_root
@pytest.mark.parametrize("name", NAMES)
def test_this_kernel_follows_the_rule(answers: dict[str, asking.RuleResult], name: str) -> None:
    answer = answers[name]
    assert answer.problem == ""
    assert answer.seen in answer.rule.expected


@as_root
def test_the_function_returns_the_result_of_the_experiment(answers: dict[str, asking.RuleResult]) -> None:
    seen = answers[MAIN_THREAD_BLOCKS].seen
    assert asking.spares_init_when_main_thread_blocks() is (seen == "discarded")


def test_a_result_outside_the_table_is_not_as_documented() -> None:
    rule = named("init-default")
    assert asking.RuleResult(rule, "discarded").as_documented
    assert not asking.RuleResult(rule, "killed by SIGTERM").as_documented
    assert not asking.RuleResult(rule, "", "the child process did not react in time").as_documented
    either = named(MAIN_THREAD_BLOCKS)
    assert asking.RuleResult(either, "discarded").as_documented
    assert asking.RuleResult(either, "killed by SIGTERM").as_documented


def test_without_root_no_experiment_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Denied, match="root"):
        asking.ask()
    assert asking.spares_init_when_main_thread_blocks.__wrapped__() is None


def test_a_slow_experiment_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(Unsupported, match="in time"):
        asking.ask((named("default"),), limit_s=0.0)


def test_a_failure_is_reported_and_the_other_experiments_run() -> None:
    done = subprocess.run(
        (sys.executable, "-I", "-S", PROGRAM, "no-such-rule", "default"), capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert found["seen"] == {"default": "killed by SIGTERM"}
    assert "no-such-rule" in found["problems"]["no-such-rule"]


@as_root
def test_root_without_the_capability_gets_a_sentence() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(Path(PROGRAM).parents[2])!r})\n"
        "from containerlab_probes.errors import Denied\n"
        "from containerlab_probes.kernel import asking\n"
        "print(asking.spares_init_when_main_thread_blocks())\n"
        "try: asking.ask()\n"
        "except Denied as error: print(error)\n"
    )
    command = ("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", sys.executable, "-c", code)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answer, sentence = done.stdout.splitlines()
    assert answer == "None"
    assert "SYS_ADMIN" in sentence


@as_root
def test_masks_and_ignored_signals_of_the_caller_do_not_matter() -> None:
    script = "trap '' TERM QUIT CONT TSTP; exec \"$@\""
    command = ("sh", "-c", script, "sh", sys.executable, "-I", "-S", PROGRAM, "default", "init-default", "handler")
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found["seen"] == {"default": "killed by SIGTERM", "init-default": "discarded", "handler": "handled"}


@as_root
@pytest.mark.parametrize("name", ["init-exits", MAIN_THREAD_BLOCKS])
def test_a_child_is_killed_with_its_program(name: str) -> None:
    """The program is killed while its child runs: no process is left."""
    code = (
        f"import sys, time; sys.argv = ['x']; sys.path.insert(0, {str(Path(PROGRAM).parents[2])!r})\n"
        "from containerlab_probes.kernel import experiments, experiment_child\n"
        f"role = {{'init-exits': experiments.has_a_child}}.get({name!r}, experiments.blocks_in_the_main_thread)\n"
        "with experiment_child.ExperimentChild(role, init=True) as child:\n"
        "    print(child.pid, flush=True)\n    time.sleep(1000)\n"
    )
    program = subprocess.Popen((sys.executable, "-c", code), stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    with program.stdout as output:
        child = int(output.readline())
        assert Path(f"/proc/{child}").exists()
        program.kill()
        # Its children have the pipe too, so it closes when the last of them exits.
        assert select.select([output], [], [], 30)[0]
        assert output.read() == ""
    program.wait()
