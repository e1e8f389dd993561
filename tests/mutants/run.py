"""Runs the tests of dangerous modules against mutants: `make mutants`, or `python -m tests.mutants.run [MODULE …]`.

Each mutant lives in a forked process, where the import of its module finds the mutated code; no file changes. A mutant
is killed when its tests fail or run out of time. modules.toml says which tests belong to a module and lists the
mutants that may survive, each with the reason. The exit status is 1 where fewer than LEAST are killed, where a mutant
survives that is not listed, and where a listed one is killed.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import select
import signal
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType

import hypothesis  # noqa: F401  imported once, before the forks
import pytest

from tests.mutants.mutate import Mutant, mutants

ROOT = Path(__file__).parents[2]
LEAST = 0.9
"""Share of the mutants of a module that its tests must kill."""
SLOWER = 10
"""How many times longer than the unchanged module a mutant may take, after a second for each."""
PROFILE = "--hypothesis-profile=mutants"


@dataclass(frozen=True, slots=True)
class Subject:
    """A module, the tests that belong to it, and what may survive."""

    path: str
    tests: tuple[str, ...]
    survivors: dict[str, str]
    """Mutant -> reason."""

    @property
    def module(self) -> str:
        return ".".join(Path(self.path).with_suffix("").parts[1:])


class _Mutated(importlib.abc.Loader, importlib.abc.MetaPathFinder):
    """Finds one module as the mutated code."""

    def __init__(self, subject: Subject, code: CodeType) -> None:
        self._subject, self._code = subject, code

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._subject.module:
            return None
        return importlib.util.spec_from_loader(fullname, self, origin=str(ROOT / self._subject.path))

    def exec_module(self, module: ModuleType) -> None:
        exec(self._code, module.__dict__)  # noqa: S102  the purpose of this file


def subjects(names: Sequence[str]) -> Iterator[Subject]:
    """Yields the modules of modules.toml whose path contains one of these names; all where none is given."""
    for path, entry in tomllib.loads(Path(__file__).with_name("modules.toml").read_text(encoding="utf-8")).items():
        if (ROOT / path).exists() and (not names or any(name in path for name in names)):
            yield Subject(path, tuple(entry["tests"]), entry.get("survivors", {}))


def tested(subject: Subject, code: CodeType, limit_s: float | None) -> bool:
    """Returns whether the tests pass with this code in place of the module."""
    child = os.fork()
    if not child:
        _test(subject, code)
    pidfd = os.pidfd_open(child)
    try:
        if not select.select([pidfd], [], [], limit_s)[0]:
            os.killpg(child, signal.SIGKILL)
        return os.waitpid(child, 0)[1] == 0
    finally:
        os.close(pidfd)


def _test(subject: Subject, code: CodeType) -> None:
    """The child: never returns."""
    os.setpgid(0, 0)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    sys.meta_path.insert(0, _Mutated(subject, code))
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # one of them imports textual
    options = ("-x", "-q", "--assert=plain", "-p", "no:cacheprovider", "-p", "_hypothesis_pytestplugin", PROFILE)
    try:
        failed = pytest.main([*options, *subject.tests]) != 0
    except BaseException:  # noqa: BLE001  a mutant may raise anything
        failed = True
    os._exit(failed)


def survivors_of(subject: Subject) -> tuple[list[Mutant], int]:
    """Returns the mutants that the tests let pass, and how many mutants there are."""
    source = (ROOT / subject.path).read_text(encoding="utf-8")
    began = time.monotonic()
    if not tested(subject, compile(source, subject.path, "exec"), None):
        raise SystemExit(f"{subject.path}: its tests fail without any mutant")
    limit_s = 1 + SLOWER * (time.monotonic() - began)
    made = list(mutants(source, str(ROOT / subject.path)))
    return [one for one in made if tested(subject, one.code, limit_s)], len(made)


def main(names: Sequence[str]) -> int:
    """Runs the mutants of these modules and prints a line for each module and for each unexpected survivor."""
    os.chdir(ROOT)
    good = True
    for subject in subjects(names):
        began = time.monotonic()
        survivors, count = survivors_of(subject)
        share = 1 - len(survivors) / count
        good = good and share >= LEAST
        spent = time.monotonic() - began
        print(f"{share:6.1%} of {count:3} killed  {subject.path}  ({spent:.0f} s)", flush=True)
        found = {one.name: one.line for one in survivors}
        for name in found.keys() - subject.survivors.keys():
            good = False
            print(f"    survived: {subject.path}:{found[name]}  {name}", flush=True)
        for name in subject.survivors.keys() - found.keys():
            good = False
            print(f"    listed, but killed: {name}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
