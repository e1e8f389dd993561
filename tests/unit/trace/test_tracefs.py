"""Instances of the kernel's tracing that earlier runs left behind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from containerlab_probes.records import ProcessId
from containerlab_probes.trace.tracefs import leftovers, owner_of

RUNNING = {100: 5000, 200: 6000}


@pytest.mark.parametrize(
    ("name", "is_leftover"),
    [
        ("containerlab-tui.100.5000.1", False),
        ("containerlab-tui.100.4999.1", True),
        ("containerlab-tui.300.5000.2", True),
        ("containerlab-tui.300.5000", False),
        ("containerlab-tui.300.5000.1.old", False),
        ("containerlab-tui.300.5000.1\n", False),
        ("containerlab-tui.0300.5000.1", False),
        ("my-containerlab-tui.300.5000.1", False),
        ("containerlab.300.5000.1", False),
        ("bcc.300.5000.1", False),
        ("٣containerlab-tui.3٠0.5000.1", False),
    ],
)
def test_only_instances_of_this_program_are_leftovers(name: str, is_leftover: bool) -> None:
    assert leftovers([name], RUNNING.get) == [name] * is_leftover


def test_the_owner_is_in_the_name() -> None:
    assert owner_of("containerlab-tui.100.5000.12") == ProcessId(100, 5000)


@given(st.text())
def test_other_names_have_no_owner(name: str) -> None:
    assert owner_of(name) is None
