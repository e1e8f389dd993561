"""What confines a process: parsed, and taken over by a child."""

import ctypes
import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from containerlab_probes.kernel.confinement import (
    Limits,
    add_cgroup,
    cgroup_directories,
    drop_to,
    hide_from_tracers,
    parse_limits,
)
from containerlab_probes.kernel.libc import libc
from containerlab_probes.memory_records import Mount

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def mount(point: str, kind: str, options: str = "", root: str = "/") -> Mount:
    return Mount("0:30", root, point, kind, kind, options)


HYBRID = (
    mount("/cg/systemd", "cgroup", "rw,xattr,name=systemd"),
    mount("/cg/pids", "cgroup", "rw,pids"),
    mount("/cg/cpu", "cgroup", "rw,cpu,cpuacct"),
    mount("/cg/unified", "cgroup2"),
    mount("/proc", "proc"),
)


def test_limits() -> None:
    text = "Name:\tCapBnd:\nCapBnd:\t00000000a80425fb\nNoNewPrivs:\t1\nSeccomp:\t2\n"
    assert parse_limits(text) == Limits(0xA80425FB, no_new_privileges=True, is_filtered=True)
    assert not parse_limits(text).allows_tracing
    assert parse_limits("CapBnd:\t0000000000080000\n") == Limits(1 << 19, no_new_privileges=False)
    assert parse_limits("CapBnd:\t0000000000080000\n").allows_tracing
    with pytest.raises(ValueError, match="CapBnd is missing"):
        parse_limits("Name:\tsh\n")


def test_the_cgroup_of_each_hierarchy_is_found() -> None:
    paths = {"name=systemd": "/docker/x", "pids": "/docker/x", "cpu": "/a", "cpuacct": "/a", "": "/docker/x/init.scope"}
    assert cgroup_directories(paths, HYBRID) == {
        "name=systemd": "/cg/systemd/docker/x",
        "pids": "/cg/pids/docker/x",
        "cpu": "/cg/cpu/a",
        "": "/cg/unified/docker/x/init.scope",
    }


@pytest.mark.parametrize(
    ("paths", "mounts", "found"),
    [
        ({"": "/"}, HYBRID, {"": "/cg/unified"}),
        ({"": "/../outside"}, HYBRID, {}),
        ({"": "/docker/x"}, (mount("/cg", "cgroup2", root="/docker"),), {"": "/cg/x"}),
        ({"": "/other"}, (mount("/cg", "cgroup2", root="/docker"),), {}),
        ({"": "/a"}, (mount("/cg", "cgroup2"), mount("/again", "cgroup2")), {"": "/cg/a"}),
        ({}, HYBRID, {}),
    ],
)
def test_cgroups_that_are_not_visible_are_left_out(
    paths: dict[str, str], mounts: tuple[Mount, ...], found: dict[str, str]
) -> None:
    assert cgroup_directories(paths, mounts) == found


def test_a_cgroup_is_added_where_that_is_possible(tmp_path: Path) -> None:
    directories = {"pids": str(tmp_path / "missing"), "": str(tmp_path), "cpu": "/cg/cpu"}
    made = add_cgroup(directories, "marked")
    assert made == str(tmp_path / "marked")
    assert directories == {"pids": str(tmp_path / "missing"), "": made, "cpu": "/cg/cpu"}
    assert os.path.isdir(made)
    assert add_cgroup({"cpu": str(tmp_path)}, "other") == ""


def test_a_cgroup_is_added_below_the_one_of_the_container(tmp_path: Path) -> None:
    own = tmp_path / "docker" / ("0a" * 32)
    own.mkdir(parents=True)
    assert add_cgroup({"pids": str(tmp_path), "": str(own)}, "marked") == str(own / "marked")


def in_child(act: Callable[[], str]) -> str:
    """Returns what a function returns in a forked child."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, act().encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return text


@ROOT_ONLY
@pytest.mark.parametrize("limits", [Limits(0xA80425FB, True), Limits(1 << 40 | 1, False), Limits(0, False)])
def test_a_child_has_no_more_than_the_limits(limits: Limits) -> None:
    before = parse_limits(Path("/proc/self/status").read_text())

    def act() -> str:
        drop_to(limits)
        return Path("/proc/thread-self/status").read_text()

    status = in_child(act)
    wanted = before.bounding & limits.bounding
    values = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert {int(values[key], 16) for key in ("CapBnd", "CapPrm", "CapEff")} == {wanted}
    assert {int(values[key], 16) for key in ("CapInh", "CapAmb")} == {0}
    assert parse_limits(status).no_new_privileges is (limits.no_new_privileges or before.no_new_privileges)


@ROOT_ONLY
def test_a_child_of_a_filtered_process_gets_no_user_namespace() -> None:
    def act() -> str:
        drop_to(Limits(0xA80425FB, no_new_privileges=False, is_filtered=True))
        flags = (0, 0x10000000, 0x10000000 | 0x00020000)  # CLONE_NEWUSER, CLONE_NEWNS
        refused = [libc.unshare(flag) and errno.errorcode[ctypes.get_errno()] for flag in flags]
        thread = threading.Thread(target=lambda: refused.append("thread"))
        thread.start()
        thread.join()
        child = os.fork()
        if child == 0:
            os._exit(5)
        return f"{refused} {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}"

    assert in_child(act) == "[0, 'EPERM', 'EPERM', 'thread'] 5"


def test_a_hidden_process_cannot_be_traced_by_its_equals() -> None:
    def act() -> str:
        hide_from_tracers()
        return str(libc.prctl(3, 0, 0, 0, 0))  # PR_GET_DUMPABLE

    assert in_child(act) == "0"
