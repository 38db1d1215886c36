"""What is made of `podman machine list` and `podman machine inspect`."""

from __future__ import annotations

import asyncio

import pytest

from desktop.machines.found.model import Found, Sighting
from desktop.machines.found.podman import PodmanFinder
from desktop.machines.ssh_destination import SshDestination
from tests.fake_tools import FakeTools
from tests.recordings import podman


def look(fake: FakeTools, listing: bytes, details: bytes) -> Sighting:
    fake.put("podman", listing, arguments="machine list --format json")
    fake.put("podman", details, arguments="machine inspect *")
    return asyncio.run(PodmanFinder(fake.tools()).find())


def find(fake: FakeTools, listing: bytes, details: bytes) -> dict[str, Found]:
    """The machines by name, of a Podman without problems."""
    sighting = look(fake, listing, details)
    assert sighting.findings == ()
    return {each.name: each for each in sighting.machines}


def test_podman_5(fake: FakeTools) -> None:
    found = find(fake, podman.LIST_5, podman.INSPECT_5)
    assert {name: each.state for name, each in found.items()} == {
        "podman": "running",
        "podman-win": "starting",
    }
    identity = "/Users/ada/.local/share/containers/podman/machine/machine"
    assert found["podman"].way == SshDestination(
        "127.0.0.1", user="core", port=52612, identity=identity, is_own=True
    )
    assert found["podman"].own_ports == {("tcp", 52612)}
    socket = "/var/folders/y0/T/podman/podman-machine-default-api.sock"
    assert found["podman"].docker_host == f"unix://{socket}"


def test_a_pipe_of_windows_is_the_engine_there(fake: FakeTools) -> None:
    found = find(fake, podman.LIST_5, podman.INSPECT_5)
    assert found["podman-win"].docker_host == "npipe:////./pipe/podman-win"


def test_podman_4_whose_details_have_no_state(fake: FakeTools) -> None:
    found = find(fake, podman.LIST_4, podman.INSPECT_4)
    assert {name: each.state for name, each in found.items()} == {
        "podman": "stopped",
        "podman-lab": "stopped",
    }
    way = found["podman-lab"].way
    assert way == SshDestination(
        "127.0.0.1", user="core", port=34039, identity="/home/ada/.ssh/lab", is_own=True
    )
    assert found["podman-lab"].docker_host.endswith("/machine/lab/podman.sock")


def test_without_machines_nothing_more_is_asked(fake: FakeTools) -> None:
    assert find(fake, podman.NONE, b"") == {}
    assert fake.calls() == ["podman machine list --format json"]


@pytest.mark.parametrize("details", [b"nonsense", b'{"Name": 1}', b"[]"])
def test_without_details_the_machines_are_there_all_the_same(
    fake: FakeTools, details: bytes
) -> None:
    sighting = look(fake, podman.LIST_5, details)
    assert [each.state for each in sighting.machines] == ["running", "starting"]
    assert [each.docker_host for each in sighting.machines] == ["", ""]
    assert len(sighting.findings) == (details != b"[]")


def test_a_machine_without_a_port_cannot_be_attached_and_says_why(fake: FakeTools) -> None:
    (found,) = find(fake, b'[{"Name": "old", "Running": true}]', b"[]").values()
    assert not found.is_candidate
    assert "Podman 4" in found.declined


def test_root_has_no_machines_and_a_person_behind_sudo_is_told(fake: FakeTools) -> None:
    fake.put("podman", errors=podman.AS_ROOT, status=125)
    assert asyncio.run(PodmanFinder(fake.tools()).find()) == Sighting()
    sighting = asyncio.run(PodmanFinder(fake.tools(SUDO_USER="ada")).find())
    assert "without sudo" in sighting.findings[0].remedy
