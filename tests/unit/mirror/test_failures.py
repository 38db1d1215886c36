"""Every failure to open a mirror says whose fault it is and what to do."""

from __future__ import annotations

import errno

import pytest

from desktop.mirror.failures import explain
from desktop.mirror.model import Binding, Origin, State
from desktop.mirror.systems import LINUX, MACOS, WINDOWS, ExcludedRange, System, Why, parse_excluded
from link.listener import Container, Listener
from tests.capabilities import LINUX_KERNEL, needs
from tests.unit.mirror.make import here, machine_binding

IN_USE, NOT_AVAILABLE, NO_FAMILY = 98, 99, 97
"""EADDRINUSE, EADDRNOTAVAIL and EAFNOSUPPORT of Linux (asm-generic/errno.h)."""
DUAL = "dual-stack"
"""Stands for `::` with IPV6_V6ONLY off."""

HERE = Binding(Origin.MACHINE, "tcp", "0.0.0.0", 80, "vm")
THERE = Binding(Origin.HOST, "tcp", "127.0.0.1", 80, "vm")


def test_a_port_in_use_names_program_and_process() -> None:
    other = Listener(1, "tcp", "0.0.0.0", 80, process="nginx", pid=12)
    failure = explain(HERE, IN_USE, [other])
    assert failure.state is State.CONFLICT
    reason = "nginx (pid 12) on this computer has tcp port 80: stop it, or remap the port"
    assert failure.reason == reason


def test_a_port_in_use_in_the_machine_names_the_container() -> None:
    other = Listener(1, "tcp", "0.0.0.0", 80, container=Container("ab", "web", ""), process="nc")
    reason = explain(THERE, IN_USE, [other]).reason
    assert "web" in reason
    assert "the machine" in reason


def test_a_port_in_use_by_nobody_who_may_be_seen_says_so() -> None:
    others = [Listener(1, "tcp", "0.0.0.0", 81, process="x"), Listener(2, "tcp", "0.0.0.0", 80)]
    reason = explain(HERE, IN_USE, others).reason
    assert reason.startswith("another program on this computer has tcp port 80: stop it")
    reason = explain(THERE, IN_USE, []).reason
    assert reason.endswith("on the machine has tcp port 80: stop one of the two")


@pytest.mark.parametrize("number", [NOT_AVAILABLE, NO_FAMILY])
def test_where_there_is_no_ipv6_the_line_that_switches_it_on_is_told(number: int) -> None:
    for address in ("::", "::1"):
        assert "net.ipv6.conf" in explain(machine_binding(address, 80), number, []).reason
    assert "net.ipv6.conf" not in explain(machine_binding("127.0.0.9", 80), number, []).reason


@pytest.mark.parametrize(
    ("address", "beside", "in_the_way"),
    [
        ("0.0.0.0", ["::1", "::"], "10.0.0.1"),
        ("127.0.0.1", ["127.0.0.2", "10.0.0.1", "::"], "0.0.0.0"),
        ("127.0.0.2", ["127.0.0.1"], "127.0.0.2"),
        ("0.0.0.0", ["::1"], DUAL),
        ("::", ["0.0.0.0", "127.0.0.1"], "fd00::2"),
        ("::1", ["fd00::2", "127.0.0.1"], DUAL),
    ],
)
def test_a_program_with_the_same_port_on_an_address_that_is_not_in_the_way_is_not_named(
    address: str, beside: list[str], in_the_way: str
) -> None:
    binding = machine_binding(address, 80)
    others = [here(each, 80, process="innocent") for each in beside]
    assert "another program" in explain(binding, IN_USE, others).reason
    is_dual = in_the_way == DUAL
    others.append(here("::" if is_dual else in_the_way, 80, dual=is_dual, process="culprit"))
    assert explain(binding, IN_USE, others).reason.startswith("culprit (pid 77)")


def test_a_container_whose_process_is_not_known_is_named_all_the_same() -> None:
    other = Listener(1, "tcp", "127.0.0.1", 80, container=Container("ab", "web", ""))
    assert explain(THERE, IN_USE, [other]).reason.startswith("container web")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "ip_unprivileged_port_start=80"),
        (errno.EPERM, "remap"),
        (NOT_AVAILABLE, "has no address 0.0.0.0"),
        (NO_FAMILY, "has no address"),
        (errno.EMFILE, "ulimit"),
        (errno.EIO, "EIO"),
    ],
)
def test_all_else_is_denied_with_its_remedy(number: int, words: str) -> None:
    failure = explain(HERE, number, [])
    assert failure.state is State.DENIED
    assert words in failure.reason


# Other systems


def number_of(system: System, why: Why) -> int:
    return next(number for number, each in system.numbers.items() if each is why)


@pytest.mark.parametrize("system", [LINUX, MACOS, WINDOWS], ids=["linux", "macos", "windows"])
@pytest.mark.parametrize("why", list(Why))
def test_every_system_has_a_number_for_everything_that_may_be_wrong(
    system: System, why: Why
) -> None:
    failure = explain(HERE, number_of(system, why), [], system)
    assert failure.state is (State.CONFLICT if why is Why.IN_USE else State.DENIED)
    assert "{" not in failure.reason


@needs(LINUX_KERNEL)
def test_the_numbers_of_linux_are_those_of_this_computer() -> None:
    assert LINUX.numbers[errno.EADDRINUSE] is Why.IN_USE
    assert {LINUX.numbers[each] for each in (errno.EACCES, errno.EPERM)} == {Why.DENIED}
    assert {LINUX.numbers[each] for each in (errno.EMFILE, errno.ENFILE)} == {Why.NO_FILES}
    assert LINUX.numbers[errno.EADDRNOTAVAIL] is LINUX.numbers[errno.EAFNOSUPPORT]
    assert len(LINUX.numbers) == 7


def test_a_number_of_the_machine_is_linuxs_whatever_this_computer_is() -> None:
    for system in (MACOS, WINDOWS):
        assert explain(THERE, IN_USE, [], system).state is State.CONFLICT
        assert "sysctl" in explain(THERE, errno.EACCES, [], system).reason
        assert explain(THERE, 48, [], system).reason.endswith("(48)")


def test_linux_names_the_setting_and_the_capability() -> None:
    reason = explain(HERE, errno.EACCES, []).reason
    assert "net.ipv4.ip_unprivileged_port_start=80" in reason
    assert "CAP_NET_BIND_SERVICE" in reason


RANGES = [ExcludedRange(50000, 50059, is_administered=True), ExcludedRange(80, 179, False)]


@pytest.mark.parametrize("number", [13, 10013])
def test_a_port_that_windows_keeps_is_denied_and_its_range_named(number: int) -> None:
    failure = explain(HERE, number, [], WINDOWS, RANGES)
    assert failure.state is State.DENIED
    assert "reserved by Windows, which keeps 80 to 179 for itself" in failure.reason
    assert "net stop winnat" in failure.reason
    assert "protocol=tcp" in failure.reason


def test_a_port_within_a_range_that_somebody_ordered_tells_how_to_delete_it() -> None:
    binding = machine_binding("127.0.0.1", 50001)
    reason = explain(binding, 13, [], WINDOWS, RANGES).reason
    assert "startport=50000 numberofports=60" in reason


def test_a_port_that_windows_keeps_in_a_range_not_known_yet_is_denied_all_the_same() -> None:
    reason = explain(HERE, 13, [], WINDOWS).reason
    assert "port 80 is reserved by Windows: " in reason


def test_a_port_that_windows_denies_because_a_program_has_it_alone_is_a_conflict() -> None:
    other = Listener(1, "tcp", "0.0.0.0", 80, process="nginx.exe", pid=12)
    assert explain(HERE, 13, [other], WINDOWS, RANGES).state is State.CONFLICT


NETSH = """
Protocol tcp Port Exclusion Ranges

Start Port    End Port
----------    --------
      5357        5357
     49671       49770
     50000       50059     *

* - Administered port exclusions.

"""
"""As learn.microsoft.com and many reports show it; made up of those numbers."""


def test_the_ranges_are_read_from_what_netsh_prints() -> None:
    assert parse_excluded(NETSH.replace("\n", "\r\n")) == [
        ExcludedRange(5357, 5357, is_administered=False),
        ExcludedRange(49671, 49770, is_administered=False),
        ExcludedRange(50000, 50059, is_administered=True),
    ]


@pytest.mark.parametrize(
    "text", ["", "Zugriff verweigert", " 70000 70001", " 5 4", " 0 1", " 1 2 3", " 1 2 **"]
)
def test_what_is_no_range_is_passed_over(text: str) -> None:
    assert parse_excluded(text) == []
