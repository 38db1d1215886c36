"""What is made of `limactl list --json`."""

from __future__ import annotations

import asyncio

import pytest

from desktop.machines.found.lima import LimaFinder, parse_instances
from desktop.machines.found.model import Found
from desktop.machines.ssh_destination import SshDestination
from tests.fake_tools import FakeTools
from tests.recordings import lima


def only(text: bytes) -> Found:
    """The one machine in an output without problems."""
    sighting = parse_instances(text)
    assert sighting.findings == ()
    (found,) = sighting.machines
    return found


def test_a_running_instance_is_reached_by_its_own_ssh_configuration() -> None:
    found = only(lima.DOCKER)
    assert (found.name, found.kind, found.state) == ("lima-docker", "lima", "running")
    assert found.way == SshDestination(
        "lima-docker", config="/Users/ada/.lima/docker/ssh.config", is_own=True
    )


def test_its_engine_is_where_lima_forwards_the_socket() -> None:
    assert only(lima.DOCKER).docker_host == "unix:///Users/ada/.lima/docker/sock/docker.sock"
    assert only(lima.STOPPED).docker_host == ""


def test_its_ssh_port_is_its_own() -> None:
    assert only(lima.DOCKER).own_ports == {("tcp", 60006)}
    assert only(lima.STOPPED).own_ports == frozenset()


def test_a_name_with_dots_and_underscores_has_another_host_name() -> None:
    found = only(lima.STOPPED)
    assert found.name == "lima-my_tests.old"
    assert isinstance(found.way, SshDestination)
    assert found.way.host == "lima-my-tests-old"
    without = lima.STOPPED.replace(b'"hostname":"lima-my-tests-old",', b"")
    assert only(without).way == found.way


def test_lima_before_the_field_for_it_has_the_configuration_in_the_folder() -> None:
    old = lima.DOCKER.replace(b'"sshConfigFile":"/Users/ada/.lima/docker/ssh.config",', b"")
    assert only(old).way == only(lima.DOCKER).way


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (b"Running", "running"),
        (b"Stopped", "stopped"),
        (b"Uninitialized", "stopped"),
        (b"Installing", "starting"),
        (b"Broken", "failed"),
        (b"", "failed"),
        (b"Paused by a later version", "failed"),
    ],
)
def test_states(status: bytes, state: str) -> None:
    line = lima.DOCKER.replace(b'"status":"Running"', b'"status":"' + status + b'"')
    assert only(line).state == state


def test_all_of_a_list_are_found_also_broken_ones() -> None:
    sighting = parse_instances(lima.LIST)
    assert [(each.name, each.state) for each in sighting.machines] == [
        ("lima-docker", "running"),
        ("lima-my_tests.old", "stopped"),
        ("lima-broken", "failed"),
    ]


def test_a_line_that_is_not_understood_leaves_the_others() -> None:
    sighting = parse_instances(b"level=warning msg=x\n" + lima.DOCKER + b'{"name": 7}\n')
    assert [each.name for each in sighting.machines] == ["lima-docker"]
    (finding,) = sighting.findings
    assert finding.message.startswith("limactl: ")
    assert finding.message.endswith(" (and 1 more lines)")


def test_of_endless_nonsense_not_all_is_read() -> None:
    sighting = parse_instances(b"x\n" * 1_000_000 + lima.DOCKER)
    assert sighting.machines == ()
    (finding,) = sighting.findings
    assert "99 more lines" in finding.message


def test_a_lima_without_instances_has_none(fake: FakeTools) -> None:
    fake.put("limactl", errors=lima.NONE)
    sighting = asyncio.run(LimaFinder(fake.tools()).find())
    assert (sighting.machines, sighting.findings) == ((), ())


def test_root_has_no_instances_and_a_person_behind_sudo_is_told(fake: FakeTools) -> None:
    fake.put("limactl", errors=lima.AS_ROOT, status=1)
    assert asyncio.run(LimaFinder(fake.tools()).find()).findings == ()
    sighting = asyncio.run(LimaFinder(fake.tools(SUDO_USER="ada")).find())
    (finding,) = sighting.findings
    assert "of ada were not looked for" in finding.message
    assert "without sudo" in finding.remedy
