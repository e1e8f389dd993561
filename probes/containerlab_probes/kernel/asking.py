"""Tests the rules of the running kernel with a short-lived program (`experiments`)."""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from containerlab_probes.errors import BY_KIND, ContainerlabError, Denied, Unsupported
from containerlab_probes.kernel.rules import DISCARDED, KILLED, MAIN_THREAD_BLOCKS, RULES, Rule

LIMIT_S = 60.0
"""Time limit for all experiments, which take a few hundredths of a second."""
ONE_LIMIT_S = 3.0
"""Time limit for one experiment that other work waits for."""


@dataclass(frozen=True, slots=True)
class RuleResult:
    """The result of one experiment."""

    rule: Rule
    seen: str
    """Empty if the experiment failed."""
    problem: str = ""

    @property
    def as_documented(self) -> bool:
        """Whether this kernel follows the rule."""
        return self.seen in self.rule.expected


def ask(rules: Iterable[Rule] = RULES, limit_s: float = LIMIT_S) -> tuple[RuleResult, ...]:
    """Tests each rule on the running kernel and returns the results.

    Raises Denied (not root, or without CAP_SYS_ADMIN) or Unsupported (the experiments can't run here).
    """
    if os.geteuid():
        raise Denied("Testing the kernel's rules needs root (for PID namespaces); run this with sudo.")
    asked = tuple(rules)
    program = str(Path(__file__).with_name("experiments.py"))
    command = [sys.executable, "-I", "-S", program, *(rule.name for rule in asked)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit_s,
            check=False,
            cwd="/",
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as error:
        raise Unsupported("The kernel experiments did not finish in time and were killed.") from error
    except OSError as error:
        raise Unsupported(f"Could not start the kernel experiments: {error.strerror}.") from error
    try:
        found = json.loads(done.stdout)
        seen, problems, refused = found["seen"], found["problems"], found["refused"]
    except (ValueError, KeyError, TypeError) as error:
        raise Unsupported(f"The kernel experiments failed (status {done.returncode}).") from error
    if refused:
        raise BY_KIND[refused["kind"]](refused["sentence"])
    return tuple(RuleResult(rule, seen.get(rule.name, ""), problems.get(rule.name, "")) for rule in asked)


@functools.cache
def spares_init_when_main_thread_blocks() -> bool | None:
    """Returns whether PID 1 survives a signal without a handler that only its main thread blocks.

    Kernels differ. This one is tested once for each run of this program; None if it could not be tested.
    """
    rule = next(one for one in RULES if one.name == MAIN_THREAD_BLOCKS)
    try:
        (answer,) = ask((rule,), ONE_LIMIT_S)
    except ContainerlabError:
        return None
    return {DISCARDED: True, KILLED: False}.get(answer.seen)
