"""Marks that several modules share."""

import pytest

needs_accounting = pytest.mark.not_on(
    "cgroup2", "rootless", reason="its containers have no memory controller here: version 1 of cgroups has it"
)
needs_cgroups = pytest.mark.not_on("rootless", reason="a rootless engine has no cgroups where they are of version 1")
shares_pids = pytest.mark.not_on(
    "rootless", reason="without a cgroup nothing shows which processes of a shared PID namespace are the container's"
)
needs_users = pytest.mark.not_on(
    "podman-5-rootless", reason="its containers have one user: others would have to be in /etc/subuid of this machine"
)
shares_ipc_of_host = pytest.mark.not_on(
    "rootless", reason="in a user namespace --ipc=host binds /dev/mqueue, which is not mounted on this machine"
)
starts_a_daemon = pytest.mark.not_on("podman", "rootless", reason="a test that starts a daemon starts root's dockerd")
records_requests = pytest.mark.not_on(
    "podman-4", reason="Podman before 4.7 does not show whether a request to stop was recorded"
)
only_podman = pytest.mark.not_on("docker", reason="it is about what Podman does otherwise than Docker")
