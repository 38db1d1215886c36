"""An agent that is itself in a container of the machine, in the machine's network."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from desktop.machines.agent_bundle import build_agent
from tests.integration.bpf_links import links_of
from tests.integration.bpf_stage import require_bpf
from tests.integration.conftest import SandboxHome
from tests.integration.engines import Inside
from tests.integration.linked_agent import Place, serving, tells_containers_only
from tests.integration.privileged import allow_privileged
from tests.integration.samehost import quiet_ports, until
from vmagent.watch.owners import LESS_TOLD, NOTHING_TOLD

SEES_ALL = ["--privileged", "--pid=host"]


@pytest.fixture(scope="module")
def place(sandbox_home: SandboxHome) -> Iterator[Place]:
    inside = Inside(sandbox_home)
    bundle = sandbox_home.home / "agent.pyz"
    build_agent(bundle)
    place = Place(inside, "/var/run/docker.sock", bundle)
    place.load_images(sandbox_home.home)
    with allow_privileged(inside):
        yield place


@pytest.mark.parametrize("cgroups", ["private", "host"])
def test_that_sees_the_machines_processes_it_tells_what_one_on_the_machine_tells(
    place: Place, cgroups: str
) -> None:
    require_bpf()
    tells_containers_only(place, place.agent_in_container(*SEES_ALL, f"--cgroupns={cgroups}"))


def test_without_the_machines_processes_known_engines_containers_are_told(place: Place) -> None:
    require_bpf()
    web, daemon = (port := quiet_ports(3)), port + 1
    socket = "--volume=/run/docker.sock:/run/docker.sock"
    with (
        place.others(daemon),
        place.agent_in_container("--privileged", "--cgroupns=host", socket) as agent,
        place.container("web", *serving(web)) as identity,
    ):
        agent.until(lambda: agent.owner(web) == (identity, "web", "docker"), "its name")
        agent.remains(lambda: agent.ports == {web}, "that container only")
        assert agent.description.startswith("eBPF, ")
        assert LESS_TOLD in agent.description


def test_without_processes_and_cgroups_nothing_is_told_and_why_is_said(place: Place) -> None:
    web, daemon = (port := quiet_ports(3)), port + 1
    with place.others(daemon), place.container("web", *serving(web)):
        with place.agent_in_container("--privileged") as agent:
            agent.remains(lambda: not agent.ports, "silence")
            assert "(no eBPF: this container hides the machine's cgroups)" in agent.description
            assert NOTHING_TOLD in agent.description


def test_without_privileges_a_daemon_is_not_taken_for_a_container(place: Place) -> None:
    web, daemon = (port := quiet_ports(3)), port + 1
    with place.others(daemon), place.container("web", *serving(web)) as identity:
        with place.agent_in_container("--pid=host") as agent:
            agent.until(lambda: agent.owner(web), "the container")
            agent.remains(lambda: agent.ports == {web}, "that container only")
            owner = agent.owner(web)
            assert owner is not None
            assert owner[0] == identity
            assert "no eBPF" in agent.description
            assert NOTHING_TOLD in agent.description


def test_in_the_processes_of_another_container_it_takes_none_for_the_machine(place: Place) -> None:
    web, daemon = (port := quiet_ports(3)), port + 1
    with place.others(daemon), place.container("web", *serving(web)):
        with place.agent_in_container("--privileged", "--pid=container:web") as agent:
            agent.until(lambda: NOTHING_TOLD in agent.description, "why")
            agent.remains(lambda: agent.ports <= {web}, "that container only")


def test_its_programs_are_at_the_machines_root_and_vanish_when_it_is_killed(place: Place) -> None:
    require_bpf()
    root = place.inside.root / "sys/fs/cgroup"
    before = set(links_of(root))
    with place.agent_in_container(*SEES_ALL) as agent:
        agent.until(lambda: agent.description.startswith("eBPF, "), "eBPF")
        assert set(links_of(root)) > before
        place.docker("kill", "--signal=KILL", "agent")
        until(lambda: set(links_of(root)) == before, "their end")
