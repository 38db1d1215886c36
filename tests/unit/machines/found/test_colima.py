"""What is made of `colima list --json`, and of colima's folders."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from desktop.machines.found.colima import ColimaFinder, ssh_port
from desktop.machines.found.model import Found
from desktop.machines.ssh_destination import SshDestination
from tests.fake_tools import FakeTools
from tests.recordings import colima, lima


def find(fake: FakeTools, **environment: str) -> dict[str, Found]:
    """The machines by name, of a colima without problems."""
    fake.put("colima", colima.LIST, arguments="list --json")
    sighting = asyncio.run(ColimaFinder(fake.tools(**environment)).find())
    assert sighting.findings == ()
    return {each.name: each for each in sighting.machines}


def test_the_default_profile_is_called_colima_and_others_by_their_name(fake: FakeTools) -> None:
    found = find(fake)
    assert {name: each.state for name, each in found.items()} == {
        "colima": "running",
        "colima-k3s_old": "stopped",
        "colima-sick": "failed",
    }


def test_each_has_the_ssh_configuration_of_its_instance(fake: FakeTools) -> None:
    found = find(fake)
    home = fake.home / ".colima" / "_lima"
    assert found["colima"].way == SshDestination(
        "lima-colima", config=str(home / "colima" / "ssh.config"), is_own=True
    )
    assert found["colima-k3s_old"].way == SshDestination(
        "lima-colima-k3s-old", config=str(home / "colima-k3s_old" / "ssh.config"), is_own=True
    )


def test_the_engine_is_in_the_folder_of_the_profile_if_it_is_docker(fake: FakeTools) -> None:
    found = find(fake)
    socket = fake.home / ".colima" / "default" / "docker.sock"
    assert found["colima"].docker_host == f"unix://{socket}"
    assert found["colima-k3s_old"].docker_host == ""


def test_the_ssh_port_is_read_from_the_configuration(fake: FakeTools) -> None:
    folder = fake.home / ".colima" / "_lima" / "colima"
    folder.mkdir(parents=True)
    (folder / "ssh.config").write_bytes(lima.SSH_CONFIG)
    found = find(fake)
    assert found["colima"].own_ports == {("tcp", 60006)}
    assert found["colima-sick"].own_ports == frozenset()


@pytest.mark.parametrize(
    ("variable", "folder"),
    [("COLIMA_HOME", ""), ("XDG_CONFIG_HOME", "colima"), ("", ".config/colima")],
)
def test_colima_may_be_at_home_elsewhere(
    fake: FakeTools, tmp_path: Path, variable: str, folder: str
) -> None:
    root = tmp_path / "elsewhere" if variable else fake.home
    (root / folder).mkdir(parents=True)
    found = find(fake, **({variable: str(root)} if variable else {}))
    assert isinstance(found["colima"].way, SshDestination)
    assert found["colima"].way.config == str(root / folder / "_lima" / "colima" / "ssh.config")


def test_colima_obeys_the_home_of_lima(fake: FakeTools) -> None:
    way = find(fake, LIMA_HOME="/lima")["colima"].way
    assert isinstance(way, SshDestination)
    assert way.config == "/lima/colima/ssh.config"


def test_a_line_that_is_not_understood_leaves_the_others(fake: FakeTools) -> None:
    fake.put("colima", b"WARN[0000]\n" + colima.LIST)
    sighting = asyncio.run(ColimaFinder(fake.tools()).find())
    assert len(sighting.machines) == 3
    (finding,) = sighting.findings
    assert finding.message.startswith("colima: ")


@pytest.mark.parametrize(
    ("text", "port"),
    [
        (b"Host x\n  Port 2222\n", 2222),
        (b"  Hostname Port 9\n", 0),
        (b"  Port none\n", 0),
        (b"", 0),
        (b"\0" * ((1 << 20) + 1), 0),
        (b"\n" * (1 << 20), 0),
        (b" " * (1 << 20), 0),
        (b"Host x\r\n\tPort\t2222 \r\n", 2222),
    ],
)
def test_the_port_of_a_configuration(tmp_path: Path, text: bytes, port: int) -> None:
    (tmp_path / "ssh.config").write_bytes(text)
    assert ssh_port(tmp_path / "ssh.config") == port


def test_a_configuration_that_is_not_there_has_no_port(tmp_path: Path) -> None:
    assert ssh_port(tmp_path / "ssh.config") == 0
    assert ssh_port(tmp_path) == 0
