"""What front-ends are shown of machines: found, attached, or both."""

from __future__ import annotations

from desktop.api.types import FindingInfo, MachineInfo
from desktop.daemon.machine_list import machine_list
from desktop.findings import Finding
from desktop.machines.found.model import EngineWay, Found, Sighting, WslWay
from desktop.machines.ssh_destination import SshDestination

LIMA = Found("lima-x", "lima", "running", SshDestination("lima-x"), "unix:///x")
STOPPED = Found("wsl-y", "wsl", "stopped", WslWay("y"), "unix:///y", declined="not yet")
ENGINE = Found("docker-z", "docker", "running", EngineWay("unix:///z"))


def test_each_says_how_it_is_reached_and_only_a_running_one_where_its_engine_is() -> None:
    machines = machine_list(Sighting((LIMA, STOPPED, ENGINE)), "lima-x").machines
    assert machines == [
        MachineInfo("docker-z", "docker", "running", False, "", "engine unix:///z", ""),
        MachineInfo("lima-x", "lima", "running", True, "unix:///x", "ssh lima-x", ""),
        MachineInfo("wsl-y", "wsl", "stopped", False, "", "wsl y", "not yet"),
    ]


def test_what_is_attached_is_there_though_it_was_not_found() -> None:
    info = MachineInfo("ssh:ada@vm", "ssh", "running", True, "ssh://ada@vm")
    machines = machine_list(Sighting((LIMA,)), "ssh:ada@vm", [info]).machines
    assert [(each.name, each.current) for each in machines] == [
        ("lima-x", False),
        ("ssh:ada@vm", True),
    ]
    assert machines[1] == info


def test_what_is_attached_knows_best_what_it_does() -> None:
    unknown = Found("ssh:vm", "ssh", "unknown", SshDestination("vm"), is_remote=True)
    info = MachineInfo("ssh:vm", "ssh", "running", True, "ssh://vm")
    (machine,) = machine_list(Sighting((unknown,)), "ssh:vm", [info]).machines
    assert (machine.state, machine.docker_host, machine.reached) == (
        "running",
        "ssh://vm",
        "ssh vm",
    )


def test_findings_are_passed_on() -> None:
    sighting = Sighting(findings=(Finding("limactl failed", "see why"),))
    assert machine_list(sighting, "").findings == [FindingInfo("limactl failed", "see why")]
