"""Which cgroup is a container's own, for every form of /proc/PID/cgroup that an engine gives one."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from containerlab_probes.kernel import procfs
from containerlab_probes.kernel.container_cgroups import containers_in, is_within, own_paths

ID = "d199ca63ec728782b4a3d16d889e8ff5c7251048115c6b51d6bec4d5f06f81cb"
OTHER = ID[::-1]
USER = "/user.slice/user-1000.slice/user@1000.service"
POD = "kubepods-burstable-pod7d3a8f5c_1111_2222_3333_444455556666.slice"


def own(text: str) -> dict[str, str]:
    return own_paths(procfs.parse_cgroups(text), ID)


@pytest.mark.parametrize(
    "path",
    [
        # Docker: cgroupfs, systemd, another parent, rootless, a systemd path without systemd
        f"/docker/{ID}",
        f"/system.slice/docker-{ID}.scope",
        f"/my.slice/my-team.slice/docker-{ID}.scope",
        f"/team/{ID}",
        f"{USER}/app.slice/docker-{ID}.scope",
        f"{USER}/user.slice/docker-{ID}.scope",
        f"/system.slice:docker:{ID}",
        # Docker in another container, or started by a program in one
        f"/docker/{OTHER}/docker/{ID}",
        f"/system.slice/docker-{OTHER}.scope/docker/{ID}",
        # Podman: systemd, rootless, cgroupfs, a pod, --cgroups=split
        f"/machine.slice/libpod-{ID}.scope",
        f"{USER}/user.slice/libpod-{ID}.scope",
        f"{USER}/user.slice/user-libpod_pod_{OTHER}.slice/libpod-{ID}.scope",
        f"{USER}/app.slice/podman.service/libpod-payload-{ID}",
        f"/user.slice/user-1000.slice/session-3.scope/libpod_parent/libpod-{ID}",
        f"/libpod_parent/libpod-{ID}",
        f"/machine.slice/machine-libpod_pod_{OTHER}.slice/libpod-{ID}.scope",
        f"/libpod_parent/{OTHER}/libpod-{ID}",
        f"/system.slice/web.service/libpod-payload-{ID}",
        # Kubernetes: containerd and CRI-O, with both drivers
        f"/kubepods.slice/kubepods-burstable.slice/{POD}/cri-containerd-{ID}.scope",
        f"/kubepods/burstable/pod7d3a8f5c-1111-2222-3333-444455556666/{ID}",
        f"/kubepods/besteffort/pod7d3a8f5c-1111-2222-3333-444455556666/crio-{ID}",
        f"/kubepods.slice/kubepods-besteffort.slice/{POD}/crio-{ID}.scope",
        f"/kubepods.slice/{POD}/docker-{ID}.scope",
        f"/system.slice/containerd.service/{POD}:cri-containerd:{ID}",
        # nerdctl
        f"/default/{ID}",
        f"/system.slice/nerdctl-{ID}.scope",
        # seen from a cgroup namespace beside it
        f"/../{ID}",
        f"/../docker-{ID}.scope",
    ],
)
@pytest.mark.parametrize("below", ["", "/container", "/init.scope", f"/docker/{OTHER}", f"/docker-{ID}.scope/x"])
@pytest.mark.parametrize("controllers", ["", "pids", "cpu,cpuacct", "name=systemd"])
def test_the_containers_own_cgroup(path: str, below: str, controllers: str) -> None:
    expected = dict.fromkeys(controllers.split(","), path)
    assert own(f"7:{controllers}:{path}{below}") == expected
    assert own(f"7:{controllers}:{path}{below}\n9:freezer:/\n") == expected
    assert ID in containers_in(procfs.parse_cgroups(f"7:{controllers}:{path}{below}"))


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/..",
        "/user.slice/user-0.slice/session-3.scope",
        f"{USER}/app.slice/docker.service",
        f"{USER}/user.slice/docker-{OTHER}.scope",
        f"{USER}/user.slice/user-libpod_pod_{ID}.slice",
        f"{USER}/app.slice/app-podman-{ID}.scope",
        "/system.slice/docker.service",
        "/system.slice/containerd.service",
        "/init.scope",
        "/docker",
        "/engines-test",
        f"/docker/{OTHER}",
        f"/system.slice/docker-{OTHER}.scope",
        # the monitor of the container is a process of the host
        f"/machine.slice/libpod-conmon-{ID}.scope",
        f"{USER}/user.slice/libpod-conmon-{ID}.scope",
        f"/libpod_parent/libpod-conmon-{ID}",
        f"/system.slice/crio-conmon-{ID}.scope",
        "/libpod_parent/conmon",
        "/system.slice/web.service/supervisor",
        # a pod, not a container
        f"/machine.slice/machine-libpod_pod_{ID}.slice",
        # not the full id, or more than it
        f"/docker/{ID[:12]}",
        f"/docker/{ID[:63]}",
        f"/docker/{ID}0",
        f"/docker/0{ID}",
        f"/docker/{ID.upper()}",
        f"/docker/{ID[:32]}/{ID[32:]}",
        f"/docker/{ID}-init",
        f"/docker/{ID}.slice",
        f"/docker/{ID}.scope.d",
        f"/docker/{ID} (deleted)",
        f"/docker/my-{ID}.scope",
        f"/docker/docker-docker-{ID}.scope",
        f"/docker/-{ID}.scope",
        f"/docker:{ID}",
        f"/system.slice:other:{ID}",
    ],
)
def test_cgroups_that_are_not_the_containers(path: str) -> None:
    assert own(f"0::{path}") == {}
    assert own(f"8:pids:/\n4:memory:{path}\n0::{path}/below\n") == {}


def test_a_hybrid_host_whose_engine_is_on_the_tree_of_version_2() -> None:
    text = f"9:name=systemd:/\n8:pids:/\n4:memory:/engines-test\n0::/docker/{ID}\n"
    assert own(text) == {"": f"/docker/{ID}"}


def test_each_hierarchy_has_another_path() -> None:
    text = f"9:name=systemd:/system.slice/docker-{ID}.scope\n8:pids:/docker/{ID}/a\n4:memory:/daemon\n0::/\n"
    assert own(text) == {"name=systemd": f"/system.slice/docker-{ID}.scope", "pids": f"/docker/{ID}"}


@pytest.mark.parametrize("container", ["", "d199ca63ec72", ID[:63], f"{ID}/", ".*", "[0-9a-f]{64}"])
def test_only_a_full_id_has_a_cgroup(container: str) -> None:
    paths = procfs.parse_cgroups(f"0::/docker/{ID}\n4:memory:/{container or 'x'}\n")
    assert own_paths(paths, container) == {}


@pytest.mark.parametrize(
    ("path", "cgroup", "within"),
    [
        ("/docker/a", "/docker/a", True),
        ("/docker/a/b", "/docker/a", True),
        ("/docker/ab", "/docker/a", False),
        ("/docker", "/docker/a", False),
        ("/", "/docker/a", False),
        ("/x/docker/a", "/docker/a", False),
    ],
)
def test_a_cgroup_and_those_below_it(path: str, cgroup: str, within: bool) -> None:
    assert is_within(path, cgroup) is within


IDS = st.text("0123456789abcdef", min_size=64, max_size=64)
FORMS = st.sampled_from(
    ["{}", "docker-{}.scope", "libpod-{}", "libpod-{}.scope", "libpod-payload-{}", "cri-containerd-{}.scope", "crio-{}",
     "x.slice:docker:{}", "x.slice:cri-containerd:{}"]
)  # fmt: skip
PARTS = st.lists(st.text(st.characters(exclude_characters="/\n\0"), min_size=1, max_size=9), max_size=4)


@given(IDS, FORMS, PARTS, PARTS)
def test_only_the_container_of_that_id_is_named(id: str, form: str, above: list[str], below: list[str]) -> None:
    path = "/" + "/".join((*above, form.format(id), *below))
    paths = procfs.parse_cgroups(f"0::{path}\n")
    found = own_paths(paths, id)[""]
    assert is_within(path, found)
    assert found.endswith(form.format(id))
    other = id[:-1] + ("0" if id[-1] != "0" else "1")
    assert own_paths(paths, other) == {}


@given(st.text(st.characters(exclude_characters="\n\0"), max_size=80), IDS)
def test_a_path_without_the_id_is_nobodys(path: str, id: str) -> None:
    assume(id not in path)
    assert own_paths({"": f"/{path}"}, id) == {}
