"""Every failure to open a mirror says whose fault it is and what to do."""

from __future__ import annotations

import errno

import pytest

from desktop.mirror.failures import explain
from desktop.mirror.model import Binding, Origin, State
from link.listener import Container, Listener

HERE = Binding(Origin.MACHINE, "tcp", "0.0.0.0", 80)
THERE = Binding(Origin.HOST, "tcp", "127.0.0.1", 80)


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
