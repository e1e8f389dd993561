"""Has an engine the project's images, each as its folder is now? What is missing is built."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from containerlab_tui.lab import base, image_folders
from containerlab_tui.lab.parallel import lab_client, side_by_side
from containerlab_tui.lab.progress import Steps

if TYPE_CHECKING:
    from containerlab_tui.engine.lab_client import BuiltImage, LabClient

BASE = f"{base.REPOSITORY}:latest"


def tag(name: str) -> str:
    """The tag of the image that is made from that folder."""
    return f"containerlab/{name}:latest"


def steps() -> int:
    """How many steps `ensure` counts."""
    return 1 + len(image_folders.names())


def marks() -> dict[str, str]:
    """The mark that each image has when it is made from its folder as it is now, by tag."""
    base_mark = base.mark()
    return {tag(name): image_folders.mark(name, base_mark) for name in image_folders.names()}


def ensure(endpoint: str, cache: Path, counted: Steps) -> None:
    """Have the images on that engine; `cache` is the directory that keeps their base between engines.

    Raises Unsupported where the base can't be made, BadRequest where a build fails, Unreachable.
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

    side_by_side(endpoint, missing, build)


def _is(there: "Mapping[str, BuiltImage]", name: str, mark: str) -> bool:
    return name in there and there[name].mark == mark
