"""`selftest`: tests the kernel rules on which certain predictions rest. Needs no engine."""

import argparse
import os
from collections.abc import Callable, Sequence

from containerlab_probes.kernel import asking
from containerlab_probes.kernel.asking import RuleResult
from containerlab_tui.commands import common
from containerlab_tui.present.documents import SCHEMA, Document
from containerlab_tui.present.safe_text import safe_block


def run(arguments: argparse.Namespace, ask: Callable[[], Sequence[RuleResult]] = asking.ask) -> int:
    """Returns 0 if this kernel follows every rule, 1 if not. Raises Denied (not root) or Unsupported."""
    answers = ask()
    if arguments.json:
        common.answer(document(answers))
    else:
        common.say(safe_block(text(answers).split("\n")))
    return 0 if all(answer.as_documented for answer in answers) else 1


def document(answers: Sequence[RuleResult]) -> Document:
    """Returns the JSON document."""
    return {
        "schema": SCHEMA,
        "kernel": os.uname().release,
        "as_documented": all(answer.as_documented for answer in answers),
        "rules": [
            {
                "name": answer.rule.name,
                "rule": answer.rule.sentence,
                "expected": list(answer.rule.expected),
                "seen": answer.seen or None,
                "problem": answer.problem or None,
                "as_documented": answer.as_documented,
                "source": answer.rule.source,
            }
            for answer in answers
        ],
    }


def text(answers: Sequence[RuleResult]) -> str:
    """Returns the table and a summary."""
    rows = [
        (
            answer.rule.sentence,
            " or ".join(answer.rule.expected),
            answer.seen or f"no result: {answer.problem}",
            answer.rule.source,
        )
        for answer in answers
    ]
    table = common.table(("RULE", "EXPECTED", "THIS KERNEL", "SOURCE"), rows)
    kernel, count = f"Linux {os.uname().release}", len(answers)
    wrong = [answer.rule for answer in answers if not answer.as_documented]
    if not wrong:
        return f"{table}\n\n{kernel} follows all {count} rules."
    listed = "\n".join(f"  {rule.sentence}" for rule in wrong)
    return f"{table}\n\n{kernel} does not follow {len(wrong)} of {count} rules, so predictions may be wrong:\n{listed}"
