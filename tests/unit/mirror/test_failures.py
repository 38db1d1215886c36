"""Every failure to open a mirror says whose fault it is and what to do."""

from __future__ import annotations

import errno

import pytest

from desktop.mirror.failures import explain
from desktop.mirror.model import Binding, Origin, State
from link.listener import Container, Listener
from tests.unit.mirror.make import here, machine_binding

DUAL = "dual-stack"
"""Stands for `::` with IPV6_V6ONLY off."""

HERE = Binding(Origin.MACHINE, "tcp", "0.0.0.0", 80, "vm")
THERE = Binding(Origin.HOST, "tcp", "127.0.0.1", 80, "vm")


def test_a_port_in_use_names_program_and_process() -> None:
    other = Listener(1, "tcp", "0.0.0.0", 80, process="nginx", pid=12)
    failure = explain(HERE, errno.EADDRINUSE, [other])
    assert failure.state is State.CONFLICT
    assert failure.reason == "nginx (pid 12) on this computer has tcp port 80"


def test_a_port_in_use_in_the_machine_names_the_container() -> None:
    other = Listener(1, "tcp", "0.0.0.0", 80, container=Container("ab", "web", ""), process="nc")
    reason = explain(THERE, errno.EADDRINUSE, [other]).reason
    assert "web" in reason
    assert "the machine" in reason


def test_a_port_in_use_by_nobody_who_may_be_seen_says_so() -> None:
    others = [Listener(1, "tcp", "0.0.0.0", 81, process="x"), Listener(2, "tcp", "0.0.0.0", 80)]
    assert "another program on this computer" in explain(HERE, errno.EADDRINUSE, others).reason


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
    assert "another program" in explain(binding, errno.EADDRINUSE, others).reason
    is_dual = in_the_way == DUAL
    others.append(here("::" if is_dual else in_the_way, 80, dual=is_dual, process="culprit"))
    assert explain(binding, errno.EADDRINUSE, others).reason.startswith("culprit (pid 77)")


def test_a_container_whose_process_is_not_known_is_named_all_the_same() -> None:
    other = Listener(1, "tcp", "127.0.0.1", 80, container=Container("ab", "web", ""))
    assert explain(THERE, errno.EADDRINUSE, [other]).reason.startswith("container web")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "ip_unprivileged_port_start=80"),
        (errno.EPERM, "remap"),
        (errno.EADDRNOTAVAIL, "has no address 0.0.0.0"),
        (errno.EAFNOSUPPORT, "has no address"),
        (errno.EMFILE, "ulimit"),
        (errno.EIO, "EIO"),
    ],
)
def test_all_else_is_denied_with_its_remedy(number: int, words: str) -> None:
    failure = explain(HERE, number, [])
    assert failure.state is State.DENIED
    assert words in failure.reason
