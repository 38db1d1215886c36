"""Who starts the containers in the VM makes no difference: Podman, a Swarm service, docker here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.e2e.vm.attached import Attached, attached, eventually
from tests.e2e.vm.furnish import ADDRESS
from tests.e2e.vm.machine import Vm
from tests.integration.samehost import IMAGE, free_port, talk
from tests.integration.servers import GREETER

pytestmark = pytest.mark.timeout(900)
"""The first that needs the image may have to make it."""


@pytest.fixture(scope="module")
def samehost(vm: Vm) -> Iterator[Attached]:
    """Attached; tests remove what they start."""
    with attached(vm) as samehost:
        yield samehost


@contextlib.contextmanager
def swarm(samehost: Attached) -> Iterator[None]:
    """Meanwhile the VM is a swarm of one."""
    address = ADDRESS.partition("/")[0]
    samehost.docker("swarm", "init", f"--advertise-addr={address}")
    try:
        yield
    finally:
        samehost.docker("swarm", "leave", "--force")


def test_a_container_of_podman_is_mirrored(samehost: Attached) -> None:
    port = free_port()
    with samehost.podman("pod", "nc", "-lk", "0.0.0.0", str(port)):
        eventually(lambda: samehost.shown(port) == [("pod", "active")], "the mirror")
        assert samehost.rows(port)[0]["container"]["runtime"] == "podman"
        assert talk("127.0.0.1", port, b"hello", patience=60) == b""
    eventually(lambda: samehost.rows(port) == [], "the mirror to go")


def test_a_service_of_a_swarm_with_host_network_is_mirrored_and_the_swarms_ports_are_not(
    samehost: Attached,
) -> None:
    port = free_port()
    with swarm(samehost):
        samehost.docker(
            *("service", "create", "--detach", "--name=web", "--network=host"),
            *("--no-resolve-image", IMAGE, "nc", "-lk", "0.0.0.0", str(port)),
        )
        eventually(lambda: samehost.states(port) == ["active"], "the mirror")
        assert talk("127.0.0.1", port, b"hello", patience=60) == b""
        eventually(lambda: samehost.shown(port)[0][0].startswith("web."), "the service's name")
        assert samehost.rows(2377) == samehost.rows(7946) == samehost.rows(4789) == []
        samehost.docker("service", "rm", "web")
        eventually(lambda: samehost.rows(port) == [], "the mirror to go")


def test_the_docker_command_here_runs_containers_there(samehost: Attached) -> None:
    port = free_port()
    options = ["--detach", "--net=host", "-v", "/:/desktop:ro"]
    chroot = ["busybox", "chroot", "/desktop", "/usr/bin/python3", "-c", GREETER]
    container = samehost.run(
        *("docker", "run", *options, IMAGE, *chroot, "0.0.0.0", str(port), "v6only", "it is me")
    ).strip()
    try:
        eventually(lambda: samehost.states(port) == ["active"], "the mirror")
        assert talk("localhost", port, patience=60) == b"it is me"
    finally:
        samehost.docker("rm", "--force", container)
