"""Cgroup paths as the engines make them, and namespaces where they say nothing.

Paths marked "captured" were read from /proc/PID/cgroup under the engine itself, in a virtual
machine or the sandbox (Debian 12: Docker 20.10, Podman 4.3, containerd 1.6; the ids are made
up). "documented" ones follow the projects' sources, named at `RUNTIMES`, or what their users
published.
"""

from __future__ import annotations

import pytest

from link.listener import Container
from vmagent.containers import (
    RUNTIMES,
    SYSTEMS,
    Namespaces,
    container_by_namespaces,
    container_of_path,
    is_machines_own,
)

ID = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4
BUILD_ID = "zb6f2l101075jr1z4kcnoibat"
USER = "/user.slice/user-1000.slice/user@1000.service"
KUBE = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1b2c_3d.slice"
GUARANTEED = "/kubepods.slice/kubepods-pod1b2c_3d.slice"
BEST_EFFORT = KUBE.replace("burstable", "besteffort")
KUBELET = "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod1b2c_3d.slice"
K3S = "/system.slice/k3s.service/kubepods-besteffort-pod1b2c_3d.slice"

CONTAINERS = [
    # Docker, captured
    ("docker", f"/docker/{ID}"),
    ("docker", f"/system.slice/docker-{ID}.scope"),
    ("docker", f"/samehost-sandbox/docker/{ID}"),
    # Docker, documented: --init systems, --cgroup-parent, rootless, in a container, slice notation
    ("docker", f"/docker/{ID}/init"),
    ("docker", f"/system.slice/docker-{ID}.scope/init.scope"),
    ("docker", f"{USER}/user.slice/docker-{ID}.scope"),
    ("docker", f"/lima.slice/docker-{ID}.scope"),
    ("docker", f"/../../docker/{ID}"),
    ("docker", f"{KUBE}/docker-{ID}.scope"),
    ("docker", f"/system.slice/docker.service/system.slice:docker:{ID}"),
    # Docker in systemd-nspawn and in LXC
    ("docker", f"/machine.slice/systemd-nspawn@dev.service/payload/docker/{ID}"),
    ("docker", f"/lxc.payload.dev/system.slice/docker-{ID}.scope"),
    # BuildKit: `docker build --network=host`, captured; with the systemd driver, documented
    ("buildkit", f"/docker/buildkit/{BUILD_ID}"),
    ("buildkit", f"/buildkit/{BUILD_ID}"),
    ("buildkit", f"/system.slice/docker-{BUILD_ID}.scope"),
    # A builder that is a container itself (`docker buildx create`), documented
    ("docker", f"/docker/{ID}/buildkit/{BUILD_ID}"),
    # Podman, captured
    ("podman", f"/machine.slice/libpod-{ID}.scope"),
    ("podman", f"/libpod_parent/libpod-{ID}"),
    ("podman", f"/init/libpod-payload-{ID}"),
    # Podman, documented: crun, --cgroups=split (Quadlet), rootless, pods
    ("podman", f"/machine.slice/libpod-{ID}.scope/container"),
    ("podman", f"/libpod_parent/libpod-{ID}/container"),
    ("podman", f"/system.slice/web.service/libpod-payload-{ID}"),
    ("podman", f"{USER}/app.slice/web.service/libpod-payload-{ID}/container"),
    ("podman", f"{USER}/user.slice/libpod-{ID}.scope/container"),
    ("podman", f"/machine.slice/machine-libpod_pod_{OTHER}.slice/libpod-{ID}.scope"),
    ("podman", f"{USER}/user.slice/user-libpod_pod_{OTHER}.slice/libpod-{ID}.scope/container"),
    ("podman", f"/libpod_parent/{OTHER}/libpod-{ID}"),
    ("podman", f"/my-parent/libpod-{ID}"),
    # containerd with nerdctl, both drivers, documented; `ctr` as in test_runtimes, captured
    ("containerd", f"/system.slice/nerdctl-{ID}.scope"),
    ("containerd", f"{USER}/user.slice/nerdctl-{ID}.scope"),
    ("containerd", f"/system.slice/containerd.service/system.slice:nerdctl:{ID}"),
    ("containerd", f"/default/{ID}"),
    ("containerd", f"/k8s.io/{ID}"),
    # Kubernetes, documented: containerd and CRI-O; both drivers; guaranteed, burstable, best effort
    ("containerd", f"{GUARANTEED}/cri-containerd-{ID}.scope"),
    ("containerd", f"{KUBE}/cri-containerd-{ID}.scope"),
    ("containerd", f"{BEST_EFFORT}/cri-containerd-{ID}.scope"),
    ("containerd", f"{K3S}:cri-containerd:{ID}"),
    ("containerd", f"{KUBELET}/cri-containerd-{ID}.scope"),
    ("kubernetes", f"/kubepods/pod1b2c-3d/{ID}"),
    ("kubernetes", f"/kubepods/burstable/pod1b2c-3d/{ID}"),
    ("kubernetes", f"/kubepods/besteffort/pod1b2c-3d/{ID}"),
    ("kubernetes", f"/kubelet/kubepods/burstable/pod1b2c-3d/{ID}"),
    ("cri-o", f"{GUARANTEED}/crio-{ID}.scope"),
    ("cri-o", f"{KUBE}/crio-{ID}.scope/container"),
    ("cri-o", f"/kubepods/pod1b2c-3d/crio-{ID}"),
    ("cri-o", f"/kubepods/besteffort/pod1b2c-3d/crio-{ID}"),
    ("cri-o", f"/system.slice/crio.service/kubepods-pod1b.slice:crio:{ID}"),
    # Any engine's --cgroup-parent with the cgroupfs driver; other namespaces of containerd
    ("container", f"/my-parent/{ID}"),
    ("container", f"/ecs/1b2c3d/{ID}"),
]

NAMES_NONE = [
    "/",
    "",
    "/init.scope",
    "/system.slice/docker.service",
    "/system.slice/containerd.service",
    f"{USER}/init.scope",
    "/user.slice/user-1000.slice/session-3.scope",
    "/docker",
    "/docker/buildkit",
    f"/machine.slice/libpod-conmon-{ID}.scope",
    "/libpod_parent/conmon",
    f"/libpod_parent/{OTHER}",
    f"/libpod_parent/{OTHER}/conmon",
    f"/system.slice/crio-conmon-{ID}.scope",
    f"/kubepods/besteffort/pod1b2c-3d/crio-conmon-{ID}",
    f"/system.slice/docker-{ID}.service",
    f"/system.slice/docker-{ID[:63]}.scope",
    f"/docker/{ID}0",
    f"/docker/{ID.upper()}",
    f"/machine.slice/machine-libpod_pod_{OTHER}.slice",
    "/machine.slice/systemd-nspawn@dev.service/payload/system.slice/nginx.service",
    "/lxc.payload.dev/system.slice/ssh.service",
    "/process_api/5ec92f63fcc75a91bdd6cb39b9060841",
]

OWN = [
    # systemd: units that start programs, captured
    "/init.scope",
    "/system.slice/docker.service",
    "/system.slice/docker.socket",
    "/system.slice/containerd.service",
    "/system.slice/ssh.service",
    "/system.slice/systemd-resolved.service",
    "/system.slice/system-getty.slice/getty@tty1.service",
    f"{USER}/init.scope",
    f"{USER}/app.slice/podman.service",
    "/../../system.slice/nginx.service",
    # monitors and forwarders, documented
    f"/machine.slice/libpod-conmon-{ID}.scope",
    f"/libpod_parent/{OTHER}/conmon",
    f"/system.slice/crio-conmon-{ID}.scope",
    "/system.slice/web.service/supervisor",
    f"{USER}/app.slice/web.service/runtime",
    f"{USER}/user.slice/podman-1234.scope",
    f"{USER}/user.slice/podman-pause-1b2c.scope",
    # what pretends to be a computer of its own, documented
    "/machine.slice/systemd-nspawn@dev.service/payload/system.slice/nginx.service",
    "/machine.slice/machine-dev.scope/payload/init.scope",
    r"/machine.slice/machine-qemu\x2d1\x2dguest.scope/libvirt/emulator",
    "/lxc.payload.dev/system.slice/ssh.service",
    "/lxc.monitor.dev",
    "/lxc/dev/init.scope",
    # desktop applications, documented
    f"{USER}/app.slice/app-flatpak-org.example.App-1234.scope",
    f"{USER}/app.slice/snap.firefox.firefox-1b2c.scope",
]

SAYS_NOTHING = [
    "/",
    "",
    "/..",
    "/init",
    "/openrc.sshd",
    "/odd/place",
    "/user.slice/user-1000.slice/session-3.scope",
    "/system.slice/run-r1b2c.scope",
    "/system.slice/foo.service/web1",
    "/lxcfs",
]

MACHINE = Namespaces("mnt:[1]", "pid:[2]", "net:[3]")
AGENT = Namespaces("mnt:[11]", "pid:[12]", "net:[3]")
OTHER_MOUNT = MACHINE._replace(mount="mnt:[4026532178]")
OTHER_PID = MACHINE._replace(pid="pid:[4026532181]")
CONTAINED = Namespaces("mnt:[4026532178]", "pid:[4026532181]", "net:[3]")


@pytest.mark.parametrize(("runtime", "path"), CONTAINERS)
def test_a_containers_cgroup_names_it_and_its_runtime(runtime: str, path: str) -> None:
    identity = BUILD_ID if runtime == "buildkit" else ID
    assert container_of_path(path) == Container(identity, "", runtime)


@pytest.mark.parametrize("path", NAMES_NONE)
def test_other_cgroups_name_no_container(path: str) -> None:
    assert container_of_path(path) is None


def test_every_row_of_the_table_is_tested() -> None:
    paths = [path for _, path in CONTAINERS] + NAMES_NONE
    tested = {
        runtime + pattern.pattern
        for path in paths
        for runtime, pattern in RUNTIMES
        if pattern.search(path)
    }
    assert tested == {runtime + pattern.pattern for runtime, pattern in RUNTIMES}


@pytest.mark.parametrize("number", range(len(RUNTIMES)))
def test_no_row_of_the_table_is_idle(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    paths = [path for _, path in CONTAINERS] + NAMES_NONE
    before = [container_of_path(path) for path in paths]
    rest = RUNTIMES[:number] + RUNTIMES[number + 1 :]
    monkeypatch.setattr("vmagent.containers.RUNTIMES", rest)
    assert [container_of_path(path) for path in paths] != before


def test_of_nested_containers_the_outermost_is_named() -> None:
    path = f"/docker/{ID}/docker/{OTHER}"
    assert container_of_path(path) == Container(ID, "", "docker")
    in_kind = f"/docker/{ID}/kubelet/kubepods/pod1b2c/{OTHER}"
    assert container_of_path(in_kind) == Container(ID, "", "docker")


def test_the_readers_own_container_is_not_looked_at() -> None:
    assert container_of_path(f"/docker/{ID}", {ID}) is None
    assert container_of_path(f"/libpod_parent/{OTHER}/libpod-{ID}", {ID}) is None
    nested = container_of_path(f"/docker/{ID}/system.slice/libpod-{OTHER}.scope", {ID})
    assert nested == Container(OTHER, "", "podman")


@pytest.mark.parametrize("path", OWN)
def test_units_monitors_and_systems_are_the_machines_own(path: str) -> None:
    assert is_machines_own(path)
    assert container_by_namespaces([path], "web", CONTAINED, [MACHINE]) is None


@pytest.mark.parametrize("path", SAYS_NOTHING)
def test_other_paths_leave_it_to_the_namespaces(path: str) -> None:
    assert not is_machines_own(path)
    assert container_by_namespaces([path], "web", CONTAINED, [MACHINE]) is not None
    assert container_by_namespaces([path], "web", MACHINE, [MACHINE]) is None


@pytest.mark.parametrize("number", range(len(SYSTEMS)))
def test_every_system_is_tested(number: int) -> None:
    assert any(SYSTEMS[number].search(path) for path in OWN)


@pytest.mark.parametrize(
    ("seen", "machine", "is_container"),
    [
        (MACHINE, [MACHINE], False),
        (OTHER_MOUNT, [MACHINE], True),
        (OTHER_PID, [MACHINE], True),
        (CONTAINED, [MACHINE], True),
        (CONTAINED._replace(network="net:[9]"), [MACHINE], False),
        (AGENT, [MACHINE, AGENT], False),
        (MACHINE, [MACHINE, AGENT], False),
        (AGENT, [MACHINE], True),
        (CONTAINED, [MACHINE, AGENT], True),
        (CONTAINED, [], False),
    ],
    ids=[
        *("all the machine's", "another mount namespace", "another PID namespace", "both"),
        *("another network", "the agent's own container", "the machine, from a container"),
        *("some other container", "a container beside the agent's", "the machine is not known"),
    ],
)
def test_a_container_has_the_machines_network_and_other_namespaces(
    seen: Namespaces, machine: list[Namespaces], is_container: bool
) -> None:
    found = container_by_namespaces(["/odd/web1"], "web", seen, machine)
    assert found == (Container("web1", "", "container") if is_container else None)


@pytest.mark.parametrize("name", ["pasta.avx2", "slirp4netns", "rootlessport-ch", "conmon"])
def test_who_forwards_ports_of_bridged_containers_is_no_container(name: str) -> None:
    session = ["/user.slice/user-1000.slice/session-3.scope"]
    assert container_by_namespaces(session, name, OTHER_MOUNT, [MACHINE]) is None


@pytest.mark.parametrize(
    ("paths", "identity"),
    [
        (["/default/web1"], "web1"),
        (["/odd/web1/container"], "web1"),
        (["/"], "ns4026532178"),
        (["/user.slice/user-1000.slice/session-3.scope"], "ns4026532178"),
        (["/system.slice/foo.service/web1"], "web1"),
        (["/", "/", "/pods/web1"], "web1"),
        (["/system.slice/foo.service", "/pods/web1"], "web1"),
        (["/pods/a b"], "pods"),
        (["/\udcff"], "ns4026532178"),
        ([f"/{'x' * 129}"], "ns4026532178"),
    ],
)
def test_an_unknown_container_is_called_by_its_cgroup_or_its_namespace(
    paths: list[str], identity: str
) -> None:
    found = container_by_namespaces(paths, "web", CONTAINED, [MACHINE])
    assert found == Container(identity, "", "container")


def test_a_service_is_the_machines_although_a_hierarchy_does_not_know_it() -> None:
    paths = ["/", "/system.slice/nginx.service", "/"]
    assert container_by_namespaces(paths, "nginx", OTHER_MOUNT, [MACHINE]) is None
