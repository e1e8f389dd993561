"""Which files of a process are local, so that no read of them can block."""

import os
import subprocess
from pathlib import Path

import pytest

from containerlab_probes.kernel.local import LocalMounts
from containerlab_probes.kernel.rootfs import open_root, place_in_root
from tests.support.docker import eventually


@pytest.mark.parametrize("name", ["plain", "white\x0b\x0c\r\x1fspace", "blank and\ttab", "line\nfeed", " - nfs "])
def test_a_mount_counts_whatever_its_mount_point_is_called(tmp_path: Path, name: str) -> None:
    """A line that is not understood would hide a file system that may block. The kernel escapes few characters."""
    point, file = tmp_path / name, tmp_path / "served" / "file"
    point.mkdir()
    file.parent.mkdir()
    file.touch()
    script = 'mount --bind "$0" "$1" && exec sleep 1000'
    command = ("unshare", "--mount", "--propagation=private", "sh", "-c", script, str(file.parent), str(point))
    with subprocess.Popen(command) as child:
        try:
            eventually(lambda: Path(f"/proc/{child.pid}/comm").read_text() == "sleep\n", "it has mounted")
            root = open_root(child.pid)
            place = place_in_root(root, str(point / "file"), LocalMounts(child.pid))
            assert os.path.samestat(os.fstat(place), file.stat())
            os.close(place)
            os.close(root)
        finally:
            child.kill()
