"""Whether a program may have opened a port: by counts, and neither they nor looks without end."""

from __future__ import annotations

import contextlib
import socket

import pytest

from desktop.daemon.named_ports import (
    COUNT_PERIOD,
    COUNTS,
    LEAST_PAUSE,
    LOOK_PERIOD,
    LOOKS,
    NamedPorts,
)
from link.socket_counts import SocketCounts
from tests.capabilities import LINUX_KERNEL, needs

NOW = 1000.0


class Counted:
    """Stands for the counts, and counts how often they are asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = 0
        self.changes = False
        monkeypatch.setattr(SocketCounts, "read", lambda _self: self.read())

    def read(self) -> tuple[bytes, ...]:
        self.asked += 1
        return (b"%d" % self.asked if self.changes else b"the same",)


@needs(LINUX_KERNEL)
def test_sockets_that_came_since_the_last_look_are_a_reason_for_another() -> None:
    with contextlib.closing(NamedPorts()) as named:
        named.looked()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            assert named.is_due(NOW, has_closed=False)


def test_without_a_change_there_is_no_look_and_counts_are_not_asked_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted = Counted(monkeypatch)
    with contextlib.closing(NamedPorts()) as named:
        named.looked()
        assert not any(named.is_due(NOW, has_closed=False) for _ in range(10 * COUNTS))
        assert counted.asked == 1 + COUNTS
        times = [NOW + turn * COUNT_PERIOD for turn in range(1, 11)]
        assert not any(named.is_due(now, has_closed=False) for now in times)
        assert counted.asked == 1 + COUNTS + 10


@pytest.mark.parametrize("has_closed", [True, False])
def test_whatever_changes_there_are_so_many_looks_and_no_more(
    monkeypatch: pytest.MonkeyPatch, has_closed: bool
) -> None:
    Counted(monkeypatch).changes = True
    with contextlib.closing(NamedPorts()) as named:
        named.looked()
        assert sum(named.is_due(NOW, has_closed=has_closed) for _ in range(2 * LOOKS)) == LOOKS
        assert not named.is_due(NOW + LOOK_PERIOD / 2, has_closed=has_closed)
        assert named.is_due(NOW + 1.1 * LOOK_PERIOD, has_closed=has_closed)


@pytest.mark.parametrize(("changes", "least"), [(False, LEAST_PAUSE), (True, LOOK_PERIOD)])
def test_nobody_need_ask_while_it_may_not_be_looked_for(
    monkeypatch: pytest.MonkeyPatch, changes: bool, least: float
) -> None:
    counted = Counted(monkeypatch)
    counted.changes = changes
    with contextlib.closing(NamedPorts()) as named:
        named.looked()
        assert named.pause(NOW) == 0
        while named.is_due(NOW, has_closed=False) or not (pause := named.pause(NOW)):
            pass
        asked = counted.asked
        assert pause == pytest.approx(least)
        assert not named.is_due(NOW + least / 2, has_closed=False) or not changes
        counted.changes = True
        assert named.pause(NOW + pause * 1.01) == 0
        assert named.is_due(NOW + pause * 1.01, has_closed=False)
        assert counted.asked > asked
