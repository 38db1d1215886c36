"""The tables of iphlpapi tell what this very process listens on."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Iterator

import pytest

from desktop.listeners.numbers import DYNAMIC_PORTS
from desktop.listeners.select import open_listener_source
from desktop.listeners.source import ListenerSource
from desktop.listeners.windows import WindowsListenerSource
from tests.windows.wine import not_by_wine

NOBODY = 1
"""No process of Windows has an odd number; Wine says 0 of every socket."""
EVERYWHERE = [
    ("tcp", "127.0.0.1"),
    ("tcp", "0.0.0.0"),
    ("tcp", "::1"),
    ("udp", "127.0.0.1"),
    ("udp", "0.0.0.0"),
    ("udp", "::1"),
]


@pytest.fixture
def source() -> Iterator[ListenerSource]:
    with contextlib.closing(WindowsListenerSource(own=NOBODY)) as made:
        yield made


def bound(protocol: str, address: str) -> socket.socket:
    """Below the ports that Windows chooses by itself, with which UDP is told after a second."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    sock = socket.socket(family, kind)
    for port in random.sample(range(20_000, DYNAMIC_PORTS[0]), 50):
        with contextlib.suppress(OSError):
            sock.bind((address, port))
            break
    if protocol == "tcp":
        sock.listen()
    return sock


@pytest.mark.parametrize(("protocol", "address"), EVERYWHERE)
def test_a_listener_is_found_with_its_address_and_goes_with_its_socket(
    source: ListenerSource, protocol: str, address: str
) -> None:
    with bound(protocol, address) as sock:
        listener = (protocol, address, sock.getsockname()[1])
        assert listener in all_of(source)
    assert listener not in all_of(source)


def all_of(source: ListenerSource) -> set[tuple[str, str, int]]:
    return {(each.protocol, each.address, each.port) for each in source.scan(frozenset())}


def test_a_socket_that_is_bound_and_does_not_listen_is_none(source: ListenerSource) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        assert ("tcp", "127.0.0.1", sock.getsockname()[1]) not in all_of(source)


@not_by_wine("does not tell whose a socket is")
def test_a_listener_has_its_process(source: ListenerSource) -> None:
    with bound("tcp", "127.0.0.1") as sock:
        port = sock.getsockname()[1]
        (found,) = (each for each in source.scan(frozenset()) if each.port == port)
        assert "python" in (found.process or "").lower()


@not_by_wine("does not tell whose a socket is")
def test_what_is_ours_is_not_told() -> None:
    with contextlib.closing(open_listener_source()) as source, bound("tcp", "127.0.0.1") as sock:
        assert sock.getsockname()[1] not in {each.port for each in source.scan(frozenset())}
