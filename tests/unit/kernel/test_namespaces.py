"""Command lines of nsenter, the identity of namespaces, and a visit that returns."""

import ctypes
import os
import subprocess
import sys

import pytest

from containerlab_probes.errors import BadRequest, Gone
from containerlab_probes.kernel.namespaces import namespace_inode, nsenter_command, visit_ipc

NO_SUCH_PID = (1 << 31) - 1


def test_command_lines() -> None:
    assert nsenter_command(7, ("ipc",), ["python", "-I"]) == ["nsenter", "--target", "7", "--ipc", "--", "python", "-I"]
    assert nsenter_command(7, ("mnt", "uts", "net", "pid"), ["-sh", "a b"]) == [
        *("nsenter", "--target", "7", "--mount", "--uts", "--net", "--pid", "--", "-sh", "a b")
    ]
    with pytest.raises(BadRequest, match="'ipcs'"):
        nsenter_command(7, ("ipcs",), ["sh"])


@pytest.mark.parametrize("kind", ["ipc", "mnt", "net", "pid", "uts", "user", "cgroup"])
def test_the_inode_is_that_of_the_link(kind: str) -> None:
    assert os.readlink(f"/proc/self/ns/{kind}") == f"{kind}:[{namespace_inode(os.getpid(), kind)}]"
    assert namespace_inode(0, kind) == namespace_inode(os.getpid(), kind)


def test_no_such_process_or_kind() -> None:
    with pytest.raises(Gone, match=str(NO_SUCH_PID)):
        namespace_inode(NO_SUCH_PID, "ipc")
    with pytest.raises(BadRequest):
        namespace_inode(os.getpid(), "../../environ")
    with pytest.raises(Gone), visit_ipc(NO_SUCH_PID):
        pass


def test_a_visit_returns() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    home = namespace_inode(0, "ipc")
    program = "import sys; print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=lambda: libc.unshare(0x08000000),  # noqa: PLW1509 - one call into the C library, before exec
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        there = namespace_inode(child.pid, "ipc")
        assert there != home
        with visit_ipc(child.pid) as visited:
            assert visited == there == namespace_inode(0, "ipc")
        assert namespace_inode(0, "ipc") == home
        with pytest.raises(ZeroDivisionError), visit_ipc(child.pid):
            _ = 1 / 0
        assert namespace_inode(0, "ipc") == home
