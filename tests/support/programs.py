"""Limits the programs that tests may start to those in scripts/programs, which scripts/setup installs.

Without this, a test that starts a program which happens to be installed here fails on every new machine.
"""

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path, PurePath

LIST = Path(__file__).parents[2] / "scripts/programs"
SYSTEM_FOLDERS = frozenset(f"{root}{name}" for root in ("/", "/usr/", "/usr/local/") for name in ("bin", "sbin"))
RUN_ANOTHER = frozenset({"nsenter", "setpriv", "strace", "unshare"})
"""Programs that start the program named in their arguments."""


class UnknownProgram(AssertionError):
    """A test starts a program that scripts/setup doesn't install."""


@cache
def known() -> frozenset[str]:
    """Returns the names in scripts/programs."""
    lines = LIST.read_text(encoding="utf-8").splitlines()
    return frozenset(line.split()[1] for line in lines if line and not line.startswith("#"))


def unknown(argv: Sequence[str]) -> str:
    """Returns the first program that this command starts and scripts/programs doesn't name, or an empty string."""
    named = [argv[0]]
    for word in argv[1:]:
        if PurePath(named[-1]).name not in RUN_ANOTHER:
            break  # the rest are its arguments
        if shutil.which(word):
            named.append(word)
    return next((name for name in named if _is_of_the_system(name) and PurePath(name).name not in known()), "")


def _is_of_the_system(program: str) -> bool:
    """Returns False for the interpreter, the environment's programs, and programs that a test has created."""
    folder = str(PurePath(program).parent)
    return program != sys.executable and ("/" not in program or folder in SYSTEM_FOLDERS)


def check(event: str, arguments: tuple[object, ...]) -> None:
    """Refuses to start an unknown program: an audit hook (`sys.addaudithook`) for all that Python starts."""
    if event not in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system"):
        return
    program, words = ("sh", ()) if event == "os.system" else arguments[:2]
    argv = [_text(program), *(_text(word) for word in list(_words(words))[1:])]
    if name := unknown(argv):
        raise UnknownProgram(f"{name} is not in scripts/programs, so scripts/setup doesn't install it: {argv}")


def _words(words: object) -> Iterable[object]:
    return words if isinstance(words, (list, tuple)) else (words,)


def _text(word: object) -> str:
    return os.fsdecode(word) if isinstance(word, (str, bytes, os.PathLike)) else str(word)
