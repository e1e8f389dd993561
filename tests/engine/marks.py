"""Marks that several modules share."""

import pytest

starts_a_daemon = pytest.mark.not_on("podman", "rootless", reason="a test that starts a daemon starts root's dockerd")
