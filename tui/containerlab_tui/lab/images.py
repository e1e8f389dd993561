"""Builds the project's images that are missing or outdated on an engine."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from containerlab_tui.lab import base, image_folders
from containerlab_tui.lab.parallel import in_parallel, lab_client
from containerlab_tui.lab.progress import Steps

if TYPE_CHECKING:
    from containerlab_tui.engine.lab_client import BuiltImage, LabClient

BASE = f"{base.REPOSITORY}:latest"


def tag(name: str) -> str:
    """Returns the tag of a folder's image."""
    return f"containerlab/{name}:latest"


def steps() -> int:
    """Returns the number of steps of `ensure`."""
    return 1 + len(image_folders.names())


def marks() -> dict[str, str]:
    """Returns the current mark of each image, by tag."""
    base_mark = base.mark()
    return {tag(name): image_folders.mark(name, base_mark) for name in image_folders.names()}


def ensure(endpoint: str, cache: Path, counted: Steps) -> None:
    """Builds missing images on that engine; `cache` is the directory of their base.

    Raises Unsupported if the base can't be built, BadRequest if a build fails, Unreachable.
    """
    wanted = marks()
    with lab_client(endpoint) as opened:
        there = opened.images()
        missing = [name for name in image_folders.names() if not _is(there, tag(name), wanted[tag(name)])]
        if missing and not _is(there, BASE, base.mark()):
            tar = base.tar(cache, lambda line: counted.note(f"base: {line}"))
            counted.note("base: importing")
            opened.import_image(tar, base.REPOSITORY, base.mark())
    counted.skip(steps() - len(missing), "images")

    def build(own: "LabClient", name: str) -> None:
        own.build(image_folders.context(name), tag(name), BASE, wanted[tag(name)])
        counted.done(f"image {name}")

    in_parallel(endpoint, missing, build)


def _is(there: "Mapping[str, BuiltImage]", name: str, mark: str) -> bool:
    return name in there and there[name].mark == mark
