"""Inspecting one container's memory: who may be inspected, and who shares its IPC namespace."""

import os

import pytest

from containerlab_probes.errors import Gone, Unsupported
from containerlab_probes.kernel.namespaces import namespace_inode
from containerlab_tui.services.inspection import inspector, shared_with
from tests.support.engine import UNRESTRICTED, ScriptedEngine, details

NOBODY = 2**22 + 1
"""Above the largest process number that a kernel gives."""
HERE = namespace_inode(0, "ipc")


def test_a_container_that_is_not_running_has_no_memory() -> None:
    with pytest.raises(Gone, match="app is not running"):
        inspector(ScriptedEngine(), details(pid=0), UNRESTRICTED)
    with pytest.raises(Gone):
        inspector(ScriptedEngine(), details(pid=NOBODY), UNRESTRICTED)


def test_memory_of_another_machine_cannot_be_read() -> None:
    with pytest.raises(Unsupported, match="another machine"):
        inspector(ScriptedEngine(local=False), details(pid=os.getpid()), UNRESTRICTED)


def test_who_shares_an_ipc_namespace_is_named_in_order() -> None:
    me = details(id="a", pid=os.getpid())
    neighbours = [
        me,
        details(id="z", name="zoo", pid=os.getppid()),
        details(id="b", name="bar", pid=os.getpid()),
        details(id="s", name="stopped", pid=0),
        details(id="g", name="gone", pid=NOBODY),
    ]
    assert shared_with(HERE, me, neighbours) == ("bar", "zoo")
    assert shared_with(HERE + 1, me, neighbours) == ()
