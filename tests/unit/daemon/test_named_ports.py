"""Whether a server may have opened a port: by counts, which are not asked without end."""

from __future__ import annotations

import contextlib
import socket

import pytest

from desktop.daemon.named_ports import BURST, PERIOD, NamedPorts
from link.socket_counts import SocketCounts

NOW = 1000.0


def test_only_sockets_that_came_since_the_last_look_are_a_reason_for_another() -> None:
    with contextlib.closing(NamedPorts()) as named:
        named.looked()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            assert named.may_be_new(NOW)
            named.looked()


def test_counts_are_asked_for_so_often_at_once_and_so_often_in_the_long_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = 0

    def read(_counts: SocketCounts) -> tuple[bytes, ...]:
        nonlocal asked
        asked += 1
        return (b"the same",)

    monkeypatch.setattr(SocketCounts, "read", read)
    with contextlib.closing(NamedPorts()) as named:
        named.looked()
        assert not any(named.may_be_new(NOW) for _ in range(10 * BURST))
        assert asked == 1 + BURST
        assert not any(named.may_be_new(NOW + turn * PERIOD) for turn in range(1, 11))
        assert asked == 1 + BURST + 10
