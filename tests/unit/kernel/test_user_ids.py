"""Ids as another user namespace has them."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from containerlab_probes.kernel.user_ids import OVERFLOW, SAME, IdKind, IdMap, id_map, parse_id_map
from tests.support.docker import eventually

ROOTLESS = "         0      64242          1\n         1    1000000      65536\n"


@pytest.fixture
def in_user_namespace() -> Iterator[int]:
    """Yields the PID of a process in a user namespace with the ids of a rootless engine, whose root is this one's."""
    process = subprocess.Popen(("unshare", "--user", "sleep", "1000"))
    try:
        place = Path(f"/proc/{process.pid}")
        eventually(lambda: os.readlink(place / "ns/user") != os.readlink("/proc/self/ns/user"), "it has its namespace")
        for kind in IdKind:
            (place / kind).write_text(f"0 {os.geteuid()} 1\n1 1000000 65536\n")
        yield process.pid
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("here", "inside"), [(64242, 0), (1000000, 1), (1065535, 65536), (1065536, OVERFLOW), (0, OVERFLOW), (1, OVERFLOW)]
)
def test_ids_of_a_rootless_engine(here: int, inside: int) -> None:
    assert parse_id_map(ROOTLESS).inside(here) == inside


def test_ids_without_a_namespace() -> None:
    assert SAME.inside(64242) == 64242
    assert IdMap(()).inside(0) == OVERFLOW  # nobody has written the map yet


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may map several ids; make test uses sudo")
@pytest.mark.parametrize("kind", IdKind)
def test_ids_as_the_kernel_maps_them(kind: IdKind, in_user_namespace: int) -> None:
    found = id_map(in_user_namespace, kind)
    assert [found.inside(one) for one in (0, 1000004, 7)] == [0, 5, OVERFLOW]
    assert id_map(os.getpid(), kind) == SAME


def test_a_process_that_has_exited_has_the_same_ids() -> None:
    process = subprocess.Popen(("true",))
    process.wait()
    assert id_map(process.pid, IdKind.USER) == SAME
