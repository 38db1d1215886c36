"""What is made of `rdctl list-settings`, and of Rancher Desktop's folders."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from desktop.machines.found.model import Sighting, WslWay
from desktop.machines.found.rancher import RancherFinder
from desktop.machines.ssh_destination import SshDestination
from tests.fake_tools import FakeTools
from tests.recordings import lima, rancher

MACOS = Path("Library/Application Support/rancher-desktop/lima")
LINUX = Path(".local/share/rancher-desktop/lima")


def look(fake: FakeTools, **environment: str) -> Sighting:
    return asyncio.run(RancherFinder(fake.tools(**environment)).find())


def give_machine(home: Path) -> Path:
    """Its ssh_config file in a Lima home."""
    folder = home / "0"
    folder.mkdir(parents=True)
    (folder / "ssh.config").write_bytes(lima.SSH_CONFIG)
    return folder / "ssh.config"


@pytest.mark.parametrize("home", [MACOS, LINUX])
def test_a_running_one_is_reached_by_its_lima(fake: FakeTools, home: Path) -> None:
    config = give_machine(fake.home / home)
    fake.put("rdctl", rancher.SETTINGS, arguments="list-settings")
    (found,) = look(fake).machines
    assert (found.name, found.kind, found.state) == ("rancher", "rancher", "running")
    assert found.way == SshDestination("lima-0", config=str(config), is_own=True)
    assert found.docker_host == f"unix://{fake.home}/.rd/docker.sock"
    assert found.own_ports == {("tcp", 60006)}


def test_its_data_may_be_elsewhere(fake: FakeTools, tmp_path: Path) -> None:
    config = give_machine(tmp_path / "data" / "rancher-desktop" / "lima")
    fake.put("rdctl", rancher.SETTINGS)
    (found,) = look(fake, XDG_DATA_HOME=str(tmp_path / "data")).machines
    assert isinstance(found.way, SshDestination)
    assert found.way.config == str(config)


def test_on_windows_it_is_a_distribution_and_never_attached(
    fake: FakeTools, tmp_path: Path
) -> None:
    (tmp_path / "data" / "rancher-desktop" / "distro").mkdir(parents=True)
    fake.put("rdctl", rancher.SETTINGS)
    (found,) = look(fake, LOCALAPPDATA=str(tmp_path / "data")).machines
    assert found.way == WslWay("rancher-desktop")
    assert "a network of their own" in found.declined


def test_with_containerd_there_is_no_socket_for_docker(fake: FakeTools) -> None:
    give_machine(fake.home / LINUX)
    fake.put("rdctl", rancher.SETTINGS.replace(b'"name":"moby"', b'"name":"containerd"'))
    (found,) = look(fake).machines
    assert found.docker_host == ""


@pytest.mark.parametrize("errors", [rancher.NOT_RUNNING, rancher.NEVER_STARTED])
def test_one_that_does_not_run_is_stopped_if_it_was_ever_there(
    fake: FakeTools, errors: bytes
) -> None:
    fake.put("rdctl", errors=errors, status=1)
    assert look(fake) == Sighting()
    give_machine(fake.home / LINUX)
    sighting = look(fake)
    assert [each.state for each in sighting.machines] == ["stopped"]
    assert sighting.findings == ()


def test_a_running_one_whose_machine_is_not_there_is_told(fake: FakeTools) -> None:
    fake.put("rdctl", rancher.SETTINGS)
    (found,) = look(fake).machines
    assert not found.is_candidate
    assert "not where Rancher Desktop keeps it" in found.declined
