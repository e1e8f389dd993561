"""The image folders: where they are, what goes into a build, and the mark that tells whether it has changed."""

import hashlib
import io
import tarfile
from pathlib import Path

from containerlab_probes.errors import Unsupported


def folder() -> Path:
    """Where the image folders are: inside an installed package, or beside it in a checkout. Raises Unsupported."""
    package = Path(__file__).parents[1]
    for place in (package / "images", package.parents[1] / "images"):
        if (place / "dockerapp1" / "Dockerfile").is_file():
            return place
    raise Unsupported("The folders of the lab's images are missing from this installation; install the package again.")


def names() -> tuple[str, ...]:
    """The images that can be built, sorted."""
    return tuple(sorted(each.parent.name for each in folder().glob("*/Dockerfile")))


def context(name: str) -> bytes:
    """The folder as the tar of a build. The same files give the same bytes, whoever owns them and whenever made."""
    place, buffer = folder() / name, io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(place.iterdir()):
            if not path.is_file():
                continue
            data = path.read_bytes()
            item = tarfile.TarInfo(path.name)
            item.size, item.mode = len(data), 0o755
            tar.addfile(item, io.BytesIO(data))
    return buffer.getvalue()


def mark(name: str, base_mark: str) -> str:
    """The hash of what the image is made from: its folder and its base."""
    return hashlib.sha256(base_mark.encode() + b"\0" + context(name)).hexdigest()
