"""While many connections come and go the kernel is not asked to report each one's end."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from pathlib import Path
from typing import Final

import pytest

from desktop.listeners import linux
from desktop.listeners.churn import CALM_SECONDS, LEAST_SECONDS, MANY
from desktop.listeners.linux import LinuxListenerSource
from tests.private_network import private_network

PATIENCE: Final = 30.0
SOCK_DIAG: Final = "4"
"""NETLINK_SOCK_DIAG, linux/netlink.h."""


def is_told(source: LinuxListenerSource) -> bool:
    """Whether the kernel has its event socket among those that want messages."""
    descriptor = source.wakeup_fileno()
    assert descriptor is not None
    inode = str(os.fstat(descriptor).st_ino)
    for line in Path("/proc/thread-self/net/netlink").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1] == SOCK_DIAG and fields[9] == inode:
            return int(fields[3], 16) != 0
    raise AssertionError("the event socket is not there")


def connect(server: socket.socket, times: int) -> None:
    for _ in range(times):
        client = socket.create_connection(server.getsockname())
        server.accept()[0].close()
        client.close()


class Clock:
    """Stands for the module `time`, and goes as it is told: a busy computer makes no calm."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def monotonic(self) -> float:
        return self.now


@private_network
def test_a_flood_of_connections_ends_the_events_and_a_calm_brings_them_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(linux, "time", clock)
    with contextlib.closing(LinuxListenerSource()) as source:
        source.scan(frozenset())
        assert is_told(source)
        with socket.create_server(("127.0.0.1", 0)) as server:
            connect(server, MANY // 10)
            clock.now += 2 * LEAST_SECONDS
            source.scan(frozenset())
            assert not is_told(source), "the flood is not noticed"
            assert len(source.scan(frozenset())) == 1
        while source.drain():
            pass
        assert source.scan(frozenset()) == [], "without events a scan sees all the same"
        clock.now += CALM_SECONDS + 1
        source.scan(frozenset())
        assert is_told(source), "the calm is not noticed"
        socket.create_server(("127.0.0.1", 0)).close()
        descriptor = source.wakeup_fileno()
        assert descriptor is not None
        assert select.select([descriptor], [], [], PATIENCE)[0]
        assert source.drain()
