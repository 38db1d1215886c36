"""Machines with cgroups of version 1, alone or beside version 2 (hybrid), with the real engine.

The sandbox and its engine use version 2. Here it is given the mounts of a machine with version 1,
and a second Docker Engine that goes by them. Needs a kernel whose controllers are not all in use
by version 2, as where this computer itself has version 1.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from desktop.machines.agent_bundle import build_agent
from tests.integration.bpf_stage import require_bpf
from tests.integration.conftest import booted_sandbox
from tests.integration.engines import Inside, SecondDocker
from tests.integration.linked_agent import Place, serving, tells_containers_only
from tests.integration.privileged import allow_privileged
from tests.integration.samehost import quiet_ports
from vmagent.watch.owners import NOTHING_TOLD

SEES_ALL: Final = ("--privileged", "--pid=host")

HYBRID: Final = """
mkdir /run/unified
mount --no-mtab --move /sys/fs/cgroup /run/unified
mount --no-mtab -t tmpfs tmpfs /sys/fs/cgroup
for hierarchy in "$@" none,name=systemd; do
    folder=/sys/fs/cgroup/${hierarchy##*=}
    mkdir "$folder"
    mount --no-mtab -t cgroup -o "$hierarchy" cgroup "$folder"
done
mkdir /sys/fs/cgroup/unified
mount --no-mtab --move /run/unified /sys/fs/cgroup/unified
ln -s unified/init /sys/fs/cgroup/init
"""
"""What systemd mounts (its documentation CGROUP_DELEGATION), and the way by which `Sandbox` makes
a program the machine's own."""

WITHOUT_VERSION_2: Final = """
umount --no-mtab /sys/fs/cgroup/unified
rm /sys/fs/cgroup/init
mkdir /sys/fs/cgroup/init
"""

REMOVE: Final = """
for folder in /sys/fs/cgroup/*"$1"; do
    while [ -d "$folder" ] && ! find "$folder" -depth -type d -exec rmdir {} +; do
        sleep 0.02
    done
done
"""
"""The kernel may hold them for a moment."""


def old_hierarchies() -> list[str]:
    """Those of version 1, each by its controllers (cgroups(7), /proc/cgroups)."""
    hierarchies: dict[str, list[str]] = {}
    for line in Path("/proc/cgroups").read_text().splitlines()[1:]:
        controller, number, _count, enabled = line.split()
        if number != "0" and enabled == "1":
            hierarchies.setdefault(number, []).append(controller)
    return [",".join(controllers) for controllers in hierarchies.values()]


@pytest.fixture(scope="module", params=["hybrid", "version 1 only"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    hierarchies = old_hierarchies()
    if not {"devices", "pids"} <= set(",".join(hierarchies).split(",")):
        pytest.skip("this computer's controllers are in use by cgroup version 2")
    with booted_sandbox() as booted:
        inside = Inside(booted)
        inside.sh(HYBRID, *hierarchies)
        if request.param != "hybrid":
            inside.sh(WITHOUT_VERSION_2)
        bundle = booted.home / "agent.pyz"
        build_agent(bundle)
        parent = f"/samehost-test-{os.getpid()}"
        engine = SecondDocker(inside, own_containerd=True)
        engine.start("--cgroup-parent", f"{parent}/docker")
        try:
            place = Place(inside, engine.SOCKET, bundle, apart="none")
            assert place.docker("info", "--format={{.CgroupVersion}}") == "1"
            place.load_images(booted.home)
            with allow_privileged(inside):
                yield place
        finally:
            engine.stop("TERM")
            inside.sh(REMOVE, parent)


def test_an_agent_on_the_machine_tells_containers_only(place: Place) -> None:
    require_bpf()
    tells_containers_only(place, place.agent())


@pytest.mark.parametrize("cgroups", ["host", "private"])
def test_an_agent_in_a_container_tells_containers_only(place: Place, cgroups: str) -> None:
    require_bpf()
    tells_containers_only(place, place.agent_in_container(*SEES_ALL, f"--cgroupns={cgroups}"))


@pytest.mark.parametrize("cgroups", ["host", "private"])
def test_an_agent_that_sees_no_processes_tells_nothing_and_says_why(
    place: Place, cgroups: str
) -> None:
    web, daemon = (port := quiet_ports(3)), port + 1
    with place.others(daemon), place.container("web", *serving(web)):
        with place.agent_in_container("--privileged", f"--cgroupns={cgroups}") as agent:
            agent.remains(lambda: not agent.ports, "silence")
            assert "(no eBPF: this container hides the machine's cgroups)" in agent.description
            assert NOTHING_TOLD in agent.description
