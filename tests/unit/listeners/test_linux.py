"""What the source on Linux has beyond the contract: the rule of age, and what wakes."""

from __future__ import annotations

import os
import select
import socket
from typing import Final

import pytest

from desktop.listeners import linux
from desktop.listeners.linux import LinuxListenerSource
from link.processes import Process, find_processes
from tests.private_network import private_network

PATIENCE: Final = 30.0
"""Seconds until a wake-up must have come."""


class Clock:
    """Stands for the module `time`."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(linux, "time", clock)
    return clock


def bind(address: str, port: int = 0) -> socket.socket:
    """A UDP socket; port 0 is of the kernel's choice."""
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, port))
    return sock


def ports(source: LinuxListenerSource, exclude: frozenset[int] = frozenset()) -> set[int]:
    return {each.port for each in source.scan(exclude)}


@pytest.mark.parametrize("address", ["127.0.0.1", "::"])
@private_network
def test_a_socket_on_a_port_of_the_kernels_choice_appears_after_a_second(
    clock: Clock, address: str
) -> None:
    source = LinuxListenerSource()
    with bind(address) as sock, bind(address, 5000):
        assert ports(source) == {5000}
        clock.now += 0.99
        assert ports(source) == {5000}
        clock.now += 0.01
        assert ports(source) == {5000, sock.getsockname()[1]}
    source.close()


@private_network
def test_a_client_that_is_soon_closed_never_appears(clock: Clock) -> None:
    source = LinuxListenerSource()
    for _ in range(50):
        with bind("0.0.0.0"):
            assert ports(source) == set()
            clock.now += 0.9
            assert ports(source) == set()
        clock.now += 0.2
    source.close()


@private_network
def test_our_own_sockets_do_not_appear_at_any_age(clock: Clock) -> None:
    source = LinuxListenerSource()
    with bind("127.0.0.1") as sock:
        own = frozenset({os.fstat(sock.fileno()).st_ino})
        for _ in range(3):
            assert ports(source, own) == set()
            clock.now += 1
    source.close()


@private_network
def test_the_end_of_a_listener_wakes_on_a_port_of_the_kernels_choice_too(clock: Clock) -> None:
    source = LinuxListenerSource()
    descriptor = source.wakeup_fileno()
    assert descriptor is not None
    sock = bind("127.0.0.1")
    assert ports(source) == set()
    clock.now += 1
    assert ports(source) == {sock.getsockname()[1]}
    sock.close()
    assert select.select([descriptor], [], [], PATIENCE)[0] == [descriptor]
    assert source.drain()
    assert ports(source) == set()
    source.close()


@private_network
def test_a_new_listeners_process_is_looked_for_where_others_are_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[set[int] | None] = []

    def find(inodes: set[int], pids: set[int] | None = None) -> dict[int, Process]:
        asked.append(pids)
        return find_processes(inodes, pids)

    monkeypatch.setattr(linux, "find_processes", find)
    source = LinuxListenerSource()
    with bind("127.0.0.1", 5000):
        assert [each.pid for each in source.scan(frozenset())] == [os.getpid()]
        assert asked == [set(), None]
        with bind("127.0.0.1", 5001):
            assert [each.pid for each in source.scan(frozenset())] == [os.getpid()] * 2
            assert asked[2:] == [{os.getpid()}]
    source.close()
