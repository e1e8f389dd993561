"""Finds the image folders, packs them for builds, and computes marks that change with their contents."""

import hashlib
import io
import tarfile
from pathlib import Path

from containerlab_probes.errors import Unsupported


def folder() -> Path:
    """Returns the directory of the image folders: in an installed package, or in a checkout. Raises Unsupported."""
    package = Path(__file__).parents[1]
    for place in (package / "images", package.parents[1] / "images"):
        if (place / "dockerapp1" / "Dockerfile").is_file():
            return place
    raise Unsupported("The lab's image folders are missing from this installation. Install the package again.")


def names() -> tuple[str, ...]:
    """Returns the names of the images, sorted."""
    return tuple(sorted(each.parent.name for each in folder().glob("*/Dockerfile")))


def context(name: str, within: Path | None = None) -> bytes:
    """Returns the image's folder (in `within`, else in `folder`) as a tar for a build.

    Bytes depend only on the files' contents, not on owners or times.
    """
    place, buffer = (within or folder()) / name, io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(place.iterdir()):
            if not path.is_file():
                continue
            data = path.read_bytes()
            item = tarfile.TarInfo(path.name)
            item.size, item.mode = len(data), 0o755
            tar.addfile(item, io.BytesIO(data))
    return buffer.getvalue()


def mark(name: str, base_mark: str, within: Path | None = None) -> str:
    """Returns the hash of the image's folder (in `within`, else in `folder`) and base."""
    return hashlib.sha256(base_mark.encode() + b"\0" + context(name, within)).hexdigest()
