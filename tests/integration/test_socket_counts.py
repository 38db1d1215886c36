"""Counts of sockets, by the real kernel: what comes and goes changes them."""

from __future__ import annotations

import contextlib
import socket

import pytest

from link import socket_counts
from link.socket_counts import SocketCounts
from tests.private_network import private_network


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["tcp", "udp"])
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
@private_network
def test_a_listener_that_comes_or_goes_changes_them(
    family: socket.AddressFamily, kind: socket.SocketKind
) -> None:
    with contextlib.closing(SocketCounts()) as counts:
        before = counts.read()
        assert before is not None
        with socket.socket(family, kind) as sock:
            assert counts.read() == before
            sock.bind(("", 0))
            if kind == socket.SOCK_STREAM:
                sock.listen()
            meanwhile = counts.read()
            assert meanwhile is not None
            assert meanwhile != before
        assert counts.read() == before


def test_where_they_cannot_be_had_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_counts, "FILES", ("/nowhere/sockstat",))
    counts = SocketCounts()
    assert counts.read() is None
    counts.close()
    counts.close()
