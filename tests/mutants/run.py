"""Runs mutmut over dangerous modules: `make mutants`, or `python -m tests.mutants.run [MODULE …]`.

Each module is mutated in a scratch folder with its own tests only; the checkout never changes. modules.toml names the
tests of a module and lists the mutants that may survive, each with the reason. A mutant is named by its function and
the changed line, with sentences left out, so that another wording changes no name. A mutant that only rewords a
sentence is not counted. The exit status is 1 if fewer than LEAST are killed, if a mutant survives that is not listed,
and if a listed one is killed.

mutmut changes the bodies of functions and methods. Constants of a module, properties and f-strings stay as they are.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import ndiff
from pathlib import Path

ROOT = Path(__file__).parents[2]
MUTMUT = Path(sys.executable).with_name("mutmut")
LEAST = 0.9
"""Share of the mutants of a module that its tests must kill."""
BESIDE = ("tests", "scripts")
"""Folders that the tests need, besides the packages."""
KILLED = ("killed", "timeout", "segfault")
PYTEST = ("-p", "no:cacheprovider", "-p", "_hypothesis_pytestplugin", "--assert=plain", "--hypothesis-profile=mutants")
TEXT = re.compile(r"""[rf]{0,2}(?:"[^"]*"|'[^']*')""")
COMMENT = re.compile(r"\s+# .*")


@dataclass(frozen=True, slots=True)
class Subject:
    """A module, its tests, and the mutants that may survive."""

    path: str
    tests: tuple[str, ...]
    survivors: dict[str, str]
    """Mutant -> reason."""


def subjects(names: Sequence[str]) -> Iterator[Subject]:
    """Yields the modules of modules.toml whose path contains one of these names; all where none is given."""
    for path, entry in tomllib.loads(Path(__file__).with_name("modules.toml").read_text(encoding="utf-8")).items():
        if not names or any(name in path for name in names):
            yield Subject(path, tuple(entry["tests"]), entry.get("survivors", {}))


def prepare(scratch: Path, subject: Subject) -> None:
    """Copies both packages and the tests, and configures mutmut for one module."""
    ignored = shutil.ignore_patterns("__pycache__", "mutants")
    for source in ("probes/containerlab_probes", "tui/containerlab_tui", "tests", "scripts"):
        target = source if source in BESIDE else f"src/{source.partition('/')[2]}"
        shutil.copytree(ROOT / source, scratch / target, ignore=ignored)
    settings = {
        "source_paths": ["src"],
        "also_copy": BESIDE,
        "only_mutate": [f"src/{subject.path.partition('/')[2]}"],
        "pytest_add_cli_args": PYTEST,
        "pytest_add_cli_args_test_selection": subject.tests,
        "use_git_change_detection": False,
    }
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (scratch / "pyproject.toml").write_text(f"{project}\n[tool.mutmut]\n{lines}", encoding="utf-8")


def mutmut(scratch: Path, *arguments: str) -> str:
    """Returns what a command of mutmut prints."""
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # one of the plugins imports textual
    done = subprocess.run(
        (MUTMUT, *arguments), check=False, cwd=scratch, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"mutmut {' '.join(arguments)} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def tried(scratch: Path, subject: Subject) -> Iterator[tuple[str, bool]]:
    """Yields the name of each mutant and whether it was killed."""
    mutmut(scratch, "run", "--max-children", "1")
    changes = dict(changed((scratch / "mutants/src" / subject.path.partition("/")[2]).read_text(encoding="utf-8")))
    seen = Counter[str]()
    for line in mutmut(scratch, "results", "--all", "true").splitlines():
        mutant, _, status = line.strip().rpartition(": ")
        name = changes[mutant.rpartition(".")[2]]
        if name:
            seen[name] += 1
            yield f"{name} ({seen[name]})" if seen[name] > 1 else name, status in KILLED


def changed(source: str) -> Iterator[tuple[str, str]]:
    """Yields each mutant of a file that mutmut wrote with its function and change; empty: it rewords a sentence."""
    lines, functions = source.splitlines(), dict[str, list[str]]()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and "__mutmut_" in node.name:
            text = (line.strip().replace(node.name, "") for line in lines[node.lineno - 1 : node.end_lineno])
            functions[node.name] = [TEXT.sub(without_prose, COMMENT.sub("", line)) for line in text]
    for mutant, after in functions.items():
        function = mutant.partition("__mutmut_")[0]
        before = functions[f"{function}__mutmut_orig"]
        parts = {sign: " ".join(line[2:] for line in ndiff(before, after) if line.startswith(sign)) for sign in "-+"}
        scope = function[2:].replace("ǁ", ".")
        yield mutant, f"{scope}: {parts['-']} -> {parts['+']}" if before != after else ""


def without_prose(literal: re.Match[str]) -> str:
    """Returns an ellipsis in place of a text of several words, and any other as it is."""
    return '"…"' if " " in literal[0] else literal[0]


def verdict(subject: Subject) -> bool:
    """Prints a module's line and each unexpected mutant; returns whether there is none and enough were killed."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="containerlab-mutants-") as folder:
        prepare(Path(folder), subject)
        mutants = dict(tried(Path(folder), subject))
    found = {name for name, killed in mutants.items() if not killed}
    unlisted, dead = found - subject.survivors.keys(), subject.survivors.keys() - found
    killed = len(mutants) - len(found)
    share, spent = killed / len(mutants), time.monotonic() - began
    print(f"{subject.path:50} {len(mutants):7} {killed:6} {share:6.1%} {len(unlisted):8} {spent:5.0f} s", flush=True)
    for name in sorted(unlisted):
        print(f"    survived: {name}", flush=True)
    for name in sorted(dead):
        print(f"    listed, but killed or no mutant: {name}", flush=True)
    return share >= LEAST and not unlisted and not dead


def main(names: Sequence[str]) -> int:
    """Prints the table of these modules; returns the exit status."""
    chosen = list(subjects(names))
    if not chosen:
        raise SystemExit(f"No module of modules.toml is named {' or '.join(names)}.")
    print(f"{'module':50} mutants killed      % unlisted  time", flush=True)
    verdicts = [verdict(subject) for subject in chosen]
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
