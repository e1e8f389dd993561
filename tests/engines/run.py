"""Runs tests/engine on all engines, one after another, and prints a table: `make test-engines`.

    python -m tests.engines.run [ENGINE ...] [--pytest ARGUMENTS] [--keep]

No test is left out silently: each one that didn't run is counted as not applicable, with its reason. The data of an
engine are removed after its tests (about 1.5 GB), unless `--keep` says otherwise.
"""

import argparse
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.engines import matrix

CHECKOUT = Path(__file__).resolve().parents[2]
PYTEST = ("-n", "2", "--dist", "worksteal", "-q")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the tests said on one engine."""

    engine: str
    passed: int
    failed: tuple[str, ...]
    not_applicable: Counter[str]
    """Reasons, each with the number of its tests."""
    broken: str = ""
    """Why there are no results, as a sentence."""

    @property
    def is_good(self) -> bool:
        return self.passed > 0 and not self.failed and not self.broken


def outcome(engine: str, report: str) -> Outcome:
    """Returns the counts of a JUnit report, which pytest has written."""
    passed, failed, reasons = 0, list[str](), Counter[str]()
    for case in ElementTree.fromstring(report).iter("testcase"):  # noqa: S314  # pytest's own file
        name = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(name)
        elif skipped is not None:
            reasons[skipped.get("message") or "no reason"] += 1
        else:
            passed += 1
    return Outcome(engine, passed, tuple(failed), reasons)


def lines(outcomes: list[Outcome]) -> Iterator[str]:
    """Yields the table, then failures and reasons by engine."""
    yield f"{'ENGINE':22} {'PASSED':>6} {'FAILED':>6} {'NOT APPLICABLE':>14}"
    for each in outcomes:
        counts = f"{each.passed:6} {len(each.failed):6} {each.not_applicable.total():14}"
        yield f"{each.engine:22} {counts}  {each.broken}".rstrip()
    for each in outcomes:
        if each.failed or each.not_applicable:
            yield f"\n{each.engine}"
        yield from (f"  failed: {name}" for name in each.failed)
        yield from (f"  not applicable ({count}): {reason}" for reason, count in each.not_applicable.most_common())


def run(engine: str, arguments: list[str]) -> Outcome:
    """Runs the engine tests on one engine, with pytest's output on this process's."""
    with tempfile.TemporaryDirectory(prefix="cl-") as folder:
        report = Path(folder) / "report.xml"
        command = (sys.executable, "-m", "pytest", *PYTEST, f"--engine={engine}", f"--junitxml={report}", *arguments)
        done = subprocess.run(command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, check=False)
        if not report.is_file():
            return Outcome(engine, 0, (), Counter(), f"pytest ended with status {done.returncode} and wrote no report")
        return outcome(engine, report.read_text(encoding="utf-8"))


def main() -> int:
    """Returns 0 if all tests passed that apply, else 1."""
    names = [each.name for each in matrix.ENGINES]
    parser = argparse.ArgumentParser(prog="python -m tests.engines.run")
    parser.add_argument("engines", nargs="*", metavar="ENGINE", help=f"default: all, which are {', '.join(names)}")
    parser.add_argument("--pytest", default="tests/engine", help="arguments for pytest (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep the data of the engines for the next run")
    arguments = parser.parse_args()
    outcomes = list[Outcome]()
    for name in [matrix.find(name).name for name in arguments.engines] or names:
        print(f"== {name}", flush=True)
        outcomes.append(run(name, shlex.split(arguments.pytest)))
        if not arguments.keep:
            subprocess.run((sys.executable, "-m", "tests.engines", "--purge", name), cwd=CHECKOUT, check=False)
    print("", *lines(outcomes), sep="\n", flush=True)
    return 0 if all(each.is_good for each in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
