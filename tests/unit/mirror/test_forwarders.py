"""Who else makes a machine's ports appear here, and the words that switch it off."""

from __future__ import annotations

import json
import re

import pytest

from desktop.mirror.failures import explain
from desktop.mirror.forwarders import find_forwarder
from desktop.mirror.model import Binding, Origin, State
from desktop.mirror.rules import Rules
from tests.unit.mirror.make import here, in_container, plan

IGNORE = "`portForwards: [{guestIP: 0.0.0.0, guestIPMustBeZero: false, proto: any, ignore: true}]`"


def words(process: str, machine: str, port: int = 8080) -> str:
    """What is said of a process that has the port; "" if it is no forwarder."""
    holder = here("127.0.0.1", port, process=process)
    forwarder = find_forwarder(holder, machine)
    return forwarder.words(holder, machine) if forwarder else ""


@pytest.mark.parametrize(
    ("process", "machine", "tool", "line"),
    [
        ("limactl", "lima-docker", "Lima", IGNORE),
        ("limactl", "lima-docker", "Lima", "limactl edit docker"),
        ("limactl.exe", "lima-docker", "Lima", IGNORE),
        ("ssh", "lima-docker", "Lima", IGNORE),
        ("limactl", "colima", "Colima", "`colima start default --port-forwarder none`"),
        ("ssh", "colima-work", "Colima", "`colima start work --port-forwarder none`"),
        ("limactl", "rancher", "Rancher Desktop", "lima/_config/override.yaml"),
        ("host-switch.exe", "rancher", "Rancher Desktop", "samehost settings set remap"),
        ("gvproxy", "podman", "Podman", "without -p"),
        ("win-sshproxy.exe", "podman-work", "Podman", "without -p"),
        ("wslrelay.exe", "wsl-Ubuntu", "WSL", "`localhostForwarding=false`"),
        ("com.docker.backend", "colima", "Docker Desktop", "stop that one"),
        ("com.docker.back", "sandbox", "Docker Desktop", "stop that one"),
        ("OrbStack Helper", "lima-x", "OrbStack", "stop that one"),
        ("limactl", "sandbox", "Lima", "limactl edit NAME"),
    ],
)
def test_a_forwarder_is_named_with_the_line_that_switches_it_off(
    process: str, machine: str, tool: str, line: str
) -> None:
    said = words(process, machine)
    assert tool in said
    assert line in said
    assert said.isprintable()
    assert not re.search(r"<\w+>", said)


def test_what_may_be_somebody_elses_is_said_as_a_guess() -> None:
    assert words("ssh", "colima").startswith("if Colima forwards it by that, ")
    assert words("limactl", "colima").startswith("Colima forwards it already; ")


@pytest.mark.parametrize(
    ("process", "machine"),
    [
        ("ssh", "sandbox"),
        ("ssh", "podman"),
        ("sshd", "lima-x"),
        ("nginx", "lima-x"),
        ("limactlx", "lima-x"),
        ("", "lima-x"),
    ],
)
def test_all_others_are_none(process: str, machine: str) -> None:
    assert words(process, machine) == ""


def test_a_container_is_no_forwarder_whatever_its_program_is_called() -> None:
    assert find_forwarder(in_container("0.0.0.0", 80), "lima-x") is None


def test_the_remedy_of_a_remap_is_a_setting() -> None:
    said = words("host-switch", "rancher", 5432)
    value = re.search(r"remap '(.*)'", said)
    assert value is not None
    assert json.loads(value[1].replace("OTHER", "15432")) == {"tcp:5432": 15432}


def test_a_port_that_the_forwarder_took_first_is_a_conflict_that_names_it() -> None:
    binding = Binding(Origin.MACHINE, "tcp", "0.0.0.0", 8080, "lima-docker")
    number = 98  # EADDRINUSE of Linux (asm-generic/errno.h)
    failure = explain(binding, number, [here("127.0.0.1", 8080, process="limactl")])
    assert failure.state is State.CONFLICT
    assert failure.reason.startswith("limactl (pid 77) on this computer has tcp port 8080; Lima ")
    assert IGNORE in failure.reason


def test_a_port_of_the_forwarder_is_a_conflict_here_and_is_not_mirrored_back() -> None:
    inside, outside = in_container("0.0.0.0", 8080), here("127.0.0.1", 8080, process="limactl")
    wishes = {w.binding.origin: w for w in plan([inside], [outside], Rules(), "lima-docker")}
    conflict, ignored = wishes[Origin.MACHINE], wishes[Origin.HOST]
    assert conflict.state is State.CONFLICT
    assert IGNORE in conflict.reason
    assert ignored.state is State.IGNORED
    assert ignored.reason == "ignored by default: Lima forwards it from the machine"


@pytest.mark.parametrize(
    ("process", "machine"), [("limactl", "podman"), ("ssh", "lima-x"), ("gvproxy", "sandbox")]
)
def test_ports_of_another_machines_forwarder_or_a_persons_own_are_mirrored(
    process: str, machine: str
) -> None:
    (wish,) = plan([], [here("127.0.0.1", 8080, process=process)], Rules(), machine)
    assert wish.state is State.PENDING


@pytest.mark.parametrize(
    ("protocol", "port", "is_way"),
    [("tcp", 60022, True), ("tcp", 60023, False), ("udp", 60022, False)],
)
def test_the_port_by_which_a_machine_is_reached_is_not_mirrored(
    protocol: str, port: int, is_way: bool
) -> None:
    rules = Rules(ways=frozenset({("tcp", 60022)}))
    (wish,) = plan([], [here("127.0.0.1", port, protocol=protocol)], rules)
    assert (wish.state is State.IGNORED) is is_way
    assert ("the way into a machine" in wish.reason) is is_way


def test_a_container_may_have_the_number_of_such_a_port() -> None:
    rules = Rules(ways=frozenset({("tcp", 60022)}))
    (wish,) = plan([in_container("127.0.0.1", 60022)], [], rules)
    assert wish.state is State.PENDING
