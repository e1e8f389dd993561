"""Marks that several modules share."""

import pytest

needs_accounting = pytest.mark.not_on(
    "cgroup2", "rootless", reason="its containers have no memory controller here: version 1 of cgroups has it"
)
starts_a_daemon = pytest.mark.not_on("podman", "rootless", reason="a test that starts a daemon starts root's dockerd")
