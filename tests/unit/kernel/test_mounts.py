"""Lines of /proc/PID/mountinfo."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containerlab_probes.kernel.mounts import below, overlay_options, parse_mounts, read_mounts
from containerlab_probes.memory_records import Mount

NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from(" \t\n\\"), min_size=1, max_size=8)


def test_lines() -> None:
    text = r"""33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
27 22 0:25 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate
110 91 0:50 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/a:/b
129 109 254:0 /home/a\040b\011c\012d\134e /run/é rw,relatime - ext4 /dev/vda rw
"""
    assert parse_mounts(text) == [
        Mount("0:30", "/", "/sys/fs/cgroup/cpu,cpuacct", "cgroup", "cgroup", "rw,cpu,cpuacct", 33),
        Mount("0:25", "/", "/sys/fs/cgroup", "cgroup2", "cgroup2", "", 27),
        Mount("0:50", "/", "/", "overlay", "overlay", "rw,lowerdir=/a:/b", 110),
        Mount("254:0", "/home/a b\tc\nd\\e", "/run/é", "ext4", "/dev/vda", "", 129),
    ]
    assert parse_mounts("garbage\n\n1 2 3 - 4\n") == []


@given(st.lists(NAMES, min_size=4, max_size=4))
def test_any_mount_is_read_back(names: list[str]) -> None:
    names = [
        f"/{names[0]}",
        f"/{names[1]}",
        *names[2:],
    ]  # the kernel writes a slash here; a single hyphen would be a separator
    root, point, filesystem, source = names
    escaped = ["".join(f"\\{ord(one):03o}" if one in " \t\n\\" else one for one in name) for name in names]
    text = f"1 2 0:5 {escaped[0]} {escaped[1]} rw shared:3 master:7 - {escaped[2]} {escaped[3]} rw"
    assert parse_mounts(text) == [Mount("0:5", root, point, filesystem, source, "", 1)]


@given(st.text())
def test_any_text_is_parsed(text: str) -> None:
    assert len(parse_mounts(text)) <= text.count("\n") + 1


def test_options_of_an_overlay() -> None:
    text = r"1 2 0:5 / / rw - overlay overlay rw,userxattr,lowerdir=/a\054\040b\075:/c\134:d,upperdir=/u\012"
    [mount] = parse_mounts(text)
    assert overlay_options(mount) == [
        ("rw", ""),
        ("userxattr", ""),
        ("lowerdir", "/a, b=:/c\\:d"),
        ("upperdir", "/u\n"),
    ]


@pytest.mark.parametrize(
    ("path", "point", "rest"),
    [
        ("/a/b", "/", "/a/b"),
        ("/", "/", ""),
        ("/a/b", "/a", "/b"),
        ("/a", "/a", ""),
        ("/a", "/a/", ""),
        ("/ab", "/a", None),
        ("/", "/a", None),
        ("/b/a", "/a", None),
    ],
)
def test_paths_below_a_directory(path: str, point: str, rest: str | None) -> None:
    assert below(path, point) == rest


def test_own_mounts() -> None:
    points = {mount.point for mount in read_mounts()}
    assert {"/", "/proc"} <= points
    assert points == {mount.point for mount in read_mounts(os.getpid())}
