"""A file on its way into a container: its name as it is, its bytes, and no other file in its place."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from containerlab_probes.errors import BadRequest
from containerlab_tui.engine.streams import tar_of

NAMES = (
    "-rf",
    "\x1b]0;owned\x07",
    "new\nline",
    "..x",
    "é" * 100,
    "x" * 255,
    b"\xff\xfe".decode(errors="surrogateescape"),
)


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name_is_one_name(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(b"bytes" * 300)
    with tar_of(str(file)) as chunks:
        packed = b"".join(chunks)
    with tarfile.open(fileobj=io.BytesIO(packed), errors="surrogateescape", encoding="utf-8") as tar:
        (member,) = tar.getmembers()
        data = tar.extractfile(member)
        assert data is not None
        assert (member.name, member.type, data.read()) == (name, tarfile.REGTYPE, b"bytes" * 300)


@pytest.mark.parametrize("place", ["file", "directory"])
def test_a_link_that_a_container_puts_in_place_of_the_file_is_refused(tmp_path: Path, place: str) -> None:
    """The operator chose a file in a directory that the container has as a volume."""
    secret, shared = tmp_path / "secret", tmp_path / "shared"
    secret.mkdir()
    (secret / "report").write_text("of the host")
    if place == "file":
        shared.mkdir()
        (shared / "report").symlink_to(secret / "report")
    else:
        shared.symlink_to(secret)
    with pytest.raises(BadRequest, match="is a link"), tar_of(str(shared / "report")):
        raise AssertionError("it was opened")


def test_a_file_that_shrinks_during_the_copy_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 300_000)
    with tar_of(str(file)) as chunks:
        next(chunks)
        os.truncate(file, 10)
        with pytest.raises(BadRequest, match="became shorter"):
            list(chunks)
