"""Cgroup paths as the engines make them."""

from __future__ import annotations

import pytest

from link.listener import Container
from vmagent.containers import RUNTIMES, container_of_path

ID = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4
KUBE = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1b2c.slice"

CONTAINERS = [
    ("docker", f"/docker/{ID}"),
    ("docker", f"/docker/{ID}/init"),
    ("docker", f"/samehost-sandbox/docker/{ID}"),
    ("docker", f"/system.slice/docker-{ID}.scope"),
    ("docker", f"/system.slice/docker-{ID}.scope/init.scope"),
    ("docker", f"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{ID}.scope"),
    ("docker", f"/lima.slice/docker-{ID}.scope"),
    ("docker", f"/../../docker/{ID}"),
    ("docker", f"{KUBE}/docker-{ID}.scope"),
    ("podman", f"/machine.slice/libpod-{ID}.scope"),
    ("podman", f"/machine.slice/libpod-{ID}.scope/container"),
    ("podman", f"/libpod_parent/libpod-{ID}"),
    ("podman", f"/libpod_parent/libpod-{ID}/container"),
    ("containerd", f"/system.slice/nerdctl-{ID}.scope"),
    ("containerd", f"/default/{ID}"),
    ("containerd", f"/k8s.io/{ID}"),
    ("containerd", f"{KUBE}/cri-containerd-{ID}.scope"),
    ("containerd", f"/kubepods-besteffort-pod1b2c.slice:cri-containerd:{ID}"),
    ("cri-o", f"{KUBE}/crio-{ID}.scope"),
    ("cri-o", f"/kubepods/besteffort/pod1b2c/crio-{ID}"),
    ("kubernetes", f"/kubepods/burstable/pod1b2c-3d/{ID}"),
    ("kubernetes", f"/kubepods/pod1b2c-3d/{ID}"),
    ("container", f"/my-parent/{ID}"),
]

MACHINE = [
    "/",
    "",
    "/init.scope",
    "/system.slice/docker.service",
    "/system.slice/docker.socket",
    "/system.slice/containerd.service",
    "/system.slice/ssh.service",
    "/system.slice/sshd.service",
    "/user.slice/user-1000.slice/session-3.scope",
    "/docker",
    "/docker/buildkit",
    f"/machine.slice/libpod-conmon-{ID}.scope",
    f"/system.slice/crio-conmon-{ID}.scope",
    f"/system.slice/docker-{ID}.service",
    f"/system.slice/docker-{ID[:63]}.scope",
    f"/docker/{ID}0",
    f"/docker/{ID.upper()}",
    "/process_api/5ec92f63fcc75a91bdd6cb39b9060841",
]


@pytest.mark.parametrize(("runtime", "path"), CONTAINERS)
def test_a_containers_cgroup_names_it_and_its_runtime(runtime: str, path: str) -> None:
    assert container_of_path(path) == Container(ID, "", runtime)


@pytest.mark.parametrize("path", MACHINE)
def test_the_machines_own_cgroups_are_nobodys(path: str) -> None:
    assert container_of_path(path) is None


def test_every_row_of_the_table_is_tested() -> None:
    deciding = {
        next(n for n, (_, pattern) in enumerate(RUNTIMES) if pattern.search(path))
        for _, path in CONTAINERS
    }
    assert deciding == set(range(len(RUNTIMES)))


def test_of_nested_containers_the_outermost_is_named() -> None:
    path = f"/docker/{ID}/docker/{OTHER}"
    assert container_of_path(path) == Container(ID, "", "docker")


def test_the_readers_own_container_is_not_looked_at() -> None:
    assert container_of_path(f"/docker/{ID}", {ID}) is None
    nested = container_of_path(f"/docker/{ID}/system.slice/libpod-{OTHER}.scope", {ID})
    assert nested == Container(OTHER, "", "podman")
