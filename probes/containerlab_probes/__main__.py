"""`python -m containerlab_probes --serve`, or this file run by its path.

`python -I -S FILE NAME=DIRECTORY … --serve` runs it isolated: it can import the standard library, this package and the
named packages, each from its directory, and no other installed package.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from os.path import dirname
from types import ModuleType


class NamedPackages:
    """Finds the named packages and no others."""

    def __init__(self, directories: dict[str, str]) -> None:
        self._directories = directories

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Returns the location of a named package, None for any other (the protocol of sys.meta_path)."""
        directory = self._directories.get(name)
        return PathFinder.find_spec(name, [directory], target) if directory else None


arguments = sys.argv[1:]
if not __package__:
    named = {"containerlab_probes": dirname(dirname(__file__))}
    while arguments and not arguments[0].startswith("-"):
        name, _, directory = arguments.pop(0).partition("=")
        named[name] = directory
    sys.meta_path.append(NamedPackages(named))

from containerlab_probes.agent import main  # noqa: E402  the lines above make it importable

if __name__ == "__main__":
    sys.exit(main(arguments))
